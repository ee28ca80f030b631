/* account/rotate.c: another data key for organizations, and their secrets sealed with it.
 *
 *   begin    a new key retires the one in force        one commit
 *   re-seal  what is sealed with another key           a commit for each batch
 *   end      the retired key, which seals nothing, goes   one commit
 *
 * Between any two of them every secret opens, with the key that its bytes name. A retired key says
 * that a rotation was broken off: the next one goes on with it instead of making another.
 */
#include "account/internal.h"
#include "base/num.h"
#include "store/connections.h"
#include "store/endpoints.h"

enum { ARENA_BYTES = 256 << 20, BATCH = 100, ORGANIZATIONS = 100 };

/* When a rotation of all organizations began; empty while there is none. */
static const pst_str mark = PST_STR_INIT("data_rotation");

/* Where secrets are sealed: one row for each column of the store. What is added here is added to
 * pst_data_keys_remove, too. */
static const struct sealed_column {
    pst_str field; /* of the place */
    pst_code (*list)(struct pst_db_conn *conn, int64_t organization_pk, pst_str key_id,
                     int64_t after_pk, size_t limit, struct pst_arena *arena,
                     struct pst_sealed **out, size_t *count, struct pst_err *err);
    pst_code (*reseal)(struct pst_db_conn *conn, int64_t pk, pst_str before, pst_str after,
                       struct pst_err *err);
} columns[] = {
    {PST_STR_INIT("credentials"), pst_connections_sealed, pst_connections_reseal},
    {PST_STR_INIT("secrets"), pst_endpoints_sealed_secrets, pst_endpoints_reseal_secrets},
    {PST_STR_INIT("headers"), pst_endpoints_sealed_headers, pst_endpoints_reseal_headers},
};

struct rotation {
    const struct pst_key *root;
    pst_str wanted; /* id or name, or "" */
    pst_wall now;
    pst_wall began; /* keys made since then are new enough; none: no key is */
    struct pst_arena *arena;
    struct pst_organization org; /* in work; pk 0: there is no further one */
    char key_id[PST_KEY_ID_TEXT]; /* that seals its secrets now; "": it has none */
    const struct sealed_column *column;
    int64_t after_pk; /* within the column */
    bool is_left; /* it has further rows */
    struct pst_data_rotation *out;
};

static struct pst_vault_place place_in(const struct rotation *r)
{
    return (struct pst_vault_place){.organization_pk = r->org.pk,
                                    .organization_id = pst_id_str(&r->org.id)};
}

/* ---- one organization ---- */

static pst_code begin(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    struct rotation *r = arg;
    struct pst_data_key now = {0};
    struct pst_vault_place place = place_in(r);
    int64_t retired = 0;
    struct pst_err get_err;
    r->key_id[0] = '\0';
    pst_arena_reset(r->arena);
    pst_code rc = pst_data_keys_get(conn, r->org.pk, PST_STR(""), r->arena, &now, &get_err);
    if (rc == PST_E_NOT_FOUND)
        return PST_OK;
    if (rc != PST_OK)
        *err = get_err;
    PST_TRY(rc);
    PST_TRY(pst_data_keys_retired(conn, r->org.pk, &retired, err));
    if (retired) {
        r->out->was_resumed = true;
    } else {
        if (!pst_wall_is_none(r->began) && now.created_at.us >= r->began.us)
            return PST_OK; /* done before the rotation was broken off */
        PST_TRY(pst_vault_make_key(conn, r->root, &place, r->now, r->arena, &key, err));
        now.key_id = pst_str_from(pst_key_id(key));
    }
    (void)pst_str_copy(r->key_id, sizeof(r->key_id), now.key_id);
    return PST_OK;
}

static pst_code reseal_one(struct pst_db_conn *conn, const struct rotation *r,
                           const struct pst_sealed *s, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    struct pst_vault_place place = place_in(r);
    pst_str fresh = {NULL, 0};
    place.row_id = pst_id_str(&s->row_id);
    place.field = r->column->field;
    PST_TRY(pst_vault_unseal(conn, r->root, &place, s->bytes, &plain, err));
    PST_TRY(pst_vault_seal(conn, r->root, &place, pst_secret_expose(plain), r->now, r->arena,
                           &fresh, err));
    return r->column->reseal(conn, s->pk, s->bytes, fresh, err);
}

