/* peoplesim/faults.h: what goes wrong on purpose, and how slow everything is.
 *
 * A fault matches calls by service and query, may skip the first ones, fire with a probability
 * and wear out after a number of times. Several can fire on one call: each adds its part to the
 * effects; of those that replace the answer the first one set wins.
 *
 * Thread-safety: any thread.
 */
#ifndef PEOPLESIM_FAULTS_H
#define PEOPLESIM_FAULTS_H

#include <pthread.h>

#include "base/buf.h"
#include "base/err.h"

enum { PST_SIM_FAULTS_MAX = 64, PST_SIM_FAULT_NAME = 48 };

enum pst_sim_fault_kind {
    PST_SIM_FAULT_NONE,
    /* instead of the answer */
    PST_SIM_FAULT_401,
    PST_SIM_FAULT_403,
    PST_SIM_FAULT_404,
    PST_SIM_FAULT_429, /* come back in a second */
    PST_SIM_FAULT_500, /* naked, as in production mode */
    PST_SIM_FAULT_500_TEXT,
    PST_SIM_FAULT_IB_158_45, /* bad password as IBResponse with status 200 */
    PST_SIM_FAULT_503,
    PST_SIM_FAULT_SIGN_ON, /* PIA's sign-on page with status 200 */
    PST_SIM_FAULT_REDIRECT, /* 302 to a login */
    PST_SIM_FAULT_GARBAGE, /* 200, application/json, not JSON */
    /* to the answer's way */
    PST_SIM_FAULT_RESET, /* bytes -1: before the head */
    PST_SIM_FAULT_TRUNCATE, /* closed after `bytes` */
    PST_SIM_FAULT_STALL, /* nothing more after `bytes` */
    PST_SIM_FAULT_SLOW, /* first byte after `ms` */
    /* to the rows */
    PST_SIM_FAULT_ROW_CAP, /* `rows`, silently */
    PST_SIM_FAULT_PROMPTS_IGNORED,
    PST_SIM_FAULT_MISSING_COLUMN, /* in `row`, or in all (0) and in QueryFields */
    PST_SIM_FAULT_BLANKS_LEFT_OUT, /* rows do not name columns that are blank */
    PST_SIM_FAULT_BAD_STAMP,
    PST_SIM_FAULT_BAD_NUMBER,
    PST_SIM_FAULT_BAD_UTF8,
    PST_SIM_FAULT_HIDDEN, /* the query does not exist for this user */
    PST_SIM_FAULT_KINDS
};

struct pst_sim_fault {
    uint64_t id;
    enum pst_sim_fault_kind kind;
    char service[PST_SIM_FAULT_NAME]; /* "ExecuteQuery"; "" = any */
    char query[PST_SIM_FAULT_NAME]; /* "" = any */
    char column[PST_SIM_FAULT_NAME];
    uint64_t count; /* how often at most; 0 = always */
    uint64_t after; /* matching calls that pass before the first */
    uint32_t per_mille; /* probability; 1000 = always */
    int64_t ms;
    int64_t bytes; /* -1: not said */
    uint64_t rows;
    uint64_t row;
    uint64_t seen, fired;
};

struct pst_sim_effects {
    enum pst_sim_fault_kind answer; /* NONE: the true one */
    enum pst_sim_fault_kind way; /* RESET, TRUNCATE, STALL or NONE */
    int64_t way_bytes;
    int64_t delay_ms; /* with the general latency */
    uint64_t row_cap; /* 0: none */
    bool prompts_ignored;
    bool is_hidden;
    bool leaves_out_blanks;
    enum pst_sim_fault_kind row_kind; /* MISSING_COLUMN, BAD_* or NONE */
    char column[PST_SIM_FAULT_NAME];
    uint64_t row;
};

struct pst_sim_faults {
    pthread_mutex_t lock;
    struct pst_sim_fault items[PST_SIM_FAULTS_MAX];
    size_t count;
    uint64_t next_id;
    uint64_t draws; /* random decisions made */
    uint64_t seed;
    int64_t latency_ms, jitter_ms;
};

void pst_sim_faults_init(struct pst_sim_faults *f, uint64_t seed);
void pst_sim_faults_fini(struct pst_sim_faults *f);

const char *pst_sim_fault_name(enum pst_sim_fault_kind kind); /* "500_text" */
enum pst_sim_fault_kind pst_sim_fault_kind_of(pst_str name); /* NONE when unknown */

/* fault->id is given by the list and also returned. Errors: LIMIT (too many). */
pst_code pst_sim_faults_add(struct pst_sim_faults *f, const struct pst_sim_fault *fault,
                            uint64_t *id, struct pst_err *err);
/* id 0: all. Returns how many were taken away. */
size_t pst_sim_faults_remove(struct pst_sim_faults *f, uint64_t id);
/* A JSON array of all. */
void pst_sim_faults_list(struct pst_sim_faults *f, struct pst_buf *out);

void pst_sim_faults_set_latency(struct pst_sim_faults *f, int64_t ms, int64_t jitter_ms);
void pst_sim_faults_latency(struct pst_sim_faults *f, int64_t *ms, int64_t *jitter_ms);

/* What happens to this call. query: "" where the service has none. */
void pst_sim_faults_decide(struct pst_sim_faults *f, const char *service, pst_str query,
                           struct pst_sim_effects *out);

/* Whether that query is hidden for good: an unlimited HIDDEN fault names it. Counts nothing. */
bool pst_sim_faults_hides(struct pst_sim_faults *f, const char *query);

#endif
