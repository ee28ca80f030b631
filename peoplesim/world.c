/* peoplesim/world.c: which generated documents exist, and their keys. */
#include "peoplesim/world.h"

#include "base/cleanup.h"

/* clang-format off */
const struct pst_sim_unit pst_sim_units[PST_SIM_UNITS] = {
    {"AU001", "Australia Operations", "Australia", "AUD", 2, 4},
    {"DE001", "Deutschland GmbH", "Germany", "EUR", 1, 9},
    {"FR001", "France S.A.S.", "France", "EUR", 1, 6},
    {"GB001", "Great Britain Ltd.", "UK", "GBP", 1, 8},
    {"JP001", "Japan K.K.", "Japan", "JPY", 0, 6},
    {"US001", "US Manufacturing", "US Mfg", "USD", 2, 40},
    {"US002", "US Distribution", "US Dist", "USD", 2, 17},
    {"US003", "US Services", "US Serv", "USD", 2, 10},
};
const char *const pst_sim_setids[PST_SIM_SETIDS] = {"ASIA1", "EUR01", "SHARE"};
static const uint32_t setid_weights[PST_SIM_SETIDS] = {15, 25, 60};
/* clang-format on */

enum { ORDERS_PER_SUPPLIER = 40, ORDERS_PER_ITEM = 20, ORDERS_PER_WORK_ORDER = 4 };
enum { LEAST_SUPPLIERS = 20, LEAST_ITEMS = 40, LEAST_WORK_ORDERS = 8 };
/* Of five orders in a row the first three have a receipt. */
enum { RECEIPT_CYCLE = 5, RECEIPTS_IN_CYCLE = 3 };

static uint64_t at_least(uint64_t value, uint64_t least)
{
    return value < least ? least : value;
}

static void share_out(struct pst_sim_table *t, uint64_t total, const uint32_t *weights)
{
    uint64_t given = 0;
    uint64_t sum = 0;
    for (size_t g = 0; g < t->group_count; g++) {
        sum += weights[g];
        t->counts[g] = total * sum / 100 - given;
        given += t->counts[g];
    }
    t->total = given;
}

static void set_units(struct pst_sim_table *t, uint64_t total)
{
    uint32_t weights[PST_SIM_UNITS];
    t->group_count = PST_SIM_UNITS;
    for (size_t g = 0; g < PST_SIM_UNITS; g++) {
        t->group_names[g] = pst_sim_units[g].code;
        weights[g] = pst_sim_units[g].weight;
    }
    share_out(t, total, weights);
    t->first = 1;
    t->stride = 3;
    t->id_prefix = "";
    t->id_width = 10;
}

static void set_setids(struct pst_sim_table *t, uint64_t total)
{
    t->group_count = PST_SIM_SETIDS;
    for (size_t g = 0; g < PST_SIM_SETIDS; g++)
        t->group_names[g] = pst_sim_setids[g];
    share_out(t, total, setid_weights);
    t->first = 1;
    t->stride = 1;
    t->id_prefix = "";
    t->id_width = 10;
}

static void set_receipts(struct pst_sim_table *t, const struct pst_sim_table *orders)
{
    set_units(t, 0);
    for (size_t g = 0; g < t->group_count; g++) {
        uint64_t rest = orders->counts[g] % RECEIPT_CYCLE;
        t->counts[g] = orders->counts[g] / RECEIPT_CYCLE * RECEIPTS_IN_CYCLE +
                       (rest < RECEIPTS_IN_CYCLE ? rest : RECEIPTS_IN_CYCLE);
        t->total += t->counts[g];
    }
}

static void set_single(struct pst_sim_table *t, uint64_t total)
{
    t->group_count = 1;
    t->group_names[0] = "";
    t->counts[0] = t->total = total;
    t->first = 0;
    t->stride = 1;
    t->id_prefix = "X";
    t->id_width = 4;
}

static pst_code check(const struct pst_sim_settings *s, struct pst_err *err)
{
    if (s->orders < 1 || s->orders > 100000000)
        return PST_FAIL_AT(err, PST_E_INVALID, "orders", "orders must be 1 to 100,000,000");
    if (s->lines_min < 1 || s->lines_min > s->lines_max || s->lines_max > PST_SIM_LINES_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "lines", "lines must be within 1 to %d",
                           PST_SIM_LINES_MAX);
    if (s->schedules_min < 1 || s->schedules_min > s->schedules_max || s->schedules_max > 999)
        return PST_FAIL_AT(err, PST_E_INVALID, "schedules", "schedules must be within 1 to 999");
    if (s->history_us < PST_SIM_DAY_US)
        return PST_FAIL_AT(err, PST_E_INVALID, "history", "the history must be a day or longer");
    return PST_OK;
}

