/* api/internal.h: what the files of api share: the description of an operation, and one call.
 *
 * Not for other modules.
 */
#ifndef PST_API_INTERNAL_H
#define PST_API_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "account/account.h"
#include "api/api.h"
#include "api/rate.h"
#include "codec/json.h"
#include "codec/tz.h"
#include "codec/zip.h"
#include "event/event.h"
#include "health/health.h"
#include "http/http.h"
#include "store/endpoints.h"
#include "store/incidents.h"
#include "store/records.h"
#include "store/rejected.h"
#include "store/requests.h"
#include "store/store.h"
#include "store/streams.h"

/* ---- operations as data ---- */

enum pst_api_class {
    PST_RUN_LOOP, /* on the event loop, never waits; reads little */
    PST_RUN_WORK, /* on the work pool; may wait for pst_db_write */
    PST_RUN_LOOK, /* on a pool with readers of its own; reads much, and waits for no writer */
    PST_RUN_CALL, /* on the pool for calls to connected systems */
};

enum pst_api_flags {
    PST_OP_PUBLIC = 1U << 0, /* no authentication */
    PST_OP_UNHURRIED = 1U << 12, /* CALL, WORK: takes as long as it takes */
    PST_OP_OPERATOR = 1U << 1, /* the operator only, through the local socket */
    PST_OP_TOKEN = 1U << 2, /* connection tokens may, for their own connection */
    PST_OP_SHORT = 1U << 3, /* also without "/connections/{connection_id}", for tokens */
    PST_OP_CONNECTION = 1U << 4, /* call->connection is loaded before */
    PST_OP_DELETED = 1U << 5, /* also a deleted connection */
    PST_OP_ENTITY = 1U << 6, /* call->entity is resolved; OpenAPI has it once per entity */
    PST_OP_FILTERS = 1U << 7, /* takes the entity's filters as parameters */
    PST_OP_BODY = 1U << 8, /* takes a JSON object */
    PST_OP_BODY_OPTIONAL = 1U << 9, /* the body may be left out */
    PST_OP_ORGANIZATION = 1U << 10, /* the operator has to say which organization */
    PST_OP_WEBHOOK = 1U << 13, /* call->webhook is loaded before; of call->connection, where there
                                  is one, or applying to it */
    PST_OP_SYNC = 1U << 15, /* call->connection is the one that has the sync of the path */
    PST_OP_LIVE = 1U << 14, /* 503 while the system is away, unless the caller takes a stale copy */
    PST_OP_BRIEF = 1U << 11, /* of call->connection and call->access no text is needed: they may
                                come from what the loop remembers */
};

enum pst_param_type {
    PST_PARAM_STRING, /* min/max: length in bytes */
    PST_PARAM_INTEGER,
    PST_PARAM_BOOLEAN, /* true, false */
    PST_PARAM_ENUM, /* one of `choices` */
    PST_PARAM_TIME, /* RFC 3339 */
    PST_PARAM_LIST, /* names separated by commas */
};

struct pst_api_param {
    const char *name; /* NULL ends the list */
    enum pst_param_type type;
    int64_t min, max;
    const char *fallback; /* the default as text, or NULL */
    const char *choices; /* ENUM: "exclude|include|only" */
    const char *description;
    const char *example; /* text, or NULL */
};

struct pst_api_call;
typedef pst_code pst_api_fn(struct pst_api_call *call, struct pst_err *err);
/* Writes the answer to what was asked; *got false: it is empty, and waiting makes sense. */
typedef pst_code pst_api_look_fn(struct pst_api_call *call, bool *got, struct pst_err *err);

enum { PST_OP_ERRORS = 6 };

