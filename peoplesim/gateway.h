/* peoplesim/gateway.h: the Integration Gateway as clients see it: Basic authentication, the
 * Query Access Service's REST operations, and PeopleSoft's own ways to fail.
 *
 * Protocol facts: Oracle's "Reporting Web Services" (QAS_EXECUTEQRY_REST_GET,
 * QAS_LISTQUERY_REST_GET, QAS_LISTQUERYFIELDS_REST_GET, QAS_LISTQUERYPROMPTS_REST_GET) and
 * answers captured by public clients; where those say nothing the choice is in QUERIES.md.
 *
 * Thread-safety: handlers run on the server's loops, several at a time.
 */
#ifndef PEOPLESIM_GATEWAY_H
#define PEOPLESIM_GATEWAY_H

#include "peoplesim/account.h"
#include "peoplesim/engine.h"
#include "peoplesim/faults.h"
#include "peoplesim/stats.h"
#include "server/server.h"

enum pst_sim_wrong { PST_SIM_WRONG_ERROR, PST_SIM_WRONG_IGNORE };

struct pst_sim_gateway {
    struct pst_sim_engine *engine; /* borrowed */
    struct pst_sim_account account;
    struct pst_sim_faults faults;
    struct pst_sim_stats stats;
    const char *node; /* borrowed */
    enum pst_sim_xlat_mode xlat;
    enum pst_sim_wrong wrong; /* what wrong prompt and field names do */
    uint64_t row_cap; /* rows of an answer, cut silently; 0 = none */
    bool is_production; /* errors come without text */
    size_t answer_max; /* bytes; above it the application server falls over */
};

enum { PST_SIM_GATEWAY_ROUTES = 4 };
/* The routes; `routes` has room for PST_SIM_GATEWAY_ROUTES. */
void pst_sim_gateway_routes(struct pst_sim_gateway *g, struct pst_route *routes);

/* ---- for the gateway's own files ---- */

/* What a call is about. Lies in the request's arena. */
struct pst_sim_call {
    struct pst_sim_gateway *gateway;
    const char *service; /* "ExecuteQuery" */
    pst_str query; /* name asked for, "" for ListQuery */
    const struct pst_sim_query *found; /* NULL: none of that name, or hidden */
    struct pst_sim_effects effects;
    bool is_json; /* json_resp=true */
    struct pst_query_item *items; /* of the query string */
    size_t item_count;
};

/* The value of a parameter, {NULL, 0} when absent. */
pst_str pst_sim_param(const struct pst_sim_call *call, const char *name);

/* execute.c, metadata.c: write the answer of one service. */
pst_code pst_sim_execute(struct pst_sim_call *call, struct pst_request *req,
                         struct pst_response *res, struct pst_err *err);
pst_code pst_sim_list_queries(struct pst_sim_call *call, struct pst_request *req,
                              struct pst_response *res, struct pst_err *err);
pst_code pst_sim_list_fields(struct pst_sim_call *call, struct pst_request *req,
                             struct pst_response *res, struct pst_err *err);
pst_code pst_sim_list_prompts(struct pst_sim_call *call, struct pst_request *req,
                              struct pst_response *res, struct pst_err *err);

/* failures.c: PeopleSoft's error answers. text: with its "(set,number)"; hidden in production. */
void pst_sim_fail_ib(const struct pst_sim_gateway *g, struct pst_response *res, int status,
                     const char *text);
void pst_sim_fail_login(struct pst_response *res);
/* The answer of a fault that replaces the true one. */
void pst_sim_fail_as(enum pst_sim_fault_kind kind, struct pst_response *res);
/* WebLogic's page for that status (404, 500 ...). */
void pst_sim_fail_page(struct pst_response *res, int status);

/* A name from outside that may be put into XML, JSON and messages as it is. */
bool pst_sim_is_plain(pst_str name);

#endif
