/* codec/yaml.c: libyaml's events turned into JSON text. */
#include "codec/yaml.h"

#include <yaml.h>

#include "base/cleanup.h"
#include "base/map.h"

struct level {
    bool mapping;
    bool wants_key;
    struct pst_map names; /* of a mapping: the keys so far */
};

struct reader {
    yaml_parser_t parser;
    struct pst_json_writer out;
    struct level levels[PST_YAML_MAX_DEPTH];
    unsigned depth;
    bool done; /* the document has ended */
};

static pst_code fail_at(yaml_mark_t at, struct pst_err *err, const char *what)
{
    return PST_FAIL(err, PST_E_INVALID, "line %zu, column %zu: %s", at.line + 1, at.column + 1,
                    what);
}

static pst_code parser_failed(const yaml_parser_t *p, struct pst_err *err)
{
    if (p->error == YAML_MEMORY_ERROR)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to read YAML");
    if (p->error == YAML_READER_ERROR)
        return PST_FAIL(err, PST_E_INVALID, "byte %zu: %s", p->problem_offset, p->problem);
    return fail_at(p->problem_mark, err, p->problem);
}

/* ---- plain scalars ------------------------------------------------------------------------ */

/* The byte at `at`, NUL at the end: a scalar holds none. */
static char byte_at(pst_str s, size_t at)
{
    return at < s.len ? s.ptr[at] : '\0';
}

static bool is_sign(char c)
{
    return c == '-' || c == '+';
}

static size_t digits_at(pst_str s, size_t at)
{
    size_t from = at;
    while (byte_at(s, at) >= '0' && byte_at(s, at) <= '9')
        at++;
    return at - from;
}

struct number {
    bool negative, has_point;
    pst_str whole, fraction, exponent; /* exponent with its sign, "" = none */
};

/* [-+]?(digits(.digits?)?|.digits)([eE][-+]?digits)? */
static bool split_number(struct number *n, pst_str s)
{
    *n = (struct number){.negative = byte_at(s, 0) == '-'};
    size_t at = is_sign(byte_at(s, 0));
    n->whole = pst_str_sub(s, at, digits_at(s, at));
    at += n->whole.len;
    if (byte_at(s, at) == '.') {
        n->has_point = true;
        n->fraction = pst_str_sub(s, at + 1, digits_at(s, at + 1));
        at += 1 + n->fraction.len;
    }
    if (n->whole.len + n->fraction.len == 0)
        return false;
    if (byte_at(s, at) == 'e' || byte_at(s, at) == 'E') {
        size_t from = ++at;
        at += is_sign(byte_at(s, at));
        size_t digits = digits_at(s, at);
        if (digits == 0)
            return false;
        at += digits;
        n->exponent = pst_str_sub(s, from, at - from);
    }
    return at == s.len;
}

static pst_code put_number(struct reader *r, const struct number *n, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf text = {0};
    pst_buf_init(&text, PST_YAML_MAX_BYTES);
    if (n->negative)
        pst_buf_add_char(&text, '-');
    pst_buf_add_str(&text, n->whole.len ? n->whole : PST_STR("0"));
    if (n->has_point) {
        pst_buf_add_char(&text, '.');
        pst_buf_add_str(&text, n->fraction.len ? n->fraction : PST_STR("0"));
    }
    if (n->exponent.len) {
        pst_buf_add_char(&text, 'e');
        pst_buf_add_str(&text, n->exponent);
    }
    PST_TRY(pst_buf_check(&text, err));
    pst_json_put_raw(&r->out, pst_buf_str(&text));
    return PST_OK;
}

/* 0x1F and 0o17 as decimal; false when s is neither. */
static bool read_radix(pst_str s, uint64_t *out)
{
    bool hex = pst_str_starts(s, PST_STR("0x"));
    if ((!hex && !pst_str_starts(s, PST_STR("0o"))) || s.len < 3)
        return false;
    uint64_t v = 0;
    for (size_t i = 2; i < s.len; i++) {
        char c = s.ptr[i] >= 'A' && s.ptr[i] <= 'F' ? (char)(s.ptr[i] + 32) : s.ptr[i];
        uint64_t digit = pst_str_index(PST_STR("0123456789abcdef"), c);
        uint64_t radix = hex ? 16 : 8;
        if (digit >= radix || __builtin_mul_overflow(v, radix, &v))
            return false;
        v += digit;
    }
    *out = v;
    return true;
}

static bool is_word(pst_str s, const char *const *words)
{
    for (; *words; words++) {
        if (pst_str_is(s, *words))
            return true;
    }
    return false;
}

static pst_code put_plain(struct reader *r, pst_str s, yaml_mark_t at, struct pst_err *err)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const refused[] = {".inf",  ".Inf",  ".INF",  "-.inf", "-.Inf",
                                          "-.INF", "+.inf", "+.Inf", "+.INF", ".nan",
                                          ".NaN",  ".NAN",  NULL};
    struct number n;
    uint64_t radix = 0;
    if (is_word(s, nulls)) {
        pst_json_put_null(&r->out);
    } else if (is_word(s, trues) || is_word(s, falses)) {
        pst_json_put_bool(&r->out, is_word(s, trues));
    } else if (is_word(s, refused)) {
        return fail_at(at, err, "infinity and not-a-number are not allowed");
    } else if (split_number(&n, s)) {
        if (n.whole.len > 1 && n.whole.ptr[0] == '0')
            return fail_at(at, err, "a number with leading zeros; put quotes around it");
        return put_number(r, &n, err);
    } else if (read_radix(s, &radix)) {
        char text[24];
        int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)radix);
        pst_json_put_raw(&r->out, (pst_str){text, (size_t)len});
    } else {
        pst_json_put_str(&r->out, s);
    }
    return PST_OK;
}

