#!/bin/sh
# The scripts configure again when what configure would find has changed, and not otherwise.
# A tree with a configure that only counts its runs stands for the real one.
set -eu

command -v bash >/dev/null || {
    echo "bash is not installed, which the scripts are for"
    exit 77
}

work=$(mktemp -d "${TMPDIR:-/tmp}/stem-configuring-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir scripts bin pkgconfig include lib build
cp "$STEM_SOURCE/scripts/common.sh" scripts
touch configure.ac Makefile.am Makefile.in
cat >configure <<'END'
#!/bin/sh
echo "$@" >>../runs
[ ! -e ../broken ] || exit 1
touch Makefile config.status
END
chmod +x configure

PATH=$work/bin:$PATH
CPATH=$work/include
LIBRARY_PATH=$work/lib
PKG_CONFIG_PATH=$work/pkgconfig
export PATH CPATH LIBRARY_PATH PKG_CONFIG_PATH
unset CC CFLAGS PKG_CONFIG

configure_in() {
    bash -euc '. scripts/common.sh; configure_in "$@"' bash build "$@" >output 2>&1
}

# runs NUMBER WHAT: configure has run so many times, WHAT being the last that was done.
runs() {
    [ "$(wc -l <runs)" -eq "$1" ] || {
        echo "$2: configure has run $(wc -l <runs) times, not $1"
        cat runs output
        exit 1
    }
}

count=1
configure_in
runs $count "the first time"
configure_in
runs $count "a second time"

# again WHAT [ARGUMENT...]: that is a reason to configure, once.
again() {
    what=$1
    shift
    count=$((count + 1))
    configure_in "$@"
    runs $count "$what"
    configure_in "$@"
    runs $count "$what, for a second time"
}

touch pkgconfig/check.pc
again "a library that pkg-config knows is installed"
rm pkgconfig/check.pc
again "a library that pkg-config knows is removed"
touch lib/libsnappy.a
again "a library is installed"
rm lib/libsnappy.a
again "a library is removed"
mkdir include/leveldb
again "headers are installed"
rmdir include/leveldb
again "headers are removed"
printf '#!/bin/sh\n' >bin/clang-99
chmod +x bin/clang-99
again "a compiler is installed"
rm bin/clang-99
again "a compiler is removed"
CFLAGS=-O3
export CFLAGS
again "another setting in the environment"
unset CFLAGS
again "no setting in the environment"
again "an argument" --enable-werror
again "two arguments" --enable-werror "CFLAGS=-g -O1"
again "no argument"

# What is nothing to configure.
(LC_ALL=C.UTF-8 TZ=Asia/Tokyo HOME=$work configure_in)
runs $count "another locale, time zone and home"
printf '#!/bin/sh\n' >bin/some-tool
chmod +x bin/some-tool
configure_in
runs $count "another program is installed"

# A run that failed is not taken for one that was made, whatever it had written.
touch broken lib/libother.a
for time in first second; do
    ! configure_in || {
        echo "a configure that fails is taken for a success, the $time time"
        exit 1
    }
    count=$((count + 1))
    runs $count "a failure, the $time time"
done
rm lib/libother.a broken
again "what had failed is mended"
