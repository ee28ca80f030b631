/* account/vault.c: secrets of organizations under the root key. */
#include "account/internal.h"

enum { ARENA_BYTES = 1 << 20, ROTATE_BATCH = 200 };

static const char canary_name[] = "canary";

static struct pst_seal_place seal_place(const struct pst_vault_place *p)
{
    return (struct pst_seal_place){
        .organization_id = p->organization_id, .row_id = p->row_id, .field = p->field};
}

pst_code pst_vault_make_key(struct pst_db_conn *conn, const struct pst_key *root,
                            const struct pst_vault_place *place, pst_wall now,
                            struct pst_arena *arena, struct pst_key **out, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    struct pst_data_key row = {.organization_pk = place->organization_pk, .created_at = now};
    PST_TRY(pst_key_generate(&key, err));
    PST_TRY(pst_key_wrap(arena, &row.wrapped, root, key, place->organization_id, err));
    row.key_id = pst_str_from(pst_key_id(key));
    PST_TRY(pst_data_keys_add(conn, &row, err));
    *out = PST_TAKE(key);
    return PST_OK;
}

/* key_id "": the one that seals now. */
static pst_code open_data_key(struct pst_db_conn *conn, const struct pst_key *root,
                              const struct pst_vault_place *place, pst_str key_id,
                              struct pst_arena *arena, struct pst_key **out, struct pst_err *err)
{
    struct pst_data_key row;
    PST_TRY(pst_data_keys_get(conn, place->organization_pk, key_id, arena, &row, err));
    return pst_key_unwrap(out, root, row.wrapped, place->organization_id, err);
}

pst_code pst_vault_seal(struct pst_db_conn *conn, const struct pst_key *root,
                        const struct pst_vault_place *place, pst_str plain, pst_wall now,
                        struct pst_arena *arena, pst_str *out, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    struct pst_seal_place where = seal_place(place);
    struct pst_err get_err;
    pst_code rc = open_data_key(conn, root, place, PST_STR(""), arena, &key, &get_err);
    if (rc == PST_E_NOT_FOUND) {
        PST_TRY(pst_vault_make_key(conn, root, place, now, arena, &key, err));
    } else if (rc != PST_OK) {
        *err = get_err;
        return rc;
    }
    return pst_seal(arena, out, key, &where, plain, err);
}

pst_code pst_vault_unseal(struct pst_db_conn *conn, const struct pst_key *root,
                          const struct pst_vault_place *place, pst_str sealed,
                          struct pst_secret **out, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(key) struct pst_key *key = NULL;
    struct pst_seal_place where = seal_place(place);
    char key_id[PST_KEY_ID_TEXT];
    if (!pst_seal_key_id(key_id, sealed))
        return PST_FAIL(err, PST_E_CORRUPT, "the stored %.*s of '%.*s' are damaged",
                        PST_STR_ARG(place->field), PST_STR_ARG(place->row_id));
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(open_data_key(conn, root, place, pst_str_from(key_id), arena, &key, err));
    return pst_unseal(out, key, &where, sealed, err);
}

/* ---- the mark of the root key ---- */

static pst_code put_canary(struct pst_db_conn *conn, const struct pst_key *root,
                           struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    pst_str canary = {0};
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_canary_make(arena, &canary, root, err));
    return pst_meta_put(conn, pst_str_from(canary_name), canary, err);
}

static pst_code check_canary(struct pst_db_conn *conn, const struct pst_key *root, bool *found,
                             struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    pst_str canary = {0};
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_meta_get(conn, pst_str_from(canary_name), arena, &canary, found, err));
    return *found ? pst_canary_check(root, canary, err) : PST_OK;
}

pst_code pst_vault_check(struct pst_db_conn *conn, const struct pst_key *root, struct pst_err *err)
{
    bool found = false;
    return check_canary(conn, root, &found, err);
}

pst_code pst_vault_key_id(struct pst_db_conn *conn, char out[PST_KEY_ID_TEXT], struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    pst_str canary = {0};
    bool found = false;
    out[0] = '\0';
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_meta_get(conn, pst_str_from(canary_name), arena, &canary, &found, err));
    if (found && !pst_seal_key_id(out, canary))
        return PST_FAIL(err, PST_E_CORRUPT, "the store's record of its root key is damaged");
    return PST_OK;
}

struct open_job {
    const struct pst_key *root;
};

static pst_code open_store(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    const struct open_job *job = arg;
    struct pst_data_key *keys = NULL;
    size_t count = 0;
    bool found = false;
    bool more = false;
    PST_TRY(check_canary(conn, job->root, &found, err));
    if (found)
        return PST_OK;
    /* Without a mark there must be nothing that another key could have sealed. */
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_data_keys_list(conn, 0, 1, arena, &keys, &count, &more, err));
    if (count > 0)
        return PST_FAIL(err, PST_E_CORRUPT,
                        "the store holds sealed secrets, but not the mark of their root key");
    return put_canary(conn, job->root, err);
}

pst_code pst_vault_open(struct pst_db *db, const struct pst_key *root, struct pst_err *err)
{
    struct open_job job = {.root = root};
    return pst_db_write_direct(db, open_store, &job, err);
}

struct rotate_job {
    const struct pst_key *old_root;
    const struct pst_key *new_root;
    pst_wall now;
    int64_t count;
};

static pst_code note_rotation(struct pst_db_conn *conn, const struct rotate_job *job,
                              struct pst_err *err)
{
    const struct pst_audit entry = {
        .at = job->now,
        .actor = PST_STR("operator"),
        .action = PST_STR("root_key.rotate"),
        .object = pst_str_from(pst_key_id(job->new_root)),
    };
    return pst_audit_add(conn, &entry, err);
}

static pst_code rewrap_batch(struct pst_db_conn *conn, struct rotate_job *job,
                             const struct pst_data_key *keys, size_t count, struct pst_arena *arena,
                             struct pst_err *err)
{
    for (size_t i = 0; i < count; i++) {
        pst_str wrapped = {0};
        if (pst_key_rewrap(arena, &wrapped, job->old_root, job->new_root, keys[i].wrapped,
                           pst_id_str(&keys[i].organization_id), err) != PST_OK)
            return pst_err_wrap(err, "data key of %s", keys[i].organization_id.text);
        PST_TRY(pst_data_keys_rewrap(conn, keys[i].pk, wrapped, err));
        job->count++;
    }
    return PST_OK;
}

static pst_code rotate(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct rotate_job *job = arg;
    int64_t after = 0;
    bool more = true;
    job->count = 0;
    PST_TRY(pst_vault_check(conn, job->old_root, err));
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    while (more) {
        struct pst_data_key *keys = NULL;
        size_t count = 0;
        pst_arena_reset(arena);
        PST_TRY(pst_data_keys_list(conn, after, ROTATE_BATCH, arena, &keys, &count, &more, err));
        PST_TRY(rewrap_batch(conn, job, keys, count, arena, err));
        if (count == 0)
            break;
        after = keys[count - 1].pk;
    }
    PST_TRY(note_rotation(conn, job, err));
    return put_canary(conn, job->new_root, err);
}

pst_code pst_vault_rotate_root(struct pst_db *db, const struct pst_key *old_root,
                               const struct pst_key *new_root, pst_wall now, int64_t *count,
                               struct pst_err *err)
{
    struct rotate_job job = {.old_root = old_root, .new_root = new_root, .now = now};
    PST_TRY(pst_db_write_direct(db, rotate, &job, err));
    if (count)
        *count = job.count;
    return PST_OK;
}
