/* http/turns.h: whose call of a connected system is next: counting and waiting without threads.
 *
 * At most per_host calls of a host at a time, and at most per_owner of an owner (a
 * connection), over all hosts. The owners that wait for one host stand in a ring: who was let
 * in goes to its end, and so does who begins to wait. Hence while an owner waits and may have one
 * call more, every other is let in at most once before it, however many calls it has waiting. Calls
 * of one owner are let in as they came.
 *
 * What is kept: hosts and owners with a call or one who waits.
 *
 * Thread-safety: one thread at a time (slots.c holds a lock). Not for other modules.
 */
#ifndef PST_HTTP_TURNS_H
#define PST_HTTP_TURNS_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

struct pst_turns;
struct pst_turn_lane;

/* One call that waits or goes on; memory of the caller, at one place from ask to leave. */
struct pst_turn {
    struct pst_turn *next; /* private: of the same lane, behind it */
    struct pst_turn_lane *lane;
    bool is_in; /* it was its turn */
};

pst_code pst_turns_new(struct pst_turns **out, uint32_t per_host, uint32_t per_owner,
                       struct pst_err *err);
void pst_turns_free(struct pst_turns *turns); /* when all have left; NULL is a no-op */
PST_DEFINE_AUTO(turns, struct pst_turns, pst_turns_free);

/* Begin to wait. owner "": it belongs to nobody, and only per_host holds. Errors: NO_MEMORY
 * (nothing has changed). */
pst_code pst_turns_ask(struct pst_turns *turns, struct pst_turn *turn, pst_str host, pst_str owner,
                       struct pst_err *err);
/* The call is over, or waits no longer. */
void pst_turns_leave(struct pst_turns *turns, struct pst_turn *turn);
/* Let one more in; NULL when there is none who waits and may. To be called until NULL after every
 * ask and leave. */
struct pst_turn *pst_turns_next(struct pst_turns *turns);

#endif
