/*
 * The commands in one place: looking one up, which happens for every request, and what can be
 * said of a request before it is run.
 */
#include "command.h"

#include <pthread.h>
#include <stdio.h>

#include "command_own.h"
#include "command_rows.h"

enum { SLOTS = 512 };

/* An index of the table, made at the first use and never changed after. Half of the slots are
 * empty at least, so that most names are found, or missed, where they are looked for
 * first. */
static struct {
    pthread_once_t once;
    size_t n;
    const stem_command *slots[SLOTS];
} command_index = {.once = PTHREAD_ONCE_INIT};

static unsigned char upper(char c)
{
    return (unsigned char)(c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c);
}

/* By its ends, its middle and its length, which tell nearly all of them apart; `len` is not
 * 0. */
static size_t slot_of(const char *name, size_t len)
{
    const unsigned mixed = upper(name[0]) * 31U + upper(name[len / 2]) * 7U +
                           upper(name[len - 1]) * 101U + (unsigned)len * 57U;

    return mixed % SLOTS;
}

static void make_index(void)
{
    for (const stem_command *each = stem_commands; each->name; each++) {
        size_t slot = slot_of(each->name, strlen(each->name));

        if (command_index.n == SLOTS / 2)
            return;
        while (command_index.slots[slot])
            slot = (slot + 1) % SLOTS;
        command_index.slots[slot] = each;
        command_index.n++;
    }
}

bool stem_word_is(stem_slice word, const char *name)
{
    for (size_t i = 0; i < word.len; i++) {
        if (upper(word.data[i]) != (unsigned char)name[i] || !name[i])
            return false;
    }
    return !name[word.len];
}

const stem_command *stem_command_find(stem_slice name)
{
    pthread_once(&command_index.once, make_index);
    if (name.len == 0 || name.len > STEM_COMMAND_NAME_MAX)
        return NULL;
    for (size_t slot = slot_of(name.data, name.len); command_index.slots[slot];
         slot = (slot + 1) % SLOTS) {
        if (stem_word_is(name, command_index.slots[slot]->name))
            return command_index.slots[slot];
    }
    return NULL;
}

const stem_command *stem_command_at(size_t i)
{
    pthread_once(&command_index.once, make_index);
    return i < command_index.n ? &stem_commands[i] : NULL;
}

bool stem_command_is_below(const stem_command *command, const stem_command *parent)
{
    const size_t len = strlen(parent->name);

    return strncmp(command->name, parent->name, len) == 0 && command->name[len] == '|';
}

/* The row of "PARENT|WORD". */
static const stem_command *find_below(const stem_command *parent, stem_slice word)
{
    char name[STEM_COMMAND_NAME_MAX + 1];
    const size_t len = strlen(parent->name);

    if (len + 1 + word.len >= sizeof name)
        return NULL;
    memcpy(name, parent->name, len);
    name[len] = '|';
    memcpy(name + len + 1, word.data, word.len);
    return stem_command_find((stem_slice){name, len + 1 + word.len});
}

const stem_command *stem_command_of(const stem_slice *args, size_t n_args,
                                    const stem_command **parent)
{
    const stem_command *command = stem_command_find(args[0]);

    *parent = NULL;
    if (!command || memchr(command->name, '|', args[0].len))
        return NULL;
    if (!(command->flags & STEM_COMMAND_PARENT) || n_args == 1)
        return command;
    *parent = command;
    return find_below(command, args[1]);
}

size_t stem_command_lower(const stem_command *command,
                          char name[STEM_COMMAND_NAME_MAX + 1])
{
    size_t len = 0;

    for (; len < STEM_COMMAND_NAME_MAX && command->name[len]; len++) {
        const char c = command->name[len];
        name[len] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    name[len] = '\0';
    return len;
}

void stem_reply_about(stem_reply *reply, const char *before, const stem_command *command,
                      const char *after)
{
    enum { WORDS = 96 };
    char text[STEM_COMMAND_NAME_MAX + WORDS], name[STEM_COMMAND_NAME_MAX + 1];

    stem_command_lower(command, name);
    snprintf(text, sizeof text, "%s'%s'%s", before, name, after);
    stem_reply_error(reply, text);
}

/* ---- What is wrong with a request --------------------------------------------------- */

enum { QUOTED_MOST = 128 };

/* A text that is put together with words that were sent: what is not printable ASCII is
 * escaped, and it is cut where it gets long. */
typedef struct quoting {
    char *text;
    size_t size, len;
} quoting;

static void quote_text(quoting *to, const char *text)
{
    for (; *text && to->len < to->size - 1; text++)
        to->text[to->len++] = *text;
    to->text[to->len] = '\0';
}

/* At most `most` bytes of a word, escaped ones counted as they are written. */
static void quote_word(quoting *to, stem_slice word, size_t most)
{
    const size_t end = to->len + most;

    for (size_t i = 0; i < word.len; i++) {
        const unsigned char c = (unsigned char)word.data[i];
        const bool is_plain = c >= ' ' && c <= '~';
        char piece[8];

        snprintf(piece, sizeof piece, is_plain ? "%c" : "\\x%02X", (unsigned)c);
        if (to->len + strlen(piece) > end)
            return;
        quote_text(to, piece);
    }
}

void stem_command_quote(const char *before, stem_slice word, const char *after,
                        char *text, size_t size)
{
    quoting to = {.text = text, .size = size};
    const size_t around = strlen(before) + strlen(after) + 1;

    quote_text(&to, before);
    quote_word(&to, word, size > around ? size - around : 0);
    quote_text(&to, after);
}

void stem_reply_unknown(stem_reply *reply, const stem_slice *args, size_t n_args,
                        const stem_command *parent)
{
    char text[3 * QUOTED_MOST];
    quoting error = {.text = text, .size = sizeof text};

    quote_text(&error, parent ? "ERR unknown subcommand '" : "ERR unknown command '");
    quote_word(&error, args[parent ? 1 : 0], QUOTED_MOST);
    if (parent) {
        quote_text(&error, "'. Try ");
        quote_text(&error, parent->name);
        quote_text(&error, " HELP.");
    } else {
        quote_text(&error, "', with args beginning with: ");
        const size_t start = error.len;
        for (size_t i = 1; i < n_args && error.len - start < QUOTED_MOST; i++) {
            quote_text(&error, "'");
            quote_word(&error, args[i], QUOTED_MOST - (error.len - 1 - start));
            quote_text(&error, "' ");
        }
    }
    stem_reply_error(reply, text);
}

void stem_reply_arity(stem_reply *reply, const stem_command *command)
{
    stem_reply_about(reply, "ERR wrong number of arguments for ", command, " command");
}

bool stem_command_fits(const stem_command *command, size_t n_args)
{
    return command->arity >= 0 ? n_args == (size_t)command->arity
                               : n_args >= (size_t)-command->arity;
}

unsigned stem_command_wants(const stem_command *command, const stem_slice *args,
                            size_t n_args)
{
    unsigned wants =
        command->flags & (STEM_COMMAND_READS | STEM_COMMAND_WRITES | STEM_COMMAND_ADMIN);

    if (command->run == stem_run_set) {
        for (size_t i = 3; i < n_args; i++) {
            if (stem_word_is(args[i], "GET"))
                wants |= STEM_COMMAND_READS;
        }
    }
    if (command->run == stem_run_commit && stem_commit_expects(args, n_args))
        wants |= STEM_COMMAND_READS;
    return wants;
}
