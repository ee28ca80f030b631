/* api/routes.c: every operation of the API, declared once.
 *
 * Adding one: a row here, its function in a file by resource, its schemas in schemas.c. Router,
 * authentication, parameter checks, OpenAPI, /docs and the metrics follow from the row.
 */
#include "api/internal.h"

#define LIMIT_PARAM(max_value, fallback_value)                                                     \
    {.name = "limit",                                                                              \
     .type = PST_PARAM_INTEGER,                                                                    \
     .min = 1,                                                                                     \
     .max = (max_value),                                                                           \
     .fallback = (fallback_value),                                                                 \
     .description = "How many at most."}
#define CURSOR_PARAM                                                                               \
    {.name = "cursor",                                                                             \
     .type = PST_PARAM_STRING,                                                                     \
     .max = 200,                                                                                   \
     .description = "`next_cursor` of the page before; only with the same parameters."}
#define TIME_PARAM(param, text)                                                                    \
    {.name = (param),                                                                              \
     .type = PST_PARAM_TIME,                                                                       \
     .description = (text),                                                                        \
     .example = "2026-11-24T06:30:00Z"}
#define FIELDS_PARAM                                                                               \
    {.name = "fields",                                                                             \
     .type = PST_PARAM_LIST,                                                                       \
     .max = 2000,                                                                                  \
     .description = "Only these fields (and `id`), separated by commas; all others are left out.", \
     .example = "number,status,total_amount"}
#define INCLUDE_PARAM                                                                              \
    {.name = "include",                                                                            \
     .type = PST_PARAM_ENUM,                                                                       \
     .choices = "source",                                                                          \
     .description = "`source` adds the untouched source rows."}

static const struct pst_api_param list_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {0},
};

static const struct pst_api_param record_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "sort",
     .type = PST_PARAM_ENUM,
     .choices = "updated_at|-updated_at",
     .description = "Without it, in order of first appearance, whatever the filters: a whole walk "
                    "misses and repeats nothing that matches throughout. `updated_at` may repeat "
                    "records that change "
                    "meanwhile, `-updated_at` may miss some. To follow changes, use `changes`."},
    {.name = "deleted",
     .type = PST_PARAM_ENUM,
     .fallback = "exclude",
     .choices = "exclude|include|only",
     .description = "Whether deleted records are listed."},
    TIME_PARAM("updated_after", "`updated_at` at or after this time."),
    TIME_PARAM("updated_before", "`updated_at` before this time."),
    TIME_PARAM("created_after", "`created_at` at or after this time."),
    TIME_PARAM("created_before", "`created_at` before this time."),
    TIME_PARAM("synced_after", "`synced_at` at or after this time."),
    TIME_PARAM("synced_before", "`synced_at` before this time."),
    FIELDS_PARAM,
    INCLUDE_PARAM,
    {0},
};

static const struct pst_api_param one_record_params[] = {FIELDS_PARAM, INCLUDE_PARAM, {0}};

static const struct pst_api_param change_params[] = {
    {.name = "after",
     .type = PST_PARAM_INTEGER,
     .min = 0,
     .max = INT64_MAX,
     .fallback = "0",
     .description = "Changes with a greater `seq`: what the reader has seen so far."},
    {.name = "entities",
     .type = PST_PARAM_LIST,
     .max = 2000,
     .description = "Only of these entities, separated by commas.",
     .example = "purchase_orders,suppliers"},
    LIMIT_PARAM(500, "100"),
    {.name = "wait",
     .type = PST_PARAM_INTEGER,
     .min = 0,
     .max = 60,
     .fallback = "0",
     .description =
         "Seconds to wait for a change when there is none (long-poll). A page may be empty "
         "before that, with `next_after` moved on, when 10,000 changes of other "
         "entities were passed over."},
    {0},
};

static const struct pst_api_param sync_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "status",
     .type = PST_PARAM_LIST,
     .max = 200,
     .description = "Only with one of these statuses, separated by commas.",
     .example = "queued,running"},
    {0},
};

static const struct pst_api_param rejected_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "entity",
     .type = PST_PARAM_STRING,
     .max = 100,
     .description = "Only of this entity.",
     .example = "purchase_orders"},
    {0},
};

#define CONNECTION_PARAM(text)                                                                     \
    {.name = "connection_id",                                                                      \
     .type = PST_PARAM_STRING,                                                                     \
     .max = 40,                                                                                    \
     .description = (text),                                                                        \
     .example = "conn_01m85gjr84fn2tvxyf0ejj4x3j"}
