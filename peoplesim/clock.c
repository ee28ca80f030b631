/* peoplesim/clock.c: the clock calls of the control port: reading, setting, advancing, freezing the
 * simulated time. */
#include <inttypes.h>

#include "base/num.h"
#include "os/clock.h"
#include "peoplesim/control.h"

void pst_sim_clock_json(struct pst_sim_control *c, struct pst_buf *out)
{
    struct pst_sim_engine *e = c->gateway->engine;
    const struct pst_sim_zone *zone = pst_sim_engine_world(e)->zone;
    char utc[PST_WALL_TEXT];
    char local[PST_SIM_DTTM_TEXT];
    int64_t now = pst_sim_engine_now(e);
    (void)pst_wall_format(utc, (pst_wall){now});
    pst_sim_dttm_write(local, pst_sim_zone_local(zone, now));
    pst_buf_addf(out, "{\"now\":\"%s\",\"local\":\"%.*s\",\"zone\":\"%s\",\"frozen\":%s}", utc,
                 (int)PST_SIM_DTTM_TEXT, local, zone->name,
                 pst_sim_engine_clock(e).is_frozen ? "true" : "false");
}

pst_code pst_sim_control_clock(void *self, struct pst_request *req, struct pst_response *res,
                               struct pst_err *err)
{
    (void)req, (void)err;
    pst_sim_clock_json(self, &res->body);
    return PST_OK;
}

pst_code pst_sim_clock_replay(struct pst_sim_control *c, yyjson_val *line, struct pst_err *err)
{
    struct pst_sim_clock clock = {0};
    PST_TRY(pst_sim_json_int(line, "offset_us", INT64_MIN, INT64_MAX, &clock.offset_us, err));
    PST_TRY(pst_sim_json_bool(line, "frozen", &clock.is_frozen, err));
    PST_TRY(pst_sim_json_int(line, "frozen_us", INT64_MIN, INT64_MAX, &clock.frozen_us, err));
    pst_sim_engine_set_clock(c->gateway->engine, clock);
    return PST_OK;
}

static pst_code keep_clock(struct pst_sim_control *c, struct pst_sim_clock clock,
                           struct pst_err *err)
{
    char line[256];
    int n = snprintf(line, sizeof(line),
                     "{\"op\":\"clock\",\"offset_us\":%" PRId64
                     ",\"frozen\":%s,\"frozen_us\":%" PRId64 "}",
                     clock.offset_us, clock.is_frozen ? "true" : "false", clock.frozen_us);
    return pst_sim_journal_append(c->journal, (pst_str){line, (size_t)n}, err);
}

/* The clock that `now` (UTC microseconds) makes, frozen or going. */
static struct pst_sim_clock clock_at(int64_t now, bool is_frozen)
{
    return (struct pst_sim_clock){
        .offset_us = now - pst_wall_now().us,
        .is_frozen = is_frozen,
        .frozen_us = is_frozen ? now : 0,
    };
}

static pst_code change_clock(struct pst_sim_control *c, yyjson_val *body, struct pst_err *err)
{
    static const char *const members[] = {"now", "advance", "freeze", NULL};
    struct pst_sim_clock old = pst_sim_engine_clock(c->gateway->engine);
    int64_t now = pst_sim_engine_now(c->gateway->engine);
    bool is_frozen = old.is_frozen;
    pst_str set = {0};
    pst_str advance = {0};
    int64_t ms = 0;
    pst_wall at = {0};
    PST_TRY(pst_sim_json_only(body, members, err));
    PST_TRY(pst_sim_json_str(body, "now", &set, err));
    PST_TRY(pst_sim_json_str(body, "advance", &advance, err));
    PST_TRY(pst_sim_json_bool(body, "freeze", &is_frozen, err));
    bool is_real = pst_str_is(set, "real");
    if (set.len && !is_real && !pst_wall_parse(&at, set))
        return PST_FAIL_AT(err, PST_E_INVALID, "now",
                           "'now' must be a time like 2026-11-24T10:00:00Z, or real");
    if (set.len)
        now = is_real ? pst_wall_now().us : at.us;
    bool is_back = advance.len && advance.ptr[0] == '-';
    if (advance.len && !pst_parse_duration_ms(&ms, pst_str_sub(advance, is_back, advance.len)))
        return PST_FAIL_AT(err, PST_E_INVALID, "advance",
                           "'advance' must be a duration like 15m, 24h or -1h");
    now += (is_back ? -ms : ms) * 1000;
    struct pst_sim_clock clock = clock_at(now, is_frozen);
    if (is_real && !is_frozen && ms == 0)
        clock.offset_us = 0;
    pst_sim_engine_set_clock(c->gateway->engine, clock);
    return keep_clock(c, clock, err);
}

pst_code pst_sim_control_set_clock(void *self, struct pst_request *req, struct pst_response *res,
                                   struct pst_err *err)
{
    struct pst_sim_control *c = self;
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    PST_TRY(pst_sim_json_read(req->body, &doc, err));
    pthread_mutex_lock(&c->lock);
    pst_code rc = change_clock(c, yyjson_doc_get_root(doc), err);
    pthread_mutex_unlock(&c->lock);
    PST_TRY(rc);
    pst_sim_clock_json(c, &res->body);
    return PST_OK;
}
