#!/bin/sh
# Instructions per operation, Stem's and the other sides', counted by callgrind. Run it in the
# directory where Stem was built, after `make bench`.
# usage: instructions.sh [DIRECTORY]
set -eu

program=bench/instructions
dir=${1:-${TMPDIR:-/tmp}}

# count SIDE KIND: prints the instructions of one operation.
count() {
    # What libtool has built in place may be a script; this finds the program behind it.
    ./libtool --mode=execute valgrind --tool=callgrind --toggle-collect='measured*' --callgrind-out-file=/dev/null \
        "$program" "$1:$2" "$dir" 2>&1 |
        awk '/^operations/ { n = $2 } / Collected *:/ { sum = $NF }
            END { if (n == 0 || sum == 0) exit 1; printf "%.0f\n", sum / n }'
}

printf '%-6s %9s %9s %9s %9s\n' what stem raw glued stem/glued
for kind in put get array walk deep; do
    stem=$(count stem $kind)
    raw=$(count raw $kind)
    glued=$(count glued $kind)
    awk "BEGIN { printf \"%-6s %9d %9d %9d %9.3f\\n\", \"$kind\", $stem, $raw, $glued, $stem / $glued }"
done
