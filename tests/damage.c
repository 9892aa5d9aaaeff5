/*
 * Copies of a database's directory, with some of the files damaged: see damage.h.
 */
#include "damage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stem.h"
#include "support.h"

void copy_directory(const char *from, const char *to)
{
    DIR *listing = opendir(from);
    struct dirent *entry;

    remove_tree(to);
    ck_assert_int_eq(mkdir(to, 0777), 0);
    ck_assert_ptr_nonnull(listing);
    while ((entry = readdir(listing)) != NULL) {
        char source[4096], target[4096];

        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        if (*entry->d_name != '.')
            ck_assert_int_eq(link(source, target), 0);
    }
    closedir(listing);
}

void shorten_file(const char *path, long size)
{
    char *bytes = malloc((size_t)size + 1);
    FILE *file = fopen(path, "r");

    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_nonnull(file);
    size_t len = fread(bytes, 1, (size_t)size, file);
    fclose(file);
    ck_assert_int_eq(remove(path), 0);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    free(bytes);
}

int list_names(const char *path, const char *part, char names[MAX_NAMES][NAME_ROOM])
{
    DIR *listing = opendir(path);
    struct dirent *entry;
    int n = 0;

    ck_assert_ptr_nonnull(listing);
    while ((entry = readdir(listing)) != NULL)
        if (strstr(entry->d_name, part) && n < MAX_NAMES)
            snprintf(names[n++], NAME_ROOM, "%.63s", entry->d_name);
    closedir(listing);
    return n;
}

long file_size(const char *path)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return (long)status.st_size;
}

void damage_file(const char *path, long offset, int n)
{
    shorten_file(path, file_size(path));
    FILE *file = fopen(path, "r+");

    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(fseek(file, offset + i, SEEK_SET), 0);
        int byte = fgetc(file);
        if (byte == EOF)
            break;
        ck_assert_int_eq(fseek(file, offset + i, SEEK_SET), 0);
        fputc(byte ^ (rand() % 255 + 1), file);
    }
    ck_assert_int_eq(fclose(file), 0);
}

void flip_bit(const char *path, long offset, int bit)
{
    shorten_file(path, file_size(path));
    FILE *file = fopen(path, "r+");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    const int byte = fgetc(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    fputc(byte ^ 1 << bit, file);
    ck_assert_int_eq(fclose(file), 0);
}

void empty_part(const char *path, long offset, int n)
{
    shorten_file(path, file_size(path));
    FILE *file = fopen(path, "r+");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    while (n-- > 0)
        fputc(0, file);
    ck_assert_int_eq(fclose(file), 0);
}

void assert_names(int code, const char *file)
{
    expect(code == STEM_ECORRUPT || code == STEM_EIO);
    if (!strstr(stem_errmsg(), file))
        ck_abort_msg("%s is not named: %s", file, stem_errmsg());
}
