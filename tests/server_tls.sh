#!/bin/sh
# A database served over TCP: with TLS and users, refused without, and its metrics.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

for program in redis-cli openssl curl; do
    command -v $program >/dev/null || {
        echo "there is no $program"
        exit 77
    }
done

openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
printf 'secret\n' | "$stem" passwd users ada --rights all >/dev/null

# refused WORDS ARGUMENT...: serve does not start, and says why.
refused() {
    words=$1
    shift
    answers 3 "$stem" serve ./x "$@"
    says "$words"
}

refused 'without users' --listen tcp://127.0.0.1:0
refused 'without TLS' --listen tcp://0.0.0.0:0 --users users
refused 'certificate' --listen tcp://127.0.0.1:0 --users users --tls-cert cert.pem
refused 'cert.pem' --listen tcp://127.0.0.1:0 --users users --tls-cert cert.pem \
    --tls-key cert.pem
openssl rsa -in key.pem -aes128 -passout pass:secret -out locked.pem 2>/dev/null
refused 'locked.pem: it has a passphrase' --listen tcp://127.0.0.1:0 --users users \
    --tls-cert cert.pem --tls-key locked.pem </dev/null
answers 2 "$stem" serve ./x

"$stem" serve ./x --listen tcp://127.0.0.1:0 --users users --tls-cert cert.pem \
    --tls-key key.pem --metrics 127.0.0.1:0 >serve.out 2>serve.err &
server=$!
trap 'kill $server 2>/dev/null || :; wait $server || :; rm -rf "$work"' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do
    grep metrics serve.out >/dev/null && break
    sleep 0.2
done
port=$(sed -n 's/^serving .* at tcp:.*:\([0-9]*\)$/\1/p' serve.out)
metrics=$(sed -n 's/^metrics at \(.*\)$/\1/p' serve.out)

tls() {
    REDISCLI_AUTH=secret redis-cli -h localhost -p "$port" --tls --cacert cert.pem \
        --user ada --no-auth-warning "$@"
}

[ "$(tls SET a 1)" = OK ] || die "no SET over TLS"
[ "$(tls GET a)" = 1 ] || die "no GET over TLS"
head -c 3000000 /dev/zero | tr '\0' x >large
[ "$(tls -x SET large <large)" = OK ] || die "no large SET over TLS"
tls GET large | tr -d '\n' | cmp - large || die "what came back is something else"
# More than one record of TLS at once, and all of it is answered.
i=0
while [ $i -lt 2000 ]; do
    echo "SET key:$i $(printf '%0100d' $i)"
    i=$((i + 1))
done >many
[ "$(tls <many | grep -c OK)" = 2000 ] || die "not all of a pipeline was answered"
[ "$(tls --pipe <many | grep -c 'errors: 0, replies: 2000')" = 1 ] || die "no pipe over TLS"
[ "$(redis-cli -h 127.0.0.1 -p "$port" PING 2>&1)" != PONG ] || die "served in the clear"

curl -s "http://${metrics#tcp://}/metrics" >out
grep '^stem_connected_clients [0-9]' out >/dev/null || die "no metrics: $(cat out)"
grep '^# TYPE stem_commits_total counter' out >/dev/null || die "no types: $(cat out)"

# A reload takes what is good, and keeps what it had otherwise.
printf 'other\n' | "$stem" passwd users ada >/dev/null
kill -HUP $server
sleep 0.3
tls GET a 2>&1 | grep WRONGPASS >/dev/null || die "the old password still works"
echo nonsense >>users
kill -HUP $server
sleep 0.3
grep 'the users stay as they were' serve.err >/dev/null || die "no word on the damage"
[ "$(REDISCLI_AUTH=other redis-cli -h localhost -p "$port" --tls --cacert cert.pem \
    --user ada --no-auth-warning GET a)" = 1 ] || die "the new password does not work"
grep secret serve.out serve.err && die "a password was printed"

kill -TERM $server
wait $server || die "the server ended with status $?"
