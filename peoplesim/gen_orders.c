/* peoplesim/gen_orders.c: purchase orders (header, line, schedule) and their receipts. */
#include "base/cleanup.h"
#include "peoplesim/gen.h"

enum {
    SALT_SETID,
    SALT_SUPPLIER,
    SALT_STATUS,
    SALT_BUYER,
    SALT_TERMS,
    SALT_CUSTOM,
    SALT_DATE,
    SALT_RECEIPT,
    SALT_LINE = 1000,
    SALT_SCHEDULE = 2000000
};

/* clang-format off */
static const char *const services[] = {
    "Consulting services, fixed price", "Freight and handling", "Annual maintenance contract",
    "Calibration on site", "Window cleaning \"weekly\"", "Training; 2 days"};
/* Codes in rough proportion; an order with receipts is dispatched or complete instead. */
static const char *const order_codes[] = {"A", "A", "A", "D", "D", "D", "D", "D", "O", "I",
                                          "PA", "PA", "PX", "X", "LD", "DA"};
static const char *const cancel_codes[] = {"X", "C", "PX", "H", "D", "X", "C", "X"};
static const char *const accounts[] = {"610000", "620100", "630000", "640200", "651000", "180500"};
/* clang-format on */

static const struct pst_sim_unit *unit_of(uint64_t doc)
{
    return &pst_sim_units[pst_sim_doc_group(doc) % PST_SIM_UNITS];
}

static uint64_t line_hash(uint64_t hash, uint32_t line)
{
    return pst_sim_derive(hash, SALT_LINE + line);
}

void pst_sim_supplier_of(const struct pst_sim_world *w, uint64_t order, uint64_t hash,
                         uint32_t *setid, uint64_t *number)
{
    uint64_t h = pst_sim_derive(hash, SALT_SETID);
    /* A few orders name a supplier of another SetID than their own unit's. */
    *setid = h % 50 == 0 ? (uint32_t)(h >> 32) % PST_SIM_SETIDS : unit_of(order)->setid;
    *number = pst_sim_doc_number(
        pst_sim_pick_in_setid(w, PST_SIM_SUPPLIERS, *setid, pst_sim_derive(hash, SALT_SUPPLIER)));
}

void pst_sim_line_of(const struct pst_sim_world *w, uint64_t order, uint64_t hash, uint32_t line,
                     struct pst_sim_scratch *s, struct pst_sim_line *out)
{
    uint64_t h = line_hash(hash, line);
    out->has_item = h % 8 != 0;
    if (!out->has_item) {
        out->item = 0;
        out->uom = "EA";
        pst_sim_set_text(&out->descr, PST_SIM_PICK(services, h));
        return;
    }
    out->item = pst_sim_pick_in_setid(w, PST_SIM_ITEMS, unit_of(order)->setid, h >> 8);
    out->uom = PST_SIM_PICK(pst_sim_uoms,
                            pst_sim_derive(pst_sim_doc_hash(w, PST_SIM_ITEMS, out->item), 5));
    pst_sim_set_item_name(w, &out->descr, s, out->item, 254);
}

void pst_sim_schedule_of(const struct pst_sim_world *w, uint64_t order, uint64_t hash,
                         uint32_t line, uint32_t sub, uint32_t version,
                         struct pst_sim_schedule *out)
{
    uint64_t h = pst_sim_derive(hash, SALT_SCHEDULE + (uint64_t)line * 1000 + sub);
    int64_t quantity = (1 + (int64_t)pst_sim_below(h, 500)) * 10000;
    if (h % 16 == 0)
        quantity += 1250 * (int64_t)(1 + h % 7);
    if (w->settings.odd && h % 211 == 0)
        quantity = -quantity; /* a return */
    int64_t price = 50000 + (int64_t)(pst_sim_derive(h, 1) % 90000000);
    out->price = price - price % 1000;
    enum pst_sim_received received = pst_sim_order_received(w, order);
    out->received = 0;
    if (quantity > 0 &&
        (received == PST_SIM_RECEIVED_ALL || (received == PST_SIM_RECEIVED_PART && line % 2 == 1)))
        out->received = quantity;
    out->quantity = quantity + (int64_t)version * 10000;
    /* Quantity has 4 decimals, price 5, the amount 3. */
    out->amount = out->quantity * (out->price / 1000) / 1000;
}

