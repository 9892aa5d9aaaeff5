/*
 * Words for people: messages, texts that a terminal can be shown, sizes.
 */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "tool.h"

void *need_memory(void *block)
{
    if (block)
        return block;
    fputs("stem: no memory\n", stderr);
    exit(FAILED);
}

static char *format_values(const char *format, va_list values)
{
    char *text = NULL;

    if (vasprintf(&text, format, values) < 0)
        text = NULL;
    return need_memory(text);
}

char *format_text(const char *format, ...)
{
    va_list values;
    char *text;

    va_start(values, format);
    text = format_values(format, values);
    va_end(values);
    return text;
}

void complain(const char *format, ...)
{
    va_list values;
    char *text;
    const char *line;
    const char *end;

    va_start(values, format);
    text = format_values(format, values);
    va_end(values);
    for (line = text; line; line = end ? end + 1 : NULL) {
        char *safe;

        end = strchr(line, '\n');
        safe = safe_text(line, end ? (size_t)(end - line) : strlen(line), 0, 0);
        fprintf(stderr, "stem: %s\n", safe);
        free(safe);
    }
    free(text);
}

bool ask(const char *format, ...)
{
    va_list values;
    char *text;
    char *safe;
    int answer;

    va_start(values, format);
    text = format_values(format, values);
    va_end(values);
    safe = safe_text(text, strlen(text), 0, 0);
    fprintf(stderr, "stem: %s [y/N] ", safe);
    free(safe);
    free(text);
    answer = getchar();
    for (int rest = answer; rest != '\n'; rest = getchar()) {
        if (rest == EOF) {
            fputc('\n', stderr);
            return false;
        }
    }
    return answer == 'y' || answer == 'Y';
}

int worse_status(int status, int other)
{
    return status > other ? status : other;
}

int complain_code(int code)
{
    complain("%s", stem_errmsg());
    return code == STEM_NOTFOUND ? NOT_FOUND : FAILED;
}

/* A text that grows. */
struct text {
    char *data;
    size_t len, size;
};

static void add(struct text *text, const char *data, size_t len)
{
    if (text->len + len + 1 > text->size) {
        text->size = 2 * (text->len + len + 1);
        text->data = need_memory(realloc(text->data, text->size));
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

/* The bytes of the character at `data`, and what to show for it; `*columns` is how wide
 * that is. */
static size_t show_character(const char *data, size_t len, char quote, mbstate_t *state,
                             char shown[MB_LEN_MAX + 8], size_t *columns)
{
    unsigned char byte = (unsigned char)data[0];
    wchar_t wide;
    size_t used = mbrtowc(&wide, data, len, state);

    if (used != 0 && used != (size_t)-1 && used != (size_t)-2 && iswprint((wint_t)wide)) {
        int width = wcwidth(wide);
        bool is_marked = quote && (byte == '\\' || byte == (unsigned char)quote);

        shown[0] = '\\';
        memcpy(shown + is_marked, data, used);
        shown[is_marked + used] = '\0';
        *columns = (width > 0 ? (size_t)width : 0) + is_marked;
        return used;
    }
    memset(state, 0, sizeof *state);
    if (byte == '\n' || byte == '\t')
        snprintf(shown, MB_LEN_MAX + 8, "\\%c", byte == '\n' ? 'n' : 't');
    else
        snprintf(shown, MB_LEN_MAX + 8, "\\x%02X", byte);
    *columns = strlen(shown);
    return 1;
}

char *safe_text(const char *data, size_t len, size_t max_columns, char quote)
{
    struct text text = {0};
    mbstate_t state = {0};
    char shown[MB_LEN_MAX + 8];
    size_t columns = 0;
    size_t wide;

    add(&text, &quote, quote != 0);
    while (len > 0) {
        size_t used = show_character(data, len, quote, &state, shown, &wide);

        if (max_columns > 0 && columns + wide > max_columns) {
            const char *rest = locale_is_utf8() ? "\xE2\x80\xA6" : "...";

            add(&text, rest, strlen(rest));
            break;
        }
        add(&text, shown, strlen(shown));
        columns += wide;
        data += used;
        len -= used;
    }
    add(&text, &quote, quote != 0);
    return text.data;
}

size_t columns_of(const char *text)
{
    mbstate_t state = {0};
    size_t left = strlen(text);
    size_t columns = 0;

    while (left > 0) {
        wchar_t wide;
        size_t used = mbrtowc(&wide, text, left, &state);
        int width;

        if (used == 0 || used > left) {
            memset(&state, 0, sizeof state);
            used = 1;
            width = 1;
        } else {
            width = wcwidth(wide);
        }
        columns += width > 0 ? (size_t)width : 0;
        text += used;
        left -= used;
    }
    return columns;
}

const char *size_text(uint64_t bytes, char buffer[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(buffer, 32, "%d B", (int)bytes);
        return buffer;
    }
    for (; size >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        size /= 1024;
    snprintf(buffer, 32, "%.1f %s", size, units[unit]);
    return buffer;
}

const char *entries_text(uint64_t n, char buffer[48])
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n);
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buffer[used++] = ',';
        buffer[used++] = digits[i];
    }
    strcpy(buffer + used, n == 1 ? " entry" : " entries");
    return buffer;
}

bool locale_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool output_failed(void)
{
    static bool is_told;

    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return is_told;
    if (!is_told && !reader_has_gone())
        complain("cannot write: %s", errno != 0 ? strerror(errno) : "output error");
    return is_told = true;
}

bool reader_has_gone(void)
{
    /* The cause of a failure in the middle of the output is no longer in errno. */
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return ferror(stdout) && poll(&out, 1, 0) == 1 &&
           (out.revents & (POLLERR | POLLHUP)) != 0;
}

int output_status(int status)
{
    sigset_t pipe_signal;

    if (!output_failed())
        return status;
    if (reader_has_gone()) {
        sigemptyset(&pipe_signal);
        sigaddset(&pipe_signal, SIGPIPE);
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_UNBLOCK, &pipe_signal, NULL);
        raise(SIGPIPE);
    }
    return FAILED;
}
