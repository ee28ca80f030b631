/* codec/json_write.c: a writer that knows where it is. */
#include "base/utf8.h"
#include "codec/json.h"

/* ---- text ---- */

/* How many bytes at the front stand for themselves: printable ASCII but '"' and '\'. */
static size_t clean_length(pst_str s)
{
    const uint64_t ones = 0x0101010101010101ULL;
    const uint64_t tops = 0x8080808080808080ULL;
    size_t i = 0;
    for (; s.len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t w;
        memcpy(&w, s.ptr + i, sizeof(w));
        /* A byte's top bit comes up where it is below 0x20, equals one of the two, or is not
         * ASCII. A borrow may mark the byte above a hit as well, never hide one. */
        uint64_t quote = w ^ (ones * '"');
        uint64_t slash = w ^ (ones * '\\');
        uint64_t hit = (w - ones * 0x20) | (quote - ones) | (slash - ones) | w;
        if (hit & tops)
            break;
    }
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
        i++;
    }
    return i;
}

static void add_escaped(struct pst_buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[0x80] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                     ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    char out[6] = {'\\', named[c], '0', '0', hex[c >> 4], hex[c & 15]};
    if (out[1] != 0) {
        pst_buf_add(buf, out, 2);
        return;
    }
    out[1] = 'u';
    pst_buf_add(buf, out, 6);
}

/* Bytes from 0x80 up, up to the next ASCII byte; returns how many. */
static size_t add_wide(struct pst_buf *buf, pst_str s)
{
    size_t len = 0;
    while (len < s.len && (unsigned char)s.ptr[len] >= 0x80)
        len++;
    pst_str left = {s.ptr, len};
    size_t bad = 0;
    while (!pst_utf8_valid(left, &bad)) {
        pst_buf_add(buf, left.ptr, bad);
        pst_buf_add_lit(buf, "\xEF\xBF\xBD");
        left = pst_str_sub(left, bad + 1, left.len);
    }
    pst_buf_add_str(buf, left);
    return len;
}

void pst_json_escape(struct pst_buf *buf, pst_str s)
{
    while (s.len > 0) {
        size_t clean = clean_length(s);
        pst_buf_add(buf, s.ptr, clean);
        if (clean == s.len)
            return;
        s = (pst_str){s.ptr + clean, s.len - clean};
        unsigned char c = (unsigned char)s.ptr[0];
        size_t done = 1;
        if (c >= 0x80)
            done = add_wide(buf, s);
        else
            add_escaped(buf, c);
        s = (pst_str){s.ptr + done, s.len - done};
    }
}

void pst_json_quote(struct pst_buf *buf, pst_str s)
{
    if (clean_length(s) == s.len && pst_buf_reserve(buf, s.len + 2)) {
        char *p = buf->ptr + buf->len;
        *p++ = '"';
        if (s.len)
            memcpy(p, s.ptr, s.len);
        p[s.len] = '"';
        p[s.len + 1] = '\0';
        buf->len += s.len + 2;
        return;
    }
    pst_buf_add_char(buf, '"');
    pst_json_escape(buf, s);
    pst_buf_add_char(buf, '"');
}

/* ---- order ---- */

static void misuse(struct pst_json_writer *w)
{
    if (w->buf->fail == PST_OK)
        w->buf->fail = PST_E_INTERNAL;
}

static bool in_object(const struct pst_json_writer *w)
{
    return w->depth > 0 && (w->objects >> (w->depth - 1) & 1);
}

/* Before a value: whether one may stand here, and the comma. */
static bool begin_value(struct pst_json_writer *w)
{
    if (w->depth == 0 ? w->done : in_object(w) && !w->has_name) {
        misuse(w);
        return false;
    }
    if (w->depth > 0 && !in_object(w) && w->has_items)
        pst_buf_add_char(w->buf, ',');
    w->has_name = false;
    return true;
}

static void end_value(struct pst_json_writer *w)
{
    w->has_items = true;
    w->done = w->depth == 0;
}

static void begin_container(struct pst_json_writer *w, bool object)
{
    if (w->depth == PST_JSON_WRITE_DEPTH) {
        misuse(w);
        return;
    }
    if (!begin_value(w))
        return;
    pst_buf_add_char(w->buf, object ? '{' : '[');
    uint64_t bit = 1ULL << w->depth;
    w->objects = object ? w->objects | bit : w->objects & ~bit;
    w->depth++;
    w->has_items = false;
}

static void end_container(struct pst_json_writer *w, bool object)
{
    if (w->depth == 0 || in_object(w) != object || w->has_name) {
        misuse(w);
        return;
    }
    w->depth--;
    pst_buf_add_char(w->buf, object ? '}' : ']');
    end_value(w);
}

void pst_json_init(struct pst_json_writer *w, struct pst_buf *buf)
{
    *w = (struct pst_json_writer){.buf = buf};
}

pst_code pst_json_finish(struct pst_json_writer *w, struct pst_err *err)
{
    if (w->buf->fail == PST_OK && !w->done)
        misuse(w);
    if (w->buf->fail == PST_E_INTERNAL)
        return PST_FAIL(err, PST_E_INTERNAL, "JSON was written in the wrong order");
    return pst_buf_check(w->buf, err);
}

void pst_json_begin_object(struct pst_json_writer *w)
{
    begin_container(w, true);
}

