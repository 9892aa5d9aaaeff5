/*
 * COMMAND, and HELP of the commands that have subcommands: what the table says of itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_own.h"
#include "command_rows.h"
#include "pattern.h"

static bool has_below(const stem_command *parent, const stem_command *command)
{
    return (parent->flags & STEM_COMMAND_PARENT) &&
           stem_command_is_below(command, parent);
}

static size_t count_below(const stem_command *parent)
{
    size_t n = 0;

    for (const stem_command *each = stem_commands; each->name; each++)
        n += has_below(parent, each);
    return n;
}

static bool is_subcommand(const stem_command *command)
{
    return strchr(command->name, '|') != NULL;
}

static size_t count_commands(void)
{
    size_t n = 0;

    for (const stem_command *each = stem_commands; each->name; each++)
        n += !is_subcommand(each);
    return n;
}

static void reply_name(stem_reply *reply, const stem_command *command)
{
    char name[STEM_COMMAND_NAME_MAX + 1];

    stem_reply_bulk(reply, name, stem_command_lower(command, name));
}

/* ---- COMMAND, COMMAND INFO -------------------------------------------------------- */

/* Words that hold of a command, as Redis has them. */
typedef struct words {
    const char *all[8];
    size_t n;
} words;

static void add_word(words *to, const char *word, bool holds)
{
    if (holds)
        to->all[to->n++] = word;
}

static words flags_of(const stem_command *command)
{
    const unsigned flags = command->flags;
    words of = {.n = 0};

    add_word(&of, "write", flags & STEM_COMMAND_WRITES);
    add_word(&of, "readonly",
             !(flags & STEM_COMMAND_WRITES) && (flags & STEM_COMMAND_READS));
    add_word(&of, "admin", flags & STEM_COMMAND_ADMIN);
    add_word(&of, "no_auth", flags & STEM_COMMAND_NO_AUTH);
    add_word(&of, "no_multi", flags & STEM_COMMAND_NO_MULTI);
    return of;
}

/* The categories of Redis's access lists: Stem has rights instead, and these are told for
 * clients that ask. */
static words categories_of(const stem_command *command)
{
    const unsigned flags = command->flags;
    const char *group = command->group;
    words of = {.n = 0};

    add_word(&of, "@keyspace", strcmp(group, "generic") == 0);
    add_word(&of, "@write", flags & STEM_COMMAND_WRITES);
    add_word(&of, "@read",
             !(flags & STEM_COMMAND_WRITES) && (flags & STEM_COMMAND_READS));
    add_word(&of, "@string", strcmp(group, "string") == 0);
    add_word(&of, "@admin", flags & STEM_COMMAND_ADMIN);
    add_word(&of, "@connection", strcmp(group, "connection") == 0);
    add_word(&of, "@transaction", strcmp(group, "transactions") == 0);
    return of;
}

static void reply_words(stem_reply *reply, const words *of)
{
    stem_reply_set(reply, of->n);
    for (size_t i = 0; i < of->n; i++)
        stem_reply_status(reply, of->all[i]);
}

/* Where the keys of a request are, as clients of a cluster look for it: the same as the three
 * numbers, the last key counted from the first. */
static void specify_keys(stem_reply *reply, const stem_command *command)
{
    const int first = command->first_key, last = command->last_key;

    stem_reply_array(reply, first > 0);
    if (first == 0)
        return;
    stem_reply_map(reply, 3);
    stem_reply_text(reply, "flags");
    stem_reply_set(reply, 1);
    stem_reply_status(reply, command->flags & STEM_COMMAND_WRITES ? "RW" : "RO");
    stem_reply_text(reply, "begin_search");
    stem_reply_map(reply, 2);
    stem_reply_text(reply, "type");
    stem_reply_text(reply, "index");
    stem_reply_text(reply, "spec");
    stem_reply_map(reply, 1);
    stem_reply_text(reply, "index");
    stem_reply_integer(reply, first);
    stem_reply_text(reply, "find_keys");
    stem_reply_map(reply, 2);
    stem_reply_text(reply, "type");
    stem_reply_text(reply, "range");
    stem_reply_text(reply, "spec");
    stem_reply_map(reply, 3);
    stem_reply_text(reply, "lastkey");
    stem_reply_integer(reply, last < 0 ? last : last - first);
    stem_reply_text(reply, "keystep");
    stem_reply_integer(reply, command->key_step);
    stem_reply_text(reply, "limit");
    stem_reply_integer(reply, 0);
}

