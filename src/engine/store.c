/*
 * The store of a directory; see store.h.
 */
#include "store.h"

#include <stddef.h>

#include "../error.h"
#include "leveldb.h"
#include "writeback.h"

/* ---- Options ---------------------------------------------------------------------- */

typedef struct setting {
    const char *name;
    size_t offset, size; /* of the member */
} setting;

#define SETTING(member)                                                                  \
    {                                                                                    \
#member, offsetof(stem_options, member), sizeof((stem_options *)0)->member       \
    }

static const setting settings[] = {
    SETTING(no_compression),     SETTING(no_verify),      SETTING(no_bloom),
    SETTING(bloom_bits),         SETTING(max_open_files), SETTING(cache_bytes),
    SETTING(write_buffer_bytes), SETTING(block_bytes),    SETTING(writeback_bytes),
    SETTING(writeback_ms),
};

enum { N_SETTINGS = sizeof settings / sizeof *settings };

static uint64_t value_of(const stem_options *options, const setting *which)
{
    const char *member = (const char *)options + which->offset;
    size_t as_size;
    int as_int;

    if (which->size == sizeof(bool))
        return *(const bool *)member;
    if (which->size == sizeof as_int) {
        memcpy(&as_int, member, sizeof as_int);
        return (uint64_t)as_int;
    }
    memcpy(&as_size, member, sizeof as_size);
    return as_size;
}

const char *stem_store_setting(const stem_options *options, size_t i, uint64_t *value)
{
    if (i >= N_SETTINGS)
        return NULL;
    *value = value_of(options, &settings[i]);
    return settings[i].name;
}

static bool set(stem_options *options, const setting *which, uint64_t value)
{
    char *member = (char *)options + which->offset;
    const size_t as_size = (size_t)value;
    const int as_int = (int)value;

    if (which->size == sizeof(bool)) {
        *(bool *)member = value == 1;
        return value <= 1;
    }
    if (which->size == sizeof as_int) {
        memcpy(member, &as_int, sizeof as_int);
        return as_int >= 0 && (uint64_t)as_int == value;
    }
    memcpy(member, &as_size, sizeof as_size);
    return as_size == value;
}

bool stem_store_set(stem_options *options, stem_slice name, uint64_t value)
{
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strlen(settings[i].name) == name.len &&
            memcmp(settings[i].name, name.data, name.len) == 0)
            return set(options, &settings[i], value);
    return false;
}

int stem_store_check_options(const stem_options *options)
{
    const int code = stem_leveldb_check_options(options);

    return code == STEM_OK ? stem_writeback_check_options(options) : code;
}

stem_options stem_store_complete_options(const stem_options *options)
{
    stem_options complete = stem_leveldb_effective_options(options);

    stem_writeback_complete_options(&complete);
    return complete;
}

int stem_store_check_same(const stem_options *wanted, const stem_options *open,
                          const char *where)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        const uint64_t asked = value_of(wanted, &settings[i]);
        const uint64_t is = value_of(open, &settings[i]);

        if (asked != 0 && asked != is)
            return stem_fail(STEM_EINVAL,
                             "option %s is %llu, but the database is %s with %llu",
                             settings[i].name, (unsigned long long)asked, where,
                             (unsigned long long)is);
    }
    return STEM_OK;
}

/* ---- Opening ---------------------------------------------------------------------- */

/* The fork generation in which LevelDB was first used, and one more; 0 when it was not. */
static atomic_uint used_in;

bool stem_store_may_open(void)
{
    const unsigned first = atomic_load(&used_in);

    return first == 0 || first == stem_fork_generation + 1;
}

int stem_store_check_process(void)
{
    if (stem_store_may_open())
        return STEM_OK;
    return stem_fail(STEM_EFORK,
                     "this process was forked from one that had used LevelDB, which "
                     "cannot work in both: exec a program that opens the database");
}

int stem_store_open(const stem_directory *dir, const stem_options *options,
                    stem_engine **opened)
{
    stem_engine *engine;

    int code = stem_store_check_process();
    if (code != STEM_OK)
        return code;
    atomic_store(&used_in, stem_fork_generation + 1);
    code = stem_leveldb_open(dir, options, &engine);
    if (code != STEM_OK)
        return code;
    engine->fork_generation = stem_fork_generation;
    if (options->writeback_bytes == 0) {
        *opened = engine;
        return STEM_OK;
    }
    code = stem_writeback_open(engine, options, opened);
    if (code != STEM_OK)
        engine->ops->close(engine);
    return code;
}
