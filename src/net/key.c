/*
 * Keys between the wire and the store: a key that was sent becomes one below the scope, or is
 * refused, and what is stored there becomes text again. Every path has one text alone, which is
 * what stem_path_format writes.
 */
#include <stdlib.h>

#include "../error.h"
#include "../path.h"
#include "command.h"

enum verdict { FINE, BAD, TOO_LONG, EMPTY, HAS_NUL };

static int refuse(stem_request *request, enum verdict verdict)
{
    static const char *const errors[] = {
        [BAD] = "ERR invalid key: not a canonical path",
        [TOO_LONG] = "ERR invalid key: too long",
        [EMPTY] = "ERR invalid key: empty",
        [HAS_NUL] = "ERR invalid key: it has a NUL byte",
    };

    stem_reply_error(request->reply, errors[verdict]);
    return STEM_EINVAL;
}

/* Eight bytes of 1, and whether one of the eight bytes of a word is less than n, or is c. */
#define ONES (UINT64_MAX / 0xFF)
#define HAS_LESS(word, n) (((word)-ONES * (n)) & ~(word)&ONES * 0x80)
#define HAS_BYTE(word, c) HAS_LESS((word) ^ ONES * (c), 1)

/* Whether each of eight bytes is ASCII that stands for itself and separates nothing. */
static bool is_plain_word(uint64_t word)
{
    return ((word & ONES * 0x80) | HAS_LESS(word, 0x20) | HAS_BYTE(word, 0x7F) |
            HAS_BYTE(word, '\\') | HAS_BYTE(word, '/')) == 0;
}

/* What most keys are, ASCII with nothing escaped: whether the text is that, and `out` the path
 * that it stands for. */
static bool copy_plain(const char *text, size_t len, char *out)
{
    unsigned char before = '/';
    bool is_bad = false;
    size_t i = 0;
    uint64_t word;

    while (i < len) {
        if (len - i >= sizeof word) {
            memcpy(&word, text + i, sizeof word);
            if (is_plain_word(word)) {
                memcpy(out + i, &word, sizeof word);
                i += sizeof word;
                before = 'a';
                continue;
            }
        }
        const unsigned char c = (unsigned char)text[i];
        const bool is_separator = c == '/';

        is_bad |= (unsigned char)(c - 0x20) >= 0x7F - 0x20;
        is_bad |= c == '\\';
        is_bad |= is_separator & (before == '/');
        out[i++] = is_separator ? '\0' : (char)c;
        before = c;
    }
    return !is_bad && before != '/';
}

/* The other way round. */
static bool write_plain(const char *stored, size_t len, char *out)
{
    bool is_bad = false;

    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)stored[i];

        is_bad |= ((unsigned char)(c - 0x20) >= 0x7F - 0x20) & (c != '\0');
        is_bad |= c == '\\';
        is_bad |= c == '/';
        out[i] = c == '\0' ? '/' : (char)c;
    }
    return !is_bad;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of the escape that follows a backslash, `*len` bytes long; 0 for none. */
static char read_escape(const char *p, size_t left, size_t *len)
{
    *len = 1;
    if (left >= 1 && (p[0] == '/' || p[0] == '\\'))
        return p[0];
    if (left < 3 || p[0] != 'x' || hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
        return '\0';
    *len = 3;
    return (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
}

/* The path that a text stands for, canonical or not, as long as no byte of it is NUL. */
static bool unescape(stem_slice text, char *out, size_t *out_len)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len;) {
        size_t len = 1;
        char byte = text.data[i++];

        if (byte == '/') {
            out[n++] = '\0';
            continue;
        }
        if (byte == '\\') {
            byte = read_escape(text.data + i, text.len - i, &len);
            i += len;
        }
        if (byte == '\0')
            return false;
        out[n++] = byte;
    }
    *out_len = n;
    return true;
}

/* Whether these are the stored bytes of a path: components that are not empty nor too long. */
static enum verdict judge_path(const char *path, size_t len)
{
    const char *end = path + len;

    if (len == 0)
        return BAD;
    for (;;) {
        const size_t component = strnlen(path, (size_t)(end - path));

        if (component == 0)
            return BAD;
        if (component > STEM_COMPONENT_MAX)
            return TOO_LONG;
        path += component;
        if (path == end)
            return FINE;
        path++;
    }
}

