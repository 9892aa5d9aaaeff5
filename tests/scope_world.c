/*
 * Twin worlds; see scope_world.h.
 */
#include "scope_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/sessions.h"
#include "process.h"
#include "support.h"
#include "users.h"

static const char all_users[] = "ada " HASH_OF_SECRET " * all\n"
                                "web " HASH_OF_SECRET " in read,write\n";

static stem_slice slice(const char *text)
{
    return (stem_slice){text, strlen(text)};
}

/* ---- What is there ---------------------------------------------------------------- */

static void put(stem_engine *engine, stem_slice key, stem_slice value)
{
    const stem_write write = {key, value, false};
    const stem_commit commit = {.writes = &write, .n_writes = 1};
    size_t failed;

    assert_ok(engine->ops->commit(engine, &commit, &failed));
}

static bool is_below(stem_slice key, stem_slice scope)
{
    return key.len > scope.len && memcmp(key.data, scope.data, scope.len) == 0;
}

/* What both have. */
static void put_inside(const scope_world *world)
{
    static const stem_slice names[] = {{"a", 1},       {"a\0b", 3},   {"deep\0a", 6},
                                       {"hidden", 6},  {"in\0a", 4},  {"\xFF\xFF", 2},
                                       {"\x01\0b", 3}, {"in\x01", 3}, {"z/z", 3}};
    static const char *const values[] = {"\x07", "\xA1x", "\xC4\x02\xFF\xFE",
                                         "\x92\x01\x02", GUESSED_VALUE};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char key[64];
        const stem_slice scope = world->how->scope;

        memcpy(key, scope.data, scope.len);
        memcpy(key + scope.len, names[i].data, names[i].len);
        put(world->engine, (stem_slice){key, scope.len + names[i].len},
            slice(values[i % (sizeof values / sizeof *values)]));
    }
}

/* What lies around it in the first world: values that can be guessed, and those that cannot. */
static void put_much_outside(const scope_world *world)
{
    static const stem_slice hidden[] = {{SECRET, 6},
                                        {"in" SECRET, 8},
                                        {"in\x01" SECRET, 9},
                                        {"in\0" SECRET, 9},
                                        {"in\0deep\x01" SECRET, 14},
                                        {"out\0" SECRET, 10},
                                        {"i\0n\0" SECRET, 10},
                                        {"io\0" SECRET, 9},
                                        {"in\0\xFF\xFF" SECRET, 11}};
    const stem_slice scope = world->how->scope;
    char key[64];

    for (size_t i = 0; i < n_hostile_neighbours; i++) {
        const stem_slice name = hostile_neighbours[i];

        if (*name.data != '\0' && !is_below(name, scope))
            put(world->engine, name, slice(i % 2 ? GUESSED_VALUE : "\xA6" SECRET));
    }
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (!is_below(hidden[i], scope))
            put(world->engine, hidden[i],
                slice(i % 2 ? "\xA6" SECRET : "\xC4\x06" SECRET));
    for (int i = 0; i < 200; i++) {
        const int len = snprintf(key, sizeof key, "inn%c" SECRET "-%d", '\0', i);

        put(world->engine, (stem_slice){key, (size_t)len}, slice("\xA6" SECRET));
    }
}

/* In the second. */
static void put_little_outside(const scope_world *world)
{
    for (size_t i = 0; i < n_hostile_neighbours; i += 3) {
        const stem_slice name = hostile_neighbours[i];

        if (*name.data != '\0' && !is_below(name, world->how->scope))
            put(world->engine, name, slice("\x01"));
    }
}

/* ---- A look from outside ---------------------------------------------------------- */

static void add_slice(stem_buffer *out, stem_slice bytes)
{
    stem_buffer_add(out, &bytes.len, sizeof bytes.len);
    stem_buffer_add(out, bytes.data, bytes.len);
}

