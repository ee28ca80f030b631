/* tests/unit/store/world.h: a store in a temporary directory with one organization and one
 * connection, and short ways to run writer jobs and page commits.
 *
 * Thread-safety: a world belongs to one test, which has no writer thread.
 */
#ifndef PST_TESTS_UNIT_STORE_WORLD_H
#define PST_TESTS_UNIT_STORE_WORLD_H

#include "store/accounts.h"
#include "store/connections.h"
#include "store/dictionaries.h"
#include "store/records.h"
#include "store/rejected.h"
#include "store/store.h"
#include "store/streams.h"
#include "store/syncs.h"
#include "tests/unit/test.h"

struct world {
    char dir[64];
    char path[96];
    struct pst_db *db;
    struct pst_db_conn *reader;
    struct pst_db_conn *writer; /* the store's own, borrowed */
    struct pst_arena *arena;
    struct pst_organization org;
    struct pst_connection conn;
    const struct pst_entity *orders, *suppliers;
    int64_t topics[64];
    size_t topic_count;
    struct pst_err err; /* of the last call */
};

int world_set_up(void **state);
int world_tear_down(void **state);
void world_reopen(struct world *w); /* as after a stop of the program */

/* Deterministic ids: world_id("sync_", 7) is always the same. */
struct pst_id world_id(const char *prefix, unsigned n);
pst_wall at(int64_t seconds); /* seconds after 2026-11-24T00:00:00Z */

/* The expression runs on w->writer in a transaction of its own, which is rolled back when it
 * fails; it reports into w->err. WRITE gives its result, assert_write wants PST_OK. */
#define WRITE(w, expr) (world_begin(w), world_finish((w), (expr)))
#define assert_write(w, expr)                                                                      \
    do {                                                                                           \
        if (WRITE((w), (expr)) != PST_OK)                                                          \
            fail_msg("%s: %s", #expr, (w)->err.msg);                                               \
    } while (0)
#define assert_read(w, expr)                                                                       \
    do {                                                                                           \
        if ((expr) != PST_OK)                                                                      \
            fail_msg("%s: %s", #expr, (w)->err.msg);                                               \
    } while (0)
void world_begin(struct world *w);
pst_code world_finish(struct world *w, pst_code code);

/* A run over purchase_orders, claimed and begun. */
struct run {
    int64_t sync_pk;
    struct pst_id id;
    int64_t orders_pk; /* stream of purchase_orders */
};
struct run world_run(struct world *w, unsigned n, enum pst_sync_mode mode);
void world_end(struct world *w, const struct run *r, enum pst_sync_status status);

/* An order as mapping would give it; key is its number. */
struct order {
    const char *number;
    const char *status;
    const char *supplier_id;
    const char *order_date;
    pst_wall stamp;
    const char *note; /* a member of data, to tell versions apart */
};
/* One page of orders, each with the op given; pks are looked up for UPDATE and RESTAMP. */
pst_code world_commit(struct world *w, const struct run *r, enum pst_record_op op,
                      const struct order *orders, size_t count, const char *checkpoint,
                      pst_wall now);
struct pst_record_state world_state(struct world *w, const char *number);
void world_record_id(struct world *w, const char *number, uint8_t id[PST_ID_RAW]);

/* The numbers of a list's records, joined by blanks, in `out`. */
pst_code world_list(struct world *w, struct pst_record_query *q, char *out, size_t size,
                    bool *more);
struct pst_record_query world_query(const struct world *w, size_t limit);
/* The feed behind `after` as "1:created:PO1 2:updated:PO1[status]". */
pst_code world_feed(struct world *w, int64_t after, char *out, size_t size);

#endif
