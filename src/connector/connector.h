/* connector/connector.h: what an adapter for one kind of system must provide.
 *
 *   sync, tests, probes ---- pst_connector_ops ----> one adapter (connectors/peoplesoft, ...)
 *
 * An adapter translates: it turns "give me the next page of purchase_orders changed in this
 * window after this key" into calls on its system, and the answers into pages of source rows
 * (model/page.h). It does not decide when to run, whether to retry, how rows become unified
 * records, or where they go.
 *
 * Rules for every function in the table
 *   I/O        only through ctx->call (which is the gate: limits, breaker, trace). No sockets,
 *              sleeps, threads, environment variables or files of its own.
 *   Time       ctx->deadline is absolute. There is no wall clock in ctx on purpose: "changed
 *              since" is told by the source's clock (source_now), never by ours.
 *   Retry      never inside. Classify the failure by its code; sync retries in one place.
 *   Memory     results go into the arena that was passed; self keeps no pointer into it.
 *   Logging    none above debug. Return a pst_err that says it all, in words that the system's
 *              administrator understands, with no credential and no row in its message.
 *   Threads    calls on one self never overlap; different selves run in parallel.
 */
#ifndef PST_CONNECTOR_CONNECTOR_H
#define PST_CONNECTOR_CONNECTOR_H

#include <yyjson.h>

#include "http/http.h"
#include "model/mapping.h"
#include "model/page.h"

struct pst_connector; /* an adapter's state for one connection; defined by each adapter */

struct pst_connector_ctx {
    /* One upstream call; http/http.h says what request and response hold. Fails with the code
     * of the classification: UNREACHABLE, TIMEOUT, FOREIGN_PAGE, REAUTH, SYSTEM_DENIED,
     * SYSTEM_BUSY, SYSTEM, EGRESS, CANCELLED, LIMIT, NO_MEMORY. */
    pst_code (*call)(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                     struct pst_http_response *response, struct pst_err *err);
    void *self;
    pst_mono deadline;
    const struct pst_tz *zone; /* of the source's zoneless times */
};

/* A stream as the manifest declares it. Strings live as long as the manifest. */
struct pst_stream {
    const struct pst_entity *entity;
    pst_str name; /* the entity's name */
    bool windowed; /* transactions: a full read may be limited to the history window */
    bool has_stamp; /* false: no change stamp, every incremental read is a whole read */
    bool date_only; /* the stamp is a date: windows are widened to whole days */
    bool effective_dated; /* parts of a document come into force on a date, without a new stamp: a
                             window with a beginning also has those of which one did since */
    yyjson_val *manifest; /* the stream's object, adapter keys and mapping included */
};

enum pst_option_type {
    PST_OPTION_STRING, /* up to 1,024 bytes, one line */
    PST_OPTION_TEXT, /* up to 64 KiB */
    PST_OPTION_URL, /* http or https, without query, fragment and user name */
    PST_OPTION_TIMEZONE, /* the name of a zone of the system, such as Europe/Berlin */
    PST_OPTION_ENUM,
    PST_OPTION_INTEGER,
    PST_OPTION_DURATION, /* "90s", or a number of seconds; min and max in milliseconds */
    PST_OPTION_BOOLEAN,
    PST_OPTION_LIST, /* of strings */
    PST_OPTION_MAP, /* name -> string */
    PST_OPTION_MAP_OF_MAPS, /* name -> name -> string */
};

/* A field of a connection's `config`, or of its `credentials`. */
struct pst_option {
    pst_str name;
    enum pst_option_type type;
    bool is_required;
    bool is_credential; /* stands in `credentials`, sealed at rest */
    bool is_secret; /* never shown again, not even to whom it belongs */
    bool is_reread; /* decides which rows are read, or how: a change makes checkpoints worthless */
    bool is_choice; /* decides which rows are read: what a change leaves out is to be deleted */
    bool is_name; /* letters, digits and '_' only */
    int64_t min, max; /* INTEGER and DURATION, where max > min */
    yyjson_val *values; /* ENUM: array of strings */
    yyjson_val *fallback; /* default, or NULL */
    pst_str title, help, example;
};
const char *pst_option_type_name(enum pst_option_type type);

/* A connector's manifest (connector.yaml), parsed and checked at start. */
struct pst_manifest {
    pst_str name; /* "peoplesoft" */
    pst_str title; /* "Oracle PeopleSoft" */
    pst_str description;
    int credits; /* tier: 0, 1, 2 or 4 */
    const struct pst_option *options;
    size_t option_count;
    const struct pst_stream *streams;
    size_t stream_count;
    yyjson_val *adapter; /* what only the adapter reads; may be NULL */
};

enum pst_fetch_mode { PST_FETCH_INCREMENTAL, PST_FETCH_FULL };

struct pst_fetch {
    const struct pst_stream *stream;
    enum pst_fetch_mode mode;
    pst_wall from; /* stamp >= from; none = from the beginning */
    pst_wall to; /* stamp < to; none = no upper end (full reads) */
    pst_wall as_of; /* effective-dated rows: the current row at this moment (source_now) */
    pst_str after_key; /* next_key of the page before, or "" */
    uint32_t limit; /* source rows to ask for, 1..100000; a document is never split */
};

