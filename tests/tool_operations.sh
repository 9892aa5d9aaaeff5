#!/bin/sh
# stem incr, pop, cp, mv and rm: what they change, what they answer, and what they refuse.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"
exec </dev/null # or rm would ask whoever runs this

# holds DOCUMENT [PATH]: what there is in ./x, as an export.
holds() {
    prints "$1" "$stem" export ./x ${2+"$2"}
}

# ---- incr -----------------------------------------------------------------------------

# Where there is no value it counts as 0, or as what an option says; a database is made.
prints 1 "$stem" incr ./x n
prints 8 "$stem" incr ./x n 7
prints 3 "$stem" incr ./x n -5
prints 3 "$stem" incr ./x n 0
prints -7 "$stem" incr ./x n -- -10
prints 1001 "$stem" incr ./x a/new --initial 1000
prints 1002 "$stem" incr ./x a/new --initial 1000
prints -12 "$stem" incr ./x a/low -2 --initial -10
prints 9223372036854775807 "$stem" incr ./x top 9223372036854775807
prints -9223372036854775808 "$stem" incr ./x bottom -9223372036854775808

# Floats, and integers that become floats.
prints 1.5 "$stem" incr ./x f 1.5 --float
prints 1.25 "$stem" incr ./x f --float -.25
prints 2.25 "$stem" incr --float ./x f
prints -3.0 "$stem" incr ./x whole -3 --float --initial=-0.0
prints 2.0 "$stem" incr ./x a/g --float --initial 1
prints -8.0 "$stem" incr ./x n --float -1
prints -8.0 "$stem" get ./x n

# What cannot be added to stays as it is.
"$stem" put ./x s --str 7
for value in s:str f:float; do
    answers 3 "$stem" incr ./x ${value%:*}
    says "is of type ${value#*:}, not an integer"
done
says '--float'
answers 3 "$stem" incr ./x s --float
says 'type str, not a number'
answers 3 "$stem" incr ./x top
answers 3 "$stem" incr ./x bottom -1
answers 3 "$stem" incr ./x top --float
prints '"7"' "$stem" get ./x s --json
prints 2.25 "$stem" get ./x f
prints 9223372036854775807 "$stem" get ./x top
"$stem" put ./x huge 1e308
answers 3 "$stem" incr ./x huge 1.7e308 --float
says 'not finite'

# Numbers that are none.
for delta in x 1x '' ' 1' 1.5 9223372036854775808 0x10; do
    answers 2 "$stem" incr ./x n "$delta"
    answers 2 "$stem" incr ./x n --initial "$delta"
done
for delta in x 1.x '' ' 1' inf -inf nan 1e999; do
    answers 2 "$stem" incr ./x n --float -- "$delta"
    answers 2 "$stem" incr ./x n --float --initial "$delta"
done
answers 2 "$stem" incr ./x n 1.5
says "DELTA '1.5' is no integer (--float adds floats)"
answers 2 "$stem" incr ./x ''
answers 2 "$stem" incr ./typo n x
[ ! -e typo ] || die "a refused incr made a database"

# ---- pop ------------------------------------------------------------------------------

"$stem" rm --all ./x
"$stem" put ./x q own
"$stem" put ./x q/1 Ada
"$stem" put ./x q/2/x '[1, 2]'
"$stem" put ./x q/3 '{"$bin": "AQI="}'
"$stem" put ./x 'q/4\/\x01' null
"$stem" put ./x r 5

# One value, printed as get prints it.
prints own "$stem" pop ./x q
answers 1 "$stem" pop ./x q
says 'q is a sub-database without a value of its own; --first'
answers 1 "$stem" pop ./x none
says 'nothing at none in ./x'
prints '"Ada"' "$stem" pop ./x q/1 --json
"$stem" put ./x q/1 '[[]]'
prints '[
  []
]' "$stem" pop ./x q/1 --pretty
"$stem" put ./x q/1 Ada

# What has no raw bytes stays.
answers 3 "$stem" pop ./x r --raw
says 'pop: the value is an int, which has no raw bytes'
says 'put back'
prints 5 "$stem" pop ./x r

# From the ends of a sub-database.
prints '{"path": "q/1", "value": "Ada"}' "$stem" pop ./x q --first
prints '{"path": "q/4\\/\\x01", "value": null}
{"path": "q/3", "value": {"$bin": "AQI="}}' "$stem" pop ./x q --last=2
"$stem" put ./x q/2 2
prints '{"path": "q/2", "value": 2}
{"path": "q/2/x", "value": [1, 2]}' "$stem" pop ./x q --first=100
answers 1 "$stem" pop ./x q --first
says 'nothing at q in ./x'
answers 1 "$stem" pop ./x --last
says 'nothing in ./x'
"$stem" put ./x v 1
"$stem" put ./x w/x 2
answers 1 "$stem" pop ./x v --last
says 'v is a value, and nothing lies below it'
prints '{"path": "v", "value": 1}
{"path": "w/x", "value": 2}' "$stem" pop --first=99999999999999999999 ./x

