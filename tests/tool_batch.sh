#!/bin/sh
# stem batch: each line is one commit, or all of them, and what is wrong changes nothing.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

# batch STATUS LINES [ARGUMENT...]: carries them out on ./x.
batch() {
    wanted_batch=$1
    printf '%s' "$2" >lines
    shift 2
    answers "$wanted_batch" "$stem" batch ./x "$@" <lines
}

# holds DOCUMENT: what there is in ./x, as an export.
holds() {
    prints "$1" "$stem" export ./x
}

# Nothing to do makes nothing.
for lines in '' '
' '  
	
'; do
    batch 0 "$lines"
    batch 0 "$lines" --one
done
[ ! -e x ] || die "nothing made a database"

# Nor does a first line that is wrong.
for lines in '{' '{"put": "a"}' '{"put": "a", "value": {"$ext": {"code": 64, "data": ""}}}' \
    '[{"put": "a", "value": 1}, {"put": "b"}]'; do
    batch 3 "$lines"
    says 'line 1'
    says 'nothing was applied'
done
[ ! -e x ] || die "a refused line made a database"

# Puts and deletions, alone and together; the last line may lack its end.
batch 0 '{"put": "a/b", "value": 1}
{"value": [1, {"x": null}], "put": "c\\/d"}

[{"put": "e", "value": 1.0}, {"put": "e", "value": 2}, {"del": "a/b"}, {"del": "none"}]
[]
{"put": "f", "value": {"$array": {"type": "f32", "shape": [2], "data": [1, 2]}}}'
holds '{"c/d": [1, {"x": null}], "e": 2, "f": {"$array": {"type": "f32", "shape": [2], "data": [1, 2]}}}'
printf '{"del": "f"}\r\n\r\n{"put": "\\\\x01", "value": "é"}\r\n' | "$stem" batch ./x --sync
holds '{"\u0001": "é", "c/d": [1, {"x": null}], "e": 2}'
batch 0 '{"del": "\\x01"}
{"put": "$$x", "value": {"$$y": {"$bin": "AQI="}}}
{"del": "c\\/d"}' --one
holds '{"$$$x": {"$$y": {"$bin": "AQI="}}, "e": 2}'
batch 0 '{"del": "$$x"}'

# What pop --plain prints is carried out with --plain.
"$stem" put ./y v --plain '{"$ref": "#", "$bin": 1}'
"$stem" pop ./y --first --plain | sed 's/"path"/"put"/' >lines
answers 3 "$stem" batch ./y <lines
says 'is read as it is with --plain'
answers 0 "$stem" batch ./y --plain <lines
prints '{"$ref": "#", "$bin": 1}' "$stem" get ./y v --plain

# Expectations that hold: of what was there before the commit.
batch 0 '[{"put": "e", "value": 3}, {"expect": "e", "value": 2}, {"expect_absent": "n"}]
[{"expect_empty": "q"}, {"put": "q/1", "value": 1}, {"expect_empty": "e"}]
{"expect": "q/1", "value": 1}'
batch 0 '{"expect": "e", "value": 3}
{"put": "n", "value": 1}
{"expect_absent": "n"}
{"del": "n"}' --one
holds '{"e": 3, "q": {"1": 1}}'

# fails LINE EXPECTATION REASON: an expectation that does not, behind two good lines. All
# that stands on its line is left out, what comes before stays, what comes after is not read.
fails() {
    "$stem" rm -f ./x g h i j 2>/dev/null || :
    batch 1 '{"put": "g", "value": 1}
[{"put": "h", "value": 1}]
'"$1"'
{"put": "i", "value": 1}'
    says "stem: batch: line 3$2 does not hold: $3"
    says 'nothing of this line was applied; the 2 commits before it stay'
    holds '{"e": 3, "g": 1, "h": 1, "q": {"1": 1}}'
    "$stem" rm -f ./x g h
    batch 1 '{"put": "g", "value": 1}
[{"put": "h", "value": 1}]
'"$1"'
{"put": "i", "value": 1}' --one
    says "stem: batch: line 3$2 does not hold: $3; nothing was applied"
    holds '{"e": 3, "q": {"1": 1}}'
}
fails '{"expect": "e", "value": 4}' ': "expect" of e' 'there is int 3'
fails '{"expect": "e", "value": 3.0}' ': "expect" of e' 'there is int 3'
fails '{"expect": "z", "value": null}' ': "expect" of z' 'there is nothing'
fails '{"expect_absent": "q/1"}' ': "expect_absent" of q/1' 'there is int 1'
fails '{"expect_empty": "q"}' ': "expect_empty" of q' 'something lies below it'
fails '{"expect_empty": ""}' ': "expect_empty" of the database' 'something lies below it'
fails '[{"expect": "e", "value": 3}, {"put": "j", "value": 1}, {"expect_absent": "e"}]' \
    ', operation 3: "expect_absent" of e' 'there is int 3'
batch 1 '{"put": "g", "value": 1}
{"expect_absent": "g"}'
says 'the commit before it stays'
"$stem" rm ./x g

