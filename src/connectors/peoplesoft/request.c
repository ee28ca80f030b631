/* connectors/peoplesoft/request.c: what is asked for, letter by letter.
 *
 * The service splits prompt_fieldvalue at its commas before it decodes a value, so commas between
 * values stand as they are and everything inside a value is percent-encoded. */
#include "connectors/peoplesoft/request.h"

#include <stdio.h>

#include "base/num.h"
#include "codec/percent.h"

enum { URL_BYTES = 16 << 10 };

/* ---- windows ------------------------------------------------------------------------------- */

static struct pst_civil civil_of(int64_t local_us)
{
    return pst_wall_to_civil((pst_wall){local_us});
}

static int64_t local_us(pst_wall t, int32_t offset_s)
{
    return t.us + (int64_t)offset_s * PST_US_PER_S;
}

static void write_stamp(char out[PST_PS_STAMP_TEXT], struct pst_civil c)
{
    (void)snprintf(out, PST_PS_STAMP_TEXT, "%04u-%02u-%02u-%02u.%02u.%02u.%06u",
                   (unsigned)c.year % 10000, (unsigned)c.month % 100, (unsigned)c.day % 100,
                   (unsigned)c.hour % 100, (unsigned)c.minute % 100, (unsigned)c.second % 100,
                   (unsigned)c.micro % 1000000);
}

void pst_ps_window_from(char out[PST_PS_STAMP_TEXT], const struct pst_tz *tz, pst_wall from,
                        bool date_only)
{
    out[0] = '\0';
    if (pst_wall_is_none(from))
        return;
    struct pst_tz_period now = pst_tz_period_at(tz, from);
    int64_t local = local_us(from, now.offset_s);
    if (now.to_s != INT64_MAX) {
        pst_wall change = {now.to_s * PST_US_PER_S};
        int64_t behind = local_us(change, pst_tz_period_at(tz, change).offset_s);
        if (behind < local)
            local = behind;
    }
    struct pst_civil c = civil_of(local);
    if (date_only)
        c.hour = c.minute = c.second = c.micro = 0;
    write_stamp(out, c);
}

void pst_ps_window_to(char out[PST_PS_STAMP_TEXT], const struct pst_tz *tz, pst_wall to,
                      bool date_only)
{
    out[0] = '\0';
    if (pst_wall_is_none(to))
        return;
    struct pst_tz_period now = pst_tz_period_at(tz, to);
    int64_t local = local_us(to, now.offset_s);
    if (now.from_s != INT64_MIN) {
        pst_wall change = {now.from_s * PST_US_PER_S};
        pst_wall before = {change.us - 1};
        int64_t ahead = local_us(change, pst_tz_period_at(tz, before).offset_s);
        if (ahead > local)
            local = ahead;
    }
    struct pst_civil c = civil_of(local);
    if (date_only) {
        c.hour = 23;
        c.minute = c.second = 59;
        c.micro = 999999;
    }
    write_stamp(out, c);
}

/* ---- keys ---------------------------------------------------------------------------------- */

pst_code pst_ps_after_decode(struct pst_ps_after *out, const struct pst_ps_stream *s, pst_str token,
                             struct pst_arena *arena, struct pst_err *err)
{
    *out = (struct pst_ps_after){.is_start = token.len == 0};
    if (out->is_start) {
        if (s->scope_count > 0) {
            out->is_start = false;
            out->key.text[0] = s->scope[0];
        }
        return PST_OK;
    }
    size_t count = 0;
    PST_TRY(pst_source_id_split(arena, token, out->key.text, PST_PS_KEY_PARTS, &count, err));
    if (count != s->document_parts)
        return PST_FAIL(err, PST_E_INVALID, "a key of %zu parts where %zu were issued", count,
                        s->document_parts);
    for (size_t i = 0; i < s->key_count; i++) {
        if (i >= s->document_parts)
            out->key.number[i] = s->key[i].max; /* behind all rows of the document */
        else if (s->key[i].is_number &&
                 !pst_parse_i64(&out->key.number[i], out->key.text[i], INT64_MIN, INT64_MAX))
            return PST_FAIL(err, PST_E_INVALID, "a key whose part %zu is no number", i + 1);
    }
    return PST_OK;
}

/* ---- URLs ---------------------------------------------------------------------------------- */

static pst_code finish(struct pst_buf *url, struct pst_arena *arena, pst_str *out,
                       struct pst_err *err)
{
    PST_TRY(pst_buf_check(url, err));
    return pst_arena_dup(arena, out, pst_buf_str(url), err);
}

static void begin_query(struct pst_buf *url, const struct pst_connector *self, pst_str query,
                        uint32_t max_rows)
{
    pst_buf_init(url, URL_BYTES);
    pst_buf_add_str(url, self->services);
    pst_buf_add_lit(url, "ExecuteQuery.v1/");
    pst_buf_add_str(url,
                    pst_str_is(self->owner, "private") ? PST_STR("PRIVATE") : PST_STR("PUBLIC"));
    pst_buf_add_char(url, '/');
    pst_percent_encode(url, query);
    pst_buf_addf(url, "/JSON/NONFILE?isconnectedquery=N&maxrows=%u", max_rows);
}

struct window {
    char from[PST_PS_STAMP_TEXT];
    char to[PST_PS_STAMP_TEXT];
    char as_of[PST_PS_STAMP_TEXT];
};

