/* A server on a loopback port for the tests, and a client that sends exactly the given bytes. */
#ifndef PST_TESTS_UNIT_SERVER_FIXTURE_H
#define PST_TESTS_UNIT_SERVER_FIXTURE_H

#include <stdatomic.h>

#include "os/clock.h"
#include "os/thread.h"
#include "server/server.h"

enum { LOOPS_MAX = 4 };

struct fixture {
    struct pst_server *server;
    struct pst_router *router;
    struct pst_thread *threads[LOOPS_MAX];
    struct fixture_loop {
        struct fixture *fixture;
        unsigned index;
    } loops[LOOPS_MAX];
    unsigned loop_count;
    char socket_path[80];

    _Atomic int markers; /* requests answered by GET /marker */
    _Atomic int finished; /* calls of on_finished */
    _Atomic int gone; /* continuations called with GONE */
    _Atomic int released; /* streams given back */
    _Atomic int waiting; /* requests suspended by GET /wait */
    struct pst_clock clock; /* of fixture_start_at_rest */
    _Atomic int64_t now_ms;
    struct pst_ticket ticket; /* of the last /wait or /held; read after `waiting` has risen */
    struct pst_response *held; /* of the last /held */
};

/* Routes: GET /marker, POST /echo (body back), POST /small (body at most 10 bytes), GET /fail,
 * GET /wait?ms=N (suspends; answers with the reason of its wake-up), GET /held?ms=N (held),
 * GET /stream?parts=N, GET /size/{bytes}, GET /header, GET /cut?after=N, GET /reset?after=N,
 * GET /stall?after=N, GET /mute (cut before the head),
 * GET /peer, GET /fault?n=N (the loop's n-th allocation from then on fails). limits: as in the
 * server's options; loops: 1..LOOPS_MAX. */
void fixture_start(struct fixture *f, const struct pst_server_limits *limits, unsigned loops);
/* With one loop and a clock that stands still until fixture_advance, so that deadlines are held to
 * the millisecond on the slowest machine. */
void fixture_start_at_rest(struct fixture *f, const struct pst_server_limits *limits);
/* Returns when the loop has done all that is due then, and all that it had heard before. */
void fixture_advance(struct fixture *f, int64_t ms);
void fixture_stop(struct fixture *f, int64_t grace_ms); /* waits for the loops' end */

int client_connect(const struct fixture *f);
void client_connect_fd(const struct fixture *f, int fd); /* a socket made before */
int client_try(const struct fixture *f); /* errno of connecting, 0 = it worked */
int client_connect_local(const struct fixture *f);
void client_send(int fd, const char *bytes, size_t len);
void client_say(int fd, const char *text);
/* Everything until the server closes, or ms pass. The result is NUL-terminated and freed by the
 * caller; *closed tells whether it was closed in time. */
char *client_read_all(int fd, int64_t ms, bool *closed);
/* Until one whole answer with Content-Length (or a chunked one) is there. */
char *client_read_answer(int fd, int64_t ms);
/* Until what came ends with `end`, at most ms; NUL-terminated, freed by the caller. */
char *client_read_until(int fd, const char *end, int64_t ms);
int status_of(const char *answer);
const char *body_of(const char *answer);
int count_of(const char *text, const char *needle);
/* Whether the server has closed, or sent anything, by now. */
bool client_heard(int fd);
/* Send text, and return when the server has read it. */
void client_say_until_read(const struct fixture *f, int fd, const char *text);
/* Send text, and return when the server has read it and done with it what it does at once. */
void client_say_and_wait(const struct fixture *f, int fd, const char *text);
struct pst_server_stats fixture_stats(const struct fixture *f);
/* Wait until *value reaches at least want, at most 5 s. */
bool wait_for(_Atomic int *value, int want);

#endif
