/* peoplesim/select.c: running a query: scan, render, envelope. */
#include "peoplesim/engine_state.h"

/* numrows stands before the rows but is known after them: it is written over these blanks. */
#define COUNT_BLANKS "          "
enum { COUNT_WIDTH = sizeof(COUNT_BLANKS) - 1 };

static void begin(struct pst_sim_engine *e, const struct pst_sim_select *q,
                  struct pst_sim_render *r, struct pst_sim_scan *s)
{
    int64_t now = pst_sim_zone_local(e->world.zone, pst_sim_engine_now(e));
    r->world = &e->world;
    r->query = q->query;
    r->columns = q->columns;
    r->xlat = q->xlat;
    r->leaves_out_blanks = q->leaves_out_blanks;
    r->now = now;
    r->asof_day = q->asof_day == PST_SIM_NO_TIME ? pst_sim_day_of(now) : q->asof_day;
    pst_sim_render_init(r);
    pst_sim_scan_init(s, &e->world, &e->overlays[q->query->entity], q->query, q->window,
                      r->asof_day, q->after);
}

static void put_count(char *at, uint64_t rows)
{
    for (size_t i = COUNT_WIDTH; i > 0 && (rows || i == COUNT_WIDTH); i--) {
        at[i - 1] = (char)('0' + rows % 10);
        rows /= 10;
    }
}

static void put_rows(const struct pst_sim_select *q, struct pst_sim_render *r,
                     struct pst_sim_scan *s, struct pst_buf *out, struct pst_sim_selected *got)
{
    got->is_end = true;
    while (pst_sim_scan_next_doc(s)) {
        while (pst_sim_scan_next_row(s)) {
            if (out->fail != PST_OK || (q->max_rows && got->rows == q->max_rows)) {
                got->is_end = false;
                return;
            }
            got->rows++;
            got->last = pst_sim_scan_position(s);
            if (got->rows > 1)
                pst_buf_add_char(out, ',');
            pst_buf_add_lit(out, "{\"attr:rownumber\":");
            pst_buf_add_u64(out, got->rows);
            bool is_spoiled = q->spoil && q->spoil->row == got->rows;
            pst_sim_render_row(r, s, is_spoiled ? q->spoil : NULL, out);
            pst_buf_add_char(out, '}');
        }
    }
}

pst_code pst_sim_engine_select(struct pst_sim_engine *e, const struct pst_sim_select *q,
                               struct pst_buf *out, struct pst_sim_selected *got,
                               struct pst_err *err)
{
    struct pst_sim_render r = {0};
    struct pst_sim_scan s;
    *got = (struct pst_sim_selected){0};
    pst_buf_add_lit(out, "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":" COUNT_BLANKS);
    size_t count_end = out->len;
    pst_buf_add_lit(out, ",\"queryname=\":\"");
    pst_buf_add_str(out, pst_str_from(q->query->name));
    pst_buf_add_lit(out, "\",\"rows\":[");
    pthread_rwlock_rdlock(&e->lock);
    begin(e, q, &r, &s);
    put_rows(q, &r, &s, out, got);
    pthread_rwlock_unlock(&e->lock);
    pst_sim_render_fini(&r);
    pst_buf_add_lit(out, "]}}}");
    PST_TRY(pst_buf_check(out, err));
    put_count(out->ptr + count_end - COUNT_WIDTH, got->rows);
    return PST_OK;
}

pst_code pst_sim_engine_dump(struct pst_sim_engine *e, const struct pst_sim_select *q, size_t bytes,
                             struct pst_buf *out, struct pst_sim_selected *got, struct pst_err *err)
{
    struct pst_sim_render r = {0};
    struct pst_sim_scan s;
    size_t limit = out->len + bytes;
    *got = (struct pst_sim_selected){.is_end = true};
    pthread_rwlock_rdlock(&e->lock);
    begin(e, q, &r, &s);
    while (got->is_end && pst_sim_scan_next_doc(&s)) {
        while (got->is_end && pst_sim_scan_next_row(&s)) {
            size_t at = out->len;
            pst_sim_render_row(&r, &s, NULL, out);
            if (out->fail == PST_OK && out->len > at)
                out->ptr[at] = '{'; /* where the first column's comma was */
            pst_buf_add_lit(out, "}\n");
            got->rows++;
            got->last = pst_sim_scan_position(&s);
            got->is_end = out->fail == PST_OK && out->len < limit;
        }
    }
    pthread_rwlock_unlock(&e->lock);
    pst_sim_render_fini(&r);
    return pst_buf_check(out, err);
}

void pst_sim_engine_count(struct pst_sim_engine *e, const struct pst_sim_query *query,
                          struct pst_sim_window window, uint64_t *docs, uint64_t *rows)
{
    struct pst_sim_scan s;
    *docs = *rows = 0;
    pthread_rwlock_rdlock(&e->lock);
    pst_sim_scan_init(&s, &e->world, &e->overlays[query->entity], query, window, PST_SIM_NO_TIME,
                      PST_SIM_FROM_START);
    while (pst_sim_scan_next_doc(&s)) {
        uint64_t before = *rows;
        while (pst_sim_scan_next_row(&s))
            ++*rows;
        *docs += *rows > before;
    }
    pthread_rwlock_unlock(&e->lock);
}
