/*
 * The records of sessions; see session_records.h.
 */
#include "session_records.h"

#include <stdlib.h>

#include "../buffer.h"
#include "../error.h"
#include "../value.h"

/* Both with the NUL that ends the literal. */
static const char session_prefix[] = "\0session", slot_prefix[] = "\0slot";
/* All records of sessions, and no other key. */
static const stem_engine_range all_sessions = {{session_prefix, sizeof session_prefix},
                                               {"\0session\1", sizeof session_prefix}};

void stem_session_key(const stem_id *id, char key[STEM_SESSION_KEY_LEN])
{
    memcpy(key, session_prefix, sizeof session_prefix);
    memcpy(key + sizeof session_prefix, id->bytes, STEM_ID_BYTES);
}

void stem_slot_key(const stem_id *id, unsigned slot, char key[STEM_SLOT_KEY_LEN])
{
    char *number = key + sizeof slot_prefix + STEM_ID_BYTES;

    memcpy(key, slot_prefix, sizeof slot_prefix);
    memcpy(key + sizeof slot_prefix, id->bytes, STEM_ID_BYTES);
    number[0] = (char)(slot >> 8);
    number[1] = (char)(slot & 0xFF);
}

bool stem_is_session_record(stem_slice key)
{
    return (key.len == STEM_SESSION_KEY_LEN &&
            memcmp(key.data, session_prefix, sizeof session_prefix) == 0) ||
           (key.len == STEM_SLOT_KEY_LEN &&
            memcmp(key.data, slot_prefix, sizeof slot_prefix) == 0);
}

bool stem_is_range_of_sessions(const stem_engine_range *range)
{
    return stem_slice_compare(range->start, all_sessions.start) >= 0 &&
           range->end.len > 0 && stem_slice_compare(range->end, all_sessions.end) <= 0;
}

/* ---- Reading ---------------------------------------------------------------------- */

static bool next_of_type(stem_cursor *cursor, int type, stem_value *value)
{
    return stem_cursor_next(cursor, NULL, value) && value->type == type;
}

/* [user, slots, sequence]; more may follow. */
static int read_record(stem_slice key, stem_slice bytes, stem_session_record *record)
{
    stem_value list, user, slots, sequence;
    stem_cursor cursor;

    if (key.len != STEM_SESSION_KEY_LEN ||
        stem_decode(bytes.data, bytes.len, &list) != STEM_OK || list.type != STEM_LIST ||
        stem_cursor_init(&cursor, &list) != STEM_OK ||
        !next_of_type(&cursor, STEM_STR, &user) ||
        !next_of_type(&cursor, STEM_INT, &slots) || slots.as.integer < 1 ||
        slots.as.integer > STEM_SESSION_SLOTS_MAX ||
        !next_of_type(&cursor, STEM_INT, &sequence) || sequence.as.integer < 0 ||
        sequence.as.integer == INT64_MAX)
        return stem_fail(STEM_ECORRUPT, "the record of a session is damaged");
    memcpy(record->id.bytes, key.data + sizeof session_prefix, STEM_ID_BYTES);
    record->user = (stem_slice){user.as.str.data, user.as.str.len};
    record->n_slots = (unsigned)slots.as.integer;
    record->sequence = sequence.as.integer;
    return STEM_OK;
}

/* STEM_NOTFOUND at the end; STEM_OK where the store is damaged. */
static int visit_records(stem_engine_iter *iter, stem_session_visitor *visit,
                         void *context)
{
    const stem_engine_ops *ops = iter->engine->ops;
    stem_session_record record;
    stem_slice key, bytes;
    int code;

    while ((code = ops->iter_next(iter, &key, &bytes)) == STEM_OK) {
        code = read_record(key, bytes, &record);
        if (code == STEM_OK)
            code = visit(context, &record);
        if (code != STEM_OK)
            return code;
    }
    return code == STEM_ECORRUPT ? STEM_OK : code;
}

