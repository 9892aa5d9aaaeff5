/*
 * Sessions (docs/wire.md, "Sessions"): stored in the database, so that they outlive the
 * server (docs/format.md, "Stem's own records"), and in memory with the connections that
 * are attached. When there are too many, those end that nobody has been attached to for
 * longest.
 *
 * Other servers may have the same database, and make, use and end sessions there. So the record
 * in the database decides whether there is a session: it is looked at by who attaches, and by
 * each commit. Of sessions that were found in the database, and that nobody has attached to
 * here, only those beyond the limit end: they may be another server's.
 *
 * All of it may be called from any thread; what waits for the disk says so.
 */
#ifndef STEM_NET_SESSIONS_H
#define STEM_NET_SESSIONS_H

#include "../buffer.h"
#include "../engine/id.h"

enum { STEM_SESSION_SLOTS_MAX = 1024 };

/* Zero is every default. */
typedef struct stem_sessions_options {
    size_t limit;   /* sessions kept, and of those that were found as many again; 1024 */
    unsigned slots; /* of a new session; 16, at most STEM_SESSION_SLOTS_MAX */
    /* Called when a session has ended, for what else belongs to it. It calls none of these. */
    void (*ended)(void *context, const stem_id *id);
    void *context;
} stem_sessions_options;

typedef struct stem_sessions stem_sessions;

/* Reads the sessions that the database has. STEM_ECORRUPT for a record that is none. */
int stem_sessions_open(stem_engine *engine, const stem_sessions_options *options,
                       stem_sessions **sessions);
/* Leaves them in the database. NULL is nothing. */
void stem_sessions_close(stem_sessions *sessions);

/* Makes a session for a user and attaches a connection to its slot: one commit, in
 * which old sessions may end. A user who has half of the sessions there may be or more
 * loses one of its own. STEM_EINVAL when there is no such slot.
 *
 * Where the disk takes no commit, as when it is full, the session is here alone for now: it
 * will do to read, and its record is written with the first commit that needs one. */
int stem_sessions_create(stem_sessions *sessions, stem_slice user, unsigned slot,
                         void *connection, stem_id *id);

/* Attaches a connection to a slot of a session, whichever server has made it. `*old` is the
 * one that was attached there, and is to be closed before the new one is answered; NULL for
 * none. STEM_NOTFOUND when the user has no such session, STEM_EINVAL when it has no such
 * slot; a failure to read. */
int stem_sessions_attach(stem_sessions *sessions, const stem_id *id, stem_slice user,
                         unsigned slot, void *connection, void **old);

/* The connection is no longer there; nothing when another has taken its place. */
void stem_sessions_leave(stem_sessions *sessions, const stem_id *id, unsigned slot,
                         const void *connection);

/* Ends a session, whoever is attached: one commit. STEM_OK also when it is gone. */
int stem_sessions_end(stem_sessions *sessions, const stem_id *id);

/* Whether a session is known that has yet to be stored; appends its record then. */
bool stem_sessions_is_unstored(stem_sessions *sessions, const stem_id *id,
                               stem_buffer *record);
/* Its record has been found in the database. Nothing for a session of which that is known. */
void stem_sessions_note_stored(stem_sessions *sessions, const stem_id *id);

/* The slots of a session; 0 when it is gone. */
unsigned stem_sessions_slots(stem_sessions *sessions, const stem_id *id);
size_t stem_sessions_count(stem_sessions *sessions);

/* ---- The records ------------------------------------------------------------------ */

enum {
    STEM_SESSION_KEY_LEN = 9 + STEM_ID_BYTES,
    STEM_SLOT_KEY_LEN = 6 + STEM_ID_BYTES + 2
};

/* The key of the record that a session is there, and of the last number in a slot of
 * it. */
void stem_session_key(const stem_id *id, char key[STEM_SESSION_KEY_LEN]);
void stem_slot_key(const stem_id *id, unsigned slot, char key[STEM_SLOT_KEY_LEN]);

/* Whether a key is that of a record of either kind, and whether a range can hold nothing but
 * records of sessions. */
bool stem_is_session_record(stem_slice key);
bool stem_is_range_of_sessions(const stem_engine_range *range);

#endif
