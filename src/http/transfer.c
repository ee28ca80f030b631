/* http/transfer.c: what happens while bytes of a call move: response headers, the body's limits,
 * deadlines, cancelling. */
#include "http/transfer.h"

#include "base/num.h"
#include "os/clock.h"

enum { RATIO_FREE = 1 << 20 }; /* decoded bytes before the compression ratio counts */

static void stop(struct pst_transfer *t, pst_code code, enum pst_http_fault fault, const char *text)
{
    pst_guard_stop(&t->guard, code, fault, text);
}

/* ---- headers ------------------------------------------------------------------------------ */

static void keep_header(struct pst_transfer *t, pst_str *out, pst_str value)
{
    struct pst_err err;
    pst_code code = pst_arena_dup(t->arena, out, value, &err);
    if (code != PST_OK)
        stop(t, code, PST_FAULT_LOCAL, "no memory for the answer's header");
}

static void read_length(struct pst_transfer *t, pst_str value)
{
    int64_t length = 0;
    /* libcurl takes the last of several lengths; a second one means that somebody between
     * disagrees about where this answer ends. */
    if (++t->lengths > 1 || !pst_parse_i64(&length, value, 0, INT64_MAX)) {
        stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer has more than one length");
        return;
    }
    t->announced = length;
}

static const struct {
    pst_str name;
    size_t offset; /* of the pst_str in struct pst_http_response */
} KEPT[] = {
    {PST_STR_INIT("content-type"), offsetof(struct pst_http_response, content_type)},
    {PST_STR_INIT("date"), offsetof(struct pst_http_response, date)},
    {PST_STR_INIT("retry-after"), offsetof(struct pst_http_response, retry_after)},
    {PST_STR_INIT("location"), offsetof(struct pst_http_response, location)},
    {PST_STR_INIT("www-authenticate"), offsetof(struct pst_http_response, www_authenticate)},
    {PST_STR_INIT("age"), offsetof(struct pst_http_response, age)},
    {PST_STR_INIT("penstock-stale"), offsetof(struct pst_http_response, penstock_stale)},
};

static pst_str *kept_field(struct pst_http_response *r, size_t i)
{
    return (pst_str *)(void *)((char *)r + KEPT[i].offset);
}

static void begin_block(struct pst_transfer *t, pst_str line)
{
    struct pst_http_response *r = t->response;
    int64_t status = 0;
    pst_str rest = line;
    (void)pst_str_split(&rest, ' ');
    if (!pst_parse_i64(&status, pst_str_sub(rest, 0, 3), 100, 999))
        stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer's status line is not HTTP");
    r->status = (int)status;
    for (size_t i = 0; i < PST_COUNT(KEPT); i++)
        *kept_field(r, i) = (pst_str){0};
    t->announced = -1;
    t->lengths = 0;
    t->is_coded = false;
}

static void read_field(struct pst_transfer *t, pst_str name, pst_str value)
{
    for (size_t i = 0; i < PST_COUNT(KEPT); i++) {
        pst_str *field = kept_field(t->response, i);
        if (field->len == 0 && pst_str_eq_nocase(name, KEPT[i].name))
            keep_header(t, field, value);
    }
    if (pst_str_eq_nocase(name, PST_STR("content-length")))
        read_length(t, value);
    if (pst_str_eq_nocase(name, PST_STR("content-encoding")) &&
        !pst_str_eq_nocase(value, PST_STR("identity"))) {
        if (t->is_coded || pst_str_index(value, ',') != value.len)
            stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer is compressed twice");
        t->is_coded = true;
    }
}

size_t pst_transfer_header(char *bytes, size_t size, size_t count, void *self)
{
    struct pst_transfer *t = self;
    pst_str line = pst_str_trim((pst_str){bytes, size * count});
    t->has_answer = true;
    t->window = pst_mono_now();
    if (pst_str_starts(line, PST_STR("HTTP/"))) {
        begin_block(t, line);
    } else {
        size_t colon = pst_str_index(line, ':');
        if (colon < line.len)
            read_field(t, pst_str_sub(line, 0, colon),
                       pst_str_trim(pst_str_sub(line, colon + 1, line.len)));
    }
    return t->guard.stop == PST_OK ? size * count : 0;
}

/* ---- body --------------------------------------------------------------------------------- */

static bool is_too_large(struct pst_transfer *t, size_t more)
{
    if (more > t->limits.max_body_bytes - t->received) {
        stop(t, PST_E_LIMIT, PST_FAULT_LIMIT, "the answer is larger than allowed");
        return true;
    }
    return false;
}

/* A body whose length is announced goes straight to its place. */
static bool take_place(struct pst_transfer *t)
{
    if (t->announced < 0 || t->is_coded || t->received > 0 ||
        (uint64_t)t->announced > t->limits.max_body_bytes)
        return false;
    struct pst_err err;
    pst_code code =
        pst_arena_bytes(t->arena, &t->direct, (size_t)t->announced + PST_HTTP_PADDING, &err);
    if (code != PST_OK)
        stop(t, code, code == PST_E_LIMIT ? PST_FAULT_LIMIT : PST_FAULT_LOCAL,
             "no room for the answer");
    else
        memset(t->direct + t->announced, 0, PST_HTTP_PADDING);
    return code == PST_OK;
}

size_t pst_transfer_write(char *bytes, size_t size, size_t count, void *self)
{
    struct pst_transfer *t = self;
    size_t len = size * count;
    if (len == 0)
        return 0;
    if (t->guard.stop != PST_OK || is_too_large(t, len))
        return 0;
    if (t->direct || take_place(t)) {
        if (len > (size_t)t->announced - t->received)
            stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer is longer than it said");
        else
            memcpy(t->direct + t->received, bytes, len);
    } else if (t->guard.stop == PST_OK) {
        pst_buf_add(t->spool, bytes, len);
        if (t->spool->fail != PST_OK)
            stop(t, t->spool->fail, PST_FAULT_LOCAL, "no memory for the answer");
    }
    t->received += len;
    return t->guard.stop == PST_OK ? len : 0;
}

/* ---- time --------------------------------------------------------------------------------- */

static void check_speed(struct pst_transfer *t, curl_off_t got, pst_mono now)
{
    int64_t ms = pst_mono_ms_until(t->window, now);
    if (ms < t->limits.slow_ms)
        return;
    if (got - t->window_bytes < t->limits.slow_bytes_per_s * ms / 1000)
        stop(t, PST_E_TIMEOUT, PST_FAULT_TIMEOUT, "the answer came too slowly");
    t->window = now;
    t->window_bytes = got;
}

int pst_transfer_progress(void *self, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                          curl_off_t sent)
{
    struct pst_transfer *t = self;
    (void)to_get;
    (void)to_send;
    (void)sent;
    pst_mono now = pst_mono_now();
    if (t->cancel && atomic_load_explicit(t->cancel, memory_order_relaxed))
        stop(t, PST_E_CANCELLED, PST_FAULT_CANCELLED, "cancelled");
    if (!t->has_answer && pst_mono_ms_until(t->begin, now) >= t->limits.first_byte_ms)
        stop(t, PST_E_TIMEOUT, PST_FAULT_TIMEOUT, "no byte of an answer came in time");
    if (t->has_answer)
        check_speed(t, got, now);
    if (t->is_coded && t->received > RATIO_FREE && got > 0 &&
        t->received / (size_t)got >= t->limits.max_ratio)
        stop(t, PST_E_LIMIT, PST_FAULT_LIMIT, "the answer is compressed beyond belief");
    return t->guard.stop == PST_OK ? 0 : 1;
}
