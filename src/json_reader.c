/*
 * JSON documents entry by entry: the public calls.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "error.h"
#include "stem.h"

#ifdef HAVE_JSON

#include <stdlib.h>
#include <string.h>

#include "json_entries.h"

static void free_reader(stem_json_reader *reader)
{
    for (size_t i = 0; i < reader->levels_room; i++) {
        free(reader->levels[i].block.data);
        stem_json_names_free(&reader->levels[i].names);
    }
    stem_value_free(&reader->value);
    stem_json_values_free(&reader->values);
    stem_json_text_close(&reader->text);
    if (reader->locale)
        freelocale(reader->locale);
    free(reader->bytes.data);
    free(reader->levels);
    free(reader->names);
    free(reader->path);
    free(reader);
}

static int start_reader(stem_json_reader *reader, stem_json_source source, void *context,
                        const char *const *names, size_t n)
{
    int code = stem_json_text_open(&reader->text, source, context);

    reader->path = malloc(STEM_PATH_MAX + 1);
    reader->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (code == STEM_OK && (!reader->path || !reader->locale))
        code = stem_json_no_memory();
    for (size_t i = 0; code == STEM_OK && i < n; i++) {
        if (!names[i] || !names[i][0])
            code = stem_fail(STEM_EINVAL, "name %zu is %s", i + 1,
                             names[i] ? "empty" : "NULL");
        else
            code = stem_json_push_name(reader, names[i], strlen(names[i]));
    }
    reader->n_given = n;
    return code;
}

static int open_reader(stem_json_source source, void *context, const char *const *names,
                       size_t n, int flags, stem_json_reader **out)
{
    stem_json_reader *reader;
    int code;

    if (!source || (n > 0 && !names))
        return stem_fail(STEM_EINVAL, "%s is NULL", source ? "names" : "the source");
    if ((flags & ~(STEM_JSON_PLAIN | STEM_JSON_FLAT)) != 0)
        return stem_fail(STEM_EINVAL, "unknown flags");
    reader = calloc(1, sizeof *reader);
    if (!reader)
        return stem_json_no_memory();
    reader->values = (stem_json_values){.text = &reader->text,
                                        .out = &reader->bytes,
                                        .is_plain = (flags & STEM_JSON_PLAIN) != 0,
                                        .is_stored = true};
    reader->is_flat = (flags & STEM_JSON_FLAT) != 0;
    code = start_reader(reader, source, context, names, n);
    if (code == STEM_OK)
        *out = reader;
    else
        free_reader(reader);
    return code;
}

stem_json_reader *stem_json_open(stem_json_source source, void *context,
                                 const char *const *names, size_t n, int flags)
{
    stem_json_reader *reader = NULL;
    int code = open_reader(source, context, names, n, flags, &reader);

    if (code != STEM_OK)
        stem_fail_at(code, "json open", NULL);
    return reader;
}

bool stem_json_next(stem_json_reader *reader)
{
    bool is_entry;
    locale_t before;

    if (!reader || reader->is_ended)
        return false;
    before = uselocale(reader->locale);
    reader->code = stem_json_step(reader, &is_entry);
    uselocale(before);
    if (reader->code != STEM_OK)
        stem_fail_at(reader->code, "json read", NULL);
    reader->is_ended = reader->code != STEM_OK || !is_entry;
    return !reader->is_ended;
}

const char *const *stem_json_path(const stem_json_reader *reader, size_t *n)
{
    if (!reader || !n) {
        stem_fail_at(stem_fail(STEM_EINVAL, "%s is NULL", reader ? "n" : "the reader"),
                     "json path", NULL);
        return NULL;
    }
    *n = reader->n_names;
    return reader->names;
}

const stem_value *stem_json_value(const stem_json_reader *reader)
{
    if (!reader) {
        stem_fail_at(stem_fail(STEM_EINVAL, "the reader is NULL"), "json value", NULL);
        return NULL;
    }
    return &reader->value;
}

int stem_json_close(stem_json_reader *reader)
{
    int code = reader ? reader->code : STEM_OK;

    if (reader)
        free_reader(reader);
    return code;
}

#else

stem_json_reader *stem_json_open(stem_json_source source, void *context,
                                 const char *const *names, size_t n, int flags)
{
    (void)source;
    (void)context;
    (void)names;
    (void)n;
    (void)flags;
    stem_fail(STEM_ENOTSUP, "json open: this build of Stem has no JSON");
    return NULL;
}

bool stem_json_next(stem_json_reader *reader)
{
    (void)reader;
    return false;
}

const char *const *stem_json_path(const stem_json_reader *reader, size_t *n)
{
    (void)reader;
    (void)n;
    return NULL;
}

const stem_value *stem_json_value(const stem_json_reader *reader)
{
    (void)reader;
    return NULL;
}

int stem_json_close(stem_json_reader *reader)
{
    (void)reader;
    return STEM_OK;
}

#endif
