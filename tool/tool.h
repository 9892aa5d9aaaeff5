/*
 * What the subcommands of `stem` share: how they are described and called, how they read
 * their arguments, find their place in a database, and speak to people.
 */
#ifndef STEM_TOOL_H
#define STEM_TOOL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "stem.h"

/* Exit statuses. */
enum { DONE = 0, NOT_FOUND = 1, USAGE = 2, FAILED = 3 };

typedef struct command {
    const char *name;
    const char *other_name; /* NULL for most */
    const char *operands;   /* "LOCATION PATH [VALUE]" */
    const char *summary;    /* one line, lower case, without a full stop */
    const char *help;       /* what follows the usage line of --help */
    int min_operands, max_operands;
    const char *letters;          /* of short options, as getopt has them */
    const struct option *options; /* their long names but --help, ended by zeros */
    int (*run)(const struct command *command, int argc, char **argv);
} command;

extern const command put_command, get_command, incr_command, pop_command, cp_command,
    mv_command, rm_command, ls_command, tree_command, count_command, batch_command,
    import_command, export_command, stat_command, serve_command, passwd_command;

void print_help(const command *which);

/* ---- arguments.c ------------------------------------------------------------------ */

enum { ANY_NUMBER = 1 << 30 }; /* of operands */
enum { MAX_OPTIONS = 40 };     /* of a command, with long names */

/* Reading a command line: options and operands in any order, operands kept. */
typedef struct arguments {
    const command *command;
    int argc;
    char **argv;
    char letters[16];
    struct option options[MAX_OPTIONS + 2]; /* the command's, and --help */
    /* Gathered at the start of argv, whose words there have been read. When all are, NULL
     * stands for each that is missing, at least two behind those that must be given. */
    char **operands;
    int n_operands;
} arguments;

/* The first word of `argv` is the command's name. */
void arguments_start(arguments *args, const command *which, int argc, char **argv);
/* The next option, its value in `optarg`; -1 at the end. Whatever is wrong, and --help,
 * ends the program. */
int arguments_next(arguments *args);

/* The number that an option was given, from `least` to `most`, or for a count from 1 to the largest
 * there is, which stands for all beyond it. What is none ends the program. */
size_t parse_number(const command *which, const char *option, const char *text,
                    size_t least, size_t most);
size_t parse_count(const command *which, const char *option, const char *text);

