/* connectors/peoplesoft/fetch.h: one page of documents. Private to this module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_FETCH_H
#define PST_CONNECTORS_PEOPLESOFT_FETCH_H

#include "connectors/peoplesoft/stream.h"

/* pst_connector_ops.fetch */
pst_code pst_ps_fetch(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      const struct pst_fetch *fetch, struct pst_arena *arena, struct pst_page *out,
                      struct pst_err *err);

#endif
