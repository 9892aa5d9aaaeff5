#!/bin/sh
# stem put, get and del: what is stored, what is printed, and what the answer is.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

# What is JSON is taken as JSON, the rest as a string.
put_get() {
    answers 0 "$stem" put ./x v "$1"
    prints "$2" "$stem" get ./x v
    prints "$3" "$stem" get ./x v --json
}
put_get Ada Ada '"Ada"'
put_get '"Ada"' Ada '"Ada"'
put_get 7 7 7
put_get -5 -5 -5
put_get -.5 -.5 '"-.5"'
put_get 7.0 7.0 7.0
put_get true true true
put_get null null null
put_get '' '' '""'
put_get '{oops' '{oops' '"{oops"'
put_get '[1,{"a":2.50}]' '[1, {"a": 2.5}]' '[1, {"a": 2.5}]'
put_get 18446744073709551615 18446744073709551615 18446744073709551615
put_get '{"$uint":"18446744073709551615"}' 18446744073709551615 18446744073709551615
put_get 'ü / \ "' 'ü / \ "' '"ü / \\ \""'

# An option says which.
answers 0 "$stem" put ./x v 7 --str
prints '"7"' "$stem" get ./x v --json
answers 0 "$stem" put --bin ./x v hello
prints '{"$bin": "aGVsbG8="}' "$stem" get ./x v
answers 0 "$stem" put ./x v --json '  [1]  '
prints '[1]' "$stem" get ./x v
answers 3 "$stem" put ./x v --json '{oops'
says 'line 1, column'
answers 2 "$stem" put ./x v 7 --str --bin
prints '[1]' "$stem" get ./x v

# JSON that cannot be stored is not silently a string.
answers 3 "$stem" put ./x v 18446744073709551616
says 'an integer above 18446744073709551615'
answers 3 "$stem" put ./x v '{"$time": "yesterday"}'
says '"$time" is not a moment'
answers 3 "$stem" put ./x v '{"a": 1, "a": 2}'
prints '[1]' "$stem" get ./x v
answers 0 "$stem" put ./x v --str 18446744073709551616
answers 0 "$stem" put ./x v '18446744073709551616 bottles'
prints '18446744073709551616 bottles' "$stem" get ./x v

answers 3 "$stem" put ./x v '{"a": ["\ud83d"]}'
says 'half of a surrogate pair'

# Names that begin with '$' are taken, and given back, as they are with --plain.
answers 3 "$stem" put ./x v '{"$ref": "#/a"}'
says 'or is read as it is with --plain'
answers 0 "$stem" put ./x v --plain '{"$ref": "#/a", "$bin": 1}'
prints '{"$ref": "#/a", "$bin": 1}' "$stem" get ./x v --plain
prints '{"$$ref": "#/a", "$$bin": 1}' "$stem" get ./x v
answers 0 "$stem" put ./x v --plain --json '{"$a": 1}'
prints '{"path": "v", "value": {"$a": 1}}' "$stem" pop ./x --first --plain
answers 0 "$stem" put ./x v --plain '{$a'
prints '{$a' "$stem" get ./x v --plain
prints '"{$a"' "$stem" get ./x v --plain --json
for kind in --str --bin; do
    answers 2 "$stem" put ./x v --plain $kind x
    says 'is about JSON'
done
answers 0 "$stem" put ./x v --bin x
answers 3 "$stem" get ./x v --plain
says 'plain JSON has no'
answers 3 "$stem" pop ./x v --plain
prints '{"$bin": "eA=="}' "$stem" get ./x v

# Neither are bytes that are no text.
answers 3 "$stem" put ./x v "$(printf 'a\377')"
says 'not UTF-8'
answers 0 "$stem" put ./x v --bin "$(printf 'a\377')"
prints '{"$bin": "Yf8="}' "$stem" get ./x v

# A VALUE may begin with dashes.
answers 2 "$stem" put ./x v --dashes
says "'--dashes'"
answers 0 "$stem" put ./x v -- --dashes
prints --dashes "$stem" get ./x v

# Standard input: one line end less, or the bytes as they are.
printf 'hello\n' | "$stem" put ./x v -
prints '"hello"' "$stem" get ./x v --json
printf '{"a": 1}\n' | "$stem" put ./x v -
prints '{"a": 1}' "$stem" get ./x v
printf 'hello\n' | "$stem" put ./x v --str -
prints '"hello\n"' "$stem" get ./x v --json
head -c 300000 /dev/urandom >bytes
"$stem" put ./x v --bin - <bytes
"$stem" get ./x v --raw | cmp - bytes

