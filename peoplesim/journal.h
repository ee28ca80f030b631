/* peoplesim/journal.h: the state file: one JSON line per operation, appended, replayed at start.
 *
 * The first line holds the settings the data was generated with; the others are changes (the
 * request's body with the time and seed it was given) and the clock. A last line without its
 * end is what a kill leaves: it is cut off.
 *
 * Thread-safety: one caller at a time (the control port holds a lock).
 */
#ifndef PEOPLESIM_JOURNAL_H
#define PEOPLESIM_JOURNAL_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/err.h"

struct pst_sim_journal;

/* Open or make the file. *lines gets its whole text, in the arena ("" for a new one).
 * Errors: DENIED, IO, LIMIT, NO_MEMORY. */
pst_code pst_sim_journal_open(struct pst_sim_journal **out, const char *path,
                              struct pst_arena *arena, pst_str *lines, struct pst_err *err);

/* Append one line (without its end). NULL is a no-op. Errors: IO, DISK_FULL. */
pst_code pst_sim_journal_append(struct pst_sim_journal *j, pst_str line, struct pst_err *err);

void pst_sim_journal_free(struct pst_sim_journal *j); /* NULL is a no-op */
PST_DEFINE_AUTO(sim_journal, struct pst_sim_journal, pst_sim_journal_free);

#endif