pst_code pst_sim_world_init(struct pst_sim_world *w, const struct pst_sim_settings *settings,
                            const struct pst_sim_zone *zone, struct pst_err *err)
{
    PST_TRY(check(settings, err));
    *w = (struct pst_sim_world){.settings = *settings, .zone = zone};
    uint64_t n = settings->orders;
    set_units(&w->tables[PST_SIM_PURCHASE_ORDERS], n);
    set_units(&w->tables[PST_SIM_WORK_ORDERS],
              at_least(n / ORDERS_PER_WORK_ORDER, LEAST_WORK_ORDERS));
    set_receipts(&w->tables[PST_SIM_RECEIPTS], &w->tables[PST_SIM_PURCHASE_ORDERS]);
    set_setids(&w->tables[PST_SIM_SUPPLIERS], at_least(n / ORDERS_PER_SUPPLIER, LEAST_SUPPLIERS));
    set_setids(&w->tables[PST_SIM_ITEMS], at_least(n / ORDERS_PER_ITEM, LEAST_ITEMS));
    w->tables[PST_SIM_ITEMS].id_prefix = "ITM";
    w->tables[PST_SIM_ITEMS].id_width = 7;
    set_single(&w->tables[PST_SIM_BUSINESS_UNITS], PST_SIM_UNITS);
    set_single(&w->tables[PST_SIM_CLOCK], 1);
    w->newest_local = pst_sim_zone_local(zone, settings->epoch_us);
    w->epoch_day = pst_sim_day_of(w->newest_local);
    /* The hour before the clock was set back reads later than the epoch itself. */
    w->newest_local += PST_SIM_DAY_US / 12;
    return PST_OK;
}

/* ---- documents ---- */

bool pst_sim_is_base(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                     uint64_t *index)
{
    const struct pst_sim_table *t = &w->tables[e];
    uint32_t g = pst_sim_doc_group(doc);
    uint64_t number = pst_sim_doc_number(doc);
    if (g >= t->group_count || number < t->first || (number - t->first) % t->stride != 0)
        return false;
    uint64_t i = (number - t->first) / t->stride;
    if (index)
        *index = i;
    return i < t->counts[g];
}

uint64_t pst_sim_nth_base(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t i)
{
    const struct pst_sim_table *t = &w->tables[e];
    size_t g = 0;
    while (g + 1 < t->group_count && i >= t->counts[g])
        i -= t->counts[g++];
    return pst_sim_base_doc(t, g, i);
}

