/* sync/lot.c: one page on its way: fetched on the lane's thread, merged with what is stored
 * and mapped by the worker, committed by the writer.
 */
#include "base/alloc.h"
#include "base/vec.h"
#include "crypto/crypto.h"
#include "sync/internal.h"

#define ROWS_ARENA ((size_t)1 << 30)
#define WORK_ARENA ((size_t)1 << 30)
#define PACKED_MAX ((size_t)1 << 30)
#define STATES_CHUNK 4096

pst_code pst_lot_new(struct pst_lot **out, struct pst_err *err)
{
    struct pst_lot *lot = NULL;
    PST_TRY(pst_new((void **)&lot, sizeof *lot, err));
    pst_buf_init(&lot->packed, PACKED_MAX);
    pst_code rc = pst_arena_new(&lot->rows, ROWS_ARENA, err);
    if (rc == PST_OK)
        rc = pst_arena_new(&lot->work, WORK_ARENA, err);
    if (rc != PST_OK) {
        pst_lot_free(lot);
        return rc;
    }
    *out = lot;
    return PST_OK;
}

void pst_lot_free(struct pst_lot *lot)
{
    if (lot == NULL)
        return;
    pst_arena_free(lot->rows);
    pst_arena_free(lot->work);
    pst_buf_fini(&lot->packed);
    pst_vec_fini(&lot->missing);
    pst_free(lot);
}

void pst_lot_fetch(void *arg)
{
    struct pst_lot *lot = arg;
    const struct pst_run *run = lot->run;
    const struct pst_sync_systems *systems = &run->w->e->options.systems;
    struct pst_connector_ctx ctx = run->system.ctx;
    ctx.deadline = pst_mono_after_ms(pst_sync_mono(run->w->e), run->w->e->options.page_timeout_ms);
    pst_arena_reset(lot->rows);
    lot->page = (struct pst_page){0};
    lot->calls = -systems->calls(systems->self, &run->system);
    lot->code = run->system.ops->fetch(run->system.connector, &ctx, &lot->fetch, lot->rows,
                                       &lot->page, &lot->err);
    lot->calls += systems->calls(systems->self, &run->system);
}

/* ---- what is stored ---- */

/* Every stored record up to `upto`: the documents lie close together, and a full read wants to
 * know what they leave out. */
static pst_code match_range(struct pst_lot *lot, struct pst_pull *pull, struct pst_merge *m,
                            pst_str upto, struct pst_err *err)
{
    struct pst_sync_worker *w = pull->run->w;
    PST_AUTO(buf) struct pst_buf after = {0};
    pst_buf_init(&after, 1 << 20);
    pst_str begin = pst_buf_str(&pull->last_key);
    /* The last document of the page before came once more. */
    if (m->count > 0 && pst_str_eq(m->min_key, begin))
        PST_TRY(pst_merge_key_before(begin, lot->work, &begin, err));
    pst_buf_add_str(&after, begin);
    bool more = true;
    while (more) {
        struct pst_record_states chunk = {0};
        pst_arena_reset(w->scratch);
        PST_TRY(pst_buf_check(&after, err));
        PST_TRY(pst_records_states(w->reader, pull->def->entity, pull->run->connection.pk,
                                   pst_buf_str(&after), upto, STATES_CHUNK, w->scratch, &chunk,
                                   &more, err));
        PST_TRY(pst_merge_states(m, &chunk, pull->window.from, &lot->missing, err));
        if (chunk.count == 0)
            break;
        pst_buf_reset(&after);
        pst_buf_add_str(&after, chunk.items[chunk.count - 1].sort_key);
    }
    return PST_OK;
}

/* One look-up per document: few of many records changed. */
static pst_code match_each(struct pst_pull *pull, struct pst_merge *m, struct pst_err *err)
{
    struct pst_sync_worker *w = pull->run->w;
    for (size_t i = 0; i < m->count; i++) {
        struct pst_record_state state;
        PST_TRY(pst_records_states_of(w->reader, pull->def->entity, pull->run->connection.pk,
                                      &m->docs[m->order[i]].sort_key, 1, &state, err));
        if (state.pk)
            m->matches[i] = (struct pst_match){.pk = state.pk,
                                               .source_hash = state.source_hash,
                                               .hash = state.hash,
                                               .deleted = state.deleted};
    }
    return PST_OK;
}

/* upto "": no upper end. */
static pst_code match(struct pst_lot *lot, struct pst_pull *pull, struct pst_merge *m, pst_str upto,
                      struct pst_err *err)
{
    bool is_range =
        pull->window.mode == PST_FETCH_FULL && !pull->is_disordered && !m->is_disordered;
    return is_range ? match_range(lot, pull, m, upto, err) : match_each(pull, m, err);
}