/* Of Stem's own records, those of the stranger's session alone stay as they are. */
static bool is_kept(const scope_world *world, stem_slice key)
{
    char session[STEM_SESSION_KEY_LEN], slot[STEM_SLOT_KEY_LEN];
    stem_id id;

    if (*key.data != '\0')
        return true;
    ck_assert(stem_id_parse(slice(world->ids[HOSTILE_FOREIGN_SESSION]), &id));
    stem_session_key(&id, session);
    stem_slot_key(&id, 0, slot);
    return stem_slice_compare(key, (stem_slice){session, sizeof session}) == 0 ||
           stem_slice_compare(key, (stem_slice){slot, sizeof slot}) == 0;
}

/* Adds all keys and values inside the scope, or outside. */
static void look(const scope_world *world, bool inside, stem_buffer *out)
{
    const stem_engine_range everything = {{NULL, 0}, {NULL, 0}};
    const stem_engine_ops *ops = world->engine->ops;
    stem_engine_iter *iter;
    stem_slice key, value;

    assert_ok(ops->iter_open(world->engine, NULL, &everything, false, &iter));
    while (ops->iter_next(iter, &key, &value) == STEM_OK) {
        if (is_below(key, world->how->scope) != inside || !is_kept(world, key))
            continue;
        add_slice(out, inside ? (stem_slice){key.data + world->how->scope.len,
                                             key.len - world->how->scope.len}
                              : key);
        add_slice(out, value);
    }
    ops->iter_close(iter);
    ck_assert(!out->failed);
}

static bool is_same(const stem_buffer *one, const stem_buffer *other)
{
    return one->len == other->len &&
           (one->len == 0 || memcmp(one->data, other->data, one->len) == 0);
}

bool is_outside_untouched(const scope_world *world)
{
    stem_buffer now = {0};

    look(world, false, &now);
    const bool is_so = is_same(&now, &world->outside);
    free(now.data);
    return is_so;
}

bool are_insides_alike(const scope_world worlds[N_WORLDS])
{
    stem_buffer inside[N_WORLDS] = {{0}, {0}};

    for (int i = 0; i < N_WORLDS; i++)
        look(&worlds[i], true, &inside[i]);
    const bool is_so = is_same(&inside[0], &inside[1]);
    free(inside[0].data);
    free(inside[1].data);
    return is_so;
}

bool has_secret(stem_slice bytes)
{
    return memmem(bytes.data, bytes.len, SECRET, strlen(SECRET)) != NULL;
}

/* ---- Serving ---------------------------------------------------------------------- */

const char *scope_world_address(const scope_world *world)
{
    return stem_server_address(world->server, world->how->is_tcp);
}

static const char *users_file(void)
{
    const char *path = path_in(temp_dir(), "users");

    write_file(path, all_users);
    ck_assert_int_eq(chmod(path, 0600), 0);
    return path;
}

static void serve(scope_world *world)
{
    const char *served = world->how->served;
    char local[512];
    const char *listen[] = {local, "tcp://127.0.0.1:0", NULL};

    snprintf(local, sizeof local, "unix:%s", path_in(temp_dir(), "socket"));
    world->served = served ? stem_sub(world->db, served) : stem_dup(world->db);
    ck_assert_ptr_nonnull(world->served);
    assert_ok(stem_server_open(
        &world->server, world->served,
        STEM_SERVER_OPTIONS(.listen = listen, .metrics = "127.0.0.1:0",
                            .users = world->how->user ? users_file() : NULL,
                            .insecure = !world->how->user, .max_failed_logins = 1000)));
}

/* The id, or the cursor, that a reply gives: what follows its nth line. */
static void take_id(scope_world *world, enum hostile_role role, stem_slice reply,
                    int line)
{
    const char *at = reply.data;

    for (; line > 0; line--)
        at = strchr(at, '\n') + 1;
    snprintf(world->ids[role], sizeof world->ids[role], "%.*s", (int)strcspn(at, "\r"),
             at);
    ck_assert_str_ne(world->ids[role], "");
}

/* A stranger with a session, a snapshot and a cursor of his own. Where there are no users the
 * session is everybody's who knows it: there it is none. */
