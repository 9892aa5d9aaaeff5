/*
 * Sessions: who may attach, which end when there are too many, and what of them is in the
 * database (docs/format.md, "Stem's own records").
 */
#include "engine_support.h"

#include <stdlib.h>

#include "error.h"
#include "net/sessions.h"

static stem_engine *engine;
static stem_sessions *sessions;
static char connections[16]; /* whose addresses stand for connections */
static const stem_slice nobody = {NULL, 0};

static void open_sessions(size_t limit, unsigned slots)
{
    const stem_sessions_options options = {.limit = limit, .slots = slots};

    assert_ok(stem_sessions_open(engine, &options, &sessions));
}

static void set_up(void)
{
    const stem_options options = {0};

    assert_ok(stem_engine_acquire("mem:", &options, NULL, &engine));
    open_sessions(4, 2);
}

static void tear_down(void)
{
    stem_sessions_close(sessions);
    close_engine(engine);
}

/* As another server would, over the same database. */
static void open_again(size_t limit, unsigned slots)
{
    stem_sessions_close(sessions);
    open_sessions(limit, slots);
}

/* A new session that nobody is attached to any more. */
static stem_id new_idle(stem_slice user)
{
    stem_id id;

    assert_ok(stem_sessions_create(sessions, user, 0, &connections[0], &id));
    stem_sessions_leave(sessions, &id, 0, &connections[0]);
    return id;
}

static bool is_there(const stem_id *id)
{
    return stem_sessions_slots(sessions, id) > 0;
}

/* The records in the database that begin so. */
static size_t count_records(const char *start, size_t len)
{
    char end[16];
    stem_engine_iter *iter;
    stem_slice key;
    size_t n = 0;

    memcpy(end, start, len);
    end[len - 1]++;
    const stem_engine_range range = {{start, len}, {end, len}};
    assert_ok(engine->ops->iter_open(engine, NULL, &range, false, &iter));
    while (engine->ops->iter_next(iter, &key, NULL) == STEM_OK)
        n++;
    engine->ops->iter_close(iter);
    return n;
}

static size_t count_sessions(void)
{
    return count_records("\0session", 9);
}

/* ---- Records ---------------------------------------------------------------------- */

START_TEST(a_session_is_stored_as_its_user_its_slots_and_its_turn)
{
    char key[STEM_SESSION_KEY_LEN];
    stem_id id;

    new_idle(nobody);
    assert_ok(stem_sessions_create(sessions, slice("ada"), 1, &connections[0], &id));
    stem_session_key(&id, key);
    ck_assert_mem_eq(key, "\0session\0", 9);
    ck_assert_mem_eq(key + 9, id.bytes, 16);
    assert_holds(engine, NULL, (stem_slice){key, sizeof key},
                 slice("\x93\xA3"
                       "ada\x02\x02"));
}
END_TEST

START_TEST(a_slot_has_a_key_of_its_own)
{
    stem_id id = {{1, 2, 3}};
    char key[STEM_SLOT_KEY_LEN];

    stem_slot_key(&id, 0x0102, key);
    ck_assert_mem_eq(key, "\0slot\0", 6);
    ck_assert_mem_eq(key + 6, id.bytes, 16);
    ck_assert_mem_eq(key + 22, "\x01\x02", 2);
}
END_TEST

START_TEST(a_session_outlives_the_server)
{
    stem_id id = new_idle(slice("ada")), other = new_idle(slice("bob"));
    void *old = &old;

    open_again(4, 5);
    ck_assert_uint_eq(stem_sessions_count(sessions), 2);
    ck_assert_uint_eq(stem_sessions_slots(sessions, &id), 2);
    assert_ok(
        stem_sessions_attach(sessions, &id, slice("ada"), 1, &connections[0], &old));
    ck_assert_ptr_null(old);
    assert_code(
        stem_sessions_attach(sessions, &other, slice("ada"), 1, &connections[0], &old),
        STEM_NOTFOUND);
}
END_TEST

