/* peoplesim/gen.h: the values of one record, computed from the seed and its key.
 *
 * A record is a header, a line or a schedule. Its values depend on the key, on how often it was
 * changed (`version`) and, for effective-dated rows, on the date asked for. Values that a
 * change moves say so in a column of their own, so every version differs from the one before.
 *
 * Thread-safety: pure; scratch belongs to the caller.
 */
#ifndef PEOPLESIM_GEN_H
#define PEOPLESIM_GEN_H

#include "peoplesim/world.h"

/* One value. Text columns use text; of other columns text, when set, is what is shown as it
 * stands, else num counts: units of the last decimal, days, or local microseconds
 * (PST_SIM_NO_TIME: empty). */
struct pst_sim_value {
    const char *text;
    size_t len;
    int64_t num;
};

/* Where generated text lies; reset by the caller before each record. */
struct pst_sim_scratch {
    size_t used;
    char bytes[4096];
};

struct pst_sim_record {
    enum pst_sim_entity entity;
    uint64_t doc;
    uint64_t hash; /* pst_sim_doc_hash */
    int level;
    uint32_t line, sub; /* key numbers; 0 above their level */
    uint32_t version; /* 0: as generated */
    int64_t stamp; /* of the document now, local; PST_SIM_NO_TIME: none */
    int64_t base_day; /* day of the document's generated stamp */
    int64_t asof_day; /* date asked for */
    int64_t now; /* the database's time, local */
};

/* Fill the values of r's level; the other places of `values` stay as they are. */
void pst_sim_generate(const struct pst_sim_world *w, const struct pst_sim_record *r,
                      struct pst_sim_value values[PST_SIM_COLUMNS_MAX],
                      struct pst_sim_scratch *scratch);

/* The day on which the newest of the effective-dated rows that are joined to a supplier or an item
 * on asof_day came into force; PST_SIM_NO_TIME: there is none. */
int64_t pst_sim_in_force_since(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                               int64_t asof_day);

/* ---- for the generators (gen_*.c) ---- */

typedef void pst_sim_gen_fn(const struct pst_sim_world *w, const struct pst_sim_record *r,
                            struct pst_sim_value *v, struct pst_sim_scratch *s);
pst_sim_gen_fn pst_sim_gen_order, pst_sim_gen_receipt, pst_sim_gen_work_order, pst_sim_gen_supplier,
    pst_sim_gen_item;

/* A literal or other text that outlives the row. */
static inline void pst_sim_set_text(struct pst_sim_value *v, const char *text)
{
    v->text = text;
    v->len = strlen(text);
}
void pst_sim_set_id(struct pst_sim_value *v, struct pst_sim_scratch *s,
                    const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t number);
void pst_sim_set_format(struct pst_sim_value *v, struct pst_sim_scratch *s, const char *fmt, ...)
    PST_PRINTF(3, 4);
static inline void pst_sim_set_num(struct pst_sim_value *v, int64_t num)
{
    v->text = NULL;
    v->num = num;
}

/* The text repeated up to exactly `length` characters. */
void pst_sim_set_long(struct pst_sim_value *v, struct pst_sim_scratch *s, const char *text,
                      size_t length);

/* One of n texts. */
#define PST_SIM_PICK(list, h) ((list)[pst_sim_below((h), (uint32_t)PST_COUNT(list))])

/* What an item is called: the same in the item table and on the lines that name it. */
void pst_sim_set_item_name(const struct pst_sim_world *w, struct pst_sim_value *v,
                           struct pst_sim_scratch *s, uint64_t item_doc, size_t length);

/* The SetID (by position) of a business unit (by position), and a supplier or item of it. */
uint64_t pst_sim_pick_in_setid(const struct pst_sim_world *w, enum pst_sim_entity e, uint32_t setid,
                               uint64_t h);

extern const char *const pst_sim_buyers[16];
extern const char *const pst_sim_terms[6];
extern const char *const pst_sim_uoms[8];

/* The values of an order's schedule that its receipt needs too, as first generated. */
struct pst_sim_schedule {
    int64_t quantity; /* 4 decimals */
    int64_t price; /* 5 decimals */
    int64_t amount; /* 3 decimals */
    int64_t received; /* 4 decimals */
};
void pst_sim_schedule_of(const struct pst_sim_world *w, uint64_t order, uint64_t hash,
                         uint32_t line, uint32_t sub, uint32_t version,
                         struct pst_sim_schedule *out);

/* Item, text and unit of an order's line. */
struct pst_sim_line {
    uint64_t item; /* document in PST_SIM_ITEMS; meaningless without has_item */
    bool has_item;
    struct pst_sim_value descr;
    const char *uom;
};
void pst_sim_line_of(const struct pst_sim_world *w, uint64_t order, uint64_t hash, uint32_t line,
                     struct pst_sim_scratch *s, struct pst_sim_line *out);

/* Supplier of an order; setid and number by position. */
void pst_sim_supplier_of(const struct pst_sim_world *w, uint64_t order, uint64_t hash,
                         uint32_t *setid, uint64_t *number);

#endif
