/*
 * What a log or a MANIFEST holds: see leveldb_log.h.
 *
 * Evidence that damage is no crash's is a whole record behind it. Every block begins with a
 * fragment, which is looked at there. Within a block the length that is damaged led to the next
 * fragment, so one may begin at any byte: it must then be the first of its record, have a
 * checksum that agrees, and, in a log, a sequence number that may follow. A value may hold a copy
 * of a log, so what lies within a fragment that a crash has torn is no evidence, unless it
 * begins where the checksum of that fragment agrees: then its length alone is damaged.
 *
 * A length is tried at each byte, and checksums of all these spans would take time that grows
 * with the square of the block. The running checksum of a span follows from those of all that
 * is before its start and before its end, as checksums are linear: one multiplication each.
 */
#include "leveldb_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../error.h"
#include "crc32c.h"
#include "descriptor.h"
#include "directory_names.h"

enum {
    BLOCK = 32768,
    HEADER = 7,        /* four bytes of checksum, two of length, the type */
    BATCH_HEADER = 12, /* eight bytes of sequence number, four of a count */
    COUNT_AT = 8
};

enum { FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4 };

/* Sums of the block at hand, for the checksum of any span in it. */
typedef struct spans {
    bool is_summed;             /* not before a span of the block is asked for */
    uint32_t before[BLOCK + 1]; /* running checksums, from 0, of the bytes before each */
    uint32_t zeros[BLOCK + 1];  /* what so many zero bytes multiply a checksum by */
} spans;

typedef struct reading {
    stem_crc32c table;
    enum stem_log_kind kind;
    stem_log_look *look;
    uint64_t block_at; /* the offset of the block at hand */
    size_t block_len;
    bool is_last; /* no block follows */
    bool is_damaged;
    bool is_in_record;
    size_t start_len; /* bytes known of the start of the record at hand */
    unsigned char start[BATCH_HEADER];
    unsigned char block[BLOCK];
    spans *spans; /* NULL before they are needed */
} reading;

/* ---- Fragments -------------------------------------------------------------------- */

typedef struct fragment {
    size_t at;  /* of its header, in the block */
    size_t len; /* without the header */
    int type;
} fragment;

/* What the header at `at` says, which lies within the block. */
static fragment fragment_at(const reading *in, size_t at)
{
    const unsigned char *header = in->block + at;

    return (fragment){at, (size_t)header[4] | (size_t)header[5] << 8, header[6]};
}

static bool fits(const reading *in, const fragment *found)
{
    return found->at + HEADER + found->len <= in->block_len;
}

static bool is_checksum_right(const reading *in, const fragment *found)
{
    const unsigned char *header = in->block + found->at;

    return stem_crc32c_is(header, stem_crc32c_add(&in->table, STEM_CRC32C_START,
                                                  header + HEADER - 1, found->len + 1));
}

static bool begins_record(int type)
{
    return type == FULL || type == FIRST;
}

static bool ends_record(int type)
{
    return type == FULL || type == LAST;
}

/* Whether a fragment can be where it is: what goes on in the next block fills this one, and
 * what comes from the one before begins this one. */
static bool is_possible(const fragment *found)
{
    if (found->type < FULL || found->type > LAST)
        return false;
    if (!begins_record(found->type) && found->at != 0)
        return false;
    return ends_record(found->type) || found->at + HEADER + found->len == BLOCK;
}

static uint64_t sequence_of(const unsigned char *start)
{
    return (uint64_t)stem_read_u32(start) | (uint64_t)stem_read_u32(start + 4) << 32;
}

/* ---- Records before any damage ---------------------------------------------------- */

/* Notes what the start of a record of a log says, once all of it is known. */
static void note_start(reading *in, const fragment *each)
{
    stem_log_look *look = in->look;
    const size_t known = begins_record(each->type) ? 0 : in->start_len;
    const size_t taken =
        each->len < BATCH_HEADER - known ? each->len : BATCH_HEADER - known;

    memcpy(in->start + known, in->block + each->at + HEADER, taken);
    in->start_len = known + taken;
    if (!ends_record(each->type) || in->start_len < BATCH_HEADER)
        return;
    const uint64_t sequence = sequence_of(in->start);
    const uint32_t count = stem_read_u32(in->start + COUNT_AT);
    if (look->first_sequence == 0)
        look->first_sequence = sequence;
    look->next_sequence = sequence + count;
    look->entries += count;
}

static void note_fragment(reading *in, const fragment *each)
{
    const size_t end = each->at + HEADER + each->len;

    if (in->kind == STEM_LOG_OF_ENTRIES)
        note_start(in, each);
    in->is_in_record = !ends_record(each->type);
    if (!in->is_in_record)
        in->look->whole = in->block_at + end;
}

