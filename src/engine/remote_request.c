/*
 * Requests to a server, as arrays of bulk strings; see remote_connection.h.
 */
#include <stdlib.h>
#include <string.h>

#include "remote_connection.h"

enum { LONG_WORD = 4096, NUMBER_ROOM = 24 };

/* Adds the sign, the number and a line's end. */
static void add_head(stem_buffer *bytes, char sign, uint64_t number)
{
    char text[NUMBER_ROOM];
    size_t at = sizeof text;

    text[--at] = '\n';
    text[--at] = '\r';
    do
        text[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    text[--at] = sign;
    stem_buffer_add(bytes, text + at, sizeof text - at);
}

void stem_remote_request_begin(stem_remote_request *request, size_t n_words)
{
    add_head(&request->bytes, '*', n_words);
}

/* Notes where a long word goes, instead of copying it. */
static void borrow(stem_remote_request *request, stem_slice word)
{
    if (request->n_long == request->long_room) {
        const size_t room = request->long_room > 0 ? 2 * request->long_room : 4;
        struct stem_remote_long_word *larger =
            realloc(request->long_words, room * sizeof *larger);

        if (!larger) {
            request->bytes.failed = true;
            return;
        }
        request->long_words = larger;
        request->long_room = room;
    }
    request->long_words[request->n_long++] =
        (struct stem_remote_long_word){request->bytes.len, word};
}

void stem_remote_request_word(stem_remote_request *request, stem_slice word)
{
    add_head(&request->bytes, '$', word.len);
    if (word.len >= LONG_WORD)
        borrow(request, word);
    else
        stem_buffer_add(&request->bytes, word.data, word.len);
    stem_buffer_add(&request->bytes, "\r\n", 2);
}

void stem_remote_request_text(stem_remote_request *request, const char *word)
{
    stem_remote_request_word(request, (stem_slice){word, strlen(word)});
}

void stem_remote_request_number(stem_remote_request *request, uint64_t word)
{
    char text[NUMBER_ROOM];
    size_t at = sizeof text;

    do
        text[--at] = (char)('0' + word % 10);
    while ((word /= 10) > 0);
    stem_remote_request_word(request, (stem_slice){text + at, sizeof text - at});
}

void stem_remote_request_free(stem_remote_request *request)
{
    free(request->bytes.data);
    free(request->long_words);
}
