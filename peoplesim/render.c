/* peoplesim/render.c: rows as JSON text. */
#include "peoplesim/render.h"

#include <stdio.h>

enum { PART_MAX = 1 << 20, NUMBER_TEXT = 24, ESCAPED = 6 };

void pst_sim_render_init(struct pst_sim_render *r)
{
    for (size_t i = 0; i < r->query->column_count; i++) {
        struct pst_sim_name *n = &r->names[i];
        int len = snprintf(n->text, sizeof(n->text), ",\"%s\":", r->query->columns[i].name);
        n->len = len > 0 ? (size_t)len : 0;
    }
    for (size_t i = 0; i < PST_SIM_LEVELS_MAX - 1; i++)
        pst_buf_init(&r->parts[i], PART_MAX);
    r->has_doc = r->has_line = false;
}

void pst_sim_render_fini(struct pst_sim_render *r)
{
    for (size_t i = 0; i < PST_SIM_LEVELS_MAX - 1; i++)
        pst_buf_fini(&r->parts[i]);
}

/* ---- values; `at` has room, the new end is returned ---- */

static char *put_escape(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    *at++ = '\\';
    switch (c) {
    case '"':
    case '\\':
        *at++ = (char)c;
        return at;
    case '\n':
        *at++ = 'n';
        return at;
    case '\r':
        *at++ = 'r';
        return at;
    case '\t':
        *at++ = 't';
        return at;
    default:
        memcpy(at, "u00", 3);
        at[3] = hex[c >> 4];
        at[4] = hex[c & 15];
        return at + 5;
    }
}

static char *put_text(char *at, const char *text, size_t len)
{
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\')
            at = put_escape(at, c);
        else
            *at++ = (char)c;
    }
    *at++ = '"';
    return at;
}

