/*
 * The commands in one place: looking one up, which happens for every request, and what can be
 * said of a request before it is run.
 */
#include "command.h"

#include <pthread.h>
#include <stdio.h>

#include "command_own.h"
#include "command_value.h"

static const stem_command *const tables[] = {
    stem_connection_commands, stem_string_commands, stem_key_commands,
    stem_walk_commands,       stem_own_commands,
};

enum { N_TABLES = sizeof tables / sizeof *tables, SLOTS = 512 };

/* An index of the tables, made at the first use and never changed after: the tables are of
 * several files, and nothing in C can order them all when they are compiled. Half of the slots
 * are empty at least, so that most names are found, or missed, where they are looked for
 * first. */
static struct {
    pthread_once_t once;
    const stem_command *all[SLOTS / 2];
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
    for (size_t t = 0; t < N_TABLES; t++) {
        for (const stem_command *each = tables[t]; each->name; each++) {
            size_t slot = slot_of(each->name, strlen(each->name));

            if (command_index.n == SLOTS / 2)
                return;
            while (command_index.slots[slot])
                slot = (slot + 1) % SLOTS;
            command_index.slots[slot] = each;
            command_index.all[command_index.n++] = each;
        }
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
    return i < command_index.n ? command_index.all[i] : NULL;
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