size_t pst_sim_id_write(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t number,
                        char out[PST_SIM_ID_TEXT])
{
    if (e == PST_SIM_BUSINESS_UNITS && number < PST_SIM_UNITS) {
        memcpy(out, pst_sim_units[number].code, 5);
        return 5;
    }
    const struct pst_sim_table *t = &w->tables[e];
    size_t at = 0;
    for (const char *p = t->id_prefix; *p; p++)
        out[at++] = *p;
    size_t end = at + (size_t)t->id_width;
    for (size_t i = end; i > at; i--) {
        out[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return end;
}

uint64_t pst_sim_id_lower(const struct pst_sim_world *w, enum pst_sim_entity e, pst_str text)
{
    uint64_t lo = 0;
    uint64_t hi = 1;
    for (int i = 0; i < w->tables[e].id_width; i++)
        hi *= 10;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        char id[PST_SIM_ID_TEXT];
        size_t len = pst_sim_id_write(w, e, mid, id);
        if (pst_str_cmp((pst_str){id, len}, text) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool pst_sim_id_read(const struct pst_sim_world *w, enum pst_sim_entity e, pst_str text,
                     uint64_t *number)
{
    char id[PST_SIM_ID_TEXT];
    uint64_t n = pst_sim_id_lower(w, e, text);
    size_t len = pst_sim_id_write(w, e, n, id);
    if (!pst_str_eq((pst_str){id, len}, text))
        return false;
    *number = n;
    return true;
}

uint64_t pst_sim_doc_hash(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc)
{
    return pst_sim_derive(pst_sim_derive(w->settings.seed, (uint64_t)e), doc);
}

enum { SALT_STAMP = 900, SALT_LINES, SALT_SUBS, SALT_GAP };

int64_t pst_sim_base_stamp_utc(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc)
{
    uint64_t h = pst_sim_derive(pst_sim_doc_hash(w, e, doc), SALT_STAMP);
    int64_t utc = w->settings.epoch_us - (int64_t)(h % (uint64_t)w->settings.history_us);
    /* One in eight was last touched by the nightly batch: many rows with one and the same stamp. */
    if ((h >> 60) % 8 == 0) {
        int64_t day = utc - ((utc % PST_SIM_DAY_US) + PST_SIM_DAY_US) % PST_SIM_DAY_US;
        return day;
    }
    return utc;
}

int64_t pst_sim_base_stamp(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc)
{
    return pst_sim_zone_local(w->zone, pst_sim_base_stamp_utc(w, e, doc));
}

/* ---- rows of a document ---- */

static uint32_t within(uint64_t h, uint32_t min, uint32_t max)
{
    return min == max ? min : min + pst_sim_below(h, max - min + 1);
}

uint32_t pst_sim_base_lines(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc)
{
    const struct pst_sim_settings *s = &w->settings;
    if (e == PST_SIM_RECEIPTS)
        return pst_sim_base_lines(w, PST_SIM_PURCHASE_ORDERS, pst_sim_receipt_order(w, doc));
    if (e == PST_SIM_PURCHASE_ORDERS)
        return within(pst_sim_derive(pst_sim_doc_hash(w, e, doc), SALT_LINES), s->lines_min,
                      s->lines_max);
    if (e == PST_SIM_WORK_ORDERS)
        return within(pst_sim_derive(pst_sim_doc_hash(w, e, doc), SALT_LINES), 1, 5);
    return 1;
}

uint32_t pst_sim_base_subs(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                           uint32_t line)
{
    const struct pst_sim_settings *s = &w->settings;
    if (e == PST_SIM_RECEIPTS) {
        uint64_t order = pst_sim_receipt_order(w, doc);
        /* A partial receipt leaves out every other line. */
        if (pst_sim_order_received(w, order) == PST_SIM_RECEIVED_PART && line % 2 == 0)
            return 0;
        return pst_sim_base_subs(w, PST_SIM_PURCHASE_ORDERS, order, line);
    }
    if (e == PST_SIM_PURCHASE_ORDERS)
        return within(pst_sim_derive(pst_sim_doc_hash(w, e, doc), SALT_SUBS + 7ULL * line),
                      s->schedules_min, s->schedules_max);
    return 1;
}

uint32_t pst_sim_line_number(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                             uint32_t i)
{
    if (pst_sim_queries[e].levels == 1)
        return 0;
    if (e != PST_SIM_WORK_ORDERS)
        return i + 1;
    /* Tasks are numbered in tens, and some were renumbered by hand. */
    uint64_t h = pst_sim_derive(pst_sim_doc_hash(w, e, doc), SALT_GAP + 13ULL * i);
    return (i + 1) * 10 - (h % 4 == 0 ? pst_sim_below(h, 7) : 0);
}

/* ---- facts that several records share ---- */

enum pst_sim_received pst_sim_order_received(const struct pst_sim_world *w, uint64_t order)
{
    static const enum pst_sim_received cycle[RECEIPT_CYCLE] = {
        PST_SIM_RECEIVED_ALL, PST_SIM_RECEIVED_PART, PST_SIM_RECEIVED_ALL, PST_SIM_RECEIVED_NONE,
        PST_SIM_RECEIVED_NONE};
    uint64_t index = 0;
    if (!pst_sim_is_base(w, PST_SIM_PURCHASE_ORDERS, order, &index))
        return PST_SIM_RECEIVED_NONE;
    return cycle[index % RECEIPT_CYCLE];
}

uint64_t pst_sim_receipt_order(const struct pst_sim_world *w, uint64_t receipt)
{
    uint64_t index = 0;
    (void)pst_sim_is_base(w, PST_SIM_RECEIPTS, receipt, &index);
    return pst_sim_base_doc(&w->tables[PST_SIM_PURCHASE_ORDERS], pst_sim_doc_group(receipt),
                            index / RECEIPTS_IN_CYCLE * RECEIPT_CYCLE + index % RECEIPTS_IN_CYCLE);
}
