/* peoplesim/schema.c: the tables of queries, columns and translate values. */
#include "peoplesim/schema.h"

#include <stdio.h>

/* clang-format off */
#define X(symbol, name, type, digits, decimals, level, flag, translate, heading)                   \
    {name, PST_SIM_##type, digits, decimals, level, PST_SIM_##flag, PST_SIM_XLAT_##translate, heading},
static const struct pst_sim_column business_units[] = {
#include "peoplesim/queries/business_units.def"
};
static const struct pst_sim_column clock_columns[] = {
#include "peoplesim/queries/clock.def"
};
static const struct pst_sim_column items[] = {
#include "peoplesim/queries/items.def"
};
static const struct pst_sim_column purchase_orders[] = {
#include "peoplesim/queries/purchase_orders.def"
};
static const struct pst_sim_column receipts[] = {
#include "peoplesim/queries/receipts.def"
};
static const struct pst_sim_column suppliers[] = {
#include "peoplesim/queries/suppliers.def"
};
static const struct pst_sim_column work_orders[] = {
#include "peoplesim/queries/work_orders.def"
};
#undef X

const struct pst_sim_query pst_sim_queries[PST_SIM_ENTITY_COUNT] = {
    {PST_SIM_BUSINESS_UNITS, "PST_BUSINESS_UNITS", "business_units", "Penstock: business units",
     business_units, PST_SIM_BU_COLUMNS, 1, false, -1,
     {PST_SIM_BU_A_BUSINESS_UNIT}, 1, 1},
    {PST_SIM_CLOCK, "PST_CLOCK", "clock", "Penstock: the database's time",
     clock_columns, PST_SIM_CLOCK_COLUMNS, 1, false, -1, {0}, 0, 0},
    {PST_SIM_ITEMS, "PST_ITEMS", "items", "Penstock: items",
     items, PST_SIM_IT_COLUMNS, 1, true, PST_SIM_IT_A_LAST_DTTM_UPDATE,
     {PST_SIM_IT_A_SETID, PST_SIM_IT_A_INV_ITEM_ID}, 2, 2},
    {PST_SIM_PURCHASE_ORDERS, "PST_PURCHASE_ORDERS", "purchase_orders", "Penstock: purchase orders",
     purchase_orders, PST_SIM_PO_COLUMNS, 3, false, PST_SIM_PO_A_LAST_DTTM_UPDATE,
     {PST_SIM_PO_A_BUSINESS_UNIT, PST_SIM_PO_A_PO_ID, PST_SIM_PO_B_LINE_NBR, PST_SIM_PO_C_SCHED_NBR},
     4, 2},
    {PST_SIM_RECEIPTS, "PST_RECEIPTS", "receipts", "Penstock: receipts",
     receipts, PST_SIM_RC_COLUMNS, 3, false, PST_SIM_RC_A_LAST_DTTM_UPDATE,
     {PST_SIM_RC_A_BUSINESS_UNIT, PST_SIM_RC_A_RECEIVER_ID, PST_SIM_RC_B_RECV_LN_NBR,
      PST_SIM_RC_B_RECV_SHIP_SEQ_NBR},
     4, 2},
    {PST_SIM_SUPPLIERS, "PST_SUPPLIERS", "suppliers", "Penstock: suppliers",
     suppliers, PST_SIM_VN_COLUMNS, 1, true, PST_SIM_VN_A_LAST_MODIFIED_DATE,
     {PST_SIM_VN_A_SETID, PST_SIM_VN_A_VENDOR_ID}, 2, 2},
    {PST_SIM_WORK_ORDERS, "PST_WORK_ORDERS", "work_orders", "Penstock: work orders",
     work_orders, PST_SIM_WO_COLUMNS, 2, false, PST_SIM_WO_A_LAST_DTTM_UPDATE,
     {PST_SIM_WO_A_BUSINESS_UNIT, PST_SIM_WO_A_WO_ID, PST_SIM_WO_B_WO_TASK_ID}, 3, 2},
};

static const struct pst_sim_code po_status[] = {
    {"A", "Approved", "Approved"}, {"C", "Complete", "Complete"},
    {"D", "Dispatched", "Dispatched"}, {"DA", "Denied", "Denied"},
    {"I", "Initial", "Initial"}, {"LD", "Line Den", "Line Denied"},
    {"O", "Open", "Open"}, {"PA", "Pend Appr", "Pending Approval"},
    {"PX", "Pend Canc", "Pending Cancel"}, {"X", "Canceled", "Canceled"}, {0}};
static const struct pst_sim_code po_recv_status[] = {
    {"N", "Not Recvd", "Not Received"}, {"P", "Partial", "Partially Received"},
    {"R", "Received", "Received"}, {0}};
static const struct pst_sim_code cancel_status[] = {
    {"A", "Active", "Active"}, {"C", "Closed", "Closed"}, {"X", "Canceled", "Canceled"},
    {"PX", "Pend Canc", "Pending Cancel"}, {"H", "Hold", "Hold"}, {"D", "Denied", "Denied"}, {0}};
static const struct pst_sim_code wo_internal[] = {
    {"O", "Open", "Open"}, {"W", "In Prog", "In Progress"}, {"C", "Complete", "Complete"},
    {"F", "Closed", "Closed"}, {"X", "Canceled", "Canceled"}, {0}};
static const struct pst_sim_code vendor_status[] = {
    {"A", "Approved", "Approved"}, {"D", "Denied", "Denied"}, {"E", "Unapproved", "Unapproved"},
    {"I", "Inactive", "Inactive"}, {"X", "To Archive", "To Archive"}, {0}};
static const struct pst_sim_code vendor_class[] = {
    {"R", "Supplier", "Supplier"}, {"E", "Employee", "Employee"}, {"A", "Attorney", "Attorney"},
    {"H", "HCM", "HCM"}, {"O", "Outside", "Outside Party"}, {0}};
static const struct pst_sim_code vendor_persistence[] = {
    {"R", "Regular", "Regular"}, {"P", "Permanent", "Permanent"},
    {"S", "Single", "Single Payment"}, {"O", "One Time", "One Time"}, {0}};
static const struct pst_sim_code disp_method[] = {
    {"EDX", "EDX", "Electronic"}, {"EML", "E-Mail", "E-Mail"}, {"FAX", "FAX", "Fax"},
    {"PHN", "Phone", "Phone"}, {"PRN", "Print", "Print"}, {0}};
static const struct pst_sim_code item_status[] = {
    {"1", "Active", "Active"}, {"2", "Hold", "On Hold"}, {"3", "Discont", "Discontinued"},
    {"4", "Inactive", "Inactive"}, {"5", "Pending", "Pending Approval"}, {0}};
static const struct pst_sim_code recv_status[] = {
    {"O", "Open", "Open"}, {"R", "Received", "Received"}, {"M", "Moved", "Moved"},
    {"H", "Hold", "Hold"}, {"C", "Closed", "Closed"}, {"X", "Canceled", "Canceled"},
    {"P", "Partial", "Partial"}, {0}};

const struct pst_sim_code *const pst_sim_codes[PST_SIM_XLAT_COUNT] = {
    [PST_SIM_XLAT_PO_STATUS] = po_status,
    [PST_SIM_XLAT_PO_RECV_STATUS] = po_recv_status,
    [PST_SIM_XLAT_CANCEL_STATUS] = cancel_status,
    [PST_SIM_XLAT_WO_INTERNAL] = wo_internal,
    [PST_SIM_XLAT_VENDOR_STATUS] = vendor_status,
    [PST_SIM_XLAT_VENDOR_CLASS] = vendor_class,
    [PST_SIM_XLAT_VENDOR_PERSISTENCE] = vendor_persistence,
    [PST_SIM_XLAT_DISP_METHOD] = disp_method,
    [PST_SIM_XLAT_ITEM_STATUS] = item_status,
    [PST_SIM_XLAT_RECV_STATUS] = recv_status,
};
/* clang-format on */

size_t pst_sim_code_count(enum pst_sim_translate t)
{
    size_t n = 0;
    while (pst_sim_codes[t] && pst_sim_codes[t][n].code)
        n++;
    return n;
}

const struct pst_sim_query *pst_sim_find_query(pst_str name)
{
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++)
        if (pst_str_is(name, pst_sim_queries[i].name))
            return &pst_sim_queries[i];
    return NULL;
}