/* One finding of test(): what was tried and, when it failed, what to do about it. */
struct pst_check {
    pst_str name; /* "address", "credentials", "query PST_PURCHASE_ORDERS" */
    pst_str entity; /* "" for checks of the connection as a whole */
    bool ok;
    pst_code code; /* when not ok */
    pst_str detail; /* one sentence */
    pst_str fix; /* what the administrator has to do; "" when ok */
};

struct pst_checks {
    struct pst_check *items; /* in the arena */
    size_t count;
};

/* A column of a stream's source, in the system's own words. */
struct pst_source_column {
    pst_str name; /* "A.PO_ID" */
    pst_str type; /* "Character" */
    pst_str column; /* what fetch calls it, where that is not its name; else "" */
};
struct pst_source_columns {
    struct pst_source_column *items; /* in the arena */
    size_t count;
};

/* Words by which a system says what its HTTP status does not (PeopleSoft: "(158,45)" in a fault
 * with status 200 or 500). The first phrase found in an answer decides. */
struct pst_connector_phrase {
    const char *text; /* as it stands in the body of an error answer */
    pst_code code; /* REAUTH, SYSTEM_DENIED, SYSTEM, UNREACHABLE */
    const char *meaning; /* one sentence for people */
};

struct pst_connector_ops {
    const char *name; /* [a-z0-9_], stable for ever; equals the manifest's name */
    const char *manifest_yaml; /* connector.yaml, embedded */
    size_t manifest_len;
    const struct pst_connector_phrase *phrases; /* phrase_count of them; read by the gate */
    size_t phrase_count;

    /* Check config and credentials (JSON objects by the manifest's options) and build self.
     * No network. credentials are borrowed for the call; what is kept of them is wiped by
     * close. Errors: INVALID (err->param names the option), NO_MEMORY. */
    pst_code (*open)(struct pst_connector **out, const struct pst_manifest *manifest,
                     yyjson_val *config, yyjson_val *credentials, struct pst_err *err);

    /* One cheap authenticated round trip. Errors: as ctx->call. */
    pst_code (*probe)(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      struct pst_err *err);

    /* Check everything that a sync of `streams` needs: address, credentials, permissions, and
     * per stream whether its source exists with the expected columns, prompts and types. Goes
     * on after a failed check where that makes sense, but stops at refused credentials.
     * Returns PST_OK when the findings could be made, whatever they are. */
    pst_code (*test)(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                     const struct pst_stream *const *streams, size_t count, struct pst_arena *arena,
                     struct pst_checks *out, struct pst_err *err);

    /* The source's own time now (a clock query, else the HTTP Date). Asked once per run. */
    pst_code (*source_now)(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                           pst_wall *out, struct pst_err *err);

    /* The next page. Documents come whole and in key order; after a crash, asking again from
     * the last stored next_key gives what follows it: nothing is skipped. page.end only after
     * an empty answer was seen. Errors: as ctx->call, and INVALID (a key this adapter did not
     * issue), SYSTEM (an answer that is not what was asked for), LIMIT (an answer above the size
     * limit). A document that is too large to be read (more than 10,000 rows), or that never
     * holds still, comes with a fault and what there is of it; the next page begins behind it. */
    pst_code (*fetch)(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      const struct pst_fetch *fetch, struct pst_arena *arena, struct pst_page *out,
                      struct pst_err *err);

    /* The columns that the stream's source has now, asked of the system's own description: what
     * `schema.changed` is told from, and whether one that no row of a page names is blank or gone.
     * NULL where a system has none: then pages name all columns. Errors: as ctx->call. */
    pst_code (*describe)(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                         const struct pst_stream *stream, struct pst_arena *arena,
                         struct pst_source_columns *out, struct pst_err *err);

    /* Wipe and release self. Accepts NULL and a half-open self. */
    void (*close)(struct pst_connector *self);
};

/* Parse and check a manifest. *out lives until pst_manifest_free. Errors: INVALID with the path of
 * what is wrong ("options.node.type: 'strng' is no type"), NO_MEMORY. */
pst_code pst_manifest_new(struct pst_manifest **out, const struct pst_connector_ops *ops,
                          struct pst_err *err);
void pst_manifest_free(struct pst_manifest *m);
const struct pst_stream *pst_manifest_stream(const struct pst_manifest *m, pst_str entity);

/* Check a connection's config and credentials (JSON objects, NULL = not given and not checked)
 * against the manifest. Errors: INVALID; err->param is "config.base_url". */
pst_code pst_manifest_check(const struct pst_manifest *m, yyjson_val *config,
                            yyjson_val *credentials, struct pst_err *err);

/* Values by the manifest: the given one, else the default, else "", 0 or false. `from` is config
 * or credentials (may be NULL) that pst_manifest_check has passed. Texts live as long as `from`
 * and the manifest. */
pst_str pst_option_str(const struct pst_manifest *m, yyjson_val *from, const char *name);
int64_t pst_option_i64(const struct pst_manifest *m, yyjson_val *from, const char *name);
int64_t pst_option_ms(const struct pst_manifest *m, yyjson_val *from, const char *name);
bool pst_option_bool(const struct pst_manifest *m, yyjson_val *from, const char *name);

/* The connectors of this build; the table is made in app and passed around. */
struct pst_connectors {
    const struct pst_connector_entry {
        const struct pst_connector_ops *ops;
        struct pst_manifest *manifest;
    } *items;
    size_t count;
};
const struct pst_connector_entry *pst_connectors_find(const struct pst_connectors *all,
                                                      pst_str name);

#endif
