#!/bin/sh
# A served database from redis-cli, every command of Redis's that there is, and from a client
# library of another language.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

for program in redis-cli python3; do
    command -v $program >/dev/null || {
        echo "there is no $program"
        exit 77
    }
done

"$stem" serve ./x --listen "unix:$work/socket" >serve.out 2>serve.err &
server=$!
trap 'kill $server 2>/dev/null || :; wait $server || :; rm -rf "$work"' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do
    [ -S socket ] && break
    sleep 0.1
done

# is REPLY COMMAND...: what redis-cli prints for it where it does not write to a terminal, lines
# joined by blanks.
is() {
    wanted=$1
    shift
    got=$(redis-cli -s "$work/socket" "$@" | tr '\n' ' ' | sed 's, *$,,')
    [ "$got" = "$wanted" ] || die "'$*' answered '$got', not '$wanted'"
}

# script REPLIES: the same for commands on standard input, in one connection.
script() {
    got=$(redis-cli -s "$work/socket" | tr '\n' ' ' | sed 's, *$,,')
    [ "$got" = "$1" ] || die "the script answered '$got', not '$1'"
}

# ---- The connection ---------------------------------------------------------------------

is PONG PING
is hello PING hello
is hello ECHO hello
is OK QUIT
is OK SELECT 0
is 'ERR DB index is out of range' SELECT 1
redis-cli -s "$work/socket" INFO | grep '^redis_version:' >/dev/null || die "no INFO"
redis-cli -s "$work/socket" COMMAND COUNT | grep '^[0-9]*$' >/dev/null || die "no COMMAND"
redis-cli -s "$work/socket" HELLO 3 | grep stem >/dev/null || die "no HELLO"
redis-cli -s "$work/socket" CLIENT ID | grep '^[0-9]*$' >/dev/null || die "no CLIENT ID"
script 'OK me' <<'END'
CLIENT SETNAME me
CLIENT GETNAME
END
is "ERR unknown command 'NONSENSE', with args beginning with:" NONSENSE
redis-cli -s "$work/socket" AUTH x 2>&1 | grep '^ERR' >/dev/null || die "no AUTH"

# ---- Limits: each has an option, which docs/server.md names -------------------------------

limits=$(sed -n '/^typedef struct stem_server_options/,/^} stem_server_options/s/.*size_t \([a-z_]*\)[ ;].*/\1/p' \
    "$STEM_SOURCE/include/stem.h")
[ "$(echo "$limits" | wc -l)" -ge 11 ] || die "no limits in stem.h"
"$stem" serve --help >help.out || die "no help"
for limit in $limits; do
    option=$(sed -n "s/^| \`\(--[a-z-]*\)\` | \`$limit\` |.*/\1/p" "$STEM_SOURCE/docs/server.md")
    [ -n "$option" ] || die "docs/server.md has no option for $limit"
    grep -- "$option " help.out >/dev/null || die "serve --help has no $option"
    answers 3 "$stem" serve ./limited --listen "unix:$work/other" "$option" 9999999999999999
    says "option $limit is 9999999999999999, not 0 or"
done

# ---- Values -----------------------------------------------------------------------------

is OK SET a 1
is 1 GET a
is '' SET a 2 NX
is OK SET a 2 XX
is 2 SET a 3 GET
is 0 SETNX a 4
is 1 SETNX b/c text
is 3 GETSET a 5
is 5 GETDEL a
is '' GET a
is OK MSET a 1 b 2 d/e 3
is '1 2  3' MGET a b none d/e
is 0 MSETNX z 1 a 2
is 1 MSETNX y 1 z 2
is 4 STRLEN b/c
is 2 INCR a
is 12 INCRBY a 10
is 11 DECR a
is 1 DECRBY a 10
is 1.5 INCRBYFLOAT a 0.5
is 8 APPEND b/c more
is textmore GET b/c
is 'ERR value is not an integer or out of range' INCR b/c
is 1 DEL y
is 2 UNLINK z d/e none
is 2 EXISTS a b none
is string TYPE a
is none TYPE none
is OK RENAME b moved
is 2 GET moved
is 'ERR no such key' RENAME none other
is 1 COPY moved copied
is 2 GET copied
is 'ERR invalid key: not a canonical path' SET a//b 1
"$stem" put ./x list '[1]' 2>/dev/null && die "the tool got in beside the server"
is OK STEM.PUTJSON list '[1, 2]'
is 'WRONGTYPE Operation against a key holding the wrong kind of value' GET list
is '[1, 2]' STEM.GET list JSON

# ---- Walking ----------------------------------------------------------------------------

is OK SET k/1 1
is OK SET k/2 1
is 'k/1 k/2' KEYS 'k/*'
is 7 DBSIZE
redis-cli -s "$work/socket" --scan --pattern 'k/*' | sort >out
printf 'k/1\nk/2\n' | cmp - out || die "SCAN found something else"
is OK FLUSHDB
is 0 DBSIZE

# ---- Transactions -----------------------------------------------------------------------

script 'OK QUEUED QUEUED OK 2 OK OK OK QUEUED OK' <<'END'
MULTI
SET t 1
INCR t
EXEC
WATCH t
UNWATCH
MULTI
SET t 9
DISCARD
END
is 2 GET t

# ---- Another language -------------------------------------------------------------------

python3 - "$work/socket" <<'END' || die "Python's redis has failed"
import sys
try:
    import redis
except ImportError:
    sys.exit(0)
r = redis.Redis(unix_socket_path=sys.argv[1])
r.set("p/key", b"\x00\xffbytes")
assert r.get("p/key") == b"\x00\xffbytes"
assert r.incr("p/n", 5) == 5
with r.pipeline() as p:
    p.multi()
    p.set("p/a", "x")
    p.get("p/a")
    assert p.execute() == [True, b"x"]
assert sorted(r.scan_iter("p/*")) == [b"p/a", b"p/key", b"p/n"]
assert r.mget("p/n", "none") == [b"5", None]
END

# ---- The end ----------------------------------------------------------------------------

if command -v redis-benchmark >/dev/null; then
    redis-benchmark -s "$work/socket" -t set,get,incr,mset -n 2000 -c 8 -P 8 -r 1000 -q \
        >bench.out 2>&1 || die "redis-benchmark has failed: $(cat bench.out)"
fi
kill -TERM $server
wait $server || die "the server ended with status $?"
[ ! -e socket ] || die "the socket is still there"
[ ! -s serve.err ] || die "the server complained: $(cat serve.err)"
prints 2 "$stem" get ./x t
