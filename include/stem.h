/*
 * Stem: a LevelDB database whose modules each see a sub-database of their own.
 *
 * Keys are strings, values are typed MessagePack. This header is the whole public API and
 * its reference; docs/format.md is the reference of what lies on the disk.
 *
 *     stem_db *db, *user;
 *     stem_open(&db, "./app.db", NULL);
 *     user = stem_sub(db, "users", "42");
 *     stem_put(user, "name", "Ada");
 *     stem_put(user, "logins", 7);
 *     stem_close(user);
 *     stem_close(db);
 *
 * Rules that hold everywhere unless a call says otherwise:
 *
 * Answers. Functions return an `int`: 0 is STEM_OK, a positive code is an answer
 * (STEM_NOTFOUND), a negative one a failure. After a failure stem_errmsg() says, for
 * this thread, what failed, where and why; success and answers leave it alone, but for
 * the answers of stem_open and stem_destroy. A call that returns a pointer returns NULL
 * on failure. After a failure outputs are unchanged and so is the database;
 * STEM_EUNKNOWN alone leaves open whether what was asked, outputs included, has been
 * done: in a directory it has, and it is not known whether it reached the disk; on a
 * server it is not known whether it was applied. A NULL handle, key or output is
 * STEM_EINVAL, except where NULL is allowed.
 *
 * Memory. What a call hands out is owned by the caller and released with the call named
 * there (stem_free for plain buffers). Arguments are borrowed for the length of the call.
 *
 * Threads. A handle (stem_db) may be used from any number of threads at once. An
 * iterator, a cursor, a batch and a value belong to one thread at a time. Closing a
 * handle while another thread is inside a call on it is undefined, as with free(). So is
 * cancelling a thread (pthread_cancel) or leaving one otherwise while it is inside a call:
 * locks stay held, and what was begun stays so. Disable cancellation around the calls of a
 * thread that others may cancel.
 *
 * Caveats, which no library over LevelDB, and libevent in the last, can lift:
 * - If memory runs out inside LevelDB the process is aborted (a C++ exception crosses C).
 * - LevelDB starts one thread, in the first open of a process. Whether a thread can be started
 *   is tried before, and STEM_EIO otherwise. When another takes the last one in that moment
 *   the process is aborted.
 * - A table file cut short by another process while it is mapped raises SIGBUS.
 * - Damage at the very end of the newest log cannot be told from what a crash leaves
 *   there: the database opens in the state before it, without an error. All other damage
 *   is reported, with the name of the file: to logs when the database is opened, to
 *   tables when they are read (unless no_verify is set).
 * - A table that cannot be read, an empty or a missing one too, is STEM_ECORRUPT for the
 *   reads that meet it, with its name: a read of a key that it may hold, a walk that
 *   comes to it, and every walk while it is one of the newest, which LevelDB merges. All
 *   else stays readable. One that is removed while the database is open may be taken for
 *   one without the key.
 * - A crash of the machine may leave a hole in what was not synced of a log, with whole
 *   commits behind it, which cannot be told from damage: STEM_ECORRUPT, with the log's
 *   name and where in it. Opened once with no_verify, the database has what was before
 *   the hole, and what is behind it but for at most 32 KiB. Copy the directory first.
 * - After a failed table write (a full disk, no descriptors left) LevelDB must be
 *   reopened; Stem does so by itself at the next commit, but not while an iterator or a
 *   snapshot is open: until those are closed commits go on failing with STEM_EIO.
 * - When another thread takes the last descriptors of the process in the moment in which a
 *   server is opened, or a shared directory is, libevent prints that and ends the process.
 *   Without any left before, it is STEM_EIO.
 */
