/* peoplesim/gen_master.c: suppliers, items and work orders. */
#include "base/cleanup.h"
#include "peoplesim/gen.h"

enum {
    SALT_NAME,
    SALT_CODE,
    SALT_PLACE,
    SALT_DATE,
    SALT_CUSTOM,
    SALT_TERMS,
    SALT_FUTURE,
    SALT_TASK = 500
};

/* clang-format off */
static const char *const firms[] = {
    "Acme", "Globex", "Initech", "Umbra", "Northwind", "Contoso", "Fabrik", "Vandelay",
    "Stark & Sons", "Wayne", "O'Neill", "Müller", "Sørensen", "García", "東京商事", "上海机械"};
static const char *const trades[] = {
    "Tools", "Bearings", "Logistics", "Electric", "Plastics", "Hydraulics", "Services", "Metals"};
static const char *const forms[] = {"Inc.", "GmbH", "Ltd.", "S.A.", "LLC", "K.K.", "", "AG"};

struct place { const char *street, *city, *state, *postal, *country, *phone; };
static const struct place places[] = {
    {"12 Harbor Street", "Boston", "MA", "02110", "USA", "617/555-0133"},
    {"400 Market St", "Chicago", "IL", "60601", "USA", "312/555-0188"},
    {"1 Alameda", "San José", "CA", "95110", "USA", "408/555-0101"},
    {"Hafenstraße 7", "Hamburg", "HH", "20457", "DEU", "+49 40 5550123"},
    {"5 rue de la Paix", "Lyon", "", "69002", "FRA", "+33 4 5550 1234"},
    {"88 King's Road", "Leeds", "", "LS1 4AP", "GBR", "+44 113 555 0144"},
    {"丸の内1-1", "東京", "", "100-0005", "JPN", "+81 3 5550 1234"},
    {"9 Collins Street", "Melbourne", "VIC", "3000", "AUS", "+61 3 5550 1234"}};

struct site_status { const char *code, *internal; };
static const struct site_status statuses[] = {
    {"OPEN", "O"}, {"PLAN", "O"}, {"SCHD", "O"}, {"WIP", "W"}, {"HOLD", "W"}, {"WAITPART", "W"},
    {"COMP", "C"}, {"CLSD", "F"}, {"CANC", "X"}};
static const char *const jobs[] = {
    "Inspect conveyor", "Replace bearing", "Lubricate gearbox", "Repair leak", "Calibrate scale",
    "Check sprinklers", "Exchange filter", "Test emergency stop"};
/* clang-format on */

/* ---- suppliers ---- */

/* The address row in force on r's date: an old one, the present one, or one that was entered
 * ahead of time. effdt is NO_TIME before the first. */
static const struct place *place_at(const struct pst_sim_world *w, const struct pst_sim_record *r,
                                    int64_t *effdt)
{
    uint64_t h = pst_sim_derive(r->hash, SALT_PLACE);
    int64_t dates[3] = {w->epoch_day - 3000 - pst_sim_below(h, 2000),
                        w->epoch_day - 1 - pst_sim_below(pst_sim_derive(h, 1), 700),
                        w->epoch_day + 1 + pst_sim_below(pst_sim_derive(h, 2), 40)};
    int count = h % 10 == 0 ? 3 : 2;
    int at = count;
    while (at > 0 && dates[at - 1] > r->asof_day)
        at--;
    *effdt = at ? dates[at - 1] : PST_SIM_NO_TIME;
    return at ? &places[(h / 16 + (uint64_t)at) % PST_COUNT(places)] : NULL;
}

static void set_address(const struct pst_sim_world *w, const struct pst_sim_record *r,
                        struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    static const struct place none = {"", "", "", "", "", ""};
    int64_t effdt = 0;
    const struct place *p = place_at(w, r, &effdt);
    bool exists = p != NULL;
    if (!exists)
        p = &none;
    pst_sim_set_num(&v[PST_SIM_VN_C_EFFDT], effdt);
    pst_sim_set_text(&v[PST_SIM_VN_C_ADDRESS1], p->street);
    pst_sim_set_text(&v[PST_SIM_VN_C_ADDRESS2], exists && r->hash % 5 == 0 ? "Building 2" : "");
    pst_sim_set_text(&v[PST_SIM_VN_C_CITY], p->city);
    pst_sim_set_text(&v[PST_SIM_VN_C_STATE], p->state);
    pst_sim_set_text(&v[PST_SIM_VN_C_POSTAL], p->postal);
    pst_sim_set_text(&v[PST_SIM_VN_C_COUNTRY], p->country);
    if (exists && r->hash % 3 == 0)
        pst_sim_set_format(&v[PST_SIM_VN_C_EMAILID], s, "orders%u@supplier.example",
                           (unsigned)(r->hash >> 32) % 100000);
    else
        pst_sim_set_text(&v[PST_SIM_VN_C_EMAILID], "");
    pst_sim_set_text(&v[PST_SIM_VN_D_PHONE], p->phone);
}