# Raw bytes: no line end, and only of what has bytes.
answers 0 "$stem" put ./x v '{"$array": {"type": "i16", "shape": [2], "data": [1, -2]}}'
[ "$("$stem" get ./x v --raw | od -An -tx1 | tr -d ' \n')" = 0100feff ] || die "raw array"
answers 0 "$stem" put ./x v '{"$ext": {"code": 5, "data": "aGVsbG8="}}'
[ "$("$stem" get ./x v --raw)" = hello ] || die "raw ext"
answers 0 "$stem" put ./x v Ada
[ "$("$stem" get ./x v --raw | wc -c)" -eq 3 ] || die "raw string"
answers 0 "$stem" put ./x v 7
answers 3 "$stem" get ./x v --raw
says 'int'
answers 2 "$stem" get ./x v --raw --json
answers 0 "$stem" put ./x v '[1,[]]'
prints '[
  1,
  []
]' "$stem" get ./x v --pretty

# Paths are in text form.
answers 0 "$stem" put ./x 'a/b\/c/d\\\x01é' deep
prints deep "$stem" get ./x 'a/b\/c/d\\\x01é'
prints 'd\\\x01é' "$stem" ls ./x 'a/b\/c'
for path in / // a// /a /a/ a//b a///b 'a\' 'a/\' 'a\x00' 'a\q'; do
    answers 2 "$stem" put ./x "$path" 1
    answers 2 "$stem" get ./x "$path"
done
answers 2 "$stem" get ./x ''
answers 2 "$stem" put ./x "$(head -c 4097 /dev/zero | tr '\0' n)" 1

# Several, in the order in which they are given; what is missing is told, and the rest printed.
"$stem" put ./several a 1
"$stem" put ./several b/c two
prints '1
two
1' "$stem" get ./several a b/c a
prints '1
"two"' "$stem" get --json ./several a b/c
[ "$("$stem" get ./several b/c b/c --raw)" = twotwo ] || die "raw values"
printf '1\ntwo\n' >want
answers 1 "$stem" get ./several none a b b/c
diff -u want out || die "get stopped at what is missing"
says 'nothing at none in ./several'
says "b is a sub-database without a value of its own; see 'stem ls ./several b'"
answers 2 "$stem" get ./several a ''
[ ! -s out ] || die "get began before it had read its PATHs"
answers 2 "$stem" get ./several a b//c
[ ! -s out ] || die "get began before it had read its PATHs"
answers 3 "$stem" get ./several b/c a a --raw

# What is not there.
answers 1 "$stem" get ./x none
says 'nothing at none in ./x'
answers 1 "$stem" get ./x a
says "a sub-database without a value of its own; see 'stem ls ./x a'"
answers 1 "$stem" del ./x none
answers 1 "$stem" del ./x a
prints deep "$stem" get ./x 'a/b\/c/d\\\x01é'

# Removing a value leaves what lies below it.
answers 0 "$stem" put ./x a own
answers 0 "$stem" del ./x a
answers 1 "$stem" get ./x a
prints 1 "$stem" count ./x a

# What reads or removes makes no database, nor does what is refused.
for command in get del; do
    answers 1 "$stem" "$command" ./typo v
    says 'no database at ./typo'
    [ ! -e typo ] || die "$command made a database"
done
answers 3 "$stem" put ./y v --json '{oops'
answers 2 "$stem" put ./y '' 1
[ ! -e y ] || die "a refused put made a database"
mkdir foreign
echo mine >foreign/file
answers 3 "$stem" put ./foreign v 1
answers 3 "$stem" get ./foreign v
[ "$(ls foreign)" = file ] || die "a foreign directory was touched"
answers 3 "$stem" put ./no/such/parent v 1

# mem: is gone at the end of a command, and none takes anything there.
for command in 'get v' 'put v 1' 'put v 1 --sync' 'incr n' 'pop v' 'cp v w' 'mv v w' 'rm v' \
    'rm -r v' 'rm --all -f' ls tree count stat export 'import v.json' batch; do
    echo '{"v": 1}' >v.json
    echo '{"put": "v", "value": 1}' >lines
    # shellcheck disable=SC2086
    set -- $command
    name=$1
    shift
    answers 2 "$stem" "$name" mem: "$@" <lines
    says 'mem: '
    says 'gone when this command ends'
    [ ! -s out ] || die "$command printed something"
done
"$stem" put ./x v 1
for command in cp mv; do
    answers 2 "$stem" $command ./x v v --to mem:
    says 'gone when this command ends'
    prints 1 "$stem" get ./x v
done
