#!/bin/sh
# What README.md shows in C compiles as it stands there. The first program, which is an example,
# is left to examples.sh; the others are statements, each block the body of a function.
set -eu

work=$(mktemp -d "${TMPDIR:-/tmp}/stem-readme-XXXXXX")
trap 'rm -rf "$work"' EXIT

cat >"$work/readme.c" <<'END'
#include <stdio.h>
#include <stem.h>

extern int x, code, codes[3];
extern int64_t n, seconds;
extern unsigned char pixels[480 * 640 * 3];
extern const char *names[3];
extern void *context;
extern stem_db *db, *from, *to, *queue, *archive;
extern stem_value values[3];
extern stem_entry *entries;
extern size_t count;
extern stem_update_fn add_a_visit;

END
awk '
    /^```c$/ {
        is_inside = ++blocks > 1
        if (is_inside)
            print "void block" blocks "(void)\n{"
        next
    }
    /^```$/ && is_inside { is_inside = 0; print "}" }
    is_inside { print }
    END { exit blocks < 2 }' "$STEM_SOURCE/README.md" >>"$work/readme.c" || {
    echo "README.md has no C but the first program"
    exit 1
}
# Each shows how to get a value, and not always what is done with it.
$STEM_CC -std=c11 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -Wno-unused-variable \
    -Wno-unused-but-set-variable -I"$STEM_SOURCE/include" "$work/readme.c"