/* ---- what a page becomes ---- */

struct rejects {
    struct pst_rejected *items;
    size_t count;
};

static pst_code keep_source(struct pst_lot *lot, struct pst_pull *pull,
                            const struct pst_document *doc, struct pst_record_write *write,
                            struct pst_err *err)
{
    struct pst_sync_worker *w = pull->run->w;
    size_t start = lot->packed.len;
    pst_buf_reset(&w->json);
    pst_source_pack(&w->json, &lot->page.columns, doc);
    PST_TRY(pst_buf_check(&w->json, err));
    PST_TRY(pst_zip_compress(w->zip, pull->binding->zip_dict, pst_buf_str(&w->json), &lot->packed,
                             err));
    /* Only the length for now: packed may still move. */
    write->source = (pst_str){NULL, lot->packed.len - start};
    write->dict = pull->binding->dict;
    return PST_OK;
}

static void place_sources(struct pst_lot *lot)
{
    const char *at = lot->packed.ptr;
    for (size_t i = 0; i < lot->commit.write_count; i++) {
        lot->commit.writes[i].source.ptr = at;
        at += lot->commit.writes[i].source.len;
    }
}

static pst_code reject(struct pst_lot *lot, struct pst_pull *pull, const struct pst_document *doc,
                       pst_str reason, struct rejects *rejects, struct pst_err *err)
{
    struct pst_sync_worker *w = pull->run->w;
    struct pst_rejected *r = &rejects->items[rejects->count];
    pst_buf_reset(&w->json);
    pst_document_source_head(&w->json, &lot->page.columns, doc, PST_REJECTED_SOURCE_BYTES);
    PST_TRY(pst_buf_check(&w->json, err));
    PST_TRY(pst_arena_dup(lot->work, &r->source, pst_buf_str(&w->json), err));
    PST_TRY(pst_arena_dup(lot->work, &r->reason, reason, err));
    r->source_id = doc->source_id;
    /* A document whose key cannot be read is told from others by its bytes. */
    if (doc->source_id.len == 0)
        PST_TRY(pst_arena_printf(lot->work, &r->source_id, err, "?%016llx",
                                 (unsigned long long)pst_schedule_spread(r->source)));
    rejects->count++;
    lot->commit.counts.rejected++;
    return PST_OK;
}

static void set_record_id(const struct pst_pull *pull, struct pst_record_write *write)
{
    pst_record_id_raw(write->id, pst_id_str(&pull->run->connection.id), pull->def->name,
                      write->source_id);
}

/* The unified record is the same. Do the times beside it that are served move? The source's
 * stamp alone does not count: systems touch records without changing them. It does where the same
 * stamp is read another way than before (another time zone). */
static pst_code times_move(const struct pst_pull *pull, const struct pst_match *match,
                           const struct pst_document *doc, const struct pst_mapped *mapped,
                           bool *out, struct pst_err *err)
{
    struct pst_record_times times;
    PST_TRY(pst_records_times(pull->run->w->reader, pull->def->entity, pull->run->connection.pk,
                              match->pk, &times, err));
    *out = (!pst_wall_is_none(mapped->created) && mapped->created.us != times.created_at.us) ||
           (pull->is_remapped && !pst_wall_is_none(doc->stamp) &&
            doc->stamp.us != times.updated_at.us);
    return PST_OK;
}

static pst_code add_write(struct pst_lot *lot, struct pst_pull *pull,
                          const struct pst_document *doc, const struct pst_match *match,
                          pst_hash128 source_hash, const struct pst_mapped *mapped,
                          struct pst_err *err)
{
    struct pst_record_write *write = &lot->commit.writes[lot->commit.write_count];
    enum pst_record_op op = pst_merge_classify(match, mapped->hash);
    bool is_moved = false;
    if (op == PST_RECORD_RESTAMP)
        PST_TRY(times_move(pull, match, doc, mapped, &is_moved, err));
    *write = (struct pst_record_write){
        .op = is_moved ? PST_RECORD_UPDATE : op,
        .pk = match->pk,
        .sort_key = doc->sort_key,
        .source_id = doc->source_id,
        .source_hash = source_hash,
        .mapped = mapped,
        .stamp = doc->stamp,
    };
    switch (write->op) {
    case PST_RECORD_CREATE:
        set_record_id(pull, write);
        lot->commit.counts.created++;
        break;
    case PST_RECORD_UPDATE:
        set_record_id(pull, write);
        if (match->deleted)
            lot->commit.counts.created++;
        else
            lot->commit.counts.updated++;
        break;
    case PST_RECORD_RESTAMP:
        lot->commit.counts.unchanged++;
        break;
    }
    lot->commit.write_count++;
    return keep_source(lot, pull, doc, write, err);
}

