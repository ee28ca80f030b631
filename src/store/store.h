/* store/store.h: opening the store, its migrations, backups and retention.
 *
 * The schema has two parts: numbered, checksummed migrations (src/store/schema.c), and one
 * table per entity of the model, which grows additively and is brought up to date at start.
 *
 * Thread-safety: open, restore and verify before threads start; the rest as the connection.
 */
#ifndef PST_STORE_STORE_H
#define PST_STORE_STORE_H

#include "base/arena.h"
#include "db/db.h"

/* Topics that writer jobs of this module name with pst_db_notify, beside the pk of each
 * connection that got changes (always >= 1). */
enum {
    PST_TOPIC_SYNCS = -1, /* a run was queued, began, was asked to stop or ended */
    PST_TOPIC_CONNECTIONS = -2, /* a connection came, changed or went */
    PST_TOPIC_EVENTS = -3, /* an event was written (store/events.h) */
    PST_TOPIC_INCIDENTS = -4, /* an incident was opened, changed or closed */
    PST_TOPIC_ORGANIZATIONS = -1000, /* and below, see pst_topic_events_of */
};
/* An event of this organization was written; beside PST_TOPIC_EVENTS. */
static inline int64_t pst_topic_events_of(int64_t organization_pk)
{
    return PST_TOPIC_ORGANIZATIONS - organization_pk;
}
/* This endpoint came, changed or went, or deliveries of it were re-sent. */
static inline int64_t pst_topic_endpoint(int64_t endpoint_pk)
{
    return INT64_MIN + endpoint_pk;
}
/* Which endpoint a topic names so; 0 = it is another topic. */
static inline int64_t pst_topic_endpoint_of(int64_t topic)
{
    return topic < INT64_MIN / 2 ? topic - INT64_MIN : 0;
}

/* pst_db_open and every migration. Errors: as pst_db_open and pst_db_migrate. */
pst_code pst_store_open(struct pst_db **out, const struct pst_db_options *options,
                        struct pst_err *err);

/* The same without writing anything: for looks at a store that nobody has open. *schema gets the
 * number of its last migration, *known that of the newest one this program has; one above it is
 * no error here. */
pst_code pst_store_look(struct pst_db **out, const char *path, int *schema, int *known,
                        struct pst_err *err);

struct pst_backup_info {
    int schema; /* number of its last migration */
    int64_t organizations, connections, records;
    pst_wall newest_change; /* none = no change */
    uint64_t bytes; /* size of the file */
};

/* Consistent copy to a new file (0600) while writes go on, verified before it gets its name.
 * Errors: CONFLICT (path exists), DISK_FULL, IO, CORRUPT. Reads only; any thread. */
pst_code pst_store_backup(struct pst_db *db, const char *path, struct pst_backup_info *out,
                          struct pst_err *err);

/* Is the file a whole store that this version can open? Errors: NOT_FOUND, CORRUPT, CONFLICT
 * (of a newer version), IO. Writes nothing beside it. */
pst_code pst_store_verify(const char *path, struct pst_backup_info *out, struct pst_err *err);

/* Put a verified backup in the place of the store at `path`, which nobody has open (its lock is
 * taken); the old file is kept beside it under the name that kept gets (pst_db_restore). The
 * change feeds begin anew behind every number that was given out before `now`, whichever state
 * gave it: each position that a follower may hold is EXPIRED. Errors: as verify, and UNAVAILABLE
 * (locked), DISK_FULL, CONFLICT. */
pst_code pst_store_restore(const char *backup, const char *path, pst_wall now,
                           struct pst_backup_info *out, char kept[PST_DB_PATH],
                           struct pst_err *err);

/* What is older goes; none keeps everything. */
struct pst_retention {
    pst_wall changes;
    pst_wall syncs; /* ended ones; held at `changes`, which refer to them */
    pst_wall history;
    pst_wall audit;
    pst_wall deleted_records; /* records marked deleted before this */
};
/* One bounded batch inside a writer job: at most `limit` rows in all; *left tells whether more
 * is due. */
pst_code pst_store_retain(struct pst_db_conn *conn, const struct pst_retention *keep, size_t limit,
                          bool *left, struct pst_err *err);

/* Findings of a doctor's look at the contents (the file itself: pst_db_check): sequence gaps,
 * counters that differ from what they count, records that no stream owns. *findings 0 = sound.
 * `found` gets each one in words. Reader. */
pst_code pst_store_audit(struct pst_db_conn *conn, void (*found)(void *self, pst_str text),
                         void *self, int64_t *findings, struct pst_err *err);

#endif
