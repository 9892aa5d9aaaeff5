#!/bin/sh
# What must not compile: stem_put of a pointer that is no string, or of a long double, and
# arrays of what is no element type. Each is tried beside a line that does compile.
set -eu

work=$(mktemp -d "${TMPDIR:-/tmp}/stem-header-XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0

# try LINE: compiles it in a function, as C11 and, where there is a compiler, as C++17.
try() {
    printf '#include <stem.h>\nvoid f(stem_db *db);\nvoid f(stem_db *db)\n{ %s (void)db; }\n' \
        "$1" >"$work/try.c"
    cp "$work/try.c" "$work/try.cc"
    in_c=yes in_cxx=yes
    $STEM_CC -std=c11 -fsyntax-only -I"$STEM_SOURCE/include" "$work/try.c" \
        2>"$work/errors" || in_c=no
    if [ -n "$STEM_CXX" ]; then
        # Templates are chosen for good only when code is made of them.
        $STEM_CXX -std=c++17 -S -o /dev/null -I"$STEM_SOURCE/include" "$work/try.cc" \
            2>>"$work/errors" || in_cxx=no
    else
        in_cxx=$in_c
    fi
}

compiles() {
    try "$1"
    if [ $in_c$in_cxx != yesyes ]; then
        echo "does not compile (C: $in_c, C++: $in_cxx): $1"
        cat "$work/errors"
        failures=1
    fi
}

is_refused() {
    try "$1"
    if [ $in_c$in_cxx != nono ]; then
        echo "compiles (C: $in_c, C++: $in_cxx): $1"
        failures=1
    fi
}

compiles 'int x = 1; stem_put(db, "k", x);'
is_refused 'int x = 1; stem_put(db, "k", &x);'
is_refused 'void *x = 0; stem_put(db, "k", x);'
is_refused 'unsigned char x[2] = {0}; stem_put(db, "k", &x[0]);'
compiles 'double x = 1; stem_put(db, "k", x);'
is_refused 'long double x = 1; stem_put(db, "k", x);'
is_refused 'struct { int i; } x = {1}; stem_put(db, "k", x);'
compiles 'float x[2] = {0}; stem_put(db, "k", stem_vec(x, 2));'
is_refused 'long double x[2] = {0}; stem_put(db, "k", stem_vec(x, 2));'
is_refused 'void *x[2] = {0}; stem_put(db, "k", stem_vec(x, 2));'
exit $failures