#ifndef STEM_H
#define STEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <complex>
extern "C" {
#endif

#if defined(__GNUC__)
#define STEM_API __attribute__((visibility("default")))
#else
#define STEM_API
#endif

/* Behind each member of a struct of options: their zero is a default in C++ too, so that
 * no compiler warns of the members that an initializer leaves out. */
/* clang-format off */
#ifdef __cplusplus
#define STEM_ZERO {}
#else
#define STEM_ZERO
#endif
/* clang-format on */

#define STEM_VERSION_MAJOR 0
#define STEM_VERSION_MINOR 1
#define STEM_VERSION_PATCH 0

/* The version of the library in use, such as "0.1.0"; static.
 * Errors: none. */
STEM_API const char *stem_version(void);

/* ---- Errors ----------------------------------------------------------------------- */

enum stem_code {
    STEM_OK = 0,

    /* Answers. */
    STEM_NOTFOUND = 1, /* no such key, or no such database */
    STEM_EXISTS = 2,   /* it is there already */
    STEM_CONFLICT = 3, /* an expectation of the commit did not hold */

    /* Failures. */
    STEM_EINVAL = -1,    /* an argument that can never be right */
    STEM_ETYPE = -2,     /* the value is of another kind than the one asked for */
    STEM_ERANGE = -3,    /* the value does not fit what was asked for */
    STEM_ENOMEM = -4,    /* no memory */
    STEM_EIO = -5,       /* the operating system or the engine failed to read or write */
    STEM_ECORRUPT = -6,  /* stored bytes are damaged */
    STEM_ELOCKED = -7,   /* another process, or copy of Stem, has it open for itself */
    STEM_EREADONLY = -8, /* a write through a handle that only reads */
    STEM_EFORMAT = -9,   /* not a Stem database, or one of a newer format */
    STEM_ENOTSUP = -10,  /* this build, engine or system cannot do it */
    STEM_EFORK = -11,    /* a handle inherited through fork(); open anew, after exec */
    STEM_EGONE = -12,    /* the snapshot, iterator or database no longer exists */
    STEM_EUNKNOWN = -13, /* not known whether it was applied, or reached the disk */
    STEM_EACCES = -14    /* the server does not allow it, or does not know the user */
};

/* Every call lists under "Errors" all but STEM_OK that it can answer. Its text says when
 * it is not what it is everywhere:
 * - STEM_EINVAL: a NULL handle, key, value or output, a key or range that cannot be;
 * - STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT: what stem_errmsg() says;
 * - STEM_EREADONLY: a write by way of a handle, a batch's handle or a server that only
 *   reads;
 * - STEM_EFORK: a handle that the process has inherited, or in a child a shared database
 *   that no other process has open;
 * - STEM_EGONE: of a snapshot, and of a walk that has given entries, when their state is
 *   gone; of a shared directory, when it was removed;
 * - STEM_EUNKNOWN: see above; STEM_EACCES: of a served database, or of another user's. */

/* The name of a code ("STEM_NOTFOUND"), or "unknown code"; static.
 * Errors: none. */
STEM_API const char *stem_strerror(int code);

/* The code and the text of this thread's last failure: 0 and "" before the first. The
 * text names the operation, the path in text form and the cause, and stays valid until
 * the next failure in this thread. It is one line of UTF-8, of at most 1,023 bytes: what is
 * neither in a file's name or in the words of the system is written "\xHH". The `_or` reads
 * set the code at every call, STEM_OK included.
 * Errors: none. */
STEM_API int stem_errcode(void);
STEM_API const char *stem_errmsg(void);

/* Releases a buffer that Stem handed out (with free()); NULL is nothing.
 * Errors: none. */
STEM_API void stem_free(void *buffer);

/* ---- Paths ------------------------------------------------------------------------ */

/* A key is a path: components, each a non-empty string of bytes without NUL. Every `key`
 * argument is one component, literal, never parsed: '/' is an ordinary byte in it. */
enum {
    STEM_COMPONENT_MAX = 4096, /* bytes in one component */
    STEM_PATH_MAX = 65536 /* stored bytes of a whole path: components and separators */
};

/* The text form of a path, for people and logs: "users/42/name". Within a component
 * '/' is written "\/", a backslash "\\"; bytes below 0x20, 0x7F, U+0080 to U+009F and
 * bytes that are not valid UTF-8 are written "\xHH"; everything else stands for
 * itself. No components give "". The result is owned: stem_free. STEM_EINVAL for an
 * empty or NULL name, or one or a path over the limits.
 * Errors: STEM_EINVAL, STEM_ENOMEM. */
STEM_API char *stem_path_format(const char *const *names, size_t n);

/* Reads the text form back: an array of `*n` names in one owned buffer, released as a
 * whole with stem_free; "" gives no names. "\xHH" is accepted for any byte but 00.
 * STEM_EINVAL for empty components, a leading or trailing '/', an unknown escape, or
 * over the limits.
 * Errors: STEM_EINVAL, STEM_ENOMEM. */
STEM_API char **stem_path_parse(const char *text, size_t *n);

/* ---- Values ----------------------------------------------------------------------- */

enum stem_value_type {
    STEM_NIL = 0,
    STEM_BOOL,
    STEM_INT,   /* every integer that fits int64_t */
    STEM_UINT,  /* integers above INT64_MAX only */
    STEM_FLOAT, /* 64-bit; NaN bits are kept */
    STEM_STR,   /* bytes that should be UTF-8; not checked */
    STEM_BIN,
    STEM_TIME,
    STEM_ARRAY, /* a dense block of numbers with an element type and a shape */
    STEM_LIST,
    STEM_MAP,
    STEM_EXT /* an application's own type code and bytes */
};

/* Element types of numeric arrays; the numbers are those on the disk. */
enum stem_dtype {
    STEM_ANY = 0, /* for reads: whatever is there */
    STEM_B8 = 1,  /* bool, one byte, 0 or 1 */
    STEM_I8,
    STEM_U8,
    STEM_I16,
    STEM_U16,
    STEM_I32,
    STEM_U32,
    STEM_I64,
    STEM_U64,
    STEM_F16,  /* IEEE 754 binary16 as a raw uint16_t */
    STEM_BF16, /* bfloat16 as a raw uint16_t */
    STEM_F32,
    STEM_F64,
    STEM_C64, /* two f32: real, imaginary */
    STEM_C128 /* two f64 */
};

enum {
    STEM_VALUE_MAX = 1 << 30, /* bytes of one encoded value */
    STEM_DEPTH_MAX = 128,     /* nesting of lists and maps */
    STEM_NDIM_MAX = 32,       /* dimensions of an array */
    STEM_EXT_CODE_MAX = 63 /* the last EXT code an application may put; the first is 0 */
};

/* "int", "array", ...; "f32", "bool", ...; static, "unknown" for what is none.
 * Errors: none. */
STEM_API const char *stem_type_name(int type);
STEM_API const char *stem_dtype_name(int dtype);
/* The element type of that name, or STEM_ANY when there is none.
 * Errors: none. */
STEM_API int stem_dtype_named(const char *name);
/* Bytes of one element, or 0 when `dtype` is no element type.
 * Errors: none. */
STEM_API size_t stem_dtype_size(int dtype);

typedef struct stem_bytes {
    const void *data;
    size_t len;
} stem_bytes;

/* A string of `len` bytes. Behind what a handle or an iterator reads there is a NUL
 * besides, but not behind what a cursor or stem_decode finds among other bytes. */
typedef struct stem_string {
    const char *data;
    size_t len;
} stem_string;

/* A moment: seconds since 1970-01-01T00:00:00Z, and nanoseconds from 0 to 999,999,999. */
typedef struct stem_timestamp {
    int64_t seconds;
    uint32_t nanoseconds;
} stem_timestamp;

/* An array, row-major and little-endian. `data` is aligned for its elements. */
typedef struct stem_array_view {
    const void *data;
    const uint64_t
        *shape;     /* `ndim` extents; NULL only as stem_vec makes it: one, `count` */
    uint64_t count; /* elements in all, the product of the shape */
    int dtype;      /* enum stem_dtype */
    int ndim;       /* 1 to STEM_NDIM_MAX */
} stem_array_view;

/* A list or a map in MessagePack's own bytes; walk it with a stem_cursor. */
typedef struct stem_packed_view {
    const void *data;
    size_t len;
    uint32_t count; /* elements of a list, pairs of a map */
} stem_packed_view;

typedef struct stem_ext_view {
    const void *data;
    size_t len;
    int code; /* 0 to 63 are the application's; reads give -128 to 127 */
} stem_ext_view;

/* The one variant type. Built by the constructors below it borrows what it points to,
 * which must live until the call that takes it returns; filled by a read it owns one
 * buffer, and stem_value_free releases it. Reads never free what was in it before. A
 * copy of the struct is an alias: free one of them. Zeroed, it is NIL. */
typedef struct stem_value {
    int type;     /* enum stem_value_type: which member of `as` holds */
    int reserved; /* zero */
    union {
        bool boolean;
        int64_t integer;    /* INT */
        uint64_t unsigned_; /* UINT */
        double real;        /* FLOAT */
        stem_string str;
        stem_bytes bin;
        stem_timestamp time;
        stem_array_view array;
        stem_packed_view packed; /* LIST, MAP */
        stem_ext_view ext;
        uint64_t room[5];
    } as;
    void *owned; /* the buffer to free, or NULL when borrowed */
} stem_value;

/* Releases what a read put into the value and makes it NIL; nothing on a borrowed one but
 * that, and nothing at all on NULL.
 * Errors: none. */
STEM_API void stem_value_free(stem_value *value);

/* Constructors. None fails: what cannot be stored (a NULL with a length, a dtype that is
 * none, ndim 0) is STEM_EINVAL when it is put.
 * Errors: none. */
STEM_API stem_value stem_nil(void);
STEM_API stem_value stem_bool(bool x);
STEM_API stem_value stem_int(int64_t x);
STEM_API stem_value stem_uint(uint64_t x); /* INT when it fits */
STEM_API stem_value stem_float(double x);
STEM_API stem_value stem_str(const char *x); /* ended by NUL */
STEM_API stem_value stem_strn(const char *x, size_t len);
STEM_API stem_value stem_bin(const void *data, size_t len);
STEM_API stem_value stem_time(int64_t seconds, uint32_t nanoseconds);
/* A row-major array of `ndim` extents; `data` may be NULL when one of them is zero.
 * Errors: none. */
STEM_API stem_value stem_array(int dtype, const void *data, int ndim,
                               const uint64_t *shape);
/* One dimension of `n` elements.
 * Errors: none. */
STEM_API stem_value stem_array1(int dtype, const void *data, uint64_t n);
/* One MessagePack object in `len` bytes, most often a list or a map packed by
 * msgpack-c. It is checked when it is put, and stored in canonical form.
 * Errors: none. */
STEM_API stem_value stem_packed(const void *data, size_t len);
STEM_API stem_value stem_ext(int code, const void *data, size_t len);

/* What a typed read converts, on a value at hand. Nothing is ever lost: STEM_ETYPE for
 * another kind, STEM_ERANGE for what does not fit, and `*out` is then unchanged.
 *   int, uint  from INT and UINT in range; FLOAT when integral, in range and not -0.0
 *   float      from FLOAT, and from INT and UINT when exact
 *   bool       from BOOL, and from INT 0 and 1
 * Errors: STEM_EINVAL, STEM_ETYPE, STEM_ERANGE. */
STEM_API int stem_as_int(const stem_value *value, int64_t *out);
STEM_API int stem_as_uint(const stem_value *value, uint64_t *out);
STEM_API int stem_as_float(const stem_value *value, double *out);
STEM_API int stem_as_bool(const stem_value *value, bool *out);
/* An aligned ARRAY of element type `dtype` (STEM_ANY: any) in `*out`, released with
 * stem_value_free: from an ARRAY (borrowed from it), or from the map that Python's
 * msgpack-numpy writes (copied). STEM_ETYPE when it is neither or of another element
 * type.
 * Errors: STEM_EINVAL, STEM_ETYPE, STEM_ENOMEM, STEM_ECORRUPT. */
STEM_API int stem_as_array(const stem_value *value, int dtype, stem_value *out);

/* The encoded form, as it is stored: one canonical MessagePack object in an owned
 * buffer of `*len` bytes, NULL on failure.
 * Errors: STEM_EINVAL, STEM_ENOMEM. */
STEM_API void *stem_encode(const stem_value *value, size_t *len);
/* The value in `len` encoded bytes, which it borrows (an array that is not aligned
 * there is copied: release every result with stem_value_free). STEM_ECORRUPT unless it
 * is exactly one well-formed MessagePack object of at most STEM_DEPTH_MAX levels.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_ECORRUPT. */
STEM_API int stem_decode(const void *data, size_t len, stem_value *out);

/* Walks the elements of a LIST or the pairs of a MAP; containers inside are values of
 * their own, walked by a cursor of their own. No allocation, but for arrays that must
 * be copied.
 *
 *     stem_cursor c;
 *     stem_value key, value;
 *     for (stem_cursor_init(&c, &map); stem_cursor_next(&c, &key, &value);) ... */
typedef struct stem_cursor {
    const unsigned char *next, *end;
    uint64_t left; /* values still to come; a pair counts two */
    bool is_map;
    int code; /* STEM_OK, or why the walk stopped early */
    uint64_t reserved[2];
} stem_cursor;

/* Starts before the first element. STEM_ETYPE unless the value is a LIST or a MAP.
 * Errors: STEM_EINVAL, STEM_ETYPE, STEM_ECORRUPT. */
STEM_API int stem_cursor_init(stem_cursor *cursor, const stem_value *container);
/* Steps to the next element: true with `*value` (and `*key` for a map; it may be NULL)
 * filled, borrowed from the container; false at the end, or with cursor->code set when
 * the bytes are damaged or an array could not be copied. Release values with
 * stem_value_free when the container may hold arrays; on all others it is nothing.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_ECORRUPT. */
STEM_API bool stem_cursor_next(stem_cursor *cursor, stem_value *key, stem_value *value);

/* ---- Opening ---------------------------------------------------------------------- */

/* The only handle that reads and writes. See stem_sub for what derives from it. */
typedef struct stem_db stem_db;

/* Zero is every default. Whole-database settings are those of the first open in a
 * process: a later open of the same directory must give zero or the same (a default may
 * be named), else STEM_EINVAL. */
typedef struct stem_options {
    /* Of the handle, and of all that derive from it. */
    bool read_only STEM_ZERO; /* writes answer STEM_EREADONLY; implies must_exist */
    bool sync STEM_ZERO;      /* a commit survives a crash of the machine, too */

    /* Of this open. */
    bool must_exist STEM_ZERO;  /* STEM_NOTFOUND, creating nothing, without a database */
    bool must_be_new STEM_ZERO; /* STEM_EXISTS when there is one */
    bool shared STEM_ZERO;      /* other processes may have it open too; see "Sharing" */

    /* Of the whole database. docs/options.md has the measurements behind the defaults. */
    bool no_compression STEM_ZERO; /* store blocks as they are; default Snappy */
    bool no_verify STEM_ZERO;      /* do not verify checksums on reads; default verify */
    bool no_bloom STEM_ZERO;       /* no bloom filter */
    int bloom_bits STEM_ZERO;      /* bits per key, 1 to 64; default 10 */
    int max_open_files STEM_ZERO; /* table files kept open, 74 to 50,000; default 1,000 */
    size_t cache_bytes STEM_ZERO; /* block cache, 64 KiB to 1 TiB; default 32 MiB */
    size_t write_buffer_bytes STEM_ZERO; /* 64 KiB to 1 GiB; default 4 MiB */
    size_t block_bytes STEM_ZERO;        /* 1 KiB to 4 MiB; default 4 KiB */

    /* Write-back: memory for commits that are not on the disk yet, and for values that are
     * read again; default none. See "Write-back" below. */
    size_t writeback_bytes STEM_ZERO; /* 1 MiB to 1 GiB */
    size_t writeback_ms STEM_ZERO;    /* 1 to 60,000; default 50; needs writeback_bytes */

    /* Of a served database, where those above from no_compression on are STEM_EINVAL. The
     * password of the user in the location is used by stem_open alone. */
    const char *password STEM_ZERO;
    const char *password_file STEM_ZERO; /* its first line; else $STEM_PASSWORD */
    const char *ca_file STEM_ZERO;       /* PEM, for stems://; default the system's */
    /* For one answer, 1 to 3,600,000; default 30,000. Of `shared` too. */
    size_t timeout_ms STEM_ZERO;

    uint64_t reserved[6] STEM_ZERO; /* zero, else STEM_EINVAL */
} stem_options;

/* stem_open(&db, "./app.db", STEM_OPTIONS(.sync = true)). In C++20 too, with the members
 * in the order of their declaration, as the language has it. */
#ifndef __cplusplus
#define STEM_OPTIONS(...) (&(const stem_options){__VA_ARGS__})
#else
#define STEM_OPTIONS(...) (stem_address_of(stem_options{__VA_ARGS__}))
#endif

/* Opens, and unless told otherwise makes, the database at `location`:
 *   "./dir", "leveldb:./dir"  a LevelDB in that directory, made when missing or empty
 *   "mem:"                    a new one in memory-backed storage, gone at the last close
 *   "unix:/path"              the database of the Stem server with that socket; the user
 *                             "ada" as "unix:ada@/path"
 *   "stem://ada@host:7835/users/42"
 *                             that of a server elsewhere, as user and from a sub-database
 *                             on if they are given; 7835 is the default port
 *   "stems://..."             the same, encrypted, the server's certificate checked
 * `options` may be NULL. The directory open already in this process, by whatever name,
 * gives another handle on the same engine.
 *
 * STEM_NOTFOUND, STEM_EXISTS as the options ask, and stem_errmsg() then says so, as after
 * a failure; STEM_ELOCKED when another process has it open and not both share it (nothing
 * is touched); STEM_EFORMAT when the directory holds anything but a Stem database of this
 * format (nothing is touched); STEM_ECORRUPT for a database whose CURRENT is gone, or
 * whose MANIFEST or logs are damaged: the text names the file and says how to go on;
 * STEM_EIO for missing parents, no permission, a file in the way; STEM_EINVAL for bad
 * options; STEM_EFORK in a process forked from one that had used LevelDB; STEM_ENOTSUP
 * for a location that this build has no engine for: what stands before a ':' is the name
 * of one, unless a '/' comes first, so that a directory is "./a:b" and not "a:b", whether
 * it is there or not.
 *
 * With a server (docs/wire.md): user and scope are percent-encoded, the scope is a path in
 * text form. STEM_EIO when it cannot be reached: where nothing listens once timeout_ms is over,
 * since a server may be starting (the connection is refused, or the socket is missing in a
 * directory that is there), and at once for other causes, such as a host without an address.
 * STEM_EACCES when it does not let the user in, STEM_EXISTS with must_be_new, STEM_EINVAL for
 * a password in the location, and for one that would go to another machine unencrypted. Each
 * open is a session of its own. A connection that breaks is made again, and the call repeated,
 * within timeout_ms; a commit is applied once, or the answer is STEM_EUNKNOWN.
 * Errors: STEM_NOTFOUND, STEM_EXISTS, STEM_EINVAL, STEM_ENOMEM, STEM_EIO,
 *     STEM_ECORRUPT, STEM_ELOCKED, STEM_EFORMAT, STEM_ENOTSUP, STEM_EFORK, STEM_EACCES.
 */
STEM_API int stem_open(stem_db **db, const char *location, const stem_options *options);

/* Closes one handle; NULL is nothing. The engine closes with the last of all the
 * handles, iterators and snapshots on it, in whatever order they are closed. The
 * handle is gone unless the answer is a failure, which is returned only by the last
 * close.
 * Errors: STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT. */
STEM_API int stem_close(stem_db *db);

/* The same, and where the last close could not hand what write-back has in memory to the
 * engine, it gives that up: those commits are lost, and what is stored is the state before
 * the first of them. Nothing is tried again. For when stem_close has failed, and waiting
 * for room on the disk is no choice.
 * Errors: STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT. */
STEM_API int stem_close_discard(stem_db *db);

/* Removes the database at `location`: exactly the files that are LevelDB's and Stem's,
 * and the directory if nothing else is left. STEM_NOTFOUND when nothing is there,
 * STEM_EFORMAT when it is no Stem database, STEM_ELOCKED while it is open anywhere,
 * this process included. When files of others keep the directory the database is gone
 * all the same, and the answer is STEM_EXISTS, and stem_errmsg() names what is left. A removal
 * that is interrupted leaves no database, STEM_NOTFOUND for an open with must_exist;
 * stem_destroy finishes it, and so does an open that makes a new one there.
 * Errors: STEM_NOTFOUND, STEM_EXISTS, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ELOCKED,
 *     STEM_EFORMAT, STEM_ENOTSUP, STEM_EACCES. */
STEM_API int stem_destroy(const char *location);

/* ---- Handles ---------------------------------------------------------------------- */

/* All of these give a new handle of the same kind, closed by its own stem_close in any
 * order, at the cost of one small allocation and no I/O (a snapshot: two). They
 * compose: a sub-database of a snapshot is frozen, one of a read-only handle is
 * read-only. No call gives a parent. NULL on failure. */

/* The sub-database under `names`, below this handle; no names give the same place
 * again. It need not exist: a sub-database is there when it holds something.
 * STEM_EINVAL for a NULL or empty name and for names and paths over the limits.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EFORK. */
STEM_API stem_db *stem_sub_path(stem_db *db, const char *const *names, size_t n);
/* The same place, writes refused with STEM_EREADONLY.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EFORK. */
STEM_API stem_db *stem_read_only(stem_db *db);
/* The same place as it is at this moment, read-only. While it is open LevelDB keeps what
 * later writes replace.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API stem_db *stem_snapshot(stem_db *db);
/* The same handle once more.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EFORK. */
STEM_API stem_db *stem_dup(stem_db *db);

#ifndef __cplusplus
/* stem_sub(db, "users", "42") */
#define stem_sub(db, ...)                                                                \
    stem_sub_path((db), (const char *const[]){__VA_ARGS__},                              \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#endif

/* The path of the handle in text form, "" for the opened database; owned: stem_free.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EFORK. */
STEM_API char *stem_path(stem_db *db);

/* ---- Single keys ------------------------------------------------------------------ */

/* Stores one value, atomically. Survives the process's death once answered, and with
 * stem_options.sync the machine's. STEM_EINVAL for what cannot be a key or a value,
 * and for values over STEM_VALUE_MAX; STEM_EREADONLY; STEM_EIO, with the cause, when
 * it could not be written, and then it never will be. Only STEM_EUNKNOWN leaves that
 * open: the value is written, the sync after it failed; or no answer came from a server.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_put_value(stem_db *db, const char *key, stem_value value);

/* Removes the key; STEM_OK whether or not it was there. Keys below it stay.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_del(stem_db *db, const char *key);

/* STEM_OK when the key holds a value, STEM_NOTFOUND when not. Mind that STEM_OK is 0.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK,
 *     STEM_EGONE, STEM_EACCES. */
STEM_API int stem_has(stem_db *db, const char *key);

/* Reads any value. At most one allocation; large values are not copied once more.
 * STEM_NOTFOUND, STEM_ECORRUPT. Release with stem_value_free.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK,
 *     STEM_EGONE, STEM_EACCES. */
STEM_API int stem_get(stem_db *db, const char *key, stem_value *value);

/* The type of the value (enum stem_value_type) in `*type`.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK,
 *     STEM_EGONE, STEM_EACCES. */
STEM_API int stem_type(stem_db *db, const char *key, int *type);

/* Typed reads: as stem_get, then as stem_as_*.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ERANGE, STEM_ENOMEM, STEM_EIO,
 *     STEM_ECORRUPT, STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_get_int(stem_db *db, const char *key, int64_t *out);
STEM_API int stem_get_uint(stem_db *db, const char *key, uint64_t *out);
STEM_API int stem_get_float(stem_db *db, const char *key, double *out);
STEM_API int stem_get_bool(stem_db *db, const char *key, bool *out);
STEM_API int stem_get_time(stem_db *db, const char *key, stem_timestamp *out);
/* A STR only, ended by a NUL; owned: stem_free. `len` may be NULL: then a string that
 * holds a NUL is STEM_ERANGE.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ERANGE, STEM_ENOMEM, STEM_EIO,
 *     STEM_ECORRUPT, STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_get_str(stem_db *db, const char *key, char **out, size_t *len);
/* A BIN only, of `*len` bytes, never NULL; owned: stem_free.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_get_bin(stem_db *db, const char *key, void **out, size_t *len);
/* An ARRAY of element type `dtype` (STEM_ANY: any): typed and aligned where the engine
 * left it, not copied. Other forms of arrays (see stem_as_array) are copied. Release
 * with stem_value_free.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_get_array(stem_db *db, const char *key, int dtype, stem_value *out);

/* For configuration: the fallback on every answer but STEM_OK. stem_errcode() then
 * tells which answer it was, STEM_OK and STEM_NOTFOUND included.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ERANGE, STEM_ENOMEM, STEM_EIO,
 *     STEM_ECORRUPT, STEM_EFORK, STEM_EGONE, STEM_EACCES; in stem_errcode(). */
STEM_API int64_t stem_get_int_or(stem_db *db, const char *key, int64_t fallback);
STEM_API uint64_t stem_get_uint_or(stem_db *db, const char *key, uint64_t fallback);
STEM_API double stem_get_float_or(stem_db *db, const char *key, double fallback);
STEM_API bool stem_get_bool_or(stem_db *db, const char *key, bool fallback);
/* A string, or a copy of the fallback, in one owned buffer: stem_free. NULL when memory
 * fails, and with a NULL fallback for every answer but STEM_OK.
 *
 *     char *host = stem_get_str_or(db, "host", "localhost");
 *     int64_t port = stem_get_int_or(db, "port", 80);
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ERANGE, STEM_ENOMEM, STEM_EIO,
 *     STEM_ECORRUPT, STEM_EFORK, STEM_EGONE, STEM_EACCES; in stem_errcode(). */
STEM_API char *stem_get_str_or(stem_db *db, const char *key, const char *fallback);

/* ---- Reading in order ------------------------------------------------------------- */

/* What to walk below a handle; {0} or NULL is everything. Bounds are one component
 * each and are compared, byte by byte, with the whole stored path below the handle:
 * keys under "a" lie after "a" and before any other name that follows it. Where
 * several bounds are given, all hold. NULL and "" are no bound. */
typedef struct stem_range {
    const char *gt STEM_ZERO, *gte STEM_ZERO, *lt STEM_ZERO, *lte STEM_ZERO;
    const char *prefix STEM_ZERO; /* how the first component begins; the keys keep it */
    bool reverse STEM_ZERO;       /* from the last to the first */
    bool keys_only STEM_ZERO;     /* values are not read: stem_iter_value is NULL */
    bool shallow STEM_ZERO;       /* this level's own keys, and nothing from below them */
    bool resume STEM_ZERO; /* go on in another state when this one is gone; see below */
    uint64_t limit STEM_ZERO;       /* entries at most; 0 is no limit */
    uint64_t reserved[6] STEM_ZERO; /* zero, else STEM_EINVAL */
} stem_range;

/* stem_iter_open(db, STEM_RANGE(.gte = "a", .limit = 10)); see STEM_OPTIONS. */
#ifndef __cplusplus
#define STEM_RANGE(...) (&(const stem_range){__VA_ARGS__})
#else
#define STEM_RANGE(...) (stem_address_of(stem_range{__VA_ARGS__}))
#endif

typedef struct stem_iter stem_iter;

/* Walks what lay below the handle at this moment, whatever is written meanwhile:
 *
 *     stem_iter *it = stem_iter_open(db, NULL);
 *     while (stem_iter_next(it)) puts(stem_iter_key(it));
 *     int code = stem_iter_close(it);
 *
 * The iterator holds the database open by itself. NULL on failure, and every call below
 * takes a NULL iterator: next is false, and stem_iter_code and close return the code of
 * that failure.
 *
 * What lay there at this moment is kept by the process that has the files. Where that is
 * another one, a server or one that shares the directory, it may be gone before the walk
 * is over: another has taken its place, or the walk has paused for too long
 * (stem_server_options.snapshot_seconds). The step or the seek that needs more of it then
 * fails with STEM_EGONE, and states are never mixed. With stem_range.resume the walk goes
 * on instead, through what lies there by then, from behind the last key that it gave or
 * from where a seek went, as often as it takes:
 *
 * - In order, no key is given twice, unless a seek goes back to it. `limit` counts all.
 * - A key that is there all the time is given once, with its value at one moment between
 *   the opening and the step to it.
 * - A key that is put or deleted meanwhile may be given or not, whatever was given before
 *   it: two keys written in one commit need not both be seen, or both be missed.
 *
 * A walk that has not given an entry yet, nor come to its end, goes on so without
 * `resume`: all of it then comes from one state, a later one than that of the opening.
 *
 * None of this changes anything for a walk through a snapshot: once that is gone,
 * STEM_EGONE stays. So does it after 32 states that were gone one after the other before
 * a single step.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API stem_iter *stem_iter_open(stem_db *db, const stem_range *range);

/* Steps to the next entry. False at the end, and at the first error: damaged bytes are
 * never stepped over.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES; in stem_iter_code(). */
STEM_API bool stem_iter_next(stem_iter *iter);

/* The failure that ended the walk; STEM_OK while there was none, and at the end. It
 * changes neither stem_errcode() nor stem_errmsg(), which the step that failed has set.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_iter_code(const stem_iter *iter);

/* Moves so that the next step arrives at the first entry at or after the path `names`
 * below the handle, in reverse at or before it. The walk has no entries outside its
 * range: a path before it arrives at its start, as one in a gap arrives behind the gap,
 * and one behind it at the end of the walk; in reverse the other way about. Entries
 * already given still count against `limit`. No names: back to the start.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_iter_seek(stem_iter *iter, const char *const *names, size_t n);

/* Of the entry stepped to; borrowed until the next step. NULL before the first, after the
 * last, and for the value where there is none to give (keys_only).
 * Errors: none. */
STEM_API const char *stem_iter_key(const stem_iter *iter); /* the last component */
/* All components below the handle, `*n` of them. Fails only when memory does.
 * Errors: STEM_EINVAL, STEM_ENOMEM. */
STEM_API const char *const *stem_iter_path(stem_iter *iter, size_t *n);
/* The value, borrowed as the key is; NULL where there is none to give (keys_only).
 * Errors: none. */
STEM_API const stem_value *stem_iter_value(const stem_iter *iter);

/* Of a name that stem_children gave: bits that say what is there.
 * Errors: none. */
enum { STEM_HAS_VALUE = 1, STEM_HAS_CHILDREN = 2 };
STEM_API int stem_iter_kind(const stem_iter *iter);

/* Closes it; returns the first error, STEM_OK when there was none.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_iter_close(stem_iter *iter);

/* The names one level down, each once, in one or two seeks a name however much lies
 * below it. An iterator as above: the key is the name, the value is the name's own or
 * NULL, and stem_iter_kind says whether it is a value, a sub-database, or both. Bounds
 * compare names, and take what lies below them along. It resumes without being asked to:
 * what is said there of keys holds for names, and what is said of one name is true of one
 * moment.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API stem_iter *stem_children(stem_db *db, const stem_range *range);

/* ---- Batches ---------------------------------------------------------------------- */

/* Puts and deletes over any handles of one database, applied as one commit: all or
 * nothing, and only if every expectation holds at that moment. A later write of the
 * same key wins. */
typedef struct stem_batch stem_batch;

/* An empty batch for the database of `db`, which it keeps open. NULL on failure.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EFORK. */
STEM_API stem_batch *stem_batch_new(stem_db *db);
/* NULL is nothing.
 * Errors: none. */
STEM_API void stem_batch_free(stem_batch *batch);

/* Adds a write or an expectation; everything is copied. STEM_EINVAL for a handle of
 * another database, STEM_EREADONLY for one that only reads; a failure leaves the batch
 * as it was.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EREADONLY, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_batch_put_value(stem_batch *batch, stem_db *db, const char *key,
                                  stem_value value);
STEM_API int stem_batch_del(stem_batch *batch, stem_db *db, const char *key);
/* That the key holds nothing.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EREADONLY, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_batch_expect_absent(stem_batch *batch, stem_db *db, const char *key);
/* That the key holds exactly this value, as it is stored: an INT is no FLOAT.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EREADONLY, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_batch_expect_value(stem_batch *batch, stem_db *db, const char *key,
                                     stem_value value);
/* That the bounds and the prefix of the range (NULL: the whole place) hold no key. Its
 * other members say nothing here, but that `shallow` is STEM_EINVAL.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EREADONLY, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_batch_expect_empty(stem_batch *batch, stem_db *db,
                                     const stem_range *range);

/* Applies it, durably against a crash of the machine when `sync` is set or a handle that
 * it writes through has stem_options.sync. STEM_CONFLICT when an expectation fails:
 * nothing has changed, and stem_batch_failed says which. The batch keeps its content, to
 * be committed again, added to or reset. An empty batch is STEM_OK.
 * Errors: STEM_CONFLICT, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_batch_commit(stem_batch *batch, bool sync);
/* The expectation that failed at the last commit, counted from 0 in the order they
 * were added; SIZE_MAX when none did.
 * Errors: none. */
STEM_API size_t stem_batch_failed(const stem_batch *batch);
/* Empties it, to be used again.
 * Errors: none. */
STEM_API void stem_batch_reset(stem_batch *batch);
/* Writes in it, and the bytes of their stored keys and values. 0 for NULL.
 * Errors: none. */
STEM_API size_t stem_batch_count(const stem_batch *batch);
STEM_API size_t stem_batch_bytes(const stem_batch *batch);

/* ---- Atomic operations on one key ------------------------------------------------- */

/* Each is one commit that lands only if the key is still as it was read; on a conflict
 * it starts again, so none ever answers STEM_CONFLICT unless it says so. From any
 * threads, and with plain puts among them, they are linearizable. Failures as for
 * stem_put and stem_get. */

/* Stores it if the key holds nothing, else STEM_EXISTS.
 * Errors: STEM_EXISTS, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_insert_value(stem_db *db, const char *key, stem_value value);
/* Stores it if the key holds something, else STEM_NOTFOUND.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_replace_value(stem_db *db, const char *key, stem_value value);
/* Stores it if the key holds nothing; `*now` (may be NULL) is what the key then holds,
 * released with stem_value_free.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_get_or_put_value(stem_db *db, const char *key, stem_value value,
                                   stem_value *now);
/* Stores `desired` if the key holds exactly `expected`, as it is stored; else
 * STEM_CONFLICT, for an absent key too.
 * Errors: STEM_CONFLICT, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_cas_value(stem_db *db, const char *key, stem_value expected,
                            stem_value desired);

/* Adds `delta` to an integer; an absent key counts as `initial`, to which it is added
 * too. The sum is `*now` (may be NULL). STEM_ERANGE when it does not fit int64_t,
 * STEM_ETYPE for another type than an integer; both leave the value as it was.
 * Errors: STEM_EINVAL, STEM_ETYPE, STEM_ERANGE, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_incr(stem_db *db, const char *key, int64_t delta, int64_t initial,
                       int64_t *now);
/* The same for a FLOAT, or an integer that a double holds exactly, stored as FLOAT.
 * STEM_ERANGE when the sum is not finite.
 * Errors: STEM_EINVAL, STEM_ETYPE, STEM_ERANGE, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_incr_float(stem_db *db, const char *key, double delta, double initial,
                             double *now);

/* Removes the key and gives what it held (stem_value_free), or STEM_NOTFOUND.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_pop(stem_db *db, const char *key, stem_value *value);

/* What an update callback decides. */
enum stem_update_action {
    STEM_UPDATE_KEEP = 0, /* leave the key as it is */
    STEM_UPDATE_PUT = 1,  /* store `*next` */
    STEM_UPDATE_DELETE = 2
};
/* Computes the new value from the current one (NULL: the key holds nothing), which is
 * borrowed. `*next` begins as NIL; what it points to must live until stem_update
 * returns or calls again, and is not freed. A negative result is a failure that ends
 * the update as its answer, with the text of the call whose code it is. The callback may
 * read the database, and may be called several times. */
typedef int stem_update_fn(void *context, const stem_value *current, stem_value *next);
/* Runs the callback, and stores what it decides, until no other write comes between.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES, and what the callback
 *     answers. */
STEM_API int stem_update(stem_db *db, const char *key, stem_update_fn *update,
                         void *context);

/* ---- Many at once ----------------------------------------------------------------- */

/* Reads `n` keys of this level from one state, in the caller's order: `codes[i]` is
 * STEM_OK, or STEM_NOTFOUND with `values[i]` NIL. Release each value with
 * stem_value_free. On failure no value is to be released, and what `values` and `codes`
 * hold says nothing.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_get_many(stem_db *db, const char *const *keys, size_t n,
                           stem_value *values, int *codes);
/* The same without the values: whether each key holds one.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_has_many(stem_db *db, const char *const *keys, size_t n, bool *has);
/* One commit each.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_put_many(stem_db *db, const char *const *keys, const stem_value *values,
                           size_t n);
STEM_API int stem_del_many(stem_db *db, const char *const *keys, size_t n);

/* An entry taken out of a database: its path below the handle, and its value. */
typedef struct stem_entry {
    const char *const *names;
    size_t n_names; /* at least 1; names[n_names - 1] is the key */
    stem_value value;
} stem_entry;

/* Takes the first `n` entries in the range (NULL: of all below the handle), or all when
 * there are fewer, in order and in one commit: they still are the first there when it
 * lands. `*entries` holds `*count` of them, in one list released with stem_entries_free;
 * none, NULL, when `n` is 0. STEM_NOTFOUND when there is none to take. The last ones come
 * last first. Of the range the bounds, the prefix and the limit count; `shallow` is
 * STEM_EINVAL.
 *
 * LevelDB keeps a mark for every entry taken out until it compacts, and steps over all of
 * them to find the first one left: a queue that is popped by the thousands between puts
 * stays fast with a stem_compact of its place now and then.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_pop_first(stem_db *db, const stem_range *range, size_t n,
                            stem_entry **entries, size_t *count);
STEM_API int stem_pop_last(stem_db *db, const stem_range *range, size_t n,
                           stem_entry **entries, size_t *count);
/* NULL is nothing.
 * Errors: none. */
STEM_API void stem_entries_free(stem_entry *entries, size_t count);

/* ---- Whole sub-databases ---------------------------------------------------------- */

/* These are many commits, of bounded size whatever the place holds, and so outside
 * what is said above of atomicity: others may see them half done. After a crash or a
 * failure they are run again, and finish. */

/* Removes every entry in the range (NULL: all) whose key was there when it began, with
 * what may have been written to that key meanwhile.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_clear(stem_db *db, const stem_range *range);

/* Copies everything under `from`, as it was when it began, to the same paths under
 * `to`, which may be in another database; what is there besides stays, the same keys
 * are replaced. With both keys given, that key's value alone, and within one database
 * in one commit, unless that is served and was opened twice; STEM_NOTFOUND when it has
 * none. STEM_EINVAL when one place lies within the other or is the same, a snapshot of it
 * too, however each was opened; when both are of one served database in different scopes,
 * so that it cannot be told here; when only one key is given; or when a path would be too
 * long: then nothing was copied.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_copy(stem_db *from, const char *from_key, stem_db *to,
                       const char *to_key);
/* The same, and then removes what was copied: the destination is complete, and
 * durable, before the source goes. What is written to the source meanwhile is never
 * lost: a new value of an entry on its way is moved too, an entry that comes behind the
 * walk may stay in the source. What others take out of the source meanwhile may still
 * arrive. One key within one database moves in one commit, with the same
 * exception.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_move(stem_db *from, const char *from_key, stem_db *to,
                       const char *to_key);

/* ---- The whole place -------------------------------------------------------------- */

/* Counts the entries in the range (NULL: all), by walking their keys in one state; begins
 * again when that is gone and is no snapshot, whatever `resume` says.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_count(stem_db *db, const stem_range *range, uint64_t *count);

/* What the place takes on the disk. */
typedef struct stem_size_info {
    uint64_t table_bytes; /* in tables, compressed, to within a block or so each way */
    uint64_t log_bytes; /* of the whole database, newer than any table: left out above */
    uint64_t reserved[2];
} stem_size_info;
/* Fills `*size`, without reading what lies there.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_size(stem_db *db, stem_size_info *size);

/* Compacts what lies below the handle: space of deleted and replaced values returns.
 * Others read and write meanwhile. What they write may fill a third of the write buffer for
 * every 8 MiB or so that are compacted; a writer that is faster waits for the rest of these, most
 * often a fraction of a second. STEM_EREADONLY through a handle that only reads; STEM_EIO when a
 * table cannot be written.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_compact(stem_db *db);

/* Makes everything committed before the call survive a crash of the machine, whatever
 * options it was committed under. STEM_EIO with the cause, and then nothing is
 * promised; STEM_EGONE when the directory, or the log in it, was removed meanwhile, after
 * which nothing survives the last close. A commit with sync answers STEM_EGONE then, too, and
 * is not applied; with write-back it may be STEM_EUNKNOWN.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_sync(stem_db *db);

/* ---- Sharing ---------------------------------------------------------------------- */

/* With stem_options.shared many processes of one user (as many as the limit on descriptors lets
 * in) have the same directory open, without a server to be started: one of them has the files,
 * and the others go by way of it, over a socket in the directory. When it closes the database
 * or dies another takes its place within a moment, and the calls of all go on; a commit is
 * applied once, whatever happened. Every commit that is answered survives the death of every
 * process.
 *
 * An open snapshot, and an iterator past what it has fetched, answer STEM_EGONE when that
 * happens; a range with `resume` goes on instead, and so do count, clear, copy, move, pop and
 * children. Nobody answering within timeout_ms is STEM_EIO, or for a commit that may have been
 * applied STEM_EUNKNOWN. A directory that another user shares is STEM_EACCES.
 *
 * In a child made by fork() handles go on, as those of another process; snapshots, and what
 * iterates and does not resume, answer STEM_EGONE. A child never has the files itself: when
 * no other process is left it starts the installed `stem serve`, or answers STEM_EFORK.
 *
 * Every process that may open the directory may do everything. With write-back its
 * memory is for values that are read again; commits are not gathered. docs/sharing.md has the
 * rest. */

/* ---- Write-back ------------------------------------------------------------------- */

/* With stem_options.writeback_bytes a commit goes into memory and is answered; a thread
 * writes all that was gathered as one commit, when writeback_ms have passed since the first
 * of it, when it fills half of the memory, or when asked. Every read through any handle of
 * the process sees every commit made before it, and expectations are judged with it.
 *
 * Death of the process loses what was not written yet, never a part of it: what is stored is
 * always the state after some commit, at least the last one before a stem_flush, a
 * stem_sync or a commit with sync that was answered with STEM_OK. After a crash of the
 * machine the same holds up to the last stem_sync or commit with sync, and no order beyond.
 *
 * A process that ends by exit(), or by a return from main(), writes what is in memory, also
 * without stem_close: all that was answered before its end began and what its atexit()
 * functions write, but not what other threads write meanwhile. That ends with the first
 * failure of the disk, or after ten seconds. _exit(), quick_exit(), abort(), signals and exec
 * write nothing. Nor does a child of fork() that ends: what it inherited is the parent's.
 *
 * The memory holds keys, values and what it takes to find them (about 220 bytes a key), of
 * commits and of values that were read, twice where less than a quarter of it is left. When
 * commits fill half of it, they are slowed down to the speed of the disk by waits that grow,
 * of half a millisecond at most for small ones. A commit that is larger than half of it waits
 * until all is written and goes straight to the disk. While it is written, a round takes as
 * much as its keys and values once more.
 *
 * What a server of this database writes does not wait in memory: it is written, behind all
 * that was gathered before, and then answered.
 *
 * When the disk fails nothing is dropped: what was answered with STEM_OK stays in memory,
 * can be read, and is tried again and again. stem_flush, stem_sync and commits with sync
 * answer with the cause, and so does any commit once the memory is full; a commit that is
 * refused leaves no trace. The last stem_close then fails, and leaves the handle open: try
 * it again, or give up with stem_close_discard. (Was an iterator or a batch the last, then
 * the engine stays open and goes on trying, and the next stem_open takes it over. Was a
 * snapshot the last, it stays what it is, and may itself keep LevelDB from being opened
 * again, which the text says: open the database once more, and then close it.)
 *
 * An iterator or a snapshot is opened without waiting for the disk to be written. It keeps
 * in memory, beside the limit, what it needs of what was there (`kept_bytes`), at most as
 * much again for each; the first iterator after many commits sorts their keys, about a
 * microsecond each. stem_size and the files' sizes leave out what is in memory. */

/* Hands everything committed before the call to the engine below: it survives the death of
 * the process. Nothing to do without write-back. Of a served database that process is the
 * server, whose own commits may wait in its memory when a client has read them already;
 * this takes the right to write, as stem_sync does.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_flush(stem_db *db);

/* Of the whole database, for people who watch it. */
typedef struct stem_statistics {
    uint64_t memory_bytes; /* write buffers and block cache in use */
    uint64_t table_files, table_bytes;
    uint64_t log_files, log_bytes;
    uint64_t repairs; /* times that writing was mended after a failed write */
    uint64_t handles; /* handles and iterators in this process, this one included */

    /* Of write-back. */
    uint64_t dirty_bytes;  /* memory of commits that are not written yet */
    uint64_t cached_bytes; /* of values kept because they are read again */
    uint64_t kept_bytes;   /* of what is written, but kept for open snapshots */
    uint64_t hits, misses; /* reads of a key that memory answered, or the engine below */
    uint64_t rounds;       /* times that what was gathered has been written */
    uint64_t waits;        /* commits that were slowed down */
    uint64_t longest_wait_ns; /* of those */

    /* Of `shared`. */
    uint64_t
        is_owner;     /* 1 where this process has the files open, and serves the others */
    uint64_t clients; /* then: connections of the others */

    uint64_t reserved[6];
} stem_statistics;
/* Fills `*stats`.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_stats(stem_db *db, stem_statistics *stats);

/* ---- Serving ---------------------------------------------------------------------- */

/* A database served to other processes, over RESP, the protocol of Redis (docs/wire.md): to
 * redis-cli, to every client library of Redis, and to Stem itself, as "unix:/path",
 * "stem://host:port/scope" or "stems://". What is served is what lies below the handle, as if
 * it were the whole database. docs/server.md has the rules for users, TLS and limits. */
typedef struct stem_server stem_server;

/* Zero is every default. Texts are copied. */
typedef struct stem_server_options {
    /* Where to listen, ended by a NULL: "unix:/path" (made with mode 0600), "tcp://host:port";
     * port 0 is any free one. At least one. */
    const char *const *listen STEM_ZERO;
    const char *users STEM_ZERO; /* the users file; NULL: a client may do everything */
    /* Files in PEM, both or none, the key without a passphrase: TLS on TCP. */
    const char *tls_certificate STEM_ZERO, *tls_key STEM_ZERO;
    const char *metrics STEM_ZERO; /* "host:port": Prometheus' text there, over HTTP */
    /* Allows what is refused otherwise: TCP without users, and TCP without TLS beyond the
     * loopback interface. */
    bool insecure STEM_ZERO;
    /* A key of Redis's commands is one component, byte for byte, and no path in text form:
     * "a/b" and "http://x/" are keys like any other. What lies in sub-databases is not seen by
     * these commands then; Stem's own clients see all, as always. */
    bool literal_keys STEM_ZERO;

    size_t max_clients STEM_ZERO;       /* connections at a time; default 10,000 */
    size_t max_request_bytes STEM_ZERO; /* of one, 4 KiB to 8 GiB; default 64 MiB */
    size_t max_input_bytes STEM_ZERO;   /* of all, queued and watched; default 1 GiB */
    size_t max_output_bytes STEM_ZERO;  /* of an answer, waiting; default 256 MiB */
    size_t idle_seconds STEM_ZERO;      /* of silence in a connection; default 3,600 */
    size_t login_seconds STEM_ZERO;     /* to log in, turns aside; default 10 */
    size_t max_failed_logins STEM_ZERO; /* a second, of one peer; default 5 */
    size_t max_sessions STEM_ZERO;      /* kept, and as many found; default 1,024 */
    size_t max_snapshots STEM_ZERO;     /* open at a time, of one client; default 64 */
    size_t snapshot_seconds STEM_ZERO;  /* that one may be unused; default 300 */
    size_t max_total_output_bytes STEM_ZERO; /* of all that wait; default 1 GiB */

    uint64_t reserved[7] STEM_ZERO; /* zero, else STEM_EINVAL */
} stem_server_options;

#ifndef __cplusplus
#define STEM_SERVER_OPTIONS(...) (&(const stem_server_options){__VA_ARGS__})
#else
#define STEM_SERVER_OPTIONS(...) (stem_address_of(stem_server_options{__VA_ARGS__}))
#endif

/* Listens, and serves in threads of the server's own until stem_server_close. The server
 * holds the database open by itself. STEM_EINVAL for options that cannot be, or are
 * refused without `insecure`; STEM_EIO with the cause when an address cannot be listened
 * at; STEM_ELOCKED when another process listens at a Unix socket already (one that no
 * process listens at any more is replaced); STEM_ENOTSUP in a build without libevent. What
 * another server has can be served on, but not to Stem: its clients are told
 * STEM_ENOTSUP, and to connect to that server itself.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_ELOCKED,
 *     STEM_ENOTSUP, STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_server_open(stem_server **server, stem_db *db,
                              const stem_server_options *options);

/* Where it listens, in the order of the options, with the ports it was given; NULL behind the
 * last. Borrowed until the close.
 * Errors: none. */
STEM_API const char *stem_server_address(const stem_server *server, size_t i);
/* Where its metrics are, "tcp://host:port"; NULL when nowhere. Borrowed until the close.
 * Errors: none. */
STEM_API const char *stem_server_metrics_address(const stem_server *server);

/* How many requests of clients the database has failed since the server began: what could not
 * be read or written, is damaged, or is not known to be durable. `*message`, where it is not
 * NULL, is the cause of the last; owned: stem_free; NULL when there was none, or no memory for
 * it. From any thread, as long as none closes the server. 0 for a NULL server.
 * Errors: none. */
STEM_API uint64_t stem_server_failures(stem_server *server, char **message);

/* Reads the users file again, and closes the connections of users whose line is different or
 * gone. After it has returned nothing is applied any more that they had asked for: it waits for
 * what they had under way, a compaction included. On failure everything stays as it was. From
 * any thread, as long as none closes the server.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_ENOTSUP, STEM_EFORK. */
STEM_API int stem_server_reload(stem_server *server);

/* Takes no more work, finishes and answers what was accepted, for at most five seconds, and
 * ends; a compaction that a client has under way ends first, however long it takes. NULL is
 * nothing. In a child made by fork() the server stays the parent's: this and the call above
 * answer STEM_EFORK there.
 * Errors: STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_ENOTSUP, STEM_EFORK. */
STEM_API int stem_server_close(stem_server *server);

/* ---- JSON ------------------------------------------------------------------------- */

/* Values as JSON text, both ways, without loss (docs/format.md, "Values as JSON"):
 * NIL, BOOL, INT, UINT, FLOAT, STR, LIST and MAP as JSON's own, the others as objects of
 * one member:
 *   {"$float": "NaN"}    {"$bin": "base64"}    {"$str": "base64"}    {"$map": [[1, 2]]}
 *   {"$time": "2026-01-31T12:00:00.5Z"} {"$ext": {"code": 5, "data": "base64"}}
 *   {"$array": {"type": "f32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}}
 * A map's own member that begins with '$' is written with one '$' more. STEM_ENOTSUP
 * in a build without JSON. */
enum {
    STEM_JSON_PRETTY = 1, /* indented by two blanks */
    /* Names that begin with '$' are names like any other, as in JSON Schema, OpenAPI and
     * MongoDB's files, and there are no forms: what JSON has no value for is not written
     * (STEM_ETYPE). */
    STEM_JSON_PLAIN = 2,
    STEM_JSON_FLAT = 4 /* of stem_json_open: the objects in a document are values */
};

/* The value as JSON; owned: stem_free. NULL on failure. Flags: PRETTY, PLAIN.
 * Errors: STEM_EINVAL, STEM_ETYPE, STEM_ENOMEM, STEM_ECORRUPT, STEM_ENOTSUP. */
STEM_API char *stem_json_format(const stem_value *value, int flags);
/* The value in `len` bytes of JSON text, released with stem_value_free. STEM_EINVAL,
 * with line and column, for what is no JSON, over-deep, not UTF-8, has a name twice in
 * one object, an integer below -2^63 or above 2^64-1, or a malformed "$" form. A byte order
 * mark at the beginning is skipped.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_ENOTSUP. */
STEM_API int stem_json_parse(const char *text, size_t len, stem_value *out);
/* The same with flags: PLAIN.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_ENOTSUP. */
STEM_API int stem_json_parse_flags(const char *text, size_t len, int flags,
                                   stem_value *out);
/* Whether the text is JSON, be it a value that can be stored or not.
 * Errors: none. */
STEM_API bool stem_json_valid(const char *text, size_t len);

/* Stores the value in a JSON text that ends in a NUL, as stem_json_parse reads it.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_ENOTSUP, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_put_json(stem_db *db, const char *key, const char *text);
/* Reads a value as JSON, as stem_json_format writes it; owned: stem_free.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ETYPE, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_ENOTSUP, STEM_EFORK, STEM_EGONE, STEM_EACCES. */
STEM_API int stem_get_json(stem_db *db, const char *key, int flags, char **text);

/* A JSON document of any size as the entries of a database: objects are sub-databases, all
 * else is a value at its path, in the order of the document.
 *
 *     stem_json_reader *reader = stem_json_open(read_file, file, NULL, 0, 0);
 *     while (stem_json_next(reader)) {
 *         path = stem_json_path(reader, &n);
 *         value = stem_json_value(reader);
 *     }
 *     code = stem_json_close(reader);
 *
 * In memory are the largest value, and up to 16 MiB of names, to find one that is twice in an
 * object; in objects with more the same path may come again. An empty object is an empty MAP;
 * a member "" is the value of the name that its object has, and an object with nothing else
 * is a MAP. A reader belongs to one thread at a time. */
typedef struct stem_json_reader stem_json_reader;
/* Fills `buffer` with 1 to `size` bytes of the text and says how many: 0 at its end, or a
 * negative code, with which the reader then fails. */
typedef ptrdiff_t (*stem_json_source)(void *context, void *buffer, size_t size);

/* Starts before the first entry. All paths begin with the `n` names, which may be none; then
 * the document has to be an object. Flags: PLAIN, and FLAT. NULL on failure.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_ENOTSUP. */
STEM_API stem_json_reader *stem_json_open(stem_json_source source, void *context,
                                          const char *const *names, size_t n, int flags);
/* Steps to the next entry; false at the end of the document and on failure.
 * Errors: STEM_EINVAL, STEM_ENOMEM, and what the source failed with; from
 *     stem_json_close(). */
STEM_API bool stem_json_next(stem_json_reader *reader);
/* Of the entry, borrowed until the next step.
 * Errors: none. */
STEM_API const char *const *stem_json_path(const stem_json_reader *reader, size_t *n);
STEM_API const stem_value *stem_json_value(const stem_json_reader *reader);
/* Frees the reader, and is the code of its walk: STEM_OK when nothing had failed; STEM_EINVAL
 * with line and column as stem_json_parse, and for names that cannot be components of a path;
 * STEM_ENOMEM; what the source failed with. NULL is nothing.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_ENOTSUP, and what the source failed with. */
STEM_API int stem_json_close(stem_json_reader *reader);

/* ---- Values by pointer ------------------------------------------------------------- */

/* For languages whose foreign functions cannot pass a struct with a union in it (ctypes
 * of Python, LuaJIT, Node): every constructor, and every call above that takes a
 * stem_value, once more, with pointers and numbers alone. A name that ends in _ref does
 * what its namesake does. */

/* As the constructors; STEM_EINVAL when `out` is NULL. What `out` held before is not
 * freed.
 * Errors: STEM_EINVAL. */
STEM_API int stem_set_nil(stem_value *out);
STEM_API int stem_set_bool(stem_value *out, int x);
STEM_API int stem_set_int(stem_value *out, int64_t x);
STEM_API int stem_set_uint(stem_value *out, uint64_t x);
STEM_API int stem_set_float(stem_value *out, double x);
STEM_API int stem_set_str(stem_value *out, const char *x);
STEM_API int stem_set_strn(stem_value *out, const char *x, size_t len);
STEM_API int stem_set_bin(stem_value *out, const void *data, size_t len);
STEM_API int stem_set_time(stem_value *out, int64_t seconds, uint32_t nanoseconds);
STEM_API int stem_set_array(stem_value *out, int dtype, const void *data, int ndim,
                            const uint64_t *shape);
/* Of one dimension, as stem_array1 and stem_vec.
 * Errors: STEM_EINVAL. */
STEM_API int stem_set_vec(stem_value *out, int dtype, const void *data, uint64_t n);
STEM_API int stem_set_packed(stem_value *out, const void *data, size_t len);
STEM_API int stem_set_ext(stem_value *out, int code, const void *data, size_t len);

/* As stem_put_value.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_put_ref(stem_db *db, const char *key, const stem_value *value);
/* As stem_insert_value.
 * Errors: STEM_EXISTS, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_insert_ref(stem_db *db, const char *key, const stem_value *value);
/* As stem_replace_value.
 * Errors: STEM_NOTFOUND, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_replace_ref(stem_db *db, const char *key, const stem_value *value);
/* As stem_get_or_put_value.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT, STEM_EREADONLY,
 *     STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_get_or_put_ref(stem_db *db, const char *key, const stem_value *value,
                                 stem_value *now);
/* As stem_cas_value.
 * Errors: STEM_CONFLICT, STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_ECORRUPT,
 *     STEM_EREADONLY, STEM_EFORK, STEM_EGONE, STEM_EUNKNOWN, STEM_EACCES. */
STEM_API int stem_cas_ref(stem_db *db, const char *key, const stem_value *expected,
                          const stem_value *desired);
/* As stem_batch_put_value.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EREADONLY, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_batch_put_ref(stem_batch *batch, stem_db *db, const char *key,
                                const stem_value *value);
/* As stem_batch_expect_value.
 * Errors: STEM_EINVAL, STEM_ENOMEM, STEM_EIO, STEM_EREADONLY, STEM_EFORK, STEM_EGONE,
 *     STEM_EACCES. */
STEM_API int stem_batch_expect_ref(stem_batch *batch, stem_db *db, const char *key,
                                   const stem_value *value);

/* ---- stem_put, stem_vec: the constructor chosen by the C type --------------------- */

/* The value as it is, for the macros and templates below.
 * Errors: none. */
STEM_API stem_value stem_value_itself(stem_value value);

#ifndef __cplusplus
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L

/* The stem_value of any C arithmetic type (but long double), string or stem_value. A
 * comparison, and C11's `true`, have type int: write stem_bool(x). Other pointers do not
 * compile. */
/* clang-format off */
#define STEM_VALUE(x) \
    _Generic((x), \
        _Bool: stem_bool, \
        char: stem_int, \
        signed char: stem_int, \
        short: stem_int, \
        int: stem_int, \
        long: stem_int, \
        long long: stem_int, \
        unsigned char: stem_uint, \
        unsigned short: stem_uint, \
        unsigned: stem_uint, \
        unsigned long: stem_uint, \
        unsigned long long: stem_uint, \
        float: stem_float, \
        double: stem_float, \
        char *: stem_str, \
        const char *: stem_str, \
        stem_value: stem_value_itself)(x)

/* clang-format on */

/* stem_put(db, "logins", 7): stores x under the key; each argument is evaluated once. */
#define stem_put(db, key, x) stem_put_value((db), (key), STEM_VALUE(x))
/* The same for the other calls that store a value. */
#define stem_insert(db, key, x) stem_insert_value((db), (key), STEM_VALUE(x))
#define stem_replace(db, key, x) stem_replace_value((db), (key), STEM_VALUE(x))
#define stem_get_or_put(db, key, x, now)                                                 \
    stem_get_or_put_value((db), (key), STEM_VALUE(x), (now))
#define stem_cas(db, key, expected, desired)                                             \
    stem_cas_value((db), (key), STEM_VALUE(expected), STEM_VALUE(desired))
#define stem_batch_put(batch, db, key, x)                                                \
    stem_batch_put_value((batch), (db), (key), STEM_VALUE(x))
#define stem_batch_expect(batch, db, key, x)                                             \
    stem_batch_expect_value((batch), (db), (key), STEM_VALUE(x))

#define STEM_DTYPE_OF_(T, dtype) T * : (dtype), const T * : (dtype)
/* The element type for a pointer to a C type. */
#define STEM_DTYPE_OF(pointer)                                                           \
    _Generic(                                                                            \
        (pointer), STEM_DTYPE_OF_(_Bool, STEM_B8), STEM_DTYPE_OF_(signed char, STEM_I8), \
        STEM_DTYPE_OF_(unsigned char, STEM_U8), STEM_DTYPE_OF_(short, STEM_I16),         \
        STEM_DTYPE_OF_(unsigned short, STEM_U16), STEM_DTYPE_OF_(int, STEM_I32),         \
        STEM_DTYPE_OF_(unsigned, STEM_U32),                                              \
        STEM_DTYPE_OF_(long, sizeof(long) == 8 ? STEM_I64 : STEM_I32),                   \
        STEM_DTYPE_OF_(unsigned long, sizeof(long) == 8 ? STEM_U64 : STEM_U32),          \
        STEM_DTYPE_OF_(long long, STEM_I64),                                             \
        STEM_DTYPE_OF_(unsigned long long, STEM_U64), STEM_DTYPE_OF_(float, STEM_F32),   \
        STEM_DTYPE_OF_(double, STEM_F64), STEM_DTYPE_OF_(float _Complex, STEM_C64),      \
        STEM_DTYPE_OF_(double _Complex, STEM_C128))

/* An array of one dimension: stem_put(db, "embedding", stem_vec(floats, 768)). */
#define stem_vec(pointer, n) stem_array1(STEM_DTYPE_OF(pointer), (pointer), (n))

#endif /* C11 */
#else  /* C++ */
} /* extern "C" */

/* Of a temporary, until the end of the expression that it stands in. */
template <typename T> inline const T *stem_address_of(const T &x)
{
    return &x;
}

/* The C macros as exact-match templates: what has no specialisation does not compile. */
template <typename T> struct stem_value_maker;
#define STEM_MAKER_(T, make)                                                             \
    template <> struct stem_value_maker<T> {                                             \
        static stem_value from(T x)                                                      \
        {                                                                                \
            return make(x);                                                              \
        }                                                                                \
    };
STEM_MAKER_(bool, stem_bool)
STEM_MAKER_(char, stem_int)
STEM_MAKER_(signed char, stem_int)
STEM_MAKER_(short, stem_int)
STEM_MAKER_(int, stem_int)
STEM_MAKER_(long, stem_int)
STEM_MAKER_(long long, stem_int)
STEM_MAKER_(unsigned char, stem_uint)
STEM_MAKER_(unsigned short, stem_uint)
STEM_MAKER_(unsigned, stem_uint)
STEM_MAKER_(unsigned long, stem_uint)
STEM_MAKER_(unsigned long long, stem_uint)
STEM_MAKER_(float, stem_float)
STEM_MAKER_(double, stem_float)
STEM_MAKER_(char *, stem_str)
STEM_MAKER_(const char *, stem_str)
STEM_MAKER_(stem_value, stem_value_itself)
#undef STEM_MAKER_

template <typename T> inline int stem_put(stem_db *db, const char *key, T x)
{
    return stem_put_value(db, key, stem_value_maker<T>::from(x));
}

template <typename T> inline int stem_insert(stem_db *db, const char *key, T x)
{
    return stem_insert_value(db, key, stem_value_maker<T>::from(x));
}

template <typename T> inline int stem_replace(stem_db *db, const char *key, T x)
{
    return stem_replace_value(db, key, stem_value_maker<T>::from(x));
}

template <typename T>
inline int stem_get_or_put(stem_db *db, const char *key, T x, stem_value *now)
{
    return stem_get_or_put_value(db, key, stem_value_maker<T>::from(x), now);
}

template <typename T, typename U>
inline int stem_cas(stem_db *db, const char *key, T expected, U desired)
{
    return stem_cas_value(db, key, stem_value_maker<T>::from(expected),
                          stem_value_maker<U>::from(desired));
}

template <typename T>
inline int stem_batch_put(stem_batch *batch, stem_db *db, const char *key, T x)
{
    return stem_batch_put_value(batch, db, key, stem_value_maker<T>::from(x));
}

template <typename T>
inline int stem_batch_expect(stem_batch *batch, stem_db *db, const char *key, T x)
{
    return stem_batch_expect_value(batch, db, key, stem_value_maker<T>::from(x));
}

template <typename T> struct stem_dtype_of;
#define STEM_DTYPE_(T, number)                                                           \
    template <> struct stem_dtype_of<T> {                                                \
        static const int dtype = number;                                                 \
    };
STEM_DTYPE_(bool, STEM_B8)
STEM_DTYPE_(signed char, STEM_I8)
STEM_DTYPE_(unsigned char, STEM_U8)
STEM_DTYPE_(short, STEM_I16)
STEM_DTYPE_(unsigned short, STEM_U16)
STEM_DTYPE_(int, STEM_I32)
STEM_DTYPE_(unsigned, STEM_U32)
STEM_DTYPE_(long, sizeof(long) == 8 ? STEM_I64 : STEM_I32)
STEM_DTYPE_(unsigned long, sizeof(long) == 8 ? STEM_U64 : STEM_U32)
STEM_DTYPE_(long long, STEM_I64)
STEM_DTYPE_(unsigned long long, STEM_U64)
STEM_DTYPE_(float, STEM_F32)
STEM_DTYPE_(double, STEM_F64)
STEM_DTYPE_(std::complex<float>, STEM_C64)
STEM_DTYPE_(std::complex<double>, STEM_C128)
#undef STEM_DTYPE_

template <typename T> inline stem_value stem_vec(const T *pointer, uint64_t n)
{
    return stem_array1(stem_dtype_of<T>::dtype, pointer, n);
}

template <typename... Names> inline stem_db *stem_sub(stem_db *db, Names... names)
{
    const char *const list[] = {names...};
    return stem_sub_path(db, list, sizeof...(names));
}

extern "C" {
#endif

#ifdef __cplusplus
}
#endif

#endif
