/*
 * Paths: the limits of their components, and the text form both ways. A stored path is
 * its components joined by one NUL byte; the text form escapes whatever would not survive
 * a terminal, a log or a wire, so that reading it back always gives the same path.
 */
#include "path.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "utf8.h"

/* The longest text of one stored byte: "\xHH". */
enum { ESCAPE_LEN = 4 };

size_t stem_component_len(const char *name)
{
    size_t len;

    if (!name) {
        stem_fail(STEM_EINVAL, "a name is NULL");
        return 0;
    }
    len = strnlen(name, STEM_COMPONENT_MAX + 1);
    if (len == 0) {
        stem_fail(STEM_EINVAL, "a name is empty");
    } else if (len > STEM_COMPONENT_MAX) {
        stem_fail(STEM_EINVAL, "a name is longer than %d bytes", STEM_COMPONENT_MAX);
        len = 0;
    }
    return len;
}

/* The length of the well-formed UTF-8 sequence of more than one byte that `p` begins
 * with, or 0. C1 controls count as none. */
static size_t sequence_len(const unsigned char *p, size_t left)
{
    const size_t len = stem_utf8_sequence(p, left);

    return len == 2 && p[0] == 0xC2 && p[1] < 0xA0 ? 0 : len;
}

/* Writes the text of one component and returns its end. */
static char *format_component(const char *name, size_t len, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *p = (const unsigned char *)name;
    const unsigned char *end = p + len;

    while (p < end) {
        size_t sequence = *p < 0x80 ? 0 : sequence_len(p, (size_t)(end - p));

        if (sequence > 0) {
            memcpy(out, p, sequence);
            out += sequence;
            p += sequence;
        } else if (*p < 0x20 || *p >= 0x7F) {
            *out++ = '\\';
            *out++ = 'x';
            *out++ = digits[*p >> 4];
            *out++ = digits[*p++ & 15];
        } else {
            if (*p == '/' || *p == '\\')
                *out++ = '\\';
            *out++ = (char)*p++;
        }
    }
    return out;
}

/* Room for the text of `len` stored bytes, whatever they are. */
static char *alloc_text(size_t len)
{
    char *text = malloc(len * ESCAPE_LEN + 1);

    if (!text)
        stem_fail(STEM_ENOMEM, "no memory for the text of a path");
    return text;
}

/* Gives back what a text of known capacity did not need. */
static char *trim(char *text, const char *end)
{
    char *smaller = realloc(text, (size_t)(end - text));

    if (smaller)
        return smaller;
    return text;
}

char *stem_path_text(const char *stored, size_t len)
{
    char *text = alloc_text(len);
    char *out = text;

    if (!text)
        return NULL;
    if (len > 0 && stored[len - 1] == '\0')
        len--;
    while (len > 0) {
        size_t component = strnlen(stored, len);

        out = format_component(stored, component, out);
        stored += component;
        len -= component;
        if (len > 0) {
            *out++ = '/';
            stored++;
            len--;
        }
    }
    *out++ = '\0';
    return trim(text, out);
}

/* The stored bytes of a whole path, or 0 after stem_fail. */
static size_t stored_len(const char *const *names, size_t n)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = stem_component_len(names[i]);

        if (len == 0)
            return 0;
        total += len + (i > 0);
        if (total > STEM_PATH_MAX) {
            stem_fail(STEM_EINVAL, "a path is longer than %d bytes", STEM_PATH_MAX);
            return 0;
        }
    }
    return total;
}

char *stem_path_format(const char *const *names, size_t n)
{
    size_t len = 0;
    char *text;
    char *out;

    if (!names && n > 0) {
        stem_fail(STEM_EINVAL, "the names of a path are NULL");
        return NULL;
    }
    if (n > 0 && (len = stored_len(names, n)) == 0)
        return NULL;
    text = alloc_text(len);
    if (!text)
        return NULL;
    out = text;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *out++ = '/';
        out = format_component(names[i], strlen(names[i]), out);
    }
    *out++ = '\0';
    return trim(text, out);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Reads the byte that stands at `*text`, which is no separator, and steps behind it;
 * 0 when it is no byte that may be there. */
static unsigned char parse_byte(const char **text)
{
    const char *p = *text;
    int high;
    int low;

    if (p[0] != '\\') {
        *text = p + 1;
        return (unsigned char)p[0];
    }
    if (p[1] == '/' || p[1] == '\\') {
        *text = p + 2;
        return (unsigned char)p[1];
    }
    if (p[1] != 'x' || (high = hex_digit(p[2])) < 0 || (low = hex_digit(p[3])) < 0)
        return 0;
    *text = p + 4;
    return (unsigned char)(high << 4 | low);
}

/* The shape of the path a text stands for. */
struct measure {
    size_t names;
    size_t bytes; /* of the names, with a NUL each */
};

static int measure_text(const char *text, struct measure *measure)
{
    const char *p = text;

    measure->names = 0;
    measure->bytes = 0;
    if (!*text)
        return STEM_OK;
    for (;;) {
        size_t len = 0;

        for (; *p && *p != '/'; len++) {
            size_t offset = (size_t)(p - text);

            if (parse_byte(&p) == 0)
                return stem_fail(STEM_EINVAL, "path text: bad escape at byte %zu",
                                 offset);
            if (len == STEM_COMPONENT_MAX)
                return stem_fail(STEM_EINVAL, "path text: a name is longer than %d bytes",
                                 STEM_COMPONENT_MAX);
        }
        if (len == 0)
            return stem_fail(STEM_EINVAL, "path text: empty name at byte %zu",
                             (size_t)(p - text));
        measure->names++;
        measure->bytes += len + 1;
        if (measure->bytes - 1 > STEM_PATH_MAX)
            return stem_fail(STEM_EINVAL, "path text: the path is longer than %d bytes",
                             STEM_PATH_MAX);
        if (!*p)
            return STEM_OK;
        p++;
    }
}

char **stem_path_parse(const char *text, size_t *n)
{
    struct measure measure;
    char **names;
    char *out;

    if (!text || !n) {
        stem_fail(STEM_EINVAL, "path text: NULL");
        return NULL;
    }
    if (measure_text(text, &measure) != STEM_OK)
        return NULL;
    /* One pointer more than names, so that no names are a block as well. */
    names = malloc((measure.names + 1) * sizeof *names + measure.bytes);
    if (!names) {
        stem_fail(STEM_ENOMEM, "no memory for the names of a path");
        return NULL;
    }
    out = (char *)(names + measure.names + 1);
    for (size_t i = 0; i < measure.names; i++) {
        names[i] = out;
        while (*text && *text != '/')
            *out++ = (char)parse_byte(&text);
        *out++ = '\0';
        if (*text)
            text++;
    }
    names[measure.names] = NULL;
    *n = measure.names;
    return names;
}