#define TYPES_PARAM(param)                                                                         \
    {.name = (param),                                                                              \
     .type = PST_PARAM_LIST,                                                                       \
     .max = 2000,                                                                                  \
     .description =                                                                                \
         "Only of these types, separated by commas; `connection.*` takes all that begin so.",      \
     .example = "sync.completed,sync.failed"}

static const struct pst_api_param webhook_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    CONNECTION_PARAM("Only what applies to this connection: its own and the organization-wide "
                     "ones."),
    {0},
};

static const struct pst_api_param delivery_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "status",
     .type = PST_PARAM_LIST,
     .max = 200,
     .description = "Only with one of these statuses, separated by commas.",
     .example = "failed,held"},
    TYPES_PARAM("type"),
    CONNECTION_PARAM("Only of events of this connection."),
    TIME_PARAM("since", "Queued at or after this time."),
    TIME_PARAM("until", "Queued before this time."),
    {0},
};

static const struct pst_api_param event_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "after",
     .type = PST_PARAM_STRING,
     .max = 40,
     .description = "Oldest first, and only what came after this event: `next_after` of the page "
                    "before. `newest`: after the newest there is now. `oldest`: from the oldest "
                    "that is kept.",
     .example = "evt_01m85gjr84fn2tvxyf0ejj4x3j"},
    {.name = "wait",
     .type = PST_PARAM_INTEGER,
     .min = 0,
     .max = 60,
     .fallback = "0",
     .description = "With `after`: seconds to wait for an event when there is none (long-poll)."},
    CONNECTION_PARAM("Only of this connection."),
    TYPES_PARAM("types"),
    TIME_PARAM("since", "`timestamp` at or after this time."),
    TIME_PARAM("until", "`timestamp` before this time."),
    {0},
};

static const struct pst_api_param delete_params[] = {
    {.name = "purge",
     .type = PST_PARAM_BOOLEAN,
     .fallback = "false",
     .description = "Remove the data, too. May also be asked of a connection already deleted."},
    {0},
};

static const struct pst_api_param request_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "connection_id",
     .type = PST_PARAM_STRING,
     .max = 40,
     .description = "Only about this connection."},
    {.name = "code",
     .type = PST_PARAM_STRING,
     .max = 60,
     .description = "Only with this error code.",
     .example = "SYSTEM_UNREACHABLE"},
    {.name = "status",
     .type = PST_PARAM_INTEGER,
     .min = 1,
     .max = 599,
     .description = "Only with this HTTP status; `4` and `5` stand for 400 to 499 and 500 to 599."},
    TIME_PARAM("since", "At or after this time."),
    TIME_PARAM("until", "Before this time."),
    {0},
};

static const struct pst_api_param incident_params[] = {
    LIMIT_PARAM(500, "100"),
    CURSOR_PARAM,
    {.name = "open",
     .type = PST_PARAM_BOOLEAN,
     .fallback = "false",
     .description = "Only those that are not over."},
    {0},
};

#define CONNECTION "/v1/connections/{connection_id}"

