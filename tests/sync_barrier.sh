#!/bin/sh
# stem_sync, and a synced put, make every log durable that there is, older ones too, and the
# directory: LevelDB's own synced write does so with the newest log alone. Seen with strace,
# which also holds LevelDB's thread up so that the older log is still there.
set -eu

work=$(mktemp -d "${TMPDIR:-/tmp}/stem-test-XXXXXX")
trap 'rm -rf "$work"' EXIT
# The leak checker cannot work in a traced process.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

if ! strace -o "$work/probe" -e trace=access -e inject=access:delay_enter=1 true \
    2>"$work/why"; then
    echo "strace does not work here: $(cat "$work/why")"
    exit 77
fi

# synced NAME: whether the calls between the marks made the file or directory durable.
synced() {
    grep -q -E "^f(data)?sync\([0-9]+<$1>\) += 0" "$work/barrier"
}

for kind in sync put; do
    rm -f "$work"/trace.*
    strace -ff -y -o "$work/trace" -e trace=access,fsync,fdatasync \
        -e inject=fdatasync:delay_enter=50000 \
        "$STEM_BUILD/tests/sync_barrier" "$work/$kind" "$kind" >"$work/logs"
    cat "$work"/trace.* | sed -n '/barrier begins/,/barrier ends/p' >"$work/barrier"

    if [ "$(wc -l <"$work/logs")" -lt 2 ]; then
        echo "$kind: no older log was there to be synced"
        exit 1
    fi
    while read -r log; do
        if ! synced "$work/$kind/$log"; then
            echo "$kind: $log is not durable when it returns:"
            cat "$work/barrier"
            exit 1
        fi
    done <"$work/logs"
    if ! synced "$work/$kind"; then
        echo "$kind: the directory is not durable when it returns:"
        cat "$work/barrier"
        exit 1
    fi
done
