/*
 * Commands run one after the other, as one commit: each reads what the engine has and what
 * those before it have written, nothing of it is in the engine until stem_execution_commit,
 * and what was read is expected of it then, so that whoever else writes to the engine is never
 * overwritten unseen.
 *
 * Belongs to one thread at a time.
 */
#ifndef STEM_NET_EXECUTION_H
#define STEM_NET_EXECUTION_H

#include "../engine.h"

typedef struct stem_execution stem_execution;

/* NULL when there is no memory. */
stem_execution *stem_execution_new(stem_engine *engine);
void stem_execution_free(stem_execution *execution);

/* From here on, until the next call or the reset, a limit of its own holds for what is taken,
 * read and written, whatever was before: what several do that share the execution is counted
 * apart. */
void stem_execution_begin(stem_execution *execution);

/* Forgets everything: what was read, written and handed out. Keeps a moderate amount of memory
 * for the next time. */
void stem_execution_reset(stem_execution *execution);

/* The engine that it is over, for its limits. */
const stem_engine *stem_execution_engine(const stem_execution *execution);

/* Reads, until the next reset, go to the engine as it is at each call, and leave no expectations
 * behind: for commands that write nothing and need not agree with each other. A write is refused
 * with STEM_EREADONLY. To be called before anything is read or written. */
void stem_execution_only_reads(stem_execution *execution);

/* The bytes stored under `n` stored keys; borrowed until the reset. `data` is NULL where there is
 * no such key. By the time of the commit it is certain that all of them are from one state of the
 * engine; among commands that only read, at once. STEM_ENOMEM also when it comes to more than
 * twice what the engine takes in one commit. */
int stem_execution_read(stem_execution *execution, const stem_slice *keys, size_t n,
                        stem_slice *values);

/* Takes one value after the other, borrowed for the call; `data` is NULL where there is no such
 * key. What it answers but STEM_OK ends the reading. */
typedef int stem_execution_visitor(void *context, stem_slice value);

/* Shows `visit` what stem_execution_read would give, or with a snapshot what that has, key after
 * key. With a snapshot, and among commands that only read, all of it is from one state, and no
 * more than a portion is in memory at a time, however much there is. */
int stem_execution_read_each(stem_execution *execution,
                             const stem_engine_snapshot *snapshot, const stem_slice *keys,
                             size_t n, stem_execution_visitor *visit, void *context);

/* What is told of a key without reading what it holds: whether it is there, and of its value the
 * length and the first bytes, STEM_SHORT_VALUE of them or all. */
typedef struct stem_look {
    bool is_there;
    size_t len;
    stem_slice head; /* borrowed until the reset */
} stem_look;
int stem_execution_look(stem_execution *execution, stem_slice key, stem_look *look);

/* Whether there is each of `n` stored keys: as stem_execution_read, but that no value is kept
 * which the engine can vouch for. */
int stem_execution_has(stem_execution *execution, const stem_slice *keys, size_t n,
                       bool *is_there);
/* Whether the byte range [start, end) holds no key; an empty `end` is no upper bound. */
int stem_execution_is_empty(stem_execution *execution, stem_slice start, stem_slice end,
                            bool *is_empty);

/* All copy. STEM_ENOMEM alone. What is known not to be there is not deleted. */
int stem_execution_put(stem_execution *execution, stem_slice key, stem_slice value);
/* The same of a value that lies in memory of the execution's, and is not copied. */
int stem_execution_put_own(stem_execution *execution, stem_slice key, stem_slice value);
/* The same, where `*value` is for the caller to fill with `len` bytes at once. */
int stem_execution_put_room(stem_execution *execution, stem_slice key, size_t len,
                            char **value);
int stem_execution_delete(stem_execution *execution, stem_slice key);

/* Memory until the reset; NULL, after stem_fail, when there is none, or when it would come to
 * more than twice what the engine takes in one commit. */
void *stem_execution_room(stem_execution *execution, size_t bytes);

/* What it would commit. */
size_t stem_execution_writes(const stem_execution *execution);
size_t stem_execution_bytes(const stem_execution *execution);
/* What the bytes have grown by since the last stem_execution_begin. */
size_t stem_execution_own_bytes(const stem_execution *execution);
/* The memory that it has handed out, copied and read into, replaced writes included. */
size_t stem_execution_memory(const stem_execution *execution);

/* Has the next commit ask the engine whether all that was read holds, with no writes too: for
 * answers that must not rest on a state that others are about to replace. Until the reset. */
void stem_execution_insist(stem_execution *execution);

/* Takes back every write since the mark. What was read since stays expected, for what comes
 * after may rest on it. */
typedef struct stem_execution_mark {
    size_t writes;
} stem_execution_mark;
stem_execution_mark stem_execution_note(const stem_execution *execution);
void stem_execution_take_back(stem_execution *execution, stem_execution_mark mark);

/* Writes it all as one commit of the engine, which survives the process. STEM_CONFLICT when something it has read is
 * different by now: reset it and run the commands again. Otherwise the engine's answer. With no
 * writes, that all it has read was there at one moment; nobody is asked where it was read at
 * once. The execution is to be reset afterwards. */
int stem_execution_commit(stem_execution *execution, bool sync);

#endif
