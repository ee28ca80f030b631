/* connectors/peoplesoft/check.h: test() of the adapter. Private to this module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_CHECK_H
#define PST_CONNECTORS_PEOPLESOFT_CHECK_H

#include "connectors/peoplesoft/stream.h"

/* pst_connector_ops.test */
pst_code pst_ps_check(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      const struct pst_stream *const *streams, size_t count,
                      struct pst_arena *arena, struct pst_checks *out, struct pst_err *err);

/* The source's time by the clock query; *date gets the answer's HTTP Date in any case where there
 * was an answer. Errors: as ctx->call, SYSTEM. */
pst_code pst_ps_read_clock(const struct pst_connector *self, const struct pst_connector_ctx *ctx,
                           struct pst_arena *arena, pst_wall *out, pst_str *date,
                           struct pst_err *err);

#endif
