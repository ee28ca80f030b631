/* connectors/peoplesoft/scan.c: the rows of a regular answer, straight from its bytes.
 *
 * Nearly every answer is what the service's own serializer writes: one object with flat rows that
 * name their columns in one order. For those, cells point into the body as it came; only texts
 * with escapes are written anew. Whatever is not so (other order, nested values, invalid UTF-8,
 * control characters, NUL, single surrogates, anything that is not JSON, a cut) is left to the
 * tolerant way in reader.c: nothing is decided here but that all is well. */
#include "base/num.h"
#include "base/utf8.h"
#include "connectors/peoplesoft/reader.h"

enum { ROW_BYTES_MIN = 16, ROWS_SLACK = 16, ESCAPE_BYTES = 4 };

struct scan {
    struct pst_ps_rows *rows;
    const char *at, *end;
    bool is_odd; /* not for us */
    bool has_rows; /* the member was there */
    uint32_t rows_hint; /* what the answer says of their number */
    struct pst_err *err;
    pst_code code; /* a failure of ours, not of the answer's */
};

static bool stop_odd(struct scan *in)
{
    in->is_odd = true;
    return false;
}

/* The next byte that is no blank; '\0' at the end, where the padding begins. */
static inline char peek(struct scan *in)
{
    if (*in->at > ' ')
        return *in->at;
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t'))
        in->at++;
    return in->at < in->end ? *in->at : '\0';
}

static inline bool take(struct scan *in, char c)
{
    if (peek(in) != c)
        return stop_odd(in);
    in->at++;
    return true;
}

/* ---- texts --------------------------------------------------------------------------------- */