START_TEST(a_record_that_is_none_is_refused)
{
    static const stem_slice damaged[] = {{"", 0},
                                         {"\x93\xA1x\x02", 4},
                                         {"\x93\x01\x02\x03", 4},
                                         {"\x93\xA1x\x00\x01", 5},
                                         {"\x93\xA1x\xCD\x04\x01\x01", 7},
                                         {"\x93\xA1x\x02\xFF", 5},
                                         {"\x92\xA1x\x02", 4},
                                         {"\x83\xA1x\x02\x01", 5},
                                         {"\x01", 1}};
    const stem_id id = {{7}};
    char key[STEM_SESSION_KEY_LEN];
    stem_sessions *opened;

    stem_session_key(&id, key);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put(engine, (stem_slice){key, sizeof key}, damaged[i]);
        assert_code(stem_sessions_open(engine, NULL, &opened), STEM_ECORRUPT);
    }
    put(engine, (stem_slice){key, sizeof key}, (stem_slice){"\x94\xA1x\x02\x01\x01", 6});
    assert_ok(stem_sessions_open(engine, NULL, &opened));
    stem_sessions_close(opened);
    put(engine, (stem_slice){key, sizeof key - 1}, (stem_slice){"\x93\xA1x\x02\x01", 5});
    assert_code(stem_sessions_open(engine, NULL, &opened), STEM_ECORRUPT);
}
END_TEST

START_TEST(with_a_session_the_records_of_its_slots_go)
{
    stem_id id = new_idle(nobody), other = new_idle(nobody);

    for (unsigned slot = 0; slot < 2; slot++) {
        char key[STEM_SLOT_KEY_LEN];

        stem_slot_key(&id, slot, key);
        put(engine, (stem_slice){key, sizeof key}, slice("\x05"));
        stem_slot_key(&other, slot, key);
        put(engine, (stem_slice){key, sizeof key}, slice("\x05"));
    }
    assert_ok(stem_sessions_end(sessions, &id));
    ck_assert_uint_eq(count_sessions(), 1);
    ck_assert_uint_eq(count_records("\0slot", 6), 2);
    ck_assert(!is_there(&id));
    ck_assert(is_there(&other));
    assert_ok(stem_sessions_end(sessions, &id));
}
END_TEST

/* ---- Attaching -------------------------------------------------------------------- */

START_TEST(a_session_is_its_users_alone)
{
    stem_id id = new_idle(slice("ada")), unknown = {{0}};
    const stem_slice others[] = {nobody, slice("ad"), slice("adam"), slice("Ada")};
    void *old = &old;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_code(
            stem_sessions_attach(sessions, &id, others[i], 0, &connections[1], &old),
            STEM_NOTFOUND);
    assert_code(
        stem_sessions_attach(sessions, &unknown, slice("ada"), 0, &connections[1], &old),
        STEM_NOTFOUND);
    ck_assert_ptr_eq(old, &old);
    assert_ok(
        stem_sessions_attach(sessions, &id, slice("ada"), 0, &connections[1], &old));
}
END_TEST

START_TEST(a_connection_takes_the_place_of_the_one_that_was_in_the_slot)
{
    stem_id id;
    void *old;

    assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[0], &id));
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 1, &connections[1], &old));
    ck_assert_ptr_null(old);
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 0, &connections[2], &old));
    ck_assert_ptr_eq(old, &connections[0]);
    /* The old one's leaving comes late, and changes nothing. */
    stem_sessions_leave(sessions, &id, 0, &connections[0]);
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 0, &connections[3], &old));
    ck_assert_ptr_eq(old, &connections[2]);
    stem_sessions_leave(sessions, &id, 0, &connections[3]);
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 0, &connections[4], &old));
    ck_assert_ptr_null(old);
}
END_TEST