struct pst_api_op {
    enum pst_method method;
    const char *path;
    pst_api_fn *run;
    enum pst_api_class where;
    enum pst_role role; /* the lowest that may */
    unsigned flags;
    const struct pst_api_param *params; /* of the query; NULL = none */
    const char *body; /* schema of the request's body, or NULL */
    int status; /* of success */
    const char *answer; /* schema of the answer, or NULL; "@entity", "@entity[]" for records */
    pst_code errors[PST_OP_ERRORS]; /* beyond those that every operation has; 0 ends */
    const char *tag;
    const char *id; /* operationId */
    const char *summary;
    const char *description; /* or NULL */
    const char *example; /* JSON of a request body, or NULL */
};

extern const struct pst_api_op pst_api_ops[];
extern const size_t pst_api_op_count;

/* JSON Schemas of everything but the model's records: name and JSON text; NULL name ends. */
struct pst_api_schema {
    const char *name;
    const char *json;
};
extern const struct pst_api_schema pst_api_schemas[];

/* ---- the api ---- */

/* One operation of one running server, and what it counted. */
struct pst_api_bound {
    struct pst_api *api;
    const struct pst_api_op *op;
    _Atomic uint64_t answers[6]; /* by first digit of the status; 0: the client went away */
    _Atomic uint64_t duration_us;
};

struct pst_api_waiter {
    int64_t topic; /* of struct pst_db_options.on_commit */
    struct pst_ticket ticket;
};

/* What a loop has read and need not read again until the next commit (pst_db_commits): keys that
 * were presented, connections that were asked for. Without texts, which live in a request. */
enum { PST_API_SEEN = 64 };
struct pst_api_seen {
    struct {
        uint64_t commits; /* the entry holds while this is the store's number */
        bool filled;
        uint8_t digest[PST_BLAKE2B_BYTES]; /* of what was presented */
        enum pst_token_kind kind;
        struct pst_access access;
    } accesses[PST_API_SEEN];
    struct {
        uint64_t commits;
        bool filled;
        int64_t organization_pk; /* that was asked for */
        struct pst_connection connection;
    } connections[PST_API_SEEN];
};

/* What belongs to one loop's thread. */
struct pst_api_loop {
    struct pst_db_conn *reader;
    struct pst_zip *zip;
    struct pst_arena *scratch; /* of one record, or one page of events */
    struct pst_api_seen *seen;
    struct {
        int64_t id;
        struct pst_zip_dict *dict;
    } dicts[16]; /* the most recently used first */
    struct {
        int64_t pk;
        int64_t minute;
    } touched[64]; /* keys whose use was noted in that minute */
};

/* limit.c: what is limited. What may be known of a request grows from the last to the first. */
enum pst_api_limit {
    PST_API_LIMIT_KEY, /* requests of an API key or connection token */
    PST_API_LIMIT_CONNECTION, /* requests for a connection, whoever asks */
    PST_API_LIMIT_ADDRESS, /* failed authentications of an address */
    PST_API_LIMITS
};

struct pst_api {
    struct pst_api_options options;
    struct pst_server *server;
    struct pst_router *router;
    struct pst_route *routes;
    struct pst_api_bound *bound;
    size_t route_count;
    struct pst_api_loop *loops;
    struct pst_db_conn **lookers; /* the reader of each thread of the pool for LOOK */
    pst_wall started;
    struct pst_api_sandbox sandbox;
    atomic_bool stopping;
    struct {
        struct pst_rates *rates;
        _Atomic int64_t quota; /* a minute; 0 = none */
        _Atomic uint64_t refused;
    } limits[PST_API_LIMITS];
    _Atomic int64_t unrouted; /* answers to requests that matched no operation */
    struct pst_buf openapi; /* made once */
    struct pst_tz *utc; /* for mappings that are only looked at */

    pthread_mutex_t wait_lock; /* guards waiters */
    struct {
        struct pst_api_waiter *items;
        size_t len, cap;
    } waiters;
};

/* ---- one call ---- */

enum pst_caller { PST_CALLER_NOBODY, PST_CALLER_OPERATOR, PST_CALLER_KEY, PST_CALLER_TOKEN };

