/* sync/schedule.c: reading, printing and evaluating schedules. */
#include "sync/schedule.h"

#include "base/num.h"

#define MINUTE_MS (60LL * 1000)
#define DAY_MS (24LL * 60 * MINUTE_MS)
#define MIN_INTERVAL_MS MINUTE_MS
#define MIN_INTERVAL_DEV_MS 1000LL
#define MAX_INTERVAL_MS (7 * DAY_MS)

const struct pst_schedule pst_schedule_default = {.kind = PST_SCHEDULE_INTERVAL,
                                                  .interval_ms = 15 * MINUTE_MS};

static pst_code parse_interval(struct pst_schedule *out, pst_str text, bool dev,
                               struct pst_err *err)
{
    int64_t ms = 0;
    int64_t min = dev ? MIN_INTERVAL_DEV_MS : MIN_INTERVAL_MS;
    if (!pst_parse_duration_ms(&ms, text) || ms < min || ms > MAX_INTERVAL_MS || ms % 1000 != 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule",
                           "interval must be a whole number of seconds between %s and 7d, such "
                           "as \"15m\"",
                           dev ? "1s" : "1m");
    *out = (struct pst_schedule){.kind = PST_SCHEDULE_INTERVAL, .interval_ms = ms};
    return PST_OK;
}

/* Runs of blanks as one, so that equal schedules print equally, and nothing needs an escape. */
static bool copy_cron(struct pst_schedule *s, pst_str expression)
{
    size_t n = 0;
    char last = '\0';
    expression = pst_str_trim(expression);
    for (size_t i = 0; i < expression.len; i++) {
        char c = pst_is_space(expression.ptr[i]) ? ' ' : expression.ptr[i];
        if (c == ' ' && last == ' ')
            continue;
        if (n + 1 == sizeof s->cron_text)
            return false;
        s->cron_text[n++] = last = c;
    }
    s->cron_text[n] = '\0';
    return true;
}

static pst_code parse_cron(struct pst_schedule *out, pst_str expression, pst_str zone,
                           struct pst_err *err)
{
    struct pst_schedule s = {.kind = PST_SCHEDULE_CRON};
    if (zone.len == 0)
        zone = PST_STR("UTC");
    if (!copy_cron(&s, expression))
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule", "cron must be at most %d characters",
                           PST_SCHEDULE_CRON_TEXT - 1);
    struct pst_err local;
    if (pst_cron_parse(&s.cron, expression, &local) != PST_OK)
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule", "%s", local.msg);
    if (!pst_tz_name_valid(zone) || !pst_str_copy(s.zone, sizeof s.zone, zone))
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule",
                           "time_zone is the name of a time zone, such as Europe/Berlin");
    *out = s;
    return PST_OK;
}

static pst_code check_zone(const struct pst_schedule *s, struct pst_err *err)
{
    if (s->kind != PST_SCHEDULE_CRON)
        return PST_OK;
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    struct pst_err local;
    pst_code rc = pst_tz_load(&tz, NULL, pst_str_from(s->zone), &local);
    return rc == PST_OK ? PST_OK : PST_FAIL_AT(err, rc, "schedule", "%s", local.msg);
}

static pst_code from_object(struct pst_schedule *out, yyjson_val *v, bool dev, struct pst_err *err)
{
    static const char *const names[] = {"interval", "cron", "time_zone", "manual", NULL};
    pst_str interval = {0};
    pst_str cron = {0};
    pst_str zone = {0};
    bool manual = false;
    PST_TRY(pst_json_only(v, "schedule", names, err));
    PST_TRY(pst_json_opt_str(v, "interval", &interval, err));
    PST_TRY(pst_json_opt_str(v, "cron", &cron, err));
    PST_TRY(pst_json_opt_str(v, "time_zone", &zone, err));
    PST_TRY(pst_json_opt_bool(v, "manual", &manual, err));
    int given = (interval.len > 0) + (cron.len > 0) + (manual ? 1 : 0);
    if (given != 1)
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule",
                           "schedule needs exactly one of interval, cron and manual");
    if (zone.len > 0 && cron.len == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule", "time_zone goes with cron only");
    if (interval.len > 0)
        return parse_interval(out, interval, dev, err);
    if (cron.len > 0)
        return parse_cron(out, cron, zone, err);
    *out = (struct pst_schedule){.kind = PST_SCHEDULE_MANUAL};
    return PST_OK;
}

static size_t end_of_word(pst_str text, size_t at)
{
    while (at < text.len && pst_is_space(text.ptr[at]))
        at++;
    while (at < text.len && !pst_is_space(text.ptr[at]))
        at++;
    return at;
}

