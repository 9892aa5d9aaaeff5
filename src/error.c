/*
 * The last failure of each thread, and the names of the codes. Nothing here allocates, so
 * that running out of memory can be told like everything else.
 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

enum { TEXT_SIZE = STEM_ERROR_TEXT_SIZE, PLACE_MAX = 200, PLACE_HALF = 98 };

/* Per thread, as errno is: a text that another thread's failure could replace between the
 * failing call and stem_errmsg() would be of no use. */
static _Thread_local stem_failure last;

int stem_errcode(void)
{
    return last.code;
}

const char *stem_errmsg(void)
{
    return last.text;
}

void stem_failure_save(stem_failure *saved)
{
    saved->code = last.code;
    memcpy(saved->text, last.text, strlen(last.text) + 1);
}

void stem_failure_restore(const stem_failure *saved)
{
    last.code = saved->code;
    memcpy(last.text, saved->text, strlen(saved->text) + 1);
}

void stem_errcode_set(int code)
{
    last.code = code;
}

/* Bytes of the character that `text` begins with if it can stand in a line of UTF-8 as it is;
 * else 0. */
static size_t plain_len(const unsigned char *text, size_t left)
{
    const size_t len = stem_utf8_sequence(text, left);
    const bool is_control = text[0] < 0x20 || text[0] == 0x7F;
    /* U+0080 to U+009F, and the separators of lines and paragraphs. */
    const bool is_separator = (len == 2 && text[0] == 0xC2 && text[1] < 0xA0) ||
                              (len == 3 && text[0] == 0xE2 && text[1] == 0x80 &&
                               (text[2] == 0xA8 || text[2] == 0xA9));

    if (is_control || is_separator)
        return 0;
    return text[0] < 0x80 ? 1 : len;
}

/* Names of files, and what the system says in the language of the user, may hold any bytes: those
 * that are none of one line of UTF-8 are written "\xHH". What does not fit is left out. */
static void write_line(const char *from, size_t left, char out[TEXT_SIZE])
{
    enum { ESCAPE = 4 };
    const unsigned char *at = (const unsigned char *)from;
    size_t len = 0;

    while (left > 0) {
        const size_t plain = plain_len(at, left), step = plain > 0 ? plain : 1;

        if (len + (plain > 0 ? plain : ESCAPE) >= TEXT_SIZE)
            break;
        if (plain > 0)
            memcpy(out + len, at, plain);
        else
            snprintf(out + len, ESCAPE + 1, "\\x%02X", *at);
        len += plain > 0 ? plain : ESCAPE;
        at += step;
        left -= step;
    }
    out[len] = '\0';
}

/* The bytes of a text that was cut, without a last character that was cut as well. */
static size_t whole_len(const char *text, size_t len)
{
    size_t tail = 0;

    while (tail < 3 && tail < len &&
           stem_utf8_is_continuation((unsigned char)text[len - 1 - tail]))
        tail++;
    const unsigned char *lead = (const unsigned char *)text + len - 1 - tail;
    return tail < len && *lead >= 0xC0 && stem_utf8_sequence(lead, tail + 1) == 0
               ? len - 1 - tail
               : len;
}

void stem_failure_set(int code, const char *format, ...)
{
    /* The arguments may point into the text that is about to be replaced. */
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    const int wanted = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t len = wanted < 0 ? 0 : (size_t)wanted;
    if (len >= sizeof text)
        len = whole_len(text, sizeof text - 1);
    write_line(text, len, last.text);
    last.code = code;
}

/* Bytes of the escape or UTF-8 sequence that `text` begins with; it ends at a NUL at the
 * latest. */
static size_t unit_len(const char *text)
{
    unsigned char lead = (unsigned char)text[0];
    size_t want = 1;

    if (lead == '\\')
        want = text[1] == 'x' ? 4 : 2;
    else if (lead >= 0xF0)
        want = 4;
    else if (lead >= 0xE0)
        want = 3;
    else if (lead >= 0xC0)
        want = 2;
    return strnlen(text, want);
}

/* Writes a place of more than PLACE_MAX bytes as its two ends, cut between units. */
static void shorten(const char *place, size_t len, char out[PLACE_MAX])
{
    size_t head = 0;
    size_t tail;
    size_t unit;

    while ((unit = unit_len(place + head)) > 0 && head + unit <= PLACE_HALF)
        head += unit;
    tail = head;
    while (len - tail > PLACE_HALF)
        tail += unit_len(place + tail);
    snprintf(out, PLACE_MAX, "%.*s...%s", (int)head, place, place + tail);
}

void stem_failure_locate(int code, const char *operation, const char *place)
{
    char shortened[PLACE_MAX];
    size_t len = place ? strlen(place) : 0;

    if (len == 0) {
        stem_failure_set(code, "%s: %s", operation, last.text);
        return;
    }
    if (len > PLACE_MAX) {
        shorten(place, len, shortened);
        place = shortened;
    }
    stem_failure_set(code, "%s %s: %s", operation, place, last.text);
}

const char *stem_strerror(int code)
{
    switch (code) {
    case STEM_OK:
        return "STEM_OK";
    case STEM_NOTFOUND:
        return "STEM_NOTFOUND";
    case STEM_EXISTS:
        return "STEM_EXISTS";
    case STEM_CONFLICT:
        return "STEM_CONFLICT";
    case STEM_EINVAL:
        return "STEM_EINVAL";
    case STEM_ETYPE:
        return "STEM_ETYPE";
    case STEM_ERANGE:
        return "STEM_ERANGE";
    case STEM_ENOMEM:
        return "STEM_ENOMEM";
    case STEM_EIO:
        return "STEM_EIO";
    case STEM_ECORRUPT:
        return "STEM_ECORRUPT";
    case STEM_ELOCKED:
        return "STEM_ELOCKED";
    case STEM_EREADONLY:
        return "STEM_EREADONLY";
    case STEM_EFORMAT:
        return "STEM_EFORMAT";
    case STEM_ENOTSUP:
        return "STEM_ENOTSUP";
    case STEM_EFORK:
        return "STEM_EFORK";
    case STEM_EGONE:
        return "STEM_EGONE";
    case STEM_EUNKNOWN:
        return "STEM_EUNKNOWN";
    case STEM_EACCES:
        return "STEM_EACCES";
    default:
        return "unknown code";
    }
}
