#!/bin/sh
# The tests of the operations once more, through a server: each database is served at a Unix
# socket, and the test has a client of it. Some once more with memory for what is read again, and
# once more shared with a process that has their files.
set -eu

how=served
STEM_TEST_SERVED=1
export STEM_TEST_SERVED
failures=0
run() {
    if ! STEM_TEST_RUNS=${STEM_TEST_RUNS:-200} "$STEM_BUILD/tests/test_$1"; then
        echo "test_$1 failed when $how"
        failures=1
    fi
}

for suite in ${STEM_TEST_SUITES:-atomic batch batch_expect clear counters linearizable many pop \
    range update whole}; do
    run "$suite"
done
STEM_TEST_WRITEBACK_BYTES=1048576
export STEM_TEST_WRITEBACK_BYTES
for suite in ${STEM_TEST_SUITES:-batch counters linearizable many pop}; do
    run "$suite"
done
how=shared
STEM_TEST_SHARED=1
export STEM_TEST_SHARED
unset STEM_TEST_SERVED STEM_TEST_WRITEBACK_BYTES
if [ -z "${STEM_TEST_SUITES:-}" ]; then
    run pop
    run range
fi
exit $failures