/* The ten things that Redis 7 tells of a command; hints there are none. Subcommands have none below them, so that this goes two deep at most. */
static void describe(stem_reply *reply, const stem_command *command)
{
    const words flags = flags_of(command), categories = categories_of(command);

    stem_reply_array(reply, 10);
    reply_name(reply, command);
    stem_reply_integer(reply, command->arity);
    reply_words(reply, &flags);
    stem_reply_integer(reply, command->first_key);
    stem_reply_integer(reply, command->last_key);
    stem_reply_integer(reply, command->key_step);
    reply_words(reply, &categories);
    stem_reply_set(reply, 0);
    specify_keys(reply, command);
    stem_reply_array(reply, count_below(command));
    for (const stem_command *each = stem_commands; each->name; each++)
        if (has_below(command, each))
            describe(reply, each);
}

static int describe_all(stem_request *request)
{
    stem_reply_array(request->reply, count_commands());
    for (const stem_command *each = stem_commands; each->name; each++)
        if (!is_subcommand(each))
            describe(request->reply, each);
    return STEM_OK;
}

int stem_run_command(stem_request *request)
{
    return describe_all(request);
}

int stem_run_command_count(stem_request *request)
{
    stem_reply_integer(request->reply, (int64_t)count_commands());
    return STEM_OK;
}

/* Whether a request names no more commands than are looked up at once; replies when not. */
static bool has_few(stem_request *request)
{
    if (request->n_args - 2 <= STEM_FEW_WORDS)
        return true;
    stem_reply_error(request->reply, "ERR too many command names");
    return false;
}

int stem_run_command_info(stem_request *request)
{
    if (request->n_args == 2)
        return describe_all(request);
    if (!has_few(request))
        return STEM_OK;
    stem_reply_array(request->reply, request->n_args - 2);
    for (size_t i = 2; i < request->n_args; i++) {
        const stem_command *command = stem_command_find(request->args[i]);

        if (command)
            describe(request->reply, command);
        else
            stem_reply_null(request->reply);
    }
    return stem_request_goes_on(request);
}

/* ---- COMMAND DOCS, LIST ----------------------------------------------------------- */

static void document(stem_reply *reply, const stem_command *command)
{
    const size_t n = count_below(command);

    reply_name(reply, command);
    stem_reply_map(reply, n > 0 ? 3 : 2);
    stem_reply_text(reply, "summary");
    stem_reply_text(reply, command->summary);
    stem_reply_text(reply, "group");
    stem_reply_text(reply, command->group);
    if (n == 0)
        return;
    stem_reply_text(reply, "subcommands");
    stem_reply_map(reply, n);
    for (const stem_command *each = stem_commands; each->name; each++)
        if (has_below(command, each))
            document(reply, each);
}

int stem_run_command_docs(stem_request *request)
{
    stem_reply *reply = request->reply;
    size_t n = 0;

    if (request->n_args == 2) {
        stem_reply_map(reply, count_commands());
        for (const stem_command *each = stem_commands; each->name; each++)
            if (!is_subcommand(each))
                document(reply, each);
        return STEM_OK;
    }
    if (!has_few(request))
        return STEM_OK;
    for (size_t i = 2; i < request->n_args; i++)
        n += stem_command_find(request->args[i]) != NULL;
    stem_reply_map(reply, n);
    for (size_t i = 2; i < request->n_args; i++) {
        const stem_command *command = stem_command_find(request->args[i]);

        if (command)
            document(reply, command);
    }
    return stem_request_goes_on(request);
}

/* What COMMAND LIST shows: all, with neither. */
typedef struct filter {
    stem_pattern *pattern;
    bool has_category;
    stem_slice category;
} filter;

static void to_lower(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] + ('a' - 'A'));
}

