/*
 * Sessions; see sessions.h. What is in memory is what the database had when it was looked at,
 * and who is attached. The lock is never held while the engine is asked: a session whose
 * records are being deleted stays in the table, `is_ending`, and can no longer be attached to.
 */
#include "sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../error.h"
#include "session_records.h"
#include "table.h"

/* At most so many sessions end in the commit that makes one. */
enum { DEFAULT_LIMIT = 1024, DEFAULT_SLOTS = 16, MAX_ENDING = 32 };

typedef struct session {
    UT_hash_handle hh;
    stem_session_record record; /* the user's name in `connections`, behind the slots */
    unsigned n_attached;
    bool is_ending;
    bool
        is_unstored; /* as far as is known: the disk has taken no commit when it was made */
    bool is_inherited; /* found when the server was opened; nobody has attached since */
    /* Of those, or of the others that nobody is attached to. */
    struct session *prev, *next;
    void *connections[];
} session;

struct stem_sessions {
    pthread_mutex_t lock;
    stem_engine *engine;
    size_t limit;
    unsigned slots;
    void (*ended)(void *context, const stem_id *id);
    void *context;
    int64_t last_sequence;
    session *by_id;
    session *idlest;    /* the one that nobody has been attached to for longest */
    session *inherited; /* the oldest */
    size_t n_inherited; /* with those that are ending */
    atomic_size_t n_unstored;
};

/* ---- The table -------------------------------------------------------------------- */

static session *make_session(const stem_session_record *record)
{
    const size_t slots_size = record->n_slots * sizeof(void *);
    session *made = calloc(1, sizeof *made + slots_size + record->user.len + 1);
    char *user;

    if (!made)
        return NULL;
    user = (char *)made->connections + slots_size;
    if (record->user.len > 0)
        memcpy(user, record->user.data, record->user.len);
    made->record = *record;
    made->record.user.data = user;
    return made;
}

/* The list that it is in while nobody is attached to it. */
static session **list_of(stem_sessions *sessions, const session *of)
{
    return of->is_inherited ? &sessions->inherited : &sessions->idlest;
}

static session *find(const stem_sessions *sessions, const stem_id *id)
{
    session *found;

    HASH_FIND(hh, sessions->by_id, id, sizeof *id, found);
    return found;
}

/* Takes over a session that nobody is attached to; frees it when there is no memory. */
static int enter(stem_sessions *sessions, session *made)
{
    HASH_ADD(hh, sessions->by_id, record.id, sizeof made->record.id, made);
    if (!made->hh.tbl) {
        free(made);
        return stem_fail(STEM_ENOMEM, "no memory for a session");
    }
    if (made->record.sequence > sessions->last_sequence)
        sessions->last_sequence = made->record.sequence;
    sessions->n_inherited += made->is_inherited;
    DL_APPEND(*list_of(sessions, made), made);
    return STEM_OK;
}

static bool is_idle(const session *of)
{
    return of->n_attached == 0 && !of->is_ending;
}

/* No longer to be attached to, while its records are deleted. */
static void begin_end(stem_sessions *sessions, session *of)
{
    if (is_idle(of))
        DL_DELETE(*list_of(sessions, of), of);
    of->is_ending = true;
}

/* Forgets a session whose records are gone, or has it back when they could not be
 * deleted. */
static void finish_end(stem_sessions *sessions, session *of, bool has_ended)
{
    if (has_ended) {
        if (sessions->ended)
            sessions->ended(sessions->context, &of->record.id);
        sessions->n_inherited -= of->is_inherited;
        sessions->n_unstored -= of->is_unstored;
        HASH_DEL(sessions->by_id, of);
        free(of);
        return;
    }
    of->is_ending = false;
    if (is_idle(of))
        DL_PREPEND(*list_of(sessions, of), of);
}

static int by_sequence(const session *a, const session *b)
{
    return (a->record.sequence > b->record.sequence) -
           (a->record.sequence < b->record.sequence);
}

