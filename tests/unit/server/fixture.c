/* The test server's routes, its threads, and a blunt client. */
#include "tests/unit/server/fixture.h"

#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/num.h"
#include "server/internal.h"

static int64_t number_param(struct pst_request *req, const char *name, int64_t otherwise)
{
    struct pst_err err;
    struct pst_query_item *items = NULL;
    size_t count = 0;
    int64_t value = otherwise;
    if (pst_query_parse(req->arena, req->query, &items, &count, &err) != PST_OK)
        return otherwise;
    for (size_t i = 0; i < count; i++) {
        if (pst_str_is(items[i].name, name))
            (void)pst_parse_i64(&value, items[i].value, 0, INT64_MAX);
    }
    return value;
}

static pst_code marker(void *self, struct pst_request *req, struct pst_response *res,
                       struct pst_err *err)
{
    (void)req, (void)err;
    struct fixture *f = self;
    atomic_fetch_add(&f->markers, 1);
    pst_buf_add_lit(&res->body, "marker");
    return PST_OK;
}

static pst_code echo(void *self, struct pst_request *req, struct pst_response *res,
                     struct pst_err *err)
{
    (void)self, (void)err;
    pst_buf_add_str(&res->body, req->body);
    return PST_OK;
}

static pst_code failing(void *self, struct pst_request *req, struct pst_response *res,
                        struct pst_err *err)
{
    (void)self, (void)req;
    pst_buf_add_lit(&res->body, "half an answer");
    pst_response_header(res, "X-Half", PST_STR("yes"));
    return PST_FAIL(err, PST_E_CONFLICT, "this always fails");
}

static pst_code woken(void *data, struct pst_request *req, struct pst_response *res,
                      enum pst_wake why, struct pst_err *err)
{
    static const char *const names[] = {"resumed", "deadline", "stopping", "gone"};
    (void)req, (void)err;
    struct fixture *f = data;
    if (why == PST_WAKE_GONE)
        atomic_fetch_add(&f->gone, 1);
    pst_buf_add_str(&res->body, pst_str_from(names[why]));
    return PST_OK;
}

static pst_code suspend(struct fixture *f, struct pst_request *req, struct pst_response *res,
                        bool held)
{
    int64_t ms = number_param(req, "ms", -1);
    struct pst_suspend how = {
        .resumed = woken,
        .data = f,
        .deadline = ms < 0 ? PST_MONO_NEVER : pst_mono_after_ms(req->now, ms),
        .held = held,
    };
    f->held = res;
    f->ticket = pst_server_suspend(req, &how);
    atomic_fetch_add(&f->waiting, 1);
    return PST_OK;
}

static pst_code waiting(void *self, struct pst_request *req, struct pst_response *res,
                        struct pst_err *err)
{
    (void)err;
    return suspend(self, req, res, false);
}

static pst_code held(void *self, struct pst_request *req, struct pst_response *res,
                     struct pst_err *err)
{
    (void)err;
    return suspend(self, req, res, true);
}

struct stream {
    struct fixture *fixture;
    int64_t left;
};

static pst_code pull(void *self, struct pst_buf *out, bool *end, struct pst_err *err)
{
    (void)err;
    struct stream *s = self;
    for (int i = 0; s->left > 0 && i < 4096; i++)
        pst_buf_add_lit(out, "0123456789abcdef");
    *end = --s->left <= 0;
    return PST_OK;
}

static void pull_done(void *self)
{
    struct stream *s = self;
    atomic_fetch_add(&s->fixture->released, 1);
}

static pst_code stream(void *self, struct pst_request *req, struct pst_response *res,
                       struct pst_err *err)
{
    struct stream *s = NULL;
    PST_TRY(pst_arena_alloc(req->arena, &s, sizeof(*s), err));
    *s = (struct stream){self, number_param(req, "parts", 1)};
    res->pull = pull;
    res->pull_self = s;
    res->pull_done = pull_done;
    return PST_OK;
}

