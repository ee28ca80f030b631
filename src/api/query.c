/* api/query.c: query parameters by an operation's table; cursors of lists. */
#include "api/internal.h"
#include "base/num.h"

static const struct pst_api_param *param_of(const struct pst_api_op *op, pst_str name)
{
    for (const struct pst_api_param *p = op->params; p && p->name; p++) {
        if (pst_str_is(name, p->name))
            return p;
    }
    return NULL;
}

/* Whether `value` is one of "a|b|c". */
static bool is_choice(const char *choices, pst_str value)
{
    pst_str left = pst_str_from(choices);
    while (left.len) {
        if (pst_str_eq(pst_str_split(&left, '|'), value))
            return true;
    }
    return false;
}

static pst_code check_value(const struct pst_api_param *p, pst_str value, struct pst_err *err)
{
    int64_t number = 0;
    pst_wall time = PST_WALL_NONE;
    switch (p->type) {
    case PST_PARAM_INTEGER:
        if (!pst_parse_i64(&number, value, p->min, p->max))
            return PST_FAIL_AT(err, PST_E_INVALID, p->name, "'%s' is a number from %lld to %lld",
                               p->name, (long long)p->min, (long long)p->max);
        return PST_OK;
    case PST_PARAM_BOOLEAN:
        if (!is_choice("true|false", value))
            return PST_FAIL_AT(err, PST_E_INVALID, p->name, "'%s' is true or false", p->name);
        return PST_OK;
    case PST_PARAM_ENUM:
        if (!is_choice(p->choices, value))
            return PST_FAIL_AT(err, PST_E_INVALID, p->name, "'%s' is one of %s", p->name,
                               p->choices);
        return PST_OK;
    case PST_PARAM_TIME:
        if (!pst_wall_parse(&time, value))
            return PST_FAIL_AT(err, PST_E_INVALID, p->name,
                               "'%s' is a time such as 2026-11-24T06:30:00Z", p->name);
        return PST_OK;
    case PST_PARAM_STRING:
    case PST_PARAM_LIST:
        break;
    }
    if (value.len == 0 || (p->max > 0 && value.len > (size_t)p->max))
        return PST_FAIL_AT(err, PST_E_INVALID, p->name, "'%s' has a value of 1 to %lld bytes",
                           p->name, (long long)p->max);
    return PST_OK;
}

const struct pst_filter *pst_api_filter(const struct pst_entity *entity, pst_str name, int *match)
{
    static const struct {
        const char *suffix;
        int match;
    } forms[] = {{"", PST_MATCH_EQUAL}, {"_after", PST_MATCH_AFTER}, {"_before", PST_MATCH_BEFORE}};
    for (size_t i = 0; i < entity->filter_count * PST_COUNT(forms); i++) {
        const struct pst_filter *f = &entity->filters[i / PST_COUNT(forms)];
        pst_str suffix = pst_str_from(forms[i % PST_COUNT(forms)].suffix);
        pst_str field = pst_str_from(f->field->name);
        bool is_time = f->field->type == PST_TYPE_DATE || f->field->type == PST_TYPE_DATETIME;
        if (name.len == field.len + suffix.len && pst_str_starts(name, field) &&
            pst_str_ends(name, suffix) && (suffix.len == 0 || is_time)) {
            *match = forms[i % PST_COUNT(forms)].match;
            return f;
        }
    }
    return NULL;
}

pst_code pst_api_check_query(struct pst_api_call *call, struct pst_err *err)
{
    PST_TRY(pst_query_parse(call->arena, call->req->query, &call->items, &call->item_count, err));
    for (size_t i = 0; i < call->item_count; i++) {
        pst_str name = call->items[i].name;
        char shown[64] = "";
        (void)pst_str_copy(shown, sizeof(shown), pst_str_sub(name, 0, sizeof(shown) - 1));
        for (size_t k = 0; k < i; k++) {
            if (pst_str_eq(call->items[k].name, name))
                return PST_FAIL_AT(err, PST_E_INVALID, shown, "'%s' is given twice", shown);
        }
        int match = 0;
        const struct pst_api_param *p = param_of(call->op, name);
        if (p)
            PST_TRY(check_value(p, call->items[i].value, err));
        else if (!(call->op->flags & PST_OP_FILTERS) || !pst_api_filter(call->entity, name, &match))
            return PST_FAIL_AT(err, PST_E_INVALID, shown, "there is no parameter '%s' here", shown);
    }
    return PST_OK;
}

