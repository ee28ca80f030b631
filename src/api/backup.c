/* api/backup.c: a copy of the store, made by the server itself while it goes on; the operator's. */
#include "api/internal.h"

struct note {
    struct pst_api_call *call;
    pst_str path;
};

static pst_code note_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct note *n = arg;
    return pst_api_audit(conn, n->call, "store.backup", n->path, PST_STR(""), err);
}

/* The sandbox lets the server write to few directories; more are an option. */
static pst_code copy_store(struct pst_api_call *call, pst_str path, struct pst_backup_info *info,
                           struct pst_err *err)
{
    pst_code rc = pst_store_backup(call->api->options.db, path.ptr, info, err);
    if (rc != PST_E_DENIED)
        return rc;
    return PST_FAIL_AT(err, PST_E_DENIED, "path",
                       "the server may not write to '%.*s': list its directory in the option "
                       "'backup_dirs', or see to its permissions",
                       PST_STR_ARG(path));
}

pst_code pst_api_create_backup(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"path", NULL};
    struct pst_json_writer w;
    struct pst_backup_info info;
    struct note n = {.call = call};
    pst_str path;
    PST_TRY(pst_json_only(call->body, "backup", members, err));
    PST_TRY(pst_json_need_str(call->body, "path", &n.path, err));
    if (n.path.ptr[0] != '/' || memchr(n.path.ptr, '\0', n.path.len))
        return PST_FAIL_AT(err, PST_E_INVALID, "path", "'path' begins at the root, with '/'");
    PST_TRY(pst_arena_dup(call->arena, &path, n.path, err));
    PST_TRY(copy_store(call, path, &info, err));
    PST_TRY(pst_db_write(call->api->options.db, note_in_job, &n, err));
    pst_api_begin(call, &w);
    pst_json_add_str(&w, "path", path);
    pst_json_add_i64(&w, "bytes", (int64_t)info.bytes);
    pst_json_add_i64(&w, "schema", info.schema);
    pst_json_add_i64(&w, "organizations", info.organizations);
    pst_json_add_i64(&w, "connections", info.connections);
    pst_json_add_i64(&w, "records", info.records);
    pst_json_add_wall(&w, "newest_change", info.newest_change);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
