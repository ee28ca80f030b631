/* base/trace.h: the context of a distributed trace as W3C Trace Context (level 1) writes it.
 *
 * traceparent: "00-<32 hex: trace id>-<16 hex: parent id>-<2 hex: flags>", lower case, neither id
 * all zero, version not ff. A later version may go on behind a further '-'; what is known of it is
 * taken. tracestate is carried along as it came.
 *
 * Thread-safety: plain values, pure functions.
 */
#ifndef PST_BASE_TRACE_H
#define PST_BASE_TRACE_H

#include <stdint.h>

#include "base/str.h"

enum { PST_TRACE_ID = 16, PST_SPAN_ID = 8, PST_TRACE_TEXT = 33, PST_TRACEPARENT_TEXT = 56 };
enum { PST_TRACESTATE_MAX = 512 }; /* bytes; what is longer is dropped, as the standard allows */

struct pst_trace {
    uint8_t id[PST_TRACE_ID];
    uint8_t parent[PST_SPAN_ID]; /* the caller's span; all zero = we began the trace */
    uint8_t flags; /* bit 0: sampled */
    char state[PST_TRACESTATE_MAX + 1]; /* tracestate, or "" */
};

/* False for anything that is not as above: then *out is as it was, and a new trace begins. */
bool pst_trace_parse(struct pst_trace *out, pst_str traceparent, pst_str tracestate);

/* A trace that begins here: its id is `id` (the bits of a request or a run). */
void pst_trace_begin(struct pst_trace *out, const uint8_t id[PST_TRACE_ID]);

/* Values for a call upstream, in which we are the parent as `span`. */
void pst_trace_format(char out[PST_TRACEPARENT_TEXT], const struct pst_trace *trace,
                      const uint8_t span[PST_SPAN_ID]);
void pst_trace_format_id(char out[PST_TRACE_TEXT], const uint8_t id[PST_TRACE_ID]);

#endif
