/* sync/columns.c: whether the columns of a stream's source are those of before. What they were is
 * kept with the stream; a difference is told (schema.changed) in the transaction that keeps it. A
 * system that did not say is asked again in a day: it may take long over it, or count refusals. */
#include "codec/json.h"
#include "event/event.h"
#include "sync/internal.h"

#define DAY_US (24 * 3600 * PST_US_PER_S)

enum { COLUMNS_BYTES = 1 << 20, ARENA_BYTES = 16 << 20 };

/* Asking once: what was known before, what is said now, and what is new about it. */
struct look {
    struct pst_run *run;
    const struct pst_sync_stream *stream;
    const struct pst_stream *def;
    struct pst_arena *arena;
    struct pst_source_columns before, now;
    pst_wall asked_at; /* before; none = never */
    bool was_silent; /* it was asked, and did not say */
    bool told; /* it says now */
    struct pst_event_column *differences; /* room for all of both */
    size_t difference_count;
    struct pst_buf json; /* to be stored */
    pst_wall at;
};

static void pst_auto_look(struct look *l)
{
    pst_buf_fini(&l->json);
    pst_arena_free(l->arena);
}

static void write_columns(struct look *l)
{
    const struct pst_source_columns *columns = l->told ? &l->now : &l->before;
    struct pst_json_writer w;
    pst_buf_init(&l->json, COLUMNS_BYTES);
    pst_json_init(&w, &l->json);
    pst_json_begin_array(&w);
    if (!l->told)
        pst_json_put_null(&w);
    for (size_t i = 0; i < columns->count; i++) {
        const struct pst_source_column *c = &columns->items[i];
        pst_json_begin_array(&w);
        pst_json_put_str(&w, c->name);
        pst_json_put_str(&w, c->type);
        if (c->column.len > 0)
            pst_json_put_str(&w, c->column);
        pst_json_end_array(&w);
    }
    pst_json_end_array(&w);
}

static pst_code read_columns(struct look *l, pst_str json, struct pst_err *err)
{
    struct pst_source_columns *out = &l->before;
    yyjson_doc *doc = NULL;
    if (json.len == 0)
        return PST_OK;
    PST_TRY(pst_json_read(json, NULL, l->arena, &doc, err));
    yyjson_val *root = yyjson_doc_get_root(doc);
    PST_TRY(
        pst_arena_array(l->arena, &out->items, yyjson_arr_size(root), sizeof(*out->items), err));
    size_t i = 0;
    size_t n = 0;
    yyjson_val *pair = NULL;
    yyjson_arr_foreach(root, i, n, pair)
    {
        struct pst_source_column *c = &out->items[out->count];
        if (!pst_json_str(yyjson_arr_get(pair, 0), &c->name)) {
            l->was_silent = true;
            continue;
        }
        (void)pst_json_str(yyjson_arr_get(pair, 1), &c->type);
        (void)pst_json_str(yyjson_arr_get(pair, 2), &c->column);
        out->count++;
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

/* A clock that was put back makes nobody wait for it. */
static bool was_asked_today(const struct look *l)
{
    int64_t age_us = l->at.us - l->asked_at.us;
    return !pst_wall_is_none(l->asked_at) && age_us >= 0 && age_us < DAY_US;
}

static pst_code begin_look(struct look *l, struct pst_err *err)
{
    struct pst_stream_state state = {.columns_at = PST_WALL_NONE};
    bool found = false;
    PST_TRY(pst_arena_new(&l->arena, ARENA_BYTES, err));
    PST_TRY(pst_streams_get(l->run->w->reader, l->run->connection.pk, l->stream->entity, l->arena,
                            &state, &found, err));
    l->asked_at = state.columns_at;
    return read_columns(l, state.columns, err);
}

static pst_code ask(struct look *l, struct pst_err *err)
{
    const struct pst_run *run = l->run;
    struct pst_connector_ctx ctx = run->system.ctx;
    struct pst_err why;
    ctx.deadline = pst_mono_after_ms(pst_sync_mono(run->w->e), run->w->e->options.page_timeout_ms);
    pst_code rc =
        run->system.ops->describe(run->system.connector, &ctx, l->def, l->arena, &l->now, &why);
    l->told = rc == PST_OK;
    if (rc == PST_E_REAUTH || rc == PST_E_CANCELLED || rc == PST_E_NO_MEMORY) {
        *err = why;
        return rc;
    }
    return PST_OK;
}

static pst_code look(struct look *l, struct pst_err *err)
{
    PST_TRY(ask(l, err));
    write_columns(l);
    PST_TRY(pst_buf_check(&l->json, err));
    if (l->told && l->before.count > 0) {
        PST_TRY(pst_arena_array(l->arena, &l->differences, l->before.count + l->now.count,
                                sizeof(*l->differences), err));
        compare(l);
    }
    return pst_run_write(l->run, store_look, l, err);
}

pst_code pst_run_look_at_columns(struct pst_run *run, const struct pst_sync_stream *stream,
                                 const struct pst_stream *def, struct pst_err *err)
{
    PST_AUTO(look)
    struct look l = {.run = run, .stream = stream, .def = def, .at = pst_sync_wall(run->w->e)};
    bool is_full = run->sync->mode == PST_SYNC_FULL;
    bool is_manual = run->sync->trigger == PST_SYNC_MANUAL;
    if (!run->system.ops->describe || stream->after_key.len > 0)
        return PST_OK; /* one that goes on was looked at when it began */
    PST_TRY(begin_look(&l, err));
    if (was_asked_today(&l) && !(is_full && (is_manual || !l.was_silent)))
        return PST_OK;
    return look(&l, err);
}

/* The names that pages have for them, in `arena`. */
static pst_code give_names(const struct pst_source_columns *columns, struct pst_arena *arena,
                           struct pst_columns *out, struct pst_err *err)
{
    pst_str *names = NULL;
    PST_TRY(pst_arena_array(arena, &names, columns->count, sizeof(*names), err));
    for (size_t i = 0; i < columns->count; i++) {
        const struct pst_source_column *c = &columns->items[i];
        PST_TRY(pst_arena_dup(arena, &names[i], c->column.len > 0 ? c->column : c->name, err));
    }
    *out = (struct pst_columns){names, columns->count};
    return PST_OK;
}

pst_code pst_run_find_columns(struct pst_run *run, const struct pst_sync_stream *stream,
                              const struct pst_stream *def, struct pst_known_columns *out,
                              struct pst_err *err)
{
    PST_AUTO(look)
    struct look l = {.run = run, .stream = stream, .def = def, .at = pst_sync_wall(run->w->e)};
    *out = (struct pst_known_columns){0};
    if (!run->system.ops->describe)
        return PST_OK;
    PST_TRY(begin_look(&l, err));
    if (!l.was_silent || !was_asked_today(&l))
        PST_TRY(look(&l, err));
    const struct pst_source_columns *known = l.told ? &l.now : &l.before;
    out->is_untold = known->count == 0;
    return give_names(known, run->w->arena, &out->columns, err);
}