/* clang-format off */
const struct pst_api_op pst_api_ops[] = {
    /* ---- records ---- */
    {PST_METHOD_GET, CONNECTION "/{entities}", pst_api_list_records, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_ENTITY | PST_OP_FILTERS | PST_OP_TOKEN | PST_OP_SHORT | PST_OP_BRIEF |
         PST_OP_LIVE,
     record_params, NULL, 200, "@entity[]", {PST_E_NOT_FOUND, PST_E_UNREACHABLE}, "Records", "list", "List %s",
     "The unified records of the connection's copy, page by page. Every filterable field is a "
     "parameter: `field=value`; dates and times also `field_after` (inclusive) and "
     "`field_before` (exclusive). While the system is offline the answer is 503 "
     "`SYSTEM_UNREACHABLE`; with `Cache-Control: stale-if-error=SECONDS`, or the connection's "
     "`serve_stale`, it is the stored copy with `Penstock-Stale: true` and `Age`.", NULL},
    {PST_METHOD_GET, CONNECTION "/{entities}/{record_id}", pst_api_get_record, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_ENTITY | PST_OP_TOKEN | PST_OP_SHORT | PST_OP_BRIEF |
         PST_OP_LIVE,
     one_record_params, NULL, 200, "@entity", {PST_E_NOT_FOUND, PST_E_UNREACHABLE}, "Records", "get", "Get one of %s",
     "By `rec_...`, or by the key in the source: `source_id:US001|0000000123` (percent-encoded "
     "where it has to be). A deleted record is found, too; it has `deleted_at`.", NULL},
    {PST_METHOD_GET, CONNECTION "/changes", pst_api_list_changes, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT | PST_OP_BRIEF, change_params, NULL, 200, "ChangePage",
     {PST_E_NOT_FOUND, PST_E_EXPIRED}, "Records", "listChanges", "Follow the change feed",
     "Every created, updated and deleted record in the order of commit; `seq` is 1, 2, 3, ... "
     "without gaps. Go on with `after` = `next_after`. Kept for 30 days by default: below that "
     "the answer is 410 `CHANGES_EXPIRED` - list the records, then follow from `last_seq`. An "
     "`after` above `last_seq` is answered so, too: the feed gave no such number, or the store was "
     "put back to an older state.", NULL},

    /* ---- connections ---- */
    {PST_METHOD_GET, "/v1/connections", pst_api_list_connections, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_ORGANIZATION, list_params, NULL, 200, "ConnectionPage", {0}, "Connections",
     "listConnections", "List connections", NULL, NULL},
    {PST_METHOD_POST, "/v1/connections", pst_api_create_connection, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_ORGANIZATION | PST_OP_BODY, NULL, "NewConnection", 201,
     "Connection", {PST_E_INVALID}, "Connections", "createConnection", "Create a connection",
     "Its first full sync begins by itself. Credentials are sealed and never shown again.",
     "{\"name\":\"Acme\",\"connector\":\"peoplesoft\",\"config\":{\"base_url\":"
     "\"https://ps.example.com:8443\",\"time_zone\":\"America/New_York\"},\"credentials\":"
     "{\"username\":\"PSAPI\",\"password\":\"...\"},\"schedule\":\"15m\"}"},
    {PST_METHOD_GET, CONNECTION, pst_api_get_connection, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_TOKEN, NULL, NULL, 200, "Connection", {PST_E_NOT_FOUND},
     "Connections", "getConnection", "Get a connection", NULL, NULL},
    {PST_METHOD_PATCH, CONNECTION, pst_api_update_connection, PST_RUN_WORK, PST_ROLE_DEVELOPER,
     PST_OP_CONNECTION | PST_OP_BODY, NULL, "ConnectionPatch", 200, "Connection",
     {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_CONFLICT}, "Connections", "updateConnection",
     "Change a connection",
     "Only what is given changes; members of `config`, `credentials` and `metadata` one by one, "
     "null removes one. New credentials, and `enabled: true` after false, put the connection to "
     "`pending` and try it at once. A changed mapping holds for rows read from then on; a full "
     "sync applies it to the rest.", "{\"schedule\":{\"cron\":\"0 6 * * *\",\"time_zone\":"
     "\"Europe/Berlin\"}}"},
    {PST_METHOD_DELETE, CONNECTION, pst_api_delete_connection, PST_RUN_WORK, PST_ROLE_ADMIN,
     PST_OP_CONNECTION | PST_OP_DELETED, delete_params, NULL, 204, NULL, {PST_E_NOT_FOUND},
     "Connections", "deleteConnection", "Delete a connection",
     "Its tokens stop working and its credentials are erased at once; the data stays until it is "
     "purged.", NULL},
    {PST_METHOD_POST, CONNECTION "/test", pst_api_test_connection, PST_RUN_CALL,
     PST_ROLE_DEVELOPER, PST_OP_CONNECTION, NULL, NULL, 200, "Test",
     {PST_E_NOT_FOUND, PST_E_UNAVAILABLE}, "Connections", "testConnection", "Test a connection",
     "Checks address, credentials and permissions, and for every entity whether it can be read; "
     "each failed check says what to fix.", NULL},
    {PST_METHOD_GET, CONNECTION "/history", pst_api_list_history, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, list_params, NULL, 200, "HistoryPage",
     {PST_E_NOT_FOUND}, "Connections", "listHistory", "List changes of status",
     "Newest first.", NULL},
    {PST_METHOD_GET, CONNECTION "/entities", pst_api_list_entities, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, NULL, NULL, 200, "EntityPage",
     {PST_E_NOT_FOUND}, "Connections", "listEntities", "List entities",
     "Which entities this connection has: fields, filters, and the mapping in force.", NULL},
    {PST_METHOD_GET, CONNECTION "/rejected", pst_api_list_rejected, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, rejected_params, NULL, 200, "RejectedPage",
     {PST_E_NOT_FOUND}, "Connections", "listRejected", "List rejected rows",
     "Source rows that could not be mapped, with the reason. They leave the list when they map.",
     NULL},
    {PST_METHOD_GET, "/v1/connectors", pst_api_list_connectors, PST_RUN_LOOP, PST_ROLE_VIEWER, 0,
     NULL, NULL, 200, "ConnectorPage", {0}, "Connections", "listConnectors", "List connectors",
     "The kinds of systems there are, and what a connection to each is configured with.", NULL},

    /* ---- syncs ---- */
    {PST_METHOD_GET, CONNECTION "/syncs", pst_api_list_syncs, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, sync_params, NULL, 200, "SyncPage",
     {PST_E_NOT_FOUND}, "Syncs", "listSyncs", "List syncs", "Newest first.", NULL},
    {PST_METHOD_POST, CONNECTION "/syncs", pst_api_create_sync, PST_RUN_WORK, PST_ROLE_DEVELOPER,
     PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT | PST_OP_BODY | PST_OP_BODY_OPTIONAL, NULL,
     "NewSync", 202, "Sync", {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_SYNC_IN_PROGRESS,
     PST_E_INACTIVE, PST_E_REAUTH}, "Syncs", "createSync", "Start a sync",
     "The same logic as scheduled runs. When one of the entities is already being synced the "
     "request is refused whole: 409 `SYNC_IN_PROGRESS` with `sync_id`.",
     "{\"mode\":\"incremental\",\"entities\":[\"purchase_orders\"]}"},
    {PST_METHOD_GET, CONNECTION "/syncs/{sync_id}", pst_api_get_sync, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, NULL, NULL, 200, "Sync",
     {PST_E_NOT_FOUND}, "Syncs", "getSync", "Get a sync", NULL, NULL},
    {PST_METHOD_POST, CONNECTION "/syncs/{sync_id}/cancel", pst_api_cancel_sync, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, NULL, NULL, 200, "Sync",
     {PST_E_NOT_FOUND}, "Syncs", "cancelSync", "Cancel a sync",
     "What it has committed stays. A sync that has ended stays as it is.", NULL},
    {PST_METHOD_GET, CONNECTION "/sync-status", pst_api_sync_status, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, NULL, NULL, 200,
     "SyncStatus", {PST_E_NOT_FOUND}, "Syncs", "getSyncStatus", "Get the status of syncing",
     "Of the connection and of each entity: when it last succeeded, what is running, the last "
     "error.", NULL},

    /* ---- webhooks ---- */
    {PST_METHOD_GET, "/v1/webhooks", pst_api_list_webhooks, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_ORGANIZATION, webhook_params, NULL, 200, "WebhookPage", {PST_E_NOT_FOUND}, "Webhooks",
     "listWebhooks", "List webhooks", "In order of creation, those of connections included. A page "
     "holds 100 at most.", NULL},
    {PST_METHOD_POST, "/v1/webhooks", pst_api_create_webhook, PST_RUN_WORK, PST_ROLE_DEVELOPER,
     PST_OP_ORGANIZATION | PST_OP_BODY, NULL, "NewWebhook", 201, "WebhookWithSecret",
     {PST_E_INVALID, PST_E_CONFLICT, PST_E_EGRESS}, "Webhooks", "createWebhook", "Create a webhook",
     "For the whole organization: events of every connection, and those of none. The secret that "
     "signs is shown once, here.",
     "{\"url\":\"https://app.example.com/penstock\",\"events\":[\"sync.completed\","
     "\"records.changed\"],\"description\":\"orders to the shop\"}"},
    {PST_METHOD_GET, "/v1/webhooks/{webhook_id}", pst_api_get_webhook, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_WEBHOOK, NULL, NULL, 200, "Webhook", {PST_E_NOT_FOUND}, "Webhooks",
     "getWebhook", "Get a webhook", "With how much is `waiting`, counted up to 10,000.", NULL},
    {PST_METHOD_PATCH, "/v1/webhooks/{webhook_id}", pst_api_update_webhook, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_WEBHOOK | PST_OP_BODY, NULL, "WebhookPatch", 200, "Webhook",
     {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_CONFLICT, PST_E_EGRESS}, "Webhooks", "updateWebhook",
     "Change a webhook",
     "Only what is given changes; members of `headers` one by one, null removes one. `enabled: "
     "true` also switches on one that was disabled: what was held goes on.",
     "{\"enabled\":true,\"rate_limit\":50}"},
    {PST_METHOD_DELETE, "/v1/webhooks/{webhook_id}", pst_api_delete_webhook, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_WEBHOOK, NULL, NULL, 204, NULL, {PST_E_NOT_FOUND}, "Webhooks",
     "deleteWebhook", "Delete a webhook",
     "What waits for it is not sent any more; its secrets are erased.", NULL},
    {PST_METHOD_POST, "/v1/webhooks/{webhook_id}/rotate-secret", pst_api_rotate_webhook_secret,
     PST_RUN_WORK, PST_ROLE_DEVELOPER, PST_OP_WEBHOOK | PST_OP_BODY | PST_OP_BODY_OPTIONAL, NULL,
     "NewSecret", 200, "WebhookWithSecret", {PST_E_INVALID, PST_E_NOT_FOUND}, "Webhooks",
     "rotateWebhookSecret", "Change the secret of a webhook",
     "The new one signs at once and is shown once, here. Those before it sign, too, until "
     "`overlap` is over; at most 5 sign at a time.", "{\"overlap\":\"24h\"}"},
    {PST_METHOD_POST, "/v1/webhooks/{webhook_id}/test", pst_api_test_webhook, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_WEBHOOK | PST_OP_BODY | PST_OP_BODY_OPTIONAL, NULL, "NewTest", 202,
     "Delivery", {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_WEBHOOK_DISABLED}, "Webhooks",
     "testWebhook", "Send a sample to a webhook",
     "Of any type, signed like every other, with the header `penstock-sample: true`. It waits for "
     "nothing else and is tried once; look at the delivery for what came of it.",
     "{\"type\":\"sync.failed\"}"},
    {PST_METHOD_POST, "/v1/webhooks/{webhook_id}/resend", pst_api_resend_range, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_WEBHOOK | PST_OP_BODY | PST_OP_UNHURRIED, NULL, "Range", 202,
     "Queued", {PST_E_INVALID, PST_E_NOT_FOUND}, "Webhooks", "resendDeliveries",
     "Send events of a time again",
     "Those whose delivery failed; with `status: all` also what was delivered, and events that the "
     "webhook wants and never got. What waits already is left as it is.",
     "{\"since\":\"2026-11-24T06:00:00Z\",\"status\":\"failed\"}"},
    {PST_METHOD_GET, "/v1/webhooks/{webhook_id}/deliveries", pst_api_list_deliveries, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_WEBHOOK, delivery_params, NULL, 200, "DeliveryPage",
     {PST_E_NOT_FOUND}, "Webhooks", "listDeliveries", "List deliveries of a webhook",
     "Newest event first. A page may be short and have more behind it: what counts is "
     "`next_cursor`.", NULL},
    {PST_METHOD_GET, "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}", pst_api_get_delivery,
     PST_RUN_LOOP, PST_ROLE_VIEWER, PST_OP_WEBHOOK, NULL, NULL, 200, "DeliveryWithAttempts",
     {PST_E_NOT_FOUND}, "Webhooks", "getDelivery", "Get a delivery",
     "With the event as it is sent, and its newest 100 attempts, oldest first.", NULL},
    {PST_METHOD_POST, "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
     pst_api_resend_delivery, PST_RUN_WORK, PST_ROLE_DEVELOPER, PST_OP_WEBHOOK, NULL, NULL, 202,
     "Delivery", {PST_E_NOT_FOUND}, "Webhooks", "resendDelivery", "Send a delivery again",
     "As if it were new, with the same event id.", NULL},
    {PST_METHOD_GET, CONNECTION "/webhooks", pst_api_list_connection_webhooks, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_CONNECTION, list_params, NULL, 200, "WebhookPage", {PST_E_NOT_FOUND},
     "Webhooks", "listConnectionWebhooks", "List webhooks of a connection",
     "Its own and the organization-wide ones, each with the `events` that are in force for this "
     "connection.", NULL},
    {PST_METHOD_POST, CONNECTION "/webhooks", pst_api_create_webhook, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_CONNECTION | PST_OP_BODY, NULL, "NewWebhook", 201,
     "WebhookWithSecret", {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_CONFLICT, PST_E_EGRESS},
     "Webhooks", "createConnectionWebhook", "Create a webhook of a connection",
     "It gets events of this connection only. Its secret is shown once, here.",
     "{\"url\":\"https://app.example.com/acme\"}"},
    {PST_METHOD_GET, CONNECTION "/webhooks/{webhook_id}", pst_api_get_webhook, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_WEBHOOK, NULL, NULL, 200, "Webhook",
     {PST_E_NOT_FOUND}, "Webhooks", "getConnectionWebhook", "Get a webhook of a connection",
     "With the `events` that are in force for this connection.", NULL},
    {PST_METHOD_PATCH, CONNECTION "/webhooks/{webhook_id}", pst_api_update_webhook, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_CONNECTION | PST_OP_WEBHOOK | PST_OP_BODY, NULL, "WebhookPatch",
     200, "Webhook", {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_CONFLICT, PST_E_EGRESS}, "Webhooks",
     "updateConnectionWebhook", "Change a webhook of a connection",
     "Its own: everything. Of an organization-wide one only `events`: what this connection sends "
     "to it; null goes back to what the webhook has.", "{\"events\":[\"sync.failed\"]}"},
    {PST_METHOD_DELETE, CONNECTION "/webhooks/{webhook_id}", pst_api_delete_webhook, PST_RUN_WORK,
     PST_ROLE_DEVELOPER, PST_OP_CONNECTION | PST_OP_WEBHOOK, NULL, NULL, 204, NULL,
     {PST_E_NOT_FOUND, PST_E_CONFLICT}, "Webhooks", "deleteConnectionWebhook",
     "Delete a webhook of a connection", "Only one of its own.", NULL},
    {PST_METHOD_GET, "/v1/events", pst_api_list_events, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_ORGANIZATION, event_params, NULL, 200, "EventPage", {PST_E_NOT_FOUND, PST_E_EXPIRED},
     "Webhooks", "listEvents", "List or follow events",
     "As they are sent to webhooks. Newest first, page by page; or, with `after`, oldest first, to "
     "follow them: go on with `after` = `next_after` (null: there is no event yet, go on with "
     "`oldest`).", NULL},
    {PST_METHOD_GET, "/v1/events/{event_id}", pst_api_get_event, PST_RUN_LOOP, PST_ROLE_VIEWER, 0,
     NULL, NULL, 200, "Event", {PST_E_NOT_FOUND}, "Webhooks", "getEvent", "Get an event",
     "Byte for byte as it is sent.", NULL},
    {PST_METHOD_GET, "/v1/event-types", pst_api_list_event_types, PST_RUN_LOOP, PST_ROLE_VIEWER, 0,
     NULL, NULL, 200, "EventTypePage", {0}, "Webhooks", "listEventTypes", "List types of events",
     "With the JSON Schema of the whole body, and a sample.", NULL},
    /* ---- credits ---- */
    {PST_METHOD_GET, "/v1/credits", pst_api_get_credits, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_ORGANIZATION, list_params, NULL, 200, "Credits", {0}, "Access", "getCredits",
     "Get the credits",
     "The pool, what is used of it, what each connection holds (`data`, page by page), and the "
     "newest entries of the ledger.", NULL},
    {PST_METHOD_GET, "/v1/credits/ledger", pst_api_list_credit_entries, PST_RUN_LOOP,
     PST_ROLE_VIEWER, PST_OP_ORGANIZATION, list_params, NULL, 200, "CreditEntryPage", {0}, "Access",
     "listCreditEntries", "List the ledger of credits",
     "Newest first; the sum of all amounts is what is used.", NULL},
    /* ---- requests and diagnosis ---- */
    {PST_METHOD_GET, "/v1/requests", pst_api_list_requests, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_TOKEN, request_params, NULL, 200, "RequestPage", {PST_E_NOT_FOUND}, "Requests",
     "listRequests", "List requests",
     "What was asked of the API, newest first; of successful reads only a sample is kept (option "
     "`request_log`). At most 10,000 requests are looked at for a page: it may be short and have "
     "more behind it.", NULL},
    {PST_METHOD_GET, "/v1/requests/{request_id}", pst_api_get_request, PST_RUN_LOOK,
     PST_ROLE_VIEWER, PST_OP_TOKEN, NULL, NULL, 200, "RequestDetail", {PST_E_NOT_FOUND}, "Requests",
     "getRequest", "Look up a request, with its diagnosis",
     "By the id that every answer carries as `X-Request-Id`, and every error as `request_id`: what "
     "it was, its calls of the connected system with their times, and whose trouble it is.", NULL},
    {PST_METHOD_GET, CONNECTION "/diagnosis", pst_api_diagnose_connection, PST_RUN_LOOK,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_TOKEN | PST_OP_SHORT, NULL, NULL, 200, "Diagnosis",
     {PST_E_NOT_FOUND}, "Requests", "diagnoseConnection", "Diagnose a connection",
     "How it is now: whose trouble it is, with the evidence, and what to do.", NULL},
    {PST_METHOD_GET, CONNECTION "/syncs/{sync_id}/diagnosis", pst_api_diagnose_sync, PST_RUN_LOOK,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_TOKEN, NULL, NULL, 200, "SyncDiagnosis",
     {PST_E_NOT_FOUND}, "Requests", "diagnoseSync", "Diagnose a sync",
     "Whose trouble it had, and its calls of the connected system with their times.", NULL},
    {PST_METHOD_GET, "/v1/syncs/{sync_id}/diagnosis", pst_api_diagnose_sync, PST_RUN_LOOK,
     PST_ROLE_VIEWER, PST_OP_CONNECTION | PST_OP_SYNC | PST_OP_TOKEN, NULL, NULL, 200,
     "SyncDiagnosis", {PST_E_NOT_FOUND}, "Requests", "diagnoseAnySync",
     "Diagnose a sync, whichever connection has it", NULL, NULL},

    /* ---- access ---- */
    {PST_METHOD_GET, CONNECTION "/tokens", pst_api_list_tokens, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_CONNECTION, list_params, NULL, 200, "TokenPage", {PST_E_NOT_FOUND}, "Access",
     "listTokens", "List connection tokens", NULL, NULL},
    {PST_METHOD_POST, CONNECTION "/tokens", pst_api_create_token, PST_RUN_WORK, PST_ROLE_ADMIN,
     PST_OP_CONNECTION | PST_OP_BODY | PST_OP_BODY_OPTIONAL, NULL, "NewToken", 201, "CreatedToken",
     {PST_E_INVALID, PST_E_NOT_FOUND}, "Access", "createToken", "Create a connection token",
     "It reads and syncs this connection and changes no settings; its text is shown once.",
     "{\"name\":\"reports\"}"},
    {PST_METHOD_DELETE, CONNECTION "/tokens/{key_id}", pst_api_revoke_token, PST_RUN_WORK,
     PST_ROLE_ADMIN, PST_OP_CONNECTION, NULL, NULL, 204, NULL, {PST_E_NOT_FOUND}, "Access",
     "revokeToken", "Revoke a connection token", NULL, NULL},
    {PST_METHOD_GET, "/v1/keys", pst_api_list_keys, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_ORGANIZATION, list_params, NULL, 200, "KeyPage", {0}, "Access", "listKeys",
     "List API keys", NULL, NULL},
    {PST_METHOD_POST, "/v1/keys", pst_api_create_key, PST_RUN_WORK, PST_ROLE_ADMIN,
     PST_OP_ORGANIZATION | PST_OP_BODY, NULL, "NewKey", 201, "CreatedKey", {PST_E_INVALID},
     "Access", "createKey", "Create an API key", "Its text is shown once.",
     "{\"name\":\"backend\",\"role\":\"developer\"}"},
    {PST_METHOD_DELETE, "/v1/keys/{key_id}", pst_api_revoke_key, PST_RUN_WORK, PST_ROLE_ADMIN,
     PST_OP_ORGANIZATION, NULL, NULL, 204, NULL, {PST_E_NOT_FOUND}, "Access", "revokeKey",
     "Revoke an API key", NULL, NULL},
    {PST_METHOD_GET, "/v1/audit", pst_api_list_audit, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_ORGANIZATION, list_params, NULL, 200, "AuditPage", {0}, "Access", "listAudit",
     "List the audit log", "Who changed what, newest first.", NULL},

    /* ---- operator ---- */
    {PST_METHOD_GET, "/v1/organizations", pst_api_list_organizations, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_OPERATOR, list_params, NULL, 200, "OrganizationPage", {0}, "Operator",
     "listOrganizations", "List organizations", NULL, NULL},
    {PST_METHOD_POST, "/v1/organizations", pst_api_create_organization, PST_RUN_WORK,
     PST_ROLE_ADMIN, PST_OP_OPERATOR | PST_OP_BODY, NULL, "NewOrganization", 201, "Organization",
     {PST_E_INVALID, PST_E_CONFLICT}, "Operator", "createOrganization", "Create an organization",
     NULL, "{\"name\":\"Acme\"}"},
    {PST_METHOD_GET, "/v1/organizations/{organization_id}", pst_api_get_organization, PST_RUN_LOOP,
     PST_ROLE_ADMIN, PST_OP_OPERATOR, NULL, NULL, 200, "Organization", {PST_E_NOT_FOUND},
     "Operator", "getOrganization", "Get an organization", NULL, NULL},
    {PST_METHOD_PATCH, "/v1/organizations/{organization_id}", pst_api_update_organization,
     PST_RUN_WORK, PST_ROLE_ADMIN, PST_OP_OPERATOR | PST_OP_BODY, NULL, "OrganizationPatch", 200,
     "Organization", {PST_E_INVALID, PST_E_NOT_FOUND}, "Operator", "updateOrganization",
     "Set an organization's credits",
     "`credits` is the pool, null one without end; `overage` lets connections take more than there "
     "is. A smaller pool switches nothing off.", "{\"credits\":100,\"overage\":false}"},
    {PST_METHOD_GET, "/v1/server", pst_api_get_server, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_OPERATOR, NULL, NULL, 200, "Server", {0}, "Operator", "getServer",
     "Get the server's own state", "Its version, and how its process is confined.", NULL},
    {PST_METHOD_GET, "/v1/incidents", pst_api_list_incidents, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_OPERATOR, incident_params, NULL, 200, "IncidentPage", {0}, "Operator", "listIncidents",
     "List incidents", "Those of the detector and those of people, newest first.", NULL},
    {PST_METHOD_POST, "/v1/incidents", pst_api_create_incident, PST_RUN_WORK, PST_ROLE_ADMIN,
     PST_OP_OPERATOR | PST_OP_BODY, NULL, "NewIncident", 201, "Incident", {PST_E_INVALID},
     "Operator", "createIncident", "Open an incident",
     "It stands on the public status page at once: write nothing about any customer.",
     "{\"title\":\"Slow answers\",\"text\":\"We are looking into it.\",\"impact\":\"degraded\","
     "\"components\":[\"api\"]}"},
    {PST_METHOD_GET, "/v1/incidents/{incident_id}", pst_api_get_incident, PST_RUN_LOOP,
     PST_ROLE_ADMIN, PST_OP_OPERATOR, NULL, NULL, 200, "Incident", {PST_E_NOT_FOUND}, "Operator",
     "getIncident", "Get an incident", NULL, NULL},
    {PST_METHOD_PATCH, "/v1/incidents/{incident_id}", pst_api_update_incident, PST_RUN_WORK,
     PST_ROLE_ADMIN, PST_OP_OPERATOR | PST_OP_BODY, NULL, "IncidentPatch", 200, "Incident",
     {PST_E_INVALID, PST_E_NOT_FOUND}, "Operator", "updateIncident", "Change an incident",
     "Title, impact and components.", "{\"title\":\"Slow answers of lists\"}"},
    {PST_METHOD_POST, "/v1/incidents/{incident_id}/updates", pst_api_add_incident_update,
     PST_RUN_WORK, PST_ROLE_ADMIN, PST_OP_OPERATOR | PST_OP_BODY, NULL, "NewIncidentUpdate", 201,
     "Incident", {PST_E_INVALID, PST_E_NOT_FOUND, PST_E_CONFLICT}, "Operator", "addIncidentUpdate",
     "Add an update to an incident",
     "`resolved` closes it, once; any other state opens it again.",
     "{\"state\":\"resolved\",\"text\":\"Answers are fast again.\"}"},
    {PST_METHOD_POST, "/v1/backup", pst_api_create_backup, PST_RUN_CALL, PST_ROLE_ADMIN,
     PST_OP_OPERATOR | PST_OP_BODY | PST_OP_UNHURRIED, NULL, "NewBackup", 201, "Backup",
     {PST_E_INVALID, PST_E_DENIED, PST_E_CONFLICT, PST_E_DISK_FULL}, "Operator", "createBackup",
     "Copy the store to a file",
     "A consistent, checked copy on the server's machine, made while everything goes on; answered "
     "when it is done, however long that takes; a stop of the server breaks it off. The root "
     "key is not in it. In its sandbox the server writes only below its data directory and "
     "`backup_dirs`: elsewhere the answer is 403.",
     "{\"path\":\"/var/backups/penstock.db\"}"},

    /* ---- service ---- */
    {PST_METHOD_GET, "/v1/openapi.json", pst_api_get_openapi, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_PUBLIC, NULL, NULL, 200, "Anything", {0}, "Service", "getOpenapi",
     "This description", "OpenAPI 3.1.", NULL},
    {PST_METHOD_GET, "/healthz", pst_api_healthz, PST_RUN_LOOP, PST_ROLE_VIEWER, PST_OP_PUBLIC,
     NULL, NULL, 200, "Health", {0}, "Service", "getHealth", "Is the process alive?", NULL, NULL},
    {PST_METHOD_GET, "/readyz", pst_api_readyz, PST_RUN_LOOP, PST_ROLE_VIEWER, PST_OP_PUBLIC, NULL,
     NULL, 200, "Health", {PST_E_UNAVAILABLE}, "Service", "getReadiness",
     "Can it answer requests?", NULL, NULL},
    {PST_METHOD_GET, "/metrics", pst_api_metrics, PST_RUN_LOOP, PST_ROLE_VIEWER, PST_OP_PUBLIC,
     NULL, NULL, 200, "@text", {0}, "Service", "getMetrics", "Figures in OpenMetrics text", NULL,
     NULL},
    {PST_METHOD_GET, "/docs", pst_api_get_docs, PST_RUN_LOOP, PST_ROLE_VIEWER, PST_OP_PUBLIC, NULL,
     NULL, 200, "@html", {0}, "Service", "getDocs", "This reference, to read", NULL, NULL},
    {PST_METHOD_GET, "/docs/errors/{code}", pst_api_get_error_page, PST_RUN_LOOP, PST_ROLE_VIEWER,
     PST_OP_PUBLIC, NULL, NULL, 200, "@html", {PST_E_NOT_FOUND}, "Service", "getErrorPage",
     "What an error means", NULL, NULL},
};
/* clang-format on */

const size_t pst_api_op_count = PST_COUNT(pst_api_ops);