static pst_code sized(void *self, struct pst_request *req, struct pst_response *res,
                      struct pst_err *err)
{
    (void)self, (void)err;
    int64_t size = 0;
    (void)pst_parse_i64(&size, pst_request_param(req, "bytes"), 0, INT64_MAX);
    for (int64_t i = 0; i < size; i++)
        pst_buf_add_char(&res->body, 'x');
    return PST_OK;
}

static pst_code splitting(void *self, struct pst_request *req, struct pst_response *res,
                          struct pst_err *err)
{
    (void)self, (void)req, (void)err;
    pst_response_header(res, "X-Split", PST_STR("a\r\nSet-Cookie: b"));
    return PST_OK;
}

static pst_code cutting(void *self, struct pst_request *req, struct pst_response *res,
                        struct pst_err *err)
{
    (void)self, (void)err;
    pst_buf_add_lit(&res->body, "0123456789");
    res->cut = pst_str_is(req->path, "/reset")   ? PST_CUT_RESET
               : pst_str_is(req->path, "/stall") ? PST_CUT_STALL
                                                 : PST_CUT_CLOSE;
    res->cut_head = pst_str_is(req->path, "/mute");
    res->cut_after = (size_t)number_param(req, "after", 0);
    return PST_OK;
}

/* The n-th allocation of this loop's thread from now on fails, and those behind it do not. */
static pst_code faulting(void *self, struct pst_request *req, struct pst_response *res,
                         struct pst_err *err)
{
    (void)self, (void)err;
    pst_buf_add_lit(&res->body, "from now on");
    pst_alloc_fail_at((long)number_param(req, "n", 0));
    return PST_OK;
}

static pst_code peer(void *self, struct pst_request *req, struct pst_response *res,
                     struct pst_err *err)
{
    (void)self, (void)err;
    if (req->peer.local)
        pst_buf_addf(&res->body, "uid %u", req->peer.uid);
    else
        pst_buf_addf(&res->body, "address %s", req->peer.address);
    return PST_OK;
}

static void write_error(void *self, const struct pst_request *req, const struct pst_id *request_id,
                        const struct pst_err *err, struct pst_response *res)
{
    (void)self, (void)req;
    res->status = pst_code_http(err->code);
    pst_response_header(res, "Content-Type", PST_STR("application/problem+json"));
    pst_buf_addf(&res->body, "{\"code\":\"%s\",\"detail\":\"%s\",\"request_id\":\"%s\"}",
                 pst_code_name(err->code), err->msg, request_id->text);
}

static void finished(void *self, const struct pst_request *req, const struct pst_id *request_id,
                     const struct pst_server_outcome *outcome)
{
    (void)req, (void)request_id, (void)outcome;
    struct fixture *f = self;
    atomic_fetch_add(&f->finished, 1);
}

static void run_loop(void *arg)
{
    struct fixture_loop *loop = arg;
    struct pst_err err;
    if (pst_server_run_loop(loop->fixture->server, loop->index, &err) != PST_OK)
        abort();
}

static struct pst_route routes[] = {
    {PST_METHOD_GET, "/marker", marker},    {PST_METHOD_POST, "/echo", echo},
    {PST_METHOD_POST, "/small", echo},      {PST_METHOD_GET, "/fail", failing},
    {PST_METHOD_GET, "/wait", waiting},     {PST_METHOD_GET, "/held", held},
    {PST_METHOD_GET, "/stream", stream},    {PST_METHOD_GET, "/size/{bytes}", sized},
    {PST_METHOD_GET, "/header", splitting}, {PST_METHOD_GET, "/cut", cutting},
    {PST_METHOD_GET, "/reset", cutting},    {PST_METHOD_GET, "/stall", cutting},
    {PST_METHOD_GET, "/mute", cutting},     {PST_METHOD_GET, "/peer", peer},
    {PST_METHOD_GET, "/fault", faulting},
};

static pst_mono mono_at_rest(void *self)
{
    struct fixture *f = self;
    return (pst_mono){(1000 + atomic_load(&f->now_ms)) * PST_NS_PER_MS};
}

