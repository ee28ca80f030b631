/* connectors/peoplesoft/fetch.c: as many calls as it takes to return whole documents.
 *
 * The service has no cursor and may cut any answer short without saying so (a row cap of the
 * user's permission list), so:
 *   - the last document of an answer may be incomplete. It is left to the next page, unless it is
 *     the only one, which is read further until its key changes.
 *   - after an answer with fewer rows than asked for, one more call is made. If it is empty, this
 *     was the end; if not, a cap is at work and reading goes on.
 *   - only an empty answer is the end.
 * Nothing is kept between pages: the next one begins behind the last document that was returned. */
#include "connectors/peoplesoft/fetch.h"

#include "connectors/peoplesoft/request.h"
#include "connectors/peoplesoft/table.h"

enum { CALLS_PER_PAGE = 2 }; /* before a short answer is taken as it is */

struct page_work {
    struct pst_connector *self;
    const struct pst_connector_ctx *ctx;
    const struct pst_fetch *fetch;
    const struct pst_ps_stream *stream;
    struct pst_ps_rows rows;
    struct pst_ps_places places;
    struct pst_ps_after after;
    struct pst_ps_key last; /* of the last answer's last row */
    uint32_t limit;
    bool is_end; /* nothing lies behind these rows */
    bool is_whole; /* the last document is complete */
};

/* The rows of an answer must lie behind what was asked for, or the prompts had no effect. */
static pst_code check_progress(struct page_work *w, size_t first, struct pst_err *err)
{
    const struct pst_ps_stream *s = w->stream;
    struct pst_ps_key key;
    PST_TRY(pst_ps_row_key(&w->rows, &w->places, first, &key, err));
    if (!w->after.is_start && pst_ps_key_cmp(s, &key, &w->after.key, s->key_count) <= 0)
        return PST_FAIL(
            err, PST_E_SYSTEM,
            "query '%.*s' does not heed its prompts: it was asked for rows behind a key "
            "and returned that key or one before it. Compare its criteria on the LAST_ "
            "prompts, and its order, with the query pack",
            PST_STR_ARG(s->query));
    return pst_ps_row_key(&w->rows, &w->places, w->rows.row_count - 1, &w->last, err);
}

static pst_code ask(struct page_work *w, struct pst_page *out, size_t *added, struct pst_err *err)
{
    struct pst_arena *arena = w->rows.arena;
    struct pst_http_response response;
    pst_str url = {0};
    size_t first = w->rows.row_count;
    PST_TRY(pst_ps_url_page(w->self, w->stream, w->fetch, w->ctx->zone, &w->after, w->limit, arena,
                            &url, err));
    if (pst_ps_get(w->self, w->ctx, url, PST_EXPECT_JSON, arena, &response, err) != PST_OK)
        return pst_err_wrap(err, "query '%.*s'", PST_STR_ARG(w->stream->query));
    out->calls++;
    out->bytes += response.body.len;
    out->wait_us += response.timing.total_us;
    if (pst_ps_rows_read(&w->rows, response.body, added, err) != PST_OK)
        return pst_err_wrap(err, "query '%.*s'", PST_STR_ARG(w->stream->query));
    if (*added == 0)
        return PST_OK;
    PST_TRY(pst_ps_places_find(&w->places, &w->rows, err));
    return check_progress(w, first, err);
}

/* Drop what the configuration leaves out. Returns whether the last row was dropped. */
static bool drop_out_of_scope(struct page_work *w, size_t first)
{
    struct pst_ps_rows *rows = &w->rows;
    size_t to = first;
    if (w->stream->scope_count == 0)
        return false;
    for (size_t from = first; from < rows->row_count; from++) {
        pst_str part = rows->cells[from * rows->stride + (size_t)w->places.key[0]].text;
        if (pst_ps_stream_has(w->stream, part))
            pst_ps_rows_move(rows, to++, from);
    }
    rows->row_count = to;
    return !pst_ps_stream_has(w->stream, w->last.text[0]);
}

/* Behind rows of no interest the next value of the scope begins, or nothing. */
static void jump(struct page_work *w)
{
    pst_str next = {0};
    w->is_whole = true;
    w->is_end = !pst_ps_stream_next_scope(w->stream, w->last.text[0], &next);
    w->after = (struct pst_ps_after){.key.text[0] = next};
}

static pst_code collect(struct page_work *w, struct pst_page *out, struct pst_err *err)
{
    bool is_single = w->stream->document_parts == w->stream->key_count;
    for (;;) {
        size_t first = w->rows.row_count;
        size_t added = 0;
        size_t last_rows = 0;
        PST_TRY(ask(w, out, &added, err));
        if (added == 0) {
            w->is_end = w->is_whole = true;
            return PST_OK;
        }
        w->is_whole = is_single;
        if (drop_out_of_scope(w, first)) {
            jump(w);
            if (w->is_end || w->rows.row_count > 0)
                return PST_OK;
            continue;
        }
        w->after = (struct pst_ps_after){.key = w->last};
        size_t documents = pst_ps_count_documents(&w->rows, &w->places, &last_rows);
        if (last_rows > PST_PS_DOCUMENT_ROWS)
            return pst_ps_fail_document_size(w->stream, err);
        if (added < w->limit && out->calls < CALLS_PER_PAGE)
            continue;
        if (documents > (w->is_whole ? 0 : 1))
            return PST_OK;
    }
}

pst_code pst_ps_fetch(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      const struct pst_fetch *fetch, struct pst_arena *arena, struct pst_page *out,
                      struct pst_err *err)
{
    struct page_work w = {.self = self, .ctx = ctx, .fetch = fetch};
    struct pst_page page = {0};
    size_t last_rows = 0;
    if (fetch->limit == 0)
        return PST_FAIL(err, PST_E_INVALID, "a page of no rows was asked for");
    PST_TRY(pst_ps_stream_find(self, fetch->stream, &w.stream, err));
    PST_TRY(pst_ps_after_decode(&w.after, w.stream, fetch->after_key, arena, err));
    w.limit = fetch->limit < self->page_size ? fetch->limit : self->page_size;
    w.rows = (struct pst_ps_rows){.arena = arena, .stream = w.stream};
    PST_TRY(collect(&w, &page, err));
    size_t keep = w.rows.row_count;
    if (!w.is_whole) {
        (void)pst_ps_count_documents(&w.rows, &w.places, &last_rows);
        keep -= last_rows;
    }
    PST_TRY(pst_ps_documents_build(&w.rows, &w.places, keep, ctx->zone, &page, err));
    page.end = w.is_end;
    *out = page;
    return PST_OK;
}
