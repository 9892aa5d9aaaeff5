/*
 * Heap allocations of one operation: all of them, and those that Stem's own code makes.
 *
 * The program has a malloc of its own that counts and goes on to the C library's. Whose call
 * it is, the return address tells: libstem.so lies in one range of addresses.
 */
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "side.h"

enum { ENTRIES = 10000, ARRAYS = 200 };

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);

/* Where libstem.so lies. */
static uintptr_t library_start, library_end;

/* LevelDB's thread allocates as well, and is not to be counted. */
static _Thread_local bool is_counting;
static _Thread_local size_t all, own;

static void count(const void *caller)
{
    uintptr_t address = (uintptr_t)caller;

    if (!is_counting)
        return;
    all++;
    own += address >= library_start && address < library_end;
}

/* For LevelDB to find them they must not be hidden. */
__attribute__((visibility("default"))) void *malloc(size_t size);
__attribute__((visibility("default"))) void *calloc(size_t n, size_t size);
__attribute__((visibility("default"))) void *realloc(void *block, size_t size);

void *malloc(size_t size)
{
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_realloc(block, size);
}

static int find_library(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (!strstr(info->dlpi_name, "libstem.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        library_start = start;
        library_end = start + segment->p_memsz;
    }
    return 1;
}

typedef void work(const side *which, side_db *db);

static void put(const side *which, side_db *db)
{
    which->put(db, 0, ENTRIES);
}

static void get(const side *which, side_db *db)
{
    which->get(db, 0, ENTRIES);
}

static void walk(const side *which, side_db *db)
{
    which->walk(db);
}

static void put_arrays(const side *which, side_db *db)
{
    which->put_arrays(db, ARRAYS);
}

static void get_arrays(const side *which, side_db *db)
{
    which->get_arrays(db, ARRAYS);
}

static void print_counts(const char *what, work *measured, const side *which, side_db *db,
                         size_t operations)
{
    all = own = 0;
    is_counting = true;
    measured(which, db);
    is_counting = false;
    printf("%-34s %-6s %6.2f", what, which->name, (double)all / (double)operations);
    if (which == &side_stem)
        printf(" %6.2f", (double)own / (double)operations);
    putchar('\n');
}

static void measure(const side *which, const char *dir, size_t levels)
{
    workload *load = workload_make(ENTRIES, levels);
    char *path = bench_directory(dir);
    side_db *db = which->open(path, &side_options, load);

    print_counts(levels > 1 ? "put, ten levels deep" : "put an integer or a string", put,
                 which, db, ENTRIES);
    print_counts(levels > 1 ? "get, ten levels deep" : "get it, typed", get, which, db,
                 ENTRIES);
    print_counts("walk, key and typed value", walk, which, db, ENTRIES);
    which->close(db);
    bench_remove(path);
    if (levels == 1) {
        path = bench_directory(dir);
        db = which->open(path, &side_options, load);
        put_arrays(which, db);
        print_counts("get a 1,000-element f64 array", get_arrays, which, db, ARRAYS);
        which->close(db);
        bench_remove(path);
    }
    workload_free(load);
}

int main(int argc, char **argv)
{
    static const side *const sides[] = {&side_stem, &side_raw, &side_glued};
    const bench_arguments given =
        bench_parse(argc, argv, (bench_arguments){.n = ENTRIES, .rounds = 1},
                    "usage: allocations [-d DIRECTORY]");

    dl_iterate_phdr(find_library, NULL);
    if (library_end == 0)
        bench_die("libstem is not linked as a shared library: whose an allocation is "
                  "cannot be told");
    printf("%-34s %-6s %6s %6s\n", "allocations of one operation", "side", "all",
           "Stem's");
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        measure(sides[i], given.dir, 1);
        measure(sides[i], given.dir, LEVELS_MAX);
    }
    return EXIT_SUCCESS;
}
