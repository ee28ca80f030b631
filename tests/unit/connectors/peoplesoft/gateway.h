/* tests/unit/connectors/peoplesoft/gateway.h: a gateway inside the test: it stands where the gate
 * stands (ctx->call), reads the URL and answers from a small table of purchase orders. */
#ifndef PST_TESTS_PEOPLESOFT_GATEWAY_H
#define PST_TESTS_PEOPLESOFT_GATEWAY_H

#include "connectors/peoplesoft/peoplesoft.h"

struct gateway_row {
    const char *unit, *order;
    int line, schedule;
    const char *stamp; /* NULL = "2026-01-15-12.00.00.000000" */
    const char *extra; /* JSON members behind the others, with a leading comma */
};

enum { GATEWAY_CALLS = 64 };

struct gateway {
    const struct gateway_row *rows; /* in key order */
    size_t row_count;
    unsigned cap; /* rows at most, whatever is asked for; 0 = none */
    bool ignores_prompts;
    bool is_descending;
    bool is_bare; /* column names without alias */
    const char *without; /* a column that the query does not have */
    /* Instead of an answer by the table: what the n-th call (from 0) gets. */
    struct gateway_answer {
        size_t call;
        pst_code code; /* not PST_OK: the gate's classification */
        int http_status;
        const char *body;
        const char *date;
    } answers[16];
    size_t answer_count;
    const struct gateway_meta { /* by a part of the URL */
        const char *part, *body;
        pst_code code;
        int http_status;
    } *meta;
    size_t meta_count;
    void (*before)(struct gateway *g, size_t call); /* the n-th call is answered; may change rows */
    size_t calls;
    char urls[GATEWAY_CALLS][1024];
    char user[64], password[64];
};

pst_code gateway_call(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                      struct pst_http_response *response, struct pst_err *err);

/* The manifest, parsed once per test program; config and credentials as JSON text. */
const struct pst_manifest *gateway_manifest(void);
pst_code gateway_open(struct pst_connector **out, const char *config, const char *credentials,
                      struct pst_err *err);
#define GATEWAY_CREDENTIALS "{\"username\":\"PSTUSER\",\"password\":\"secret\"}"
const struct pst_tz *gateway_zone(const char *name); /* loaded once, freed at exit */

#endif
