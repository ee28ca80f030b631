/* store/schema.c: the numbered migrations. A step that was released is never edited; what must
 * change comes as a further step.
 *
 * Common to the tables: pk is the internal key, id the 16 bytes of the public one, times are
 * microseconds since 1970 in UTC, flags 0 or 1, NULL means "none". Tables of entities are not
 * here: store/tables.c makes them from the model.
 */
#include "store/schema.h"

/* clang-format off */
static const char organizations[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE organization ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " name TEXT NOT NULL,"
    " created_at INTEGER NOT NULL) STRICT;"

    "CREATE TABLE data_key ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " organization_pk INTEGER NOT NULL REFERENCES organization,"
    " key_id TEXT NOT NULL,"
    " wrapped BLOB NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " retired_at INTEGER,"
    " UNIQUE (organization_pk, key_id)) STRICT;"

    "CREATE TABLE connection ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " organization_pk INTEGER NOT NULL REFERENCES organization,"
    " last_seq INTEGER NOT NULL DEFAULT 0," /* first: each page commit writes it */
    " version INTEGER NOT NULL DEFAULT 1,"
    " status TEXT NOT NULL,"
    " status_since INTEGER NOT NULL,"
    " status_reason TEXT NOT NULL,"
    " history_days INTEGER NOT NULL,"
    " serve_stale INTEGER NOT NULL,"
    " initial_sync_done INTEGER NOT NULL DEFAULT 0,"
    " purge INTEGER NOT NULL DEFAULT 0,"
    " next_run_at INTEGER,"
    " last_tick_at INTEGER,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " deleted_at INTEGER,"
    " name TEXT NOT NULL,"
    " connector TEXT NOT NULL,"
    " schedule TEXT NOT NULL,"
    " config TEXT NOT NULL,"
    " credentials BLOB NOT NULL,"
    " entities TEXT NOT NULL,"
    " metadata TEXT NOT NULL,"
    " mapping TEXT NOT NULL) STRICT;"
    "CREATE INDEX connection_by_organization ON connection (organization_pk, pk)"
    " WHERE deleted_at IS NULL;"
    "CREATE INDEX connection_to_purge ON connection (pk) WHERE purge = 1;"

    "CREATE TABLE connection_history ("
    " pk INTEGER PRIMARY KEY,"
    " connection_pk INTEGER NOT NULL REFERENCES connection,"
    " at INTEGER NOT NULL,"
    " status TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " request_id TEXT NOT NULL) STRICT;"
    "CREATE INDEX connection_history_by_connection ON connection_history (connection_pk, pk);"

    "CREATE TABLE access ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " organization_pk INTEGER NOT NULL REFERENCES organization,"
    " connection_pk INTEGER REFERENCES connection,"
    " hash BLOB NOT NULL UNIQUE,"
    " hint TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " role TEXT NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " last_used_at INTEGER,"
    " revoked_at INTEGER) STRICT;"
    "CREATE INDEX access_by_organization ON access (organization_pk, pk);"
    "CREATE INDEX access_by_connection ON access (connection_pk, pk)"
    " WHERE connection_pk IS NOT NULL;"

    "CREATE TABLE audit ("
    " pk INTEGER PRIMARY KEY,"
    " organization_pk INTEGER NOT NULL,"
    " at INTEGER NOT NULL,"
    " actor TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " object TEXT NOT NULL,"
    " request_id TEXT NOT NULL,"
    " detail TEXT NOT NULL) STRICT;"
    "CREATE INDEX audit_by_organization ON audit (organization_pk, pk);";

