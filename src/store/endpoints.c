/* store/endpoints.c: the rows of webhook endpoints, and what connections chose of them. */
#include "store/endpoints.h"

#include "store/deliveries.h"
#include "store/rows.h"
#include "store/store.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    "SELECT p.pk, p.id, p.organization_pk, o.id, p.connection_pk, c.id, p.enabled, p.ordered,"     \
    " p.rate_limit, p.timeout_ms, p.horizon_ms, p.signing, p.version, p.created_at, p.updated_at," \
    " p.deleted_at, p.failures, p.failing_since, p.open_since, p.probe_at, p.open_step,"           \
    " p.open_us, p.disabled_at, p.last_success_at, p.last_failure_at, p.url, p.description,"       \
    " p.events, p.public_keys, p.disabled_reason, p.last_error, p.headers, p.secrets"              \
    " FROM endpoint p JOIN organization o ON o.pk = p.organization_pk"                             \
    " LEFT JOIN connection c ON c.pk = p.connection_pk "
/* clang-format on */

static const char *const signing_names[] = {
    [PST_SIGNING_HMAC] = "hmac",
    [PST_SIGNING_ED25519] = "ed25519",
};

const char *pst_endpoint_signing_name(enum pst_endpoint_signing signing)
{
    return signing_names[signing];
}

bool pst_endpoint_signing_parse(enum pst_endpoint_signing *out, pst_str name)
{
    int i = pst_row_find_name(signing_names, PST_COUNT(signing_names), name);
    if (i >= 0)
        *out = (enum pst_endpoint_signing)i;
    return i >= 0;
}

static pst_code no_such_endpoint(struct pst_err *err)
{
    return PST_FAIL(err, PST_E_NOT_FOUND, "there is no such webhook");
}

/* ---- reading ---- */

static struct pst_endpoint_health read_health(struct pst_stmt *st)
{
    return (struct pst_endpoint_health){
        .failures = pst_stmt_i64(st, 16),
        .failing_since = pst_stmt_wall(st, 17),
        .open_since = pst_stmt_wall(st, 18),
        .probe_at = pst_stmt_wall(st, 19),
        .open_step = pst_stmt_i64(st, 20),
        .open_us = pst_stmt_i64(st, 21),
        .disabled_at = pst_stmt_wall(st, 22),
        .last_success_at = pst_stmt_wall(st, 23),
        .last_failure_at = pst_stmt_wall(st, 24),
    };
}

static pst_code read_endpoint(struct pst_stmt *st, struct pst_arena *arena, struct pst_endpoint *e,
                              struct pst_err *err)
{
    *e = (struct pst_endpoint){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "whk_"),
        .organization_pk = pst_stmt_i64(st, 2),
        .organization_id = pst_row_id(st, 3, "org_"),
        .connection_pk = pst_stmt_i64(st, 4),
        .connection_id = pst_row_id(st, 5, "conn_"),
        .enabled = pst_stmt_i64(st, 6) != 0,
        .ordered = pst_stmt_i64(st, 7) != 0,
        .rate_limit = pst_stmt_i64(st, 8),
        .timeout_ms = pst_stmt_i64(st, 9),
        .horizon_ms = pst_stmt_i64(st, 10),
        .version = pst_stmt_i64(st, 12),
        .created_at = pst_stmt_wall(st, 13),
        .updated_at = pst_stmt_wall(st, 14),
        .deleted_at = pst_stmt_wall(st, 15),
        .health = read_health(st),
    };
    pst_str *const texts[] = {&e->url,
                              &e->description,
                              &e->events,
                              &e->public_keys,
                              &e->health.disabled_reason,
                              &e->health.last_error};
    if (!pst_endpoint_signing_parse(&e->signing, pst_stmt_str(st, 11)))
        return PST_FAIL(err, PST_E_CORRUPT, "a webhook has an unknown kind of signing");
    PST_TRY(pst_row_texts(st, 25, PST_COUNT(texts), arena, texts, err));
    PST_TRY(pst_row_blob(st, 31, arena, &e->headers, err));
    return pst_row_blob(st, 32, arena, &e->secrets, err);
}

