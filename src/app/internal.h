/* app/internal.h: what the files of app share. Not for other modules. */
#ifndef PST_APP_INTERNAL_H
#define PST_APP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "account/account.h"
#include "api/api.h"
#include "app/settings.h"
#include "connector/connector.h"
#include "gate/gate.h"
#include "http/http.h"
#include "os/queue.h"
#include "os/sandbox.h"
#include "os/thread.h"
#include "server/server.h"
#include "sync/sync.h"
#include "webhook/webhook.h"

/* ---- host.c: what sync needs of the machine ---- */

struct pst_bell {
    pthread_mutex_t mutex; /* guards count */
    pthread_cond_t cond;
    unsigned count;
};
void pst_bell_init(struct pst_bell *b);
void pst_bell_fini(struct pst_bell *b);
void pst_bell_ring(struct pst_bell *b);
void pst_bell_await(struct pst_bell *b, int64_t timeout_ms); /* negative: without end */

enum { PST_BELLS = 2 }; /* enum pst_sync_bell */
struct pst_host {
    struct pst_bell bells[PST_BELLS];
};
void pst_host_init(struct pst_host *h);
void pst_host_fini(struct pst_host *h);
struct pst_sync_host pst_host_table(struct pst_host *h);

/* A sync worker's helpers: its fetch thread and its latch. */
struct pst_lane {
    pthread_mutex_t mutex; /* guards fn, arg, busy, closed */
    pthread_cond_t changed;
    void (*fn)(void *arg);
    void *arg;
    bool busy; /* fn was given and has not returned */
    bool closed;
    struct pst_bell latch;
    struct pst_thread *thread;
};
pst_code pst_lane_open(struct pst_lane *lane, unsigned worker, struct pst_err *err);
void pst_lane_close(struct pst_lane *lane); /* joins; an all-zero lane is a no-op */
struct pst_sync_lane pst_lane_table(struct pst_lane *lane);

/* ---- systems.c: opening connected systems ---- */

struct pst_systems;

struct pst_systems_options {
    struct pst_db *db;
    const struct pst_key *root;
    const struct pst_connectors *connectors;
    struct pst_gate *gate;
    const struct pst_egress *egress;
    unsigned workers; /* how many threads open systems, by index */
    const atomic_bool *stopping; /* breaks off calls that have no cancel flag of their own */
};
pst_code pst_systems_new(struct pst_systems **out, const struct pst_systems_options *options,
                         struct pst_err *err);
void pst_systems_free(struct pst_systems *s); /* NULL is a no-op */
PST_DEFINE_AUTO(systems, struct pst_systems, pst_systems_free);
struct pst_sync_systems pst_systems_table(struct pst_systems *s);
/* As the table's open, for a probe that is due. */
pst_code pst_systems_open_probe(struct pst_systems *s, unsigned worker,
                                const struct pst_connection *c, struct pst_sync_system *out,
                                struct pst_err *err);
void pst_systems_close(struct pst_systems *s, struct pst_sync_system *system);

/* ---- contacts.c: from upstream calls to the status of connections ---- */

struct pst_contacts;
struct pst_prober;
pst_code pst_contacts_new(struct pst_contacts **out, struct pst_db *db,
                          const struct pst_health_options *options, struct pst_err *err);
void pst_contacts_free(struct pst_contacts *c); /* NULL is a no-op */
PST_DEFINE_AUTO(contacts, struct pst_contacts, pst_contacts_free);
/* Whom to tell of a connection whose health changed; set once, before threads start. */
void pst_contacts_set(struct pst_contacts *c, struct pst_sync_engine *engine,
                      struct pst_prober *prober);
struct pst_health_time pst_health_now(void); /* of the system's clocks */
/* struct pst_gate_options.observe */
void pst_contacts_observe(void *self, const struct pst_contact *contact);

struct pst_journal; /* app/journal.h */
struct pst_watch; /* app/watch.h */
struct pst_web; /* web/web.h */

/* ---- prober.c: probes of what is offline, events that wait for the end of a hold-down ---- */

struct pst_prober_options {
    struct pst_db *db;
    struct pst_gate *gate;
    struct pst_systems *systems;
    struct pst_health_options health;
    unsigned workers; /* threads */
    unsigned first_index; /* what the first one is for systems */
};
pst_code pst_prober_new(struct pst_prober **out, const struct pst_prober_options *options,
                        struct pst_err *err);
void pst_prober_free(struct pst_prober *p); /* NULL is a no-op */
PST_DEFINE_AUTO(prober, struct pst_prober, pst_prober_free);
/* The first thread begins with what the store has. */
pst_code pst_prober_start(struct pst_prober *p, struct pst_err *err);
/* Probes in hand are broken off by the app's `stopping`; joins. */
void pst_prober_stop(struct pst_prober *p);
/* Any thread; never waits but for the lock. The connection's state was stored. */
void pst_prober_put(struct pst_prober *p, int64_t connection_pk, pst_str connection_id,
                    const struct pst_health *state);
/* The origin answered after it was away, whoever called. */
void pst_prober_returned(struct pst_prober *p, const char *origin);
/* struct pst_api_prober */
int64_t pst_prober_in_ms(void *self, int64_t connection_pk);
void pst_prober_changed(void *self, int64_t connection_pk, pst_str connection_id,
                        const struct pst_health *health);

/* ---- pool.c: work that API requests cause ---- */

struct pst_pool;
/* name: of its threads, a number behind it. first_index: what fn gets as the first one's worker. */
pst_code pst_pool_new(struct pst_pool **out, const char *name, unsigned workers,
                      unsigned first_index, struct pst_err *err);
