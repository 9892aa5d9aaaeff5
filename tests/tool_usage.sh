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
    if [ $command != rm ] && [ $command != get ]; then # which take any number of them
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
answers 1 "$stem" get ./x v -- --json
says 'nothing at --json in ./x'
answers 2 "$stem" ls ./x v -- --long

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
# A pipe that nothing reads any more ends a command as SIGPIPE does, without a word, also where
# the signal is ignored. What was to be taken out stays.
mkfifo pipe
exec 3<>pipe 4>pipe 3<&-
"$stem" export ./x >before
for command in 'get ./x big' 'get ./x big v' 'ls ./x' 'ls -l ./x' 'tree ./x' 'count ./x' \
    'export ./x' 'export ./x --pretty' 'stat ./x' 'incr ./n n 0' 'pop ./x big' \
    'pop ./x --first=2' 'pop ./x --last' --help --version 'get --help'; do
    for setup in true "trap '' PIPE"; do
        status=0
        (eval "$setup"; "$stem" $command) 2>err >&4 || status=$?
        [ $status = 141 ] || die "$command into a closed pipe answered $status: $(cat err)"
        [ ! -s err ] || die "$command complained of a closed pipe: $(cat err)"
    done
    "$stem" export ./x | cmp - before || die "$command into a closed pipe changed something"
done
exec 4>&-
"$stem" get ./x big | head -c 1 >out
[ "$(cat out)" = x ] || die "the head of a value is $(cat out)"

# Another failure is told also where nothing reads the output.
mkdir foreign
echo mine >foreign/file
exec 3<>pipe 4>pipe 3<&-
status=0
"$stem" get ./foreign v 2>err >&4 || status=$?
exec 4>&-
[ $status = 3 ] && [ -s err ] || die "a failure before a closed pipe answered $status"

