#!/bin/sh
# The tests of the operations once more, through a server: each database is served at a Unix
# socket, and the test has a client of it.
set -eu

STEM_TEST_SERVED=1
export STEM_TEST_SERVED
failures=0
for suite in ${STEM_TEST_SUITES:-atomic batch batch_expect clear counters linearizable many pop \
    update whole}; do
    if ! STEM_TEST_RUNS=${STEM_TEST_RUNS:-200} "$STEM_BUILD/tests/test_$suite"; then
        echo "test_$suite failed when served"
        failures=1
    fi
done
exit $failures
