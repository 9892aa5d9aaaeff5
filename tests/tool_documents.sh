#!/bin/sh
# stem import and export: each undoes the other, and nothing is imported by halves.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

# round DOCUMENT [EXPECTED]: imported, in both ways, and exported again. Documents here
# have their members in the order of a database's names.
round() {
    printf '%s' "$1" >doc.json
    for flat in '' --flat; do
        rm -rf r
        answers 0 "$stem" import ./r doc.json $flat p/q
        prints "${2:-$1}" "$stem" export ./r p/q
        "$stem" export ./r >all.json
        answers 0 "$stem" import ./r2 all.json $flat
        prints "{\"p\": {\"q\": ${2:-$1}}}" "$stem" export ./r2
        rm -rf r2
    done
}
# The copy of a standard input that is closed must not be taken for it.
answers 3 "$stem" import ./r - <&-
says 'cannot open standard input'

round '{}'
round '{"": 5}'
round '{"": 5, "a": 1}'
round '{"": {}, "a": 1}'
round '{"": {"": {"": 1}, "b": {}}, "a": 1}'
round '{"a": {}}'
round '{"a": {"": 5}}'
round '{"a": {"": {}}}'
round '{"a": {"": 5, "b": {"": {"c": 1}, "d": null}}}'
round '{"a": {"b": {"c": {"d": 1}}}, "b": [], "c": [{"x": {"y": {}}}]}'
round '{"$$": 1, "$$$a": {"$$b": 2}, "a$": 3}'
round '{"a": {"$bin": "AQI="}, "b": 18446744073709551615, "c": {"$float": "NaN"}}'
round '{"a": {"$uint": "18446744073709551615"}}' '{"a": 18446744073709551615}'
round '{"a": {"$map": [[1, 2], [{"$str": "/w=="}, 3]]}, "b": {"$map": [["x", 1], ["x", 2]]}}'
round '{"a": {"$array": {"type": "u8", "shape": [2], "data": [1, 2]}}}'
round '{"a": {"$time": "2026-01-31T12:00:00Z"}, "b": {"$ext": {"code": 5, "data": ""}}}'
round '{"a/b": {"c\\d": 1}, "ü": "日本"}'
round '{"a": 1.0, "b": -0.0, "c": 1, "d": 9223372036854775807, "e": 0.1}'
round '[1, {"a": {}}]'
round '"text"'
round 7
round null
round '{"a": "x\u0000\u001By"}'

# Objects become sub-databases, or with --flat map values.
echo '{"u": {"1": {"name": "Ada", "tags": ["x"]}, "2": {}}, "v": {"": 9}}' >doc.json
answers 0 "$stem" import ./x doc.json
prints 'x
├── u/
│   ├── 1/
│   │   ├── name  str  "Ada"
│   │   └── tags  list[1]  3 B
│   └── 2  map[0]  1 B
└── v  map[1]  3 B

2 sub-databases, 4 values' "$stem" tree x
answers 0 "$stem" import ./flat doc.json --flat
prints './flat
├── u  map[2]  24 B
└── v  map[1]  3 B

0 sub-databases, 2 values' "$stem" tree ./flat
prints '{"1": {"name": "Ada", "tags": ["x"]}, "2": {}}' "$stem" get ./flat u

# Indented.
prints '{
  "u": {
    "1": {
      "name": "Ada",
      "tags": [
        "x"
      ]
    },
    "2": {}
  },
  "v": {
    "": 9
  }
}' "$stem" export --pretty ./x
prints '{}' "$stem" export --pretty ./x u/2

# Importing adds and replaces.
echo '{"u": {"1": {"name": "Eve"}, "3": 3}, "v": {"w": 1}}' >more.json
answers 0 "$stem" import ./x more.json
prints '{"u": {"1": {"name": "Eve", "tags": ["x"]}, "2": {}, "3": 3}, "v": {"": {"": 9}, "w": 1}}' \
    "$stem" export ./x

# Through a pipe, into another database.
"$stem" export ./x | "$stem" import ./copy -
"$stem" export ./x >out.x
prints "$(cat out.x)" "$stem" export ./copy

# refused STATUS WORDS DOCUMENT ARGUMENT...: nothing is imported, nothing made.
"$stem" export ./x >before
refused() {
    printf '%s' "$2" >bad.json
    words=$1
    shift 2
    answers 3 "$stem" import ./x bad.json "$@"
    says "$words"
    says 'bad.json'
    answers 3 "$stem" import ./new bad.json "$@"
    [ ! -e new ] || die "a refused document made a database"
    "$stem" export ./x | cmp - before || die "a refused document left something"
}
long=$(head -c 4097 /dev/zero | tr '\0' n)
refused 'line 2, column 6' '{"a": 1,
 "b":}'