/* The first byte from `at` on that is '"', '\', a control character or not ASCII. */
static const char *skip_clean(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101ULL;
    const uint64_t tops = 0x8080808080808080ULL;
    for (; end - at >= 8; at += 8) {
        uint64_t w;
        memcpy(&w, at, sizeof(w));
        uint64_t quote = w ^ (ones * '"');
        uint64_t slash = w ^ (ones * '\\');
        uint64_t hit = ((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & tops;
        /* A borrow may mark a byte above a hit, never one below it: the lowest mark is true. */
        if (hit)
            return at + (__builtin_ctzll(hit) >> 3);
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

static bool read_hex4(const char *at, const char *end, unsigned *out)
{
    unsigned v = 0;
    if (end - at < ESCAPE_BYTES)
        return false;
    for (int i = 0; i < ESCAPE_BYTES; i++) {
        char c = at[i];
        char low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            v = v * 16 + (unsigned)(c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v * 16 + (unsigned)(low - 'a') + 10;
        else
            return false;
    }
    *out = v;
    return true;
}

static size_t put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

/* The escape at in->at (behind its backslash) to `to`; 0 where it is not for us. */
static size_t take_escape(struct scan *in, char *to)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char INTO[] = "\"\\/\b\f\n\r\t";
    unsigned unit = 0;
    if (in->at == in->end)
        return 0;
    char c = *in->at++;
    if (c == 'u') {
        /* NUL, controls and surrogates are rare enough. */
        if (!read_hex4(in->at, in->end, &unit) || unit < 0x20 || (unit >= 0xd800 && unit <= 0xdfff))
            return 0;
        in->at += ESCAPE_BYTES;
        return put_utf8(to, unit);
    }
    const char *found = c ? strchr(FROM, c) : NULL;
    if (!found || c == 'b' || c == 'f')
        return 0;
    *to = INTO[found - FROM];
    return 1;
}

/* The rest of a text with escapes, copied; in->at stands at the first backslash. */
static bool take_escaped(struct scan *in, const char *from, pst_str *out)
{
    const char *close = in->at;
    while (close < in->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= in->end)
        return stop_odd(in);
    char *copy = NULL;
    in->code = pst_arena_bytes(in->rows->arena, &copy, (size_t)(close - from), in->err);
    if (in->code != PST_OK)
        return false;
    size_t len = (size_t)(in->at - from);
    memcpy(copy, from, len);
    while (in->at < close) {
        if (*in->at != '\\') {
            if ((unsigned char)*in->at < 0x20)
                return stop_odd(in);
            copy[len++] = *in->at++;
            continue;
        }
        in->at++;
        size_t more = take_escape(in, copy + len);
        if (more == 0)
            return stop_odd(in);
        len += more;
    }
    in->at = close + 1;
    *out = (pst_str){copy, len};
    return pst_utf8_valid(*out, NULL) || stop_odd(in);
}

/* From behind the opening quote to behind the closing one. */
static bool take_text(struct scan *in, pst_str *out)
{
    const char *from = in->at;
    bool is_wide = false;
    for (;;) {
        in->at = skip_clean(in->at, in->end);
        if (in->at == in->end || (unsigned char)*in->at < 0x20)
            return stop_odd(in);
        if (*in->at == '"')
            break;
        if (*in->at == '\\')
            return take_escaped(in, from, out);
        is_wide = true;
        in->at++;
    }
    *out = (pst_str){from, (size_t)(in->at - from)};
    in->at++;
    return !is_wide || pst_utf8_valid(*out, NULL) || stop_odd(in);
}

/* ---- other values -------------------------------------------------------------------------- */

static size_t take_digits(struct scan *in)
{
    const char *from = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return (size_t)(in->at - from);
}

/* As JSON has numbers; in->at stands at its first byte. */
static bool take_number(struct scan *in, pst_str *out)
{
    const char *from = in->at;
    if (*in->at == '-')
        in->at++;
    const char *whole = in->at;
    size_t digits = take_digits(in);
    if (digits == 0 || (digits > 1 && *whole == '0'))
        return stop_odd(in);
    if (in->at < in->end && *in->at == '.') {
        in->at++;
        if (take_digits(in) == 0)
            return stop_odd(in);
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-'))
            in->at++;
        if (take_digits(in) == 0)
            return stop_odd(in);
    }
    *out = (pst_str){from, (size_t)(in->at - from)};
    return out->len <= PST_PS_NUMBER_BYTES || stop_odd(in);
}

static bool take_word(struct scan *in, pst_str word)
{
    if ((size_t)(in->end - in->at) < word.len || memcmp(in->at, word.ptr, word.len) != 0)
        return stop_odd(in);
    in->at += word.len;
    return true;
}

static bool take_cell(struct scan *in, struct pst_cell *cell)
{
    switch (peek(in)) {
    case '"':
        in->at++;
        cell->kind = PST_CELL_TEXT;
        return take_text(in, &cell->text);
    case 'n':
        *cell = (struct pst_cell){.kind = PST_CELL_NULL};
        return take_word(in, PST_STR("null"));
    case 't':
        *cell = (struct pst_cell){.text = PST_STR("true"), .kind = PST_CELL_BOOL};
        return take_word(in, cell->text);
    case 'f':
        *cell = (struct pst_cell){.text = PST_STR("false"), .kind = PST_CELL_BOOL};
        return take_word(in, cell->text);
    default:
        cell->kind = PST_CELL_NUMBER;
        return in->at < in->end ? take_number(in, &cell->text) : stop_odd(in);
    }
}

/* A member's name without escapes, and the colon. */
static bool take_name(struct scan *in, pst_str *out)
{
    if (!take(in, '"'))
        return false;
    const char *from = in->at;
    in->at = skip_clean(in->at, in->end);
    *out = (pst_str){from, (size_t)(in->at - from)};
    if (in->at == in->end || *in->at != '"')
        return stop_odd(in);
    in->at++;
    return take(in, ':');
}

/* Behind a member: whether another follows. The object's end is taken. */
static bool has_next(struct scan *in)
{
    char c = peek(in);
    if (c == ',' || c == '}')
        in->at++;
    else
        return stop_odd(in);
    return c == ',';
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* The names of a row, where some are not known yet. in->at stands behind its brace and is put back
 * there. */
static bool learn_row(struct scan *in)
{
    pst_str *all = NULL;
    size_t count = 0;
    const char *from = in->at;
    in->code = pst_arena_bytes(in->rows->arena, &all, (PST_PS_COLUMNS + 1) * sizeof(*all), in->err);
    if (in->code != PST_OK)
        return false;
    do {
        struct pst_cell ignored;
        if (count > PST_PS_COLUMNS)
            return stop_odd(in);
        if (!take_name(in, &all[count++]) || !take_cell(in, &ignored))
            return false;
    } while (has_next(in));
    if (in->is_odd)
        return false;
    size_t row_bytes = (size_t)(in->at - from);
    size_t hint = in->rows_hint ? in->rows_hint : (size_t)(in->end - from) / row_bytes + ROWS_SLACK;
    size_t most = (size_t)(in->end - from) / ROW_BYTES_MIN + 1;
    bool is_first = in->rows->seen_count == 0;
    in->code = pst_ps_rows_learn(in->rows, all, count, in->err);
    if (in->code == PST_OK && is_first)
        in->code = pst_ps_rows_reserve(in->rows, in->rows->column_count, hint < most ? hint : most,
                                       in->err);
    in->at = from;
    return in->code == PST_OK;
}

/* The place in `from` .. `to` of the name at in->at; `to` where it is not among them. */
static size_t find_between(const struct scan *in, size_t from, size_t to)
{
    size_t left = (size_t)(in->end - in->at);
    for (; from < to; from++) {
        pst_str key = in->rows->seen[from].key;
        if (key.len && key.len <= left && memcmp(in->at, key.ptr, key.len) == 0)
            break;
    }
    return from;
}

/* The place of the name at in->at, looked for from `place` on: names in between are absent from
 * this row. A name that came late stands behind those it follows in the rows. */
static size_t find_place(const struct scan *in, size_t place)
{
    size_t count = in->rows->seen_count;
    size_t found = find_between(in, place, count);
    if (found < count)
        return found;
    found = find_between(in, 0, place);
    return found < place ? found : count;
}

/* The row's members; *is_known false: one has a name that is not known yet. */
static bool fill_row(struct scan *in, bool *is_known)
{
    struct pst_ps_rows *rows = in->rows;
    struct pst_cell dropped;
    in->code = pst_ps_rows_reserve(rows, rows->column_count, 1, in->err);
    if (in->code != PST_OK)
        return false;
    struct pst_cell *cells = rows->cells + rows->row_count * rows->stride;
    memset(cells, 0, rows->stride * sizeof(*cells));
    if (rows->faults)
        rows->faults[rows->row_count] = (pst_str){0};
    size_t place = 0;
    do {
        if (peek(in) != '"')
            return stop_odd(in);
        place = find_place(in, place);
        *is_known = place < rows->seen_count;
        if (!*is_known)
            return false;
        in->at += rows->seen[place].key.len;
        int column = rows->seen[place++].column;
        if (column >= 0 && cells[column].kind != PST_CELL_ABSENT)
            return stop_odd(in); /* there twice */
        if (!take(in, ':') || !take_cell(in, column < 0 ? &dropped : &cells[column]))
            return false;
    } while (has_next(in));
    return !in->is_odd;
}

/* in->at stands behind the row's brace. Rows that leave out what is blank show more and more of the
 * columns: each is learned once. */
static bool take_row(struct scan *in)
{
    const char *from = in->at;
    bool is_known = true;
    bool is_good = fill_row(in, &is_known);
    if (!is_known) {
        in->at = from;
        is_known = true;
        is_good = learn_row(in) && fill_row(in, &is_known);
    }
    if (!is_known) /* its name is not one that can be found here */
        return stop_odd(in);
    in->rows->row_count += is_good;
    return is_good;
}

static bool take_rows(struct scan *in)
{
    if (in->has_rows || !take(in, '['))
        return stop_odd(in);
    in->has_rows = true;
    if (peek(in) == ']') {
        in->at++;
        return true;
    }
    for (;;) {
        if (!take(in, '{') || (in->rows->seen_count == 0 && !learn_row(in)) || !take_row(in))
            return false;
        char c = peek(in);
        in->at++;
        if (c == ']')
            return true;
        if (c != ',')
            return stop_odd(in);
    }
}

/* ---- the envelope -------------------------------------------------------------------------- */

static bool skip_value(struct scan *in, pst_str name)
{
    struct pst_cell cell;
    int64_t n = 0;
    if (!take_cell(in, &cell))
        return false;
    if (pst_str_is(name, "numrows") && pst_parse_i64(&n, cell.text, 1, PST_PS_ROWS_HINT))
        in->rows_hint = (uint32_t)n;
    return true;
}

/* status: success, data: {query: {rows: [...]}}; whatever else may stand there as plain values. */
static bool take_object(struct scan *in, unsigned depth)
{
    static const char *const INNER[] = {"data", "query", "rows"};
    bool has_inner = false;
    if (!take(in, '{'))
        return false;
    do {
        pst_str name;
        if (!take_name(in, &name))
            return false;
        bool is_good = false;
        if (pst_str_is(name, INNER[depth])) {
            if (has_inner)
                return stop_odd(in);
            has_inner = true;
            is_good = depth == 2 ? take_rows(in) : take_object(in, depth + 1);
        } else if (depth == 0 && pst_str_is(name, "status")) {
            struct pst_cell cell = {0};
            is_good = take_cell(in, &cell) &&
                      (pst_str_eq_nocase(cell.text, PST_STR("success")) || stop_odd(in));
        } else {
            is_good = skip_value(in, name);
        }
        if (!is_good)
            return false;
    } while (has_next(in));
    return !in->is_odd;
}

pst_code pst_ps_rows_scan(struct pst_ps_rows *rows, pst_str body, bool *is_done,
                          struct pst_err *err)
{
    struct scan in = {.rows = rows, .at = body.ptr, .end = body.ptr + body.len, .err = err};
    size_t before = rows->row_count;
    *is_done = false;
    PST_TRY(pst_ps_rows_begin(rows, err));
    *is_done = take_object(&in, 0) && in.has_rows && peek(&in) == '\0' && in.at == in.end;
    if (!*is_done)
        rows->row_count = before;
    return in.code;
}