static const char runs[] =
    "CREATE TABLE stream ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " connection_pk INTEGER NOT NULL REFERENCES connection,"
    " entity TEXT NOT NULL,"
    " records INTEGER NOT NULL DEFAULT 0,"
    " sync_pk INTEGER," /* the run that holds the stream */
    " synced_to INTEGER,"
    " last_success_at INTEGER,"
    " last_attempt_at INTEGER,"
    " last_full_at INTEGER,"
    " error_code TEXT NOT NULL DEFAULT '',"
    " error_message TEXT NOT NULL DEFAULT '',"
    " mapping_version INTEGER NOT NULL DEFAULT 0,"
    " dict INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE (connection_pk, entity)) STRICT;"

    "CREATE TABLE dictionary ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " stream_pk INTEGER NOT NULL REFERENCES stream,"
    " created_at INTEGER NOT NULL,"
    " bytes BLOB NOT NULL) STRICT;"
    "CREATE INDEX dictionary_by_stream ON dictionary (stream_pk);"

    "CREATE TABLE sync ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " connection_pk INTEGER NOT NULL REFERENCES connection,"
    " cause TEXT NOT NULL,"
    " mode TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " claimed INTEGER NOT NULL DEFAULT 0," /* a worker of this process has it */
    " cancel_requested INTEGER NOT NULL DEFAULT 0,"
    " requested_at INTEGER NOT NULL,"
    " started_at INTEGER,"
    " ended_at INTEGER,"
    " error_code TEXT NOT NULL DEFAULT '',"
    " error_message TEXT NOT NULL DEFAULT '',"
    " request_id TEXT NOT NULL) STRICT;"
    "CREATE INDEX sync_by_connection ON sync (connection_pk, pk);"
    "CREATE INDEX sync_open ON sync (pk) WHERE ended_at IS NULL;"
    "CREATE INDEX sync_ended ON sync (ended_at) WHERE ended_at IS NOT NULL;"

    "CREATE TABLE sync_stream ("
    " sync_pk INTEGER NOT NULL REFERENCES sync,"
    " stream_pk INTEGER NOT NULL,"
    " position INTEGER NOT NULL,"
    " status TEXT NOT NULL,"
    " phase INTEGER NOT NULL DEFAULT 0," /* 0 reading, 1 deleting */
    " begun INTEGER NOT NULL DEFAULT 0,"
    " window_from INTEGER,"
    " window_to INTEGER,"
    " as_of INTEGER,"
    " n_read INTEGER NOT NULL DEFAULT 0,"
    " n_created INTEGER NOT NULL DEFAULT 0,"
    " n_updated INTEGER NOT NULL DEFAULT 0,"
    " n_deleted INTEGER NOT NULL DEFAULT 0,"
    " n_unchanged INTEGER NOT NULL DEFAULT 0,"
    " n_rejected INTEGER NOT NULL DEFAULT 0,"
    " pages INTEGER NOT NULL DEFAULT 0,"
    " source_rows INTEGER NOT NULL DEFAULT 0,"
    " bytes INTEGER NOT NULL DEFAULT 0,"
    " calls INTEGER NOT NULL DEFAULT 0,"
    " wait_us INTEGER NOT NULL DEFAULT 0,"
    " work_us INTEGER NOT NULL DEFAULT 0,"
    " after_key TEXT NOT NULL DEFAULT '',"
    " sort_key BLOB NOT NULL DEFAULT x'',"
    " started_at INTEGER,"
    " ended_at INTEGER,"
    " error_code TEXT NOT NULL DEFAULT '',"
    " error_message TEXT NOT NULL DEFAULT '',"
    " PRIMARY KEY (sync_pk, stream_pk)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE sync_missing ("
    " sync_pk INTEGER NOT NULL,"
    " stream_pk INTEGER NOT NULL,"
    " record_pk INTEGER NOT NULL,"
    " seq INTEGER NOT NULL," /* of the record when it was listed */
    " PRIMARY KEY (sync_pk, stream_pk, record_pk)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE change ("
    " connection_pk INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " stream_pk INTEGER NOT NULL,"
    " op INTEGER NOT NULL," /* 0 created, 1 updated, 2 deleted */
    " record_id BLOB NOT NULL,"
    " at INTEGER NOT NULL,"
    " sync_pk INTEGER,"
    " fields TEXT NOT NULL,"
    " PRIMARY KEY (connection_pk, seq)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE rejected ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " connection_pk INTEGER NOT NULL,"
    " stream_pk INTEGER NOT NULL,"
    " source_id TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " source TEXT NOT NULL,"
    " sync_pk INTEGER,"
    " first_at INTEGER NOT NULL,"
    " last_at INTEGER NOT NULL,"
    " UNIQUE (stream_pk, source_id)) STRICT;"
    "CREATE INDEX rejected_by_connection ON rejected (connection_pk, pk);";
