/* sync/engine.c: the engine's life, and what other threads may ask of it. */
#include "base/alloc.h"
#include "sync/internal.h"

#define PROBE_MS 10000
#define PAGE_TIMEOUT_MS (15LL * 60 * 1000)

pst_code pst_sync_engine_new(struct pst_sync_engine **out, const struct pst_sync_options *options,
                             struct pst_err *err)
{
    if (options->workers < 1 || options->workers > 256)
        return PST_FAIL(err, PST_E_INVALID, "sync workers must be 1 to 256");
    PST_AUTO(sync_engine) struct pst_sync_engine *e = NULL;
    PST_TRY(pst_new((void **)&e, sizeof *e, err));
    PST_TRY(pst_new((void **)&e->slots, options->workers * sizeof *e->slots, err));
    e->options = *options;
    if (e->options.page_timeout_ms <= 0)
        e->options.page_timeout_ms = PAGE_TIMEOUT_MS;
    if (e->options.probe_ms <= 0)
        e->options.probe_ms = PROBE_MS;
    pst_sync_engine_retune(e, options->page_rows, options->overlap_ms,
                           options->delete_guard_percent);
    *out = PST_TAKE(e);
    return PST_OK;
}

struct pst_sync_note *pst_sync_take_notes(struct pst_sync_engine *e)
{
    struct pst_sync_note *newest = atomic_exchange(&e->notes, NULL);
    struct pst_sync_note *oldest = NULL;
    while (newest) {
        struct pst_sync_note *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void pst_sync_engine_free(struct pst_sync_engine *e)
{
    if (e == NULL)
        return;
    struct pst_sync_note *note = pst_sync_take_notes(e);
    while (note) {
        struct pst_sync_note *next = note->next;
        pst_free(note);
        note = next;
    }
    pst_free(e->slots);
    pst_free(e);
}

void pst_sync_engine_retune(struct pst_sync_engine *e, uint32_t page_rows, int64_t overlap_ms,
                            int delete_guard_percent)
{
    atomic_store(&e->page_rows, page_rows ? page_rows : 1);
    atomic_store(&e->overlap_ms, overlap_ms);
    atomic_store(&e->delete_guard_percent, delete_guard_percent);
}

void pst_sync_stop(struct pst_sync_engine *e)
{
    atomic_store(&e->stopping, true);
    for (unsigned i = 0; i < e->options.workers; i++)
        atomic_store(&e->slots[i].cancel, true);
    for (unsigned i = 0; i < e->options.workers; i++)
        e->options.host.ring(e->options.host.self, PST_SYNC_BELL_WORK);
    e->options.host.ring(e->options.host.self, PST_SYNC_BELL_SCHEDULER);
}

void pst_sync_work_added(struct pst_sync_engine *e)
{
    e->options.host.ring(e->options.host.self, PST_SYNC_BELL_WORK);
}

/* ---- the scheduler's inbox: a stack that is only pushed to and taken whole ---- */

void pst_sync_note(struct pst_sync_engine *e, enum pst_sync_note_kind kind, int64_t connection_pk)
{
    struct pst_sync_note *note = pst_malloc(sizeof *note);
    if (note) {
        *note = (struct pst_sync_note){
            .next = atomic_load(&e->notes), .kind = kind, .connection_pk = connection_pk};
        while (!atomic_compare_exchange_weak(&e->notes, &note->next, note))
            ;
    } else {
        atomic_store(&e->notes_lost, true);
    }
    e->options.host.ring(e->options.host.self, PST_SYNC_BELL_SCHEDULER);
}

void pst_sync_connection_changed(struct pst_sync_engine *e, int64_t connection_pk)
{
    pst_sync_note(e, PST_NOTE_CHANGED, connection_pk);
}

void pst_sync_cancel(struct pst_sync_engine *e, int64_t connection_pk, int64_t sync_pk)
{
    for (unsigned i = 0; i < e->options.workers; i++) {
        struct pst_sync_slot *slot = &e->slots[i];
        if (atomic_load(&slot->sync_pk) != sync_pk)
            continue;
        atomic_store(&slot->cancel, true);
        return;
    }
    /* It never began: nobody else will tell the scheduler that it is over. */
    pst_sync_note(e, PST_NOTE_FINISHED, connection_pk);
}

void pst_sync_made_room(struct pst_sync_engine *e, int64_t connection_pk)
{
    pst_sync_note(e, PST_NOTE_FINISHED, connection_pk);
}

void pst_sync_cancel_connection(struct pst_sync_engine *e, int64_t connection_pk)
{
    for (unsigned i = 0; i < e->options.workers; i++)
        if (atomic_load(&e->slots[i].connection_pk) == connection_pk)
            atomic_store(&e->slots[i].cancel, true);
    /* Of those that never began nobody else will tell the scheduler that they are over. */
    pst_sync_note(e, PST_NOTE_FINISHED, connection_pk);
    pst_sync_note(e, PST_NOTE_CHANGED, connection_pk);
}

struct pst_id pst_sync_new_id(const struct pst_sync_engine *e)
{
    uint8_t raw[PST_ID_RAW];
    uint64_t random[2];
    for (size_t i = 0; i < 2; i++)
        random[i] = e->options.host.random(e->options.host.self);
    pst_id_v7(raw, pst_sync_wall(e), (const uint8_t *)random);
    return pst_id_format("sync_", raw);
}

/* ---- looks ---- */

static void read_slot(struct pst_sync_engine *e, struct pst_sync_slot *slot,
                      struct pst_sync_progress *out)
{
    size_t entity_count = 0;
    pst_model_entities(&entity_count);
    int64_t entity = atomic_load(&slot->entity);
    int64_t ms = (pst_sync_mono(e).ns - atomic_load(&slot->started_ns)) / PST_NS_PER_MS;
    *out = (struct pst_sync_progress){
        .connection_pk = atomic_load(&slot->connection_pk),
        .entity = entity >= 0 && (size_t)entity < entity_count
                      ? &pst_model_entities(&entity_count)[entity]
                      : NULL,
        .entity_at = (unsigned)atomic_load(&slot->entity_at),
        .entity_count = (unsigned)atomic_load(&slot->entity_count),
        .records = atomic_load(&slot->records),
        .rows = atomic_load(&slot->rows),
        .deleting = atomic_load(&slot->deleting),
        .elapsed_ms = ms > 0 ? ms : 0,
    };
    out->rows_per_s = ms > 0 ? out->rows * 1000 / ms : 0;
}

size_t pst_sync_progress(struct pst_sync_engine *e, int64_t connection_pk,
                         struct pst_sync_progress *out, size_t cap)
{
    size_t count = 0;
    for (unsigned i = 0; i < e->options.workers && count < cap; i++) {
        struct pst_sync_slot *slot = &e->slots[i];
        int64_t pk = atomic_load(&slot->sync_pk);
        if (pk == 0)
            continue;
        read_slot(e, slot, &out[count]);
        out[count].sync_pk = pk;
        /* The worker may have gone on to another run meanwhile. */
        if (atomic_load(&slot->sync_pk) != pk)
            continue;
        if (connection_pk == 0 || out[count].connection_pk == connection_pk)
            count++;
    }
    return count;
}

pst_wall pst_sync_next_run_at(pst_str schedule, pst_str connection_id, pst_wall now)
{
    struct pst_schedule s;
    struct pst_err err;
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    if (pst_schedule_parse(&s, schedule, true, &err) != PST_OK)
        return PST_WALL_NONE;
    if (s.kind == PST_SCHEDULE_CRON && pst_tz_load(&tz, NULL, pst_str_from(s.zone), &err) != PST_OK)
        return PST_WALL_NONE;
    return pst_schedule_next(&s, tz, pst_schedule_spread(connection_id), now);
}

static bool names_entity(yyjson_val *list, const struct pst_stream *stream)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *v = NULL;
    yyjson_arr_foreach(list, i, n, v)
    {
        pst_str name;
        if (pst_json_str(v, &name) && pst_str_eq(name, stream->name))
            return true;
    }
    return n == 0;
}

pst_code pst_sync_entities(const struct pst_connection *connection,
                           const struct pst_manifest *manifest, struct pst_arena *arena,
                           const struct pst_entity *const **out, size_t *count, struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    yyjson_val *list = NULL;
    if (connection->entities.len > 0) {
        PST_TRY(pst_json_read(connection->entities, NULL, arena, &doc, err));
        list = yyjson_doc_get_root(doc);
        if (!yyjson_is_arr(list))
            return PST_FAIL_AT(err, PST_E_INVALID, "entities", "entities must be an array");
    }
    const struct pst_entity **items = NULL;
    PST_TRY(pst_arena_array(arena, &items, manifest->stream_count, sizeof *items, err));
    size_t n = 0;
    for (size_t i = 0; i < manifest->stream_count; i++)
        if (list == NULL || names_entity(list, &manifest->streams[i]))
            items[n++] = manifest->streams[i].entity;
    *out = items;
    *count = n;
    return PST_OK;
}