static const char *order_status(uint64_t hash, enum pst_sim_received received, uint32_t version)
{
    uint64_t h = pst_sim_derive(hash, SALT_STATUS + 31ULL * version);
    if (received == PST_SIM_RECEIVED_ALL)
        return h % 2 ? "C" : "D";
    if (received == PST_SIM_RECEIVED_PART)
        return "D";
    return PST_SIM_PICK(order_codes, h);
}

static bool is_approved(const char *status)
{
    return strcmp(status, "A") == 0 || strcmp(status, "C") == 0 || strcmp(status, "D") == 0;
}

static void set_custom(const struct pst_sim_world *w, const struct pst_sim_record *r,
                       struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    uint64_t h = pst_sim_derive(r->hash, SALT_CUSTOM);
    if (r->version)
        pst_sim_set_format(v, s, "REV %u", r->version);
    else if (w->settings.odd && h % 113 == 0)
        pst_sim_set_text(v, "緊急 \"expédier\" \\ today");
    else if (h % 4 == 0)
        pst_sim_set_format(v, s, "PRJ-%04u", (unsigned)(h >> 20) % 10000);
    else
        pst_sim_set_text(v, "");
}

static void gen_header(const struct pst_sim_world *w, const struct pst_sim_record *r,
                       struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    static const char *const received_codes[] = {"N", "P", "R"};
    const struct pst_sim_unit *unit = unit_of(r->doc);
    enum pst_sim_received received = pst_sim_order_received(w, r->doc);
    const char *status = order_status(r->hash, received, r->version);
    uint32_t setid = 0;
    uint64_t supplier = 0;
    pst_sim_supplier_of(w, r->doc, r->hash, &setid, &supplier);
    int64_t ordered = r->base_day - 5 - pst_sim_below(pst_sim_derive(r->hash, SALT_DATE), 40);
    pst_sim_set_text(&v[PST_SIM_PO_A_BUSINESS_UNIT], unit->code);
    pst_sim_set_id(&v[PST_SIM_PO_A_PO_ID], s, w, PST_SIM_PURCHASE_ORDERS,
                   pst_sim_doc_number(r->doc));
    pst_sim_set_text(&v[PST_SIM_PO_A_PO_STATUS], status);
    pst_sim_set_num(&v[PST_SIM_PO_A_PO_DT], ordered);
    pst_sim_set_text(&v[PST_SIM_PO_A_VENDOR_SETID], pst_sim_setids[setid]);
    pst_sim_set_id(&v[PST_SIM_PO_A_VENDOR_ID], s, w, PST_SIM_SUPPLIERS, supplier);
    pst_sim_set_text(
        &v[PST_SIM_PO_A_BUYER_ID],
        PST_SIM_PICK(pst_sim_buyers, pst_sim_derive(r->hash, SALT_BUYER + 31ULL * r->version)));
    pst_sim_set_text(&v[PST_SIM_PO_A_CURRENCY_CD], unit->currency);
    pst_sim_set_text(&v[PST_SIM_PO_A_PYMNT_TERMS_CD],
                     PST_SIM_PICK(pst_sim_terms, pst_sim_derive(r->hash, SALT_TERMS)));
    pst_sim_set_text(&v[PST_SIM_PO_A_BILL_LOCATION], unit->code);
    pst_sim_set_num(&v[PST_SIM_PO_A_APPROVAL_DT],
                    is_approved(status) ? ordered + 2 : PST_SIM_NO_TIME);
    pst_sim_set_text(&v[PST_SIM_PO_A_RECV_STATUS], received_codes[received]);
    set_custom(w, r, &v[PST_SIM_PO_A_CUSTOM_C100_A1], s);
    pst_sim_set_num(&v[PST_SIM_PO_A_LAST_DTTM_UPDATE], r->stamp);
}

static void gen_line(const struct pst_sim_world *w, const struct pst_sim_record *r,
                     struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    uint64_t h = line_hash(r->hash, r->line);
    struct pst_sim_line line;
    pst_sim_line_of(w, r->doc, r->hash, r->line, s, &line);
    pst_sim_set_num(&v[PST_SIM_PO_B_LINE_NBR], r->line);
    pst_sim_set_text(&v[PST_SIM_PO_B_CANCEL_STATUS],
                     h % 23 == 0 ? PST_SIM_PICK(cancel_codes, pst_sim_derive(h, 1)) : "A");
    pst_sim_set_text(&v[PST_SIM_PO_B_ITM_SETID],
                     line.has_item ? pst_sim_setids[pst_sim_doc_group(line.item)] : "");
    if (line.has_item)
        pst_sim_set_id(&v[PST_SIM_PO_B_INV_ITEM_ID], s, w, PST_SIM_ITEMS,
                       pst_sim_doc_number(line.item));
    else
        pst_sim_set_text(&v[PST_SIM_PO_B_INV_ITEM_ID], "");
    v[PST_SIM_PO_B_DESCR254_MIXED] = line.descr;
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_PO_B_DESCR254_MIXED], s, "Changed text, rev %u", r->version);
    pst_sim_set_text(&v[PST_SIM_PO_B_UNIT_OF_MEASURE], line.uom);
}

