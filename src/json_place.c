/*
 * Where in a JSON text a value stands. jansson's tree does not remember it, so it is
 * looked up, when there is something to complain about, in a text already known to be
 * well-formed.
 */
#include "json.h"

struct scan {
    const char *next, *end;
};

static char peek(const struct scan *scan)
{
    return scan->next < scan->end ? *scan->next : '\0';
}

static void skip_blanks(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\n' ||
           peek(scan) == '\r')
        scan->next++;
}

static void skip_string(struct scan *scan)
{
    scan->next++;
    while (scan->next < scan->end && *scan->next != '"')
        scan->next += *scan->next == '\\' ? 2 : 1;
    scan->next++;
}

/* Skips a value and the blanks behind it. */
static void skip_value(struct scan *scan)
{
    int open = 0;

    do {
        char c = peek(scan);

        if (c == '"') {
            skip_string(scan);
            continue;
        }
        open += c == '{' || c == '[';
        open -= c == '}' || c == ']';
        scan->next++;
        /* Numbers and words run to the next mark of structure. */
        if (open == 0 && c != '}' && c != ']') {
            while (scan->next < scan->end && *scan->next != ',' && *scan->next != '}' &&
                   *scan->next != ']')
                scan->next++;
        }
    } while (open > 0 && scan->next < scan->end);
    skip_blanks(scan);
}

/* Steps from a list or an object to its element or member of that index. */
static void step_into(struct scan *scan, size_t index)
{
    bool is_object = peek(scan) == '{';

    scan->next++;
    for (size_t i = 0;; i++) {
        skip_blanks(scan);
        if (is_object) {
            skip_string(scan);
            skip_blanks(scan);
            scan->next++;
            skip_blanks(scan);
        }
        if (i == index)
            return;
        skip_value(scan);
        scan->next++;
    }
}

void stem_json_place(const char *text, size_t len, const size_t *steps, size_t n_steps,
                     stem_place *place)
{
    struct scan scan = {text, text + len};

    skip_blanks(&scan);
    while (n_steps > 0)
        step_into(&scan, steps[--n_steps]);
    place->line = 1;
    place->column = 1;
    for (const char *p = text; p < scan.next; p++) {
        if (*p == '\n') {
            place->line++;
            place->column = 1;
        } else if (((unsigned char)*p & 0xC0) != 0x80) {
            place->column++;
        }
    }
}
