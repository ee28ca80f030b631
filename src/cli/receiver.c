/* cli/receiver.c: a webhook receiver on this machine. */
#include "cli/receiver.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/num.h"
#include "server/server.h"
#include "webhook/webhook.h"

enum { TOLERANCE_S = 300, SIGNATURE_MAX = 1024, IDS_MAX = 10000, GRACE_MS = 1000 };

struct pst_receiver {
    struct pst_receiver_options options;
    struct pst_router *router;
    struct pst_server *server;
    struct pst_route routes[2];
    struct pst_map seen; /* ids of deliveries that were taken */
};

const char *pst_verdict_name(enum pst_verdict verdict)
{
    static const char *const names[] = {
        [PST_VERDICT_OK] = "ok",
        [PST_VERDICT_UNCHECKED] = "not checked",
        [PST_VERDICT_UNSIGNED] = "REFUSED: not signed",
        [PST_VERDICT_STALE] = "REFUSED: timestamp off by more than 5 min",
        [PST_VERDICT_FORGED] = "REFUSED: wrong signature",
    };
    return names[verdict];
}

/* Whether one of the signatures, separated by blanks, is the expected one. All are looked at. */
static bool has_signature(pst_str list, pst_str expected)
{
    bool found = false;
    while (list.ptr) {
        pst_str one = pst_str_split(&list, ' ');
        found |= one.len == expected.len && pst_bytes_equal(one.ptr, expected.ptr, one.len);
    }
    return found;
}

pst_code pst_receiver_judge(enum pst_verdict *out, const struct pst_secret *secret, pst_str id,
                            pst_str timestamp, pst_str signature, pst_str body, pst_wall now,
                            struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf expected = {.max = SIGNATURE_MAX};
    int64_t at_s = 0;
    *out = PST_VERDICT_UNCHECKED;
    if (!secret)
        return PST_OK;
    *out = PST_VERDICT_UNSIGNED;
    if (id.len == 0 || signature.len == 0 || !pst_parse_i64(&at_s, timestamp, 0, INT64_MAX / 4))
        return PST_OK;
    PST_TRY(pst_hook_sign(&expected, &secret, 1, id, at_s, body, err));
    int64_t off_s = now.us / PST_US_PER_S - at_s;
    if (!has_signature(signature, pst_buf_str(&expected)))
        *out = PST_VERDICT_FORGED;
    else if (off_s > TOLERANCE_S || off_s < -TOLERANCE_S)
        *out = PST_VERDICT_STALE;
    else
        *out = PST_VERDICT_OK;
    return PST_OK;
}

static pst_code note_id(struct pst_receiver *r, struct pst_received *d, struct pst_err *err)
{
    d->is_duplicate = d->id.len > 0 && pst_map_has(&r->seen, d->id);
    if (d->id.len == 0 || d->is_duplicate)
        return PST_OK;
    if (r->seen.count == IDS_MAX)
        pst_map_fini(&r->seen);
    return pst_map_put(&r->seen, d->id, NULL, NULL, err);
}

static pst_code receive(void *self, struct pst_request *req, struct pst_response *res,
                        struct pst_err *err)
{
    struct pst_receiver *r = self;
    struct pst_err ignored;
    yyjson_doc *doc = NULL;
    struct pst_received d = {
        .id = pst_request_header(req, "webhook-id", NULL),
        .sequence = pst_request_header(req, "penstock-sequence", NULL),
        .attempt = pst_request_header(req, "penstock-attempt", NULL),
        .is_sample = pst_str_is(pst_request_header(req, "penstock-sample", NULL), "true"),
        .body = req->body,
        .at = req->wall,
    };
    PST_TRY(pst_receiver_judge(
        &d.verdict, r->options.secret, d.id, pst_request_header(req, "webhook-timestamp", NULL),
        pst_request_header(req, "webhook-signature", NULL), req->body, req->wall, err));
    bool is_taken = d.verdict == PST_VERDICT_OK || d.verdict == PST_VERDICT_UNCHECKED;
    if (is_taken)
        PST_TRY(note_id(r, &d, err));
    if (pst_json_read(req->body, NULL, req->arena, &doc, &ignored) == PST_OK)
        d.event = yyjson_doc_get_root(doc);
    res->status = is_taken ? 204 : 401;
    r->options.received(r->options.self, &d);
    return PST_OK;
}

static pst_code listen_on(struct pst_receiver *r, struct pst_err *err)
{
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", r->options.port);
    const char *const listen[] = {address};
    struct pst_server_options options = {
        .listen = listen,
        .listen_count = 1,
        .loops = 1,
        .router = r->router,
    };
    return pst_server_new(&r->server, &options, err);
}

pst_code pst_receiver_new(struct pst_receiver **out, const struct pst_receiver_options *options,
                          struct pst_err *err)
{
    static const char *const patterns[] = {"/", "/{rest*}"};
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_receiver), err));
    PST_AUTO(receiver) struct pst_receiver *r = made;
    r->options = *options;
    for (size_t i = 0; i < PST_COUNT(r->routes); i++)
        r->routes[i] = (struct pst_route){
            .method = PST_METHOD_POST, .pattern = patterns[i], .handler = receive, .self = r};
    PST_TRY(pst_router_new(&r->router, r->routes, PST_COUNT(r->routes), err));
    PST_TRY(listen_on(r, err));
    *out = PST_TAKE(r);
    return PST_OK;
}

int pst_receiver_port(const struct pst_receiver *r)
{
    return pst_server_port(r->server, 0);
}

void pst_receiver_set_secret(struct pst_receiver *r, const struct pst_secret *secret)
{
    r->options.secret = secret;
}

pst_code pst_receiver_run(struct pst_receiver *r, struct pst_err *err)
{
    return pst_server_run_loop(r->server, 0, err);
}

void pst_receiver_stop(struct pst_receiver *r)
{
    pst_server_stop(r->server, GRACE_MS);
}

void pst_receiver_free(struct pst_receiver *r)
{
    if (!r)
        return;
    pst_server_free(r->server);
    pst_router_free(r->router);
    pst_map_fini(&r->seen);
    pst_free(r);
}