struct pst_api_call {
    struct pst_api *api;
    const struct pst_api_op *op;
    struct pst_request *req;
    struct pst_response *res;
    struct pst_arena *arena; /* the request's */
    pst_wall now;

    enum pst_caller caller;
    enum pst_role role;
    int64_t organization_pk; /* 0: the operator, who named none */
    struct pst_id organization_id;
    struct pst_access access; /* KEY and TOKEN; without its texts */
    pst_str actor; /* "key_..." or "operator", for the audit log */

    struct pst_rate rates[PST_API_LIMIT_ADDRESS]; /* what the key and the connection have left */
    struct pst_connection connection; /* PST_OP_CONNECTION */
    struct pst_endpoint webhook; /* PST_OP_WEBHOOK */
    const struct pst_entity *entity; /* PST_OP_ENTITY */
    struct pst_query_item *items; /* of the query, checked */
    size_t item_count;
    yyjson_val *body; /* PST_OP_BODY: an object, else NULL */

    struct pst_db_conn *reader; /* LOOP and WORK: of the thread that runs it */
    unsigned worker; /* WORK and CALL: index of the thread */
    pst_code code; /* WORK and CALL: the result */
    struct pst_err err;
    struct pst_ticket ticket;
    struct { /* long-poll */
        int64_t topic;
        pst_mono until;
        pst_api_look_fn *look;
    } wait;
    int64_t after_pk; /* events: where a follower is */

    const struct pst_trace *trace; /* the caller's, or NULL */
    struct pst_id sync_id; /* that a success is about, where the path does not say so */
    pst_code failure; /* of the answer; written by the loop alone, as is the text */
    char failure_text[256];
    pst_code finding; /* that a success tells of: a test that failed. Its text lives in the arena */
    pst_str finding_text;
};

/* dispatch.c: struct pst_route.handler; self is a struct pst_api_bound */
pst_handler_fn pst_api_dispatch;

/* journal.c: the log of requests */
void pst_api_read_trace(struct pst_api_call *call);
void pst_api_note_failure(struct pst_api_call *call, const struct pst_err *err);
void pst_api_log_request(struct pst_api *api, const struct pst_request *req,
                         const struct pst_id *request_id, const struct pst_server_outcome *outcome);
void pst_api_trace_id(char out[PST_TRACE_TEXT], const struct pst_api_call *call,
                      const struct pst_id *request_id);

/* auth.c: fills caller .. actor; checks role and flags. Loop. */
pst_code pst_api_authenticate(struct pst_api_call *call, struct pst_err *err);
void pst_api_touch(struct pst_api_call *call); /* note when a key was last used */

/* limit.c: one request more of the caller's key (before anything is done for it), for its
 * connection, or with a key that is none (call failed with UNAUTHENTICATED, which err has: returned
 * unless there were too many). Nothing for the operator. Loop. Errors: RATE_LIMIT; param is the
 * policy. */
pst_code pst_api_limit_key(struct pst_api_call *call, struct pst_err *err);
pst_code pst_api_limit_connection(struct pst_api_call *call, struct pst_err *err);
pst_code pst_api_limit_failure(struct pst_api_call *call, struct pst_err *err);
/* RateLimit-Policy and RateLimit of what was counted for the call. */
void pst_api_put_limits(const struct pst_api_call *call, struct pst_response *res);
/* What the address counts as, never 0: an IPv4 address by itself; of an IPv6 one the network (/64),
 * since whoever has one address of it has them all. */
uint64_t pst_api_address_key(const struct pst_address *a);
const char *pst_api_limit_name(enum pst_api_limit limit); /* "key": the policy */
pst_code pst_api_limits_init(struct pst_api *api, struct pst_err *err);
void pst_api_limits_fini(struct pst_api *api);

/* seen.c: fill call->access, and the token's kind, from what the loop remembers; false: it does
 * not. digest: of the presented token. */
bool pst_api_recall_access(struct pst_api_call *call, const uint8_t digest[PST_BLAKE2B_BYTES],
                           enum pst_token_kind *kind);