refused 'line 1, column 1: the name "k" is twice' '{"k": 1, "k": 2}'
refused 'line 1, column 22: "$foo" is no form' '{"zz": 1, "a": {"b": {"$foo": 1}}}'
refused 'line 1, column 16: "$id" is no form' '{"zz": 1, "a": {"$id": 1, "b": 2}}'
refused '"$id" stands among' '{"zz": 1, "a": {"b": 2, "$id": 1}}'
refused 'line 1, column 23: a name longer than 4096 bytes' "{\"zz\": 1, \"a\": {\"b\": {\"$long\": 1}}}"
refused 'longer than 4096 bytes' "{\"zz\": 1, \"a\": {\"b\": {\"$long\": {\"x\": 1}}}}"
refused 'column 17: a NUL' '{"zz": 1, "a": {"b\u0000": 1}}'
refused 'above 18446744073709551615' '{"zz": 1, "a": 18446744073709551616}'
refused '100 is no code' '{"zz": 1, "a": {"b": {"$ext": {"code": 100, "data": ""}}}}'
refused 'a database has none of its own: give a PATH' '[1]'
refused 'give a PATH' '{"": 5}'
refused 'give a PATH' '{"zz": 1, "": 5}'
refused 'nested deeper than 128' "$(head -c 200 /dev/zero | tr '\0' '[')1$(head -c 200 /dev/zero | tr '\0' ']')" p
refused 'line 1' ''
long=$(head -c 4096 /dev/zero | tr '\0' n)
object=1
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    object="{\"$long\": $object}"
done
printf '%s' "$object" >ok.json
answers 0 "$stem" import ./long ok.json
prints "$object" "$stem" export ./long
refused 'longer than 65536 bytes' "$object" "$long/x"
answers 3 "$stem" import ./x ./none.json
says './none.json'
answers 3 "$stem" import ./x .
[ ! -e new ] || die "new was made"

# Real files have names that begin with '$', and byte order marks.
plain() {
    printf '%s' "$1" >doc.json
    for flat in '' --flat; do
        rm -rf r
        answers 0 "$stem" import ./r doc.json $flat --plain p/q
        prints "${2:-$1}" "$stem" export --plain ./r p/q
    done
}
plain '{"x": {"$ref": "#/definitions/y"}}'
plain '{"_id": {"$oid": "5f5a3c"}, "when": {"$date": "2020-01-01T00:00:00Z"}}'
plain '{"$defs": {"$bin": 1, "a": [{"$id": {"$time": 5}}]}, "$schema": "x"}'
plain '{"$$": 1, "$bin": "AQI="}'
plain '{"a": 18446744073709551615, "b": -0.0}'
"$stem" put ./r p/q/t '{"$time": "2026-01-31T12:00:00Z"}'
answers 3 "$stem" export --plain ./r p/q
says 'plain JSON has no times'
printf '\357\273\277{"a": 1}' >doc.json
rm -rf r
answers 0 "$stem" import ./r doc.json
prints '{"a": 1}' "$stem" export ./r

# As deep as paths go, whatever comes of standard input.
deep() {
    head -c "$1" /dev/zero | sed 's/\x00/{"n":/g'
    printf 1
    head -c "$1" /dev/zero | tr '\0' '}'
}
deep 10000 | "$stem" import ./deep -
prints 1 "$stem" count ./deep
[ "$("$stem" export ./deep | tr -d ' \n')" = "$(deep 10000)" ] || die "the deep document is another"
deep 40000 >bad.json
answers 3 "$stem" import ./deep bad.json
says 'a path longer than 65536 bytes'

# A pipe is refused as a whole too; in a pipe nothing is said about how far it is.
"$stem" export ./x >before
{ printf '{"zz": ['; seq -s, 1 300000; printf '], "a": }'; } >bad.json
answers 3 "$stem" import ./x - <bad.json
says 'standard input: json read: line 2, column 9'
says 'nothing was imported'
cat bad.json | { "$stem" import ./x - 2>err && die 'refused text was taken'; true; }
says 'standard input: json read: line 2, column 9'
"$stem" export ./x | cmp - before || die "a refused pipe left something"

# Many entries, and a value that is larger than a commit, by a pipe and by a file.
{
    printf '{"list": ['; seq -s, 1 200000; printf '], "many": {"k0": 0'
    seq 1 20000 | sed 's/.*/, "k&": {"n": &}/'
    printf '}, "last": "end"}'
} >large.json
answers 0 "$stem" import ./large large.json
cat large.json | "$stem" import ./large2 -
prints 20003 "$stem" count ./large
"$stem" export ./large | jq -S . >out1
"$stem" export ./large2 | jq -S . >out2
jq -S . large.json | cmp - out1 || die "the large document is another"
cmp out1 out2 || die "the piped document is another"

# A failure in the middle says how far it was.
(ulimit -f 200; trap '' XFSZ; "$stem" import ./small large.json) 2>err && die "no failure"
says 'values were stored before; importing again'

# An object of nothing is nothing without a PATH.
echo '{}' | "$stem" import ./empty -
prints '{}' "$stem" export ./empty
prints 0 "$stem" count ./empty

# Export of what is not there, and of what JSON cannot name.
answers 1 "$stem" export ./x none
says 'nothing at none in ./x'
answers 1 "$stem" export ./typo
[ ! -e typo ] || die "export made a database"
prints '"Eve"' "$stem" export ./x u/1/name
"$stem" put ./bytes 'a/\xFF' 1
answers 3 "$stem" export ./bytes
says 'the name \xFF is not UTF-8'