START_TEST(there_are_as_many_slots_as_it_was_made_with)
{
    stem_id id;
    void *old;

    assert_code(stem_sessions_create(sessions, nobody, 2, &connections[0], &id),
                STEM_EINVAL);
    ck_assert_uint_eq(count_sessions(), 0);
    id = new_idle(nobody);
    assert_code(stem_sessions_attach(sessions, &id, nobody, 2, &connections[0], &old),
                STEM_EINVAL);
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 1, &connections[0], &old));
    stem_sessions_leave(sessions, &id, 2, &connections[0]);
}
END_TEST

START_TEST(a_session_can_end_while_connections_are_attached)
{
    stem_id id;
    void *old;

    assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[0], &id));
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 1, &connections[1], &old));
    assert_ok(stem_sessions_end(sessions, &id));
    stem_sessions_leave(sessions, &id, 0, &connections[0]);
    stem_sessions_leave(sessions, &id, 1, &connections[1]);
    assert_code(stem_sessions_attach(sessions, &id, nobody, 0, &connections[0], &old),
                STEM_NOTFOUND);
    ck_assert_uint_eq(stem_sessions_count(sessions), 0);
}
END_TEST

/* ---- Too many --------------------------------------------------------------------- */

START_TEST(the_session_that_was_left_first_ends_first)
{
    stem_id ids[4];
    void *old;

    for (int i = 0; i < 4; i++)
        ids[i] = new_idle(nobody);
    assert_ok(stem_sessions_attach(sessions, &ids[0], nobody, 0, &connections[0], &old));
    stem_sessions_leave(sessions, &ids[0], 0, &connections[0]);
    new_idle(nobody);
    ck_assert(!is_there(&ids[1]));
    ck_assert(is_there(&ids[0]) && is_there(&ids[2]) && is_there(&ids[3]));
    ck_assert_uint_eq(count_sessions(), 4);
}
END_TEST

START_TEST(a_session_that_is_attached_never_ends_by_count)
{
    stem_id ids[6];

    for (int i = 0; i < 6; i++)
        assert_ok(stem_sessions_create(sessions, nobody, 1, &connections[i], &ids[i]));
    ck_assert_uint_eq(stem_sessions_count(sessions), 6);
    for (int i = 0; i < 3; i++)
        stem_sessions_leave(sessions, &ids[i], 1, &connections[i]);
    new_idle(nobody);
    ck_assert_uint_eq(stem_sessions_count(sessions), 4);
    for (int i = 0; i < 6; i++)
        ck_assert(is_there(&ids[i]) == (i >= 3));
}
END_TEST

START_TEST(after_a_restart_the_oldest_ends_first)
{
    stem_id ids[4];

    for (int i = 0; i < 4; i++)
        ids[i] = new_idle(nobody);
    open_again(2, 2);
    new_idle(nobody);
    ck_assert(!is_there(&ids[0]) && !is_there(&ids[1]));
    ck_assert(is_there(&ids[2]) && is_there(&ids[3]));
    /* And the new one is younger than all of them. */
    open_again(2, 2);
    new_idle(nobody);
    ck_assert(!is_there(&ids[2]));
    ck_assert(is_there(&ids[3]));
}
END_TEST

/* ---- Another server over the same database ---------------------------------------- */

static stem_sessions *others;

static void open_others(void)
{
    const stem_sessions_options options = {.limit = 4, .slots = 2};

    assert_ok(stem_sessions_open(engine, &options, &others));
}

START_TEST(a_session_that_another_server_has_made_can_be_gone_on_with)
{
    void *old = &old;

    open_others();
    const stem_id id = new_idle(slice("ada"));
    assert_code(stem_sessions_attach(others, &id, slice("bob"), 0, &connections[1], &old),
                STEM_NOTFOUND);
    assert_ok(stem_sessions_attach(others, &id, slice("ada"), 1, &connections[1], &old));
    ck_assert_ptr_null(old);
    ck_assert_uint_eq(stem_sessions_slots(others, &id), 2);
    assert_ok(stem_sessions_attach(others, &id, slice("ada"), 1, &connections[2], &old));
    ck_assert_ptr_eq(old, &connections[1]);
    stem_sessions_close(others);
}
END_TEST

