/* api/connection_move.c: what a change of a connection's config means for what it has.
 *
 * Another address must not get the credentials that were given for the old one. Another address,
 * zone or choice of rows makes the checkpoints worthless: what they say was read was read from
 * something else. */
#include "api/internal.h"

/* Scheme, host and port of an address, as text; "" where there is none. */
static pst_str origin_of(yyjson_val *config, pst_str name)
{
    pst_str url = {NULL, 0};
    size_t slashes = 0;
    (void)pst_json_str(pst_json_get(config, name), &url);
    for (size_t i = 0; i < url.len; i++) {
        slashes += url.ptr[i] == '/';
        if (slashes == 3)
            return pst_str_sub(url, 0, i);
    }
    return url;
}

static pst_code member_text(struct pst_arena *a, yyjson_val *config, pst_str name, pst_str *out,
                            struct pst_err *err)
{
    struct pst_json_writer w;
    PST_AUTO(buf) struct pst_buf b = {.max = 1 << 20};
    pst_json_init(&w, &b);
    pst_json_put_val(&w, pst_json_get(config, name));
    PST_TRY(pst_json_finish(&w, err));
    return pst_arena_dup(a, out, pst_buf_str(&b), err);
}

pst_code pst_api_compare_config(const struct pst_api_call *call, const struct pst_manifest *m,
                                pst_str before, pst_str after, struct pst_api_move *out,
                                struct pst_err *err)
{
    yyjson_doc *old = NULL;
    yyjson_doc *new = NULL;
    *out = (struct pst_api_move){0};
    PST_TRY(pst_json_read(before, NULL, call->arena, &old, err));
    PST_TRY(pst_json_read(after, NULL, call->arena, &new, err));
    for (size_t i = 0; i < m->option_count; i++) {
        const struct pst_option *o = &m->options[i];
        yyjson_val *from = yyjson_doc_get_root(old);
        yyjson_val *to = yyjson_doc_get_root(new);
        pst_str was;
        pst_str is;
        PST_TRY(member_text(call->arena, from, o->name, &was, err));
        PST_TRY(member_text(call->arena, to, o->name, &is, err));
        if (o->is_credential || pst_str_eq(was, is))
            continue;
        bool moves = o->type == PST_OPTION_URL &&
                     !pst_str_eq_nocase(origin_of(from, o->name), origin_of(to, o->name));
        out->rereads |= o->is_reread;
        out->rechooses |= o->is_choice || (o->is_reread && moves);
        out->moves |= moves;
    }
    return PST_OK;
}

pst_code pst_api_rewind(struct pst_db_conn *conn, const struct pst_api_call *call,
                        int64_t connection_pk, bool unguarded, struct pst_err *err)
{
    struct pst_stream_state *streams = NULL;
    size_t count = 0;
    PST_TRY(pst_syncs_cancel_all(conn, connection_pk, call->now, err));
    PST_TRY(pst_streams_list(conn, connection_pk, call->arena, &streams, &count, err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(pst_streams_rewind(conn, streams[i].pk, PST_WALL_NONE, unguarded, err));
    return PST_OK;
}
