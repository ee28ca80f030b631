/* app/days.c: seconds of days that wait for the store. */
#include "app/days.h"

static const int64_t DAY_S = 86400;

void pst_days_begin(struct pst_days *d, const struct pst_web *web, pst_wall seen, pst_wall now)
{
    *d = (struct pst_days){
        .web = web, .off_from = PST_WALL_NONE, .off_to = PST_WALL_NONE, .seen = now};
    if (pst_wall_is_none(seen) || seen.us >= now.us)
        return;
    int64_t longest = PST_WEB_DAYS * DAY_S * PST_US_PER_S; /* what is shown */
    d->off_from.us = now.us - seen.us > longest ? now.us - longest : seen.us;
    d->off_to = now;
}

/* That day's place; a clock that is put back begins another one. */
static struct pst_days_one *find_day(struct pst_days *d, int64_t day)
{
    if (d->count > 0 && d->waiting[d->count - 1].day == day)
        return &d->waiting[d->count - 1];
    if (d->count == PST_DAYS_WAITING)
        memmove(d->waiting, d->waiting + 1, --d->count * sizeof(d->waiting[0]));
    struct pst_days_one *one = &d->waiting[d->count++];
    *one = (struct pst_days_one){.day = day};
    for (size_t i = 0; i < pst_web_component_count(d->web); i++)
        one->of[i] = (struct pst_status_day){
            .day = day, .component = pst_str_from(pst_web_component_name(d->web, i))};
    return one;
}

void pst_days_count(struct pst_days *d, pst_wall now, int64_t seconds)
{
    struct pst_days_one *one = find_day(d, now.us / (DAY_S * PST_US_PER_S));
    for (size_t i = 0; i < pst_web_component_count(d->web); i++) {
        enum pst_web_level level = pst_web_component_level(d->web, i);
        one->of[i].watched_s += seconds;
        one->of[i].degraded_s += level == PST_WEB_DEGRADED ? seconds : 0;
        one->of[i].down_s += level == PST_WEB_DOWN ? seconds : 0;
    }
    d->seen = now;
}

/* ---- storing ---- */

static bool is_ours(const char *component)
{
    return strchr(component, ':') == NULL;
}

/* Day by day, each with what of the time off lies in it. */
static pst_code write_off(struct pst_db_conn *conn, const struct pst_days *d, struct pst_err *err)
{
    int64_t to = d->off_to.us / PST_US_PER_S;
    int64_t next = 0;
    for (int64_t at = d->off_from.us / PST_US_PER_S; at < to; at = next) {
        next = (at / DAY_S + 1) * DAY_S;
        if (next > to)
            next = to;
        for (size_t i = 0; i < pst_web_component_count(d->web); i++) {
            const char *name = pst_web_component_name(d->web, i);
            const struct pst_status_day off = {.day = at / DAY_S,
                                               .component = pst_str_from(name),
                                               .watched_s = next - at,
                                               .down_s = next - at};
            if (is_ours(name))
                PST_TRY(pst_status_days_add(conn, &off, err));
        }
    }
    return PST_OK;
}

pst_code pst_days_write(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_days *d = arg;
    if (!pst_wall_is_none(d->off_from))
        PST_TRY(write_off(conn, d, err));
    for (size_t k = 0; k < d->count; k++) {
        for (size_t i = 0; i < pst_web_component_count(d->web); i++)
            PST_TRY(pst_status_days_add(conn, &d->waiting[k].of[i], err));
    }
    return pst_status_seen_put(conn, d->seen, err);
}

void pst_days_stored(struct pst_days *d)
{
    d->count = 0;
    d->off_from = d->off_to = PST_WALL_NONE;
}