# What cannot be printed is put back.
"$stem" put ./x v 1
"$stem" put ./x w/x 2
if [ -w /dev/full ]; then
    for arguments in v --first --first=5 'w --last'; do
        status=0
        "$stem" pop ./x $arguments 2>err >/dev/full || status=$?
        [ $status = 3 ] || die "pop $arguments on a full disk answered $status"
        says 'stem: cannot write: '
        says 'put back'
        holds '{"v": 1, "w": {"x": 2}}'
    done
fi

answers 2 "$stem" pop ./x
says 'PATH is missing'
answers 2 "$stem" pop ./x ''
answers 2 "$stem" pop ./x v --first --last
answers 2 "$stem" pop ./x v --first --raw
answers 2 "$stem" pop ./x v --last --pretty
for n in 0 -1 x ''; do
    answers 2 "$stem" pop ./x v --first="$n"
done
answers 1 "$stem" pop ./typo v
[ ! -e typo ] || die "pop made a database"
holds '{"v": 1, "w": {"x": 2}}'

# ---- cp and mv ------------------------------------------------------------------------

# fresh: a value and a sub-database of one name, and a neighbour.
fresh() {
    "$stem" rm --all ./x 2>/dev/null || :
    echo '{"u": {"": "own", "a": 1, "b": {"c": 2}}, "v": 9}' | "$stem" import ./x -
}

# A value goes alone, and replaces what was there.
fresh
answers 0 "$stem" cp ./x u w
holds '"own"' w
answers 0 "$stem" cp ./x u/a v
holds 1 v
answers 0 "$stem" mv ./x u w/x/y
holds '{"u": {"a": 1, "b": {"c": 2}}, "v": 1, "w": {"": "own", "x": {"y": "own"}}}'
answers 0 "$stem" mv ./x w w/x
holds '{"x": {"": "own", "y": "own"}}' w

# With -r also what lies below, besides what is there.
fresh
answers 0 "$stem" cp -r ./x u w
holds '{"": "own", "a": 1, "b": {"c": 2}}' w
echo '{"a": 7, "d": 8}' | "$stem" import ./x - w
answers 0 "$stem" cp ./x u w --recursive
holds '{"": "own", "a": 1, "b": {"c": 2}, "d": 8}' w
answers 0 "$stem" mv -r ./x u/b v
holds '{"u": {"": "own", "a": 1}, "v": {"": 9, "c": 2}, "w": {"": "own", "a": 1, "b": {"c": 2}, "d": 8}}'
answers 0 "$stem" mv -r ./x v u/v
answers 0 "$stem" mv -r ./x u/a z
answers 0 "$stem" mv -r ./x w/b/c w/c
holds '{"u": {"": "own", "v": {"": 9, "c": 2}}, "w": {"": "own", "a": 1, "c": 2, "d": 8}, "z": 1}'

# Into another database, which is made; '' is the whole of one.
fresh
answers 0 "$stem" cp -r ./x u p/u --to ./y
prints '{"p": {"u": {"": "own", "a": 1, "b": {"c": 2}}}}' "$stem" export ./y
answers 0 "$stem" mv ./x v v --to ./y
prints 9 "$stem" get ./y v
answers 1 "$stem" get ./x v
answers 0 "$stem" mv -r ./x '' '' --to ./z
prints '{"u": {"": "own", "a": 1, "b": {"c": 2}}}' "$stem" export ./z
holds '{}'
answers 0 "$stem" cp -r ./z u/b '' --to ./x
holds '{"c": 2}'

# No place into itself, by whatever name of the database; nothing is changed.
fresh
"$stem" export ./x >before
refused() {
    words=$1
    shift
    for command in cp mv; do
        answers 3 "$stem" $command "$@"
        says "$words"
        "$stem" export ./x | cmp - before || die "a refused $command changed something"
    done
}
refused 'into itself: u/x/y lies within it' -r ./x u u/x/y
refused 'u/b to u, which it lies within' -r ./x u/b u
refused 'the database into itself: v lies within it' -r ./x '' v
refused 'u to the database, which it lies within' -r ./x u ''
refused 'FROM and TO are the same place' -r ./x u u
refused 'FROM and TO are the same place' ./x v v
refused 'one place lies within the other' -r ./x u u/x --to ././x
refused 'one place lies within the other' -r ./x u/b u --to "$work/x"
refused 'the same' ./x v v --to leveldb:./x

# What cannot be at the destination, and what is not there.
refused 'u has a value of its own, and TO is the database' -r ./x u '' --to ./new
long=$(head -c 4096 /dev/zero | tr '\0' n)
path=$long
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    path=$path/$long
done
"$stem" put ./x "$path" 1
"$stem" export ./x >before
refused 'over the limit' -r ./x "$long" "w/$long/$long"
"$stem" rm -r ./x "$long"
for command in cp mv; do
    answers 1 "$stem" $command ./x none w
    says 'nothing at none in ./x'
    answers 1 "$stem" $command -r ./x none w --to ./new
    says 'nothing at none in ./x'
    answers 1 "$stem" $command ./x u/b w
    says '-r'
    answers 1 "$stem" $command ./typo u w --to ./new
    says 'no database at ./typo'
    answers 2 "$stem" $command ./x u
    says 'TO is missing'
    answers 2 "$stem" $command ./x u/ w --to ./new
    says "leave out the '/' at its end"
    answers 2 "$stem" $command ./x u w/ --to ./new
    says "leave out the '/' at its end"
    answers 2 "$stem" $command ./x u '' --to ./new
    answers 2 "$stem" $command ./x '' u --to ./new
    answers 3 "$stem" $command ./x u u --to ./no/such/parent
