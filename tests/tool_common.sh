#!/bin/sh
# What the tests of the `stem` command share; they source it and then run in a directory
# of their own, $work, in which a database is made as ./x.

stem=${STEM_TOOL:-$STEM_BUILD/stem}
work=$(mktemp -d "${TMPDIR:-/tmp}/stem-tool-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset NO_COLOR
LC_ALL=C.UTF-8
export LC_ALL

die() {
    echo "$*"
    exit 1
}

# answers STATUS COMMAND...: the command's exit status; its outputs are in ./out and ./err.
# Messages begin with "stem: ", and there is one if and only if the status is not 0.
answers() {
    wanted=$1
    shift
    status=0
    "$@" >out 2>err || status=$?
    [ "$status" = "$wanted" ] || {
        cat out err
        die "'$*' answered $status, not $wanted"
    }
    if [ "$wanted" = 0 ]; then
        [ ! -s err ] || die "'$*' complained: $(cat err)"
    else
        grep '' err | grep -v '^stem: ' && die "'$*' does not begin its words with stem:"
        [ -s err ] || die "'$*' said nothing"
    fi
}

# prints TEXT COMMAND...: the command succeeds, and its output is that.
prints() {
    printf '%s\n' "$1" >want
    shift
    answers 0 "$@"
    diff -u want out || die "'$*' printed something else"
}

# says WORDS: the last command's message holds them.
says() {
    grep -F -- "$1" err >/dev/null || die "not '$1' but: $(cat err)"
}