static int load_one(void *context, const stem_session_record *record)
{
    stem_sessions *sessions = context;
    session *made = make_session(record);

    if (!made)
        return stem_fail(STEM_ENOMEM, "no memory for a session");
    made->is_inherited = true;
    return enter(sessions, made);
}

int stem_sessions_open(stem_engine *engine, const stem_sessions_options *options,
                       stem_sessions **opened)
{
    static const stem_sessions_options defaults;
    stem_sessions *sessions = calloc(1, sizeof *sessions);

    if (!options)
        options = &defaults;
    if (!sessions)
        return stem_fail(STEM_ENOMEM, "no memory for sessions");
    pthread_mutex_init(&sessions->lock, NULL);
    sessions->engine = engine;
    sessions->limit = options->limit ? options->limit : DEFAULT_LIMIT;
    sessions->ended = options->ended;
    sessions->context = options->context;
    sessions->slots = options->slots ? options->slots : DEFAULT_SLOTS;
    int code = STEM_OK;
    if (sessions->slots > STEM_SESSION_SLOTS_MAX)
        code = stem_fail(STEM_EINVAL, "%u slots of a session, and the most is %d",
                         sessions->slots, STEM_SESSION_SLOTS_MAX);
    if (code == STEM_OK && !engine->is_served)
        code = stem_session_records_read(engine, load_one, sessions);
    if (code != STEM_OK) {
        stem_sessions_close(sessions);
        return code;
    }
    DL_SORT(sessions->inherited, by_sequence);
    *opened = sessions;
    return STEM_OK;
}

