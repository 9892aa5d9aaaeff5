/*
 * The commands that a server knows: a table, and how each is run. A command sees its words,
 * the scope that its keys are below, and an execution; it knows nothing of connections. Those
 * that are about the connection or the server (AUTH, CLIENT, INFO, ...) get the connection.
 */
#ifndef STEM_NET_COMMAND_H
#define STEM_NET_COMMAND_H

#include "execution.h"
#include "resp.h"

struct stem_cursors;
struct stem_sessions;
struct stem_snapshots;
struct stem_id;
struct stem_connection;

/* Who asks, and what is kept for them between one request and the next: for the commands that
 * see more than an execution. Safe to read from several threads at once. */
typedef struct stem_caller {
    stem_engine *engine; /* the one below the execution */
    struct stem_cursors *cursors;
    struct stem_snapshots *snapshots;
    struct stem_sessions *sessions;
    stem_slice user;   /* empty for nobody */
    stem_slice holder; /* whose snapshots: the session's id, or the connection's */
    const struct stem_id *session; /* that it is attached to, or NULL */
    unsigned slot;
    bool can_admin;
    size_t max_text_bytes; /* of a text that a short request can make (SETRANGE) */
    bool may_serve; /* shares the database: a server of its own has its sessions here */
    const stem_options *settings; /* of a shared database; NULL for another */
    atomic_bool is_gone; /* nobody waits for an answer: what takes long may give up */
} stem_caller;

/* One command to be run. */
typedef struct stem_request {
    const stem_slice *args; /* args[0] is the command's name, as it was sent */
    size_t n_args;
    stem_slice scope;      /* stored bytes, each component with a NUL behind it */
    bool has_raw_keys;     /* keys of STEM.* come as they are stored (docs/wire.md) */
    bool has_literal_keys; /* keys of all others are one component, byte for byte */
    stem_execution *on;
    stem_reply *reply;
    const stem_caller *peer; /* NULL where none of SCAN and STEM.* is run */
    bool wants_sync;         /* set by a command whose commit is to be synced */
} stem_request;

/* More words of a request than these are not each looked up by commands about the server, which
 * run in one step. */
enum { STEM_FEW_WORDS = 1000 };

/* A command that takes long: it is run in steps of about a millisecond, between which others
 * are served. */
typedef struct stem_job {
    /* Goes on for a step. When it is done `*is_done` is set, and one reply was added; on
     * failure whatever was added is taken back by the caller. */
    int (*step)(struct stem_job *job, stem_reply *reply, bool *is_done);
    void (*free)(struct stem_job *job);
    size_t held_bytes; /* memory of what it has found so far, which step keeps up */
} stem_job;

enum stem_command_flags {
    STEM_COMMAND_READS = 1,     /* wants the right to read */
    STEM_COMMAND_WRITES = 2,    /* wants the right to write */
    STEM_COMMAND_ADMIN = 4,     /* wants the right to administer */
    STEM_COMMAND_PARENT = 8,    /* its second word names a row below it, "CLIENT|LIST" */
    STEM_COMMAND_NO_MULTI = 16, /* refused between MULTI and EXEC */
    STEM_COMMAND_NO_AUTH = 32,  /* may come before AUTH */
    STEM_COMMAND_BLOCKS = 64, /* waits for the disk: run where nobody else waits for it */
    /* Looks at the engine and not at the execution: what came before it on its connection is
     * to be committed first. So do all that BLOCKS, and those that are started. */
    STEM_COMMAND_LANDED = 128,
    STEM_COMMAND_SWEEPS = 256,    /* of those that BLOCK: goes over all that there is */
    STEM_COMMAND_AT_ONCE = 512,   /* served between MULTI and EXEC, too, and not queued */
    STEM_COMMAND_EXECUTES = 1024, /* EXEC */
    STEM_COMMAND_QUICK = 2048     /* looks at its words alone, and begins no turn */
};

/* Serves a command that is about the connection or the server, on the thread that has the loop;
 * it adds one reply, or starts what will. */
