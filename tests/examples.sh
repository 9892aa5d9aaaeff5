#!/bin/sh
# The examples do what README.md says that they do: each is run, and its output compared
# with what it must print. Runs in a directory of its own.
set -eu

bin=$STEM_BUILD/examples
plugins=$bin/.libs
work=$(mktemp -d "${TMPDIR:-/tmp}/stem-examples-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# expect NAME: the output in ./got against standard input.
expect() {
    cat >want
    diff -u want got || {
        echo "examples: $1 is not what it should be"
        exit 1
    }
}

# README.md shows the first program as it is.
sed -n '/^```c$/,/^```$/p' "$STEM_SOURCE/README.md" | sed '1d; /^```$/,$d' >got
expect "README.md's first program" <"$STEM_SOURCE/examples/quickstart.c"

# The second run finds what the first one stored.
"$bin/quickstart" >got
expect "the first run of quickstart" <<'END'
Hello Ada, this is login 1.
users > 42 > embedding: array
users > 42 > logins: int
users > 42 > name: str
END
"$bin/quickstart" | head -n 1 >got
expect "the second run of quickstart" <<'END'
Hello Ada, this is login 2.
END

"$bin/accounts" >got
expect "accounts" <<'END'
600 transfers, the greatest of 50; 400000 before, 400000 now
END

for run in 1 2; do
    "$bin/modules" ./modules.db "$plugins/plugin_counter.so" "$plugins/plugin_report.so" \
        >got
    expect "run $run of modules" <<END
counter: run $run, and I see 1 entry
report: my title is "Quarterly figures"
report: my write answers STEM_EREADONLY: $(sed -n 's/.*STEM_EREADONLY: //p' got)
END
done
grep -q 'STEM_EREADONLY: .*modules/report' got || {
    echo "examples: the refused write does not name its place: $(cat got)"
    exit 1
}
"$bin/modules" ./modules.db ./missing.so "$plugins/plugin_report.so" >got 2>&1 && {
    echo "examples: modules takes a missing plug-in for a success"
    exit 1
}
exit 0
