/* tests/faults/day.h: a day in the life of a store, as a list of steps: what the server does with
 * it from the first start to the last, through the real store, vault and key files.
 *
 * Each step is one operation whose success is told to somebody: at most one commit, or one file.
 * A step that failed may be run again, and then the day goes on. Ids and times are always the
 * same; keys, and what is sealed with them, are not.
 *
 * Thread-safety: one thread; the writer's jobs run on it.
 */
#ifndef PST_TESTS_FAULTS_DAY_H
#define PST_TESTS_FAULTS_DAY_H

#include "account/account.h"
#include "store/accounts.h"
#include "store/connections.h"
#include "store/deliveries.h"
#include "store/endpoints.h"
#include "store/records.h"
#include "store/store.h"
#include "store/streams.h"

struct day {
    char dir[128];
    char store[160], key_file[160], backup[160];
    uint32_t log_pages; /* checkpoint when the log has that many */
    const char *plant; /* run on the writer after each opening: a fault to be found; or NULL */
    struct pst_db *db;
    struct pst_db_conn *reader;
    struct pst_key *root;
    struct pst_arena *arena;
    struct pst_organization org;
    struct pst_connection conn;
    const struct pst_entity *orders;
    int64_t sync_pk, stream_pk, endpoint_pk;
    unsigned syncs;
    unsigned notes_done; /* bits: jobs of the group that were told that they are done */
    int64_t feed_seen; /* where a follower of the change feed stands */
    const struct day_step *step; /* that runs */
};

struct day_step {
    const char *name;
    pst_code (*run)(struct day *d, struct pst_err *err);
    pst_db_write_fn job; /* instead of run: inside a writer's job, with the day */
    int first, count; /* orders of a page; count: also the status of a webhook's answer */
    enum pst_record_op op;
    enum pst_sync_mode mode;
};

extern const struct day_step day_steps[];
extern const size_t day_step_count;

/* dir exists. Errors: NO_MEMORY. */
pst_code day_init(struct day *d, const char *dir, struct pst_err *err);
pst_code day_run_step(struct day *d, const struct day_step *step, struct pst_err *err);
void day_fini(struct day *d); /* closes what is open, whatever the day has come to */

/* A hash over every table and row of the store, of a reader's or the writer's connection.
 * with_chance: also of what differs between two days (keys, what is sealed, when a migration
 * ran). Errors: as db.h. */
pst_code day_fingerprint(struct pst_db_conn *conn, bool with_chance, uint64_t *out,
                         struct pst_err *err);

/* Is the store (and its key) sound: opens with this program, passes every check, has no finding of
 * the doctor? needs_key: its key has to be there already. words gets what is wrong. */
bool day_is_sound(const char *dir, bool needs_key, char *words, size_t size);

#endif
