/*
 * The words of a request on one line; see line.h. Their quotes are those of Redis's
 * sdssplitargs, but that a NUL is a byte as any other.
 */
#include "line.h"

/* ---- Quotes ----------------------------------------------------------------------- */

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

const char *stem_line_skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* Redis ends a word without quotes at these alone. */
static bool ends_word(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static char escaped(char byte)
{
    switch (byte) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return byte;
    }
}

/* What follows a closing quote must end the word. */
static const char *end_quotes(const char *at, const char *end)
{
    return at == end || is_blank(*at) ? at : NULL;
}

/* Both go on behind the opening quote, as stem_line_read_word does before a word. */
static const char *read_double_quoted(const char *at, const char *end, char **out)
{
    while (at < end && *at != '"') {
        if (*at != '\\' || end - at < 2) {
            *(*out)++ = *at++;
        } else if (at[1] == 'x' && end - at >= 4 && hex_digit(at[2]) >= 0 &&
                   hex_digit(at[3]) >= 0) {
            *(*out)++ = (char)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
            at += 4;
        } else {
            *(*out)++ = escaped(at[1]);
            at += 2;
        }
    }
    return at < end ? end_quotes(at + 1, end) : NULL;
}

static const char *read_single_quoted(const char *at, const char *end, char **out)
{
    while (at < end && *at != '\'') {
        if (*at == '\\' && end - at >= 2 && at[1] == '\'')
            at++;
        *(*out)++ = *at++;
    }
    return at < end ? end_quotes(at + 1, end) : NULL;
}

const char *stem_line_read_word(const char *at, const char *end, char **out)
{
    for (; at < end && !ends_word(*at); at++) {
        if (*at == '"')
            return read_double_quoted(at + 1, end, out);
        if (*at == '\'')
            return read_single_quoted(at + 1, end, out);
        *(*out)++ = *at;
    }
    return at;
}

/* ---- HTTP ------------------------------------------------------------------------- */

static bool begins_with(stem_slice text, const char *upper)
{
    size_t i = 0;

    for (; upper[i] != '\0'; i++) {
        if (i == text.len)
            return false;
        char byte = text.data[i];
        if ((byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte) != upper[i])
            return false;
    }
    return true;
}

static bool is_word(stem_slice word, const char *upper)
{
    return word.len == strlen(upper) && begins_with(word, upper);
}

bool stem_line_is_http(stem_slice line)
{
    static const char *const methods[] = {
        "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PRI"};
    stem_slice first;
    stem_slice last;

    while (line.len > 0 && is_blank(line.data[0]))
        line = (stem_slice){line.data + 1, line.len - 1};
    while (line.len > 0 && is_blank(line.data[line.len - 1]))
        line.len--;
    first = (stem_slice){line.data, 0};
    while (first.len < line.len && !is_blank(first.data[first.len]))
        first.len++;
    last = (stem_slice){line.data + line.len, 0};
    while (last.len < line.len && !is_blank(last.data[-1]))
        last = (stem_slice){last.data - 1, last.len + 1};
    if (is_word(first, "POST") || begins_with(first, "HOST:"))
        return true;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (is_word(first, methods[i]))
            return begins_with(last, "HTTP/");
    return false;
}