static int64_t location_effdt(const struct pst_sim_world *w, const struct pst_sim_record *r)
{
    int64_t day = w->epoch_day - 2000 - pst_sim_below(pst_sim_derive(r->hash, SALT_TERMS), 1000);
    return day <= r->asof_day ? day : PST_SIM_NO_TIME;
}

static void set_location(const struct pst_sim_world *w, const struct pst_sim_record *r,
                         struct pst_sim_value *v)
{
    static const char *const currencies[PST_SIM_SETIDS] = {"JPY", "EUR", "USD"};
    static const char *const methods[] = {"EDX", "EML", "FAX", "PHN", "PRN"};
    uint64_t h = pst_sim_derive(r->hash, SALT_TERMS);
    int64_t effdt = location_effdt(w, r);
    bool exists = effdt != PST_SIM_NO_TIME;
    pst_sim_set_text(&v[PST_SIM_VN_B_VNDR_LOC], exists ? "MAIN" : "");
    pst_sim_set_num(&v[PST_SIM_VN_B_EFFDT], effdt);
    pst_sim_set_text(&v[PST_SIM_VN_B_PYMNT_TERMS_CD], exists ? PST_SIM_PICK(pst_sim_terms, h) : "");
    pst_sim_set_text(&v[PST_SIM_VN_B_CURRENCY_CD],
                     exists ? currencies[pst_sim_doc_group(r->doc) % PST_SIM_SETIDS] : "");
    pst_sim_set_text(&v[PST_SIM_VN_B_BUYER_ID], exists ? PST_SIM_PICK(pst_sim_buyers, h >> 4) : "");
    pst_sim_set_text(&v[PST_SIM_VN_B_DISP_METHOD],
                     exists ? methods[(h >> 40) % PST_COUNT(methods)] : "");
}

static void set_supplier_codes(const struct pst_sim_record *r, struct pst_sim_value *v)
{
    static const char *const status[] = {"A", "A", "A", "A", "A", "A", "I", "E", "D", "X"};
    static const char *const classes[] = {"R", "R", "R", "R", "R", "E", "A", "H", "O"};
    static const char *const kinds[] = {"R", "R", "R", "P", "S", "O"};
    uint64_t h = pst_sim_derive(r->hash, SALT_CODE + 31ULL * r->version);
    const char *code = PST_SIM_PICK(status, h);
    pst_sim_set_text(&v[PST_SIM_VN_A_VENDOR_STATUS], code);
    pst_sim_set_text(&v[PST_SIM_VN_A_VENDOR_CLASS], PST_SIM_PICK(classes, pst_sim_derive(h, 1)));
    pst_sim_set_text(&v[PST_SIM_VN_A_VENDOR_PERSISTENCE],
                     PST_SIM_PICK(kinds, pst_sim_derive(h, 2)));
    pst_sim_set_text(&v[PST_SIM_VN_A_VNDR_STATUS_PO], code[0] == 'A' ? "Y" : "N");
}