/* commits: pst_db_commits() before call->access was read. */
void pst_api_remember_access(const struct pst_api_call *call,
                             const uint8_t digest[PST_BLAKE2B_BYTES], enum pst_token_kind kind,
                             uint64_t commits);
/* The same for call->connection, by its id within call->organization_pk (0 = any). */
bool pst_api_recall_connection(struct pst_api_call *call, pst_str id);
void pst_api_remember_connection(const struct pst_api_call *call, uint64_t commits);

/* query.c: parameters by the operation's table */
pst_code pst_api_check_query(struct pst_api_call *call, struct pst_err *err);
/* The value given, else the default, else {NULL, 0}. */
pst_str pst_api_query(const struct pst_api_call *call, const char *name);
int64_t pst_api_query_i64(const struct pst_api_call *call, const char *name);
bool pst_api_query_bool(const struct pst_api_call *call, const char *name);
pst_wall pst_api_query_wall(const struct pst_api_call *call, const char *name); /* none: absent */
/* The pk of the connection that the parameter connection_id names, deleted ones included; fallback
 * where it is not given. Loop. Errors: NOT_FOUND. */
pst_code pst_api_query_connection(const struct pst_api_call *call, int64_t fallback, int64_t *pk,
                                  struct pst_err *err);
/* The filter that a parameter's name means: field, field_after, field_before. NULL: none. */
const struct pst_filter *pst_api_filter(const struct pst_entity *entity, pst_str name, int *match);

/* Opaque cursors of lists that are walked by pk; bound to path and parameters.
 * Errors of read: INVALID (param "cursor"). 0 when none was given. */
pst_code pst_api_cursor_read(const struct pst_api_call *call, int64_t *pk, struct pst_err *err);
void pst_api_cursor_write(const struct pst_api_call *call, struct pst_json_writer *w, bool more,
                          int64_t pk); /* member "next_cursor" */

/* answer.c */
void pst_api_json(struct pst_api_call *call, int status); /* status and Content-Type */
void pst_api_begin(struct pst_api_call *call, struct pst_json_writer *w); /* 200 or op->status */
pst_code pst_api_audit(struct pst_db_conn *conn, const struct pst_api_call *call,
                       const char *action, pst_str object, pst_str detail, struct pst_err *err);
void pst_api_put_sync(struct pst_json_writer *w, const struct pst_api_call *call,
                      const struct pst_sync *sync, const struct pst_sync_progress *progress);
/* health: of a connection that is offline, else not looked at. */
void pst_api_put_connection(struct pst_json_writer *w, const struct pst_api_call *call,
                            const struct pst_connection *c, const struct pst_health *health,
                            bool syncing);
/* When its schedule runs it next; none while nothing may run. */
pst_wall pst_api_next_run_at(const struct pst_api_call *call, const struct pst_connection *c);
void pst_api_put_schedule(struct pst_json_writer *w, pst_str schedule); /* "schedule" */

/* Which of the connector's entities a connection reads; in the order of the manifest. Errors:
 * NO_MEMORY; UNSUPPORTED (a connector this build does not have). */
struct pst_api_streams {
    const struct pst_stream **items;
    size_t count;
};
pst_code pst_api_streams_of(const struct pst_api_call *call, const struct pst_connection *c,
                            struct pst_api_streams *out, struct pst_err *err);
/* The same, narrowed to a JSON array of names (NULL, null or [] = all). Errors: INVALID (param
 * "entities"). */
pst_code pst_api_streams_pick(const struct pst_api_call *call, yyjson_val *names,
                              struct pst_api_streams *streams, struct pst_err *err);

/* credits.c: inside the writer job that creates, changes or deletes the connection */
struct pst_api_credits {
    int64_t due; /* what the connection takes with this config */
    bool is_short; /* there are not as many */
    pst_str reason; /* of the status then; in the arena */
};
/* For one that is to be created. */
pst_code pst_api_plan_credits(struct pst_db_conn *conn, const struct pst_api_call *call,
                              const struct pst_manifest *m, pst_str config,
                              struct pst_api_credits *out, struct pst_err *err);
