/* peoplesim/schema.h: the queries of the simulated gateway: columns, keys, prompts, codes.
 *
 * Static data; QUERIES.md says the same in words. Columns stand in the order of their levels
 * (header, line, schedule), so a row's text is the texts of its levels one after the other.
 * Thread-safety: static data and pure functions.
 */
#ifndef PEOPLESIM_SCHEMA_H
#define PEOPLESIM_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    PST_SIM_COLUMNS_MAX = 64, /* of a query; a set of them is a uint64_t */
    PST_SIM_LEVELS_MAX = 3,
    PST_SIM_KEYS_MAX = 4,
    PST_SIM_PROMPTS_MAX = 8,
};

enum pst_sim_type {
    PST_SIM_CHAR,
    PST_SIM_LONG,
    PST_SIM_NUMBER,
    PST_SIM_SIGNED,
    PST_SIM_DATE,
    PST_SIM_DATETIME,
};

enum pst_sim_flag {
    PST_SIM_PLAIN,
    PST_SIM_KEY, /* part of the row's key; keys stand in key order */
    PST_SIM_STAMP, /* the change stamp of the document; at most one, on level 0 */
};

enum pst_sim_translate {
    PST_SIM_XLAT_NONE,
    PST_SIM_XLAT_PO_STATUS,
    PST_SIM_XLAT_PO_RECV_STATUS,
    PST_SIM_XLAT_CANCEL_STATUS,
    PST_SIM_XLAT_WO_INTERNAL,
    PST_SIM_XLAT_VENDOR_STATUS,
    PST_SIM_XLAT_VENDOR_CLASS,
    PST_SIM_XLAT_VENDOR_PERSISTENCE,
    PST_SIM_XLAT_DISP_METHOD,
    PST_SIM_XLAT_ITEM_STATUS,
    PST_SIM_XLAT_RECV_STATUS,
    PST_SIM_XLAT_COUNT
};

struct pst_sim_column {
    const char *name; /* unique field name: "A.PO_ID" */
    enum pst_sim_type type;
    int digits; /* length; of numbers all digits */
    int decimals;
    int level; /* 0..levels-1: what it belongs to */
    enum pst_sim_flag flag;
    enum pst_sim_translate translate;
    const char *heading;
};

/* One entity per query, in the order in which ListQuery names them. */
enum pst_sim_entity {
    PST_SIM_BUSINESS_UNITS,
    PST_SIM_CLOCK,
    PST_SIM_ITEMS,
    PST_SIM_PURCHASE_ORDERS,
    PST_SIM_RECEIPTS,
    PST_SIM_SUPPLIERS,
    PST_SIM_WORK_ORDERS,
    PST_SIM_ENTITY_COUNT
};

struct pst_sim_query {
    enum pst_sim_entity entity; /* its index */
    const char *name; /* "PST_PURCHASE_ORDERS" */
    const char *entity_name; /* "purchase_orders", at the control port */
    const char *descr;
    const struct pst_sim_column *columns;
    size_t column_count;
    int levels; /* 1..3; a row exists per record of the last level */
    bool has_asof; /* has the ASOFDATE prompt */
    int stamp; /* column of the stamp, or -1 */
    int keys[PST_SIM_KEYS_MAX]; /* columns of the key, in order */
    size_t key_count;
    size_t doc_keys; /* how many of them name the document (level 0) */
};

/* Column symbols: PST_SIM_PO_A_PO_ID is the index of A.PO_ID in its query. */
/* clang-format off */
#define X(symbol, ...) PST_SIM_##symbol,
enum {
#include "peoplesim/queries/business_units.def"
    PST_SIM_BU_COLUMNS
};
enum {
#include "peoplesim/queries/clock.def"
    PST_SIM_CLOCK_COLUMNS
};
enum {
#include "peoplesim/queries/items.def"
    PST_SIM_IT_COLUMNS
};
enum {
#include "peoplesim/queries/purchase_orders.def"
    PST_SIM_PO_COLUMNS
};
enum {
#include "peoplesim/queries/receipts.def"
    PST_SIM_RC_COLUMNS
};
enum {
#include "peoplesim/queries/suppliers.def"
    PST_SIM_VN_COLUMNS
};
enum {
#include "peoplesim/queries/work_orders.def"
    PST_SIM_WO_COLUMNS
};
#undef X
/* clang-format on */

extern const struct pst_sim_query pst_sim_queries[PST_SIM_ENTITY_COUNT];

/* NULL where there is none. Names are case-sensitive. */
const struct pst_sim_query *pst_sim_find_query(pst_str name);
const struct pst_sim_query *pst_sim_find_entity(pst_str entity_name);
int pst_sim_find_column(const struct pst_sim_query *q, pst_str name); /* -1: none */

/* A column's name without its alias: "PO_ID". */
const char *pst_sim_field_of(const struct pst_sim_column *c);
const char *pst_sim_type_name(enum pst_sim_type type); /* "Signed Number" */

/* ---- prompts ---- */

enum pst_sim_prompt_kind {
    PST_SIM_PROMPT_FROM,
    PST_SIM_PROMPT_TO,
    PST_SIM_PROMPT_ASOF,
    PST_SIM_PROMPT_AFTER, /* LAST_<field> of the key column at `key` */
};

struct pst_sim_prompt {
    char name[40];
    enum pst_sim_prompt_kind kind;
    size_t key; /* index into keys, of AFTER */
    int length;
};

/* The prompts of q in order; returns how many. */
size_t pst_sim_prompts(const struct pst_sim_query *q,
                       struct pst_sim_prompt out[PST_SIM_PROMPTS_MAX]);

/* ---- translate values ---- */

struct pst_sim_code {
    const char *code; /* NULL ends the list */
    const char *brief;
    const char *full;
};
extern const struct pst_sim_code *const pst_sim_codes[PST_SIM_XLAT_COUNT];
size_t pst_sim_code_count(enum pst_sim_translate t);

#endif
