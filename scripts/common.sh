# What the scripts share: the Debian packages that Stem needs, and building it out of
# tree. Sourced, never run. Everything here may be run again at any time: what is
# installed, configured or built already is left as it is.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# docs/dependencies.md says why each is needed. libc6-dev is only recommended by gcc.
build_packages=(
    gcc g++ libc6-dev make autoconf automake libtool pkg-config
    libleveldb-dev libmsgpack-dev uthash-dev
    libevent-dev libhiredis-dev libsodium-dev libssl-dev
)
test_packages=(
    check libsubunit-dev strace binutils jq locales alsa-utils
    redis-tools python3-redis openssl curl
)
demo_packages=(iso-codes alsa-utils jq)

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need_packages PACKAGE...: installs those that are missing, after saying which.
need_packages() {
    local package missing=() as_root=()

    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "No apt-get here: taking for granted what docs/dependencies.md lists."
        return
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "Packages: everything needed is installed."
        return
    fi
    say "Packages: installing with apt-get: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "not root, and there is no sudo: install the packages above by hand"
        as_root=(sudo)
    fi
    # env inside sudo: sudo drops the variable otherwise.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get update -q </dev/null || die "apt-get update failed"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

# Makes the configure script when it is missing or older than what it is made from.
make_configure() {
    local made=$root/configure output

    if [ ! -e "$made" ] || [ ! -e "$root/Makefile.in" ] ||
        [ "$root/configure.ac" -nt "$made" ] ||
        [ "$root/Makefile.am" -nt "$root/Makefile.in" ]; then
        say "Making configure"
        if ! output=$(cd "$root" && mkdir -p m4 && autoreconf -fi 2>&1); then
            say "$output"
            die "autoreconf failed"
        fi
        # autoreconf leaves a file alone when its text would not change.
        touch "$root/Makefile.in" "$made"
    fi
}

# What configure goes by besides its arguments: the settings that it reads, and what is
# installed. The latter is the compilers' names and the times of the directories in which
# they and pkg-config look, which change with every file that comes or goes there. A change
# that did not matter costs some seconds: configuring again rebuilds nothing by itself.
what_configure_sees() {
    local LC_ALL=C name compiler=${CC:-gcc}

    for name in CC CFLAGS CPPFLAGS CXX CXXFLAGS LDFLAGS LIBS \
        PKG_CONFIG PKG_CONFIG_PATH PKG_CONFIG_LIBDIR; do
        printf '%s=%s\n' "$name" "${!name-}"
    done
    compgen -c | sort -u |
        grep -xE '(cc|c\+\+|gcc|g\+\+|clang|afl-clang-fast|pkg-config)(-[0-9]+)?' || :
    # The compiler is not quoted, since it may have arguments.
    {
        $compiler -print-search-dirs | sed -n 's/^libraries: =//p'
        $compiler -E -v -x c /dev/null 2>&1 | sed -n 's/^ \(\/[^ ]*\)$/\1/p'
        printf '%s\n' "${PKG_CONFIG_PATH-}" "${PKG_CONFIG_LIBDIR-}"
        ${PKG_CONFIG:-pkg-config} --variable pc_path pkg-config
    } 2>/dev/null | tr ':' '\n' | sort -u | xargs -d '\n' stat -L -c '%n %.Y' 2>/dev/null || :
}

# configure_in DIR [ARGUMENT...]: DIR/Makefile, made with these arguments of configure, and
# made again when they, or what configure sees, are not what they were.
configure_in() {
    local dir=$1 wanted
    shift

    make_configure
    # automake refuses to build out of a tree that is configured in place.
    [ ! -e "$root/config.status" ] ||
        die "$root is configured in place: run 'make distclean' there first"
    wanted=$(printf '%q ' "$@" && printf '\n' && what_configure_sees)
    mkdir -p "$dir"
    if [ ! -e "$dir/Makefile" ] || [ "$root/configure" -nt "$dir/config.status" ] ||
        [ "$(cat "$dir/.configured" 2>/dev/null)" != "$wanted" ]; then
        say "Configuring $(basename "$dir")"
        rm -f "$dir/.configured"
        (cd "$dir" && "$root/configure" -q "$@") || die "configure failed"
        printf '%s\n' "$wanted" >"$dir/.configured"
    fi
}

# make_in DIR [ARGUMENT...]: one target at a time, because `all` and another in one call are
# two makes that write the same objects at once. Arguments with a `=` go to each.
make_in() {
    local dir=$1 argument targets=() settings=()
    shift

    for argument in "$@"; do
        case $argument in
        *=*) settings+=("$argument") ;;
        *) targets+=("$argument") ;;
        esac
    done
    for argument in "${targets[@]:-all}"; do
        make -C "$dir" -s -j"$(nproc)" "$argument" "${settings[@]}"
    done
}

# check_in DIR [ARGUMENT...]: builds and runs the tests there, with these arguments of
# make, and says how many cases ran.
check_in() {
    local dir=$1 status=0

    rm -f "$dir"/tests/*.trs "$dir"/tests/*.log
    make_in "$@" check || status=$?
    count_tests "$dir"
    return $status
}

# check_some DIR TESTS PROGRAMS [ARGUMENT...]: these tests alone, of which nothing is built but
# they themselves and these programs, which others of them run.
check_some() {
    local dir=$1 tests=$2 programs=$3
    shift 3

    programs+=" $(printf '%s\n' $tests | grep -v '\.sh$' | tr '\n' ' ')"
    check_in "$dir" TESTS="$(printf '%s ' $tests)" check_PROGRAMS="$programs" "$@"
}

# Adds up what the logs of a `make check` in DIR say, into passed, failed and skipped:
# Check's own totals, and one for each test that is a script.
count_tests() {
    local dir=$1 trs log result
    local totals='Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)'

    passed=0 failed=0 skipped=0
    for trs in "$dir"/tests/*.trs; do
        [ -e "$trs" ] || continue
        log=${trs%.trs}.log
        result=$(sed -n 's/^:test-result: //p' "$trs")
        if [ "$result" = SKIP ]; then
            skipped=$((skipped + 1))
            say "skipped: $(basename "$log" .log): $(tail -n 2 "$log" | head -n 1)"
        elif [[ $(grep -aE "$totals" "$log" | tail -n 1) =~ $totals ]]; then
            local bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
            passed=$((passed + BASH_REMATCH[1] - bad))
            failed=$((failed + bad))
            # A leak found at exit, say, fails a suite whose cases all passed.
            [ "$result" = PASS ] || [ $bad -gt 0 ] || failed=$((failed + 1))
        elif [ "$result" = PASS ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
        case $result in
        PASS | SKIP) ;;
        *)
            say "---- $log"
            tail -n 30 "$log"
            ;;
        esac
    done
    say "$passed test cases passed, $failed failed, $skipped skipped"
}