static const char webhooks[] =
    /* What a run committed, and whether its end was told as an event. */
    "ALTER TABLE sync_stream ADD COLUMN first_seq INTEGER;"
    "ALTER TABLE sync_stream ADD COLUMN last_seq INTEGER;"
    "ALTER TABLE sync ADD COLUMN told INTEGER NOT NULL DEFAULT 0;"
    "UPDATE sync SET told = 1 WHERE ended_at IS NOT NULL;"
    "CREATE INDEX sync_untold ON sync (connection_pk, pk) WHERE ended_at IS NOT NULL AND told = 0;"
    "ALTER TABLE stream ADD COLUMN columns TEXT NOT NULL DEFAULT '';" /* of the source, as JSON */
    "ALTER TABLE stream ADD COLUMN columns_at INTEGER;"

    "CREATE TABLE outbox (" /* one row: what is kept, see PST_OUTBOX_EVENT_BYTES */
    " pk INTEGER PRIMARY KEY,"
    " events INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL) STRICT;"
    "INSERT INTO outbox VALUES (1, 0, 0);"

    "CREATE TABLE event ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " organization_pk INTEGER NOT NULL REFERENCES organization,"
    " connection_pk INTEGER NOT NULL," /* 0: of the organization */
    " type TEXT NOT NULL,"
    " at INTEGER NOT NULL,"
    " sample INTEGER NOT NULL,"
    " body TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_by_organization ON event (organization_pk, pk) WHERE sample = 0;"
    "CREATE INDEX event_by_connection ON event (connection_pk, pk) WHERE sample = 0;"

    "CREATE TABLE endpoint ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " organization_pk INTEGER NOT NULL REFERENCES organization,"
    " connection_pk INTEGER NOT NULL," /* 0: of the whole organization */
    " version INTEGER NOT NULL DEFAULT 1,"
    " enabled INTEGER NOT NULL,"
    " ordered INTEGER NOT NULL,"
    " rate_limit INTEGER NOT NULL,"
    " timeout_ms INTEGER NOT NULL,"
    " horizon_ms INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " deleted_at INTEGER,"
    " failures INTEGER NOT NULL DEFAULT 0,"
    " failing_since INTEGER,"
    " open_since INTEGER,"
    " probe_at INTEGER,"
    " open_step INTEGER NOT NULL DEFAULT 0,"
    " open_us INTEGER NOT NULL DEFAULT 0,"
    " disabled_at INTEGER,"
    " disabled_reason TEXT NOT NULL DEFAULT '',"
    " last_success_at INTEGER,"
    " last_failure_at INTEGER,"
    " last_error TEXT NOT NULL DEFAULT '',"
    " url TEXT NOT NULL,"
    " description TEXT NOT NULL,"
    " events TEXT NOT NULL,"
    " signing TEXT NOT NULL,"
    " headers BLOB NOT NULL,"
    " secrets BLOB NOT NULL,"
    " public_keys TEXT NOT NULL) STRICT;"
    "CREATE INDEX endpoint_by_organization ON endpoint (organization_pk, pk)"
    " WHERE deleted_at IS NULL;"

    "CREATE INDEX endpoint_by_connection ON endpoint (connection_pk)"
    " WHERE deleted_at IS NULL AND connection_pk > 0;"
    "CREATE INDEX endpoint_deleted ON endpoint (deleted_at) WHERE deleted_at IS NOT NULL;"

    "CREATE TABLE endpoint_choice (" /* of an organization-wide endpoint, for one connection */
    " endpoint_pk INTEGER NOT NULL REFERENCES endpoint,"
    " connection_pk INTEGER NOT NULL,"
    " events TEXT NOT NULL,"
    " PRIMARY KEY (endpoint_pk, connection_pk)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX endpoint_choice_by_connection ON endpoint_choice (connection_pk);"

    "CREATE TABLE lane (" /* counts the deliveries of an endpoint and connection */
    " endpoint_pk INTEGER NOT NULL,"
    " connection_pk INTEGER NOT NULL,"
    " last_sequence INTEGER NOT NULL,"
    " PRIMARY KEY (endpoint_pk, connection_pk)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE delivery ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " endpoint_pk INTEGER NOT NULL,"
    " connection_pk INTEGER NOT NULL,"
    " event_pk INTEGER NOT NULL,"
    " status INTEGER NOT NULL DEFAULT 0," /* 0 waiting, 1 delivered, 2 failed */
    " loose INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL,"
    " due_at INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " tries INTEGER NOT NULL DEFAULT 0,"
    " first_try_at INTEGER,"
    " open_before_us INTEGER NOT NULL DEFAULT 0,"
    " refused_status INTEGER NOT NULL DEFAULT 0,"
    " refused_count INTEGER NOT NULL DEFAULT 0,"
    " refused_since INTEGER,"
    " last_status INTEGER NOT NULL DEFAULT 0,"
    " created_at INTEGER NOT NULL,"
    " ended_at INTEGER,"
    " id BLOB NOT NULL UNIQUE,"
    " last_error TEXT NOT NULL DEFAULT '',"
    " UNIQUE (endpoint_pk, event_pk)) STRICT;"
    "CREATE INDEX delivery_in_lane ON delivery (endpoint_pk, connection_pk, event_pk)"
    " WHERE status = 0 AND loose = 0;"
    "CREATE INDEX delivery_loose ON delivery (endpoint_pk, due_at, event_pk)"
    " WHERE status = 0 AND loose = 1;"

    "CREATE TABLE attempt ("
    " delivery_pk INTEGER NOT NULL,"
    " number INTEGER NOT NULL,"
    " at INTEGER NOT NULL,"
    " duration_us INTEGER NOT NULL,"
    " status INTEGER NOT NULL," /* 0: no answer */
    " error TEXT NOT NULL,"
    " response BLOB NOT NULL,"
    " PRIMARY KEY (delivery_pk, number)) STRICT, WITHOUT ROWID;";