static pst_code add_key_value(struct pst_buf *url, const struct pst_ps_stream *s, size_t part,
                              const struct pst_ps_after *after, struct pst_err *err)
{
    pst_str text = after->key.text[part];
    if (after->is_start)
        return PST_OK;
    if (s->key[part].is_number) {
        if (after->key.number[part] != 0)
            pst_buf_add_i64(url, after->key.number[part]);
        return PST_OK;
    }
    if (pst_str_index(text, ',') != text.len)
        return PST_FAIL(err, PST_E_SYSTEM,
                        "a key in column '%.*s' has a comma, and the Query Access Service cannot "
                        "continue behind such a key",
                        PST_STR_ARG(s->key[part].column));
    pst_percent_encode(url, text);
    return PST_OK;
}

static pst_code add_prompt_value(struct pst_buf *url, const struct pst_ps_stream *s, int prompt,
                                 const struct window *window, const struct pst_ps_after *after,
                                 struct pst_err *err)
{
    if (prompt == s->from_prompt)
        pst_percent_encode(url, pst_str_from(window->from));
    else if (prompt == s->to_prompt)
        pst_percent_encode(url, pst_str_from(window->to));
    else if (prompt == s->as_of_prompt)
        pst_percent_encode(url, pst_str_from(window->as_of));
    for (size_t i = 0; i < s->key_count; i++)
        if (s->key[i].prompt == prompt)
            PST_TRY(add_key_value(url, s, i, after, err));
    return PST_OK;
}

pst_code pst_ps_url_page(const struct pst_connector *self, const struct pst_ps_stream *s,
                         const struct pst_fetch *fetch, const struct pst_tz *tz,
                         const struct pst_ps_after *after, uint32_t max_rows,
                         struct pst_arena *arena, pst_str *out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf url = {0};
    struct window window;
    begin_query(&url, self, s->query, max_rows);
    pst_ps_window_from(window.from, tz, fetch->from, s->stream->date_only);
    pst_ps_window_to(window.to, tz, fetch->to, s->stream->date_only);
    window.as_of[0] = '\0';
    if (!pst_wall_is_none(fetch->as_of)) {
        write_stamp(window.as_of, pst_tz_to_local(tz, fetch->as_of));
        window.as_of[10] = '\0'; /* the date alone */
    }
    pst_buf_add_lit(&url, "&prompt_uniquepromptname=");
    for (size_t i = 0; i < s->pack->prompt_count; i++) {
        if (i > 0)
            pst_buf_add_char(&url, ',');
        pst_percent_encode(&url, s->pack->prompts[i].name);
    }
    pst_buf_add_lit(&url, "&prompt_fieldvalue=");
    for (size_t i = 0; i < s->pack->prompt_count; i++) {
        if (i > 0)
            pst_buf_add_char(&url, ',');
        PST_TRY(add_prompt_value(&url, s, (int)i, &window, after, err));
    }
    pst_buf_add_lit(&url, "&json_resp=true");
    return finish(&url, arena, out, err);
}

pst_code pst_ps_url_query(const struct pst_connector *self, pst_str query, uint32_t max_rows,
                          struct pst_arena *arena, pst_str *out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf url = {0};
    begin_query(&url, self, query, max_rows);
    pst_buf_add_lit(&url, "&json_resp=true");
    return finish(&url, arena, out, err);
}

pst_code pst_ps_url_list(const struct pst_connector *self, pst_str search, struct pst_arena *arena,
                         pst_str *out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf url = {0};
    pst_buf_init(&url, URL_BYTES);
    pst_buf_add_str(&url, self->services);
    pst_buf_add_lit(&url, "ListQuery.v1/");
    pst_buf_add_str(&url, self->owner);
    pst_buf_add_lit(&url, "/listquery?search=");
    pst_percent_encode(&url, search);
    pst_buf_add_lit(&url, "&maxrows=1000&isconnectedquery=N&json_resp=true");
    return finish(&url, arena, out, err);
}

pst_code pst_ps_url_meta(const struct pst_connector *self, const char *service, pst_str query,
                         struct pst_arena *arena, pst_str *out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf url = {0};
    pst_buf_init(&url, URL_BYTES);
    pst_buf_add_str(&url, self->services);
    pst_buf_add_str(&url, pst_str_from(service));
    pst_buf_add_lit(&url, ".v1/");
    pst_buf_add_str(&url, self->owner);
    pst_buf_add_char(&url, '/');
    pst_percent_encode(&url, query);
    pst_buf_add_lit(&url, "?isconnectedquery=N&json_resp=true");
    return finish(&url, arena, out, err);
}

pst_code pst_ps_get(const struct pst_connector *self, const struct pst_connector_ctx *ctx,
                    pst_str url, enum pst_http_expect expect, struct pst_arena *arena,
                    struct pst_http_response *response, struct pst_err *err)
{
    const struct pst_http_header accept = {PST_STR("Accept"), PST_STR("application/json")};
    const struct pst_http_request request = {
        .url = url,
        .headers = &accept,
        .header_count = 1,
        .user = self->user,
        .password = self->password,
        .ca_pem = self->ca_pem,
        .is_unverified = self->is_unverified,
        .expect = expect,
        .limits.first_byte_ms = self->timeout_ms,
        .deadline = ctx->deadline,
    };
    return ctx->call(ctx->self, &request, arena, response, err);
}