/* Whether the text is the one that the path has; STEM_ENOMEM where there is no memory to
 * tell. */
static int compare_text(stem_slice text, const char *path, size_t len, bool *is_equal)
{
    char *canonical = stem_path_text(path, len);

    if (!canonical)
        return STEM_ENOMEM;
    *is_equal =
        strlen(canonical) == text.len && memcmp(canonical, text.data, text.len) == 0;
    free(canonical);
    return STEM_OK;
}

/* Any text, the long way. */
static int read_text(stem_request *request, stem_slice text, char *out, size_t *len)
{
    bool is_canonical = false;

    if (!unescape(text, out, len))
        return refuse(request, BAD);
    const enum verdict verdict = judge_path(out, *len);
    if (verdict != FINE)
        return refuse(request, verdict);
    int code = compare_text(text, out, *len, &is_canonical);
    if (code == STEM_OK && !is_canonical)
        code = refuse(request, BAD);
    return code;
}

static int read_raw(stem_request *request, stem_slice path, char *out, size_t *len)
{
    const enum verdict verdict = judge_path(path.data, path.len);

    if (verdict != FINE)
        return refuse(request, verdict);
    memcpy(out, path.data, path.len);
    *len = path.len;
    return STEM_OK;
}

/* One component. */
static int read_literal(stem_request *request, stem_slice key, char *out)
{
    if (key.len == 0)
        return refuse(request, EMPTY);
    if (key.len > STEM_COMPONENT_MAX)
        return refuse(request, TOO_LONG);
    if (memchr(key.data, '\0', key.len))
        return refuse(request, HAS_NUL);
    memcpy(out, key.data, key.len);
    return STEM_OK;
}

/* Whether the command is STEM.*, and not one of Redis's. */
static bool is_own(const stem_request *request)
{
    static const char own[] = "STEM.";
    const stem_slice name = request->args[0];

    return name.len >= sizeof own && name.data[sizeof own - 2] == '.';
}

int stem_request_key(stem_request *request, size_t arg, stem_slice *stored)
{
    enum { ESCAPED_LEN = 4 }; /* of the longest text of one byte */
    const stem_slice sent = request->args[arg], scope = request->scope;
    const size_t engine_most = stem_execution_engine(request->on)->max_key_bytes;
    const size_t most = engine_most < STEM_PATH_MAX ? engine_most : STEM_PATH_MAX;
    size_t len = sent.len;
    int code = STEM_OK;

    if (sent.len > (size_t)STEM_PATH_MAX * ESCAPED_LEN)
        return refuse(request, TOO_LONG);
    char *room = stem_execution_room(request->on, scope.len + sent.len + 1);
    if (!room)
        return STEM_ENOMEM;
    if (scope.len > 0)
        memcpy(room, scope.data, scope.len);
    char *path = room + scope.len;
    if (request->has_literal_keys && !is_own(request))
        code = read_literal(request, sent, path);
    else if (request->has_raw_keys && is_own(request))
        code = read_raw(request, sent, path, &len);
    else if (sent.len > STEM_COMPONENT_MAX || !copy_plain(sent.data, sent.len, path))
        code = read_text(request, sent, path, &len);
    if (code == STEM_OK && scope.len + len > most)
        code = refuse(request, TOO_LONG);
    if (code == STEM_OK)
        *stored = (stem_slice){room, scope.len + len};
    return code;
}

void stem_key_text(stem_slice below, stem_buffer *out)
{
    char *plain = stem_buffer_room(out, below.len);

    if (!plain || write_plain(below.data, below.len, plain))
        return;
    out->len -= below.len;
    char *text = stem_path_text(below.data, below.len);
    if (text)
        stem_buffer_add_text(out, text);
    else
        out->failed = true;
    free(text);
}

bool stem_request_shows(const stem_request *request, stem_slice below)
{
    return !request->has_literal_keys || !memchr(below.data, '\0', below.len);
}

void stem_request_key_text(const stem_request *request, stem_slice below,
                           stem_buffer *out)
{
    if (request->has_literal_keys)
        stem_buffer_add(out, below.data, below.len);
    else
        stem_key_text(below, out);
}