static const char credits[] =
    "ALTER TABLE organization ADD COLUMN credits INTEGER;" /* the pool; NULL: without end */
    "ALTER TABLE organization ADD COLUMN overage INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE organization ADD COLUMN credits_used INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE connection ADD COLUMN credits INTEGER NOT NULL DEFAULT 0;" /* that it holds */

    "CREATE TABLE credit_entry ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " organization_pk INTEGER NOT NULL REFERENCES organization,"
    " connection_pk INTEGER NOT NULL,"
    " connection_id BLOB NOT NULL," /* the connection may be gone */
    " at INTEGER NOT NULL,"
    " amount INTEGER NOT NULL,"
    " overage INTEGER NOT NULL,"
    " used INTEGER NOT NULL,"
    " reason TEXT NOT NULL,"
    " request_id TEXT NOT NULL) STRICT;"
    "CREATE INDEX credit_entry_by_organization ON credit_entry (organization_pk, pk);"

    /* What was created before there were credits; there was one connector then. */
    "UPDATE connection SET credits ="
    " CASE json_extract(config, '$.deployment') WHEN 'on_premises' THEN 8 ELSE 4 END"
    " WHERE deleted_at IS NULL AND connector = 'peoplesoft';"
    "INSERT INTO credit_entry (organization_pk, connection_pk, connection_id, at, amount, overage,"
    " used, reason, request_id)"
    " SELECT organization_pk, pk, id, created_at, credits, 0,"
    " sum(credits) OVER (PARTITION BY organization_pk ORDER BY pk), 'created', ''"
    " FROM connection WHERE credits > 0 ORDER BY pk;"
    "UPDATE organization SET credits_used = (SELECT coalesce(sum(c.credits), 0) FROM connection c"
    " WHERE c.organization_pk = organization.pk);";

