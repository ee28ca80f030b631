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

static const struct pst_api_param delete_params[] = {
    {.name = "purge",
     .type = PST_PARAM_BOOLEAN,
     .fallback = "false",
     .description = "Remove the data, too. May also be asked of a connection already deleted."},
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
     "the answer is 410 `CHANGES_EXPIRED` - list the records, then follow from `last_seq`.", NULL},

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
    {PST_METHOD_GET, "/v1/server", pst_api_get_server, PST_RUN_LOOP, PST_ROLE_ADMIN,
     PST_OP_OPERATOR, NULL, NULL, 200, "Server", {0}, "Operator", "getServer",
     "Get the server's own state", "Its version, and how its process is confined.", NULL},
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