static pst_code reseal_batch(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct rotation *r = arg;
    struct pst_sealed *items = NULL;
    size_t count = 0;
    pst_arena_reset(r->arena);
    PST_TRY(r->column->list(conn, r->org.pk, pst_str_from(r->key_id), r->after_pk, BATCH, r->arena,
                            &items, &count, err));
    for (size_t i = 0; i < count; i++)
        if (reseal_one(conn, r, &items[i], err) != PST_OK)
            return pst_err_wrap(err, "%.*s of %s", PST_STR_ARG(r->column->field),
                                items[i].row_id.text);
    r->is_left = count == BATCH;
    r->after_pk = count ? items[count - 1].pk : r->after_pk;
    r->out->secrets += (int64_t)count;
    return PST_OK;
}

static pst_code end(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct rotation *r = arg;
    const struct pst_audit entry = {
        .organization_pk = r->org.pk,
        .at = r->now,
        .actor = PST_STR("operator"),
        .action = PST_STR("data_key.rotate"),
        .object = pst_str_from(r->key_id),
    };
    int64_t pk = 0;
    PST_TRY(pst_data_keys_retired(conn, r->org.pk, &pk, err));
    while (pk) {
        PST_TRY(pst_data_keys_remove(conn, pk, err));
        PST_TRY(pst_data_keys_retired(conn, r->org.pk, &pk, err));
    }
    return pst_audit_add(conn, &entry, err);
}

static pst_code rotate_organization(struct pst_db *db, struct rotation *r, struct pst_err *err)
{
    PST_TRY(pst_db_write_direct(db, begin, r, err));
    if (!r->key_id[0])
        return PST_OK;
    for (size_t i = 0; i < PST_COUNT(columns); i++) {
        r->column = &columns[i];
        r->after_pk = 0;
        r->is_left = true;
        while (r->is_left)
            PST_TRY(pst_db_write_direct(db, reseal_batch, r, err));
    }
    PST_TRY(pst_db_write_direct(db, end, r, err));
    r->out->organizations++;
    return PST_OK;
}

/* ---- which organizations ---- */

static bool is_wanted(const struct rotation *r, const struct pst_organization *o)
{
    return r->wanted.len == 0 || pst_str_eq(r->wanted, pst_id_str(&o->id)) ||
           pst_str_eq(r->wanted, o->name);
}

/* The next one behind r->org. */
static pst_code find_next(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct rotation *r = arg;
    struct pst_organization *list = NULL;
    size_t count = 0;
    bool more = true;
    int64_t after = r->org.pk;
    r->org.pk = 0;
    while (more && !r->org.pk) {
        pst_arena_reset(r->arena);
        PST_TRY(pst_organizations_list(conn, after, ORGANIZATIONS, r->arena, &list, &count, &more,
                                       err));
        for (size_t i = 0; i < count && !r->org.pk; i++)
            if (is_wanted(r, &list[i]))
                r->org = list[i];
        after = count ? list[count - 1].pk : after;
    }
    r->org.name = (pst_str){NULL, 0}; /* lies in the arena */
    return PST_OK;
}

static pst_code find_begin(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct rotation *r = arg;
    char text[24];
    pst_str value = {NULL, 0};
    bool found = false;
    PST_TRY(pst_meta_get(conn, mark, r->arena, &value, &found, err));
    r->out->was_resumed = value.len > 0;
    r->began = r->now;
    if (value.len > 0 && !pst_parse_i64(&r->began.us, value, INT64_MIN, INT64_MAX))
        return PST_FAIL(err, PST_E_CORRUPT, "the store's note of a rotation is damaged");
    if (value.len > 0)
        return PST_OK;
    (void)snprintf(text, sizeof(text), "%lld", (long long)r->now.us);
    return pst_meta_put(conn, mark, pst_str_from(text), err);
}

static pst_code forget_begin(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_meta_put(conn, mark, PST_STR(""), err);
}

pst_code pst_vault_rotate_data(struct pst_db *db, const struct pst_key *root, pst_str organization,
                               pst_wall now, struct pst_data_rotation *out, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct rotation r = {
        .root = root, .wanted = organization, .now = now, .began = PST_WALL_NONE, .out = out};
    bool found = false;
    *out = (struct pst_data_rotation){0};
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    r.arena = arena;
    if (organization.len == 0)
        PST_TRY(pst_db_write_direct(db, find_begin, &r, err));
    PST_TRY(pst_db_write_direct(db, find_next, &r, err));
    for (; r.org.pk; found = true) {
        PST_TRY(rotate_organization(db, &r, err));
        PST_TRY(pst_db_write_direct(db, find_next, &r, err));
    }
    if (organization.len == 0)
        return pst_db_write_direct(db, forget_begin, &r, err);
    if (!found)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no organization '%.*s'",
                        PST_STR_ARG(organization));
    return PST_OK;
}
