#!/bin/sh
# stem's help, its usage errors, and what happens when it cannot write.
set -eu
. "$STEM_SOURCE/tests/tool_common.sh"

commands='put get incr pop cp mv rm ls tree count import export stat batch serve'

answers 0 "$stem" --version
grep '^stem [0-9]*\.[0-9]*\.[0-9]*$' out >/dev/null || die "--version"
answers 0 "$stem" --help
cp out overview
prints "$(cat overview)" "$stem" help
for command in $commands; do
    grep "^  $command  *[a-z]" overview >/dev/null || die "--help is without $command"
    answers 0 "$stem" $command --help
    grep "^usage: stem $command LOCATION" out >/dev/null || die "$command --help"
    grep '^Examples:' out >/dev/null || die "$command --help has no examples"
    awk 'length > 90 { exit 1 }' out || die "$command --help has long lines"
    prints "$(cat out)" "$stem" help $command
    answers 2 "$stem" $command
    says 'LOCATION is missing'
    # Only rm takes any number of them.
    if [ $command != rm ]; then
        answers 2 "$stem" $command ./x a b c d
        says 'one argument too many'
    fi
    answers 2 "$stem" $command ./x --nonsense
    says "'--nonsense'"
    answers 2 "$stem" $command -q ./x
    says "'-q'"
done
[ ! -e x ] || die "usage made a database"
prints "$("$stem" help rm)" "$stem" del --help
awk 'length > 90 { exit 1 }' overview || die "--help has long lines"

answers 2 "$stem" get ./x
says 'PATH is missing'
answers 2 "$stem" put ./x v
says 'VALUE is missing'
answers 2 "$stem" cp ./x v
says 'TO is missing'
answers 2 "$stem" mv ./x v w --to
says '--to needs a value'
answers 2 "$stem" import ./x
says 'FILE.json is missing'
answers 2 "$stem" tree ./x --depth
says '--depth needs a value'
answers 2 "$stem" frobnicate
says "'frobnicate' is no command"
answers 2 "$stem" --frobnicate
answers 2 "$stem" help frobnicate
answers 2 "$stem" help get put
status=0
"$stem" >out 2>err || status=$?
[ $status = 2 ] && [ ! -s out ] && grep '^stem: no command' err >/dev/null || die "no command"

# Options anywhere, "--" ends them, POSIXLY_CORRECT or not.
answers 0 "$stem" put --str ./x v 1
answers 0 env POSIXLY_CORRECT=1 "$stem" put ./x v 1 --str
prints '"1"' "$stem" get --json ./x v
prints '"1"' "$stem" get ./x --json -- v
answers 2 "$stem" get ./x v -- --json

# A full disk, and a reader that has gone.
"$stem" put ./x big "$(head -c 100000 /dev/zero | tr '\0' x)"
for command in 'get ./x big' 'ls ./x' 'tree ./x' 'count ./x' 'export ./x' 'stat ./x' \
    'incr ./x n' 'pop ./x big' --help \
    --version 'get --help'; do
    [ -w /dev/full ] || break
    status=0
    "$stem" $command 2>err >/dev/full || status=$?
    [ $status = 3 ] || die "$command on a full disk answered $status"
    says 'stem: cannot write: '
done
mkfifo pipe
for command in 'get ./x big' 'export ./x'; do
    true <pipe &
    status=0
    "$stem" $command 2>err >pipe || status=$?
    wait
    [ $status = 3 ] || die "$command into a closed pipe answered $status"
    says 'stem: cannot write: '
done