static void note_damage(reading *in, size_t at)
{
    in->is_damaged = true;
    in->look->damage = in->block_at + at;
    in->look->state = STEM_LOG_TORN;
}

static void note_hole(reading *in, size_t at)
{
    in->look->behind = in->block_at + at;
    in->look->state = STEM_LOG_HOLED;
}

/* Whether the end of the file cuts the fragment short that its header would make. */
static bool is_cut_short(const reading *in, const fragment *found)
{
    return in->is_last && in->block_len < BLOCK && is_possible(found) &&
           begins_record(found->type) != in->is_in_record;
}

/* Reads the fragments of the block up to the first damage, whose place is the answer, or the end
 * of the block. */
static size_t read_fragments(reading *in)
{
    size_t at = 0;

    while (in->block_len - at >= HEADER) {
        const fragment each = fragment_at(in, at);

        if (!fits(in, &each)) {
            note_damage(in, at);
            if (is_cut_short(in, &each))
                in->look->state = STEM_LOG_CUT;
            return at;
        }
        if (!is_possible(&each) || !is_checksum_right(in, &each)) {
            note_damage(in, at);
            return at;
        }
        if (begins_record(each.type) == in->is_in_record) {
            note_damage(in, at); /* what lies between the two is missing */
            note_hole(in, at);
            return at;
        }
        note_fragment(in, &each);
        at += HEADER + each.len;
    }
    if (in->is_last && in->block_len < BLOCK && at < in->block_len) {
        note_damage(in, at); /* a part of a header */
        in->look->state = STEM_LOG_CUT;
    }
    return in->block_len;
}

/* ---- Records behind damage -------------------------------------------------------- */

static void make_zeros(reading *in)
{
    in->spans->zeros[0] = UINT32_C(1) << 31;
    for (size_t n = 0; n < BLOCK; n++)
        in->spans->zeros[n + 1] =
            stem_crc32c_add_byte(&in->table, in->spans->zeros[n], 0);
}

static void sum_block(const reading *in)
{
    uint32_t *before = in->spans->before;

    in->spans->is_summed = true;
    before[0] = 0;
    for (size_t i = 0; i < in->block_len; i++)
        before[i + 1] = stem_crc32c_add_byte(&in->table, before[i], in->block[i]);
}

/* As is_checksum_right, by the sums of the block. */
static bool is_sum_right(const reading *in, const fragment *found)
{
    const size_t start = found->at + HEADER - 1, len = found->len + 1;
    const uint32_t *before = in->spans->before;

    if (!in->spans->is_summed)
        sum_block(in);
    const uint32_t crc =
        stem_crc32c_multiply(STEM_CRC32C_START ^ before[start], in->spans->zeros[len]) ^
        before[start + len];

    return stem_crc32c_is(in->block + found->at, crc);
}

/* Whether the record that begins there may follow those before the damage, as a copy of an older
 * log in a value does not. */
static bool may_follow(const reading *in, const fragment *found)
{
    static const uint64_t past_last = UINT64_C(1) << 56;
    const unsigned char *start = in->block + found->at + HEADER;

    if (in->kind != STEM_LOG_OF_ENTRIES || !begins_record(found->type))
        return true;
    return found->len >= BATCH_HEADER && sequence_of(start) < past_last &&
           sequence_of(start) >= in->look->next_sequence;
}

static bool is_whole(const reading *in, const fragment *found)
{
    return is_possible(found) && fits(in, found) && may_follow(in, found) &&
           is_sum_right(in, found);
}

/* Whether there is a whole record but for its length, which must be what is left. */
static bool is_whole_to_the_end(const reading *in, size_t at)
{
    fragment found = fragment_at(in, at);

    found.len = in->block_len - at - HEADER;
    return in->is_last && is_whole(in, &found);
}

/* Whether the first of a log's record has the sequence number that comes next. */
static bool is_next(const reading *in, const fragment *first)
{
    const stem_log_look *look = in->look;
    const size_t start = first->at + HEADER;

    if (in->block_len - start < BATCH_HEADER)
        return false;
    const uint64_t sequence = sequence_of(in->block + start);
    return look->first_sequence == 0 ? sequence >= look->next_sequence
                                     : sequence == look->next_sequence;
}

/* Whether a crash may have left the header, and not all that belongs behind it. */
static bool may_be_torn(const reading *in, const fragment *damaged)
{
    if (!is_possible(damaged) || begins_record(damaged->type) == in->is_in_record ||
        damaged->at + HEADER + damaged->len > BLOCK)
        return false;
    return in->kind == STEM_LOG_OF_EDITS || in->is_in_record || is_next(in, damaged);
}

