/* api/diagnosis.c: gathering the evidence for a verdict (health/diagnose.h), and saying it in
 * words.
 *
 * Numbers of connections are those of the caller's own organization; what others have counts for
 * the verdict, and is told only as `elsewhere`. */
#include <stdarg.h>
#include <stdio.h>

#include "api/internal.h"
#include "health/diagnose.h"
#include "store/outages.h"

enum {
    OPERATIONS = 5,
    SENTENCES = 8,
    SLOW_US = 10 * 1000000,
};

/* Around the failure: an outage shows before it and for a while behind it; probes of a system that
 * is down come up to 30 minutes apart. */
static const int64_t BEFORE_US = 45 * 60 * PST_US_PER_S, AFTER_US = 5 * 60 * PST_US_PER_S;

/* What is looked at, and what was found. */
struct inquiry {
    struct pst_api_call *call;
    struct pst_connection connection; /* pk 0: there is none */
    pst_wall at; /* of the failure; now for a connection */
    bool is_now;
    enum pst_cause cause;
    pst_str error; /* in the words of who failed, or "" */
    const struct pst_call_row *failed; /* the call that shows it, or NULL */
    const struct pst_call_row *latest; /* the connection's newest one that failed, or NULL */
    struct pst_outage outage; /* of the connection */
    struct pst_evidence evidence;
    struct pst_peers own_host, own_connector; /* as far as the caller may see */
    bool elsewhere;
    int unreachable; /* own calls that did not reach the system */
    pst_wall since;
    const struct pst_call_row *operations[OPERATIONS]; /* one call of each that fails */
    size_t operation_count;
    int64_t rejected; /* rows of the run */
    const struct pst_call_row *calls; /* of the run */
    size_t call_count;
};

/* ---- this connection's own calls ---- */

static bool is_failing(const struct pst_call_row *c)
{
    return c->class != PST_CALL_GOOD && c->class != PST_CALL_LOCAL;
}

static void note_operation(struct inquiry *q, const struct pst_call_row *c)
{
    for (size_t i = 0; i < q->operation_count; i++) {
        if (strcmp(q->operations[i]->path, c->path) == 0)
            return;
    }
    if (q->operation_count < OPERATIONS)
        q->operations[q->operation_count++] = c;
}

/* Whether an operation that failed worked later on: calls[0..at) are newer. */
static bool has_worked_since(const struct pst_call_row *calls, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (calls[i].class == PST_CALL_GOOD && calls[i].code[0] == '\0' &&
            strcmp(calls[i].path, calls[at].path) == 0)
            return true;
    }
    return false;
}

/* Newest first. The run of failures that the moment lies in tells since when. */
static void look_at_calls(struct inquiry *q, const struct pst_call_row *calls, size_t count)
{
    bool is_broken = false; /* a good call came before */
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        const struct pst_call_row *c = &calls[i];
        if (c->at.us < q->at.us - BEFORE_US && (is_broken || !is_failing(c)))
            break;
        /* Of the present only what still fails; a request of the past keeps what it met. */
        if (c->code[0] && c->class != PST_CALL_LOCAL && !(q->is_now && has_worked_since(calls, i)))
            note_operation(q, c);
        if (is_failing(c)) {
            q->unreachable++;
            q->evidence.is_failing_now = q->evidence.is_failing_now || is_first;
            if (!is_broken)
                q->since = c->at;
            if (!q->latest)
                q->latest = c;
        } else if (c->class == PST_CALL_GOOD) {
            is_broken = true;
            *(c->code[0] ? &q->evidence.failed_operations : &q->evidence.good) += 1;
        }
        is_first = is_first && c->class == PST_CALL_LOCAL;
    }
}

/* While its origin is away a connection is denied its calls: the outage tells of it then. */
static pst_code look_at_outage(struct inquiry *q, struct pst_err *err)
{
    struct pst_outage *o = &q->outage;
    PST_TRY(pst_outages_get(q->call->reader, q->connection.pk, o, err));
    if (o->failures == 0 || o->failing_since.us > q->at.us + AFTER_US)
        return PST_OK;
    if (o->kind != PST_OUTAGE_ORIGIN_DOWN)
        return PST_OK; /* its own trouble, which has calls */
    q->evidence.is_failing_now = true;
    if (pst_wall_is_none(q->since) || o->failing_since.us < q->since.us)
        q->since = o->failing_since;
    return PST_OK;
}

/* ---- the others ---- */