void pst_sim_gen_supplier(const struct pst_sim_world *w, const struct pst_sim_record *r,
                          struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    uint64_t h = pst_sim_derive(r->hash, SALT_NAME);
    const char *firm = PST_SIM_PICK(firms, h);
    const char *trade = PST_SIM_PICK(trades, pst_sim_derive(h, 1));
    uint64_t number = pst_sim_doc_number(r->doc);
    pst_sim_set_text(&v[PST_SIM_VN_A_SETID], pst_sim_setids[pst_sim_doc_group(r->doc)]);
    pst_sim_set_id(&v[PST_SIM_VN_A_VENDOR_ID], s, w, PST_SIM_SUPPLIERS, number);
    pst_sim_set_format(&v[PST_SIM_VN_A_VENDOR_NAME_SHORT], s, "%.8s-%03u", trade,
                       (unsigned)(number % 1000));
    pst_sim_set_format(&v[PST_SIM_VN_A_NAME1], s, "%s %s %s", firm, trade,
                       PST_SIM_PICK(forms, pst_sim_derive(h, 2)));
    pst_sim_set_text(&v[PST_SIM_VN_A_NAME2], h % 7 == 0 ? "Accounts Receivable" : "");
    set_supplier_codes(r, v);
    pst_sim_set_text(&v[PST_SIM_VN_A_CORPORATE_SETID], "");
    pst_sim_set_text(&v[PST_SIM_VN_A_CORPORATE_VENDOR], "");
    if (h % 9 == 0) {
        v[PST_SIM_VN_A_CORPORATE_SETID] = v[PST_SIM_VN_A_SETID];
        pst_sim_set_id(&v[PST_SIM_VN_A_CORPORATE_VENDOR], s, w, PST_SIM_SUPPLIERS, 1);
    }
    pst_sim_set_format(&v[PST_SIM_VN_A_VNDR_TIN], s, "%02u-%07u", (unsigned)(h >> 50) % 100,
                       (unsigned)(h >> 20) % 10000000);
    int64_t created = r->base_day - 400 - pst_sim_below(pst_sim_derive(h, 3), 3000);
    pst_sim_set_num(&v[PST_SIM_VN_A_CREATED_DTTM],
                    created * PST_SIM_DAY_US + (int64_t)pst_sim_below(h, 86400) * 1000000);
    pst_sim_set_num(&v[PST_SIM_VN_A_LAST_ACTIVITY_DT],
                    h % 6 == 0 ? PST_SIM_NO_TIME : r->base_day - pst_sim_below(h, 30));
    pst_sim_set_num(&v[PST_SIM_VN_A_LAST_MODIFIED_DATE],
                    r->stamp == PST_SIM_NO_TIME ? PST_SIM_NO_TIME : pst_sim_day_of(r->stamp));
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_VN_A_VNDR_FIELD_C30_A], s, "REV %u", r->version);
    else
        pst_sim_set_text(&v[PST_SIM_VN_A_VNDR_FIELD_C30_A], h % 5 == 0 ? "PREFERRED" : "");
    set_location(w, r, v);
    set_address(w, r, v, s);
}

/* ---- items ---- */

static void set_item_status(const struct pst_sim_world *w, const struct pst_sim_record *r,
                            struct pst_sim_value *v)
{
    static const char *const status[] = {"1", "1", "1", "1", "1", "1", "1", "2", "3", "4", "5"};
    uint64_t h = pst_sim_derive(r->hash, SALT_CODE + 31ULL * r->version);
    uint64_t f = pst_sim_derive(r->hash, SALT_FUTURE);
    bool has_future = f % 12 == 0;
    pst_sim_set_text(&v[PST_SIM_IT_A_ITM_STATUS_CURRENT], PST_SIM_PICK(status, h));
    pst_sim_set_num(&v[PST_SIM_IT_A_ITM_STATUS_EFFDT], r->base_day - pst_sim_below(h, 900));
    pst_sim_set_text(&v[PST_SIM_IT_A_ITM_STATUS_FUTURE], has_future ? "4" : "");
    pst_sim_set_num(&v[PST_SIM_IT_A_ITM_STAT_DT_FUTURE],
                    has_future ? w->epoch_day + 10 + pst_sim_below(f, 90) : PST_SIM_NO_TIME);
}

static int64_t item_added(const struct pst_sim_world *w, const struct pst_sim_record *r)
{
    return w->epoch_day - 200 - pst_sim_below(pst_sim_derive(r->hash, SALT_NAME), 3000);
}

/* INV_ITEMS: one row from when the item was added, of some a second one in the future. */
static int64_t detail_effdt(const struct pst_sim_world *w, const struct pst_sim_record *r,
                            bool *is_future)
{
    uint64_t h = pst_sim_derive(r->hash, SALT_DATE);
    int64_t future = w->epoch_day + 1 + pst_sim_below(h, 30);
    int64_t added = item_added(w, r);
    *is_future = h % 15 == 0 && future <= r->asof_day;
    if (*is_future)
        return future;
    return added <= r->asof_day ? added : PST_SIM_NO_TIME;
}

