/*
 * Stem's side of the comparisons, as its documentation shows how to use it; see side.h.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "side.h"

struct side_db {
    stem_db *root, *place;
    const workload *load;
};

static void check(int code, const char *operation)
{
    if (code != STEM_OK)
        bench_die("Stem: %s answered %s: %s", operation, stem_strerror(code),
                  stem_errmsg());
}

static side_db *open_stem(const char *path, const stem_options *options,
                          const workload *load)
{
    side_db *db = bench_alloc(1, sizeof *db);

    check(stem_open(&db->root, path, options), "open");
    db->place = stem_sub_path(db->root, load->level_names, load->levels);
    db->load = load;
    if (!db->place)
        check(stem_errcode(), "sub");
    return db;
}

static void close_stem(side_db *db)
{
    check(stem_close(db->place), "close");
    check(stem_close(db->root), "close");
    free(db);
}

static void put(side_db *db, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const entry *each = &db->load->entries[i];

        if (each->text)
            check(stem_put(db->place, each->name, each->text), "put");
        else
            check(stem_put(db->place, each->name, each->integer), "put");
    }
}

static void get(side_db *db, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const entry *each = &db->load->entries[i];

        if (each->text) {
            char *text;
            size_t len;

            check(stem_get_str(db->place, each->name, &text, &len), "get");
            if (len != each->text_len || text[0] != each->text[0])
                bench_die("Stem: another string came back");
            stem_free(text);
        } else {
            int64_t integer;

            check(stem_get_int(db->place, each->name, &integer), "get");
            if (integer != each->integer)
                bench_die("Stem: another integer came back");
        }
    }
}

static void walk(side_db *db)
{
    stem_iter *iter = stem_iter_open(db->place, NULL);
    uint64_t n = 0, integer_sum = 0, text_bytes = 0, key_bytes = 0;

    while (stem_iter_next(iter)) {
        const stem_value *value = stem_iter_value(iter);

        key_bytes += (unsigned char)stem_iter_key(iter)[0];
        if (value->type == STEM_INT)
            integer_sum += (uint64_t)value->as.integer;
        else if (value->type == STEM_STR)
            text_bytes += value->as.str.len;
        n++;
    }
    check(stem_iter_close(iter), "iterate");
    if (n != db->load->n || integer_sum != db->load->integer_sum ||
        text_bytes != db->load->text_bytes || key_bytes == 0)
        bench_die("Stem: the walk met something else than what was put");
}

static void put_arrays(side_db *db, size_t n)
{
    double elements[ARRAY_ELEMENTS];

    for (size_t i = 0; i < n; i++) {
        workload_array(db->load, i, elements);
        check(stem_put(db->place, db->load->entries[i].name,
                       stem_vec(elements, ARRAY_ELEMENTS)),
              "put");
    }
}

static void get_arrays(side_db *db, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        stem_value value;

        check(stem_get_array(db->place, db->load->entries[i].name, STEM_F64, &value),
              "get");
        const double *elements = value.as.array.data;
        if (value.as.array.count != ARRAY_ELEMENTS || elements[0] != (double)i ||
            elements[ARRAY_ELEMENTS - 1] != (double)i)
            bench_die("Stem: another array came back");
        stem_value_free(&value);
    }
}

const side side_stem = {
    .name = "stem",
    .open = open_stem,
    .close = close_stem,
    .put = put,
    .get = get,
    .walk = walk,
    .put_arrays = put_arrays,
    .get_arrays = get_arrays,
};