/* Says what is wrong with the command line and ends the program. */
_Noreturn void usage_error(const command *which, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- waiting.c -------------------------------------------------------------------- */

/* Between the two calls, which do not nest, a person at a terminal is told on standard error
 * once they are more than a second apart. */
void begin_waiting(const char *location);
void end_waiting(void);

/* ---- text.c ----------------------------------------------------------------------- */

/* Prints "stem: ...", each line of it so, and made safe for a terminal. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The status of a command that has gone on after the first. */
int worse_status(int status, int other);

/* The exit status for a failure of the library's, after saying what it was. */
int complain_code(int code);

/* Asks a person who sits at standard input; anything but an answer with 'y' is no. */
bool ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes that a terminal can be shown: what is not printable in this locale as \n, \t or
 * \xHH, cut after `max_columns` (0: never), in quotes when `quote` is not 0. Owned. */
char *safe_text(const char *data, size_t len, size_t max_columns, char quote);

/* How many columns a terminal needs for a text that is safe. */
size_t columns_of(const char *text);

/* "12 B", "3.4 KiB". */
const char *size_text(uint64_t bytes, char buffer[32]);

/* "1 entry", "1,234 entries". */
const char *entries_text(uint64_t n, char buffer[48]);

bool locale_is_utf8(void);

/* Whether anything printed is lost; says so once, unless its reader has gone. */
bool output_failed(void);

/* Whether that is because the reader of a pipe has gone, as `head` does. */
bool reader_has_gone(void);

/* The status that the process may end with: FAILED when anything printed is lost. A reader
 * that has gone ends the process here, as SIGPIPE does. */
int output_status(int status);

/* malloc's kin that end the program with a word when there is no memory. */
void *need_memory(void *block);
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- describe.c ------------------------------------------------------------------- */

/* "int", "list[3]", "f32[2×3]"; owned. */
char *type_text(const stem_value *value);
/* The bytes of what has a size of its own; false for other values. */
bool payload_size(const stem_value *value, uint64_t *bytes);
/* The value in a few words, without its type; owned, "" when the type says it all. */
char *short_text(const stem_value *value);

/* ---- print.c ---------------------------------------------------------------------- */

/* The options that say how a value is printed, above what getopt uses itself. */
enum { FORM_BARE = 256, FORM_JSON, FORM_RAW, FORM_PRETTY, FORM_PLAIN, FORM_END };

typedef struct form {
    int kind;  /* FORM_BARE, FORM_JSON or FORM_RAW */
    int flags; /* of stem_json_format */
} form;

void form_option(const command *which, form *how, int option);

int print_value(const command *which, const stem_value *value, const form *how);

/* Prints a text and a line end; to a terminal nothing that it would obey. */
void print_text(const char *text, size_t len);

/* ---- place.c ---------------------------------------------------------------------- */

/* Where a command works: the database, and the path in it. */
typedef struct place {
    const char *location;
    char *path; /* as it was given, without a '/' at its end; "" for none */
    stem_db *root;
    stem_db *parent; /* where the path's last name is a key */
    stem_db *inside; /* what lies below the path; the root when the path is empty */
    char **names;
    size_t n_names;
} place;

/* The names of a path, which may end in '/' as `stem ls` prints sub-databases; owned:
 * stem_free. NULL, with the cause in stem_errmsg, when it is none. */
char **names_of_path(const char *text, size_t *n);
/* The same for an operand, NULL for one that is missing. Ends the program when it is
 * none. */
char **parse_path(const command *which, const char *path, size_t *n);

enum place_mode { READING, WRITING, CREATING, CREATING_SYNCED };

/* Reads the path, ending the program when it is none, and opens the database: as it is at
 * this moment to read it; only CREATING makes one, and with SYNCED writes are on the disk
 * when they are answered. "mem:", which is gone at the command's end, ends the program.
 * DONE, or an exit status after saying why. close_place is due in either case. */
int open_place(const command *which, const char *location, const char *path,
               enum place_mode mode, place *where);
/* The same for another path in a database that is open. */
int open_place_beside(const command *which, const place *beside, const char *path,
                      place *where);
/* The status, or FAILED when closing fails. */
int close_place(place *where, int status);

/* Ends the program unless the path can be that of a value which is stored or removed: not
 * when it is empty, since the database itself holds none, nor when it ends in '/'. */
void need_key(const command *which, const char *path);
/* Ends the program when one of the paths, which NULL ends, is none, or is empty, with the
 * reason behind "PATH is empty". */
void check_paths(const command *which, char **paths, const char *reason);
/* The key of a path that is not empty. */
const char *place_key(const place *where);
/* Says that the path has no value of its own: when it is a sub-database, with advice what
 * to do about that; NOT_FOUND or FAILED. */
int complain_no_value(const place *where, const char *advice);
/* Says that nothing lies below the path, and whether it is a value; NOT_FOUND or
 * FAILED. */
int complain_nothing_below(const place *where);
/* Says that there is neither; NOT_FOUND. */
int complain_nothing(const place *where);

/* Reads the path's own value: DONE, NOT_FOUND in silence, FAILED. An empty path has
 * none. */
int read_own_value(const place *where, stem_value *value);

/* Whether anything lies below the path: DONE, NOT_FOUND in silence, FAILED. */
int find_anything_below(const place *where);

/* Whether the path has a value of its own, and whether anything lies below it; DONE,
 * NOT_FOUND in silence when neither, FAILED. */
int look_at_place(const place *where, bool *has_value, bool *has_below);

/* ---- transfer.c ------------------------------------------------------------------- */

/* What `stem cp` and `stem mv` do. */
int transfer(const command *which, int argc, char **argv);
extern const struct option transfer_options[];

/* ---- input.c ---------------------------------------------------------------------- */

/* All of a file, or with "-" of standard input, ended by a NUL that is not counted;
 * owned. NULL after saying why. */
char *read_input(const char *file, size_t *len);

#endif