static void set_item_detail(const struct pst_sim_world *w, const struct pst_sim_record *r,
                            struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    static const char *const types[] = {"", "STD", "PHM", "KIT"};
    uint64_t h = pst_sim_derive(r->hash, SALT_DATE);
    bool is_future = false;
    int64_t effdt = detail_effdt(w, r, &is_future);
    if (effdt == PST_SIM_NO_TIME) {
        pst_sim_set_num(&v[PST_SIM_IT_B_EFFDT], PST_SIM_NO_TIME);
        pst_sim_set_text(&v[PST_SIM_IT_B_DESCR254], "");
        pst_sim_set_text(&v[PST_SIM_IT_B_INV_ITEM_TYPE], "");
        pst_sim_set_num(&v[PST_SIM_IT_B_INV_ITEM_WEIGHT], 0);
        pst_sim_set_text(&v[PST_SIM_IT_B_UNIT_MEASURE_WT], "");
        pst_sim_set_num(&v[PST_SIM_IT_B_SERVICE_PRICE], 0);
        return;
    }
    pst_sim_set_num(&v[PST_SIM_IT_B_EFFDT], effdt);
    pst_sim_set_item_name(w, &v[PST_SIM_IT_B_DESCR254], s, r->doc, 254);
    pst_sim_set_text(&v[PST_SIM_IT_B_INV_ITEM_TYPE], PST_SIM_PICK(types, h));
    pst_sim_set_num(&v[PST_SIM_IT_B_INV_ITEM_WEIGHT], h % 4 == 0 ? 0 : (int64_t)(h % 900000));
    pst_sim_set_text(&v[PST_SIM_IT_B_UNIT_MEASURE_WT], h % 4 == 0 ? "" : "KG");
    pst_sim_set_num(&v[PST_SIM_IT_B_SERVICE_PRICE],
                    (int64_t)(h % 50000000) + (is_future ? 100000 : 0));
}

void pst_sim_gen_item(const struct pst_sim_world *w, const struct pst_sim_record *r,
                      struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    static const char *const groups[] = {"MRO", "RAW", "FINISHED", "PACKAGING", ""};
    static const char *const categories[] = {"10100", "10200", "20500", "31000", "45000"};
    uint64_t h = pst_sim_derive(r->hash, SALT_NAME);
    pst_sim_set_text(&v[PST_SIM_IT_A_SETID], pst_sim_setids[pst_sim_doc_group(r->doc)]);
    pst_sim_set_id(&v[PST_SIM_IT_A_INV_ITEM_ID], s, w, PST_SIM_ITEMS, pst_sim_doc_number(r->doc));
    set_item_status(w, r, v);
    pst_sim_set_item_name(w, &v[PST_SIM_IT_A_DESCR], s, r->doc, 30);
    pst_sim_set_item_name(w, &v[PST_SIM_IT_A_DESCR60], s, r->doc, 60);
    pst_sim_set_text(&v[PST_SIM_IT_A_UNIT_MEASURE_STD],
                     PST_SIM_PICK(pst_sim_uoms, pst_sim_derive(r->hash, 5)));
    pst_sim_set_text(&v[PST_SIM_IT_A_INV_ITEM_GROUP], PST_SIM_PICK(groups, h));
    pst_sim_set_text(&v[PST_SIM_IT_A_CATEGORY_ID], PST_SIM_PICK(categories, h << 8));
    pst_sim_set_text(&v[PST_SIM_IT_A_INVENTORY_ITEM], h % 10 ? "Y" : "N");
    pst_sim_set_text(&v[PST_SIM_IT_A_LOT_CONTROL], h % 11 ? "N" : "Y");
    pst_sim_set_text(&v[PST_SIM_IT_A_SERIAL_CONTROL], h % 13 ? "N" : "Y");
    pst_sim_set_num(&v[PST_SIM_IT_A_DATE_ADDED], item_added(w, r));
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_IT_A_ITEM_FIELD_C30_A], s, "REV %u", r->version);
    else
        pst_sim_set_text(&v[PST_SIM_IT_A_ITEM_FIELD_C30_A], h % 6 == 0 ? "CRITICAL" : "");
    pst_sim_set_num(&v[PST_SIM_IT_A_LAST_DTTM_UPDATE], r->stamp);
    set_item_detail(w, r, v, s);
}