/* ---- events ------------------------------------------------------------------------------- */

static struct level *innermost(struct reader *r)
{
    return r->depth ? &r->levels[r->depth - 1] : NULL;
}

/* After a value the mapping around it wants a key again. */
static void value_done(struct reader *r)
{
    struct level *l = innermost(r);
    if (l && l->mapping)
        l->wants_key = true;
}

static pst_code put_key(struct reader *r, struct level *l, pst_str name, yaml_mark_t at,
                        struct pst_err *err)
{
    if (pst_map_has(&l->names, name))
        return PST_FAIL(err, PST_E_INVALID, "line %zu, column %zu: '%.*s' stands twice",
                        at.line + 1, at.column + 1, PST_STR_ARG(pst_str_sub(name, 0, 64)));
    PST_TRY(pst_map_put(&l->names, name, NULL, NULL, err));
    pst_json_put_name(&r->out, name);
    l->wants_key = false;
    return PST_OK;
}

static pst_code on_scalar(struct reader *r, const yaml_event_t *e, struct pst_err *err)
{
    struct level *l = innermost(r);
    pst_str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (e->data.scalar.anchor || e->data.scalar.tag)
        return fail_at(e->start_mark, err, "anchors and tags are not allowed");
    if (l && l->mapping && l->wants_key)
        return put_key(r, l, text, e->start_mark, err);
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        PST_TRY(put_plain(r, text, e->start_mark, err));
    else
        pst_json_put_str(&r->out, text);
    value_done(r);
    return PST_OK;
}

static pst_code on_begin(struct reader *r, const yaml_event_t *e, bool mapping, bool decorated,
                         struct pst_err *err)
{
    struct level *l = innermost(r);
    if (decorated)
        return fail_at(e->start_mark, err, "anchors and tags are not allowed");
    if (l && l->mapping && l->wants_key)
        return fail_at(e->start_mark, err, "a key must be a scalar");
    if (r->depth == PST_YAML_MAX_DEPTH)
        return PST_FAIL(err, PST_E_LIMIT, "line %zu: nested deeper than %d levels",
                        e->start_mark.line + 1, PST_YAML_MAX_DEPTH);
    r->levels[r->depth++] = (struct level){.mapping = mapping, .wants_key = mapping};
    if (mapping)
        pst_json_begin_object(&r->out);
    else
        pst_json_begin_array(&r->out);
    return PST_OK;
}

static void on_end(struct reader *r)
{
    struct level *l = &r->levels[--r->depth];
    pst_map_fini(&l->names);
    if (l->mapping)
        pst_json_end_object(&r->out);
    else
        pst_json_end_array(&r->out);
    value_done(r);
}

static pst_code on_event(struct reader *r, const yaml_event_t *e, struct pst_err *err)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->done)
            return fail_at(e->start_mark, err, "a second document is not allowed");
        return PST_OK;
    case YAML_DOCUMENT_END_EVENT:
        r->done = true;
        return PST_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(e->start_mark, err, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        return on_scalar(r, e, err);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(r, e, false, e->data.sequence_start.anchor || e->data.sequence_start.tag,
                        err);
    case YAML_MAPPING_START_EVENT:
        return on_begin(r, e, true, e->data.mapping_start.anchor || e->data.mapping_start.tag, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(r);
        return PST_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    default:
        return PST_OK;
    }
}

static pst_code read_events(struct reader *r, struct pst_err *err)
{
    for (bool more = true; more;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e))
            return parser_failed(&r->parser, err);
        more = e.type != YAML_STREAM_END_EVENT;
        pst_code rc = on_event(r, &e, err);
        yaml_event_delete(&e);
        PST_TRY(rc);
    }
    if (!r->done)
        pst_json_put_null(&r->out);
    return PST_OK;
}

pst_code pst_yaml_to_json(pst_str text, struct pst_buf *out, struct pst_err *err)
{
    struct reader r = {.depth = 0};
    if (text.len > PST_YAML_MAX_BYTES)
        return PST_FAIL(err, PST_E_LIMIT, "YAML of more than %d bytes", PST_YAML_MAX_BYTES);
    if (!yaml_parser_initialize(&r.parser))
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to read YAML");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.len ? text.ptr : ""),
                                 text.len);
    pst_json_init(&r.out, out);
    pst_code rc = read_events(&r, err);
    for (unsigned i = 0; i < r.depth; i++)
        pst_map_fini(&r.levels[i].names);
    yaml_parser_delete(&r.parser);
    PST_TRY(rc);
    return pst_json_finish(&r.out, err);
}

pst_code pst_yaml_read(pst_str text, struct pst_arena *arena, yyjson_doc **out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf json = {0};
    pst_buf_init(&json, PST_JSON_MAX_BYTES);
    PST_TRY(pst_yaml_to_json(text, &json, err));
    return pst_json_read(pst_buf_str(&json), NULL, arena, out, err);
}
