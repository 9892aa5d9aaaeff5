/*
 * The hand-glued side of the comparisons: what a careful user writes who has LevelDB's C API
 * and msgpack-c; see side.h.
 *
 * It checks its input, its keys' lengths and every message, packs into one buffer that is
 * used again, unpacks with the one object that is used again, and wants the whole value to be
 * one object of the right type. Strings are handed out as Stem does, owned and ended by a
 * NUL. An array is a list of its element type, its length and a bin of the elements' bytes,
 * the cheapest form of msgpack-c's that tells doubles from other numbers. Where the elements
 * begin depends on the heads before them, so they are copied to be aligned.
 */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "side.h"

enum { GLUED_KEY_MAX = 512, GLUED_NAME_MAX = 256 };
/* An array's element type, length and bytes. */
enum { ARRAY_MEMBERS = 3, TYPE_F64 = 1 };

struct side_db {
    plain_leveldb plain;
    const workload *load;
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_unpacked unpacked;
};

static side_db *open_glued(const char *path, const stem_options *options,
                           const workload *load)
{
    side_db *db = bench_alloc(1, sizeof *db);

    plain_open(&db->plain, path, options);
    db->load = load;
    msgpack_sbuffer_init(&db->buffer);
    msgpack_packer_init(&db->packer, &db->buffer, msgpack_sbuffer_write);
    msgpack_unpacked_init(&db->unpacked);
    return db;
}

static void close_glued(side_db *db)
{
    msgpack_unpacked_destroy(&db->unpacked);
    msgpack_sbuffer_destroy(&db->buffer);
    plain_close(&db->plain);
    free(db);
}

/* Glues the prefix and a name; the key's length, or 0 when there can be no such key. */
static size_t make_key(const workload *load, const char *name, char key[GLUED_KEY_MAX])
{
    size_t name_len = name ? strlen(name) : 0;

    if (name_len == 0 || name_len > GLUED_NAME_MAX ||
        load->prefix_len + name_len > GLUED_KEY_MAX)
        return 0;
    memcpy(key, load->prefix, load->prefix_len);
    memcpy(key + load->prefix_len, name, name_len);
    return load->prefix_len + name_len;
}

/* ---- Writing ---------------------------------------------------------------------- */

static bool put_packed(side_db *db, const char *name)
{
    char key[GLUED_KEY_MAX], *message = NULL;
    size_t key_len = make_key(db->load, name, key);

    if (key_len == 0)
        return false;
    leveldb_put(db->plain.db, db->plain.write_options, key, key_len, db->buffer.data,
                db->buffer.size, &message);
    if (!message)
        return true;
    leveldb_free(message);
    return false;
}

static bool put_int(side_db *db, const char *name, int64_t integer)
{
    msgpack_sbuffer_clear(&db->buffer);
    return msgpack_pack_int64(&db->packer, integer) == 0 && put_packed(db, name);
}

static bool put_str(side_db *db, const char *name, const char *text)
{
    size_t len = strlen(text);

    msgpack_sbuffer_clear(&db->buffer);
    return msgpack_pack_str(&db->packer, len) == 0 &&
           msgpack_pack_str_body(&db->packer, text, len) == 0 && put_packed(db, name);
}

static bool put_array(side_db *db, const char *name, const double *elements, size_t n)
{
    size_t len = n * sizeof *elements;

    msgpack_sbuffer_clear(&db->buffer);
    return msgpack_pack_array(&db->packer, ARRAY_MEMBERS) == 0 &&
           msgpack_pack_int(&db->packer, TYPE_F64) == 0 &&
           msgpack_pack_uint64(&db->packer, n) == 0 &&
           msgpack_pack_bin(&db->packer, len) == 0 &&
           msgpack_pack_bin_body(&db->packer, elements, len) == 0 && put_packed(db, name);
}

static void put(side_db *db, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const entry *each = &db->load->entries[i];
        bool is_put = each->text ? put_str(db, each->name, each->text)
                                 : put_int(db, each->name, each->integer);

        if (!is_put)
            bench_die("glued: a put failed");
    }
}

static void put_arrays(side_db *db, size_t n)
{
    double elements[ARRAY_ELEMENTS];

    for (size_t i = 0; i < n; i++) {
        workload_array(db->load, i, elements);
        if (!put_array(db, db->load->entries[i].name, elements, ARRAY_ELEMENTS))
            bench_die("glued: a put failed");
    }
}

/* ---- Reading ---------------------------------------------------------------------- */

/* Unpacks exactly one object from all of the bytes. */
static const msgpack_object *unpack(side_db *db, const char *bytes, size_t len)
{
    size_t offset = 0;

    if (msgpack_unpack_next(&db->unpacked, bytes, len, &offset) !=
            MSGPACK_UNPACK_SUCCESS ||
        offset != len)
        return NULL;
    return &db->unpacked.data;
}

/* The object under a name, which points into the bytes, to be freed when it is done with. */
static const msgpack_object *get_object(side_db *db, const char *name, char **bytes)
{
    char key[GLUED_KEY_MAX], *message = NULL;
    size_t key_len = make_key(db->load, name, key);
    size_t len;

    *bytes = NULL;
    if (key_len == 0)
        return NULL;
    *bytes =
        leveldb_get(db->plain.db, db->plain.read_options, key, key_len, &len, &message);
    if (message) {
        leveldb_free(message);
        return NULL;
    }
    return *bytes ? unpack(db, *bytes, len) : NULL;
}