pst_code pst_endpoints_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                           struct pst_arena *arena, struct pst_endpoint *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "whk_", id)) {
        PST_TRY(pst_db_stmt(conn,
                            PST_STR(COLUMNS "WHERE p.id = ?1 AND p.deleted_at IS NULL"
                                            " AND (?2 = 0 OR p.organization_pk = ?2)"),
                            &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, organization_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no webhook '%.*s'", PST_STR_ARG(id));
    return read_endpoint(st, arena, out, err);
}

pst_code pst_endpoints_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                              struct pst_endpoint *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR(COLUMNS "WHERE p.pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    return row ? read_endpoint(st, arena, out, err) : no_such_endpoint(err);
}

pst_code pst_endpoints_list(struct pst_db_conn *conn, int64_t organization_pk,
                            int64_t connection_pk, int64_t after_pk, size_t limit,
                            struct pst_arena *arena, struct pst_endpoint **out, size_t *count,
                            bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    *count = 0;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, out, limit, sizeof(**out), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(COLUMNS "WHERE p.organization_pk = ?1 AND p.deleted_at IS NULL"
                                        " AND p.pk > ?3 AND (?2 = -1 OR p.connection_pk = 0"
                                        " OR p.connection_pk = ?2) ORDER BY p.pk LIMIT ?4"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_i64(st, 2, connection_pk);
    pst_stmt_bind_i64(st, 3, after_pk);
    pst_stmt_bind_i64(st, 4, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && *count < limit) {
        PST_TRY(read_endpoint(st, arena, &(*out)[(*count)++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *more = row;
    return PST_OK;
}

/* ---- what a user sets ---- */

/* Placeholders 1 to 11. */
static void bind_settings(struct pst_stmt *st, const struct pst_endpoint *e)
{
    pst_stmt_bind_str(st, 1, e->url);
    pst_stmt_bind_str(st, 2, e->description);
    pst_stmt_bind_str(st, 3, e->events);
    pst_stmt_bind_i64(st, 4, e->enabled);
    pst_stmt_bind_i64(st, 5, e->ordered);
    pst_stmt_bind_i64(st, 6, e->rate_limit);
    pst_stmt_bind_i64(st, 7, e->timeout_ms);
    pst_stmt_bind_i64(st, 8, e->horizon_ms);
    pst_stmt_bind_blob(st, 9, e->headers.ptr, e->headers.len);
    pst_stmt_bind_blob(st, 10, e->secrets.ptr, e->secrets.len);
    pst_stmt_bind_str(st, 11, e->public_keys);
}

pst_code pst_endpoints_create(struct pst_db_conn *conn, struct pst_endpoint *e, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "whk_", pst_id_str(&e->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no webhook id", e->id.text);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO endpoint (url, description, events, enabled, ordered,"
                                " rate_limit, timeout_ms, horizon_ms, headers, secrets,"
                                " public_keys, id, organization_pk, connection_pk, signing,"
                                " created_at, updated_at)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
                                " ?14, ?15, ?16, ?16)"),
                        &st, err));
    bind_settings(st, e);
    pst_stmt_bind_blob(st, 12, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 13, e->organization_pk);
    pst_stmt_bind_i64(st, 14, e->connection_pk);
    pst_stmt_bind_str(st, 15, pst_str_from(signing_names[e->signing]));
    pst_stmt_bind_wall(st, 16, e->created_at);
    PST_TRY(pst_stmt_run(st, NULL, err));
    e->pk = pst_db_last_rowid(conn);
    e->version = 1;
    e->updated_at = e->created_at;
    e->deleted_at = PST_WALL_NONE;
    e->health = (struct pst_endpoint_health){
        .failing_since = PST_WALL_NONE,
        .open_since = PST_WALL_NONE,
        .probe_at = PST_WALL_NONE,
        .disabled_at = PST_WALL_NONE,
        .last_success_at = PST_WALL_NONE,
        .last_failure_at = PST_WALL_NONE,
    };
    pst_db_notify(conn, pst_topic_endpoint(e->pk));
    return PST_OK;
}

/* Whoever switches an endpoint on, or moves it, says that it is well. How long the breaker was open
 * in all stays counted: deliveries measure by it. */
static pst_code clear_health(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                             struct pst_err *err)
{
    const int64_t values[] = {pk, now.us};
    return pst_row_run(conn,
                       PST_STR("UPDATE endpoint SET failures = 0, failing_since = NULL,"
                               " open_us = open_us + max(0, ?2 - coalesce(open_since, ?2)),"
                               " open_since = NULL, probe_at = NULL, open_step = 0,"
                               " disabled_at = NULL, disabled_reason = '' WHERE pk = ?1"),
                       values, 2, NULL, err);
}

/* What waits goes on at once, and in its order. The dispatcher hastens what is more than that. */
static pst_code hasten_first(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                             struct pst_err *err)
{
    const struct pst_delivery_haste haste = {.endpoint_pk = pk, .failing_since = PST_WALL_NONE};
    int64_t lane = PST_LANE_LOOSE;
    return pst_deliveries_hasten(conn, &haste, lane, PST_ROWS_MAX, now, &lane, err);
}

/* Why there was no row of that version. */
static pst_code changed_or_gone(struct pst_db_conn *conn, int64_t pk, struct pst_err *err)
{
    int64_t exists = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT 1 FROM endpoint WHERE pk = ?1 AND deleted_at IS NULL"), &pk,
                        1, &exists, err));
    return exists ? PST_FAIL(err, PST_E_CONFLICT, "the webhook was changed by somebody else")
                  : no_such_endpoint(err);
}

pst_code pst_endpoints_count(struct pst_db_conn *conn, int64_t organization_pk, int64_t *out,
                             struct pst_err *err)
{
    return pst_row_int(conn,
                       PST_STR("SELECT count(*) FROM endpoint"
                               " WHERE organization_pk = ?1 AND deleted_at IS NULL"),
                       &organization_pk, 1, out, err);
}

/* Whether its failures are over with e: it was off, or they are another receiver's. Of one that is
 * disabled only who switches it on says so. */
static pst_code is_well(struct pst_db_conn *conn, const struct pst_endpoint *e, bool *out,
                        struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT enabled = 0 OR iif(disabled_at IS NULL, url <> ?2, ?3)"
                                " FROM endpoint WHERE pk = ?1 AND deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, e->pk);
    pst_stmt_bind_str(st, 2, e->url);
    pst_stmt_bind_i64(st, 3, pst_wall_is_none(e->health.disabled_at));
    PST_TRY(pst_stmt_step(st, &row, err));
    *out = row && e->enabled && pst_stmt_i64(st, 0);
    return PST_OK;
}

/* While it is off the breaker counts as open, so that the time of what waits stands still. */
pst_code pst_endpoints_update(struct pst_db_conn *conn, const struct pst_endpoint *e, pst_wall now,
                              struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    bool becomes_well = false;
    PST_TRY(is_well(conn, e, &becomes_well, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE endpoint SET url = ?1, description = ?2, events = ?3,"
                                " enabled = ?4, ordered = ?5, rate_limit = ?6, timeout_ms = ?7,"
                                " horizon_ms = ?8, headers = ?9, secrets = ?10, public_keys = ?11,"
                                " open_since = iif(enabled > ?4, coalesce(open_since, ?14),"
                                " open_since), probe_at = iif(enabled > ?4,"
                                " coalesce(probe_at, ?14), probe_at),"
                                " updated_at = ?14, version = version + 1"
                                " WHERE pk = ?12 AND version = ?13 AND deleted_at IS NULL"),
                        &st, err));
    bind_settings(st, e);
    pst_stmt_bind_i64(st, 12, e->pk);
    pst_stmt_bind_i64(st, 13, e->version);
    pst_stmt_bind_wall(st, 14, now);
    PST_TRY(pst_stmt_run(st, &changes, err));
    if (changes == 0)
        return changed_or_gone(conn, e->pk, err);
    if (becomes_well) {
        PST_TRY(clear_health(conn, e->pk, now, err));
        PST_TRY(hasten_first(conn, e->pk, now, err));
    }
    pst_db_notify(conn, pst_topic_endpoint(e->pk));
    return PST_OK;
}

pst_code pst_endpoints_delete(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                              struct pst_err *err)
{
    const int64_t values[] = {pk, now.us};
    int64_t changes = 0;
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE endpoint SET deleted_at = ?2, headers = x'', secrets = x''"
                                " WHERE pk = ?1 AND deleted_at IS NULL"),
                        values, 2, &changes, err));
    if (changes == 0)
        return no_such_endpoint(err);
    pst_db_notify(conn, pst_topic_endpoint(pk));
    return PST_OK;
}

