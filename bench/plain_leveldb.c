/*
 * LevelDB, opened by hand with the settings that Stem has; see side.h.
 */
#include "bench.h"
#include "side.h"

const stem_options side_options = {
    .bloom_bits = 10,
    .max_open_files = 1000,
    .cache_bytes = 32 << 20,
    .write_buffer_bytes = 4 << 20,
    .block_bytes = 4 << 10,
};

void plain_check(const char *operation, const char *message)
{
    if (message)
        bench_die("%s: LevelDB: %s", operation, message);
}

void plain_open(plain_leveldb *plain, const char *path, const stem_options *options)
{
    leveldb_options_t *made = leveldb_options_create();
    char *message = NULL;

    plain->options = made;
    plain->cache = leveldb_cache_create_lru(options->cache_bytes);
    plain->filter =
        options->no_bloom ? NULL : leveldb_filterpolicy_create_bloom(options->bloom_bits);
    leveldb_options_set_create_if_missing(made, 1);
    leveldb_options_set_cache(made, plain->cache);
    if (plain->filter)
        leveldb_options_set_filter_policy(made, plain->filter);
    leveldb_options_set_paranoid_checks(made, !options->no_verify);
    leveldb_options_set_compression(made, options->no_compression
                                              ? leveldb_no_compression
                                              : leveldb_snappy_compression);
    leveldb_options_set_max_open_files(made, options->max_open_files);
    leveldb_options_set_write_buffer_size(made, options->write_buffer_bytes);
    leveldb_options_set_block_size(made, options->block_bytes);
    plain->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(plain->read_options, !options->no_verify);
    plain->write_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(plain->write_options, options->sync);
    plain->db = leveldb_open(made, path, &message);
    plain_check("open", message);
}

void plain_close(plain_leveldb *plain)
{
    leveldb_close(plain->db);
    leveldb_options_destroy(plain->options);
    leveldb_readoptions_destroy(plain->read_options);
    leveldb_writeoptions_destroy(plain->write_options);
    if (plain->filter)
        leveldb_filterpolicy_destroy(plain->filter);
    leveldb_cache_destroy(plain->cache);
}
