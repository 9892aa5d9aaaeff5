/*
 * Values as Redis's commands see them: every value is text, or of a kind that they cannot
 * read. Shared by the files of the data commands only.
 */
#ifndef STEM_NET_COMMAND_VALUE_H
#define STEM_NET_COMMAND_VALUE_H

#include "command.h"

enum { STEM_NUMBER_TEXT = 40 };

enum stem_text_kind {
    STEM_TEXT_ABSENT, /* there is no such key */
    STEM_TEXT_READ,   /* `bytes` is the value */
    STEM_TEXT_OTHER   /* a list, say: WRONGTYPE */
};

/* What GET answers. The bytes lie in the execution or in the struct itself, which is not to be
 * copied. */
typedef struct stem_text {
    enum stem_text_kind kind;
    int type; /* of the value, unless it is absent */
    stem_slice bytes;
    char number[STEM_NUMBER_TEXT];
} stem_text;

/* The text of stored bytes; NULL `data` for an absent key. STEM_ECORRUPT. */
int stem_text_make(stem_slice stored, stem_text *text);
/* What STRLEN answers, by what is told without reading a long text. STEM_ECORRUPT. */
int stem_text_len(const stem_look *look, enum stem_text_kind *kind, size_t *len);
/* The same for what a key holds. */
int stem_text_of_key(stem_request *request, stem_slice key, stem_text *text);
/* A bulk string, null, or WRONGTYPE. */
void stem_reply_value(stem_reply *reply, const stem_text *text);

/* What TYPE calls a type of values (command_key.c): "string" for all that GET can read. */
const char *stem_type_text(int type);

/* Whether it is one, and which: decimal as it is written, with nothing that could be left
 * out. */
bool stem_text_is_int(stem_slice text, int64_t *x);
/* The same for what strtold reads, as Redis has it; not NaN. */
bool stem_text_is_real(stem_slice text, long double *x);

/* The value that SET stores for a text: INT, STR or BIN. It borrows. */
stem_value stem_value_of_text(stem_slice text);

/* Adds what a write would come to to `*bytes`, which begins with stem_execution_own_bytes.
 * Answers false, having replied, when the engine takes no such value or commit. */
bool stem_request_admits(stem_request *request, stem_slice key, size_t value_len,
                         size_t *bytes);
/* The most bytes of the encoding of a text. */
static inline size_t stem_text_encoded_most(size_t len)
{
    enum { LONGEST_HEAD = 5 };

    return len + LONGEST_HEAD;
}
/* Stores a value that was admitted. */
int stem_request_put(stem_request *request, stem_slice key, const stem_value *value);

/* The stored form of the key in a word; false when the command is to return `*code`, the
 * reply being made where that is STEM_OK. */
bool stem_request_has_key(stem_request *request, size_t arg, stem_slice *key, int *code);
/* The same for the words from `first` on, every `step`-th; in memory of the execution's. */
bool stem_request_has_keys(stem_request *request, size_t first, size_t step,
                           stem_slice **keys, size_t *n, int *code);

/* Which of these keys are there; in memory of the execution's. */
int stem_request_has(stem_request *request, const stem_slice *keys, size_t n,
                     bool **is_there);
/* STEM_OK, or after stem_fail STEM_ENOMEM when the reply has grown too large: for who reads to
 * go no further. */
int stem_request_goes_on(const stem_request *request);
/* The key in the first word, and the text that it holds; false as stem_request_has_key, and
 * also when reading fails. */
bool stem_request_has_text(stem_request *request, stem_slice *key, stem_text *text,
                           int *code);

/* Whether a word is that name, which is upper case, in whatever case. */
bool stem_word_is(stem_slice word, const char *name);

extern const char stem_wrong_type[], stem_no_integer[], stem_syntax_error[];

#endif