static pst_wall wall_at_rest(void *self)
{
    enum { SOME_DAY_S = 1764000000 };
    struct fixture *f = self;
    return (pst_wall){SOME_DAY_S * PST_US_PER_S + atomic_load(&f->now_ms) * 1000};
}

static char socket_file[64];

static void remove_socket(void)
{
    (void)unlink(socket_file);
}

/* A test that failed leaves its server behind: that must not fail the next one, nor its socket
 * outlive this program. */
static void take_socket(struct fixture *f)
{
    if (socket_file[0])
        remove_socket();
    else
        (void)atexit(remove_socket);
    (void)snprintf(socket_file, sizeof(socket_file), "/tmp/pst-server-%d.sock", (int)getpid());
    (void)snprintf(f->socket_path, sizeof(f->socket_path), "unix:%s", socket_file);
}

static void start(struct fixture *f, const struct pst_server_limits *limits, unsigned loops,
                  const struct pst_clock *clock)
{
    struct pst_err err;
    *f = (struct fixture){.loop_count = loops};
    f->clock = clock ? *clock : (struct pst_clock){0};
    for (size_t i = 0; i < PST_COUNT(routes); i++) {
        routes[i].self = f;
        routes[i].body_max = strcmp(routes[i].pattern, "/small") == 0 ? 10 : 0;
    }
    assert_ok(pst_router_new(&f->router, routes, PST_COUNT(routes), &err));
    take_socket(f);
    const char *listen[] = {"127.0.0.1:0", f->socket_path};
    struct pst_server_options options = {
        .listen = listen,
        .listen_count = 2,
        .loops = loops,
        .router = f->router,
        .limits = limits ? *limits : (struct pst_server_limits){0},
        .self = f,
        .on_error = write_error,
        .on_finished = finished,
        .common_headers = "X-Common: yes\r\n",
        .clock = clock ? &f->clock : NULL,
    };
    assert_ok(pst_server_new(&f->server, &options, &err));
    for (unsigned i = 0; i < loops; i++) {
        f->loops[i] = (struct fixture_loop){f, i};
        assert_ok(pst_thread_start(&f->threads[i], "loop", run_loop, &f->loops[i], &err));
    }
}

void fixture_start(struct fixture *f, const struct pst_server_limits *limits, unsigned loops)
{
    start(f, limits, loops, NULL);
}

void fixture_start_at_rest(struct fixture *f, const struct pst_server_limits *limits)
{
    start(f, limits, 1, &(struct pst_clock){mono_at_rest, wall_at_rest, f});
}

static void move_clock(struct fixture *f, int64_t ms)
{
    atomic_fetch_add(&f->now_ms, ms);
    pst_server_wake(&f->server->loops[0]);
}

/* What is answered second is answered in a turn behind the one that came to know what was new. */
static void pass_a_turn(const struct fixture *f)
{
    int fd = client_connect_local(f);
    for (int i = 0; i < 2; i++) {
        client_say(fd, "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
        char *answer = client_read_answer(fd, 10000);
        assert_int_equal(status_of(answer), 200);
        pst_free(answer);
    }
    (void)close(fd);
}

void fixture_advance(struct fixture *f, int64_t ms)
{
    pass_a_turn(f); /* what is in hand belongs to the time before */
    move_clock(f, ms);
    pass_a_turn(f);
}

void fixture_stop(struct fixture *f, int64_t grace_ms)
{
    pst_server_stop(f->server, grace_ms);
    if (f->clock.self)
        move_clock(f, grace_ms + 1);
    for (unsigned i = 0; i < f->loop_count; i++)
        pst_thread_join(f->threads[i]);
    pst_server_free(f->server);
    pst_router_free(f->router);
    assert_int_equal(access(socket_file, F_OK), -1);
}

struct pst_server_stats fixture_stats(const struct fixture *f)
{
    struct pst_server_stats stats;
    pst_server_stats(f->server, &stats);
    return stats;
}

/* ---- the client ---- */

void client_connect_fd(const struct fixture *f, int fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)pst_server_port(f->server, 0)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
}

int client_connect(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client_connect_fd(f, fd);
    return fd;
}

