/* sync/columns.c: whether the columns of a stream's source are those of before. What they were is
 * kept with the stream; a difference is told (schema.changed) in the transaction that keeps it. */
#include "codec/json.h"
#include "event/event.h"
#include "sync/internal.h"

enum { LOOK_HOURS = 24, COLUMNS_BYTES = 1 << 20, ARENA_BYTES = 16 << 20 };

/* What is to be stored, and what is new about it. */
struct look {
    const struct pst_run *run;
    const struct pst_sync_stream *stream;
    struct pst_source_columns before, now;
    struct pst_event_column *differences; /* room for all of both */
    size_t difference_count;
    struct pst_buf json; /* of `now` */
    pst_wall at;
};

static void pst_auto_look(struct look *l)
{
    pst_buf_fini(&l->json);
}

static void write_columns(struct look *l)
{
    struct pst_json_writer w;
    pst_buf_init(&l->json, COLUMNS_BYTES);
    pst_json_init(&w, &l->json);
    pst_json_begin_array(&w);
    for (size_t i = 0; i < l->now.count; i++) {
        pst_json_begin_array(&w);
        pst_json_put_str(&w, l->now.items[i].name);
        pst_json_put_str(&w, l->now.items[i].type);
        pst_json_end_array(&w);
    }
    pst_json_end_array(&w);
}

static pst_code read_columns(pst_str json, struct pst_arena *arena, struct pst_source_columns *out,
                             struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    PST_TRY(pst_json_read(json, NULL, arena, &doc, err));
    yyjson_val *root = yyjson_doc_get_root(doc);
    PST_TRY(pst_arena_array(arena, &out->items, yyjson_arr_size(root), sizeof(*out->items), err));
    size_t i = 0;
    size_t n = 0;
    yyjson_val *pair = NULL;
    yyjson_arr_foreach(root, i, n, pair)
    {
        struct pst_source_column *c = &out->items[out->count++];
        (void)pst_json_str(yyjson_arr_get(pair, 0), &c->name);
        (void)pst_json_str(yyjson_arr_get(pair, 1), &c->type);
    }
    return PST_OK;
}

static const struct pst_source_column *find_column(const struct pst_source_columns *in,
                                                   pst_str name)
{
    for (size_t i = 0; i < in->count; i++)
        if (pst_str_eq(in->items[i].name, name))
            return &in->items[i];
    return NULL;
}

static void add_difference(struct look *l, pst_str name, pst_str before, pst_str after)
{
    l->differences[l->difference_count++] =
        (struct pst_event_column){.name = name, .before = before, .after = after};
}

/* A type that the system does not name is written as "?", so that a column is told from none. */
static pst_str type_of(const struct pst_source_column *c)
{
    return !c ? PST_STR("") : c->type.len ? c->type : PST_STR("?");
}

static void compare(struct look *l)
{
    for (size_t i = 0; i < l->now.count; i++) {
        const struct pst_source_column *c = &l->now.items[i];
        pst_str before = type_of(find_column(&l->before, c->name));
        if (!pst_str_eq(before, type_of(c)))
            add_difference(l, c->name, before, type_of(c));
    }
    for (size_t i = 0; i < l->before.count; i++) {
        const struct pst_source_column *c = &l->before.items[i];
        if (!find_column(&l->now, c->name))
            add_difference(l, c->name, type_of(c), PST_STR(""));
    }
}

static pst_code store_look(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct look *l = arg;
    PST_TRY(pst_streams_set_columns(conn, l->stream->stream_pk, pst_buf_str(&l->json), l->at, err));
    return pst_event_tell_schema(conn, l->run->connection.pk, l->stream->entity->name,
                                 l->differences, l->difference_count, l->at, err);
}

static bool is_due(const struct pst_run *run, const struct pst_stream_state *state, pst_wall now)
{
    int64_t age_us = now.us - state->columns_at.us;
    return run->sync->mode == PST_SYNC_FULL || pst_wall_is_none(state->columns_at) || age_us < 0 ||
           age_us >= LOOK_HOURS * 3600 * PST_US_PER_S;
}

/* *told: the system said it. */
static pst_code ask(struct pst_run *run, const struct pst_stream *def, struct pst_arena *arena,
                    struct pst_source_columns *out, bool *told, struct pst_err *err)
{
    struct pst_connector_ctx ctx = run->system.ctx;
    struct pst_err why;
    ctx.deadline = pst_mono_after_ms(pst_sync_mono(run->w->e), run->w->e->options.page_timeout_ms);
    pst_code rc = run->system.ops->describe(run->system.connector, &ctx, def, arena, out, &why);
    *told = rc == PST_OK;
    if (rc == PST_E_REAUTH || rc == PST_E_CANCELLED) {
        *err = why;
        return rc;
    }
    return PST_OK;
}

pst_code pst_run_look_at_columns(struct pst_run *run, const struct pst_sync_stream *stream,
                                 const struct pst_stream *def, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(look) struct look l = {.run = run, .stream = stream, .at = pst_sync_wall(run->w->e)};
    struct pst_stream_state state = {.columns_at = PST_WALL_NONE};
    bool found = false;
    bool told = false;
    if (!run->system.ops->describe || stream->after_key.len > 0)
        return PST_OK; /* one that goes on was looked at when it began */
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_streams_get(run->w->reader, run->connection.pk, stream->entity, arena, &state,
                            &found, err));
    if (!is_due(run, &state, l.at))
        return PST_OK;
    PST_TRY(ask(run, def, arena, &l.now, &told, err));
    if (!told)
        return PST_OK;
    write_columns(&l);
    PST_TRY(pst_buf_check(&l.json, err));
    if (state.columns.len > 0) {
        PST_TRY(read_columns(state.columns, arena, &l.before, err));
        PST_TRY(pst_arena_array(arena, &l.differences, l.before.count + l.now.count,
                                sizeof(*l.differences), err));
        compare(&l);
    }
    return pst_run_write(run, store_look, &l, err);
}
