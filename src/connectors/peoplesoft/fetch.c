/* connectors/peoplesoft/fetch.c: as many calls as it takes to return whole documents.
 *
 * The service has no cursor and may cut any answer short without saying so (a row cap of the
 * user's permission list), so:
 *   - the last document of an answer may be incomplete. It is left to the next page, unless it is
 *     the only one, which is read further until its key changes.
 *   - after an answer with fewer rows than asked for, one more call is made. If it is empty, this
 *     was the end; if not, a cap is at work and reading goes on.
 *   - only an empty answer is the end.
 *   - a document whose end only a second answer showed may have changed in between: its rest may be
 *     of another time, or stand outside of the window now. It is asked for once more
 *     (check_spanning). Not so after a short answer that was the last one, or every read of a few
 *     rows would cost one more call: there, a cap must cut the very last document, and that must
 *     change before the next call, for it to come short - until the next run, for which its new
 * stamp makes it due.
 *   - a document of more rows than anybody can want is not read to its end: it comes with a fault
 * and its first row, and the next page begins behind it. Nothing is kept between pages: the next
 * one begins behind the last document that was returned. */
#include "connectors/peoplesoft/fetch.h"

#include "connectors/peoplesoft/request.h"
#include "connectors/peoplesoft/table.h"

enum {
    CALLS_PER_PAGE = 2, /* before a short answer is taken as it is */
    SPANNING_TRIES = 3, /* to read a document that keeps changing meanwhile */
    NO_ROW = -1,
};

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
    unsigned calls; /* that were answered */
    bool is_end; /* nothing lies behind these rows */
    bool is_whole; /* the last document is complete */
    ptrdiff_t spanning; /* first row of a document of more than one answer; NO_ROW = none */
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

/* One call: the rows behind `after`. */
static pst_code call(struct page_work *w, struct pst_ps_rows *rows,
                     const struct pst_ps_after *after, uint32_t limit, struct pst_page *out,
                     size_t *added, struct pst_err *err)
{
    pst_str url = {0};
    struct pst_http_response response;
    PST_TRY(pst_ps_url_page(w->self, w->stream, w->fetch, w->ctx->zone, after, limit, rows->arena,
                            &url, err));
    if (pst_ps_get(w->self, w->ctx, url, PST_EXPECT_JSON, rows->arena, &response, err) != PST_OK)
        return pst_err_wrap(err, "query '%.*s'", PST_STR_ARG(w->stream->query));
    w->calls++;
    out->bytes += response.body.len;
    out->wait_us += response.timing.total_us;
    if (pst_ps_rows_read(rows, response.body, added, err) != PST_OK)
        return pst_err_wrap(err, "query '%.*s'", PST_STR_ARG(w->stream->query));
    return PST_OK;
}

