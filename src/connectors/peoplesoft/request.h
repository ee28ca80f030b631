/* connectors/peoplesoft/request.h: URLs, prompt values and windows. Private to this module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_REQUEST_H
#define PST_CONNECTORS_PEOPLESOFT_REQUEST_H

#include "codec/tz.h"
#include "connectors/peoplesoft/stream.h"

/* Where a page begins: behind this key, or at the start. */
struct pst_ps_after {
    struct pst_ps_key key;
    bool is_start;
};

/* "2016-08-30-12.34.56.000000" with its NUL. */
enum { PST_PS_STAMP_TEXT = 27 };

/* The window's bounds as the source writes them, never narrower than [from, to): where the clock
 * of the zone goes back, a lower bound is moved to the first writing of the repeated hour and an
 * upper one to the last; a date-only stamp takes whole days, both included. "" for no bound. */
void pst_ps_window_from(char out[PST_PS_STAMP_TEXT], const struct pst_tz *tz, pst_wall from,
                        bool date_only);
void pst_ps_window_to(char out[PST_PS_STAMP_TEXT], const struct pst_tz *tz, pst_wall to,
                      bool date_only);

/* Token of a page: the document parts of a key as in a source_id. Errors: INVALID (not issued by
 * this adapter). Texts in the arena. */
pst_code pst_ps_after_decode(struct pst_ps_after *out, const struct pst_ps_stream *s, pst_str token,
                             struct pst_arena *arena, struct pst_err *err);

/* URL of ExecuteQuery for one page of a stream. Errors: SYSTEM (a key with a comma, which the
 * service cannot take as a prompt), LIMIT, NO_MEMORY. */
pst_code pst_ps_url_page(const struct pst_connector *self, const struct pst_ps_stream *s,
                         const struct pst_fetch *fetch, const struct pst_tz *tz,
                         const struct pst_ps_after *after, uint32_t max_rows,
                         struct pst_arena *arena, pst_str *out, struct pst_err *err);

/* URL of ExecuteQuery for a query without prompts. */
pst_code pst_ps_url_query(const struct pst_connector *self, pst_str query, uint32_t max_rows,
                          struct pst_arena *arena, pst_str *out, struct pst_err *err);

/* URL of ListQuery, QueryFields or QueryPrompts. */
pst_code pst_ps_url_list(const struct pst_connector *self, pst_str search, struct pst_arena *arena,
                         pst_str *out, struct pst_err *err);
pst_code pst_ps_url_meta(const struct pst_connector *self, const char *service, pst_str query,
                         struct pst_arena *arena, pst_str *out, struct pst_err *err);

/* One GET through the gate, with the connection's credentials and limits. */
pst_code pst_ps_get(const struct pst_connector *self, const struct pst_connector_ctx *ctx,
                    pst_str url, enum pst_http_expect expect, struct pst_arena *arena,
                    struct pst_http_response *response, struct pst_err *err);

#endif
