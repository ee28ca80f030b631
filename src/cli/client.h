/* cli/client.h: calls of the API for commands: through the local socket of the server, or with
 * --url and PENSTOCK_KEY.
 *
 * A problem document becomes a pst_err with its code and detail, so that exit status and text
 * are the server's own words.
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_CLIENT_H
#define PST_CLI_CLIENT_H

#include "app/settings.h"
#include "cli/command.h"
#include "codec/json.h"

struct pst_client;
void pst_client_free(struct pst_client *client); /* NULL is a no-op */

enum { PST_TARGET_BYTES = 8192, PST_BODY_BYTES = 8 << 20 };

/* A request's target under construction: pst_target_init, then segments, then parameters. */
struct pst_target {
    struct pst_buf text;
    bool has_query;
};
void pst_target_init(struct pst_target *t); /* "/v1" */
void pst_target_fini(struct pst_target *t);
void pst_target_add(struct pst_target *t, pst_str segment); /* encoded */
void pst_target_query(struct pst_target *t, const char *name, pst_str value); /* "" is left out */

static inline void pst_auto_target(struct pst_target *t)
{
    pst_target_fini(t);
}

struct pst_reply {
    int status;
    pst_str text; /* the body as it came */
    yyjson_val *root; /* parsed; NULL where there is no body */
};

/* body: JSON text, or "" for none. timeout_ms: of one try; what the server refuses for now is tried
 * again (cli/retry.h) unless --no-retry was given. Errors: those of the problem
 * document; UNAVAILABLE (no server answers: what to do), UNREACHABLE, TIMEOUT, INVALID. */
pst_code pst_client_call(struct pst_cli *cli, const char *method, const struct pst_target *target,
                         pst_str body, int64_t timeout_ms, struct pst_reply *out,
                         struct pst_err *err);
/* GET with the usual time limit. */
pst_code pst_client_get(struct pst_cli *cli, const struct pst_target *target, struct pst_reply *out,
                        struct pst_err *err);

/* Calls from now on are about this organization (its id, borrowed; "": whatever the server takes).
 */
void pst_client_act_for(struct pst_cli *cli, pst_str organization);

/* Every page of a list, at most `max` items: all items in one array, root.data. */
pst_code pst_client_list(struct pst_cli *cli, struct pst_target *target, size_t max,
                         yyjson_val ***out_items, size_t *out_count, struct pst_err *err);

/* The connection that word names: its id, or its name where that is unique; the empty word is
 * the only connection there is. *out_id lies in the arena. Errors: NOT_FOUND, CONFLICT (several;
 * the text lists them). */
pst_code pst_client_connection(struct pst_cli *cli, pst_str word, pst_str *out_id,
                               struct pst_err *err);

/* Begin a target of a connection: "/v1/connections/<id>"; word as above. */
pst_code pst_client_connection_target(struct pst_cli *cli, pst_str word, struct pst_target *t,
                                      struct pst_err *err);

/* The server's configuration as --config and --data-dir find it (release config), or only where
 * it keeps its files. */
pst_code pst_client_settings(struct pst_cli *cli, struct pst_settings *out, struct pst_err *err);
pst_code pst_client_paths(struct pst_cli *cli, struct pst_paths *out, struct pst_err *err);

#endif
