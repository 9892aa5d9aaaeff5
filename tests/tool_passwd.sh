#!/bin/sh
# stem passwd: what it reads, what it writes into a users file, and what it says.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

# passwd STATUS PASSWORD ARGUMENT...
passwd() {
    wanted_passwd=$1
    printf '%s\n' "$2" >password
    shift 2
    answers "$wanted_passwd" "$stem" passwd "$@" <password
}

# told WORDS: the last command printed that line.
told() {
    [ "$(cat out)" = "$1" ] || die "not '$1' but: $(cat out)"
}

# Help and usage.
answers 0 "$stem" passwd --help
cp out help
grep '^usage: stem passwd FILE NAME' help >/dev/null || die "--help"
grep '^Examples:' help >/dev/null || die "--help has no examples"
awk 'length > 90 { exit 1 }' help || die "--help has long lines"
answers 2 "$stem" passwd
says 'FILE is missing'
answers 2 "$stem" passwd ./users
says 'NAME is missing'
answers 2 "$stem" passwd ./users ada secret
says 'one argument too many'
answers 2 "$stem" passwd ./users ''
answers 2 "$stem" passwd ./users ada --scope a//b
answers 2 "$stem" passwd ./users ada --rights read,delete
says "'read,delete'"
answers 2 "$stem" passwd ./users ada --rights none
answers 2 "$stem" passwd ./users ada --remove --rights read
answers 2 "$stem" passwd ./users "$(head -c 129 /dev/zero | tr '\0' x)"
[ ! -e users ] || die "usage made a file"

# Adding and changing; the password is one line of standard input or of a file.
passwd 0 secret ./users ada
told 'added ada: read, the whole database'
[ "$(stat -c %a users)" = 600 ] || die "others may read a new file"
passwd 0 secret ./users 'on call' --scope 'a b' --rights write,read
told 'added on call: read,write, below a b'
grep '^on\\x20call $argon2id$[^ ]* a\\x20b read,write$' users >/dev/null || die "$(cat users)"
cp users before
printf 'other\nmore\n' >file
passwd 0 secret ./users 'on call' --scope 'a b/'
told 'changed on call: read,write, below a b'
answers 0 "$stem" passwd ./users 'on call' --password-file file --scope '' </dev/null
told 'changed on call: read,write, the whole database'
grep '^on\\x20call [^ ]* \* read,write$' users >/dev/null || die "$(cat users)"
[ "$(head -n 1 users)" = "$(head -n 1 before)" ] || die "another line has changed"
[ "$(tail -n 1 users | cut -d' ' -f2)" != "$(tail -n 1 before | cut -d' ' -f2)" ] ||
    die "the hash is the same"
grep -e secret -e other users && die "a password is in the file"
passwd 0 p ./users "$(printf 'a\033[2Jb')" --rights all
told 'added a\x1B[2Jb: read,write,admin, the whole database'

# What is no password.
cp users before
answers 3 "$stem" passwd ./users ada </dev/null
says 'empty'
passwd 3 '' ./users ada
says 'empty'
passwd 3 "$(head -c 1025 /dev/zero | tr '\0' x)" ./users ada
says 'longer than 1024 bytes'
passwd 0 "$(head -c 1024 /dev/zero | tr '\0' x)" ./longest ada
answers 3 "$stem" passwd ./users ada --password-file none
says 'none'
cmp users before || die "a refused password changed the file"

# What is no users file is told before anybody is asked.
echo 'ada secret' >bad
answers 3 "$stem" passwd ./bad ada
says './bad, line 1'
grep secret err && die "a damaged line is shown"
chmod 606 bad
answers 3 "$stem" passwd ./bad ada
says 'chmod go-w'
passwd 3 secret ./none/users ada
says 'none/users'

# Removing.
answers 0 "$stem" passwd --remove ./users ada
told 'removed ada'
answers 1 "$stem" passwd --remove ./users ada
says 'no user ada in ./users'
answers 1 "$stem" passwd --remove ./missing ada
says './missing'
[ ! -e missing ] || die "removing made a file"
[ "$(wc -l <users)" = 2 ] || die "removed another: $(cat users)"
for left in *.new; do
    [ ! -e "$left" ] || die "$left was left behind"
done