static const char requests[] =
    "CREATE TABLE request (" /* what the API was asked; bounded by requests_max */
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at INTEGER NOT NULL,"
    " organization_pk INTEGER NOT NULL," /* 0: of nobody, or of the operator alone */
    " connection_pk INTEGER NOT NULL," /* 0: none */
    " status INTEGER NOT NULL,"
    " duration_us INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " id BLOB NOT NULL,"
    " trace_id BLOB NOT NULL,"
    " sync_id BLOB,"
    " operation TEXT NOT NULL,"
    " method TEXT NOT NULL,"
    " code TEXT NOT NULL," /* '': it went well */
    " cause TEXT NOT NULL,"
    " actor TEXT NOT NULL,"
    " detail TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX request_by_id ON request (id);"
    "CREATE INDEX request_by_organization ON request (organization_pk, pk);"
    "CREATE INDEX request_by_connection ON request (connection_pk, pk) WHERE connection_pk > 0;"

    "CREATE TABLE upstream_call (" /* one call of a connected system, and how it ended */
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at INTEGER NOT NULL," /* its end */
    " connection_pk INTEGER NOT NULL,"
    " class INTEGER NOT NULL," /* enum pst_call_class */
    " origin TEXT NOT NULL,"
    " request_id BLOB,"
    " sync_id BLOB,"
    " number INTEGER NOT NULL,"
    " status INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " waited_us INTEGER NOT NULL,"
    " dns_us INTEGER NOT NULL,"
    " connect_us INTEGER NOT NULL,"
    " tls_us INTEGER NOT NULL,"
    " first_byte_us INTEGER NOT NULL,"
    " total_us INTEGER NOT NULL,"
    " span_id BLOB NOT NULL,"
    " method TEXT NOT NULL,"
    " path TEXT NOT NULL,"
    " fault TEXT NOT NULL,"
    " code TEXT NOT NULL,"
    " cause TEXT NOT NULL,"
    " error TEXT NOT NULL) STRICT;"
    "CREATE INDEX upstream_call_by_request ON upstream_call (request_id, pk)"
    " WHERE request_id IS NOT NULL;"
    "CREATE INDEX upstream_call_by_sync ON upstream_call (sync_id, pk) WHERE sync_id IS NOT NULL;"
    "CREATE INDEX upstream_call_by_connection ON upstream_call (connection_pk, pk);"
    "CREATE INDEX upstream_call_seen ON upstream_call (at, connection_pk, class, origin);"

    "CREATE TABLE incident ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " kind TEXT NOT NULL," /* host, connector, penstock: the detector's; manual */
    " subject TEXT NOT NULL," /* origin or connector; never shown in public */
    " components TEXT NOT NULL," /* names, separated by commas */
    " impact TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " title TEXT NOT NULL,"
    " affected INTEGER NOT NULL,"
    " opened_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " closed_at INTEGER) STRICT;"
    "CREATE INDEX incident_open ON incident (pk) WHERE closed_at IS NULL;"

    "CREATE TABLE incident_update ("
    " pk INTEGER PRIMARY KEY AUTOINCREMENT,"
    " incident_pk INTEGER NOT NULL REFERENCES incident,"
    " at INTEGER NOT NULL,"
    " state TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " actor TEXT NOT NULL) STRICT;"
    "CREATE INDEX incident_update_by_incident ON incident_update (incident_pk, pk);"

    "CREATE TABLE status_day (" /* seconds of a day (UTC) a component was watched, and unwell */
    " day INTEGER NOT NULL," /* since 1970 */
    " component TEXT NOT NULL,"
    " watched_s INTEGER NOT NULL,"
    " degraded_s INTEGER NOT NULL,"
    " down_s INTEGER NOT NULL,"
    " PRIMARY KEY (day, component)) STRICT, WITHOUT ROWID;";

static const char outages[] =
    /* What is known of a connection's health beside its status; a row from its first contact on.
     * Times that measure intervals are nanoseconds of the monotonic clock, which saved_at and
     * saved_ns tie to the wall; the largest number is "never". */
    "CREATE TABLE outage ("
    " connection_pk INTEGER PRIMARY KEY REFERENCES connection,"
    " version INTEGER NOT NULL,"
    " busy INTEGER NOT NULL," /* a probe, or an event, is due some time */
    " owed INTEGER NOT NULL," /* a run that catches up */
    " failures INTEGER NOT NULL,"
    " failing_since INTEGER,"
    " kind INTEGER NOT NULL," /* 0 nothing fails, 1 its origin, 2 this connection */
    " step INTEGER NOT NULL,"
    " told TEXT NOT NULL,"
    " hold_ms INTEGER NOT NULL,"
    " saved_at INTEGER NOT NULL,"
    " saved_ns INTEGER NOT NULL,"
    " counted_ns INTEGER NOT NULL,"
    " changed_ns INTEGER NOT NULL,"
    " told_ns INTEGER NOT NULL,"
    " tell_ns INTEGER NOT NULL,"
    " probe_ns INTEGER NOT NULL,"
    " cause TEXT NOT NULL,"
    " origin TEXT NOT NULL) STRICT;"
    "CREATE INDEX sync_waiting ON sync (status, pk) WHERE ended_at IS NULL AND claimed = 0;"
    "CREATE INDEX outage_busy ON outage (connection_pk) WHERE busy = 1;"
    "INSERT INTO outage"
    " SELECT pk, 1, status = 'offline', 0, 0, NULL, 2 * (status = 'offline'), 0, status, 0,"
    "  status_since, 0, 0, 0, 0, 9223372036854775807,"
    "  CASE WHEN status = 'offline' THEN 0 ELSE 9223372036854775807 END, '', ''"
    " FROM connection WHERE status IN ('online', 'offline', 'authentication_required')"
    "  AND deleted_at IS NULL;";

