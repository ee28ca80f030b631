/* server/answer.c: from a filled response to bytes on the socket. */
#include <errno.h>
#include <sys/uio.h>

#include "server/internal.h"

enum {
    PARTS_PER_TURN = 16, /* of a stream, before other connections have their turn */
    EMPTY_PULLS_MAX = 64, /* a stream that gives nothing is broken */
};

struct reason {
    int status;
    const char *text;
};

static const struct reason reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < PST_COUNT(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "";
}

void pst_response_header(struct pst_response *res, const char *name, pst_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0') {
            res->head.fail = PST_E_INTERNAL;
            return;
        }
    }
    pst_buf_add_str(&res->head, pst_str_from(name));
    pst_buf_add_lit(&res->head, ": ");
    pst_buf_add_str(&res->head, value);
    pst_buf_add_lit(&res->head, "\r\n");
}

static void end_stream(struct pst_response *res)
{
    if (res->pull && res->pull_done)
        res->pull_done(res->pull_self);
    res->pull = NULL;
    res->pull_done = NULL;
}

void pst_response_reset(struct pst_response *res)
{
    end_stream(res);
    pst_buf_reset(&res->body);
    pst_buf_reset(&res->head);
    *res = (struct pst_response){.body = res->body, .head = res->head};
}

void pst_server_answer_end(struct pst_exchange *ex)
{
    end_stream(&ex->res);
}

/* "Tue, 24 Nov 2026 00:08:45 GMT" */
static pst_str date_of(struct pst_loop *loop)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    pst_wall now = pst_clock_wall(loop->server->clock);
    int64_t second = now.us / PST_US_PER_S;
    if (second != loop->date_second) {
        struct pst_civil c = pst_wall_to_civil(now);
        int64_t day = pst_days_from_civil(c.year, c.month, c.day);
        (void)snprintf(loop->date, sizeof(loop->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                       days[(day + 4) % 7], c.day, months[c.month - 1], c.year, c.hour, c.minute,
                       c.second);
        loop->date_second = second;
    }
    return pst_str_from(loop->date);
}

static void add_line(struct pst_buf *b, const char *name, pst_str value)
{
    pst_buf_add_str(b, pst_str_from(name));
    pst_buf_add_lit(b, ": ");
    pst_buf_add_str(b, value);
    pst_buf_add_lit(b, "\r\n");
}

static void compose_head(struct pst_exchange *ex)
{
    struct pst_response *res = &ex->res;
    struct pst_buf *b = &ex->head;
    pst_buf_reset(b);
    pst_buf_add_lit(b, "HTTP/1.1 ");
    pst_buf_add_i64(b, ex->status);
    pst_buf_add_char(b, ' ');
    pst_buf_add_str(b, pst_str_from(reason_of(ex->status)));
    pst_buf_add_lit(b, "\r\n");
    add_line(b, "Date", date_of(ex->loop));
    add_line(b, "X-Request-Id", pst_id_str(&ex->req.id));
    if (ex->chunked) {
        pst_buf_add_lit(b, "Transfer-Encoding: chunked\r\n");
    } else if (!res->pull && ex->status != 204 && ex->status != 304) {
        pst_buf_add_lit(b, "Content-Length: ");
        pst_buf_add_u64(b, res->body.len);
        pst_buf_add_lit(b, "\r\n");
    }
    if (!ex->keep_alive)
        pst_buf_add_lit(b, "Connection: close\r\n");
    else if (ex->http_1_0)
        pst_buf_add_lit(b, "Connection: keep-alive\r\n");
    if (ex->loop->server->common_headers && !res->bare)
        pst_buf_add_str(b, pst_str_from(ex->loop->server->common_headers));
    pst_buf_add_str(b, pst_buf_str(&res->head));
    pst_buf_add_lit(b, "\r\n");
}

/* Let the application write the error's answer; without one, a bare status. */
static void write_error(struct pst_exchange *ex, const struct pst_err *err)
{
    const struct pst_server *server = ex->loop->server;
    struct pst_response *res = &ex->res;
    pst_response_reset(res);
    if (err->code == PST_E_METHOD && ex->allow.len)
        pst_response_header(res, "Allow", ex->allow);
    if (server->on_error)
        server->on_error(server->self, ex->head_ok ? &ex->req : NULL, &ex->req.id, err, res);
    if (res->status == 0 || res->body.fail != PST_OK || res->head.fail != PST_OK || res->pull) {
        pst_response_reset(res);
        res->status = pst_code_http(err->code);
    }
}

void pst_server_answer_begin(struct pst_exchange *ex, pst_code code, const struct pst_err *err)
{
    struct pst_response *res = &ex->res;
    struct pst_err own;
    if (code == PST_OK && (res->body.fail != PST_OK || res->head.fail != PST_OK)) {
        pst_code why = res->body.fail != PST_OK ? res->body.fail : res->head.fail;
        code = why == PST_E_NO_MEMORY
                   ? PST_FAIL(&own, why, "no memory for the answer")
                   : PST_FAIL(&own, PST_E_INTERNAL, "the answer could not be composed");
        err = &own;
    }
    if (code != PST_OK)
        write_error(ex, err);

    ex->status = res->status ? res->status : 200;
    bool is_head = ex->head_ok && ex->req.method == PST_METHOD_HEAD;
    ex->bodyless = is_head || ex->status == 204 || ex->status == 304;
    ex->keep_alive = ex->keep_alive && !res->close && !ex->loop->stopping && !res->cut &&
                     !(res->pull && ex->http_1_0);
    ex->chunked = res->pull && !ex->http_1_0;
    ex->cut_left = res->cut_after;
    ex->part_ready = ex->stalled = false;
    ex->head_sent = res->cut && res->cut_head && res->cut_after == 0;
    ex->sent = 0;
    ex->last_part = !res->pull || ex->bodyless;
    compose_head(ex);
}