/* c: as it was. config: as it will be. A connection that holds credits follows its config; one that
 * is switched on takes what it lacks. Errors: CREDITS. */
pst_code pst_api_adjust_credits(struct pst_db_conn *conn, const struct pst_api_call *call,
                                const struct pst_connection *c, const struct pst_manifest *m,
                                pst_str config, bool is_switched_on, struct pst_err *err);
pst_code pst_api_hold_credits(struct pst_db_conn *conn, const struct pst_api_call *call,
                              const struct pst_connection *c, int64_t credits, const char *reason,
                              struct pst_err *err);

/* connection_move.c: what a change of config means */
struct pst_api_move {
    bool moves; /* another scheme, host or port: stored credentials were not meant for it */
    bool rereads; /* other rows, or the same read otherwise: checkpoints hold no longer */
    bool rechooses; /* other rows */
};
pst_code pst_api_compare_config(const struct pst_api_call *call, const struct pst_manifest *m,
                                pst_str before, pst_str after, struct pst_api_move *out,
                                struct pst_err *err);
/* Inside a writer job: open runs are cancelled, the next sync reads everything. unguarded: as for
 * pst_streams_rewind. */
pst_code pst_api_rewind(struct pst_db_conn *conn, const struct pst_api_call *call,
                        int64_t connection_pk, bool unguarded, struct pst_err *err);

/* One time after the other as text: rows that lie together were mostly committed together. All zero
 * begins (no time is formatted as ""). */
struct pst_api_wall {
    pst_wall at;
    size_t len;
    char text[PST_WALL_TEXT];
};
/* t, which is not none, at p, where there is room for PST_WALL_TEXT; the place behind it. */
static inline char *pst_api_put_wall(struct pst_api_wall *memo, char *p, pst_wall t)
{
    if (memo->len == 0 || memo->at.us != t.us) {
        memo->len = pst_wall_format(memo->text, t);
        memo->at = t;
    }
    memcpy(p, memo->text, memo->len);
    return p + memo->len;
}

/* record_write.c */
struct pst_api_shape {
    struct pst_api_call *call;
    const pst_str *fields; /* NULL: the whole record */
    size_t field_count;
    unsigned members; /* of the envelope, bit per member in its order */
    struct pst_api_wall walls[4];
    bool with_source;
    bool is_first;
};
pst_code pst_api_shape_init(struct pst_api_shape *s, struct pst_api_call *call,
                            struct pst_err *err);
/* Append one record as JSON to the answer's body (behind a comma, unless it is the first).
 * Errors: LIMIT when the page is full, which then is as it was before; NO_MEMORY. */
pst_code pst_api_write_record(void *shape, const struct pst_record_row *row, struct pst_err *err);

/* waiters.c: answer with `look`, at the latest after wait_s; when it finds nothing it is asked
 * again after each commit with the topic. Loop. */
pst_code pst_api_look_or_wait(struct pst_api_call *call, int64_t topic, int64_t wait_s,
                              pst_api_look_fn *look, struct pst_err *err);

/* events.c, openapi_events.c */
void pst_api_put_sample(struct pst_json_writer *w, const struct pst_event_type *type); /* a body */
void pst_api_put_event_docs(struct pst_json_writer *w); /* OpenAPI's "webhooks" */

/* diagnosis.c: member "diagnosis" of a request with its calls */
pst_code pst_api_put_diagnosis(struct pst_json_writer *w, struct pst_api_call *call,
                               const struct pst_request_row *row, const struct pst_call_row *calls,
                               size_t count, struct pst_err *err);
/* requests.c */
/* As the member "calls". */
void pst_api_put_calls(struct pst_json_writer *w, const struct pst_call_row *calls, size_t count);
/* Of a request or a sync, oldest first; those that are not stored yet, too. */
pst_code pst_api_find_calls(struct pst_api_call *call, pst_str id, struct pst_call_row **out,
                            size_t *count, struct pst_err *err);
