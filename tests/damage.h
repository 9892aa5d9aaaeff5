/*
 * Copies of a database's directory, with some of the files damaged.
 */
#ifndef STEM_TESTS_DAMAGE_H
#define STEM_TESTS_DAMAGE_H

enum { MAX_NAMES = 64, NAME_ROOM = 64 };

/* A new directory of links to the files of the other, which LevelDB leaves as they
 * are. */
void copy_directory(const char *from, const char *to);

/* The names in the directory that have that part; how many. */
int list_names(const char *path, const char *part, char names[MAX_NAMES][NAME_ROOM]);

long file_size(const char *path);

/* Makes the file one of its own, of at most so many bytes. */
void shorten_file(const char *path, long size);
/* Makes it one of its own and changes `n` bytes from `offset` on, each to something
 * else. */
void damage_file(const char *path, long offset, int n);
void flip_bit(const char *path, long offset, int bit);
/* The same, and makes them zeros, as where a power cut kept some of what was not synced. */
void empty_part(const char *path, long offset, int n);

/* Asserts that the failure is one of damage and names the file. */
void assert_names(int code, const char *file);

/* Check notes every assertion that holds, which a million of them would wait for. */
#define expect(claim) ((claim) ? (void)0 : ck_abort_msg("%s: %s", #claim, stem_errmsg()))

#endif
