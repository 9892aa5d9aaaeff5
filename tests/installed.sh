#!/bin/sh
# Run by `make installcheck`: a program finds the installed library through pkg-config
# alone, and runs, linked to the shared library, to the static one, and to nothing shared
# at all where the static libraries of all that is below are there.
#
#     installed.sh CC LIBDIR BINDIR VERSION
set -eu

cc=$1 libdir=$2 bindir=$3 version=$4
program=$(dirname "$0")/installed.c
work=$(mktemp -d "${TMPDIR:-/tmp}/stem-installed-XXXXXX")
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH="$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

[ "$(pkg-config --modversion stem)" = "$version" ]

# compile HOW LIBRARIES...
compile() {
    how=$1
    shift
    # The flags are words.
    # shellcheck disable=SC2046
    $cc -DSTEM_INSTALLED_VERSION="\"$version\"" "$program" -o "$work/$how" \
        $(pkg-config --cflags stem) "$@"
    "$work/$how"
    echo "installed: linked $how, it runs"
}

if [ -e "$libdir/libstem.so" ]; then
    compile shared $(pkg-config --libs stem)
fi
if [ -e "$libdir/libstem.a" ]; then
    # The archive by its name, or the linker would prefer the shared library.
    compile static $(pkg-config --static --libs stem | sed 's/-lstem/-l:libstem.a/')
    # Without it configure has said that this does not link.
    if pkg-config --static --libs stem | grep -e -lsnappy >/dev/null; then
        compile all-static -static $(pkg-config --static --libs stem)
    fi
fi
"$bindir/stem" --help >"$work/help"
[ -s "$work/help" ]
