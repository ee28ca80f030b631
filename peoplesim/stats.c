/* peoplesim/stats.c: counters of the gateway. */
#include "peoplesim/stats.h"

void pst_sim_stats_enter(struct pst_sim_stats *s)
{
    s->calls++;
    uint64_t now = ++s->concurrent;
    uint64_t max = s->concurrent_max;
    while (now > max && !atomic_compare_exchange_weak(&s->concurrent_max, &max, now))
        continue;
}

void pst_sim_stats_leave(struct pst_sim_stats *s, uint64_t bytes)
{
    s->concurrent--;
    s->bytes += bytes;
}

void pst_sim_stats_query(struct pst_sim_stats *s, enum pst_sim_entity e, uint64_t rows,
                         uint64_t bytes)
{
    s->rows += rows;
    s->queries[e].calls++;
    s->queries[e].rows += rows;
    s->queries[e].bytes += bytes;
}

void pst_sim_stats_reset(struct pst_sim_stats *s)
{
    s->calls = s->rows = s->bytes = s->refused_logins = s->faults = 0;
    s->concurrent_max = (uint64_t)s->concurrent;
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++)
        s->queries[i].calls = s->queries[i].rows = s->queries[i].bytes = 0;
}

static void put(struct pst_buf *out, const char *name, uint64_t value)
{
    pst_buf_addf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

void pst_sim_stats_json(struct pst_sim_stats *s, struct pst_buf *out)
{
    pst_buf_add_char(out, '{');
    put(out, "calls", s->calls);
    put(out, "rows", s->rows);
    put(out, "bytes", s->bytes);
    put(out, "refused_logins", s->refused_logins);
    put(out, "faults", s->faults);
    put(out, "concurrent", s->concurrent);
    put(out, "concurrent_max", s->concurrent_max);
    pst_buf_add_lit(out, "\"queries\":{");
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++)
        pst_buf_addf(out, "%s\"%s\":{\"calls\":%llu,\"rows\":%llu,\"bytes\":%llu}", i ? "," : "",
                     pst_sim_queries[i].name, (unsigned long long)s->queries[i].calls,
                     (unsigned long long)s->queries[i].rows,
                     (unsigned long long)s->queries[i].bytes);
    pst_buf_add_lit(out, "}}");
}
