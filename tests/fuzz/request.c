/* tests/fuzz/request.c: the head of a request and its chunked body, as the server reads them.
 *
 * However the bytes are cut, the result is the same, and what is accepted says how long it is in
 * one way only. */
#include "server/internal.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 1 << 20, BODY_BYTES = 1 << 16, TARGET_BYTES = 1024 };

static enum pst_scan_result scan_in_pieces(struct pst_head_scan *s, pst_str bytes, size_t step)
{
    enum pst_scan_result result = PST_SCAN_MORE;
    for (size_t n = 0; n < bytes.len && result == PST_SCAN_MORE;) {
        n = n + step < bytes.len ? n + step : bytes.len;
        result = pst_server_scan_head(s, bytes.ptr, n);
    }
    return result;
}

static bool is_inside(pst_str part, pst_str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_head(const struct pst_exchange *ex, pst_str head, size_t fields)
{
    const struct pst_request *req = &ex->req;
    size_t hosts = 0;
    (void)pst_request_header(req, "Host", &hosts);
    FUZZ_REQUIRE(req->header_count == fields);
    FUZZ_REQUIRE(hosts == 1 || (hosts == 0 && ex->http_1_0));
    FUZZ_REQUIRE(is_inside(req->target, head) && req->target.len <= TARGET_BYTES);
    FUZZ_REQUIRE(ex->chunked == (ex->body_expected == UINT64_MAX));
    FUZZ_REQUIRE(!(ex->http_1_0 && (ex->chunked || ex->expects_continue)));
    for (size_t i = 0; i < req->header_count; i++) {
        pst_str name = req->headers[i].name;
        pst_str value = req->headers[i].value;
        FUZZ_REQUIRE(name.len > 0 && is_inside(name, head) && is_inside(value, head));
        FUZZ_REQUIRE(!memchr(name.ptr, ' ', name.len) && !memchr(name.ptr, '\t', name.len));
        for (size_t k = 0; k < value.len; k++)
            FUZZ_REQUIRE(!strchr("\r\n", value.ptr[k]));
    }
}

struct decoded {
    struct pst_exchange ex;
    size_t used;
    bool done;
    pst_code code;
};

/* The same head again, then the body in pieces of `step` bytes. */
static void decode_body(struct decoded *d, struct pst_arena *a, pst_str head, pst_str body,
                        size_t fields, size_t step)
{
    struct pst_err err;
    const struct pst_server_limits limits = {.target_max = TARGET_BYTES};
    *d = (struct decoded){.ex.headers_max = fields, .ex.body_max = BODY_BYTES, .ex.req.arena = a};
    pst_buf_init(&d->ex.body, BODY_BYTES);
    FUZZ_OK(pst_server_parse_head(&d->ex, head.ptr, head.len, &limits, &err));
    while (d->code == PST_OK && !d->done && d->used < body.len) {
        size_t n = body.len - d->used < step ? body.len - d->used : step;
        size_t used = 0;
        d->code = pst_server_parse_chunks(&d->ex, body.ptr + d->used, n, &used, &d->done, &err);
        FUZZ_REQUIRE(used <= n);
        d->used += used;
    }
}

static void check_chunks(struct pst_arena *a, pst_str head, pst_str body, size_t fields,
                         size_t step)
{
    struct decoded whole;
    struct decoded pieces;
    decode_body(&whole, a, head, body, fields, body.len + 1);
    decode_body(&pieces, a, head, body, fields, step);
    FUZZ_REQUIRE((whole.code == PST_OK) == (pieces.code == PST_OK));
    if (whole.code == PST_OK) {
        FUZZ_REQUIRE(whole.done == pieces.done && whole.used == pieces.used);
        FUZZ_REQUIRE(pst_str_eq(pst_buf_str(&whole.ex.body), pst_buf_str(&pieces.ex.body)));
    }
    pst_buf_fini(&whole.ex.body);
    pst_buf_fini(&pieces.ex.body);
}

void pst_fuzz(pst_str bytes)
{
    size_t step = 1 + fuzz_take(&bytes) % 16;
    struct pst_head_scan whole = {0};
    struct pst_head_scan pieces = {0};
    enum pst_scan_result result = pst_server_scan_head(&whole, bytes.ptr, bytes.len);
    FUZZ_REQUIRE(scan_in_pieces(&pieces, bytes, step) == result);
    FUZZ_REQUIRE(pieces.fields == whole.fields && pieces.line_end == whole.line_end);
    if (result == PST_SCAN_BAD)
        FUZZ_REQUIRE(whole.why && pieces.why && strcmp(whole.why, pieces.why) == 0);
    if (result != PST_SCAN_DONE || whole.fields > 100)
        return;
    FUZZ_REQUIRE(whole.at == pieces.at && whole.at <= bytes.len);

    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    pst_str head = pst_str_sub(bytes, 0, whole.at);
    const struct pst_server_limits limits = {.target_max = TARGET_BYTES};
    struct pst_exchange ex = {.headers_max = whole.fields, .req.arena = a};
    if (pst_server_parse_head(&ex, head.ptr, head.len, &limits, &err) != PST_OK)
        return;
    check_head(&ex, head, whole.fields);
    if (ex.chunked)
        check_chunks(a, head, pst_str_sub(bytes, whole.at, bytes.len), whole.fields, step);
}