/* Fetch the next part of a stream. */
static pst_code pull_part(struct pst_exchange *ex)
{
    struct pst_err err;
    struct pst_response *res = &ex->res;
    pst_buf_reset(&ex->part);
    for (int tries = 0; ex->part.len == 0 && !ex->last_part; tries++) {
        if (tries == EMPTY_PULLS_MAX)
            return PST_E_INTERNAL;
        PST_TRY(res->pull(res->pull_self, &ex->part, &ex->last_part, &err));
    }
    PST_TRY(pst_buf_check(&ex->part, &err));
    int n = 0;
    if (ex->chunked && ex->part.len)
        n = snprintf(ex->frame, sizeof(ex->frame), "%zx\r\n", ex->part.len);
    ex->frame_len = n > 0 ? (size_t)n : 0;
    return PST_OK;
}

struct vector {
    struct iovec iov[4];
    int count;
    size_t total;
    size_t body; /* bytes of body in it */
    bool cut; /* ends where the answer is to be broken off */
};

static void add_piece(struct vector *v, const char *ptr, size_t len)
{
    if (len == 0)
        return;
    v->iov[v->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)ptr, .iov_len = len};
    v->total += len;
}

/* What is to be sent now: the head if it is not out yet, and the body or the current part. */
static struct vector make_vector(const struct pst_exchange *ex)
{
    struct vector v = {.count = 0};
    const struct pst_response *res = &ex->res;
    if (!ex->head_sent)
        add_piece(&v, ex->head.ptr, ex->head.len);
    if (ex->bodyless)
        return v;
    pst_str data = res->pull ? pst_buf_str(&ex->part) : pst_buf_str(&res->body);
    v.cut = res->cut != PST_CUT_NONE && (data.len >= ex->cut_left || ex->last_part);
    if (v.cut)
        data = pst_str_sub(data, 0, ex->cut_left);
    if (res->pull)
        add_piece(&v, ex->frame, ex->frame_len);
    add_piece(&v, data.ptr, data.len);
    v.body = data.len;
    if (ex->chunked && !v.cut) {
        /* CR LF behind a chunk's data, and the last chunk in the same write. */
        static const char closing[] = "\r\n0\r\n\r\n";
        const char *begin = ex->frame_len ? closing : closing + 2;
        add_piece(&v, begin, ex->last_part ? strlen(begin) : 2);
    }
    return v;
}

static enum pst_sent send_vector(struct pst_exchange *ex, struct vector *v, int fd)
{
    while (ex->sent < v->total) {
        struct iovec iov[4];
        int count = 0;
        size_t skip = ex->sent;
        for (int i = 0; i < v->count; i++) {
            size_t len = v->iov[i].iov_len;
            size_t off = skip < len ? skip : len;
            skip -= off;
            if (off < len)
                iov[count++] = (struct iovec){(char *)v->iov[i].iov_base + off, len - off};
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? PST_SENT_PART : PST_SENT_BROKEN;
        ex->sent += (size_t)n;
        ex->conn->phase_bytes += (size_t)n;
        atomic_fetch_add_explicit(&ex->loop->stats.bytes_out, (uint64_t)n, memory_order_relaxed);
    }
    return PST_SENT_ALL;
}

static enum pst_sent cut_off(struct pst_exchange *ex)
{
    ex->stalled = ex->res.cut == PST_CUT_STALL;
    if (ex->stalled)
        return PST_SENT_STALLED;
    return ex->res.cut == PST_CUT_RESET ? PST_SENT_RESET : PST_SENT_BROKEN;
}

enum pst_sent pst_server_answer_send(struct pst_exchange *ex, int fd)
{
    if (ex->head.fail != PST_OK)
        return PST_SENT_BROKEN;
    if (ex->stalled)
        return PST_SENT_STALLED;
    for (int parts = 0; parts < PARTS_PER_TURN; parts++) {
        if (!ex->part_ready && ex->res.pull && !ex->bodyless && pull_part(ex) != PST_OK)
            return PST_SENT_BROKEN;
        ex->part_ready = true;
        struct vector v = make_vector(ex);
        enum pst_sent sent = send_vector(ex, &v, fd);
        if (sent != PST_SENT_ALL)
            return sent;
        ex->head_sent = true;
        ex->part_ready = false;
        ex->sent = 0;
        ex->body_sent += v.body;
        ex->cut_left -= v.body < ex->cut_left ? v.body : ex->cut_left;
        if (v.cut)
            return cut_off(ex);
        if (ex->last_part)
            return PST_SENT_ALL;
    }
    return PST_SENT_PART;
}
