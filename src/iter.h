/*
 * An iterator, shared by the files that make it up: iter.c opens it, seeks and shows the entry;
 * iter_next.c steps; iter_position.c remembers where it stands, and goes there.
 */
#ifndef STEM_ITER_H
#define STEM_ITER_H

#include "db.h"
#include "error.h"

enum { STEM_ITER_KEPT_INLINE = 256 };

/* Where a walk stands: at its start, or by the path that is kept. */
enum stem_iter_position {
    STEM_ITER_START,
    STEM_ITER_AT,    /* the path is to come */
    STEM_ITER_LEFT,  /* what lies below it is over; in reverse its value is to come */
    STEM_ITER_BEHIND /* it has been given; of names, what lies below it is over too */
};

/* What the next step meets first. */
enum stem_iter_pending {
    STEM_ITER_NOTHING,
    STEM_ITER_AHEAD,  /* an entry that was looked at already, lent by the engine */
    STEM_ITER_PASSING /* perhaps the very key that was sought, to be passed over */
};

struct stem_iter {
    stem_db *place;        /* a handle of its own: engine, snapshot and prefix */
    const char *operation; /* what it is part of, for the text of a failure */
    stem_engine_iter *entries;
    const stem_engine_ops *ops;
    bool is_reverse, keys_only, shallow, names_only;
    bool resumes;  /* goes on in another state when the one it walks is gone */
    bool is_fresh; /* no step has answered yet: another state will do as well */
    uint64_t left; /* entries that the limit leaves to be given */
    int code;      /* the first failure */

    /* The entry stepped to. */
    bool has_entry;
    int kind; /* STEM_HAS_VALUE, STEM_HAS_CHILDREN */
    const char
        *key; /* the path below the handle, a NUL behind it; the engine's, or kept */
    size_t key_len; /* without that NUL */
    stem_value value;
    const char **names; /* filled on demand by stem_iter_path */
    size_t names_room;
    char *held; /* the bytes of a value that must outlive the engine's step, or NULL */
    size_t held_room;

    enum stem_iter_pending pending;
    stem_slice ahead_key, ahead_value;

    stem_span span;  /* to be opened again: of a walk that resumes, or is fresh */
    stem_db *sought; /* where a seek has sent a fresh walk; NULL is its start */
    unsigned n_gone; /* states that were gone since it got anywhere */
    enum stem_iter_position position; /* of what resumes, of names, and of seeks */

    /* The path that outlives the engine's step, in stored form: behind the handle's prefix, and
     * with a NUL behind it. */
    char *kept; /* NULL before the first; `kept_inline` until it must be larger */
    size_t kept_room;
    size_t kept_len; /* of the path below the handle */
    char kept_inline[STEM_ITER_KEPT_INLINE];
};

/* Keeps the first `len` bytes of a path below the handle, and makes them iter->key. On failure,
 * STEM_ENOMEM, what was kept stays. */
int stem_iter_keep(stem_iter *iter, stem_slice path, size_t len);
/* The same with the whole path of a place below the iterator's handle. */
int stem_iter_keep_place(stem_iter *iter, const stem_db *place);
/* Lets the next step arrive there, or at what comes next; a code of the engine's. */
int stem_iter_go_to(stem_iter *iter, enum stem_iter_position position);
/* While one is to be passed over: whether it is this one, a path below the handle. */
bool stem_iter_is_passed(const stem_iter *iter, stem_slice path);

/* Opens the engine's iterator over iter->span, and goes to where the walk stands. */
int stem_iter_enter(stem_iter *iter);
/* After `code` has ended a step or a seek of a walk that resumes, or is fresh: as long as it is
 * STEM_EGONE, enters another state and takes the step there; NULL is none to take. When that
 * has come to an answer the thread's last failure is what it was `before`. */
int stem_iter_resume(stem_iter *iter, int code, int (*step)(stem_iter *),
                     const stem_failure *before);

#endif
