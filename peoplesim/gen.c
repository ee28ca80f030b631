/* peoplesim/gen.c: what all generators share, and the two smallest tables. */
#include "peoplesim/gen.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"

/* clang-format off */
const char *const pst_sim_buyers[16] = {
    "ABECKER", "BCHENG", "CDUBOIS", "DEVANS", "EFISCHER", "FGARCIA", "GHUGHES", "HIKEDA",
    "IJENSEN", "JKUMAR", "KLOPEZ", "LMEYER", "MNGUYEN", "NOCONNOR", "OPATEL", "PQUINN"};
const char *const pst_sim_terms[6] = {"NET30", "NET45", "NET60", "2N10", "DUE", "NET15"};
const char *const pst_sim_uoms[8] = {"EA", "EA", "EA", "BOX", "KG", "M", "L", "SET"};

static const char *const kinds[] = {
    "Hex bolt", "Ball bearing", "Hydraulic seal", "Filter cartridge", "Copper cable",
    "LED panel", "Safety gloves", "Gear oil", "Valve block", "Steel plate", "Relay",
    "Pump housing", "Drive belt", "Pressure gauge", "Fuse", "Gasket"};
static const char *const makes[] = {
    "M8 x 40, zinc", "1/2\" NPT", "type B", "20 mm", "heavy duty", "stainless", "24 V DC",
    "class 8.8", "IP67", "blue", "100 pcs", "ISO 4014", "DN 50", "3-phase", "long life", "spare"};
static const char *const foreign[] = {
    "六角螺栓 M8", "油圧シール 標準", "베어링 6204", "Dichtung für Pumpe Größe 50",
    "Câble cuivre gainé", "لوحة تحكم", "Подшипник 6204", "צינור הידראולי"};
/* clang-format on */

void pst_sim_set_id(struct pst_sim_value *v, struct pst_sim_scratch *s,
                    const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t number)
{
    if (s->used + PST_SIM_ID_TEXT > sizeof(s->bytes)) {
        pst_sim_set_text(v, "");
        return;
    }
    v->text = s->bytes + s->used;
    v->len = pst_sim_id_write(w, e, number, s->bytes + s->used);
    s->used += v->len;
}

void pst_sim_set_format(struct pst_sim_value *v, struct pst_sim_scratch *s, const char *fmt, ...)
{
    va_list ap;
    size_t room = sizeof(s->bytes) - s->used;
    va_start(ap, fmt);
    int n = vsnprintf(s->bytes + s->used, room, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room) {
        pst_sim_set_text(v, "");
        return;
    }
    v->text = s->bytes + s->used;
    v->len = (size_t)n;
    s->used += (size_t)n;
}

void pst_sim_set_long(struct pst_sim_value *v, struct pst_sim_scratch *s, const char *text,
                      size_t length)
{
    size_t unit = strlen(text);
    size_t room = sizeof(s->bytes) - s->used;
    v->text = s->bytes + s->used;
    v->len = 0;
    /* Lengths are characters, as PeopleSoft counts them; a lead byte begins one. */
    size_t chars = 0;
    for (size_t i = 0; v->len < room; i++) {
        char c = unit ? text[i % unit] : '.';
        if (((unsigned char)c & 0xc0U) != 0x80U && chars++ == length)
            break;
        s->bytes[s->used + v->len++] = c;
    }
    s->used += v->len;
}

void pst_sim_set_item_name(const struct pst_sim_world *w, struct pst_sim_value *v,
                           struct pst_sim_scratch *s, uint64_t item_doc, size_t length)
{
    uint64_t h = pst_sim_doc_hash(w, PST_SIM_ITEMS, item_doc);
    if (w->settings.odd && h % 97 == 0) {
        const char *text = PST_SIM_PICK(foreign, pst_sim_derive(h, 3));
        if (length >= 254 && h % 2 == 0)
            pst_sim_set_long(v, s, text, 254);
        else
            pst_sim_set_text(v, text);
        return;
    }
    if (w->settings.odd && length >= 254 && h % 101 == 0) {
        pst_sim_set_long(v, s, "Assembly as drawn, see drawing; ", 254);
        return;
    }
    const char *kind = PST_SIM_PICK(kinds, pst_sim_derive(h, 1));
    const char *make = PST_SIM_PICK(makes, pst_sim_derive(h, 2));
    size_t a = strlen(kind);
    size_t b = strlen(make);
    if (s->used + a + b + 1 > sizeof(s->bytes)) {
        pst_sim_set_text(v, "");
        return;
    }
    /* Written out instead of printf: this runs for every line of every order. */
    char *at = s->bytes + s->used;
    memcpy(at, kind, a);
    at[a] = ' ';
    memcpy(at + a + 1, make, b);
    v->text = at;
    v->len = a + 1 + b < length ? a + 1 + b : length;
    s->used += v->len;
}

uint64_t pst_sim_pick_in_setid(const struct pst_sim_world *w, enum pst_sim_entity e, uint32_t setid,
                               uint64_t h)
{
    const struct pst_sim_table *t = &w->tables[e];
    uint64_t count = t->counts[setid];
    return pst_sim_base_doc(t, setid, count ? h % count : 0);
}

static void gen_business_unit(const struct pst_sim_world *w, const struct pst_sim_record *r,
                              struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    uint64_t number = pst_sim_doc_number(r->doc);
    /* Units beyond the table were added; they look like the last one. */
    const struct pst_sim_unit *u =
        &pst_sim_units[number < PST_SIM_UNITS ? number : PST_SIM_UNITS - 1];
    pst_sim_set_id(&v[PST_SIM_BU_A_BUSINESS_UNIT], s, w, PST_SIM_BUSINESS_UNITS, number);
    if (r->version)
        pst_sim_set_format(&v[PST_SIM_BU_A_DESCR], s, "%.20s rev %u", u->name, r->version);
    else
        pst_sim_set_text(&v[PST_SIM_BU_A_DESCR], u->name);
    pst_sim_set_text(&v[PST_SIM_BU_A_DESCRSHORT], u->brief);
    pst_sim_set_text(&v[PST_SIM_BU_B_BASE_CURRENCY], u->currency);
    pst_sim_set_text(&v[PST_SIM_BU_C_SETID], pst_sim_setids[u->setid]);
}

static void gen_clock(const struct pst_sim_world *w, const struct pst_sim_record *r,
                      struct pst_sim_value *v, struct pst_sim_scratch *s)
{
    (void)w;
    (void)s;
    pst_sim_set_num(&v[PST_SIM_CLOCK_CURRENT_DTTM], r->now);
}

void pst_sim_generate(const struct pst_sim_world *w, const struct pst_sim_record *r,
                      struct pst_sim_value values[PST_SIM_COLUMNS_MAX],
                      struct pst_sim_scratch *scratch)
{
    static pst_sim_gen_fn *const generators[PST_SIM_ENTITY_COUNT] = {
        [PST_SIM_BUSINESS_UNITS] = gen_business_unit,
        [PST_SIM_CLOCK] = gen_clock,
        [PST_SIM_ITEMS] = pst_sim_gen_item,
        [PST_SIM_PURCHASE_ORDERS] = pst_sim_gen_order,
        [PST_SIM_RECEIPTS] = pst_sim_gen_receipt,
        [PST_SIM_SUPPLIERS] = pst_sim_gen_supplier,
        [PST_SIM_WORK_ORDERS] = pst_sim_gen_work_order,
    };
    generators[r->entity](w, r, values, scratch);
}
