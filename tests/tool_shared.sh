#!/bin/sh
# Commands beside programs that share the database, and `stem serve --shared`.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

server= on=
trap '[ -z "$server$on" ] || kill -KILL $server $on; rm -rf "$work"' EXIT

# await WORDS TEST...: until the test holds; else dies with the words.
await() {
    words=$1
    shift
    tries=0
    until [ "$@" ]; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || die "$words"
        sleep 0.02
    done
}

answers 2 "$stem" serve ./x
answers 2 "$stem" serve ./x --while-used
answers 2 "$stem" serve ./x --shared --set no_such=1
says 'there is no such option'
answers 2 "$stem" serve ./x --shared --set bloom_bits=4294967306
says 'bloom_bits is at most 2147483647'
answers 2 "$stem" serve ./x --shared --set no_bloom=2
answers 2 "$stem" serve ./x --shared --set bloom_bits
says "NAME=VALUE, not 'bloom_bits'"
answers 2 "$stem" serve ./x --shared --memory none
says "--memory is a number from 0 on, not 'none'"
answers 3 "$stem" serve ./x --memory 0 --listen nowhere
says 'cannot listen at nowhere'
answers 2 "$stem" serve ./x --shared --memory 17592186044417
says '--memory is at most 17592186044415'

"$stem" serve ./x --shared --set block_bytes=8192 >said &
server=$!
await "nothing is said" -s said
grep -qx 'sharing ./x' said || die "it said: $(cat said)"
[ -S ./x/stem.sock ] || die "there is no socket"
answers 0 "$stem" put ./x a 7
prints 7 "$stem" get ./x a
prints 9 "$stem" incr ./x a 2

# What another has set is in effect; who wants it otherwise is told so.
answers 3 "$stem" serve ./x --shared --set block_bytes=4096
says 'option block_bytes is 4096'

# Another that shares it serves it on, to Stem too.
"$stem" serve ./x --shared --listen unix:on.sock >/dev/null &
on=$!
await "it is not served on" -S on.sock
answers 0 "$stem" put unix:on.sock b 3
prints 5 "$stem" incr unix:on.sock b 2
prints 5 "$stem" get ./x b
kill $on
wait $on || die "it ended with $?"
on=

# The one that has the files dies, and the next command finds everything.
kill -KILL $server
wait $server 2>/dev/null || true
server=
prints 9 "$stem" get ./x a
[ ! -e ./x/stem.sock ] || die "the socket is left behind"

# In the background, until nobody uses it.
answers 0 "$stem" serve ./x --shared --while-used --detach
await "nobody shares it" -S ./x/stem.sock
prints 9 "$stem" get ./x a
await "it does not end" ! -e ./x/stem.sock
prints 9 "$stem" get ./x a

# Beside an export that nobody reads.
"$stem" put ./x big "$(head -c 100000 /dev/zero | tr '\0' x)"
mkfifo pipe
"$stem" export ./x >pipe &
exec 3<pipe
head -c 1 <&3 >/dev/null
prints 9 "$stem" get ./x a
answers 0 "$stem" put ./x a 10
cat <&3 >/dev/null
exec 3<&-
wait
prints 10 "$stem" get ./x a

# Somebody has it for himself.
"$stem" serve ./x --listen unix:x.sock >served &
server=$!
await "nothing is served" -s served
answers 3 "$stem" get ./x a
says 'in use by process'
says 'processes that all open it with .shared use it together'
prints 10 "$stem" get unix:x.sock a

# Two connections to one server lead to one place.
"$stem" put unix:x.sock b/c 1
"$stem" export unix:x.sock >before
for command in cp mv; do
    answers 3 "$stem" $command unix:x.sock a a --to "unix:$work/x.sock"
    says 'the same'
    answers 3 "$stem" $command -r unix:x.sock b b --to "unix:$work/x.sock"
    says 'one place lies within the other'
    answers 3 "$stem" $command -r unix:x.sock '' '' --to unix:x.sock
    says 'one place lies within the other'
    "$stem" export unix:x.sock | cmp - before || die "a refused $command changed something"
done
answers 0 "$stem" mv -r unix:x.sock b d --to "unix:$work/x.sock"
prints 1 "$stem" get unix:x.sock d/c