/* ---- rotation of keys ---- */

pst_code pst_endpoints_sealed_secrets(struct pst_db_conn *conn, int64_t organization_pk,
                                      pst_str key_id, int64_t after_pk, size_t limit,
                                      struct pst_arena *arena, struct pst_sealed **out,
                                      size_t *count, struct pst_err *err)
{
    const struct pst_sealed_query query = {PST_STR(PST_SEALED_IN("endpoint", "secrets")),
                                           "whk_",
                                           organization_pk,
                                           key_id,
                                           after_pk,
                                           limit};
    return pst_sealed_list(conn, &query, arena, out, count, err);
}

pst_code pst_endpoints_sealed_headers(struct pst_db_conn *conn, int64_t organization_pk,
                                      pst_str key_id, int64_t after_pk, size_t limit,
                                      struct pst_arena *arena, struct pst_sealed **out,
                                      size_t *count, struct pst_err *err)
{
    const struct pst_sealed_query query = {PST_STR(PST_SEALED_IN("endpoint", "headers")),
                                           "whk_",
                                           organization_pk,
                                           key_id,
                                           after_pk,
                                           limit};
    return pst_sealed_list(conn, &query, arena, out, count, err);
}

static pst_code reseal(struct pst_db_conn *conn, pst_str sql, int64_t pk, pst_str before,
                       pst_str after, struct pst_err *err)
{
    bool changed = false;
    PST_TRY(pst_sealed_replace(conn, sql, pk, before, after, &changed, err));
    return changed ? PST_OK
                   : PST_FAIL(err, PST_E_CONFLICT, "the webhook's secrets changed meanwhile");
}

