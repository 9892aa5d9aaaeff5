/*
 * Logging in beside the event loop. A password takes some 50 ms and 64 MiB to check:
 * threads of their own do it, one login after the other. A login waits its turn for as long as
 * it takes; their number is the caller's to bound, one a connection.
 *
 * Peers take turns, so that many logins of one delay another's by one check each; those that
 * owe for a failure come behind those that do not. A peer that fails too often is refused.
 * Logins with the same user and password as one that is granted are granted with it: the
 * clients that a program opens at once wait for one check. Nothing of a password is kept once
 * no login with it waits.
 *
 * Any thread may call these; nobody else calls anything any more when the pool is closed.
 * After fork() it is the parent's alone.
 */
#ifndef STEM_NET_LOGIN_H
#define STEM_NET_LOGIN_H

#include "access.h"
#include "peer.h"

typedef struct stem_login stem_login;

enum stem_login_outcome {
    STEM_LOGIN_WAITS,    /* of stem_login_start alone: the callback will be called */
    STEM_LOGIN_GRANTED,  /* it is the user's password */
    STEM_LOGIN_REFUSED,  /* it is not, or there is no such user: nobody is told which */
    STEM_LOGIN_TOO_MANY, /* the peer has failed too often lately; nothing was checked */
    STEM_LOGIN_FAILED,   /* no memory to find out; stem_login_start has said so */
    STEM_LOGIN_STOPPED   /* the pool was closed before its turn came */
};

enum { STEM_LOGIN_MAX_THREADS = 16 };

/* 0 is the default of each. */
typedef struct stem_login_options {
    unsigned threads;             /* 1; at most STEM_LOGIN_MAX_THREADS */
    unsigned failures_per_second; /* of one peer; 5 */
} stem_login_options;

/* Called once for each login that waits and is not cancelled, on a thread of the pool's
 * (or, with STEM_LOGIN_STOPPED, on the one that closes it), without a lock. `user` is
 * NULL unless it is granted, and borrowed from the access list, which is counted until
 * the callback returns. */
typedef void stem_login_done(void *argument, enum stem_login_outcome outcome,
                             const stem_user *user);

typedef struct stem_login_request {
    stem_access *access; /* counted by the pool for as long as it needs it */
    /* Copied, but for what is longer than any name or password, which is refused as it is; the
     * copy is wiped once there is an outcome. */
    stem_slice user, password;
    const char *peer; /* copied; as stem_peer_of has it */
    stem_login_done *done;
    void *argument;
} stem_login_request;

/* STEM_EINVAL, STEM_ENOMEM, STEM_EIO when there is no thread to be had. */
int stem_login_open(const stem_login_options *options, stem_login **login);
/* Waits for what is under way, and tells those that wait that there will be nothing. NULL
 * is nothing. */
void stem_login_close(stem_login *login);

/* Never blocks. Anything but STEM_LOGIN_WAITS is the outcome, and there will be no
 * callback. The ticket, never 0, is set when it waits. */
enum stem_login_outcome
stem_login_start(stem_login *login, const stem_login_request *request, uint64_t *ticket);

/* For a connection that has gone; never blocks. True: the callback will never be called.
 * False: it was called, is being called at this moment or will be very soon, or there is
 * no such ticket. What is under way is finished, and counts when it is a failure. */
bool stem_login_cancel(stem_login *login, uint64_t ticket);

#endif