/* Of a connection: those that began until then, the newest 200 of them stored and the newest 200
 * not stored yet, newest first. What it does later is not looked at. */
pst_code pst_api_find_calls_until(struct pst_api_call *call,
                                  const struct pst_connection *connection, pst_wall until,
                                  struct pst_call_row **out, size_t *count, struct pst_err *err);

/* outage.c */
struct pst_health_time pst_api_health_time(const struct pst_api_call *call);
pst_code pst_api_load_health(struct pst_db_conn *conn, const struct pst_api_call *call,
                             const struct pst_connection *c, struct pst_health *out,
                             struct pst_err *err);
void pst_api_put_outage(struct pst_json_writer *w, const struct pst_api_call *call,
                        const struct pst_connection *c, const struct pst_health *health);
/* For PST_OP_LIVE, on the loop. PST_OK: the system is there, or the stored copy may be given, whose
 * headers are set. Errors: UNREACHABLE, with retry_after_s. */
pst_code pst_api_meet_outage(struct pst_api_call *call, struct pst_err *err);

/* problem.c */
void pst_api_write_problem(struct pst_buf *out, const struct pst_err *err,
                           const struct pst_id *request_id, pst_str connection_id);

/* The operations' functions, by file. */
pst_api_fn pst_api_list_records, pst_api_get_record; /* records.c */
pst_api_fn pst_api_list_changes; /* changes.c */
pst_api_fn pst_api_list_connections, pst_api_get_connection, pst_api_list_history,
    pst_api_list_connectors; /* connections.c */
pst_api_fn pst_api_create_connection, pst_api_update_connection,
    pst_api_delete_connection; /* connection_edit.c */
pst_api_fn pst_api_test_connection; /* test.c */
pst_api_fn pst_api_list_syncs, pst_api_get_sync, pst_api_create_sync,
    pst_api_cancel_sync; /* syncs.c */
pst_api_fn pst_api_sync_status, pst_api_list_entities, pst_api_list_rejected; /* status.c */
pst_api_fn pst_api_list_organizations, pst_api_create_organization, pst_api_get_organization,
    pst_api_update_organization; /* organizations.c */
pst_api_fn pst_api_get_credits, pst_api_list_credit_entries; /* credits.c */
pst_api_fn pst_api_list_keys, pst_api_create_key, pst_api_revoke_key, pst_api_list_tokens,
    pst_api_create_token, pst_api_revoke_token, pst_api_list_audit; /* keys.c */
pst_api_fn pst_api_list_webhooks, pst_api_list_connection_webhooks,
    pst_api_get_webhook; /* webhooks.c */
pst_api_fn pst_api_create_webhook, pst_api_update_webhook, pst_api_delete_webhook,
    pst_api_rotate_webhook_secret; /* webhook_edit.c */
pst_api_fn pst_api_list_deliveries, pst_api_get_delivery, pst_api_resend_delivery,
    pst_api_resend_range, pst_api_test_webhook; /* deliveries.c */
pst_api_fn pst_api_list_events, pst_api_get_event, pst_api_list_event_types; /* events.c */
pst_api_fn pst_api_create_backup; /* backup.c */
pst_api_fn pst_api_list_requests, pst_api_get_request; /* requests.c */
pst_api_fn pst_api_diagnose_connection, pst_api_diagnose_sync; /* diagnosis.c */
pst_api_fn pst_api_list_incidents, pst_api_get_incident, pst_api_create_incident,
    pst_api_update_incident, pst_api_add_incident_update; /* incidents.c */
pst_api_fn pst_api_get_server; /* health.c */
pst_api_fn pst_api_healthz, pst_api_readyz, pst_api_metrics; /* health.c */
pst_api_fn pst_api_get_openapi; /* openapi.c */
pst_api_fn pst_api_get_docs, pst_api_get_error_page; /* docs.c */

#endif