void pst_json_end_object(struct pst_json_writer *w)
{
    end_container(w, true);
}

void pst_json_begin_array(struct pst_json_writer *w)
{
    begin_container(w, false);
}

void pst_json_end_array(struct pst_json_writer *w)
{
    end_container(w, false);
}

void pst_json_put_name(struct pst_json_writer *w, pst_str name)
{
    if (!in_object(w) || w->has_name) {
        misuse(w);
        return;
    }
    if (w->has_items)
        pst_buf_add_char(w->buf, ',');
    pst_json_quote(w->buf, name);
    pst_buf_add_char(w->buf, ':');
    w->has_name = true;
}

/* ---- values ---- */

void pst_json_put_str(struct pst_json_writer *w, pst_str s)
{
    if (!begin_value(w))
        return;
    pst_json_quote(w->buf, s);
    end_value(w);
}

void pst_json_put_raw(struct pst_json_writer *w, pst_str json)
{
    if (json.len == 0) {
        misuse(w);
        return;
    }
    if (!begin_value(w))
        return;
    pst_buf_add_str(w->buf, json);
    end_value(w);
}

void pst_json_put_i64(struct pst_json_writer *w, int64_t v)
{
    if (!begin_value(w))
        return;
    pst_buf_add_i64(w->buf, v);
    end_value(w);
}

void pst_json_put_bool(struct pst_json_writer *w, bool v)
{
    pst_json_put_raw(w, v ? PST_STR("true") : PST_STR("false"));
}

void pst_json_put_null(struct pst_json_writer *w)
{
    pst_json_put_raw(w, PST_STR("null"));
}

void pst_json_put_wall(struct pst_json_writer *w, pst_wall t)
{
    char text[PST_WALL_TEXT];
    size_t len = pst_wall_format(text, t);
    if (len == 0)
        pst_json_put_null(w);
    else
        pst_json_put_str(w, (pst_str){text, len});
}

static void put_array(struct pst_json_writer *w, yyjson_val *v)
{
    pst_json_begin_array(w);
    yyjson_arr_iter it = yyjson_arr_iter_with(v);
    for (yyjson_val *item = yyjson_arr_iter_next(&it); item; item = yyjson_arr_iter_next(&it))
        pst_json_put_val(w, item);
    pst_json_end_array(w);
}

static void put_object(struct pst_json_writer *w, yyjson_val *v)
{
    pst_json_begin_object(w);
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    for (yyjson_val *key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it)) {
        pst_json_put_name(w, (pst_str){yyjson_get_str(key), yyjson_get_len(key)});
        pst_json_put_val(w, yyjson_obj_iter_get_val(key));
    }
    pst_json_end_object(w);
}

void pst_json_put_val(struct pst_json_writer *w, yyjson_val *v)
{
    if (w->buf->fail != PST_OK) /* ends the recursion as well: nesting too deep fails */
        return;
    pst_str text;
    bool flag = false;
    if (!v || yyjson_is_null(v))
        pst_json_put_null(w);
    else if (pst_json_str(v, &text))
        pst_json_put_str(w, text);
    else if (pst_json_number(v, &text))
        pst_json_put_raw(w, text);
    else if (pst_json_bool(v, &flag))
        pst_json_put_bool(w, flag);
    else if (yyjson_is_arr(v))
        put_array(w, v);
    else if (yyjson_is_obj(v))
        put_object(w, v);
    else
        misuse(w); /* a number that was not kept as text: not from pst_json_read */
}

/* ---- members ---- */

void pst_json_add_str(struct pst_json_writer *w, const char *name, pst_str s)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_str(w, s);
}

void pst_json_add_text(struct pst_json_writer *w, const char *name, pst_str text)
{
    if (text.len)
        pst_json_add_str(w, name, text);
    else
        pst_json_add_null(w, name);
}

void pst_json_add_error(struct pst_json_writer *w, pst_str code, pst_str message)
{
    if (code.len == 0) {
        pst_json_add_null(w, "error");
        return;
    }
    pst_json_add_object(w, "error");
    pst_json_add_str(w, "code", code);
    pst_json_add_str(w, "message", message);
    pst_json_end_object(w);
}

void pst_json_add_z(struct pst_json_writer *w, const char *name, const char *z)
{
    pst_json_put_name(w, pst_str_from(name));
    if (z)
        pst_json_put_str(w, pst_str_from(z));
    else
        pst_json_put_null(w);
}

void pst_json_add_i64(struct pst_json_writer *w, const char *name, int64_t v)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_i64(w, v);
}

void pst_json_add_bool(struct pst_json_writer *w, const char *name, bool v)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_bool(w, v);
}

void pst_json_add_null(struct pst_json_writer *w, const char *name)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_null(w);
}

void pst_json_add_raw(struct pst_json_writer *w, const char *name, pst_str json)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_raw(w, json);
}

void pst_json_add_wall(struct pst_json_writer *w, const char *name, pst_wall t)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_wall(w, t);
}

void pst_json_add_val(struct pst_json_writer *w, const char *name, yyjson_val *v)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_put_val(w, v);
}

void pst_json_add_object(struct pst_json_writer *w, const char *name)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_begin_object(w);
}

void pst_json_add_array(struct pst_json_writer *w, const char *name)
{
    pst_json_put_name(w, pst_str_from(name));
    pst_json_begin_array(w);
}