/* A refusal amid an outage is not of the outage, nor an outage of the refusals beside it. */
static bool fails_alike(const struct inquiry *q, const struct pst_seen_connection *s)
{
    if (pst_cause_is_refusal(q->cause))
        return s->class == PST_CALL_REFUSED;
    return s->class == PST_CALL_UNREACHABLE || s->class == PST_CALL_UNWELL;
}

static void count_peer(struct pst_peers *all, struct pst_peers *own, bool is_own, bool fails)
{
    all->seen++;
    all->failing += fails;
    own->seen += is_own;
    own->failing += is_own && fails;
}

static int count_hosts(const struct inquiry *q, const struct pst_seen_connection *list,
                       size_t count)
{
    enum { MANY = 100 };
    uint64_t hosts[MANY];
    int n = 0;
    for (size_t i = 0; i < count && n < MANY; i++) {
        bool is_new = list[i].is_same_connector && fails_alike(q, &list[i]);
        for (int k = 0; k < n && is_new; k++)
            is_new = hosts[k] != list[i].host_hash;
        if (is_new)
            hosts[n++] = list[i].host_hash;
    }
    return n;
}

static pst_code look_at_others(struct inquiry *q, pst_str origin, struct pst_err *err)
{
    struct pst_seen_connection *list = NULL;
    size_t count = 0;
    bool is_listed = false;
    struct pst_evidence *e = &q->evidence;
    pst_wall from = {q->at.us - BEFORE_US};
    pst_wall to = {q->at.us + AFTER_US};
    PST_TRY(pst_calls_seen(q->call->reader, q->connection.pk, origin, from, to, q->call->arena,
                           &list, &count, err));
    for (size_t i = 0; i < count; i++) {
        const struct pst_seen_connection *s = &list[i];
        bool fails = fails_alike(q, s);
        bool is_own =
            q->call->caller == PST_CALLER_OPERATOR ||
            (s->organization_pk == q->connection.organization_pk &&
             (q->call->caller != PST_CALLER_TOKEN || s->connection_pk == q->connection.pk));
        if (s->is_same_host && s->is_same_connector)
            count_peer(&e->host, &q->own_host, is_own, fails);
        if (s->is_same_connector)
            count_peer(&e->connector, &q->own_connector, is_own, fails);
        bool is_others = !is_own && s->organization_pk != q->connection.organization_pk;
        q->elsewhere = q->elsewhere || (s->is_same_connector && is_others && fails);
        is_listed = is_listed || s->connection_pk == q->connection.pk;
    }
    /* Its first calls may not be stored yet. */
    if (!is_listed && (q->unreachable || e->good || e->failed_operations)) {
        count_peer(&e->host, &q->own_host, true, e->is_failing_now);
        count_peer(&e->connector, &q->own_connector, true, e->is_failing_now);
    }
    e->failing_hosts = count_hosts(q, list, count);
    return PST_OK;
}

/* Only that it cannot be reached was said: the last try knows why. */
static void refine_cause(struct inquiry *q)
{
    enum pst_cause cause = PST_CAUSE_WORKED;
    bool is_vague = q->cause == PST_CAUSE_CONNECT ||
                    (q->is_now && q->cause == PST_CAUSE_WORKED && q->evidence.is_failing_now);
    if (q->failed || !q->latest || !is_vague ||
        !pst_cause_find(&cause, pst_str_from(q->latest->cause)))
        return;
    q->cause = cause;
    if (q->error.len == 0)
        q->failed = q->latest;
}

/* A connection that was denied every call has the cause that others found. */
static pst_code borrow_cause(struct inquiry *q, pst_str origin, struct pst_err *err)
{
    char name[sizeof(q->latest->cause)];
    pst_wall from = {q->at.us - BEFORE_US};
    pst_wall to = {q->at.us + AFTER_US};
    if (!q->is_now || q->connection.status != PST_CONNECTION_OFFLINE || q->latest)
        return PST_OK;
    if (q->error.len == 0)
        q->error = q->connection.status_reason;
    PST_TRY(pst_calls_cause(q->call->reader, origin, from, to, name, sizeof(name), err));
    if (!pst_cause_find(&q->cause, pst_str_from(name)))
        q->cause = PST_CAUSE_AWAY;
    return PST_OK;
}

