#!/bin/sh
# The tests of the operations once more, with write-back: memory that is always short and
# written all the time, and memory for everything that is written now and then. In a directory,
# and over "mem:", where nothing is opened twice.
set -eu

failures=0
# run BYTES MS SUITE...
run() {
    STEM_TEST_WRITEBACK_BYTES=$1
    STEM_TEST_WRITEBACK_MS=$2
    export STEM_TEST_WRITEBACK_BYTES STEM_TEST_WRITEBACK_MS
    shift 2
    for suite; do
        if ! STEM_TEST_RUNS=${STEM_TEST_RUNS:-1000} "$STEM_BUILD/tests/test_$suite"; then
            echo "test_$suite failed with write-back of $STEM_TEST_WRITEBACK_BYTES bytes"
            failures=1
        fi
    done
}

suites="atomic batch batch_expect clear counters linearizable many pop range update whole"
for options in "1048576 1" "67108864 50"; do
    # shellcheck disable=SC2086
    run $options ${STEM_TEST_SUITES:-$suites operations_model}
done
STEM_TEST_IN_MEMORY=1
export STEM_TEST_IN_MEMORY
# shellcheck disable=SC2086
run 1048576 1 ${STEM_TEST_SUITES:-$suites}
exit $failures