/* "0 6 * * * Europe/Berlin": the zone is a sixth word; "@daily Europe/Berlin" a second one. */
static void split_zone(pst_str text, pst_str *expression, pst_str *zone)
{
    size_t words = text.len > 0 && text.ptr[0] == '@' ? 1 : 5;
    size_t at = 0;
    for (size_t w = 0; w < words; w++)
        at = end_of_word(text, at);
    *expression = pst_str_sub(text, 0, at);
    *zone = pst_str_trim(pst_str_sub(text, at, text.len));
}

static pst_code from_text(struct pst_schedule *out, pst_str text, bool dev, struct pst_err *err)
{
    text = pst_str_trim(text);
    if (pst_str_is(text, "manual")) {
        *out = (struct pst_schedule){.kind = PST_SCHEDULE_MANUAL};
        return PST_OK;
    }
    if (text.len > 0 && text.ptr[0] != '@' && end_of_word(text, 0) == text.len)
        return parse_interval(out, text, dev, err);
    pst_str expression;
    pst_str zone;
    split_zone(text, &expression, &zone);
    return parse_cron(out, expression, zone, err);
}

pst_code pst_schedule_from_json(struct pst_schedule *out, yyjson_val *v, bool dev,
                                struct pst_err *err)
{
    pst_str text;
    struct pst_schedule s = pst_schedule_default;
    if (pst_json_str(v, &text))
        PST_TRY(from_text(&s, text, dev, err));
    else if (yyjson_is_obj(v))
        PST_TRY(from_object(&s, v, dev, err));
    else if (v != NULL && !yyjson_is_null(v))
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule",
                           "schedule must be an object or a string");
    PST_TRY(check_zone(&s, err));
    *out = s;
    return PST_OK;
}

pst_code pst_schedule_parse(struct pst_schedule *out, pst_str text, bool dev, struct pst_err *err)
{
    text = pst_str_trim(text);
    if (text.len == 0 || text.ptr[0] != '{')
        return from_text(out, text, dev, err);
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_TRY(pst_arena_new(&arena, 64 << 10, err));
    yyjson_doc *doc = NULL;
    const struct pst_json_limits limits = {.max_bytes = 4096, .max_depth = 4};
    pst_code rc = pst_json_read(text, &limits, arena, &doc, err);
    if (rc == PST_E_LIMIT)
        return PST_FAIL_AT(err, PST_E_INVALID, "schedule", "schedule is too long");
    PST_TRY(rc);
    return from_object(out, yyjson_doc_get_root(doc), dev, err);
}

static void print_interval(struct pst_buf *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        char unit;
    } units[] = {{DAY_MS, 'd'}, {60 * MINUTE_MS, 'h'}, {MINUTE_MS, 'm'}, {1000, 's'}};
    size_t u = 0;
    while (u + 1 < PST_COUNT(units) && ms % units[u].ms != 0)
        u++;
    pst_buf_addf(out, "%lld%c", (long long)(ms / units[u].ms), units[u].unit);
}

void pst_schedule_print(struct pst_buf *out, const struct pst_schedule *s)
{
    if (s->kind == PST_SCHEDULE_MANUAL) {
        pst_buf_add_lit(out, "{\"manual\":true}");
    } else if (s->kind == PST_SCHEDULE_INTERVAL) {
        pst_buf_add_lit(out, "{\"interval\":\"");
        print_interval(out, s->interval_ms);
        pst_buf_add_lit(out, "\"}");
    } else {
        pst_buf_add_lit(out, "{\"cron\":\"");
        pst_json_escape(out, pst_str_from(s->cron_text));
        pst_buf_add_lit(out, "\",\"time_zone\":\"");
        pst_json_escape(out, pst_str_from(s->zone));
        pst_buf_add_lit(out, "\"}");
    }
}

/* FNV-1a with a final mix; it must never change, as it fixes every connection's grid. */
uint64_t pst_schedule_spread(pst_str connection_id)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < connection_id.len; i++)
        h = (h ^ (unsigned char)connection_id.ptr[i]) * 0x100000001b3U;
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15U;
    return h ^ (h >> 29);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

pst_wall pst_schedule_next(const struct pst_schedule *s, const struct pst_tz *tz, uint64_t spread,
                           pst_wall after)
{
    if (s->kind == PST_SCHEDULE_MANUAL)
        return PST_WALL_NONE;
    if (s->kind == PST_SCHEDULE_CRON)
        return pst_cron_next(&s->cron, tz, after);
    int64_t interval = s->interval_ms * 1000;
    int64_t phase = (int64_t)(spread % (uint64_t)interval);
    return (pst_wall){(floor_div(after.us - phase, interval) + 1) * interval + phase};
}