static void let_stranger_in(scope_world *world)
{
    raw_client *other = &world->other;

    raw_open(other, stem_server_address(world->server, 0));
    if (world->how->user)
        raw_ask(other, "AUTH ada secret");
    if (world->how->user)
        take_id(world, HOSTILE_FOREIGN_SESSION, raw_ask(other, "STEM.ATTACH 1 0 NEW"), 2);
    take_id(world, HOSTILE_FOREIGN_SNAPSHOT, raw_ask(other, "STEM.SNAPSHOT"), 1);
    take_id(world, HOSTILE_FOREIGN_CURSOR, raw_ask(other, "SCAN 0 COUNT 1"), 2);
}

static void make_up_ids(scope_world *world)
{
    for (int role = HOSTILE_FOREIGN_CURSOR; role < HOSTILE_ROLES; role++) {
        stem_id id;

        assert_ok(stem_id_make(&id));
        stem_id_format(&id, world->ids[role]);
    }
    snprintf(world->ids[HOSTILE_FOREIGN_CURSOR], STEM_ID_DIGITS, "%u", 1234567891U);
}

/* ---- The stranger ----------------------------------------------------------------- */

/* What he changes, within what he sees; all of it holds GUESSED_TEXT at first. */
static const char *const his_names[] = {"a", "out/hidden", "hidden", "in\\x01"};
static const char *const his_served_names[] = {"deep", "\\xFF"};

static void tell_stranger(scope_world *world, const char *name, const char *value)
{
    const stem_slice words[] = {{"SET", 3}, {name, strlen(name)}, {value, strlen(value)}};
    stem_buffer request = {0};

    raw_add(&request, words, 3);
    raw_send(&world->other, &request);
    free(request.data);
}

void wait_for_stranger(scope_world *world)
{
    ck_assert_int_eq(*raw_reply(&world->other).data, '+');
}

/* He writes at the same time as the others, often in the same group. */
void let_stranger_write(scope_world *world)
{
    static unsigned turn;

    turn++;
    tell_stranger(world,
                  world->how->served ? his_served_names[turn % 2] : his_names[turn % 4],
                  turn / 4 % 2 ? SECRET : "text");
}

void let_stranger_restore(scope_world *world)
{
    const char *const *names = world->how->served ? his_served_names : his_names;

    for (int i = 0; i < (world->how->served ? 2 : 4); i++) {
        tell_stranger(world, names[i], GUESSED_TEXT);
        wait_for_stranger(world);
    }
}

/* ---- Both ------------------------------------------------------------------------- */

static void open_world(scope_world *world, const confinement *how, bool has_stranger)
{
    const char *path = path_in(temp_dir(), "db");

    *world = (scope_world){.how = how};
    assert_ok(stem_open(&world->db, path, NULL));
    assert_ok(stem_engine_acquire(path, &(stem_options){0}, NULL, &world->engine));
    put_inside(world);
    if (has_stranger)
        put_much_outside(world);
    else
        put_little_outside(world);
    serve(world);
    make_up_ids(world);
    if (has_stranger)
        let_stranger_in(world);
    strcpy(world->ids[HOSTILE_CURSOR], "0");
    strcpy(world->ids[HOSTILE_SNAPSHOT], "0");
    strcpy(world->ids[HOSTILE_SESSION], "NEW");
    look(world, false, &world->outside);
}

void open_scope_worlds(scope_world worlds[N_WORLDS], const confinement *how)
{
    for (int i = 0; i < N_WORLDS; i++)
        open_world(&worlds[i], how, i == 0);
}

void close_scope_worlds(scope_world worlds[N_WORLDS])
{
    raw_close(&worlds[0].other);
    for (int i = 0; i < N_WORLDS; i++) {
        assert_ok(stem_server_close(worlds[i].server));
        assert_ok(stem_close(worlds[i].served));
        assert_ok(stem_close(worlds[i].db));
        assert_ok(stem_engine_release(worlds[i].engine));
        free(worlds[i].outside.data);
    }
}