/* With cause, at and connection set: everything else. */
static pst_code gather(struct inquiry *q, struct pst_err *err)
{
    struct pst_call_row *calls = NULL;
    size_t count = 0;
    struct pst_err trouble;
    q->since = PST_WALL_NONE;
    q->evidence.store_is_failing = pst_db_trouble(q->call->api->options.db, &trouble);
    if (q->connection.pk) {
        PST_TRY(pst_api_find_calls_until(q->call, &q->connection, (pst_wall){q->at.us + AFTER_US},
                                         &calls, &count, err));
        look_at_calls(q, calls, count);
        PST_TRY(look_at_outage(q, err));
        refine_cause(q);
        const struct pst_call_row *c = q->failed ? q->failed : q->latest;
        pst_str origin = pst_call_origin(pst_str_from(c ? c->origin : q->outage.origin));
        PST_TRY(borrow_cause(q, origin, err));
        PST_TRY(look_at_others(q, origin, err));
    }
    q->evidence.cause = q->cause;
    return PST_OK;
}

/* ---- in words ---- */

struct words {
    struct pst_json_writer *w;
    char text[512];
};

static void say(struct words *s, const char *fmt, ...) PST_PRINTF(2, 3);
static void say(struct words *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(s->text, sizeof(s->text), fmt, ap);
    va_end(ap);
    pst_json_put_str(s->w, pst_str_from(s->text));
}

static const char *summary_of(const struct pst_verdict *v)
{
    switch (v->scope) {
    case PST_SCOPE_SYSTEMIC:
        break;
    case PST_SCOPE_CONNECTION:
        return "This connection has the trouble; others are not concerned.";
    case PST_SCOPE_REQUEST:
        return "The trouble is this request's own; the connection and Penstock are well.";
    case PST_SCOPE_NONE:
        return "There is no trouble.";
    }
    switch (v->reach) {
    case PST_REACH_HOST:
        return "Systemic: many connections to the same host fail at the same time.";
    case PST_REACH_CONNECTOR:
        return "Systemic: many connections of this connector fail at the same time, on several "
               "hosts.";
    case PST_REACH_PENSTOCK:
    case PST_REACH_NONE:
        break;
    }
    return "Systemic: Penstock itself has trouble.";
}

static void say_evidence(struct words *s, const struct inquiry *q, const struct pst_verdict *v)
{
    char since[PST_WALL_TEXT];
    const struct pst_evidence *e = &q->evidence;
    if (q->failed && q->failed->error[0])
        say(s, "%s", q->failed->error);
    else if (q->error.len)
        say(s, "%.*s", PST_STR_ARG(q->error));
    if (v->reach == PST_REACH_PENSTOCK && e->store_is_failing)
        say(s, "the store cannot be written at this moment");
    const char *how = pst_cause_is_refusal(e->cause) ? "were refused" : "failed";
    if (q->own_host.failing)
        say(s, "%d of %d connections to this host %s at their last try", q->own_host.failing,
            q->own_host.seen, how);
    if (q->own_connector.seen > q->own_host.seen)
        say(s, "%d of %d connections of this connector %s at their last try",
            q->own_connector.failing, q->own_connector.seen, how);
    if (q->elsewhere && v->scope == PST_SCOPE_SYSTEMIC)
        say(s, "connections of other organizations fail, too");
    if (!pst_wall_is_none(q->since) && v->scope != PST_SCOPE_NONE) {
        (void)pst_wall_format(since, q->since);
        say(s, "this connection has been failing since %s", since);
    }
    if (v->scope == PST_SCOPE_REQUEST && q->connection.pk && e->good > 0)
        say(s, "%d other calls of this connection worked around that time", e->good);
    if (q->rejected > 0)
        say(s, "%lld rows could not be mapped", (long long)q->rejected);
}

static void put_peers(struct pst_json_writer *w, const char *name, const struct pst_peers *p)
{
    pst_json_add_object(w, name);
    pst_json_add_i64(w, "connections", p->seen);
    pst_json_add_i64(w, "failing", p->failing);
    pst_json_end_object(w);
}

static void put_connection(struct pst_json_writer *w, const struct inquiry *q)
{
    if (!q->connection.pk) {
        pst_json_add_null(w, "connection");
        return;
    }
    pst_json_add_object(w, "connection");
    pst_json_add_str(w, "id", pst_id_str(&q->connection.id));
    pst_json_add_z(w, "status", pst_connection_status_name(q->connection.status));
    pst_json_add_wall(w, "status_since", q->connection.status_since);
    pst_json_add_i64(w, "good_calls", q->evidence.good);
    pst_json_add_i64(w, "failed_calls", q->unreachable);
    pst_json_add_i64(w, "refused_operations", q->evidence.failed_operations);
    pst_json_end_object(w);
}

