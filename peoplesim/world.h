/* peoplesim/world.h: the generated data as arithmetic: which documents exist and what their
 * keys are.
 *
 * A document (an order, a supplier, ...) is named by a number that holds its group (business
 * unit or SetID, by position) and its number within the group; comparing these numbers is
 * comparing the keys. Generated documents stand on a grid (first, first + stride, ...), so that
 * other keys can be added between them. Nothing here knows of changes (overlay.h).
 *
 * Thread-safety: immutable after pst_sim_world_init.
 */
#ifndef PEOPLESIM_WORLD_H
#define PEOPLESIM_WORLD_H

#include "base/err.h"
#include "peoplesim/hash.h"
#include "peoplesim/schema.h"
#include "peoplesim/stamp.h"
#include "peoplesim/zone.h"

enum {
    PST_SIM_GROUPS_MAX = 8,
    PST_SIM_ID_TEXT = 18,
    PST_SIM_NUMBER_BITS = 40,
    PST_SIM_LINES_MAX = 10000, /* lines of a document, schedules of a line */
};

struct pst_sim_settings {
    uint64_t seed;
    uint64_t orders; /* 1..100,000,000 */
    uint32_t lines_min, lines_max; /* per order; equal: always that many */
    uint32_t schedules_min, schedules_max; /* per line */
    int64_t epoch_us; /* UTC; no generated stamp is later */
    int64_t history_us; /* generated stamps lie in the time before epoch, at least a day */
    bool odd; /* with odd texts and numbers in some rows */
};

/* A business unit and what belongs to it. */
struct pst_sim_unit {
    const char *code;
    const char *name;
    const char *brief;
    const char *currency;
    uint32_t setid; /* index in pst_sim_setids */
    uint32_t weight; /* share of the orders; all together 100 */
};
enum { PST_SIM_UNITS = 8, PST_SIM_SETIDS = 3 };
extern const struct pst_sim_unit pst_sim_units[PST_SIM_UNITS]; /* by code */
extern const char *const pst_sim_setids[PST_SIM_SETIDS]; /* by code */

struct pst_sim_table {
    size_t group_count; /* 1 where the key has no group */
    const char *group_names[PST_SIM_GROUPS_MAX]; /* ascending */
    uint64_t counts[PST_SIM_GROUPS_MAX]; /* generated documents */
    uint64_t total;
    uint64_t first, stride; /* numbers of the generated documents */
    const char *id_prefix;
    int id_width; /* digits behind the prefix */
};

struct pst_sim_world {
    struct pst_sim_settings settings;
    const struct pst_sim_zone *zone; /* borrowed */
    struct pst_sim_table tables[PST_SIM_ENTITY_COUNT];
    int64_t epoch_day; /* local */
    int64_t newest_local; /* no generated stamp is later */
};

/* zone is borrowed. Errors: INVALID (a setting out of its range). */
pst_code pst_sim_world_init(struct pst_sim_world *w, const struct pst_sim_settings *settings,
                            const struct pst_sim_zone *zone, struct pst_err *err);

/* ---- documents ---- */

static inline uint64_t pst_sim_doc(uint64_t group, uint64_t number)
{
    return group << PST_SIM_NUMBER_BITS | number;
}
static inline uint32_t pst_sim_doc_group(uint64_t doc)
{
    return (uint32_t)(doc >> PST_SIM_NUMBER_BITS);
}
static inline uint64_t pst_sim_doc_number(uint64_t doc)
{
    return doc & ((1ULL << PST_SIM_NUMBER_BITS) - 1);
}

/* The i-th generated document of group g. */
static inline uint64_t pst_sim_base_doc(const struct pst_sim_table *t, uint64_t g, uint64_t i)
{
    return pst_sim_doc(g, t->first + i * t->stride);
}

/* Whether doc is a generated one; *index (may be NULL) is its place in its group. */
bool pst_sim_is_base(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                     uint64_t *index);

/* The i-th generated document over all groups; i < total. */
uint64_t pst_sim_nth_base(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t i);

/* Text of a document's own id (without the group), no NUL. Returns its length. */
size_t pst_sim_id_write(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t number,
                        char out[PST_SIM_ID_TEXT]);
/* The number whose id is text; false when there is none. */
bool pst_sim_id_read(const struct pst_sim_world *w, enum pst_sim_entity e, pst_str text,
                     uint64_t *number);
/* The smallest number whose id is not below text, in byte order. */
uint64_t pst_sim_id_lower(const struct pst_sim_world *w, enum pst_sim_entity e, pst_str text);

/* The document's own random number. */
uint64_t pst_sim_doc_hash(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc);

/* When the document was last changed as generated; UTC and local. */
int64_t pst_sim_base_stamp_utc(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc);
int64_t pst_sim_base_stamp(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc);

/* ---- rows of a document ---- */

/* How many lines a document has as generated, and how many records each line. 1 and 1 for
 * entities of one level. */
uint32_t pst_sim_base_lines(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc);
uint32_t pst_sim_base_subs(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                           uint32_t line);

/* The key number of the i-th line (0 is the first); ascending with i. 0 for one level. */
uint32_t pst_sim_line_number(const struct pst_sim_world *w, enum pst_sim_entity e, uint64_t doc,
                             uint32_t i);

/* ---- facts that several records share ---- */

enum pst_sim_received { PST_SIM_RECEIVED_NONE, PST_SIM_RECEIVED_PART, PST_SIM_RECEIVED_ALL };
enum pst_sim_received pst_sim_order_received(const struct pst_sim_world *w, uint64_t order);
/* The order that a receipt belongs to. */
uint64_t pst_sim_receipt_order(const struct pst_sim_world *w, uint64_t receipt);

#endif