static pst_code ask(struct page_work *w, struct pst_page *out, size_t *added, struct pst_err *err)
{
    size_t first = w->rows.row_count;
    PST_TRY(call(w, &w->rows, &w->after, w->limit, out, added, err));
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

/* The last document before `first` was cut, or may have been: what follows it came with another
 * answer. */
static void note_spanning(struct page_work *w, size_t first)
{
    size_t at = first;
    while (at > 0 && pst_ps_is_same_document(&w->rows, &w->places, at - 1, first - 1))
        at--;
    w->spanning = first > 0 ? (ptrdiff_t)at : NO_ROW;
}

/* Only the first row is kept of a document that is too large; what follows is jumped over. */
static pst_code cut_oversized(struct page_work *w, size_t last_rows, struct pst_err *err)
{
    w->rows.row_count -= last_rows - 1;
    w->is_whole = true;
    if (w->spanning == (ptrdiff_t)w->rows.row_count - 1)
        w->spanning = NO_ROW;
    return pst_ps_rows_fault(&w->rows, w->rows.row_count - 1, PST_STR(PST_PS_OVERSIZED), err);
}

static pst_code collect_rows(struct page_work *w, struct pst_page *out, struct pst_err *err)
{
    bool is_single = w->stream->document_parts == w->stream->key_count;
    bool is_full = false; /* the answer before was */
    for (;;) {
        size_t first = w->rows.row_count;
        size_t added = 0;
        size_t last_rows = 0;
        PST_TRY(ask(w, out, &added, err));
        if (!is_single && (added > 0 || is_full))
            note_spanning(w, first);
        if (added == 0) {
            w->is_end = w->is_whole = true;
            return PST_OK;
        }
        is_full = added >= w->limit;
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
            return cut_oversized(w, last_rows, err);
        if (added < w->limit && w->calls < CALLS_PER_PAGE)
            continue;
        if (documents > (w->is_whole ? 0 : 1))
            return PST_OK;
    }
}

/* ---- documents of more than one answer ---- */

static pst_str stamp_of(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                        size_t row)
{
    if (places->stamp < 0)
        return (pst_str){0};
    return rows->cells[row * rows->stride + (size_t)places->stamp].text;
}

/* Ask for the document's first row again. Is it there, with the same stamp? Systems stamp a
 * document with every change of it; what they do not stamp, no incremental read sees. */
static pst_code is_unchanged(struct page_work *w, size_t row, struct pst_page *out, bool *same,
                             struct pst_err *err)
{
    const struct pst_ps_stream *s = w->stream;
    const struct pst_ps_key_part *part = &s->key[s->key_count - 1];
    struct pst_ps_rows again = {.arena = w->rows.arena, .stream = s};
    struct pst_ps_places places;
    struct pst_ps_after after = {0};
    struct pst_ps_key key;
    size_t added = 0;
    PST_TRY(pst_ps_row_key(&w->rows, &w->places, row, &key, err));
    *same = true;
    if (w->places.stamp < 0 || !part->is_number || key.number[s->key_count - 1] <= 0)
        return PST_OK;
    after.key = key;
    after.key.number[s->key_count - 1]--;
    PST_TRY(call(w, &again, &after, 1, out, &added, err));
    *same = added > 0;
    if (!*same)
        return PST_OK;
    PST_TRY(pst_ps_places_find(&places, &again, err));
    PST_TRY(pst_ps_row_key(&again, &places, 0, &after.key, err));
    *same = pst_ps_key_cmp(s, &key, &after.key, s->key_count) == 0 &&
            pst_str_eq(stamp_of(&again, &places, 0), stamp_of(&w->rows, &w->places, row));
    return PST_OK;
}

/* A document that changed while it was being read ends the page before it. When it is the page's
 * first it is read anew (*again), and, should it never hold still, rejected: it stays as it is
 * stored, and is read by the next run, since its stamp is behind this one. */
static pst_code check_spanning(struct page_work *w, struct pst_page *out, bool is_last_try,
                               bool *again, struct pst_err *err)
{
    size_t row = (size_t)w->spanning;
    size_t end = row;
    bool same = false;
    *again = false;
    if (w->spanning == NO_ROW)
        return PST_OK;
    while (end < w->rows.row_count && pst_ps_is_same_document(&w->rows, &w->places, row, end))
        end++;
    if (end == w->rows.row_count && !w->is_whole)
        return PST_OK; /* left to the next page anyway */
    PST_TRY(is_unchanged(w, row, out, &same, err));
    if (same)
        return PST_OK;
    if (row == 0 && is_last_try)
        return pst_ps_rows_fault(&w->rows, 0, PST_STR("it kept changing while it was read"), err);
    w->rows.row_count = row;
    w->is_whole = true;
    w->is_end = false;
    *again = row == 0;
    return PST_OK;
}

static pst_code collect(struct page_work *w, struct pst_page *out, struct pst_err *err)
{
    const struct pst_ps_after begin = w->after;
    bool again = true;
    for (int tries = 1; again; tries++) {
        w->after = begin;
        w->spanning = NO_ROW;
        PST_TRY(collect_rows(w, out, err));
        PST_TRY(check_spanning(w, out, tries == SPANNING_TRIES, &again, err));
    }
    return PST_OK;
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
    /* Of a full read they would be taken for what is missing. */
    w.rows = (struct pst_ps_rows){
        .arena = arena,
        .stream = w.stream,
        .disorder = fetch->mode == PST_FETCH_FULL ? PST_E_DELETE_GUARD : PST_E_SYSTEM,
    };
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
