#!/bin/sh
# The library exports stem_* and nothing else, and its static form brings no other global
# name into a program either. Exported means in the dynamic table; hidden names in the
# archive are globals to the linker all the same.
set -eu

shared=$STEM_BUILD/.libs/libstem.so
static=$STEM_BUILD/.libs/libstem.a
header=$STEM_SOURCE/include/stem.h
failures=0

command -v nm >/dev/null || {
    echo "nm is not installed (Debian: binutils)"
    exit 77
}

# Prints the names defined in a file and visible outside their object. Sanitizers and
# coverage add names of their own, which no other build has.
globals() {
    nm --defined-only "$@" | awk 'NF == 3 && $2 ~ /[A-TV-Z]/ { print $3 }' |
        grep -v -E '^(__asan_|__odr_asan|__ubsan_|__tsan_|__gcov|__llvm_|mangle_path$|_init$|_fini$)' |
        sort -u
}

fail_if_any() {
    if [ -n "$2" ]; then
        echo "$1:"
        echo "$2"
        failures=1
    fi
}

if [ -e "$shared" ]; then
    exported=$(globals -D "$shared")
    fail_if_any "exported and not named stem_*" "$(echo "$exported" | grep -v '^stem_')"
    # What the header declares is there, and what it does not is not.
    declared=$(sed 's/^ \*.*//' "$header" | tr '\n' ' ' |
        grep -o -E 'STEM_API [^;(]*\(' | grep -o -E 'stem_[a-z0-9_]+\($' | tr -d '(' |
        sort -u)
    [ -n "$declared" ]
    fail_if_any "exported and not in stem.h" \
        "$(echo "$exported" | grep -v -x -F "$declared")"
    fail_if_any "in stem.h and not exported" \
        "$(echo "$declared" | grep -v -x -F "$exported")"
else
    echo "no shared library in this build"
fi
if [ -e "$static" ]; then
    fail_if_any "global in libstem.a and not named stem_*" \
        "$(globals -g "$static" | grep -v '^stem_')"
else
    echo "no static library in this build"
fi
exit $failures