START_TEST(a_session_that_another_server_has_ended_is_gone)
{
    stem_id id;
    void *old;

    assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[0], &id));
    open_others();
    assert_ok(stem_sessions_end(others, &id));
    assert_code(stem_sessions_attach(sessions, &id, nobody, 1, &connections[1], &old),
                STEM_NOTFOUND);
    ck_assert(!is_there(&id));
    stem_sessions_leave(sessions, &id, 0, &connections[0]);
    assert_ok(stem_sessions_end(sessions, &id));
    ck_assert_uint_eq(stem_sessions_count(sessions), 0);
    stem_sessions_close(others);
}
END_TEST

START_TEST(what_another_server_may_use_ends_only_beyond_the_limit)
{
    stem_id ids[4], own;

    for (int i = 0; i < 4; i++)
        assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[i], &ids[i]));
    open_others();
    for (int i = 0; i < 20; i++) {
        assert_ok(stem_sessions_create(others, nobody, 0, &connections[5], &own));
        stem_sessions_leave(others, &own, 0, &connections[5]);
    }
    ck_assert_uint_eq(stem_sessions_count(others), 8);
    ck_assert_uint_eq(count_sessions(), 8);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_gt(stem_sessions_slots(others, &ids[i]), 0);
    stem_sessions_close(others);
}
END_TEST

START_TEST(a_record_that_is_damaged_meanwhile_is_not_gone_on_with)
{
    const stem_id id = new_idle(nobody);
    char key[STEM_SESSION_KEY_LEN];
    void *old;

    stem_session_key(&id, key);
    put(engine, (stem_slice){key, sizeof key}, slice("\x01"));
    assert_code(stem_sessions_attach(sessions, &id, nobody, 0, &connections[0], &old),
                STEM_ECORRUPT);
}
END_TEST

START_TEST(who_has_half_of_the_sessions_ends_one_of_its_own)
{
    stem_id old = new_idle(slice("ada")), ids[3];

    for (int i = 0; i < 3; i++)
        ids[i] = new_idle(slice("mallory"));
    for (int i = 0; i < 20; i++)
        new_idle(slice("mallory"));
    ck_assert(is_there(&old));
    ck_assert(!is_there(&ids[0]) && !is_there(&ids[1]) && !is_there(&ids[2]));
    /* For anybody else it is the oldest of all. */
    new_idle(slice("bob"));
    ck_assert(!is_there(&old));
    ck_assert_uint_eq(count_sessions(), 4);
}
END_TEST

/* ---- Failures --------------------------------------------------------------------- */

static stem_engine_ops broken;

static int fail_to_commit(stem_engine *on, const stem_commit *commit, size_t *failed)
{
    (void)on;
    (void)commit;
    (void)failed;
    return stem_fail(STEM_EIO, "a failure put in by a test");
}

static void break_commits(void)
{
    broken = *engine->ops;
    broken.commit = fail_to_commit;
    engine->ops = &broken;
}

START_TEST(when_the_commit_fails_no_other_session_ends)
{
    const stem_engine_ops *whole = engine->ops;
    stem_id ids[4], id;
    void *old;

    for (int i = 0; i < 4; i++)
        ids[i] = new_idle(nobody);
    break_commits();
    assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[1], &id));
    assert_code(stem_sessions_end(sessions, &ids[1]), STEM_EIO);
    engine->ops = whole;
    ck_assert_uint_eq(count_sessions(), 4);
    assert_ok(stem_sessions_attach(sessions, &ids[1], nobody, 0, &connections[0], &old));
    assert_ok(stem_sessions_end(sessions, &id));
    new_idle(nobody);
    ck_assert(!is_there(&ids[0]));
    ck_assert(is_there(&ids[2]) && is_there(&ids[3]));
}
END_TEST