void stem_sessions_close(stem_sessions *sessions)
{
    if (!sessions)
        return;
    while (sessions->by_id) {
        session *each = sessions->by_id;

        HASH_DEL(sessions->by_id, each);
        free(each);
    }
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

/* ---- Making and ending ------------------------------------------------------------ */

/* Stores one session, or none with NULL, and deletes others, in one commit. */
static int commit(const stem_sessions *sessions, const session *beginning,
                  session *const *ending, size_t n_ending)
{
    const stem_session_record *records[MAX_ENDING];

    for (size_t i = 0; i < n_ending; i++)
        records[i] = &ending[i]->record;
    return stem_session_records_write(
        sessions->engine, beginning ? &beginning->record : NULL, records, n_ending);
}

static bool is_of(const session *of, stem_slice user)
{
    return stem_slice_compare(of->record.user, user) == 0;
}

static size_t count_of(const stem_sessions *sessions, stem_slice user, bool is_inherited)
{
    size_t n = 0;

    for (const session *each = sessions->by_id; each; each = each->hh.next)
        n += is_of(each, user) && !each->is_ending && each->is_inherited == is_inherited;
    return n;
}

/* The one to end for a new session of the user: nobody pushes the others' sessions out by
 * making more and more. NULL when there is none. */
static session *choose_ending(const stem_sessions *sessions, stem_slice user,
                              bool is_inherited)
{
    session *each = is_inherited ? sessions->inherited : sessions->idlest;

    if (2 * count_of(sessions, user, is_inherited) >= sessions->limit)
        while (each && !is_of(each, user))
            each = each->next;
    return each;
}

/* Begins to end so many, or as many as can: how many those are with the `n` before them. */
static size_t begin_to_end(stem_sessions *sessions, stem_slice user, bool is_inherited,
                           size_t too_many, session *ending[MAX_ENDING], size_t n)
{
    session *chosen;

    for (; too_many > 0 && n < MAX_ENDING; too_many--) {
        chosen = choose_ending(sessions, user, is_inherited);
        if (!chosen)
            break;
        begin_end(sessions, chosen);
        ending[n++] = chosen;
    }
    return n;
}

/* Begins to end as many as are too many with one more. */
static size_t make_room(stem_sessions *sessions, stem_slice user,
                        session *ending[MAX_ENDING])
{
    const size_t limit = sessions->limit, n_inherited = sessions->n_inherited;
    const size_t n_own = HASH_COUNT(sessions->by_id) - n_inherited;
    const size_t n = begin_to_end(sessions, user, false,
                                  n_own >= limit ? n_own - limit + 1 : 0, ending, 0);

    return begin_to_end(sessions, user, true,
                        n_inherited > limit ? n_inherited - limit : 0, ending, n);
}

static void attach(stem_sessions *sessions, session *to, unsigned slot, void *connection)
{
    if (is_idle(to))
        DL_DELETE(*list_of(sessions, to), to);
    sessions->n_inherited -= to->is_inherited;
    to->is_inherited = false;
    to->n_attached += !to->connections[slot];
    to->connections[slot] = connection;
}

/* Of those that could not be stored, as many are kept as of the others; the ones that no connection has
 * been attached to for longest end. */
static void limit_unstored(stem_sessions *sessions)
{
    session *each, *next;

    DL_FOREACH_SAFE(sessions->idlest, each, next)
    {
        if (sessions->n_unstored <= sessions->limit)
            return;
        if (!each->is_unstored)
            continue;
        begin_end(sessions, each);
        finish_end(sessions, each, true);
    }
}

/* Has it known, stored or not; or forgets it. The lock is held. */
static void settle_made(stem_sessions *sessions, session *made, int code)
{
    if (code == STEM_EIO) {
        made->is_unstored = true;
        sessions->n_unstored++;
        limit_unstored(sessions);
    } else if (code != STEM_OK && code != STEM_EUNKNOWN) {
        finish_end(sessions, made, true);
    }
}

int stem_sessions_create(stem_sessions *sessions, stem_slice user, unsigned slot,
                         void *connection, stem_id *id)
{
    session *ending[MAX_ENDING], *made;
    stem_session_record record = {.user = user, .n_slots = sessions->slots};

    if (slot >= sessions->slots)
        return stem_fail(STEM_EINVAL, "there is no slot %u", slot);
    int code = stem_id_make(&record.id);
    if (code != STEM_OK)
        return code;
    made = make_session(&record);
    if (!made)
        return stem_fail(STEM_ENOMEM, "no memory for a session");

    /* In the table before it is in the database: after that nothing can fail. */
    pthread_mutex_lock(&sessions->lock);
    size_t n_ending = make_room(sessions, user, ending);
    made->record.sequence = ++sessions->last_sequence;
    code = enter(sessions, made);
    if (code == STEM_OK)
        attach(sessions, made, slot, connection);
    pthread_mutex_unlock(&sessions->lock);

    const bool is_entered = code == STEM_OK;
    if (is_entered)
        code = commit(sessions, made, ending, n_ending);
    const bool is_stored = code == STEM_OK || code == STEM_EUNKNOWN;
    const bool is_kept = is_entered && (is_stored || code == STEM_EIO);
    pthread_mutex_lock(&sessions->lock);
    while (n_ending > 0)
        finish_end(sessions, ending[--n_ending], is_stored);
    if (is_entered)
        settle_made(sessions, made, code);
    pthread_mutex_unlock(&sessions->lock);
    if (!is_kept)
        return code;
    *id = record.id;
    return STEM_OK;
}

int stem_sessions_end(stem_sessions *sessions, const stem_id *id)
{
    int code;

    pthread_mutex_lock(&sessions->lock);
    session *of = find(sessions, id);
    if (of && of->is_ending)
        of = NULL;
    if (of)
        begin_end(sessions, of);
    pthread_mutex_unlock(&sessions->lock);
    if (!of)
        return STEM_OK;
    code = commit(sessions, NULL, &of, 1);
    pthread_mutex_lock(&sessions->lock);
    if (code == STEM_EIO && of->is_unstored) /* there is nothing to delete */
        code = STEM_OK;
    finish_end(sessions, of, code == STEM_OK || code == STEM_EUNKNOWN);
    pthread_mutex_unlock(&sessions->lock);
    return code;
}

/* ---- Attaching -------------------------------------------------------------------- */

static int copy_record(void *context, const stem_session_record *record)
{
    session **copy = context;

    *copy = make_session(record);
    return *copy ? STEM_OK : stem_fail(STEM_ENOMEM, "no memory for a session");
}

static void note_stored(stem_sessions *sessions, session *known)
{
    sessions->n_unstored -= known->is_unstored;
    known->is_unstored = false;
}

/* Has the table agree with what the database has of a session, NULL for nothing: another
 * server may have made it, or ended it. Takes `stored` over. */
static int settle(stem_sessions *sessions, const stem_id *id, session *stored)
{
    session *known = find(sessions, id);

    if (stored && !known)
        return enter(sessions, stored);
    if (stored && known)
        note_stored(sessions, known);
    if (!stored && known && !known->is_ending && !known->is_unstored) {
        begin_end(sessions, known);
        finish_end(sessions, known, true);
    }
    free(stored);
    return STEM_OK;
}

static int attach_known(stem_sessions *sessions, const stem_id *id, stem_slice user,
                        unsigned slot, void *connection, void **old)
{
    session *known = find(sessions, id);

    if (!known || known->is_ending || !is_of(known, user))
        return STEM_NOTFOUND;
    if (slot >= known->record.n_slots)
        return stem_fail(STEM_EINVAL, "the session has no slot %u", slot);
    *old = known->connections[slot];
    attach(sessions, known, slot, connection);
    return STEM_OK;
}

int stem_sessions_attach(stem_sessions *sessions, const stem_id *id, stem_slice user,
                         unsigned slot, void *connection, void **old)
{
    session *stored = NULL;
    int code = stem_session_records_find(sessions->engine, id, copy_record, &stored);

    if (code != STEM_OK && code != STEM_NOTFOUND)
        return code;
    pthread_mutex_lock(&sessions->lock);
    code = settle(sessions, id, stored);
    if (code == STEM_OK)
        code = attach_known(sessions, id, user, slot, connection, old);
    pthread_mutex_unlock(&sessions->lock);
    return code;
}

void stem_sessions_leave(stem_sessions *sessions, const stem_id *id, unsigned slot,
                         const void *connection)
{
    pthread_mutex_lock(&sessions->lock);
    session *found = find(sessions, id);
    if (found && connection && slot < found->record.n_slots &&
        found->connections[slot] == connection) {
        found->connections[slot] = NULL;
        found->n_attached--;
        if (is_idle(found))
            DL_APPEND(sessions->idlest, found);
    }
    pthread_mutex_unlock(&sessions->lock);
}

bool stem_sessions_is_unstored(stem_sessions *sessions, const stem_id *id,
                               stem_buffer *record)
{
    if (sessions->n_unstored == 0)
        return false;
    pthread_mutex_lock(&sessions->lock);
    const session *found = find(sessions, id);
    const bool is_unstored = found && !found->is_ending && found->is_unstored;
    if (is_unstored)
        stem_session_record_encode(&found->record, record);
    pthread_mutex_unlock(&sessions->lock);
    return is_unstored;
}

void stem_sessions_note_stored(stem_sessions *sessions, const stem_id *id)
{
    if (sessions->n_unstored == 0)
        return;
    pthread_mutex_lock(&sessions->lock);
    session *found = find(sessions, id);
    if (found)
        note_stored(sessions, found);
    pthread_mutex_unlock(&sessions->lock);
}

unsigned stem_sessions_slots(stem_sessions *sessions, const stem_id *id)
{
    pthread_mutex_lock(&sessions->lock);
    const session *found = find(sessions, id);
    unsigned slots = found && !found->is_ending ? found->record.n_slots : 0;
    pthread_mutex_unlock(&sessions->lock);
    return slots;
}

size_t stem_sessions_count(stem_sessions *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    size_t n = HASH_COUNT(sessions->by_id);
    pthread_mutex_unlock(&sessions->lock);
    return n;
}