done
[ ! -e new ] && [ ! -e typo ] || die "a refused copy made a database"
holds '{"u": {"": "own", "a": 1, "b": {"c": 2}}, "v": 9}'

# Many, in more than one commit.
seq 1 5000 | sed 's/.*/{"put": "many\/&", "value": &}/' | "$stem" batch ./x --one
answers 0 "$stem" mv -r ./x many moved/here
prints 5000 "$stem" count ./x moved/here
prints 0 "$stem" count ./x many
answers 0 "$stem" cp -r ./x moved '' --to ./other
prints 5000 "$stem" count ./other
prints 4321 "$stem" get ./other here/4321

# ---- rm -------------------------------------------------------------------------------

# Values, in one commit; what lies below them stays. del is the same.
fresh
answers 0 "$stem" rm ./x u v
holds '{"u": {"a": 1, "b": {"c": 2}}}'
answers 1 "$stem" rm ./x none u/a u/b
says 'nothing at none in ./x'
says '-r removes what lies below it'
holds '{"u": {"b": {"c": 2}}}'
fresh
answers 0 "$stem" del ./x u/a v
holds '{"u": {"": "own", "b": {"c": 2}}}'

# Whole places, without a question where there is no terminal.
fresh
answers 0 "$stem" rm -r ./x u
holds '{"v": 9}'
fresh
answers 1 "$stem" rm ./x u/b none --recursive v u/a
says 'nothing at none'
holds '{"u": "own"}'
answers 0 "$stem" rm -rf ./x u
holds '{}'

# The whole database only when that is what was written.
fresh
for arguments in '' -r -rf; do
    answers 2 "$stem" rm ./x $arguments
    says 'PATH is missing (--all'
    answers 2 "$stem" rm ./x v $arguments ''
    says 'PATH is empty (--all'
done
answers 2 "$stem" rm ./x v u/
says "leave out the '/' at its end"
answers 2 "$stem" rm --all ./x v
says '--all takes no PATH'
holds '{"u": {"": "own", "a": 1, "b": {"c": 2}}, "v": 9}'
answers 0 "$stem" rm --all ./x
holds '{}'
answers 1 "$stem" rm --all ./x
says 'nothing in ./x'
answers 1 "$stem" rm -r ./typo v
[ ! -e typo ] || die "rm made a database"

# On a terminal a person is asked, and told how much there is.
if ! script --version 2>/dev/null | grep util-linux >/dev/null; then
    echo "no script(1) of util-linux: the question of rm is not tested"
    exit 0
fi

# asked STATUS ANSWER QUESTION ARGUMENT...: rm on a terminal.
asked() {
    wanted=$1
    answer=$2
    question=$3
    shift 3
    status=0
    printf "$answer" | script -qec "'$stem' rm $*" /dev/null >out 2>&1 || status=$?
    [ "$status" = "$wanted" ] || die "rm $* answered $status: $(cat out)"
    grep -F "stem: $question [y/N] " out >/dev/null || die "rm $* asked: $(cat out)"
}
fresh
seq 1 1234 | sed 's/.*/{"put": "m\/&", "value": &}/' | "$stem" batch ./x --one
"$stem" export ./x >before
for answer in 'n\n' '\n' 'maybe y\n' '\004'; do
    asked 3 "$answer" 'remove 1,234 entries below m?' -r ./x m
    grep 'nothing was removed from m' out >/dev/null || die "no was not heard"
    asked 3 "$answer" 'remove everything in ./x, 1,238 entries?' --all ./x
done
asked 3 'n\n' 'remove the value of u and 2 entries below it?' -r ./x u
asked 3 'n\n' 'remove the value of v?' -r ./x v
asked 3 'n\n' 'remove 1 entry below u/b?' -r ./x u/b
"$stem" export ./x | cmp - before || die "something was removed all the same"
asked 0 'y\n' 'remove 1,234 entries below m?' -r ./x m
holds '{"u": {"": "own", "a": 1, "b": {"c": 2}}, "v": 9}'
asked 3 'n\ny\n' 'remove the value of v?' -r ./x u v
holds '{"u": {"": "own", "a": 1, "b": {"c": 2}}}'

# Not about single values, and not when told not to.
for arguments in './x u' '-rf ./x u v' '--all -f ./x'; do
    printf 'n\n' | script -qec "'$stem' rm $arguments" /dev/null >out 2>&1 ||
        die "rm $arguments: $(cat out)"
    grep 'y/N' out && die "rm $arguments asked"
    [ "$arguments" = './x u' ] || holds '{}'
    fresh
done
