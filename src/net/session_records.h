/*
 * The records of sessions in the database (docs/format.md, "Stem's own records"), read
 * and written. Private to sessions.c.
 */
#ifndef STEM_NET_SESSION_RECORDS_H
#define STEM_NET_SESSION_RECORDS_H

#include "sessions.h"

typedef struct stem_session_record {
    stem_id id;
    stem_slice user;
    unsigned n_slots;
    int64_t sequence; /* of its creation */
} stem_session_record;

/* Told of a record, which lives as long as the call. */
typedef int stem_session_visitor(void *context, const stem_session_record *record);

/* Tells of each session that the database has; ends with the first call that does not answer
 * STEM_OK. STEM_ECORRUPT for a record that is none. Where the store is damaged it ends early,
 * for what is whole there to be served: who attaches has the record looked at anyway. */
int stem_session_records_read(stem_engine *engine, stem_session_visitor *visit,
                              void *context);
/* Tells of the one session. STEM_NOTFOUND when the database has none of that id. */
int stem_session_records_find(stem_engine *engine, const stem_id *id,
                              stem_session_visitor *visit, void *context);

/* Appends the bytes of a record. */
void stem_session_record_encode(const stem_session_record *record, stem_buffer *out);

/* Stores one session, or none with NULL, and deletes others and all of their slots, in
 * one commit. */
int stem_session_records_write(stem_engine *engine, const stem_session_record *beginning,
                               const stem_session_record *const *ending, size_t n_ending);

#endif
