/* app/journal.h: the request log on its way to the store. Not for other modules.
 *
 * Thread-safety: as said at each function; _new and _free without other threads.
 */
#ifndef PST_APP_JOURNAL_H
#define PST_APP_JOURNAL_H

#include "api/api.h"
#include "gate/gate.h"
#include "store/requests.h"

/* With any of them, of failures without a valid key only the first few of each second and loop. */
enum pst_journal_mode {
    PST_JOURNAL_ALL,
    PST_JOURNAL_ERRORS, /* answers from 400 on */
    PST_JOURNAL_SAMPLE, /* all, but of successful reads the first few of each second and loop, and
                           those that took a second or longer */
};

struct pst_journal_options {
    struct pst_db *db;
    unsigned loops; /* of the server */
    enum pst_journal_mode mode;
};

struct pst_journal;
pst_code pst_journal_new(struct pst_journal **out, const struct pst_journal_options *options,
                         struct pst_err *err);
void pst_journal_free(struct pst_journal *j); /* NULL is a no-op */
PST_DEFINE_AUTO(journal, struct pst_journal, pst_journal_free);

/* struct pst_api_journal's functions; any thread, never wait for the store. _calls: the newest of
 * them, in their order. */
void pst_journal_request(void *self, unsigned loop, bool is_routine,
                         const struct pst_request_row *row);
bool pst_journal_find(void *self, pst_str id, struct pst_request_row *out);
size_t pst_journal_calls(void *self, pst_str id, struct pst_call_row *out, size_t max);
void pst_journal_stats(void *self, struct pst_api_journal_stats *out);

/* One call of a connected system. Any thread, never waits for the store. */
void pst_journal_contact(struct pst_journal *j, const struct pst_contact *contact);

/* One that was not made, since its origin is away: `seen` is told, nothing is stored. Any thread.
 */
void pst_journal_denied(struct pst_journal *j, const struct pst_contact *contact);

/* Store what there is; of each call, made or denied, `seen` is told once, stored or not. The watch
 * thread alone. */
void pst_journal_flush(struct pst_journal *j,
                       void (*seen)(void *self, const struct pst_call_row *call), void *self);

#endif
