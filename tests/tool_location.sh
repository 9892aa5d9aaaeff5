#!/bin/sh
# What stem's commands make of a LOCATION: those of no engine, and names with a ':' in them.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

printf '{"a": 1}' >a.json
echo '{"put": "k", "value": 1}' >operations
for location in rocksdb:x :memory: sqlite:./x C: a:b stem:x MEM: redis://h:6379/0; do
    for command in 'get L k' 'put L k 1' 'incr L k' 'pop L k' 'cp L k l' 'mv L k l' 'rm L k' \
        'ls L' 'tree L' 'count L' 'import L a.json' 'export L' 'stat L' 'batch L'; do
        # shellcheck disable=SC2046
        answers 3 "$stem" $(echo "$command" | sed "s,L,$location,") <operations
        says 'leveldb:'
        says "$location"
    done
done
[ "$(echo *)" = "a.json err operations out" ] || die "an unknown location made something: $(ls)"

answers 0 "$stem" put ./a:b k 1
prints 1 "$stem" get ./a:b k
prints 1 "$stem" get leveldb:a:b k
answers 3 "$stem" get a:b k
says './NAME'

# A person is told that a server which is not there is waited for; a script is not.
if command -v script >/dev/null; then
    printf '%s\n' "$stem get unix:no.sock k; echo ended" >asked
    script -qefc 'timeout 3 sh asked' seen >/dev/null </dev/null || :
    grep 'stem: unix:no.sock is not open yet; waiting' seen >/dev/null || die "nothing is told: $(cat seen)"
fi
timeout 3 "$stem" get unix:no.sock k >out 2>err && die "a server is there"
[ ! -s err ] || die "a script is told: $(cat err)"