static void gen_schedule(const struct pst_sim_world *w, const struct pst_sim_record *r,
                         struct pst_sim_value *v)
{
    uint64_t h = line_hash(r->hash, r->line);
    struct pst_sim_schedule sched;
    pst_sim_schedule_of(w, r->doc, r->hash, r->line, r->sub, r->version, &sched);
    pst_sim_set_num(&v[PST_SIM_PO_C_SCHED_NBR], r->sub);
    pst_sim_set_text(&v[PST_SIM_PO_C_CANCEL_STATUS],
                     h % 23 == 0 ? PST_SIM_PICK(cancel_codes, pst_sim_derive(h, 1)) : "A");
    pst_sim_set_num(&v[PST_SIM_PO_C_DUE_DT], r->base_day + 7 * (int64_t)r->sub);
    pst_sim_set_text(&v[PST_SIM_PO_C_SHIPTO_ID], unit_of(r->doc)->code);
    pst_sim_set_num(&v[PST_SIM_PO_C_QTY_PO], sched.quantity);
    pst_sim_set_num(&v[PST_SIM_PO_C_PRICE_PO], sched.price);
    if (w->settings.odd && h % 1009 == 7)
        pst_sim_set_text(&v[PST_SIM_PO_C_MERCHANDISE_AMT], "12345678901234567890123.456");
    else
        pst_sim_set_num(&v[PST_SIM_PO_C_MERCHANDISE_AMT], sched.amount);
    pst_sim_set_text(&v[PST_SIM_PO_D_ACCOUNT], PST_SIM_PICK(accounts, pst_sim_derive(h, 2)));
    pst_sim_set_num(&v[PST_SIM_PO_D_QTY_RECEIVED], sched.received);
}

void pst_sim_gen_order(const struct pst_sim_world *w, const struct pst_sim_record *r,
                       struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    if (r->level == 0)
        gen_header(w, r, v, s);
    else if (r->level == 1)
        gen_line(w, r, v, s);
    else
        gen_schedule(w, r, v);
}

/* ---- receipts ---- */

static void gen_receipt_header(const struct pst_sim_world *w, const struct pst_sim_record *r,
                               uint64_t order, uint64_t order_hash, struct pst_sim_value *v,
                               struct pst_sim_scratch *s)
{
    static const char *const codes[] = {"R", "R", "R", "C", "C", "M", "O", "H", "X"};
    static const char *const carriers[] = {"UPS", "DHL", "FEDEX", "OWN", "", "RAIL"};
    uint64_t h = pst_sim_derive(r->hash, SALT_RECEIPT + 31ULL * r->version);
    bool is_part = pst_sim_order_received(w, order) == PST_SIM_RECEIVED_PART;
    uint32_t setid = 0;
    uint64_t supplier = 0;
    pst_sim_supplier_of(w, order, order_hash, &setid, &supplier);
    pst_sim_set_text(&v[PST_SIM_RC_A_BUSINESS_UNIT], unit_of(r->doc)->code);
    pst_sim_set_id(&v[PST_SIM_RC_A_RECEIVER_ID], s, w, PST_SIM_RECEIPTS,
                   pst_sim_doc_number(r->doc));
    pst_sim_set_text(&v[PST_SIM_RC_A_RECV_STATUS],
                     is_part && h % 3 == 0 ? "P" : PST_SIM_PICK(codes, h));
    pst_sim_set_num(&v[PST_SIM_RC_A_RECEIPT_DT], r->base_day - 1);
    pst_sim_set_text(&v[PST_SIM_RC_A_VENDOR_SETID], pst_sim_setids[setid]);
    pst_sim_set_id(&v[PST_SIM_RC_A_VENDOR_ID], s, w, PST_SIM_SUPPLIERS, supplier);
    pst_sim_set_format(&v[PST_SIM_RC_A_SHIPMENT_NO], s, "SH%08u", (unsigned)(r->hash >> 40));
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_RC_A_BILL_OF_LADING], s, "REV %u", r->version);
    else
        pst_sim_set_text(&v[PST_SIM_RC_A_BILL_OF_LADING], "");
    pst_sim_set_text(&v[PST_SIM_RC_A_CARRIER_ID], PST_SIM_PICK(carriers, h >> 8));
    pst_sim_set_text(&v[PST_SIM_RC_A_OPRID], PST_SIM_PICK(pst_sim_buyers, r->hash));
    pst_sim_set_num(&v[PST_SIM_RC_A_LAST_DTTM_UPDATE], r->stamp);
}