pst_str pst_api_query(const struct pst_api_call *call, const char *name)
{
    for (size_t i = 0; i < call->item_count; i++) {
        if (pst_str_is(call->items[i].name, name))
            return call->items[i].value;
    }
    const struct pst_api_param *p = param_of(call->op, pst_str_from(name));
    return p ? pst_str_from(p->fallback) : (pst_str){NULL, 0};
}

int64_t pst_api_query_i64(const struct pst_api_call *call, const char *name)
{
    int64_t value = 0;
    (void)pst_parse_i64(&value, pst_api_query(call, name), INT64_MIN, INT64_MAX);
    return value;
}

bool pst_api_query_bool(const struct pst_api_call *call, const char *name)
{
    return pst_str_is(pst_api_query(call, name), "true");
}

pst_wall pst_api_query_wall(const struct pst_api_call *call, const char *name)
{
    pst_wall value = PST_WALL_NONE;
    pst_str text = pst_api_query(call, name);
    return text.len && pst_wall_parse(&value, text) ? value : PST_WALL_NONE;
}

pst_code pst_api_query_connection(const struct pst_api_call *call, int64_t fallback, int64_t *pk,
                                  struct pst_err *err)
{
    struct pst_connection c;
    pst_str id = pst_api_query(call, "connection_id");
    *pk = fallback;
    if (!id.ptr)
        return PST_OK;
    pst_code code =
        pst_connections_get_deleted(call->reader, call->organization_pk, id, call->arena, &c, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "connection_id", "there is no connection '%.*s'",
                           PST_STR_ARG(id));
    *pk = code == PST_OK ? c.pk : 0;
    return code;
}

/* ---- cursors ---- */

/* FNV-1a over whose list it is, the path, and every parameter but limit and cursor: a short path
 * and one below the organization say the same to everybody. */
static uint32_t binding_of(const struct pst_api_call *call)
{
    const int64_t owner[] = {call->organization_pk, call->connection.pk};
    const pst_str path = call->req->path;
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < PST_COUNT(owner); i++)
        for (unsigned shift = 0; shift < 64; shift += 8)
            h = (h ^ (uint32_t)((uint64_t)owner[i] >> shift & 0xff)) * 16777619U;
    for (size_t i = 0; i < path.len; i++)
        h = (h ^ (unsigned char)path.ptr[i]) * 16777619U;
    for (size_t i = 0; i < call->item_count; i++) {
        pst_str parts[2] = {call->items[i].name, call->items[i].value};
        if (pst_str_is(parts[0], "limit") || pst_str_is(parts[0], "cursor"))
            continue;
        for (size_t k = 0; k < 2; k++) {
            h = (h ^ 0xffU) * 16777619U;
            for (size_t b = 0; b < parts[k].len; b++)
                h = (h ^ (unsigned char)parts[k].ptr[b]) * 16777619U;
        }
    }
    return h;
}

/* 8 digits of check, 16 digits of position masked by it. */
enum { CURSOR_LEN = 24 };

static uint64_t mask_of(uint32_t check)
{
    return (uint64_t)check * 0x9e3779b97f4a7c15ULL;
}

/* Of binding and position, every bit of which matters (splitmix64's last steps). */
static uint32_t check_of(const struct pst_api_call *call, int64_t pk)
{
    uint64_t x = (uint64_t)pk ^ mask_of(binding_of(call));
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return (uint32_t)(x >> 32);
}

pst_code pst_api_cursor_read(const struct pst_api_call *call, int64_t *pk, struct pst_err *err)
{
    pst_str text = pst_api_query(call, "cursor");
    *pk = 0;
    if (!text.ptr)
        return PST_OK;
    uint64_t values[2] = {0, 0};
    bool valid = text.len == CURSOR_LEN;
    for (size_t i = 0; valid && i < CURSOR_LEN; i++) {
        char c = text.ptr[i];
        valid = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        uint64_t *v = &values[i >= 8];
        *v = *v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    int64_t position = (int64_t)(values[1] ^ mask_of((uint32_t)values[0]));
    if (!valid || position <= 0 || values[0] != check_of(call, position))
        return PST_FAIL_AT(err, PST_E_INVALID, "cursor",
                           "this cursor was not made by this list with these parameters");
    *pk = position;
    return PST_OK;
}

void pst_api_cursor_write(const struct pst_api_call *call, struct pst_json_writer *w, bool more,
                          int64_t pk)
{
    if (!more) {
        pst_json_add_null(w, "next_cursor");
        return;
    }
    char text[CURSOR_LEN + 1];
    uint32_t check = check_of(call, pk);
    (void)snprintf(text, sizeof(text), "%08x%016llx", check,
                   (unsigned long long)((uint64_t)pk ^ mask_of(check)));
    pst_json_add_z(w, "next_cursor", text);
}
