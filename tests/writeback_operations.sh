#!/bin/sh
# The tests of the operations once more, with write-back: memory that is always short and
# written all the time, and memory for everything that is written now and then.
set -eu

failures=0
for options in "1048576 1" "67108864 50"; do
    for suite in ${STEM_TEST_SUITES:-atomic batch batch_expect clear counters linearizable \
        many operations_model pop update whole}; do
        if ! STEM_TEST_WRITEBACK_BYTES=${options% *} STEM_TEST_WRITEBACK_MS=${options#* } \
            STEM_TEST_RUNS=${STEM_TEST_RUNS:-1000} "$STEM_BUILD/tests/test_$suite"; then
            echo "test_$suite with write-back of $options failed"
            failures=1
        fi
    done
done
exit $failures
