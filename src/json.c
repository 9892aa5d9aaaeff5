/*
 * Values as JSON text, both ways: the public calls, and the buffer that both ways fill.
 * Numbers are written and read in the C locale, which this thread alone is put into for
 * as long as it takes; docs/format.md has the forms.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "value.h"

#ifdef HAVE_JSON

#include "c_locale.h"
#include "json_read.h"

/* Gives up what was not needed, and the buffer's hold. */
static char *take(stem_buffer *buffer)
{
    char *smaller = realloc(buffer->data, buffer->len);

    return smaller ? smaller : buffer->data;
}

static int format(const stem_value *value, int flags, char **json)
{
    stem_buffer text = {0};
    locale_t c;
    locale_t before;
    int code;

    if ((flags & ~(STEM_JSON_PRETTY | STEM_JSON_PLAIN)) != 0)
        return stem_fail(STEM_EINVAL, "unknown flags");
    before = stem_c_locale_enter(&c);
    code = c ? stem_json_write(value, flags, &text)
             : stem_fail(STEM_ENOMEM, "no memory for the C locale");
    stem_c_locale_leave(before, c);
    stem_buffer_add(&text, "", 1);
    if (code == STEM_OK && text.failed)
        code = stem_fail(STEM_ENOMEM, "no memory for the JSON text");
    if (code == STEM_OK)
        *json = take(&text);
    else
        free(text.data);
    return code;
}

/* Reads the one value that the text is. */
static int read_whole(stem_json_text *text, bool is_plain, stem_buffer *bytes)
{
    stem_json_values values = {.text = text, .out = bytes, .is_plain = is_plain};
    int code = stem_json_read_value(&values);

    stem_json_values_free(&values);
    if (code == STEM_OK && stem_json_skip_blanks(text) >= 0)
        code = stem_json_unexpected(text, "the end of the text");
    return code;
}

static int parse(const char *data, size_t len, int flags, stem_value *out)
{
    stem_buffer bytes = {0};
    stem_json_text text;
    locale_t c;
    locale_t before;
    int code;

    if ((flags & ~STEM_JSON_PLAIN) != 0)
        return stem_fail(STEM_EINVAL, "unknown flags");
    stem_json_text_start(&text, data, len);
    before = stem_c_locale_enter(&c);
    code = c ? read_whole(&text, (flags & STEM_JSON_PLAIN) != 0, &bytes)
             : stem_fail(STEM_ENOMEM, "no memory for the C locale");
    stem_c_locale_leave(before, c);
    if (code != STEM_OK) {
        free(bytes.data);
        return code;
    }
    return stem_value_adopt(take(&bytes), bytes.len, out);
}

bool stem_json_valid(const char *data, size_t len)
{
    stem_json_text text;
    stem_failure saved;
    bool is_valid;

    if (!data)
        return false;
    stem_failure_save(&saved);
    stem_json_text_start(&text, data, len);
    text.is_skimmed = true;
    is_valid = stem_json_skip_value(&text) == STEM_OK && stem_json_skip_blanks(&text) < 0;
    stem_failure_restore(&saved);
    return is_valid;
}

#else

static int format(const stem_value *value, int flags, char **json)
{
    (void)value;
    (void)flags;
    (void)json;
    return stem_fail(STEM_ENOTSUP, "this build of Stem has no JSON");
}

static int parse(const char *text, size_t len, int flags, stem_value *out)
{
    (void)text;
    (void)len;
    (void)flags;
    (void)out;
    return stem_fail(STEM_ENOTSUP, "this build of Stem has no JSON");
}

bool stem_json_valid(const char *data, size_t len)
{
    (void)data;
    (void)len;
    return false;
}

#endif

char *stem_json_format(const stem_value *value, int flags)
{
    char *json = NULL;
    int code =
        value ? format(value, flags, &json) : stem_fail(STEM_EINVAL, "the value is NULL");

    if (code != STEM_OK)
        stem_fail_at(code, "json format", NULL);
    return json;
}

int stem_json_parse_flags(const char *text, size_t len, int flags, stem_value *out)
{
    int code = text && out
                   ? parse(text, len, flags, out)
                   : stem_fail(STEM_EINVAL, "%s is NULL", text ? "out" : "the text");

    return code == STEM_OK ? STEM_OK : stem_fail_at(code, "json parse", NULL);
}

int stem_json_parse(const char *text, size_t len, stem_value *out)
{
    return stem_json_parse_flags(text, len, 0, out);
}

int stem_put_json(stem_db *db, const char *key, const char *text)
{
    stem_value value;
    int code = stem_db_check(db, "put json");

    if (code != STEM_OK)
        return code;
    code = text ? parse(text, strlen(text), 0, &value)
                : stem_fail(STEM_EINVAL, "the text is NULL");
    if (code != STEM_OK)
        return stem_db_fail(db, code, "put json", key);
    code = stem_put_value(db, key, value);
    stem_value_free(&value);
    return code;
}

int stem_get_json(stem_db *db, const char *key, int flags, char **text)
{
    stem_value value;
    char *json = NULL;
    int code = stem_db_check(db, "get json");

    if (code != STEM_OK)
        return code;
    if (!text)
        return stem_db_fail(db, stem_fail(STEM_EINVAL, "the place for the text is NULL"),
                            "get json", key);
    code = stem_get(db, key, &value);
    if (code != STEM_OK)
        return code;
    code = format(&value, flags, &json);
    stem_value_free(&value);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "get json", key);
    *text = json;
    return STEM_OK;
}