const struct pst_sim_query *pst_sim_find_entity(pst_str entity_name)
{
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++)
        if (pst_str_is(entity_name, pst_sim_queries[i].entity_name))
            return &pst_sim_queries[i];
    return NULL;
}

int pst_sim_find_column(const struct pst_sim_query *q, pst_str name)
{
    for (size_t i = 0; i < q->column_count; i++)
        if (pst_str_is(name, q->columns[i].name))
            return (int)i;
    return -1;
}

const char *pst_sim_field_of(const struct pst_sim_column *c)
{
    const char *dot = strchr(c->name, '.');
    return dot ? dot + 1 : c->name;
}

const char *pst_sim_type_name(enum pst_sim_type type)
{
    static const char *const names[] = {
        [PST_SIM_CHAR] = "Character", [PST_SIM_LONG] = "Long Character",
        [PST_SIM_NUMBER] = "Number",  [PST_SIM_SIGNED] = "Signed Number",
        [PST_SIM_DATE] = "Date",      [PST_SIM_DATETIME] = "Datetime",
    };
    return names[type];
}

static void add_prompt(struct pst_sim_prompt *p, enum pst_sim_prompt_kind kind, const char *prefix,
                       const char *name, int length)
{
    *p = (struct pst_sim_prompt){.kind = kind, .length = length};
    (void)snprintf(p->name, sizeof(p->name), "%s%s", prefix, name);
}

size_t pst_sim_prompts(const struct pst_sim_query *q,
                       struct pst_sim_prompt out[PST_SIM_PROMPTS_MAX])
{
    size_t n = 0;
    if (q->stamp >= 0) {
        add_prompt(&out[n++], PST_SIM_PROMPT_FROM, "", "FROMDTTM", 26);
        add_prompt(&out[n++], PST_SIM_PROMPT_TO, "", "TODTTM", 26);
    }
    if (q->has_asof)
        add_prompt(&out[n++], PST_SIM_PROMPT_ASOF, "", "ASOFDATE", 10);
    for (size_t k = 0; k < q->key_count; k++) {
        const struct pst_sim_column *c = &q->columns[q->keys[k]];
        out[n] = (struct pst_sim_prompt){0};
        add_prompt(&out[n], PST_SIM_PROMPT_AFTER, "LAST_", pst_sim_field_of(c), c->digits);
        out[n++].key = k;
    }
    return n;
}