typedef void stem_serve_fn(struct stem_connection *connection, const stem_slice *args,
                           size_t n_args);

typedef struct stem_command {
    const char *name; /* upper case */
    int arity;        /* as Redis has it: words with the name, -n for at least n */
    unsigned flags;
    int first_key, last_key, key_step; /* as COMMAND tells them; 0 for none */
    const char *group, *summary;       /* for COMMAND DOCS */

    /* Exactly one of these three, but for EXEC and a PARENT. `run` adds exactly one reply.
     * STEM_OK also when that is an error of the command's own (WRONGTYPE), which has written
     * nothing; another answer is a failure of the engine, after which the caller takes back
     * reply and writes and answers in its own words. */
    int (*run)(stem_request *request);
    /* The words of the request, its scope and its execution do not outlive the call. With
     * STEM_OK `*job` is NULL when one reply was added already: an error of the command's own. */
    int (*start)(stem_request *request, stem_engine *engine, stem_job **job);
    stem_serve_fn *serve;
} stem_command;

/* The table (command_table.c), ended by a NULL name. */
extern const stem_command stem_commands[];

/* The row of that name, in whatever case, or NULL; "client|list" is one, too. */
const stem_command *stem_command_find(stem_slice name);
/* The row of a request. NULL when there is none; `*parent` then is the command that has no such
 * subcommand, or NULL. */
const stem_command *stem_command_of(const stem_slice *args, size_t n_args,
                                    const stem_command **parent);
/* Whether it is a subcommand of the other. */
bool stem_command_is_below(const stem_command *command, const stem_command *parent);
/* Whether so many words, the name among them, can be a request of the command. */
bool stem_command_fits(const stem_command *command, size_t n_args);
/* The name as errors and COMMAND have it, in lower case; its length. */
enum { STEM_COMMAND_NAME_MAX = 24 };
size_t stem_command_lower(const stem_command *command,
                          char name[STEM_COMMAND_NAME_MAX + 1]);
/* An error with the command's name, in quotes, between two texts. */
void stem_reply_about(stem_reply *reply, const char *before, const stem_command *command,
                      const char *after);
/* The error that Redis has for a wrong number of words. */
void stem_reply_arity(stem_reply *reply, const stem_command *command);
/* The error for a request of which there is no row: it names what was sent, escaped and cut. */
void stem_reply_unknown(stem_reply *reply, const stem_slice *args, size_t n_args,
                        const stem_command *parent);
/* `before`, a word that was sent, escaped and cut, and `after`, in a text of that size. */
void stem_command_quote(const char *before, stem_slice word, const char *after,
                        char *text, size_t size);
/* What this request wants of STEM_COMMAND_READS, _WRITES and _ADMIN: what the table says, and
 * what its options add (SET with GET reads). */
unsigned stem_command_wants(const stem_command *command, const stem_slice *args,
                            size_t n_args);
/* The table, for COMMAND. */
const stem_command *stem_command_at(size_t i); /* NULL behind the last */

/* ---- Keys and values as the commands have them (net/key.c) -------------------------- */

/* The stored form of a key that was sent: the scope, and the path below it, which must be in
 * canonical text form (or stored form, where the request has raw keys). Memory of the
 * execution's. STEM_EINVAL after having replied with an error; STEM_ENOMEM. */
int stem_request_key(stem_request *request, size_t arg, stem_slice *stored);

/* The canonical text form of stored bytes below the scope, added to a buffer. */
void stem_key_text(stem_slice below, stem_buffer *out);
/* A stored key below the scope as the request would name it, added to a buffer: the canonical
 * text form, or where keys are literal the bytes themselves. */
void stem_request_key_text(const stem_request *request, stem_slice below,
                           stem_buffer *out);
/* Whether the request can name a stored key, given below the scope: where keys are literal, not
 * what lies in sub-databases. */
bool stem_request_shows(const stem_request *request, stem_slice below);

#endif