# wrong LINE WORDS...: a line that cannot be carried out, in the same way.
wrong() {
    batch 3 '{"put": "g", "value": 1}
[{"put": "h", "value": 1}]
'"$1"'
{"put": "i", "value": 1}'
    says "stem: batch: line 3$2"
    says 'nothing of this line was applied; the 2 commits before it stay'
    holds '{"e": 3, "g": 1, "h": 1, "q": {"1": 1}}'
    "$stem" rm -f ./x g h
    batch 3 '{"put": "g", "value": 1}
'"$1" --one
    says "stem: batch: line 2$2"
    says '; nothing was applied'
    holds '{"e": 3, "q": {"1": 1}}'
}
wrong '{"put": "j", "value": 1' ', column 24: '
wrong '{"put": "j", "value": 1} {}' ', column 26: '
wrong '{"put": "j", "value": 18446744073709551616}' ', column 23: an integer above'
wrong '{"put": "j", "value": {"$x": 1}}' ', column 23: "$x" is no form'
wrong '{"put": "j", "put": "k"}' ', column 1: the name "put" is twice'
wrong '7' ': an operation is an object'
wrong '"put"' ': an operation is an object'
wrong '{"$bin": "AQI="}' ': an operation is an object, such as {"put": "a/b", "value": 1}, not of type bin'
wrong '{}' ': there is no "put"'
wrong '{"value": 1}' ': there is no "put"'
wrong '{"$$put": "j", "value": 1}' ': "$put" is unknown'
wrong '{"put": "j", "value": 1, "ttl\u001b": 5}' ': "ttl\x1B" is unknown'
wrong '{"$map": [[1, 2]]}' ': a name that is no string is unknown'
wrong '{"$map": [["value", {"$array": {"type": "u8", "shape": [1], "data": [1]}}], ["value", 1]]}' \
    ': "value" stands twice'
wrong '{"put": "j"}' ': "put" is without a "value"'
wrong '{"expect": "j"}' ': "expect" is without a "value"'
wrong '{"del": "e", "value": 3}' ': "del" takes no "value"'
wrong '{"expect_absent": "j", "value": 3}' ': "expect_absent" takes no "value"'
wrong '{"expect": "e", "value": 3, "del": "e"}' ': "expect" and "del" are two operations'
wrong '{"put": 7, "value": 1}' ': the path of "put" is of type int'
wrong '{"put": "", "value": 1}' ': the path of "put" is empty'
wrong '{"expect_absent": ""}' ': the path of "expect_absent" is empty'
wrong '{"put": "j/", "value": 1}' ': the path of "put": '
wrong '{"del": "j\u0000"}' ': the path of "del" holds a NUL'
wrong '{"put": "j", "value": {"$ext": {"code": 64, "data": ""}}}' ': '
wrong '[{"del": "e"}, 7]' ', operation 2: an operation is an object'
wrong '[[{"del": "e"}]]' ', operation 1: an operation is an object'
wrong '[{"del": "e"}, {"put": "j/", "value": 1}]' ', operation 2: the path of "put"'
wrong "{\"del\": \"$(head -c 4097 /dev/zero | tr '\0' n)\"}" ': the path of "del"'
printf '{"put": "j", \0"value": 1}' >lines
answers 3 "$stem" batch ./x <lines
says 'NUL'
answers 3 "$stem" batch ./x <.
says 'cannot read standard input'
holds '{"e": 3, "q": {"1": 1}}'

# A line that never ends does not fill the memory.
head -c 100000000 /dev/zero | tr '\0' ' ' >lines
answers 3 "$stem" batch ./x <lines
says 'line 1: the line is longer than 64 MiB'
rm lines

# A commit is there as soon as its line has been read: the reader answers the writer.
mkfifo lines
"$stem" batch ./x <lines &
exec 3>lines
echo '{"put": "live", "value": 1}' >&3
for i in $(seq 1 100); do
    grep -a live x/*.log >/dev/null && break
    sleep 0.1
done
grep -a live x/*.log >/dev/null || die "a line was not carried out before the end of the input"
exec 3>&-
wait
rm lines
prints 1 "$stem" pop ./x live

# What was popped goes back.
batch 0 '[{"put": "q/2", "value": {"a": [1.5]}}, {"put": "q/3\\/x", "value": "\u0001"}]'
"$stem" export ./x >before
"$stem" pop ./x q --first=10 >popped
holds '{"e": 3}'
sed 's/^{"path"/{"put"/' popped | "$stem" batch ./x --one
"$stem" export ./x | cmp - before || die "what was popped did not go back"

# Many lines.
seq 1 20000 | sed 's/.*/[{"put": "many\/&", "value": &}, {"expect_absent": "many\/&"}]/' >lines
answers 0 "$stem" batch ./x <lines
prints 20000 "$stem" count ./x many
answers 1 "$stem" batch ./x --one <lines
says 'line 1, operation 2: "expect_absent" of many/1 does not hold: there is int 1'
sed 's/, {"expect.*}/, {"del": "e"}/' lines >again
answers 0 "$stem" batch ./y --one <again
prints 20000 "$stem" count ./y many
