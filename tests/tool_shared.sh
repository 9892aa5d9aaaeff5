#!/bin/sh
# Commands beside programs that share the database, and `stem serve --shared`.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

server=
trap '[ -z "$server" ] || kill -KILL $server; rm -rf "$work"' EXIT

# wait_for FILE: until there is something in it.
wait_for() {
    tries=0
    until [ -s "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || die "nothing in $1"
        sleep 0.02
    done
}

answers 2 "$stem" serve ./x
answers 2 "$stem" serve ./x --while-used
answers 2 "$stem" serve ./x --shared --set no_such=1
says 'there is no such option'

"$stem" serve ./x --shared --set block_bytes=8192 >said &
server=$!
wait_for said
grep -qx 'sharing ./x' said || die "it said: $(cat said)"
[ -S ./x/stem.sock ] || die "there is no socket"
answers 0 "$stem" put ./x a 7
prints 7 "$stem" get ./x a
prints 9 "$stem" incr ./x a 2

# What another has set is in effect; who wants it otherwise is told so.
answers 3 "$stem" serve ./x --shared --set block_bytes=4096
says 'option block_bytes is 4096'

# The one that has the files dies, and the next command finds everything.
kill -KILL $server
wait $server 2>/dev/null || true
server=
prints 9 "$stem" get ./x a
[ ! -e ./x/stem.sock ] || die "the socket is left behind"

# In the background, until nobody uses it.
answers 0 "$stem" serve ./x --shared --while-used --detach
tries=0
until [ -S ./x/stem.sock ]; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || die "nobody shares it"
    sleep 0.02
done
prints 9 "$stem" get ./x a
tries=0
while [ -e ./x/stem.sock ]; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || die "it does not end"
    sleep 0.02
done
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
wait_for served
answers 3 "$stem" get ./x a
says 'in use by process'
prints 10 "$stem" get unix:x.sock a