/* *is_fine: it can be mapped, so that an earlier rejection of it is over. */
static pst_code take_document(struct pst_lot *lot, struct pst_pull *pull,
                              const struct pst_document *doc, const struct pst_match *match,
                              struct rejects *rejects, bool *is_fine, struct pst_err *err)
{
    *is_fine = false;
    if (doc->fault.len > 0)
        return reject(lot, pull, doc, doc->fault, rejects, err);
    pst_hash128 source_hash = pst_mapper_source_hash(pull->binding->mapper, doc);
    *is_fine = true;
    if (pst_merge_is_known(match, source_hash)) {
        lot->commit.counts.unchanged++;
        return PST_OK;
    }
    struct pst_mapped *mapped = NULL;
    PST_TRY(pst_arena_bytes(lot->work, &mapped, sizeof *mapped, err));
    PST_TRY(pst_mapper_apply(pull->binding->mapper, doc, lot->work, mapped, err));
    if (mapped->reject.len > 0) {
        *is_fine = false;
        return reject(lot, pull, doc, mapped->reject, rejects, err);
    }
    return add_write(lot, pull, doc, match, source_hash, mapped, err);
}

static pst_code take_documents(struct pst_lot *lot, struct pst_pull *pull, struct pst_merge *m,
                               struct pst_err *err)
{
    const struct pst_page *page = &lot->page;
    struct rejects rejects = {0};
    pst_str *fine = NULL;
    size_t fine_count = 0;
    PST_TRY(
        pst_arena_array(lot->work, &lot->commit.writes, m->count, sizeof *lot->commit.writes, err));
    PST_TRY(pst_arena_array(lot->work, &rejects.items, page->count, sizeof *rejects.items, err));
    if (pull->has_rejected)
        PST_TRY(pst_arena_array(lot->work, &fine, m->count, sizeof *fine, err));
    for (size_t i = 0; i < m->count; i++) {
        const struct pst_document *doc = &m->docs[m->order[i]];
        bool is_fine = false;
        PST_TRY(take_document(lot, pull, doc, &m->matches[i], &rejects, &is_fine, err));
        if (is_fine && fine)
            fine[fine_count++] = doc->source_id;
    }
    for (size_t i = 0; i < page->count; i++) {
        const struct pst_document *doc = &page->documents[i];
        if (doc->sort_key.len == 0)
            PST_TRY(reject(lot, pull, doc, doc->fault.len ? doc->fault : PST_STR("it has no key"),
                           &rejects, err));
    }
    lot->commit.rejected = rejects.items;
    lot->commit.rejected_count = rejects.count;
    lot->commit.accepted_again = fine;
    lot->commit.accepted_count = fine_count;
    place_sources(lot);
    return PST_OK;
}

static void count_page(struct pst_lot *lot, const struct pst_merge *m)
{
    struct pst_sync_counts *c = &lot->commit.counts;
    const struct pst_page *page = &lot->page;
    c->read = (int64_t)page->count;
    /* Repeats of a document within the page were seen, and changed nothing. */
    c->unchanged += c->read - (int64_t)m->count;
    for (size_t i = 0; i < page->count; i++)
        if (page->documents[i].sort_key.len == 0)
            c->unchanged--;
    c->pages = lot->calls > 0 || page->count > 0 ? 1 : 0;
    c->rows = (int64_t)page->rows;
    c->bytes = (int64_t)page->bytes;
    c->calls = lot->calls;
    c->wait_us = page->wait_us;
}

enum { SAMPLES_MIN = 64, SAMPLES_MAX = 2048, SAMPLE_BYTES = 256 << 10 };

/* Train the stream's dictionary from this page: its documents are like those to come. */
static pst_code train(struct pst_lot *lot, struct pst_pull *pull, const struct pst_merge *m,
                      struct pst_err *err)
{
    size_t count = m->count < SAMPLES_MAX ? m->count : SAMPLES_MAX;
    if (count < SAMPLES_MIN)
        return PST_OK;
    pull->may_train = false;
    PST_AUTO(buf) struct pst_buf all = {0};
    pst_buf_init(&all, PACKED_MAX);
    pst_str *samples = NULL;
    size_t n = 0;
    PST_TRY(pst_arena_array(lot->work, &samples, count, sizeof *samples, err));
    for (; n < count && all.len < SAMPLE_BYTES; n++) {
        size_t start = all.len;
        pst_source_pack(&all, &lot->page.columns, &m->docs[m->order[n]]);
        samples[n] = (pst_str){NULL, all.len - start};
    }
    PST_TRY(pst_buf_check(&all, err));
    const char *at = all.ptr;
    for (size_t i = 0; i < n; i++) {
        samples[i].ptr = at;
        at += samples[i].len;
    }
    return pst_binding_train(pull->binding, pull->run, pull->stream->stream_pk, samples, n, err);
}