int64_t pst_sim_in_force_since(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                               int64_t asof_day)
{
    const struct pst_sim_record r = {.hash = pst_sim_doc_hash(w, e, doc), .asof_day = asof_day};
    bool is_future = false;
    if (e == PST_SIM_ITEMS)
        return detail_effdt(w, &r, &is_future);
    if (e != PST_SIM_SUPPLIERS)
        return PST_SIM_NO_TIME;
    int64_t address = 0;
    int64_t location = location_effdt(w, &r);
    (void)place_at(w, &r, &address);
    return address > location ? address : location; /* NO_TIME is before all days */
}

/* ---- work orders ---- */

/* When a job of that state was planned and done; NO_TIME where it was not. */
static void set_times(struct pst_sim_value *v, int sched_start, char internal, uint64_t h,
                      int64_t day)
{
    int64_t start = day * PST_SIM_DAY_US + (7 * 3600 + (int64_t)pst_sim_below(h, 28800)) * 1000000;
    int64_t length = (1 + (int64_t)(h % 8)) * 3600 * 1000000;
    bool is_planned = internal != 'O' || h % 2 == 0;
    bool is_started = internal == 'W' || internal == 'C' || internal == 'F';
    bool is_ended = internal == 'C' || internal == 'F';
    pst_sim_set_num(&v[sched_start], is_planned ? start : PST_SIM_NO_TIME);
    pst_sim_set_num(&v[sched_start + 1], is_planned ? start + length : PST_SIM_NO_TIME);
    pst_sim_set_num(&v[sched_start + 2], is_started ? start + 600000000 : PST_SIM_NO_TIME);
    pst_sim_set_num(&v[sched_start + 3], is_ended ? start + length + 900000000 : PST_SIM_NO_TIME);
}

static void set_work_text(const struct pst_sim_world *w, const struct pst_sim_record *r,
                          struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    uint64_t h = pst_sim_derive(r->hash, SALT_NAME);
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_WO_A_DESCR], s, "Revised job, rev %u", r->version);
    else
        pst_sim_set_text(&v[PST_SIM_WO_A_DESCR], PST_SIM_PICK(jobs, h));
    if (w->settings.odd && h % 59 == 0)
        pst_sim_set_text(&v[PST_SIM_WO_A_DESCRLONG],
                         "First line\nsecond line\twith a tab\r\n設備点検 \"urgent\" <b>&amp;</b>");
    else
        pst_sim_set_text(&v[PST_SIM_WO_A_DESCRLONG],
                         h % 3 == 0 ? "Reported by the shift; see attached drawing." : "");
}

static void gen_work_header(const struct pst_sim_world *w, const struct pst_sim_record *r,
                            const struct site_status *status, struct pst_sim_value *v,
                            struct pst_sim_scratch *s)
{
    static const char *const types[] = {"CM", "PM", "INSP", "EMRG"};
    static const char *const priorities[] = {"", "1", "2", "3", "4", "5"};
    static const char *const shops[] = {"MECH", "ELEC", "HVAC", "FLEET"};
    uint64_t h = pst_sim_derive(r->hash, SALT_CUSTOM);
    pst_sim_set_text(&v[PST_SIM_WO_A_BUSINESS_UNIT],
                     pst_sim_units[pst_sim_doc_group(r->doc) % PST_SIM_UNITS].code);
    pst_sim_set_id(&v[PST_SIM_WO_A_WO_ID], s, w, PST_SIM_WORK_ORDERS, pst_sim_doc_number(r->doc));
    pst_sim_set_text(&v[PST_SIM_WO_A_WO_TYPE], PST_SIM_PICK(types, h));
    set_work_text(w, r, v, s);
    pst_sim_set_text(&v[PST_SIM_WO_A_PRIORITY_CD], PST_SIM_PICK(priorities, pst_sim_derive(h, 1)));
    pst_sim_set_text(&v[PST_SIM_WO_A_WO_STATUS], status->code);
    pst_sim_set_text(&v[PST_SIM_WO_A_INTERNAL_STATUS], status->internal);
    pst_sim_set_num(&v[PST_SIM_WO_A_REQ_START_DT], r->base_day - 2);
    pst_sim_set_num(&v[PST_SIM_WO_A_REQ_END_DT],
                    h % 5 == 0 ? PST_SIM_NO_TIME : r->base_day + (int64_t)(h % 20));
    set_times(v, PST_SIM_WO_A_SCHED_START_DTTM, status->internal[0], h, r->base_day - 1);
    pst_sim_set_text(&v[PST_SIM_WO_A_SHOP_ID], PST_SIM_PICK(shops, pst_sim_derive(h, 2)));
    if (h % 6 == 0)
        pst_sim_set_format(&v[PST_SIM_WO_A_PROJECT_ID], s, "MAINT%05u", (unsigned)(h >> 40) % 1000);
    else
        pst_sim_set_text(&v[PST_SIM_WO_A_PROJECT_ID], "");
    if (h % 4 == 1)
        pst_sim_set_format(&v[PST_SIM_WO_A_SERV_REQ_ID], s, "%010u", (unsigned)(h >> 33));
    else
        pst_sim_set_text(&v[PST_SIM_WO_A_SERV_REQ_ID], "");
    pst_sim_set_num(&v[PST_SIM_WO_A_LAST_DTTM_UPDATE], r->stamp);
}

