/* model/diff.c: which top-level members differ between two unified JSON texts.
 *
 * Works on the texts: what mapping writes is canonical (one member order, no white space), so
 * equal members have equal bytes and nothing needs to be parsed into values. */
#include "codec/json.h"
#include "model/model.h"

struct member {
    pst_str name; /* inside the quotes, still escaped */
    pst_str value; /* bytes of the value */
};

/* Index behind the string that begins at `at` (a quote). */
static size_t skip_string(pst_str s, size_t at)
{
    for (at++; at < s.len && s.ptr[at] != '"'; at++) {
        if (s.ptr[at] == '\\')
            at++;
    }
    return at + 1;
}

/* Index of the ',' or closing bracket behind the value that begins at `at`. */
static size_t skip_value(pst_str s, size_t at)
{
    for (int depth = 0; at < s.len; at++) {
        switch (s.ptr[at]) {
        case '"':
            at = skip_string(s, at) - 1;
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth-- == 0)
                return at;
            break;
        case ',':
            if (depth == 0)
                return at;
            break;
        default:
            break;
        }
    }
    return s.len;
}

/* The member at *at (behind '{' or ','), moving *at to the ',' or '}' that ends it. */
static bool next_member(pst_str s, size_t *at, struct member *out)
{
    if (*at >= s.len || s.ptr[*at] != '"')
        return false;
    size_t name_end = skip_string(s, *at);
    if (name_end >= s.len || s.ptr[name_end] != ':')
        return false;
    size_t value_end = skip_value(s, name_end + 1);
    if (value_end >= s.len)
        return false;
    out->name = pst_str_sub(s, *at + 1, name_end - *at - 2);
    out->value = pst_str_sub(s, name_end + 1, value_end - name_end - 1);
    *at = value_end;
    return true;
}

/* Looks first where the same member stood the last time, since both texts have one order. */
static bool find_member(pst_str s, pst_str name, size_t *hint, struct member *out)
{
    size_t at = *hint;
    if (next_member(s, &at, out) && pst_str_eq(out->name, name)) {
        *hint = at + 1;
        return true;
    }
    for (at = 1; next_member(s, &at, out); at++) {
        if (pst_str_eq(out->name, name)) {
            *hint = at + 1;
            return true;
        }
    }
    return false;
}

static void add_name(struct pst_buf *out, pst_str name, bool *first)
{
    if (!*first)
        pst_buf_add_char(out, ',');
    *first = false;
    pst_buf_add_char(out, '"');
    pst_buf_add_str(out, name);
    pst_buf_add_char(out, '"');
}

static bool is_object(pst_str s)
{
    return s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}';
}

void pst_model_diff(struct pst_buf *out, pst_str before, pst_str after)
{
    struct member m;
    struct member other;
    bool first = true;
    size_t hint = 1;
    pst_buf_add_char(out, '[');
    if (is_object(before) && is_object(after)) {
        for (size_t at = 1; next_member(after, &at, &m); at++) {
            if (!find_member(before, m.name, &hint, &other) || !pst_str_eq(m.value, other.value))
                add_name(out, m.name, &first);
        }
        hint = 1;
        for (size_t at = 1; next_member(before, &at, &m); at++) {
            if (!find_member(after, m.name, &hint, &other))
                add_name(out, m.name, &first);
        }
    }
    pst_buf_add_char(out, ']');
}
