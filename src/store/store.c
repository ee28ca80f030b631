/* store/store.c: opening, backup, restore, and a look at whether the contents agree. */
#include "store/store.h"

#include "store/incidents.h"
#include "store/rows.h"
#include "store/schema.h"

enum { CHECK_BYTES = 256 << 20, SCHEMA_OF_FEED = 2, SCHEMA_OF_LANES = 3 };

static pst_code update_tables(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_tables_update(conn, err);
}

pst_code pst_store_open(struct pst_db **out, const struct pst_db_options *options,
                        struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    struct pst_db_options o = *options;
    size_t count = 0;
    const struct pst_migration *list = pst_schema_migrations(&count);
    if (o.check_bytes == 0)
        o.check_bytes = CHECK_BYTES;
    PST_TRY(pst_db_open(&db, &o, err));
    PST_TRY(pst_db_migrate(db, list, count, err));
    PST_TRY(pst_db_write_direct(db, update_tables, NULL, err));
    *out = PST_TAKE(db);
    return PST_OK;
}

/* ---- backup ---- */

/* 0: no migration was ever applied. */
static pst_code read_schema(struct pst_db_conn *conn, int *schema, struct pst_err *err)
{
    int64_t number = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                                " AND name = 'schema_migration'"),
                        NULL, 0, &number, err));
    if (number)
        PST_TRY(pst_row_int(conn, PST_STR("SELECT coalesce(max(number), 0) FROM schema_migration"),
                            NULL, 0, &number, err));
    *schema = (int)number;
    return PST_OK;
}

static pst_code check_schema(struct pst_db_conn *conn, struct pst_backup_info *out,
                             struct pst_err *err)
{
    size_t known = 0;
    (void)pst_schema_migrations(&known);
    PST_TRY(read_schema(conn, &out->schema, err));
    if (out->schema < 1)
        return PST_FAIL(err, PST_E_CORRUPT, "the backup has no schema");
    if (out->schema > (int)known)
        return PST_FAIL(err, PST_E_CONFLICT,
                        "the backup is of a newer version (schema %d, this program knows %zu)",
                        out->schema, known);
    return PST_OK;
}

static pst_code read_info(struct pst_db_conn *conn, struct pst_backup_info *out,
                          struct pst_err *err)
{
    int64_t newest = 0;
    PST_TRY(pst_row_int(conn, PST_STR("SELECT count(*) FROM organization"), NULL, 0,
                        &out->organizations, err));
    PST_TRY(pst_row_int(conn, PST_STR("SELECT count(*) FROM connection WHERE deleted_at IS NULL"),
                        NULL, 0, &out->connections, err));
    PST_TRY(pst_row_int(conn, PST_STR("SELECT coalesce(sum(records), 0) FROM stream"), NULL, 0,
                        &out->records, err));
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT coalesce(max((SELECT at FROM change"
                                " WHERE connection_pk = c.pk ORDER BY seq DESC LIMIT 1)), 0)"
                                " FROM connection c"),
                        NULL, 0, &newest, err));
    out->newest_change = PST_WALL_NONE;
    if (newest)
        out->newest_change = (pst_wall){newest};
    int64_t bytes = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT page_count * page_size FROM pragma_page_count(),"
                                " pragma_page_size()"),
                        NULL, 0, &bytes, err));
    out->bytes = (uint64_t)bytes;
    return PST_OK;
}

static pst_code look_at_backup(const char *path, bool is_checked, struct pst_backup_info *out,
                               struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *conn = NULL;
    struct pst_backup_info info = {0};
    PST_TRY(pst_db_peek_new(path, &conn, err));
    if (!is_checked)
        PST_TRY(pst_db_check(conn, err));
    PST_TRY(check_schema(conn, &info, err));
    PST_TRY(read_info(conn, &info, err));
    *out = info;
    return PST_OK;
}

pst_code pst_store_verify(const char *path, struct pst_backup_info *out, struct pst_err *err)
{
    return look_at_backup(path, false, out, err);
}

pst_code pst_store_backup(struct pst_db *db, const char *path, struct pst_backup_info *out,
                          struct pst_err *err)
{
    PST_TRY(pst_db_backup(db, path, err));
    return look_at_backup(path, true, out, err);
}

pst_code pst_store_look(struct pst_db **out, const char *path, int *schema, int *known,
                        struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(db_reader) struct pst_db_conn *conn = NULL;
    const struct pst_db_options o = {.path = path, .read_only = true};
    size_t count = 0;
    (void)pst_schema_migrations(&count);
    PST_TRY(pst_db_open(&db, &o, err));
    PST_TRY(pst_db_reader_new(db, &conn, err));
    PST_TRY(read_schema(conn, schema, err));
    pst_db_reader_free(PST_TAKE(conn));
    *known = (int)count;
    *out = PST_TAKE(db);
    return PST_OK;
}

/* ---- restore ---- */

struct anew {
    pst_wall now;
    int schema; /* of the backup */
};

/* What the replaced state numbered (changes, deliveries of a lane) differs from what these numbers
 * will mean, and it may be gone, or one of several that went on from this backup. The time is ahead
 * of them all: no store commits a million changes per second from 1970 on. */
static pst_code begin_anew(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct anew *a = arg;
    PST_TRY(pst_row_run(conn, PST_STR("UPDATE connection SET last_seq = max(last_seq + 1, ?1)"),
                        &a->now.us, 1, NULL, err));
    if (a->schema >= SCHEMA_OF_FEED)
        PST_TRY(pst_row_run(conn, PST_STR("DELETE FROM change"), NULL, 0, NULL, err));
    if (a->schema >= SCHEMA_OF_LANES)
        PST_TRY(pst_row_run(conn,
                            PST_STR("UPDATE lane SET last_sequence = max(last_sequence + 1, ?1)"),
                            &a->now.us, 1, NULL, err));
    /* What lies between the backup and now was not time off. */
    return pst_status_seen_put(conn, a->now, err);
}

pst_code pst_store_restore(const char *backup, const char *path, pst_wall now,
                           struct pst_backup_info *out, char kept[PST_DB_PATH], struct pst_err *err)
{
    PST_TRY(pst_store_verify(backup, out, err));
    struct anew a = {.now = now, .schema = out->schema};
    return pst_db_restore(backup, path, begin_anew, &a, kept, err);
}
