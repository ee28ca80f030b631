/* tests/faults/look.c: what a store holds, as one number, and whether it is sound. */
#include <sqlite3.h>

#include "app/internal.h"
#include "db/driver.h"
#include "os/file.h"
#include "tests/faults/day.h"

/* ---- fingerprints ---- */

struct look {
    struct pst_db_conn *conn;
    bool with_chance;
    uint64_t hash;
};

static void add_bytes(struct look *k, const void *bytes, size_t len)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < len; i++)
        k->hash = (k->hash ^ b[i]) * 0x100000001b3U;
    k->hash = (k->hash ^ len) * 0x100000001b3U;
}

static bool is_chance(const char *table, const char *column)
{
    static const char *const columns[][2] = {{"meta", "value"},
                                             {"data_key", "key_id"},
                                             {"data_key", "wrapped"},
                                             {"connection", "credentials"},
                                             {"schema_migration", "applied_at"}};
    for (size_t i = 0; i < PST_COUNT(columns); i++)
        if (strcmp(table, columns[i][0]) == 0 && strcmp(column, columns[i][1]) == 0)
            return true;
    return false;
}

static void add_row(struct look *k, const char *table, sqlite3_stmt *st)
{
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        if (!k->with_chance && is_chance(table, sqlite3_column_name(st, i)))
            continue;
        int type = sqlite3_column_type(st, i);
        const void *bytes = sqlite3_column_blob(st, i);
        add_bytes(k, &type, sizeof(type));
        add_bytes(k, bytes, (size_t)sqlite3_column_bytes(st, i));
    }
}

static pst_code add_table(struct look *k, const char *table, struct pst_err *err)
{
    char sql[192];
    sqlite3_stmt *st = NULL;
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\"", table);
    /* A rotation that a fault broke off is done again: how often it is noted is chance, too. */
    if (!k->with_chance && strcmp(table, "audit") == 0)
        (void)snprintf(sql, sizeof(sql),
                       "SELECT organization_pk, at, actor, action, object, request_id, detail"
                       " FROM audit WHERE action <> 'root_key.rotate' ORDER BY pk");
    int rc = sqlite3_prepare_v2(k->conn->handle, sql, -1, &st, NULL);
    add_bytes(k, table, strlen(table));
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        add_row(k, table, st);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(st);
    return rc == SQLITE_DONE ? PST_OK : pst_db_fail(k->conn, sql, err);
}

pst_code day_fingerprint(struct pst_db_conn *conn, bool with_chance, uint64_t *out,
                         struct pst_err *err)
{
    struct look k = {.conn = conn, .with_chance = with_chance, .hash = 0xcbf29ce484222325U};
    sqlite3_stmt *st = NULL;
    pst_code code = PST_OK;
    /* sqlite_sequence is made by chance: with the first AUTOINCREMENT table. */
    int rc = sqlite3_prepare_v2(conn->handle,
                                "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"
                                " ORDER BY name",
                                -1, &st, NULL);
    while (rc == SQLITE_OK && code == PST_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        add_bytes(&k, sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
        code = add_table(&k, (const char *)sqlite3_column_text(st, 0), err);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(st);
    if (code == PST_OK && rc != SQLITE_DONE)
        code = pst_db_fail(conn, "schema", err);
    *out = k.hash;
    return code;
}

/* ---- soundness ---- */

struct findings {
    char *words;
    size_t size;
};

static void keep_finding(void *self, pst_str text)
{
    struct findings *f = self;
    (void)snprintf(f->words, f->size, "%.*s", PST_STR_ARG(text));
}

static pst_code check_contents(struct pst_db *db, struct findings *f, struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    int64_t findings = 0;
    PST_TRY(pst_db_reader_new(db, &reader, err));
    PST_TRY(pst_db_check(reader, err));
    PST_TRY(pst_store_audit(reader, keep_finding, f, &findings, err));
    return findings ? PST_FAIL(err, PST_E_CORRUPT, "%s", f->words) : PST_OK;
}

/* As a start of the server does it: the key, the store, the store's mark. */
static pst_code check_all(const struct day *d, bool needs_key, struct findings *f,
                          struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(key) struct pst_key *root = NULL;
    const struct pst_db_options o = {.path = d->store, .create = true};
    const struct pst_paths paths = {.key_file = pst_str_from(d->key_file)};
    bool created = false;
    PST_TRY(pst_key_load_or_create(&root, d->key_file, &created, err));
    if (created && needs_key)
        return PST_FAIL(err, PST_E_NOT_FOUND, "the root key is gone");
    PST_TRY(pst_store_open(&db, &o, err));
    PST_TRY(pst_start_vault(db, &root, &paths, err));
    return check_contents(db, f, err);
}

bool day_is_sound(const char *dir, bool needs_key, char *words, size_t size)
{
    struct day d = {0};
    struct pst_err err = {0};
    struct findings f = {words, size};
    words[0] = '\0';
    (void)snprintf(d.store, sizeof(d.store), "%s/store.db", dir);
    (void)snprintf(d.key_file, sizeof(d.key_file), "%s/root.key", dir);
    if (check_all(&d, needs_key, &f, &err) == PST_OK)
        return true;
    (void)snprintf(words, size, "%s: %s", pst_code_name(err.code), err.msg);
    return false;
}
