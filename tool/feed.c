/*
 * Reading a file of any size twice, piece by piece: what can be read only once, such as a
 * pipe, goes into a temporary file meanwhile. A terminal is told how far it is.
 */
#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

/* Milliseconds, before the first line and between two. */
enum { QUIET = 1000, EVERY = 200 };

static uint64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- How far it is ------------------------------------------------------------------ */

void feed_clear_line(feed *from)
{
    if (from->is_line_shown)
        fputs("\r\033[K", stderr);
    from->is_line_shown = false;
}

static void show_line(feed *from, uint64_t elapsed)
{
    char done[32];
    char rate[32];

    fprintf(stderr, "\r\033[K%s %s: %s", from->doing, from->name,
            size_text(from->n_read, done));
    if (from->size > 0)
        fprintf(stderr, " (%d %%)",
                (int)(100.0 * (double)from->n_read / (double)from->size));
    fprintf(stderr, ", %s/s", size_text(from->n_read * 1000 / elapsed, rate));
    from->is_line_shown = true;
}

static void show_progress(feed *from)
{
    uint64_t now;

    if (!from->is_watched)
        return;
    now = milliseconds();
    if (now - from->started < QUIET || now - from->shown < EVERY)
        return;
    from->shown = now;
    show_line(from, now - from->started);
}

/* ---- Reading ------------------------------------------------------------------------ */

static ptrdiff_t fail(feed *from, const char *failed)
{
    from->failed = failed;
    from->error = errno;
    return STEM_EIO;
}

static bool write_copy(const feed *from, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(from->copy, data, len);

        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

ptrdiff_t feed_read(void *context, void *buffer, size_t size)
{
    feed *from = context;
    bool is_copied = from->copy >= 0 && !from->is_again;
    ssize_t n;

    do {
        n = read(from->is_again && from->copy >= 0 ? from->copy : from->descriptor,
                 buffer, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(from, "cannot read");
    if (is_copied && !write_copy(from, buffer, (size_t)n))
        return fail(from, "cannot write a temporary copy of");
    from->n_read += (uint64_t)n;
    show_progress(from);
    return n;
}

/* ---- Opening ------------------------------------------------------------------------ */

static void begin(feed *from, const char *doing)
{
    from->doing = doing;
    from->n_read = 0;
    from->started = milliseconds();
    from->shown = from->started;
}

/* A file without a name, in $TMPDIR or /tmp. */
static int open_copy(feed *from)
{
    const char *dir = getenv("TMPDIR");
    char *name = format_text("%s/stem-XXXXXX", dir && dir[0] ? dir : "/tmp");

    from->copy = mkostemp(name, O_CLOEXEC);
    if (from->copy < 0)
        complain("cannot make the temporary file %s: %s", name, strerror(errno));
    else
        unlink(name);
    free(name);
    return from->copy < 0 ? FAILED : DONE;
}

int feed_open(feed *from, const char *file, const char *doing)
{
    bool is_stdin = strcmp(file, "-") == 0;
    struct stat about;

    *from = (feed){.name = is_stdin ? "standard input" : file, .copy = -1};
    from->is_watched = isatty(STDERR_FILENO) == 1;
    begin(from, doing);
    from->descriptor = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    /* The next file that is opened would be standard input, if that is closed. */
    if (from->descriptor < 0 || fstat(from->descriptor, &about) != 0) {
        complain("cannot open %s: %s", from->name, strerror(errno));
        return FAILED;
    }
    from->start = lseek(from->descriptor, 0, SEEK_CUR);
    if (from->start < 0 || !S_ISREG(about.st_mode))
        return open_copy(from);
    if (about.st_size > from->start)
        from->size = (uint64_t)(about.st_size - from->start);
    return DONE;
}

int feed_again(feed *from, const char *doing)
{
    bool is_copied = from->copy >= 0;

    feed_clear_line(from);
    if (is_copied)
        from->size = from->n_read;
    from->is_again = true;
    begin(from, doing);
    if (lseek(is_copied ? from->copy : from->descriptor, is_copied ? 0 : from->start,
              SEEK_SET) >= 0)
        return DONE;
    complain("cannot read %s again: %s", from->name, strerror(errno));
    return FAILED;
}

void feed_close(feed *from)
{
    feed_clear_line(from);
    if (from->copy >= 0)
        close(from->copy);
    if (from->descriptor > STDERR_FILENO)
        close(from->descriptor);
}
