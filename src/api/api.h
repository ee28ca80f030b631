/* api/api.h: the REST API: routes as data, authentication, problem documents, OpenAPI.
 *
 * One table (api/routes.c) describes every operation: path, who may call it, where it runs,
 * parameters, bodies, errors, words. The router, the checks before a handler, OpenAPI 3.1
 * (/v1/openapi.json) and the reference (/docs) all come from it.
 *
 * Where operations run: LOOP ones on the event loop, with the loop's own read connection; WORK
 * ones on a pool, straight-line code that may wait for a commit; CALL ones on the pool for calls
 * to connected systems. The request is suspended meanwhile (server/server.h).
 *
 * Built in two steps, since server and api need each other: pst_api_new, then pst_server_new
 * with pst_api_router and the callbacks below (self = the api), then pst_api_set_server.
 *
 * Thread-safety: as said at each function; everything else before threads start.
 */
#ifndef PST_API_API_H
#define PST_API_API_H

#include "connector/connector.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "health/health.h"
#include "http/http.h"
#include "server/server.h"
#include "sync/sync.h"
#include "webhook/webhook.h"

struct pst_api;

/* A pool of threads: run fn(arg, worker) on one of them, worker being that thread's index for
 * pst_sync_systems.open. false when there is no room: fn will not be called. Never waits. */
typedef bool pst_api_submit_fn(void *self, void (*fn)(void *arg, unsigned worker), void *arg);

/* Where finished requests go, and what is known of those that are not stored yet. Any loop; none of
 * these waits for the store. */
struct pst_request_row; /* store/requests.h */
struct pst_call_row;
struct pst_api_journal_stats {
    uint64_t logged, unlogged, dropped; /* unlogged: left out on purpose; dropped: no room */
};
struct pst_api_journal {
    void (*request)(void *self, unsigned loop, bool is_routine, const struct pst_request_row *row);
    bool (*find)(void *self, pst_str id, struct pst_request_row *out);
    size_t (*calls)(void *self, pst_str id, struct pst_call_row *out, size_t max);
    void (*stats)(void *self, struct pst_api_journal_stats *out);
    void *self;
};

/* What probes offline connections; any thread. */
struct pst_api_prober {
    /* Milliseconds until the next one, -1 = not known. */
    int64_t (*in_ms)(void *self, int64_t connection_pk);
    /* Its user changed the health of a connection, or deleted it (NULL). */
    void (*changed)(void *self, int64_t connection_pk, pst_str connection_id,
                    const struct pst_health *health);
    void *self;
};

struct pst_api_options {
    struct pst_db *db;
    const struct pst_key *root; /* seals credentials */
    const struct pst_connectors *connectors;
    struct pst_sync_engine *sync;
    struct pst_sync_systems systems; /* for tests of connections, on the call pool */
    pst_api_submit_fn *work; /* the pool for WORK operations */
    void *work_self;
    pst_api_submit_fn *look; /* the pool for LOOK operations */
    void *look_self;
    unsigned lookers; /* threads of it, counted from 0: as many read connections are made */
    pst_api_submit_fn *call; /* the pool for CALL operations */
    void *call_self;
    struct pst_id (*new_id)(const char *prefix); /* os/rand.h's pst_rand_id */
    unsigned loops; /* of the server: as many read connections are made */
    uint32_t operator_uid; /* who is the operator when coming through the local socket */
    bool dev; /* schedules from 1 s; webhooks over http */
    bool webhook_http; /* webhooks over http */
    /* Whether webhooks may be delivered to an address (the public zone); NULL allows all. */
    bool (*hook_allows)(void *self, const struct pst_address *address, const char **why);
    void *hook_allows_self;
    const struct pst_hooks *hooks; /* for their numbers in /metrics; NULL = none */
    pst_mono (*mono)(void); /* os/clock.h's pst_mono_now; NULL stands still (tests) */
    struct pst_api_prober prober; /* all NULL: nothing is probed */
    int64_t request_ms; /* a WORK or LOOK operation is answered 503 after this; 0 = 30,000 */
    int64_t call_ms; /* the same for CALL; 0 = 120,000 */
    struct pst_api_journal journal; /* all NULL: nothing is logged */
    const struct pst_route *more_routes; /* of others (the status page); their self is their own */
    size_t more_route_count;
};

/* What options point to outlives the api. Errors: NO_MEMORY, IO (read connections), INVALID. */
pst_code pst_api_new(struct pst_api **out, const struct pst_api_options *options,
                     struct pst_err *err);
void pst_api_free(struct pst_api *api); /* after the server; NULL is a no-op */
PST_DEFINE_AUTO(api, struct pst_api, pst_api_free);

const struct pst_router *pst_api_router(const struct pst_api *api);
extern const char pst_api_common_headers[]; /* struct pst_server_options.common_headers */
void pst_api_set_server(struct pst_api *api, struct pst_server *server);

/* Requests a minute, each 0 (no limit) to 10,000,000; at first none is limited. Any thread. */
struct pst_api_limits {
    int64_t key; /* of one API key or connection token */
    int64_t connection; /* for one connection */
    int64_t failures; /* with a wrong key, from one address */
};
void pst_api_set_limits(struct pst_api *api, const struct pst_api_limits *limits);

/* How the process is confined, for GET /v1/server; texts are borrowed. Before threads start. */
struct pst_api_sandbox {
    pst_str mode; /* the option */
    bool no_new_privileges;
    bool system_calls;
    int landlock; /* version in force, 0 = none */
    const char *missing; /* in words; "" = nothing */
};
void pst_api_set_sandbox(struct pst_api *api, const struct pst_api_sandbox *sandbox);

/* struct pst_server_options.on_error and .on_finished; self is the struct pst_api. */
void pst_api_on_error(void *self, const struct pst_request *req, const struct pst_id *request_id,
                      const struct pst_err *err, struct pst_response *res);
void pst_api_on_finished(void *self, const struct pst_request *req, const struct pst_id *request_id,
                         const struct pst_server_outcome *outcome);

/* struct pst_db_options.on_commit has to call this (any topic): wakes long-polls. Any thread;
 * never waits. */
void pst_api_on_commit(struct pst_api *api, int64_t topic);

/* A stop has begun: /readyz says so. Any thread. */
void pst_api_stopping(struct pst_api *api);

/* The OpenAPI description, for `penstock` without a server and for docs. */
void pst_api_openapi(struct pst_buf *out);

#endif
