#!/bin/sh
# The tests of the operations once more, through a server: each database is served at a Unix
# socket, and the test has a client of it. Some once more with memory for what is read again.
set -eu

STEM_TEST_SERVED=1
export STEM_TEST_SERVED
failures=0
run() {
    if ! STEM_TEST_RUNS=${STEM_TEST_RUNS:-200} "$STEM_BUILD/tests/test_$1"; then
        echo "test_$1 failed when served"
        failures=1
    fi
}

for suite in ${STEM_TEST_SUITES:-atomic batch batch_expect clear counters linearizable many pop \
    update whole}; do
    run "$suite"
done
STEM_TEST_WRITEBACK_BYTES=1048576
export STEM_TEST_WRITEBACK_BYTES
for suite in ${STEM_TEST_SUITES:-batch counters linearizable many pop}; do
    run "$suite"
done
exit $failures