static bool read_int(const msgpack_object *object, int64_t *integer)
{
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *integer = object->via.i64;
        return true;
    }
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX) {
        *integer = (int64_t)object->via.u64;
        return true;
    }
    return false;
}

static bool get_int(side_db *db, const char *name, int64_t *integer)
{
    char *bytes;
    const msgpack_object *object = get_object(db, name, &bytes);
    bool is_read = object && read_int(object, integer);

    leveldb_free(bytes);
    return is_read;
}

static char *get_str(side_db *db, const char *name, size_t *len)
{
    char *bytes, *text = NULL;
    const msgpack_object *object = get_object(db, name, &bytes);

    if (object && object->type == MSGPACK_OBJECT_STR) {
        *len = object->via.str.size;
        text = malloc(*len + 1);
        if (text) {
            memcpy(text, object->via.str.ptr, *len);
            text[*len] = '\0';
        }
    }
    leveldb_free(bytes);
    return text;
}

/* The bytes of an array of doubles, and how many there are; NULL if it is none. */
static const char *read_array(const msgpack_object *object, size_t *n)
{
    const msgpack_object *members = object->via.array.ptr;

    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size != ARRAY_MEMBERS ||
        members[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
        members[0].via.u64 != TYPE_F64 ||
        members[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
        members[2].type != MSGPACK_OBJECT_BIN ||
        members[2].via.bin.size % sizeof(double) != 0 ||
        members[2].via.bin.size / sizeof(double) != members[1].via.u64)
        return NULL;
    *n = members[1].via.u64;
    return members[2].via.bin.ptr;
}

static double *get_array(side_db *db, const char *name, size_t *n)
{
    char *bytes;
    double *elements = NULL;
    const msgpack_object *object = get_object(db, name, &bytes);
    const char *found = object ? read_array(object, n) : NULL;

    if (found) {
        elements = malloc(*n > 0 ? *n * sizeof *elements : 1);
        if (elements)
            memcpy(elements, found, *n * sizeof *elements);
    }
    leveldb_free(bytes);
    return elements;
}

static void get(side_db *db, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const entry *each = &db->load->entries[i];

        if (each->text) {
            size_t len;
            char *text = get_str(db, each->name, &len);

            if (!text || len != each->text_len || text[0] != each->text[0])
                bench_die("glued: another string came back");
            free(text);
        } else {
            int64_t integer;

            if (!get_int(db, each->name, &integer) || integer != each->integer)
                bench_die("glued: another integer came back");
        }
    }
}

static void get_arrays(side_db *db, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t count;
        double *elements = get_array(db, db->load->entries[i].name, &count);

        if (!elements || count != ARRAY_ELEMENTS || elements[0] != (double)i ||
            elements[ARRAY_ELEMENTS - 1] != (double)i)
            bench_die("glued: another array came back");
        free(elements);
    }
}

/* ---- Walking ---------------------------------------------------------------------- */

/* Sums, so that the compiler cannot leave out the work. */
typedef struct totals {
    uint64_t n, integer_sum, text_bytes, key_bytes;
} totals;

static bool add_entry(side_db *db, leveldb_iterator_t *iter, totals *sums)
{
    size_t len;
    const char *key = leveldb_iter_key(iter, &len);

    if (len < db->load->prefix_len ||
        memcmp(key, db->load->prefix, db->load->prefix_len) != 0)
        return false;
    sums->key_bytes += (unsigned char)key[db->load->prefix_len];
    const char *bytes = leveldb_iter_value(iter, &len);
    const msgpack_object *object = unpack(db, bytes, len);
    int64_t integer;

    if (!object)
        bench_die("glued: a value is damaged");
    if (object->type == MSGPACK_OBJECT_STR)
        sums->text_bytes += object->via.str.size;
    else if (read_int(object, &integer))
        sums->integer_sum += (uint64_t)integer;
    sums->n++;
    return true;
}

static void walk(side_db *db)
{
    leveldb_iterator_t *iter =
        leveldb_create_iterator(db->plain.db, db->plain.read_options);
    const workload *load = db->load;
    totals sums = {0};
    char *message = NULL;

    leveldb_iter_seek(iter, load->prefix, load->prefix_len);
    while (leveldb_iter_valid(iter) && add_entry(db, iter, &sums))
        leveldb_iter_next(iter);
    leveldb_iter_get_error(iter, &message);
    plain_check("iterate", message);
    leveldb_iter_destroy(iter);
    if (sums.n != load->n || sums.integer_sum != load->integer_sum ||
        sums.text_bytes != load->text_bytes || sums.key_bytes == 0)
        bench_die("glued: the walk met something else than what was put");
}

const side side_glued = {
    .name = "glued",
    .open = open_glued,
    .close = close_glued,
    .put = put,
    .get = get,
    .walk = walk,
    .put_arrays = put_arrays,
    .get_arrays = get_arrays,
};
