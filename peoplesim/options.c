/* peoplesim/options.c: the table of options and what follows from them. */
#include "peoplesim/options.h"

#include "base/num.h"

/* clang-format off */
static const struct pst_config_option rows[PST_SIM_OPT_COUNT] = {
#define X(id, name, type, def, min, max, choices, arg, unit, group, help) \
    [PST_SIM_OPT_##id] = {name, 0, PST_CONFIG_##type, def, min, max, 0, choices, arg, unit, group, help},
#include "peoplesim/options.def"
#undef X
};
/* clang-format on */

const struct pst_config_table pst_sim_options = {
    .program = "peoplesim",
    .env_prefix = "PEOPLESIM_",
    .options = rows,
    .count = PST_SIM_OPT_COUNT,
};

void pst_sim_help(struct pst_buf *out)
{
    pst_buf_add_lit(
        out,
        "usage: peoplesim [options]\n\n"
        "A PeopleSoft Integration Gateway with made-up data, to try and test Penstock against. It\n"
        "answers the queries of Penstock's query pack over the Query Access Service's REST API, "
        "and\n"
        "lets a control port (/sim/...) change rows, move the clock and switch faults on.\n\n"
        "At start one JSON line with the addresses is printed. SIGTERM or Ctrl-C ends it.\n\n");
    pst_config_help(&pst_sim_options, out);
    pst_buf_add_lit(
        out, "\nExamples:\n"
             "  peoplesim                                1,000 orders on 127.0.0.1:7401\n"
             "  peoplesim --records 1000000 --seed 7     a million schedule rows\n"
             "  peoplesim --zone Europe/Berlin --now 2026-10-25T00:55:00Z   shortly before a "
             "repeated hour\n"
             "  peoplesim --state /tmp/sim.state         keeps its changes over restarts\n\n"
             "  curl -u PSAPI:penstock 'http://127.0.0.1:7401/PSIGW/RESTListeningConnector/PSFT_EP/"
             "ExecuteQuery.v1/PUBLIC/PST_CLOCK/JSON/"
             "NONFILE?isconnectedquery=N&maxrows=0&json_resp=true'\n"
             "  curl -d '{\"action\":\"change\",\"entity\":\"purchase_orders\",\"count\":5}' "
             "http://127.0.0.1:7402/sim/change\n"
             "  curl -d '{\"kind\":\"503\",\"count\":3}' http://127.0.0.1:7402/sim/faults\n"
             "  curl 'http://127.0.0.1:7402/sim/dump?query=PST_SUPPLIERS'\n");
}

pst_code pst_sim_control_address(const struct pst_config *c, char out[PST_SIM_ADDRESS],
                                 struct pst_err *err)
{
    pst_str listen = pst_config_str(c, PST_SIM_OPT_LISTEN);
    pst_str control = pst_config_str(c, PST_SIM_OPT_CONTROL);
    uint64_t port = 0;
    size_t colon = listen.len;
    while (colon > 0 && listen.ptr[colon - 1] != ':')
        colon--;
    if (!pst_parse_u64(&port, pst_str_sub(listen, colon, listen.len), 0, 65534))
        return PST_FAIL_AT(err, PST_E_INVALID, "listen", "--listen must be ADDRESS:PORT");
    if (control.len)
        (void)pst_str_copy(out, PST_SIM_ADDRESS, control);
    else
        (void)snprintf(out, PST_SIM_ADDRESS, "%.*s%u", (int)colon, listen.ptr,
                       port ? (unsigned)port + 1 : 0);
    return PST_OK;
}

static pst_code read_range(const struct pst_config *c, size_t option, uint32_t *min, uint32_t *max,
                           struct pst_err *err)
{
    uint64_t low = 0;
    uint64_t high = 0;
    pst_str high_text = pst_config_str(c, option);
    pst_str low_text = pst_str_split(&high_text, '-');
    bool is_one = high_text.ptr == NULL;
    if (!pst_parse_u64(&low, low_text, 1, PST_SIM_LINES_MAX) ||
        (!is_one && !pst_parse_u64(&high, high_text, low, PST_SIM_LINES_MAX)))
        return PST_FAIL_AT(err, PST_E_INVALID, rows[option].name,
                           "--%s must be a number, or a range like 1-9", rows[option].name);
    *min = (uint32_t)low;
    *max = is_one ? (uint32_t)low : (uint32_t)high;
    return PST_OK;
}

static pst_code read_epoch(const struct pst_config *c, pst_wall now, int64_t *out,
                           struct pst_err *err)
{
    pst_str text = pst_config_str(c, PST_SIM_OPT_EPOCH);
    pst_wall at = {now.us - now.us % PST_SIM_DAY_US};
    if (text.len && !pst_wall_parse(&at, text))
        return PST_FAIL_AT(err, PST_E_INVALID, "epoch",
                           "--epoch must be a time like 2026-11-24T00:00:00Z");
    *out = at.us;
    return PST_OK;
}

pst_code pst_sim_read_settings(const struct pst_config *c, pst_wall now,
                               struct pst_sim_settings *out, struct pst_err *err)
{
    struct pst_sim_settings s = {
        .seed = (uint64_t)pst_config_int(c, PST_SIM_OPT_SEED),
        .orders = (uint64_t)pst_config_int(c, PST_SIM_OPT_ORDERS),
        .history_us = pst_config_int(c, PST_SIM_OPT_HISTORY) * 1000,
        .odd = pst_config_bool(c, PST_SIM_OPT_ODD),
    };
    PST_TRY(read_range(c, PST_SIM_OPT_LINES, &s.lines_min, &s.lines_max, err));
    PST_TRY(read_range(c, PST_SIM_OPT_SCHEDULES, &s.schedules_min, &s.schedules_max, err));
    PST_TRY(read_epoch(c, now, &s.epoch_us, err));
    uint64_t records = (uint64_t)pst_config_int(c, PST_SIM_OPT_RECORDS);
    /* Four times the average rows of an order: both averages may end in a half. */
    uint64_t rows_by_4 =
        (uint64_t)(s.lines_min + s.lines_max) * (s.schedules_min + s.schedules_max);
    if (records)
        s.orders = (records * 4 + rows_by_4 - 1) / rows_by_4;
    *out = s;
    return PST_OK;
}