pst_code pst_endpoints_reseal_secrets(struct pst_db_conn *conn, int64_t pk, pst_str before,
                                      pst_str after, struct pst_err *err)
{
    return reseal(conn, PST_STR("UPDATE endpoint SET secrets = ?3 WHERE pk = ?1 AND secrets = ?2"),
                  pk, before, after, err);
}

pst_code pst_endpoints_reseal_headers(struct pst_db_conn *conn, int64_t pk, pst_str before,
                                      pst_str after, struct pst_err *err)
{
    return reseal(conn, PST_STR("UPDATE endpoint SET headers = ?3 WHERE pk = ?1 AND headers = ?2"),
                  pk, before, after, err);
}

/* ---- how it fares ---- */

pst_code pst_endpoints_set_health(struct pst_db_conn *conn, int64_t pk, int64_t version,
                                  const struct pst_endpoint_health *h, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE endpoint SET failures = ?2, failing_since = ?3,"
                                " open_since = ?4, probe_at = ?5, open_step = ?6, open_us = ?7,"
                                " disabled_at = ?8, disabled_reason = ?9, last_success_at = ?10,"
                                " last_failure_at = ?11, last_error = ?12"
                                " WHERE pk = ?1 AND version = ?13 AND deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_i64(st, 2, h->failures);
    pst_stmt_bind_wall(st, 3, h->failing_since);
    pst_stmt_bind_wall(st, 4, h->open_since);
    pst_stmt_bind_wall(st, 5, h->probe_at);
    pst_stmt_bind_i64(st, 6, h->open_step);
    pst_stmt_bind_i64(st, 7, h->open_us);
    pst_stmt_bind_wall(st, 8, h->disabled_at);
    pst_stmt_bind_str(st, 9, h->disabled_reason);
    pst_stmt_bind_wall(st, 10, h->last_success_at);
    pst_stmt_bind_wall(st, 11, h->last_failure_at);
    pst_stmt_bind_str(st, 12, h->last_error);
    pst_stmt_bind_i64(st, 13, version);
    PST_TRY(pst_stmt_run(st, &changes, err));
    return changes ? PST_OK : changed_or_gone(conn, pk, err);
}

pst_code pst_endpoints_totals(struct pst_db_conn *conn, struct pst_endpoint_totals *out,
                              struct pst_err *err)
{
    const struct {
        pst_str sql;
        int64_t *out;
    } all[] = {
        {PST_STR("SELECT count(*) FROM endpoint WHERE deleted_at IS NULL"), &out->endpoints},
        {PST_STR("SELECT count(*) FROM endpoint WHERE deleted_at IS NULL"
                 " AND disabled_at IS NOT NULL"),
         &out->disabled},
        {PST_STR("SELECT count(*) FROM endpoint WHERE deleted_at IS NULL AND disabled_at IS NULL"
                 " AND failing_since IS NOT NULL"),
         &out->failing},
    };
    for (size_t i = 0; i < PST_COUNT(all); i++)
        PST_TRY(pst_row_int(conn, all[i].sql, NULL, 0, all[i].out, err));
    return PST_OK;
}

/* ---- choices ---- */

pst_code pst_endpoints_choose(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t connection_pk,
                              pst_str events, bool is_default, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    const int64_t of[] = {endpoint_pk, connection_pk};
    if (is_default)
        return pst_row_run(conn,
                           PST_STR("DELETE FROM endpoint_choice"
                                   " WHERE endpoint_pk = ?1 AND connection_pk = ?2"),
                           of, 2, NULL, err);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO endpoint_choice (endpoint_pk, connection_pk, events)"
                                " VALUES (?1, ?2, ?3) ON CONFLICT (endpoint_pk, connection_pk)"
                                " DO UPDATE SET events = excluded.events"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, endpoint_pk);
    pst_stmt_bind_i64(st, 2, connection_pk);
    pst_stmt_bind_str(st, 3, events);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_endpoints_choice(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t connection_pk,
                              struct pst_arena *arena, pst_str *events, bool *chosen,
                              struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT events FROM endpoint_choice"
                                " WHERE endpoint_pk = ?1 AND connection_pk = ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, endpoint_pk);
    pst_stmt_bind_i64(st, 2, connection_pk);
    PST_TRY(pst_stmt_step(st, chosen, err));
    return *chosen ? pst_row_text(st, 0, arena, events, err) : PST_OK;
}
