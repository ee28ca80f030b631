/* store/requests.h: the request log: what the API was asked, and every call of a connected system
 * that it or a sync made. Without bodies, query strings and anything secret.
 *
 * Rows are written in batches (app/journal.c) and bounded by age and number. Lists look at no more
 * than PST_REQUESTS_BUDGET rows per call, so a page may be short and have more behind it.
 *
 * Functions that change something run inside a writer job. Errors of all: as db.h, and NO_MEMORY,
 * LIMIT. Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_REQUESTS_H
#define PST_STORE_REQUESTS_H

#include "base/arena.h"
#include "base/id.h"
#include "base/trace.h"
#include "db/db.h"

enum { PST_REQUESTS_BUDGET = 10000 };

/* One request. A plain value: it may be copied. */
struct pst_request_row {
    int64_t pk; /* 0: not stored yet */
    uint8_t id[PST_ID_RAW];
    uint8_t trace_id[PST_TRACE_ID];
    pst_wall at; /* when it came in */
    int64_t organization_pk; /* 0 = none */
    int64_t connection_pk; /* 0 = none */
    struct pst_id organization_id, connection_id; /* of the same; "" where they are gone. Not
                                                     written */
    struct pst_id sync_id; /* that it started or looked at, or "" */
    struct pst_id actor; /* "key_...", "operator", or "" */
    int status;
    int64_t duration_us;
    uint64_t bytes; /* of the answer's body */
    char operation[48]; /* "listConnections", "" = there is none at that path */
    char method[8];
    char code[40]; /* of the problem document, "" = none */
    char cause[24]; /* health/diagnose.h, "" = none */
    char detail[256]; /* of the problem document, or what a test that failed found; cut */
};

/* What a call said about the system; as in health/health.h. */
enum pst_call_class {
    PST_CALL_GOOD,
    PST_CALL_UNREACHABLE,
    PST_CALL_UNWELL,
    PST_CALL_REFUSED,
    PST_CALL_LOCAL, /* nothing */
};

/* One call of a connected system. A plain value. */
struct pst_call_row {
    int64_t pk;
    pst_wall at; /* its end */
    struct pst_id connection_id; /* of writes: "" = none */
    int64_t connection_pk; /* of reads */
    struct pst_id request_id, sync_id; /* or "" */
    uint8_t span_id[PST_SPAN_ID]; /* sent in traceparent */
    enum pst_call_class class;
    unsigned number; /* 1, 2, ... within its request or run */
    int status; /* 0: no answer */
    uint64_t bytes; /* of the answer's body, decoded */
    int64_t waited_us, dns_us, connect_us, tls_us, first_byte_us, total_us;
    char origin[128]; /* cut */
    char method[8];
    char path[160]; /* without the query; cut */
    char fault[16]; /* "dns", ..., "" = none */
    char code[40]; /* "" = it went well */
    char cause[24];
    char error[256];
};

/* A batch as it is written. Calls of connections that are not there any more are left out. */
struct pst_request_batch {
    const struct pst_request_row *requests;
    size_t request_count;
    const struct pst_call_row *calls;
    size_t call_count;
};
pst_code pst_requests_add(struct pst_db_conn *conn, const struct pst_request_batch *batch,
                          struct pst_err *err);

/* Errors: NOT_FOUND. organization_pk 0 = any. */
pst_code pst_requests_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                          struct pst_request_row *out, struct pst_err *err);

struct pst_request_query {
    int64_t organization_pk; /* 0 = all (the operator) */
    int64_t connection_pk; /* 0 = all */
    pst_str code; /* "" = all */
    int64_t status; /* 0 = all; 4 and 5 stand for 4xx and 5xx */
    pst_wall since, until; /* at >= since, at < until; none = open */
    int64_t before_pk; /* 0 = from the newest */
    size_t limit; /* 1..500 */
};
/* Newest first. *last_pk: where the next page goes on. */
pst_code pst_requests_list(struct pst_db_conn *conn, const struct pst_request_query *query,
                           struct pst_arena *arena, struct pst_request_row **out, size_t *count,
                           int64_t *last_pk, bool *more, struct pst_err *err);

/* Calls of one request or one run (id: "req_..." or "sync_..."), oldest first; of more than limit
 * the last ones. */
pst_code pst_calls_of(struct pst_db_conn *conn, pst_str id, size_t limit, struct pst_arena *arena,
                      struct pst_call_row **out, size_t *count, struct pst_err *err);
/* The newest ones of a connection, newest first, not after `until` (none = now). They are looked
 * for among the 10,000 that ended until then. */
pst_code pst_calls_of_connection(struct pst_db_conn *conn, int64_t connection_pk, pst_wall until,
                                 size_t limit, struct pst_arena *arena, struct pst_call_row **out,
                                 size_t *count, struct pst_err *err);

/* The origin as calls have it. */
static inline pst_str pst_call_origin(pst_str origin)
{
    return pst_str_sub(origin, 0, sizeof((struct pst_call_row){0}.origin) - 1);
}

/* How the connections of a window of time were last seen: whose origin is away since then or
 * before, and of the others the newest call that says something, newest first. No more than 20,000
 * outages and 20,000 calls are looked at. */
struct pst_seen_connection {
    int64_t connection_pk, organization_pk;
    bool is_same_connector; /* as of the connection that is asked about */
    bool is_same_host; /* as of the origin that is asked about, on whatever port */
    enum pst_call_class class; /* UNREACHABLE: also of an outage without a call */
    uint64_t host_hash;
};
pst_code pst_calls_seen(struct pst_db_conn *conn, int64_t connection_pk, pst_str origin,
                        pst_wall from, pst_wall to, struct pst_arena *arena,
                        struct pst_seen_connection **out, size_t *count, struct pst_err *err);

/* The cause of the newest call in that time that did not reach the origin; "" = there is none. */
pst_code pst_calls_cause(struct pst_db_conn *conn, pst_str origin, pst_wall from, pst_wall to,
                         char *out, size_t size, struct pst_err *err);

/* The connection and its connector, and whether it has ever been online; *pk 0: there is none. */
pst_code pst_calls_owner(struct pst_db_conn *conn, pst_str connection_id, int64_t *pk,
                         char *connector, size_t size, bool *has_worked, struct pst_err *err);
/* Whether it is there and not switched off. */
pst_code pst_calls_is_active(struct pst_db_conn *conn, int64_t connection_pk, bool *out,
                             struct pst_err *err);
/* The organizations of those connections, each once; or all there are. In order of their keys. */
pst_code pst_calls_organizations(struct pst_db_conn *conn, const int64_t *connections, size_t n,
                                 bool all, struct pst_arena *arena, int64_t **out, size_t *count,
                                 struct pst_err *err);

/* One bounded batch: rows before `before`, and what is beyond max_rows of either table. */
pst_code pst_requests_retain(struct pst_db_conn *conn, pst_wall before, int64_t max_rows,
                             size_t limit, bool *left, struct pst_err *err);

#endif
