/* db/migrate.c: bring the schema up to date, one transaction per step.
 *
 * What was applied is kept with a checksum of its text: a step that was edited after release
 * is told from one that was never applied.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "db/driver.h"
#include "os/clock.h"

static void checksum_of(char out[33], pst_str sql)
{
    XXH128_hash_t h = XXH3_128bits(sql.ptr, sql.len);
    (void)snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high64,
                   (unsigned long long)h.low64);
}

static pst_code make_table(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(conn,
                              PST_STR("CREATE TABLE IF NOT EXISTS schema_migration ("
                                      " number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                                      " checksum TEXT NOT NULL, applied_at INTEGER NOT NULL"
                                      ") STRICT"),
                              err);
}

/* *applied: whether the store has this step. Errors: CONFLICT when it has another one. */
static pst_code check_step(struct pst_db_conn *conn, const struct pst_migration *m, bool *applied,
                           struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    char sum[33];
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT checksum FROM schema_migration WHERE number = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, m->number);
    PST_TRY(pst_stmt_step(st, applied, err));
    if (!*applied)
        return PST_OK;
    checksum_of(sum, m->sql);
    if (!pst_str_is(pst_stmt_str(st, 0), sum))
        return PST_FAIL(err, PST_E_CONFLICT,
                        "migration %d '%s' of this store was another one when it was applied",
                        m->number, m->name);
    return PST_OK;
}

static pst_code apply_step(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_migration *m = arg;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool applied = false;
    char sum[33];
    PST_TRY(check_step(conn, m, &applied, err));
    if (applied)
        return PST_OK;
    PST_TRY(pst_db_exec_script(conn, m->sql, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO schema_migration (number, name, checksum, applied_at)"
                                " VALUES (?1, ?2, ?3, ?4)"),
                        &st, err));
    checksum_of(sum, m->sql);
    pst_stmt_bind_i64(st, 1, m->number);
    pst_stmt_bind_str(st, 2, pst_str_from(m->name));
    pst_stmt_bind_str(st, 3, pst_str_from(sum));
    pst_stmt_bind_wall(st, 4, pst_wall_now());
    return pst_stmt_run(st, NULL, err);
}

static pst_code check_newest(struct pst_db_conn *conn, size_t count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT max(number) FROM schema_migration"), &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    if (pst_stmt_i64(st, 0) > (int64_t)count)
        return PST_FAIL(err, PST_E_CONFLICT,
                        "the store is of a newer version (schema %lld, this program knows %zu)",
                        (long long)pst_stmt_i64(st, 0), count);
    return PST_OK;
}

pst_code pst_db_migrate(struct pst_db *db, const struct pst_migration *list, size_t count,
                        struct pst_err *err)
{
    PST_TRY(pst_db_write_direct(db, make_table, NULL, err));
    PST_TRY(check_newest(&db->writer, count, err));
    for (size_t i = 0; i < count; i++) {
        struct pst_migration step = list[i];
        if (step.number != (int)i + 1)
            return PST_FAIL(err, PST_E_INTERNAL, "migration %zu has the number %d", i + 1,
                            step.number);
        pst_code code = pst_db_write_direct(db, apply_step, &step, err);
        if (code != PST_OK)
            return pst_err_wrap(err, "migration %d '%s'", step.number, step.name);
    }
    return PST_OK;
}