START_TEST(a_session_that_could_not_be_stored_is_gone_on_with)
{
    const stem_engine_ops *whole = engine->ops;
    stem_buffer record = {0};
    stem_id id, stored;
    void *old;

    stored = new_idle(nobody);
    break_commits();
    assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[0], &id));
    ck_assert_uint_eq(count_sessions(), 1);
    stem_sessions_leave(sessions, &id, 0, &connections[0]);
    assert_ok(stem_sessions_attach(sessions, &id, nobody, 1, &connections[1], &old));
    ck_assert_uint_gt(stem_sessions_slots(sessions, &id), 0);
    ck_assert(stem_sessions_is_unstored(sessions, &id, &record));
    ck_assert_uint_gt(record.len, 0);
    ck_assert(!stem_sessions_is_unstored(sessions, &stored, &record));
    stem_sessions_note_stored(sessions, &id);
    ck_assert(!stem_sessions_is_unstored(sessions, &id, &record));
    free(record.data);
    assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[2], &id));
    assert_ok(stem_sessions_end(sessions, &id));
    ck_assert_uint_eq(stem_sessions_slots(sessions, &id), 0);
    engine->ops = whole;
}
END_TEST

START_TEST(sessions_that_cannot_be_stored_have_a_limit)
{
    enum { MANY = 100, LIMIT = 4 };
    const stem_engine_ops *whole = engine->ops;
    stem_id ids[MANY];

    break_commits();
    for (int i = 0; i < MANY; i++) {
        assert_ok(stem_sessions_create(sessions, nobody, 0, &connections[0], &ids[i]));
        stem_sessions_leave(sessions, &ids[i], 0, &connections[0]);
    }
    ck_assert_uint_le(stem_sessions_count(sessions), LIMIT + 1);
    ck_assert_uint_eq(stem_sessions_slots(sessions, &ids[0]), 0);
    ck_assert_uint_gt(stem_sessions_slots(sessions, &ids[MANY - 1]), 0);
    engine->ops = whole;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sessions");
    TCase *tcase = add_case(suite, "sessions", 20);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_session_is_stored_as_its_user_its_slots_and_its_turn);
    tcase_add_test(tcase, a_slot_has_a_key_of_its_own);
    tcase_add_test(tcase, a_session_outlives_the_server);
    tcase_add_test(tcase, a_record_that_is_none_is_refused);
    tcase_add_test(tcase, with_a_session_the_records_of_its_slots_go);
    tcase_add_test(tcase, a_session_is_its_users_alone);
    tcase_add_test(tcase, a_connection_takes_the_place_of_the_one_that_was_in_the_slot);
    tcase_add_test(tcase, there_are_as_many_slots_as_it_was_made_with);
    tcase_add_test(tcase, a_session_can_end_while_connections_are_attached);
    tcase_add_test(tcase, the_session_that_was_left_first_ends_first);
    tcase_add_test(tcase, a_session_that_is_attached_never_ends_by_count);
    tcase_add_test(tcase, after_a_restart_the_oldest_ends_first);
    tcase_add_test(tcase, a_session_that_another_server_has_made_can_be_gone_on_with);
    tcase_add_test(tcase, a_session_that_another_server_has_ended_is_gone);
    tcase_add_test(tcase, what_another_server_may_use_ends_only_beyond_the_limit);
    tcase_add_test(tcase, a_record_that_is_damaged_meanwhile_is_not_gone_on_with);
    tcase_add_test(tcase, who_has_half_of_the_sessions_ends_one_of_its_own);
    tcase_add_test(tcase, when_the_commit_fails_no_other_session_ends);
    tcase_add_test(tcase, a_session_that_could_not_be_stored_is_gone_on_with);
    tcase_add_test(tcase, sessions_that_cannot_be_stored_have_a_limit);
    return run_suite(suite);
}