/* num counts units of the last of `decimals` places. */
static char *put_number(char *at, int64_t num, int decimals)
{
    char digits[NUMBER_TEXT];
    size_t n = sizeof(digits);
    uint64_t u = num < 0 ? 0 - (uint64_t)num : (uint64_t)num;
    for (int i = 0; i < decimals; i++) {
        digits[--n] = (char)('0' + u % 10);
        u /= 10;
    }
    if (decimals)
        digits[--n] = '.';
    do {
        digits[--n] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (num < 0)
        *at++ = '-';
    memcpy(at, digits + n, sizeof(digits) - n);
    return at + (sizeof(digits) - n);
}

static char *put_date(char *at, const struct pst_sim_column *c, int64_t num)
{
    *at++ = '"';
    if (num != PST_SIM_NO_TIME && c->type == PST_SIM_DATE) {
        pst_sim_date_write(at, num);
        at += PST_SIM_DATE_TEXT;
    } else if (num != PST_SIM_NO_TIME) {
        pst_sim_dttm_write(at, num);
        at += PST_SIM_DTTM_TEXT;
    }
    *at++ = '"';
    return at;
}

/* The text shown for a code; a code without translate value stays as it is. */
static void translate(const struct pst_sim_column *c, enum pst_sim_xlat_mode mode,
                      struct pst_sim_value *v)
{
    if (mode == PST_SIM_XLAT_CODE || c->translate == PST_SIM_XLAT_NONE)
        return;
    for (const struct pst_sim_code *x = pst_sim_codes[c->translate]; x->code; x++)
        if (pst_str_is((pst_str){v->text, v->len}, x->code)) {
            pst_sim_set_text(v, mode == PST_SIM_XLAT_SHORT ? x->brief : x->full);
            return;
        }
}

/* Numbers never are: an empty one is 0. */
static bool is_blank(const struct pst_sim_column *c, const struct pst_sim_value *v)
{
    if (c->type == PST_SIM_CHAR || c->type == PST_SIM_LONG)
        return v->len == 0;
    bool is_number = c->type == PST_SIM_NUMBER || c->type == PST_SIM_SIGNED;
    return !is_number && !v->text && v->num == PST_SIM_NO_TIME;
}

static void put_column(struct pst_sim_render *r, size_t i, struct pst_buf *out)
{
    const struct pst_sim_column *c = &r->query->columns[i];
    const struct pst_sim_name *name = &r->names[i];
    struct pst_sim_value v = r->values[i];
    bool is_text = c->type == PST_SIM_CHAR || c->type == PST_SIM_LONG;
    if (is_text)
        translate(c, r->xlat, &v);
    if (r->leaves_out_blanks && is_blank(c, &v))
        return;
    if (!pst_buf_reserve(out, name->len + v.len * ESCAPED + PST_SIM_DTTM_TEXT + NUMBER_TEXT))
        return;
    char *at = out->ptr + out->len;
    memcpy(at, name->text, name->len);
    at += name->len;
    bool is_number = c->type == PST_SIM_NUMBER || c->type == PST_SIM_SIGNED;
    if (is_text || (v.text && !is_number)) {
        at = put_text(at, v.text, v.len);
    } else if (v.text) {
        memcpy(at, v.text, v.len);
        at += v.len;
    } else if (is_number) {
        at = put_number(at, v.num, c->decimals);
    } else {
        at = put_date(at, c, v.num);
    }
    out->len = (size_t)(at - out->ptr);
}

/* ---- records ---- */

static void set_by_hand(struct pst_sim_render *r, const struct pst_sim_edit *e)
{
    for (size_t i = 0; i < e->values.len; i++) {
        struct pst_sim_value *v = &r->values[e->values.items[i].column];
        v->text = e->values.items[i].text.ptr;
        v->len = e->values.items[i].text.len;
    }
}

/* Append the columns of one level of the scan's row. */
static void put_level(struct pst_sim_render *r, const struct pst_sim_scan *s, int level,
                      const struct pst_sim_spoil *spoil, struct pst_buf *out)
{
    const struct pst_sim_query *q = r->query;
    struct pst_sim_record rec = {
        .entity = q->entity,
        .doc = s->doc,
        .hash = pst_sim_doc_hash(r->world, q->entity, s->doc),
        .level = level,
        .line = level > 0 ? s->line : 0,
        .sub = level > 1 ? s->sub : 0,
        .stamp = s->stamp,
        .base_day = pst_sim_day_of(s->base_stamp),
        .asof_day = r->asof_day,
        .now = r->now,
    };
    const struct pst_sim_edit *e =
        s->change ? pst_sim_edit_find(s->change, rec.line, rec.sub) : NULL;
    if (e)
        rec.version = e->version;
    r->scratch.used = 0;
    pst_sim_generate(r->world, &rec, r->values, &r->scratch);
    if (e)
        set_by_hand(r, e);
    for (size_t i = 0; i < q->column_count; i++) {
        if (q->columns[i].level != level || !(r->columns >> i & 1))
            continue;
        if (spoil && spoil->column == (int)i) {
            if (!spoil->drop) {
                pst_buf_add(out, r->names[i].text, r->names[i].len);
                pst_buf_add_str(out, pst_str_from(spoil->raw));
            }
            continue;
        }
        put_column(r, i, out);
    }
}

static void put_cached(struct pst_sim_render *r, const struct pst_sim_scan *s, int level,
                       bool is_fresh, struct pst_buf *out)
{
    struct pst_buf *part = &r->parts[level];
    if (!is_fresh) {
        pst_buf_reset(part);
        put_level(r, s, level, NULL, part);
        if (part->fail != PST_OK)
            out->fail = part->fail;
    }
    pst_buf_add_str(out, pst_buf_str(part));
}

void pst_sim_render_row(struct pst_sim_render *r, const struct pst_sim_scan *s,
                        const struct pst_sim_spoil *spoil, struct pst_buf *out)
{
    int last = r->query->levels - 1;
    if (spoil) {
        for (int level = 0; level <= last; level++)
            put_level(r, s, level, spoil, out);
        return;
    }
    bool same_doc = r->has_doc && r->part_doc == s->doc;
    if (last > 0) {
        put_cached(r, s, 0, same_doc, out);
        r->part_doc = s->doc;
        r->has_doc = true;
    }
    if (last > 1) {
        put_cached(r, s, 1, same_doc && r->has_line && r->part_line == s->line, out);
        r->part_line = s->line;
        r->has_line = true;
    }
    put_level(r, s, last, NULL, out);
}