static void gen_task(const struct pst_sim_record *r, const struct site_status *status,
                     struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    static const char *const problems[] = {"", "NOISE", "LEAK", "WEAR", "POWER"};
    static const char *const fixes[] = {"REPLACED", "ADJUSTED", "CLEANED"};
    const char *unit = pst_sim_units[pst_sim_doc_group(r->doc) % PST_SIM_UNITS].code;
    uint64_t h = pst_sim_derive(r->hash, SALT_TASK + r->line);
    bool has_asset = h % 6 != 0;
    bool is_done = status->internal[0] == 'C' || status->internal[0] == 'F';
    pst_sim_set_num(&v[PST_SIM_WO_B_WO_TASK_ID], r->line);
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_WO_B_DESCR], s, "Revised task, rev %u", r->version);
    else
        pst_sim_set_text(&v[PST_SIM_WO_B_DESCR], PST_SIM_PICK(jobs, h));
    pst_sim_set_text(&v[PST_SIM_WO_B_TASK_STATUS], status->code);
    pst_sim_set_text(&v[PST_SIM_WO_B_INTERNAL_STATUS], status->internal);
    pst_sim_set_text(&v[PST_SIM_WO_B_BUSINESS_UNIT_AM], has_asset ? unit : "");
    if (has_asset)
        pst_sim_set_format(&v[PST_SIM_WO_B_ASSET_ID], s, "%012u", (unsigned)(h >> 40) % 20000);
    else
        pst_sim_set_text(&v[PST_SIM_WO_B_ASSET_ID], "");
    pst_sim_set_text(&v[PST_SIM_WO_B_LOCATION], unit);
    pst_sim_set_format(&v[PST_SIM_WO_B_CREW_ID], s, "CREW%02u", (unsigned)(h % 12));
    pst_sim_set_format(&v[PST_SIM_WO_B_LEAD_EMPLID], s, "%08u", (unsigned)(h >> 30) % 90000 + 10);
    set_times(v, PST_SIM_WO_B_SCHED_START_DTTM, status->internal[0], h, r->base_day - 1);
    pst_sim_set_num(&v[PST_SIM_WO_B_PERCENT_COMPLETE], is_done ? 100
                                                       : status->internal[0] == 'W'
                                                           ? (int64_t)(h % 20) * 5
                                                           : 0);
    pst_sim_set_text(&v[PST_SIM_WO_B_PROBLEM_CD], PST_SIM_PICK(problems, pst_sim_derive(h, 1)));
    pst_sim_set_text(&v[PST_SIM_WO_B_RESOLUTION_CD],
                     is_done ? PST_SIM_PICK(fixes, pst_sim_derive(h, 2)) : "");
}

void pst_sim_gen_work_order(const struct pst_sim_world *w, const struct pst_sim_record *r,
                            struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    uint64_t salt = SALT_CODE + (r->level == 0 ? 31ULL * r->version : 0);
    uint64_t h = pst_sim_derive(r->hash, salt);
    const struct site_status *status = &statuses[pst_sim_below(h, (uint32_t)PST_COUNT(statuses))];
    if (r->level == 0)
        gen_work_header(w, r, status, v, s);
    else
        gen_task(r, status, v, s);
}
