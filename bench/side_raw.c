/*
 * The raw side of the comparisons: LevelDB's C API and nothing else, given the very bytes
 * that Stem stores, ready made; see side.h. What it reads it does not look into.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "side.h"

struct side_db {
    plain_leveldb plain;
    const workload *load;
};

static side_db *open_raw(const char *path, const stem_options *options,
                         const workload *load)
{
    side_db *db = bench_alloc(1, sizeof *db);

    plain_open(&db->plain, path, options);
    db->load = load;
    return db;
}

static void close_raw(side_db *db)
{
    plain_close(&db->plain);
    free(db);
}

static void put(side_db *db, size_t first, size_t end)
{
    const plain_leveldb *plain = &db->plain;
    char *message = NULL;

    for (size_t i = first; i < end; i++) {
        const entry *each = &db->load->entries[i];

        leveldb_put(plain->db, plain->write_options, each->stored, each->stored_len,
                    each->encoded, each->encoded_len, &message);
        plain_check("put", message);
    }
}

static void get(side_db *db, size_t first, size_t end)
{
    const plain_leveldb *plain = &db->plain;
    char *message = NULL;

    for (size_t i = first; i < end; i++) {
        const entry *each = &db->load->entries[i];
        size_t len;
        char *bytes = leveldb_get(plain->db, plain->read_options, each->stored,
                                  each->stored_len, &len, &message);

        plain_check("get", message);
        if (!bytes || len != each->encoded_len)
            bench_die("raw: other bytes came back");
        leveldb_free(bytes);
    }
}

static void walk(side_db *db)
{
    leveldb_iterator_t *iter =
        leveldb_create_iterator(db->plain.db, db->plain.read_options);
    uint64_t n = 0, bytes = 0, sum = 0;
    char *message = NULL;

    for (leveldb_iter_seek(iter, db->load->prefix, db->load->prefix_len);
         leveldb_iter_valid(iter); leveldb_iter_next(iter)) {
        size_t key_len, value_len;
        const char *key = leveldb_iter_key(iter, &key_len);
        const char *value = leveldb_iter_value(iter, &value_len);

        if (key_len < db->load->prefix_len ||
            memcmp(key, db->load->prefix, db->load->prefix_len) != 0)
            break;
        sum += (unsigned char)key[0] + (unsigned char)value[0];
        bytes += key_len + value_len;
        n++;
    }
    leveldb_iter_get_error(iter, &message);
    plain_check("iterate", message);
    leveldb_iter_destroy(iter);
    if (n != db->load->n || bytes != db->load->stored_bytes || sum == 0)
        bench_die("raw: the walk met something else than what was put");
}

/* The array's key is that of the entry, its value what Stem stores. */
static void put_arrays(side_db *db, size_t n)
{
    double elements[ARRAY_ELEMENTS];
    char *message = NULL;

    for (size_t i = 0; i < n; i++) {
        const entry *each = &db->load->entries[i];
        stem_value value = stem_vec(elements, ARRAY_ELEMENTS);
        size_t len;

        workload_array(db->load, i, elements);
        char *encoded = stem_encode(&value, &len);
        leveldb_put(db->plain.db, db->plain.write_options, each->stored, each->stored_len,
                    encoded, len, &message);
        plain_check("put", message);
        stem_free(encoded);
    }
}

static void get_arrays(side_db *db, size_t n)
{
    const plain_leveldb *plain = &db->plain;
    char *message = NULL;

    for (size_t i = 0; i < n; i++) {
        const entry *each = &db->load->entries[i];
        double last = 0;
        size_t len;
        char *bytes = leveldb_get(plain->db, plain->read_options, each->stored,
                                  each->stored_len, &len, &message);

        plain_check("get", message);
        if (bytes && len > sizeof last)
            memcpy(&last, bytes + len - sizeof last, sizeof last);
        if (!bytes || last != (double)i)
            bench_die("raw: another array came back");
        leveldb_free(bytes);
    }
}

const side side_raw = {
    .name = "raw",
    .open = open_raw,
    .close = close_raw,
    .put = put,
    .get = get,
    .walk = walk,
    .put_arrays = put_arrays,
    .get_arrays = get_arrays,
};
