/*
 * A server that does what a script says; see scripted_server.h.
 */
#include "scripted_server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"
#include "wire_peer.h"

static struct {
    script_step *steps;
    size_t n, reached;
    int listener;
    FILE *peer; /* NULL without a connection */
    pthread_t thread;
    char problem[512]; /* the first */
} script;

static void hang_up(void)
{
    fclose(script.peer);
    script.peer = NULL;
}

static bool accept_peer(void)
{
    const int fd = accept(script.listener, NULL, NULL);

    if (fd >= 0)
        script.peer = open_peer(fd);
    return fd >= 0;
}

static void compare(const char *expected, const wire_request *request)
{
    char text[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < request->n && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 i > 0 ? " " : "", request->words[i].data);
    if (expected && strcmp(expected, text) != 0 && !*script.problem)
        snprintf(script.problem, sizeof script.problem, "\"%s\", not \"%s\"", text,
                 expected);
}

static void answer(const script_step *step)
{
    const size_t len =
        step->reply_len > 0 || !step->reply ? step->reply_len : strlen(step->reply);
    const int fd = fileno(script.peer);
    const size_t piece = step->then == IN_PIECES ? 1 : len;

    for (size_t at = 0; at < len; at += piece)
        write_bytes(fd, step->reply + at, piece);
}

/* The next request, over the next connection when the client has closed this one. */
static bool next_request(wire_request *request)
{
    for (;;) {
        if (!script.peer && !accept_peer())
            return false;
        if (read_request(script.peer, request))
            return true;
        hang_up();
    }
}

static bool play(const script_step *step)
{
    wire_request request;

    if (!next_request(&request))
        return false;
    compare(step->request, &request);
    free_request(&request);
    answer(step);
    while (step->then == SILENT && fgetc(script.peer) != EOF)
        ;
    if (step->then == SILENT || step->then == HANG_UP)
        hang_up();
    return true;
}

static void *play_all(void *nothing)
{
    while (script.reached < script.n && play(&script.steps[script.reached]))
        script.reached++;
    if (script.peer) {
        /* What the client says at its end is not part of the script. */
        shutdown(fileno(script.peer), SHUT_WR);
        while (fgetc(script.peer) != EOF)
            ;
        hang_up();
    }
    return nothing;
}

const char *start_script(const script_step *steps, size_t n)
{
    const char *path = path_in(temp_dir(), "s");

    script.steps = malloc(n * sizeof *steps);
    memcpy(script.steps, steps, n * sizeof *steps);
    script.n = n;
    script.reached = 0;
    *script.problem = '\0';
    script.listener = listen_at(path);
    pthread_create(&script.thread, NULL, play_all, NULL);

    static char location[512];
    snprintf(location, sizeof location, "unix:%s", path);
    return location;
}

void finish_script(void)
{
    shutdown(script.listener, SHUT_RDWR);
    pthread_join(script.thread, NULL);
    close(script.listener);
    free(script.steps);
    ck_assert_msg(!*script.problem, "step %zu: %s", script.reached, script.problem);
    ck_assert_msg(script.reached == script.n, "step %zu of %zu was not reached",
                  script.reached + 1, script.n);
}
