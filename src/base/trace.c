/* base/trace.c: reading and writing traceparent. */
#include "base/trace.h"

#include <stdio.h>

enum { VERSION_00_LEN = 55 };

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(uint8_t *out, size_t bytes, pst_str text)
{
    if (text.len != 2 * bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int high = digit_of(text.ptr[2 * i]);
        int low = digit_of(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* Printable ASCII only: it goes into a header as it is. */
static bool is_fit(pst_str state)
{
    for (size_t i = 0; i < state.len; i++) {
        if (state.ptr[i] < 0x20 || state.ptr[i] > 0x7e)
            return false;
    }
    return state.len <= PST_TRACESTATE_MAX;
}

bool pst_trace_parse(struct pst_trace *out, pst_str traceparent, pst_str tracestate)
{
    struct pst_trace t = {0};
    uint8_t version = 0;
    pst_str left = traceparent;
    if (!read_hex(&version, 1, pst_str_split(&left, '-')) || version == 0xff ||
        !read_hex(t.id, PST_TRACE_ID, pst_str_split(&left, '-')) ||
        !read_hex(t.parent, PST_SPAN_ID, pst_str_split(&left, '-')) ||
        !read_hex(&t.flags, 1, pst_str_split(&left, '-')))
        return false;
    if (is_zero(t.id, PST_TRACE_ID) || is_zero(t.parent, PST_SPAN_ID))
        return false;
    /* Version 00 ends here; a later one may have more behind a dash. */
    if (version == 0 && traceparent.len != VERSION_00_LEN)
        return false;
    t.flags &= 1;
    if (is_fit(tracestate))
        (void)pst_str_copy(t.state, sizeof(t.state), tracestate);
    *out = t;
    return true;
}

void pst_trace_begin(struct pst_trace *out, const uint8_t id[PST_TRACE_ID])
{
    *out = (struct pst_trace){.flags = 1};
    memcpy(out->id, id, PST_TRACE_ID);
}

static void write_hex(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

void pst_trace_format_id(char out[PST_TRACE_TEXT], const uint8_t id[PST_TRACE_ID])
{
    write_hex(out, id, PST_TRACE_ID);
}

void pst_trace_format(char out[PST_TRACEPARENT_TEXT], const struct pst_trace *trace,
                      const uint8_t span[PST_SPAN_ID])
{
    char id[PST_TRACE_TEXT];
    char parent[2 * PST_SPAN_ID + 1];
    write_hex(id, trace->id, PST_TRACE_ID);
    write_hex(parent, span, PST_SPAN_ID);
    (void)snprintf(out, PST_TRACEPARENT_TEXT, "00-%s-%s-%02x", id, parent, trace->flags & 1U);
}