int stem_session_records_read(stem_engine *engine, stem_session_visitor *visit,
                              void *context)
{
    stem_engine_iter *iter;
    stem_failure last;

    int code = engine->ops->iter_open(engine, NULL, &all_sessions, false, &iter);
    if (code != STEM_OK)
        return code;
    stem_failure_save(&last);
    code = visit_records(iter, visit, context);
    engine->ops->iter_close(iter);
    if (code >= 0)
        stem_failure_restore(&last);
    return code == STEM_NOTFOUND ? STEM_OK : code;
}

int stem_session_records_find(stem_engine *engine, const stem_id *id,
                              stem_session_visitor *visit, void *context)
{
    char bytes[STEM_SESSION_KEY_LEN];
    const stem_slice key = {bytes, sizeof bytes};
    stem_session_record record;
    stem_read read;

    stem_session_key(id, bytes);
    int code = engine->ops->read(engine, NULL, &key, 1, &read);
    if (code != STEM_OK)
        return code;
    if (!read.data)
        return STEM_NOTFOUND;
    code = read_record(key, (stem_slice){read.data, read.len}, &record);
    if (code == STEM_OK)
        code = visit(context, &record);
    free(read.data);
    return code;
}

/* ---- Writing ---------------------------------------------------------------------- */

/* The writes of one commit, with room for their keys. */
typedef struct changes {
    stem_write *writes;
    size_t n_writes;
    char *next_key;
    stem_buffer record;
} changes;

static void add_change(changes *all, size_t key_len, bool is_delete)
{
    all->writes[all->n_writes++] =
        (stem_write){.key = {all->next_key, key_len}, .is_delete = is_delete};
    all->next_key += key_len;
}

static void add_end(changes *all, const stem_session_record *record)
{
    stem_session_key(&record->id, all->next_key);
    add_change(all, STEM_SESSION_KEY_LEN, true);
    for (unsigned slot = 0; slot < record->n_slots; slot++) {
        stem_slot_key(&record->id, slot, all->next_key);
        add_change(all, STEM_SLOT_KEY_LEN, true);
    }
}

static void add_value(stem_buffer *out, stem_value value)
{
    unsigned char *room = stem_buffer_room(out, stem_value_encoded_size(&value));

    if (room)
        stem_value_encode(&value, room);
}

void stem_session_record_encode(const stem_session_record *record, stem_buffer *out)
{
    static const char list_of_3 = '\x93';

    stem_buffer_add(out, &list_of_3, 1);
    add_value(out,
              stem_strn(record->user.len > 0 ? record->user.data : "", record->user.len));
    add_value(out, stem_int(record->n_slots));
    add_value(out, stem_int(record->sequence));
}

static int add_beginning(changes *all, const stem_session_record *record)
{
    stem_session_key(&record->id, all->next_key);
    add_change(all, STEM_SESSION_KEY_LEN, false);
    stem_session_record_encode(record, &all->record);
    if (all->record.failed)
        return stem_fail(STEM_ENOMEM, "no memory for the record of a session");
    all->writes[all->n_writes - 1].value =
        (stem_slice){all->record.data, all->record.len};
    return STEM_OK;
}

int stem_session_records_write(stem_engine *engine, const stem_session_record *beginning,
                               const stem_session_record *const *ending, size_t n_ending)
{
    size_t most = 1, failed;
    changes all = {0};

    for (size_t i = 0; i < n_ending; i++)
        most += 1 + ending[i]->n_slots;
    all.writes = malloc(most * (sizeof *all.writes + STEM_SESSION_KEY_LEN));
    if (!all.writes)
        return stem_fail(STEM_ENOMEM, "no memory for the record of a session");
    all.next_key = (char *)(all.writes + most);
    for (size_t i = 0; i < n_ending; i++)
        add_end(&all, ending[i]);
    int code = beginning ? add_beginning(&all, beginning) : STEM_OK;
    if (code == STEM_OK) {
        const stem_commit made = {
            .writes = all.writes, .n_writes = all.n_writes, .through = true};

        code = engine->ops->commit(engine, &made, &failed);
    }
    free(all.record.data);
    free(all.writes);
    return code;
}