static void put_evidence(struct pst_json_writer *w, const struct inquiry *q)
{
    pst_json_add_object(w, "evidence");
    put_connection(w, q);
    put_peers(w, "host", &q->own_host);
    put_peers(w, "connector", &q->own_connector);
    pst_json_add_bool(w, "elsewhere", q->elsewhere);
    pst_json_add_array(w, "operations");
    size_t shown = q->cause == PST_CAUSE_WORKED ? 0 : q->operation_count;
    for (size_t i = 0; i < shown; i++) {
        const struct pst_call_row *c = q->operations[i];
        pst_json_begin_object(w);
        pst_json_add_z(w, "method", c->method);
        pst_json_add_z(w, "path", c->path);
        pst_json_add_z(w, "code", c->code);
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
    pst_json_end_object(w);
}

static pst_code conclude(struct inquiry *q, struct pst_json_writer *w, struct pst_err *err)
{
    PST_TRY(gather(q, err));
    struct pst_verdict v = pst_diagnose(&q->evidence);
    struct words s = {.w = w};
    pst_json_add_z(w, "scope", pst_scope_name(v.scope));
    pst_json_add_z(w, "reach", v.reach == PST_REACH_NONE ? NULL : pst_reach_name(v.reach));
    pst_json_add_z(w, "cause", pst_cause_name(v.cause));
    pst_json_add_z(w, "summary", summary_of(&v));
    pst_json_add_z(w, "likely_cause", pst_cause_title(v.cause));
    pst_json_add_z(w, "what_to_do", pst_cause_advice(v.cause));
    pst_json_add_wall(w, "since", v.scope == PST_SCOPE_NONE ? PST_WALL_NONE : q->since);
    pst_json_add_array(w, "because");
    say_evidence(&s, q, &v);
    pst_json_end_array(w);
    put_evidence(w, q);
    return PST_OK;
}

/* ---- from a call, a run, a connection to the cause ---- */

/* The call that shows what was wrong: one that did not reach the system before one that was refused
 * by it. */
static void pick_call(struct inquiry *q, const struct pst_call_row *calls, size_t count)
{
    enum pst_cause cause = PST_CAUSE_WORKED;
    for (size_t i = 0; i < count; i++) {
        const struct pst_call_row *c = &calls[i];
        bool is_better = c->code[0] && (!q->failed || (is_failing(c) && !is_failing(q->failed)));
        if (is_better && pst_cause_find(&cause, pst_str_from(c->cause))) {
            q->failed = c;
            q->cause = cause;
        }
    }
}

/* Several errors have the public code of an unreachable system; a run that made no call met the one
 * that it was not called. */
static enum pst_cause cause_of_run(const struct pst_sync *sync)
{
    pst_str code = sync->error_code;
    if (pst_str_is(code, pst_code_name(PST_E_AWAY)) && sync->counts.calls == 0)
        return PST_CAUSE_AWAY;
    for (int i = 1; i < PST_CODE_COUNT; i++) {
        if (pst_str_is(code, pst_code_name((pst_code)i)))
            return pst_cause_of((pst_code)i, 0, NULL);
    }
    return PST_CAUSE_WORKED;
}

static pst_code look_at_sync(struct inquiry *q, const struct pst_sync *sync, struct pst_err *err)
{
    struct pst_call_row *calls = NULL;
    size_t count = 0;
    q->error = sync->error_message;
    q->failed = NULL;
    q->at = pst_wall_is_none(sync->ended_at) ? q->call->now : sync->ended_at;
    PST_TRY(pst_api_find_calls(q->call, pst_id_str(&sync->id), &calls, &count, err));
    q->calls = calls;
    q->call_count = count;
    if (sync->status == PST_SYNC_CANCELLED) {
        q->cause = PST_CAUSE_CANCELLED;
        return PST_OK;
    }
    if (!pst_wall_is_none(sync->resume_at)) {
        q->cause = PST_CAUSE_SLOW_DOWN; /* it waits */
        return PST_OK;
    }
    if (sync->error_code.len)
        q->cause = cause_of_run(sync);
    /* The calls know more, where the system was at fault. */
    if (sync->error_code.len && !pst_str_is(sync->error_code, "DELETE_GUARD") &&
        !pst_str_is(sync->error_code, pst_code_name(PST_E_UNAVAILABLE)) &&
        !pst_str_is(sync->error_code, pst_code_name(PST_E_INTERNAL)))
        pick_call(q, calls, count);
    q->rejected = sync->counts.rejected;
    if (sync->error_code.len == 0 && q->rejected > 0)
        q->cause = PST_CAUSE_MAPPING;
    return PST_OK;
}

static pst_code load_connection(struct inquiry *q, int64_t pk, struct pst_err *err)
{
    if (pk == 0)
        return PST_OK;
    pst_code code =
        pst_connections_get_pk(q->call->reader, pk, q->call->arena, &q->connection, err);
    if (code == PST_E_NOT_FOUND) { /* purged meanwhile */
        q->connection = (struct pst_connection){0};
        return PST_OK;
    }
    return code;
}

/* A request that started a sync is well as long as the sync is. */
static pst_code follow_sync(struct inquiry *q, const struct pst_request_row *row,
                            struct pst_err *err)
{
    struct pst_sync sync;
    if (strcmp(row->operation, "createSync") != 0 || !row->sync_id.text[0] || !q->connection.pk)
        return PST_OK;
    pst_code code = pst_syncs_get(q->call->reader, q->connection.pk, pst_id_str(&row->sync_id),
                                  q->call->arena, &sync, err);
    if (code == PST_E_NOT_FOUND)
        return PST_OK;
    PST_TRY(code);
    return look_at_sync(q, &sync, err);
}

pst_code pst_api_put_diagnosis(struct pst_json_writer *w, struct pst_api_call *call,
                               const struct pst_request_row *row, const struct pst_call_row *calls,
                               size_t count, struct pst_err *err)
{
    struct inquiry q = {.call = call, .at = row->at, .cause = PST_CAUSE_WORKED};
    if (row->duration_us >= SLOW_US)
        q.cause = PST_CAUSE_SLOW;
    if (row->cause[0])
        (void)pst_cause_find(&q.cause, pst_str_from(row->cause));
    q.error = pst_str_from(row->detail);
    PST_TRY(load_connection(&q, row->connection_pk, err));
    pick_call(&q, calls, count);
    if (row->status < 400)
        PST_TRY(follow_sync(&q, row, err));
    pst_json_add_object(w, "diagnosis");
    PST_TRY(conclude(&q, w, err));
    pst_json_end_object(w);
    return PST_OK;
}

/* ---- a connection, a sync ---- */

static pst_code look_at_connection(struct inquiry *q, struct pst_err *err)
{
    struct pst_sync *syncs = NULL;
    size_t count = 0;
    bool more = false;
    enum { ENDED = 1U << PST_SYNC_COMPLETED | 1U << PST_SYNC_FAILED };
    q->error = q->connection.status_reason;
    switch (q->connection.status) {
    case PST_CONNECTION_OFFLINE:
        q->cause = PST_CAUSE_CONNECT; /* until the last call says more */
        q->error = PST_STR("");
        return PST_OK;
    case PST_CONNECTION_AUTHENTICATION_REQUIRED:
        q->cause = PST_CAUSE_CREDENTIALS;
        return PST_OK;
    case PST_CONNECTION_INACTIVE:
        q->cause = PST_CAUSE_INACTIVE;
        return PST_OK;
    case PST_CONNECTION_ONLINE:
    case PST_CONNECTION_PENDING:
        break;
    }
    q->error = PST_STR("");
    pst_wall resumes_at = PST_WALL_NONE;
    PST_TRY(pst_syncs_resume_at(q->call->reader, q->connection.pk, &resumes_at, err));
    if (!pst_wall_is_none(resumes_at)) {
        q->cause = PST_CAUSE_SLOW_DOWN;
        return PST_OK;
    }
    PST_TRY(pst_syncs_list(q->call->reader, q->connection.pk, 0, ENDED, 1, q->call->arena, &syncs,
                           &count, &more, err));
    if (count == 1)
        PST_TRY(look_at_sync(q, &syncs[0], err));
    q->at = q->call->now;
    return PST_OK;
}

pst_code pst_api_diagnose_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct inquiry q = {.call = call,
                        .connection = call->connection,
                        .at = call->now,
                        .is_now = true,
                        .cause = PST_CAUSE_WORKED};
    PST_TRY(look_at_connection(&q, err));
    pst_api_begin(call, &w);
    PST_TRY(conclude(&q, &w, err));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_diagnose_sync(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_sync sync;
    struct inquiry q = {.call = call, .connection = call->connection, .cause = PST_CAUSE_WORKED};
    pst_str id = pst_request_param(call->req, "sync_id");
    pst_code code = pst_syncs_get(call->reader, call->connection.pk, id, call->arena, &sync, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no sync '%.*s'", PST_STR_ARG(id));
    PST_TRY(code);
    PST_TRY(look_at_sync(&q, &sync, err));
    pst_api_begin(call, &w);
    PST_TRY(conclude(&q, &w, err));
    pst_api_put_calls(&w, q.calls, q.call_count);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