static const char waiting_runs[] =
    /* A run that waits for a busy system: not before resume_at; how often it did so since it last
     * committed a page, and how many pages there were then. */
    "ALTER TABLE sync ADD COLUMN resume_at INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sync ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sync ADD COLUMN waited_pages INTEGER NOT NULL DEFAULT 0;";

/* Of a run: its calls that no entity counts (the clock, columns, probes). */
static const char calls_of_runs[] = "ALTER TABLE sync ADD COLUMN own_calls INTEGER NOT NULL DEFAULT 0;";

static const char guards[] =
    /* The user chose other rows: the next complete full read is not held up by the guard. */
    "ALTER TABLE stream ADD COLUMN unguarded INTEGER NOT NULL DEFAULT 0;";

static const char incident_connectors[] =
    /* What the detector's incident is about, apart from the components that people may edit; of a
     * host its name alone. */
    "ALTER TABLE incident ADD COLUMN connector TEXT NOT NULL DEFAULT '';"
    "UPDATE incident SET connector = subject WHERE kind = 'connector';"
    "UPDATE incident SET connector = substr(c, 1, instr(c, ',') - 1) FROM"
    " (SELECT pk AS of, substr(components || ',', instr(components, 'connector:') + 10) AS c"
    "  FROM incident WHERE kind = 'host' AND instr(components, 'connector:') > 0)"
    " WHERE pk = of;"
    "UPDATE incident SET subject ="
    "  rtrim(rtrim(substr(subject, instr(subject, '://') + 3), '0123456789'), ':')"
    " WHERE kind = 'host' AND instr(subject, '://') > 0;";

static const char kept_answers[] =
    /* What is asked of one connection's runs is answered without its history. */
    "DROP INDEX sync_open;"
    "CREATE INDEX sync_open ON sync (connection_pk, pk) WHERE ended_at IS NULL;"
    "CREATE INDEX sync_by_status ON sync (connection_pk, status, pk) WHERE ended_at IS NOT NULL;"
    /* How many of its rows are kept aside. */
    "ALTER TABLE stream ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0;"
    "UPDATE stream SET rejected = (SELECT count(*) FROM rejected r WHERE r.stream_pk = stream.pk);";
/* clang-format on */

static const struct pst_migration migrations[] = {
    {1, "organizations and connections", {organizations, sizeof(organizations) - 1}},
    {2, "streams, runs and changes", {runs, sizeof(runs) - 1}},
    {3, "events, endpoints and deliveries", {webhooks, sizeof(webhooks) - 1}},
    {4, "credits", {credits, sizeof(credits) - 1}},
    {5, "requests, upstream calls, incidents", {requests, sizeof(requests) - 1}},
    {6, "outages", {outages, sizeof(outages) - 1}},
    {7, "runs that wait", {waiting_runs, sizeof(waiting_runs) - 1}},
    {8, "calls of runs", {calls_of_runs, sizeof(calls_of_runs) - 1}},
    {9, "guards", {guards, sizeof(guards) - 1}},
    {10, "connectors of incidents", {incident_connectors, sizeof(incident_connectors) - 1}},
    {11, "runs by status, rejected rows counted", {kept_answers, sizeof(kept_answers) - 1}},
};

const struct pst_migration *pst_schema_migrations(size_t *count)
{
    *count = PST_COUNT(migrations);
    return migrations;
}