/* Whether what begins there lies within the torn fragment, as its content. */
static bool is_content(const reading *in, const fragment *torn, size_t at)
{
    const size_t start = torn->at + HEADER;
    const fragment shorter = {torn->at, at - start, torn->type};

    return at < start || (at < start + torn->len && !is_sum_right(in, &shorter));
}

/* Looks for a fragment behind the damaged one. */
static void search_behind(reading *in, const fragment *damaged)
{
    const bool is_torn = may_be_torn(in, damaged);

    if (is_whole_to_the_end(in, damaged->at)) {
        note_hole(in, damaged->at);
        return;
    }
    for (size_t at = damaged->at + 1; at + HEADER <= in->block_len; at++) {
        const fragment found = fragment_at(in, at);

        if (is_whole(in, &found) && !(is_torn && is_content(in, damaged, at))) {
            note_hole(in, at);
            return;
        }
    }
}

/* Looks for a fragment anywhere in a block behind the damaged one's. */
static void search_block(reading *in)
{
    for (size_t at = 0; at + HEADER <= in->block_len; at++) {
        const fragment found = fragment_at(in, at);

        if (is_whole(in, &found) || (at == 0 && is_whole_to_the_end(in, at))) {
            note_hole(in, at);
            return;
        }
    }
}

static int make_spans(reading *in)
{
    in->spans = malloc(sizeof *in->spans);
    if (!in->spans)
        return stem_fail(STEM_ENOMEM, "no memory to look at a log");
    make_zeros(in);
    return STEM_OK;
}

/* ---- The file --------------------------------------------------------------------- */

static int read_block(const stem_directory *dir, const char *name, int fd, reading *in)
{
    unsigned char next;
    ssize_t got = 1;

    in->block_len = 0;
    while (in->block_len < BLOCK && got != 0) {
        got = pread(fd, in->block + in->block_len, BLOCK - in->block_len,
                    (off_t)(in->block_at + in->block_len));
        if (got < 0 && errno != EINTR)
            return stem_directory_fail(dir, "read", name);
        in->block_len += got > 0 ? (size_t)got : 0;
    }
    in->is_last =
        in->block_len < BLOCK || pread(fd, &next, 1, (off_t)(in->block_at + BLOCK)) == 0;
    return STEM_OK;
}

static int look_at_block(reading *in)
{
    const bool is_behind = in->is_damaged;
    const size_t from = is_behind ? 0 : read_fragments(in);

    if (!in->is_damaged || in->look->state == STEM_LOG_HOLED || from == in->block_len)
        return STEM_OK;
    const int code = in->spans ? STEM_OK : make_spans(in);
    if (code != STEM_OK)
        return code;
    in->spans->is_summed = false;
    if (is_behind) {
        search_block(in);
    } else {
        const fragment damaged = fragment_at(in, from);

        search_behind(in, &damaged);
    }
    return STEM_OK;
}

static int read_blocks(const stem_directory *dir, const char *name, int fd, reading *in)
{
    int code = STEM_OK;

    do {
        code = read_block(dir, name, fd, in);
        if (code == STEM_OK && in->block_len > 0)
            code = look_at_block(in);
        in->block_at += in->block_len;
    } while (code == STEM_OK && !in->is_last && in->look->state != STEM_LOG_HOLED);
    if (code == STEM_OK && !in->is_damaged) {
        in->look->damage = in->block_at;
        in->look->state = in->is_in_record ? STEM_LOG_CUT : STEM_LOG_WHOLE;
    }
    return code;
}

int stem_leveldb_look_at_log(const stem_directory *dir, const char *name,
                             enum stem_log_kind kind, uint64_t least_sequence,
                             stem_log_look *look)
{
    reading *in = malloc(sizeof *in);

    if (!in)
        return stem_fail(STEM_ENOMEM, "no memory to look at a log");
    *look = (stem_log_look){.next_sequence = least_sequence};
    memset(in, 0, offsetof(reading, block));
    in->kind = kind;
    in->look = look;
    in->spans = NULL;
    stem_crc32c_init(&in->table);
    const int fd = stem_descriptor_open(dir->fd, name, O_RDONLY, 0);
    int code = fd >= 0           ? read_blocks(dir, name, fd, in)
               : errno == ENOENT ? STEM_NOTFOUND
                                 : stem_directory_fail(dir, "open", name);
    if (fd >= 0)
        stem_descriptor_close(fd);
    free(in->spans);
    free(in);
    return code;
}

int stem_leveldb_cut_log(const stem_directory *dir, const char *name, uint64_t size)
{
    const int fd = stem_descriptor_open(dir->fd, name, O_WRONLY, 0);
    const bool is_cut = fd >= 0 && ftruncate(fd, (off_t)size) == 0;

    const int code = is_cut ? STEM_OK : stem_directory_fail(dir, "cut", name);
    if (fd >= 0)
        stem_descriptor_close(fd);
    return code;
}