pst_code pst_pool_start(struct pst_pool *p, struct pst_err *err);
/* Run fn(arg, worker) on a thread of the pool; worker counts from first_index. false when the
 * queue is full or closed: fn will not be called. Any thread, never waits. */
bool pst_pool_submit(void *self, void (*fn)(void *arg, unsigned worker), void *arg);
void pst_pool_stop(struct pst_pool *p); /* finishes what was taken, joins */
void pst_pool_free(struct pst_pool *p); /* NULL is a no-op */
PST_DEFINE_AUTO(pool, struct pst_pool, pst_pool_free);

/* ---- start.c: files a first start makes ---- */

/* The data directory (0700) and the root key (a file of 0600, or the option root_key). */
pst_code pst_start_data_dir(const struct pst_paths *paths, struct pst_err *err);
pst_code pst_start_root_key(struct pst_key **out, const struct pst_config *config,
                            const struct pst_paths *paths, struct pst_err *err);

/* pst_vault_open, finishing a rotation of the root key that was broken off: *root may be replaced.
 * Errors: INVALID (wrong key), CORRUPT. */
pst_code pst_start_vault(struct pst_db *db, struct pst_key **root, const struct pst_paths *paths,
                         struct pst_err *err);

/* ---- threads.c: the threads of a server that runs ---- */

struct pst_app;

/* Start them in the order in which they need each other; on failure those that run are stopped
 * again. pst_threads_stop: what is in hand is finished or checkpointed, then all are joined. */
pst_code pst_threads_start(struct pst_app *app, struct pst_err *err);
void pst_threads_stop(struct pst_app *app);

/* ---- care.c: what the main thread does beside waiting for signals ---- */

/* Organizations that were told lately that events of theirs were dropped. */
struct pst_care {
    pst_wall told_since;
    int64_t told[1000];
    size_t told_count;
};

/* Remove one bounded batch of what is older than its retention, and of the data of deleted
 * connections; true when more is due, so that the caller may look at signals in between. Of events
 * that were dropped before they were delivered their organization is told, once a day. Of app it
 * takes db, config and care. */
bool pst_care_step(struct pst_app *app);

/* ---- confine.c: the sandbox ---- */

/* Give up what the running server does not need, and tell the log and the API what holds. Before
 * threads start. Errors: UNAVAILABLE (sandbox=require, and something is missing). */
pst_code pst_app_confine(struct pst_app *app, struct pst_err *err);

/* ---- reload.c ---- */

/* Read the configuration again and take over what may change while running. A broken one
 * changes nothing and is logged. */
void pst_app_reload(struct pst_app *app);
/* The limits of API requests as config has them. */
void pst_app_set_limits(struct pst_app *app, const struct pst_config *config);

/* ---- the server as a whole (app.c) ---- */

enum { PST_CONNECTORS = 1 };

struct pst_app_threads {
    struct pst_thread *writer;
    struct pst_thread *scheduler;
    struct pst_thread *webhooks;
    struct pst_thread *watch;
    struct pst_thread **loops; /* loop_count of them */
    unsigned loop_count;
    struct pst_worker {
        struct pst_app *app;
        unsigned index;
        struct pst_lane lane;
        struct pst_thread *thread;
    } *workers; /* worker_count of them */
    unsigned worker_count;
    struct pst_loop {
        struct pst_app *app;
        unsigned index;
    } *loop_args;
};

/* In the order in which things are built; torn down in reverse. Fields are set before threads
 * start and then only read, but for config (mutex) and stopping. */
struct pst_app {
    const char *const *args; /* of `penstock serve`, for reloads */
    size_t arg_count;
    const char *const *env;
    struct pst_arena *arena; /* paths, egress ranges */
    struct pst_paths paths;
    pst_str config_file; /* that was read, or "" */
    pthread_mutex_t mutex; /* guards config */
    struct pst_config *config; /* the snapshot in force; take a reference to read it */
    atomic_bool stopping;
    struct pst_key *root;
    struct pst_db *db;
    struct pst_egress egress;
    struct pst_connector_entry entries[PST_CONNECTORS];
    struct pst_connectors connectors;
    struct pst_contacts *contacts;
    struct pst_journal *journal;
    struct pst_web *web;
    struct pst_watch *watch;
    struct pst_gate *gate;
    struct pst_systems *systems;
    struct pst_prober *prober;
    struct pst_host host;
    struct pst_sync_engine *sync;
    struct pst_hooks *hooks;
    struct pst_pool *work; /* API requests that wait for a commit */
    struct pst_pool *looks; /* API requests that read much */
    struct pst_pool *calls; /* API requests that call connected systems */
    struct pst_api *api;
    struct pst_server *server;
    struct pst_sandbox_state sandbox;
    struct pst_app_threads threads;
    struct pst_care care; /* the main thread's */
};

struct pst_config *pst_app_config(struct pst_app *app); /* a reference; the caller's */

/* Penstock's own listener, where no connection may go: added to egress, in the arena. Behind a
 * wildcard these are the addresses that the machine has now. Errors: UNAVAILABLE. */
pst_code pst_start_own_address(struct pst_egress *egress, pst_str listen, int port,
                               struct pst_arena *arena, struct pst_err *err);

/* The file of the authorities that vouch for receivers, in the arena; NULL: the system's. Errors:
 * those of reading it, INVALID (no certificates in it). */
pst_code pst_start_receivers_ca(const char **out, const struct pst_config *config,
                                struct pst_arena *arena, struct pst_err *err);

/* Where connections may go, from the options. Arrays lie in the arena. Errors: INVALID. */
pst_code pst_start_egress(struct pst_egress *out, const struct pst_config *config,
                          struct pst_arena *arena, struct pst_err *err);

#endif