int client_try(const struct fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)pst_server_port(f->server, 0)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
    (void)close(fd);
    return rc;
}

int client_connect_local(const struct fixture *f)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    assert_true(pst_str_copy(to.sun_path, sizeof(to.sun_path),
                             pst_str_from(f->socket_path + strlen("unix:"))));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

void client_send(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* refused and closed meanwhile: the answer tells */
        bytes += n;
        len -= (size_t)n;
    }
}

void client_say(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

bool client_heard(int fd)
{
    char c = 0;
    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void client_say_until_read(const struct fixture *f, int fd, const char *text)
{
    uint64_t until = fixture_stats(f).bytes_in + strlen(text);
    client_say(fd, text);
    for (int i = 0; i < 10000 && fixture_stats(f).bytes_in < until; i++)
        pst_sleep_ms(1);
    assert_true(fixture_stats(f).bytes_in >= until);
}

void client_say_and_wait(const struct fixture *f, int fd, const char *text)
{
    client_say_until_read(f, fd, text);
    pass_a_turn(f);
}

/* Append what is there within ms; false when the server has closed or time is up. */
static bool read_more(int fd, struct pst_buf *b, pst_mono until, bool *closed)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, (int)pst_mono_ms_until(pst_mono_now(), until)) <= 0)
        return false;
    assert_true(pst_buf_reserve(b, 65536));
    ssize_t n = recv(fd, b->ptr + b->len, 65536, 0);
    *closed = n <= 0;
    if (n <= 0)
        return false;
    b->len += (size_t)n;
    b->ptr[b->len] = '\0';
    return true;
}

char *client_read_all(int fd, int64_t ms, bool *closed)
{
    struct pst_buf b;
    pst_buf_init(&b, (size_t)1 << 30);
    pst_buf_add_lit(&b, "");
    *closed = false;
    pst_mono until = pst_mono_after_ms(pst_mono_now(), ms);
    while (read_more(fd, &b, until, closed))
        continue;
    return b.ptr;
}

static bool is_whole(const struct pst_buf *b)
{
    const char *head_end = memmem(b->ptr, b->len, "\r\n\r\n", 4);
    if (!head_end)
        return false;
    size_t head_len = (size_t)(head_end + 4 - b->ptr);
    const char *length = memmem(b->ptr, head_len, "Content-Length: ", 16);
    if (!length)
        return memmem(b->ptr, head_len, " 204 ", 5) ||
               pst_str_ends(pst_buf_str(b), PST_STR("0\r\n\r\n"));
    return b->len - head_len >= (size_t)strtoll(length + 16, NULL, 10);
}

char *client_read_answer(int fd, int64_t ms)
{
    struct pst_buf b;
    pst_buf_init(&b, (size_t)1 << 30);
    pst_buf_add_lit(&b, "");
    bool closed = false;
    pst_mono until = pst_mono_after_ms(pst_mono_now(), ms);
    while (!is_whole(&b) && read_more(fd, &b, until, &closed))
        continue;
    return b.ptr;
}

char *client_read_until(int fd, const char *end, int64_t ms)
{
    struct pst_buf b;
    pst_buf_init(&b, (size_t)1 << 30);
    pst_buf_add_lit(&b, "");
    bool closed = false;
    pst_mono until = pst_mono_after_ms(pst_mono_now(), ms);
    while (!pst_str_ends(pst_buf_str(&b), pst_str_from(end)) && read_more(fd, &b, until, &closed))
        continue;
    return b.ptr;
}

int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

/* By hand: the sanitizers check the whole rest of the text at each call of strstr or memmem. */
int count_of(const char *text, const char *needle)
{
    int n = 0;
    for (; *text; text++) {
        size_t i = 0;
        while (needle[i] && text[i] == needle[i])
            i++;
        n += needle[i] == '\0';
    }
    return n;
}

bool wait_for(_Atomic int *value, int want)
{
    for (int i = 0; i < 500 && atomic_load(value) < want; i++)
        pst_sleep_ms(10);
    return atomic_load(value) >= want;
}
