/* tests/unit/webhook/stage.h: a store with a writer thread, a dispatcher with its thread,
 * receivers, and clocks that can be put forward.
 *
 * Thread-safety: the test's thread.
 */
#ifndef PST_TESTS_UNIT_WEBHOOK_STAGE_H
#define PST_TESTS_UNIT_WEBHOOK_STAGE_H

#include "account/account.h"
#include "receiver.h"
#include "store/connections.h"
#include "store/deliveries.h"
#include "store/endpoints.h"
#include "store/events.h"
#include "tests/unit/test.h"
#include "webhook/webhook.h"

#define STAGE_SECRET "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

enum { STAGE_CONNECTIONS = 40 };

struct stage {
    char dir[64], path[96];
    struct pst_db *db;
    struct pst_db_conn *reader;
    struct pst_key *root;
    struct pst_arena *arena;
    struct pst_thread *writer, *dispatcher;
    struct pst_hooks *hooks;
    struct pst_organization org;
    int64_t connections[STAGE_CONNECTIONS];
    struct receiver receiver;
    unsigned made; /* events and endpoints, for their ids */
    struct pst_hooks_options options; /* of the next stage_run */
    pst_code ended; /* of the dispatcher */
};

/* Everything but the dispatcher runs. */
int stage_set_up(void **state);
int stage_tear_down(void **state);

void stage_run(struct stage *s); /* start the dispatcher */
void stage_halt(struct stage *s, int64_t grace_ms); /* stop it, if it runs */

/* All clocks of the dispatcher go on from a later time. */
void stage_skip(struct stage *s, double seconds);
/* They stand still from now on, until the next skip moves them on. */
void stage_freeze(struct stage *s);
pst_wall stage_now(const struct stage *s);

/* An endpoint at path "/<path>" of the receiver, changed by `edit` (may be NULL) before it is
 * written. */
struct pst_endpoint stage_endpoint(struct stage *s, int path, void (*edit)(struct pst_endpoint *e));
void stage_update(struct stage *s, int64_t pk, void (*edit)(struct pst_endpoint *e));
struct pst_endpoint stage_get(struct stage *s, int64_t pk);
void stage_set_health(struct stage *s, int64_t pk, void (*edit)(struct pst_endpoint_health *h));
pst_str stage_seal(struct stage *s, const struct pst_endpoint *e, pst_str field, pst_str plain);

/* An event of a connection (its number, -1 = none) with "n": number in its data. */
struct pst_event stage_event(struct stage *s, int connection, int number);
/* Run SQL on the writer. */
void stage_sql(struct stage *s, pst_str sql);
/* Run a job on the writer. */
pst_code stage_write(struct stage *s, pst_db_write_fn fn, void *arg);
/* The one integer that SQL gives. */
int64_t stage_ask(struct stage *s, pst_str sql);

/* Wait until the expression holds; fails the test after a long time. */
#define stage_until(expr)                                                                          \
    do {                                                                                           \
        for (int stage_i_ = 0; !(expr); stage_i_++) {                                              \
            if (stage_i_ == 30000) {                                                               \
                stage_tell(s);                                                                     \
                fail_msg("it did not happen: %s", #expr);                                          \
            }                                                                                      \
            pst_sleep_ms(1);                                                                       \
        }                                                                                          \
    } while (0)
void stage_tell(struct stage *s); /* what waits, for who looks for the reason */

#endif