static void init_commit(struct pst_lot *lot, const struct pst_pull *pull)
{
    lot->commit = (struct pst_page_commit){
        .entity = pull->def->entity,
        .connection_pk = pull->run->connection.pk,
        .sync_pk = pull->run->sync->pk,
        .stream_pk = pull->stream->stream_pk,
        .now = pst_sync_wall(pull->run->w->e),
    };
}

static pst_code check_columns(const struct pst_lot *lot, const struct pst_pull *pull,
                              struct pst_err *err)
{
    const struct pst_known_columns *known = pull->has_looked ? &pull->known : NULL;
    pst_str unnamed = lot->page.unnamed;
    PST_TRY(pst_mapper_bind_known(pull->binding->mapper, &lot->page.columns, known, err));
    if (unnamed.len == 0 ||
        (known && (known->is_untold || pst_columns_have(&known->columns, unnamed))))
        return PST_OK;
    return PST_FAIL(err, PST_E_INVALID, "the source no longer has this column of %.*s: %.*s",
                    PST_STR_ARG(pull->def->name), PST_STR_ARG(unnamed));
}

pst_code pst_lot_bind(const struct pst_lot *lot, struct pst_pull *pull, struct pst_err *err)
{
    if (lot->page.count == 0)
        return PST_OK;
    pst_code rc = check_columns(lot, pull, err);
    if (rc != PST_E_INVALID || pull->has_looked)
        return rc;
    PST_TRY(pst_run_find_columns(pull->run, pull->stream, pull->def, &pull->known, err));
    pull->has_looked = true;
    return check_columns(lot, pull, err);
}

pst_code pst_lot_map(struct pst_lot *lot, struct pst_pull *pull, struct pst_err *err)
{
    struct pst_merge m;
    pst_arena_reset(lot->work);
    pst_buf_reset(&lot->packed);
    lot->missing.len = 0;
    init_commit(lot, pull);
    PST_TRY(pst_merge_prepare(&m, &lot->page, pst_buf_str(&pull->last_key), pull->gap_open,
                              lot->work, err));
    if (m.count > 0)
        PST_TRY(match(lot, pull, &m, m.max_key, err));
    if (pull->may_train)
        PST_TRY(train(lot, pull, &m, err));
    PST_TRY(take_documents(lot, pull, &m, err));
    count_page(lot, &m);
    lot->commit.missing = lot->missing.items;
    lot->commit.missing_count = lot->missing.len;
    pull->gap_open = m.gaps[m.count];
    if (m.is_disordered && pull->window.mode == PST_FETCH_FULL)
        pull->is_disordered = true;
    pst_str last = pull->is_disordered ? PST_KEY_DISORDERED : m.max_key;
    if (pst_str_cmp(last, pst_buf_str(&pull->last_key)) > 0) {
        pst_buf_reset(&pull->last_key);
        pst_buf_add_str(&pull->last_key, last);
    }
    lot->commit.sort_key = last;
    return pst_buf_check(&pull->last_key, err);
}

bool pst_lot_has_changes(const struct pst_lot *lot)
{
    const struct pst_page_commit *c = &lot->commit;
    return c->write_count > 0 || c->missing_count > 0 || c->rejected_count > 0 ||
           c->accepted_count > 0;
}

pst_code pst_lot_tail(struct pst_lot *lot, struct pst_pull *pull, struct pst_err *err)
{
    struct pst_merge m;
    pst_arena_reset(lot->work);
    pst_buf_reset(&lot->packed);
    lot->missing.len = 0;
    lot->page = (struct pst_page){.end = true};
    init_commit(lot, pull);
    PST_TRY(pst_merge_prepare(&m, &lot->page, pst_buf_str(&pull->last_key), pull->gap_open,
                              lot->work, err));
    PST_TRY(match(lot, pull, &m, (pst_str){0}, err));
    lot->commit.missing = lot->missing.items;
    lot->commit.missing_count = lot->missing.len;
    return PST_OK;
}
