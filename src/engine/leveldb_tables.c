/*
 * The tables that a LevelDB has: see leveldb_tables.h.
 */
#include "leveldb_tables.h"

#include <stdlib.h>
#include <string.h>

static int compare_tables(const void *a, const void *b)
{
    return stem_slice_compare(((const leveldb_table *)a)->smallest,
                              ((const leveldb_table *)b)->smallest);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Undoes LevelDB's escapes in place. */
static stem_slice unescape(char *text, const char *end)
{
    char *out = text;

    for (const char *in = text; in < end; in++) {
        if (end - in >= 4 && in[0] == '\\' && in[1] == 'x' && hex_digit(in[2]) >= 0 &&
            hex_digit(in[3]) >= 0) {
            *out++ = (char)(hex_digit(in[2]) << 4 | hex_digit(in[3]));
            in += 3;
        } else {
            *out++ = *in;
        }
    }
    return (stem_slice){text, (size_t)(out - text)};
}

/* Reads " 17:123['a' @ 5 : 1 .. 'd' @ 9 : 1]". */
static bool read_table(char *line, leveldb_table *read)
{
    char *text;

    if (*line != ' ')
        return false;
    read->number = strtoull(line, &text, 10);
    read->bytes = *text == ':' ? strtoull(text + 1, &text, 10) : 0;
    char *first = strchr(text, '\'');
    char *first_end = first ? strstr(first + 1, "' @ ") : NULL;
    char *last = first_end ? strstr(first_end, " .. '") : NULL;
    char *last_end = NULL;
    if (!last)
        return false;
    last += strlen(" .. '");
    for (char *at = last; (at = strstr(at, "' @ ")) != NULL; at++)
        last_end = at;
    if (!last_end)
        return false;
    read->smallest = unescape(first + 1, first_end);
    read->largest = unescape(last, last_end);
    return true;
}

static size_t count_lines(const char *text)
{
    size_t lines = 1;

    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    return lines;
}

bool stem_leveldb_list_tables(leveldb_t *db, leveldb_tables *tables)
{
    char *text = leveldb_property_value(db, "leveldb.sstables"), *rest;

    *tables = (leveldb_tables){.text = text};
    tables->tables = text ? calloc(count_lines(text), sizeof *tables->tables) : NULL;
    if (!tables->tables) {
        leveldb_free(text);
        return false;
    }
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        tables->n += read_table(line, &tables->tables[tables->n]);
    qsort(tables->tables, tables->n, sizeof *tables->tables, compare_tables);
    return true;
}

void stem_leveldb_free_tables(leveldb_tables *tables)
{
    free(tables->tables);
    leveldb_free(tables->text);
}
