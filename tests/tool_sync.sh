#!/bin/sh
# `stem put` and `incr` with --sync end when the log that has their commit is on the disk, and
# without it do not wait for that. Seen with strace.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

# The leak checker cannot work in a traced process.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
if ! strace -o probe true 2>why; then
    echo "strace does not work here: $(cat why)"
    exit 77
fi

# is_synced COMMAND...: whether a log is made durable while it runs.
is_synced() {
    strace -f -y -o trace -e trace=fsync,fdatasync "$@" >out
    grep -E 'f(data)?sync\([0-9]+<.*/[0-9]+\.log>' trace >/dev/null
}

"$stem" put ./x n 1
for command in 'put ./x n 2' 'put ./x n/m 3' 'incr ./x n' 'incr ./x n 0.5 --float' \
    'incr ./x new --initial 5'; do
    # shellcheck disable=SC2086
    ! is_synced "$stem" $command || die "$command waits for the disk"
    # shellcheck disable=SC2086
    is_synced "$stem" $command --sync || die "$command --sync does not wait for the disk"
done
prints '5.0
3
7' "$stem" get ./x n n/m new

# Where a database is made by it, too.
is_synced "$stem" put ./y n 1 --sync || die "the first put does not wait for the disk"
prints 1 "$stem" get ./y n