int stem_request_name_pattern(stem_request *request, size_t arg, stem_pattern **pattern)
{
    const stem_slice sent = request->args[arg];
    char lower[STEM_PATTERN_MAX];

    if (sent.len > sizeof lower)
        return stem_refuse(request, "ERR pattern is too long");
    memcpy(lower, sent.data, sent.len);
    to_lower(lower, sent.len);
    *pattern = stem_pattern_make((stem_slice){lower, sent.len});
    return *pattern ? STEM_OK : STEM_ENOMEM;
}

static bool is_in_category(const stem_command *command, stem_slice category)
{
    const words of = categories_of(command);

    for (size_t i = 0; i < of.n; i++) {
        const char *name = of.all[i] + 1; /* behind the '@' */

        if (stem_slice_compare((stem_slice){name, strlen(name)}, category) == 0)
            return true;
    }
    return false;
}

static bool passes(const filter *by, const stem_command *command)
{
    char name[STEM_COMMAND_NAME_MAX + 1];
    const stem_slice text = {name, stem_command_lower(command, name)};

    if (by->pattern)
        return stem_pattern_matches(by->pattern, text);
    return !by->has_category || is_in_category(command, by->category);
}

static int read_filter(stem_request *request, filter *by)
{
    const stem_slice *args = request->args;

    if (request->n_args == 2)
        return STEM_OK;
    if (request->n_args != 5 || !stem_word_is(args[2], "FILTERBY"))
        return stem_refuse_syntax(request);
    if (stem_word_is(args[3], "PATTERN"))
        return stem_request_name_pattern(request, 4, &by->pattern);
    if (!stem_word_is(args[3], "ACLCAT") && !stem_word_is(args[3], "MODULE"))
        return stem_refuse_syntax(request);
    by->has_category = true; /* of a module there is none */
    if (stem_word_is(args[3], "ACLCAT"))
        by->category = args[4];
    return STEM_OK;
}

int stem_run_command_list(stem_request *request)
{
    filter by = {0};
    size_t n = 0;

    int code = read_filter(request, &by);
    if (code != STEM_OK)
        return stem_answered(code);
    for (const stem_command *each = stem_commands; each->name; each++)
        n += passes(&by, each);
    stem_reply_array(request->reply, n);
    for (const stem_command *each = stem_commands; each->name; each++)
        if (passes(&by, each))
            reply_name(request->reply, each);
    free(by.pattern);
    return STEM_OK;
}

/* ---- COMMAND GETKEYS, HELP -------------------------------------------------------- */

int stem_run_command_getkeys(stem_request *request)
{
    const stem_slice *args = request->args + 2;
    const size_t n_args = request->n_args - 2;
    stem_reply *reply = request->reply;
    const stem_command *parent;
    const stem_command *command = stem_command_of(args, n_args, &parent);

    if (!command) {
        stem_reply_error(reply, "ERR Invalid command specified");
        return STEM_OK;
    }
    if (command->first_key == 0) {
        stem_reply_error(reply, "ERR The command has no key arguments");
        return STEM_OK;
    }
    if (!stem_command_fits(command, n_args)) {
        stem_reply_error(reply, "ERR Invalid number of arguments specified for command");
        return STEM_OK;
    }
    const size_t first = (size_t)command->first_key, step = (size_t)command->key_step;
    const size_t last = command->last_key < 0 ? n_args - 1 : (size_t)command->last_key;
    stem_reply_array(reply, (last - first) / step + 1);
    for (size_t i = first; i <= last; i += step)
        stem_reply_bulk(reply, args[i].data, args[i].len);
    return stem_request_goes_on(request);
}

static void reply_line(stem_reply *reply, const char *before, const char *text,
                       const char *after)
{
    char line[160];

    snprintf(line, sizeof line, "%s%s%s", before, text, after);
    stem_reply_status(reply, line);
}

int stem_run_help(stem_request *request)
{
    const stem_command *parent = stem_command_find(request->args[0]);
    stem_reply *reply = request->reply;

    stem_reply_array(reply, 1 + 2 * count_below(parent));
    reply_line(reply, parent->name,
               " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", "");
    for (const stem_command *each = stem_commands; each->name; each++) {
        if (!has_below(parent, each))
            continue;
        reply_line(reply, strchr(each->name, '|') + 1, "", "");
        reply_line(reply, "    ", each->summary, ".");
    }
    return STEM_OK;
}