static void gen_receipt_line(const struct pst_sim_world *w, const struct pst_sim_record *r,
                             uint64_t order, uint64_t order_hash, struct pst_sim_value *v,
                             struct pst_sim_scratch *s)
{
    struct pst_sim_schedule sched;
    struct pst_sim_line line;
    pst_sim_schedule_of(w, order, order_hash, r->line, r->sub, 0, &sched);
    pst_sim_line_of(w, order, order_hash, r->line, s, &line);
    uint64_t h = pst_sim_derive(line_hash(r->hash, r->line), r->sub);
    int64_t rejected = h % 17 == 0 ? 10000 : 0;
    pst_sim_set_num(&v[PST_SIM_RC_B_RECV_SHIP_SEQ_NBR], r->sub);
    pst_sim_set_text(&v[PST_SIM_RC_B_BUSINESS_UNIT_PO], unit_of(order)->code);
    pst_sim_set_id(&v[PST_SIM_RC_B_PO_ID], s, w, PST_SIM_PURCHASE_ORDERS,
                   pst_sim_doc_number(order));
    pst_sim_set_num(&v[PST_SIM_RC_B_LINE_NBR], r->line);
    pst_sim_set_num(&v[PST_SIM_RC_B_SCHED_NBR], r->sub);
    pst_sim_set_text(&v[PST_SIM_RC_B_ITM_SETID],
                     line.has_item ? pst_sim_setids[pst_sim_doc_group(line.item)] : "");
    if (line.has_item)
        pst_sim_set_id(&v[PST_SIM_RC_B_INV_ITEM_ID], s, w, PST_SIM_ITEMS,
                       pst_sim_doc_number(line.item));
    else
        pst_sim_set_text(&v[PST_SIM_RC_B_INV_ITEM_ID], "");
    v[PST_SIM_RC_B_DESCR254_MIXED] = line.descr;
    int64_t accepted = sched.received + (int64_t)r->version * 10000;
    pst_sim_set_num(&v[PST_SIM_RC_B_QTY_SH_RECVD], accepted + rejected);
    pst_sim_set_num(&v[PST_SIM_RC_B_QTY_SH_ACCPT], accepted);
    pst_sim_set_num(&v[PST_SIM_RC_B_QTY_SH_REJCT], rejected);
    pst_sim_set_text(&v[PST_SIM_RC_B_RECEIVE_UOM], line.uom);
    pst_sim_set_num(&v[PST_SIM_RC_B_MERCHANDISE_AMT], accepted * (sched.price / 1000) / 1000);
    pst_sim_set_text(&v[PST_SIM_RC_B_CURRENCY_CD], unit_of(order)->currency);
    pst_sim_set_num(&v[PST_SIM_RC_B_RECEIPT_DTTM], (r->base_day - 1) * PST_SIM_DAY_US +
                                                       (int64_t)pst_sim_below(h, 86400) * 1000000);
    pst_sim_set_text(&v[PST_SIM_RC_B_RECV_SHIP_STATUS], h % 29 == 0 ? "X" : "R");
}

void pst_sim_gen_receipt(const struct pst_sim_world *w, const struct pst_sim_record *r,
                         struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    if (r->level == 1) {
        pst_sim_set_num(&v[PST_SIM_RC_B_RECV_LN_NBR], r->line);
        return;
    }
    uint64_t order = pst_sim_receipt_order(w, r->doc);
    uint64_t order_hash = pst_sim_doc_hash(w, PST_SIM_PURCHASE_ORDERS, order);
    if (r->level == 0)
        gen_receipt_header(w, r, order, order_hash, v, s);
    else
        gen_receipt_line(w, r, order, order_hash, v, s);
}
