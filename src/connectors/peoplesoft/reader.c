/* connectors/peoplesoft/reader.c: one answer of ExecuteQuery to cells.
 *
 * The rows of an answer name their columns in the same order. So the n-th name of a row is first
 * compared with the n-th name of the row before; only where that differs is it looked up. */
#include "connectors/peoplesoft/reader.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/json.h"

enum { NAME_BYTES = 256, MESSAGE_BYTES = 200 };

/* ---- parsing ------------------------------------------------------------------------------- */

static void *json_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return pst_malloc(size);
}

static void *json_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return pst_realloc(ptr, size);
}

static void json_free(void *ctx, void *ptr)
{
    (void)ctx;
    pst_free(ptr);
}

static void pst_auto_document(yyjson_doc **doc)
{
    yyjson_doc_free(*doc);
}

static yyjson_doc *parse_in_place(pst_str body, yyjson_read_err *problem)
{
    static const yyjson_alc ALC = {json_malloc, json_realloc, json_free, NULL};
    /* Invalid UTF-8 is one row's fault (check_text), not the answer's. */
    const yyjson_read_flag flags = YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW |
                                   YYJSON_READ_ALLOW_INVALID_UNICODE |
                                   YYJSON_READ_ALLOW_TRAILING_COMMAS;
    return yyjson_read_opts((char *)(uintptr_t)body.ptr, body.len, flags, &ALC, problem);
}

static pst_code fail_parse(const yyjson_read_err *problem, struct pst_err *err)
{
    if (problem->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to read the answer");
    if (problem->code == YYJSON_READ_ERROR_UNEXPECTED_END ||
        problem->code == YYJSON_READ_ERROR_EMPTY_CONTENT)
        return PST_FAIL(err, PST_E_UNREACHABLE, "the answer is cut off after %zu bytes",
                        problem->pos);
    return PST_FAIL(err, PST_E_SYSTEM, "the answer is not valid JSON at byte %zu: %s", problem->pos,
                    problem->msg);
}

/* Whether a byte stands in it that no text may have, escaped or not; eight bytes at a time. */
static bool has_control(pst_str body)
{
    static const uint64_t LOW = 0x2020202020202020ULL;
    static const uint64_t TOP = 0x8080808080808080ULL;
    for (size_t i = 0; i < body.len; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t n = body.len - i < sizeof(word) ? body.len - i : sizeof(word);
        memcpy(&word, body.ptr + i, n);
        if (n == sizeof(word) && ((word - LOW) & ~word & TOP) == 0)
            continue;
        for (size_t k = i; k < i + n; k++) {
            char c = body.ptr[k];
            if ((unsigned char)c < ' ' && c != '\n' && c != '\r' && c != '\t')
                return true;
        }
    }
    return false;
}

/* Parsing in place changes the bytes, so a copy is kept until it has worked. */
static pst_code parse(struct pst_ps_rows *rows, pst_str body, yyjson_doc **out, struct pst_err *err)
{
    yyjson_read_err problem = {0};
    rows->is_suspicious = !pst_utf8_valid(body, NULL) || has_control(body) ||
                          memmem(body.ptr, body.len, "\\u0000", 6) != NULL;
    char *kept = pst_malloc(body.len);
    if (!kept)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to read the answer");
    memcpy(kept, body.ptr, body.len);
    *out = parse_in_place(body, &problem);
    bool is_odd = !*out && problem.code != YYJSON_READ_ERROR_MEMORY_ALLOCATION &&
                  problem.code != YYJSON_READ_ERROR_UNEXPECTED_END;
    pst_code code = PST_OK;
    if (is_odd) {
        pst_str strict = {0};
        rows->is_suspicious = true;
        code = pst_ps_repair((pst_str){kept, body.len}, rows->arena, &strict, err);
        if (code == PST_OK)
            *out = parse_in_place(strict, &problem);
    }
    pst_free(kept);
    if (code == PST_OK && !*out)
        code = fail_parse(&problem, err);
    return code;
}

/* ---- the envelope -------------------------------------------------------------------------- */

static pst_str text_of(yyjson_val *v)
{
    return yyjson_is_str(v) ? (pst_str){yyjson_get_str(v), yyjson_get_len(v)} : (pst_str){0};
}

static pst_code fail_status(yyjson_val *root, pst_str status, struct pst_err *err)
{
    static const char *const WHERE[] = {"message", "error", "errorMessage", "errMessage"};
    yyjson_val *data = yyjson_obj_get(root, "data");
    pst_str message = text_of(data);
    for (size_t i = 0; i < PST_COUNT(WHERE) && message.len == 0; i++) {
        message = text_of(yyjson_obj_get(root, WHERE[i]));
        if (message.len == 0)
            message = text_of(yyjson_obj_get(data, WHERE[i]));
    }
    if (!pst_utf8_valid(message, NULL))
        message = (pst_str){0};
    message = pst_utf8_cut(message, MESSAGE_BYTES);
    return PST_FAIL(err, PST_E_SYSTEM, "the query ended with status '%.*s'%s%.*s",
                    PST_STR_ARG(pst_str_sub(status, 0, 32)), message.len ? ": " : "",
                    PST_STR_ARG(message));
}

/* The list of rows, or the one row, or NULL for none. */
static pst_code find_rows(yyjson_val *root, yyjson_val **out, struct pst_err *err)
{
    yyjson_val *status = yyjson_obj_get(root, "status");
    yyjson_val *query = yyjson_obj_get(yyjson_obj_get(root, "data"), "query");
    *out = NULL;
    if (status && !pst_str_eq_nocase(text_of(status), PST_STR("success")))
        return fail_status(root, text_of(status), err);
    if (!yyjson_is_obj(query))
        return PST_FAIL(err, PST_E_SYSTEM,
                        "the answer is JSON, but not that of a query (no data.query)");
    yyjson_val *rows = yyjson_obj_get(query, "rows");
    if (!rows || yyjson_is_null(rows))
        return PST_OK;
    if (yyjson_is_str(rows) && pst_str_trim(text_of(rows)).len == 0)
        return PST_OK;
    if (!yyjson_is_arr(rows) && !yyjson_is_obj(rows))
        return PST_FAIL(err, PST_E_SYSTEM, "the answer's rows are no list");
    if (yyjson_is_arr(rows) || yyjson_obj_size(rows) > 0)
        *out = rows;
    return PST_OK;
}

/* ---- columns ------------------------------------------------------------------------------- */

int pst_ps_rows_column(const struct pst_ps_rows *rows, pst_str name)
{
    for (size_t i = 0; i < rows->column_count; i++)
        if (pst_str_eq(rows->names[i], name))
            return (int)i;
    return -1;
}

pst_code pst_ps_rows_reserve(struct pst_ps_rows *rows, size_t columns, size_t rows_more,
                             struct pst_err *err)
{
    size_t stride = rows->stride > columns ? rows->stride : columns;
    size_t need = rows->row_count + rows_more;
    if (stride > rows->stride && rows->row_count > 0)
        stride += 15; /* columns that come late seldom come alone */
    if (stride == rows->stride && need <= rows->row_cap)
        return PST_OK;
    size_t cap = need;
    if (cap <= rows->row_cap)
        cap = rows->row_cap;
    else if (cap < rows->row_cap * 2)
        cap = rows->row_cap * 2;
    struct pst_cell *cells = NULL;
    size_t width = stride * sizeof(*cells);
    size_t bytes = 0;
    if (__builtin_mul_overflow(cap, width, &bytes))
        return PST_FAIL(err, PST_E_LIMIT, "an answer of %zu rows", cap);
    /* A row is cleared when it is begun; only rows that are there already need it now. */
    PST_TRY(pst_arena_bytes(rows->arena, &cells, bytes, err));
    memset(cells, 0, rows->row_count * width);
    for (size_t i = 0; i < rows->row_count && rows->stride > 0; i++)
        memcpy(cells + i * stride, rows->cells + i * rows->stride, rows->stride * sizeof(*cells));
    if (rows->faults) {
        pst_str *faults = NULL;
        PST_TRY(pst_arena_array(rows->arena, &faults, cap, sizeof(*faults), err));
        memcpy(faults, rows->faults, rows->row_count * sizeof(*faults));
        rows->faults = faults;
    }
    rows->cells = cells;
    rows->stride = stride;
    rows->row_cap = cap;
    return PST_OK;
}

pst_code pst_ps_rows_begin(struct pst_ps_rows *rows, struct pst_err *err)
{
    if (rows->names)
        return PST_OK;
    /* Without zeros: most of the room is never used, and then costs no memory. */
    PST_TRY(pst_arena_bytes(rows->arena, &rows->seen, PST_PS_COLUMNS * sizeof(*rows->seen), err));
    return pst_arena_bytes(rows->arena, &rows->names, PST_PS_COLUMNS * sizeof(*rows->names), err);
}

static bool is_plain(pst_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < ' ' || name.ptr[i] > '~' || name.ptr[i] == '"' || name.ptr[i] == '\\')
            return false;
    return true;
}

/* Take a name that was not seen before. `all`: the names of the row it stands in. */
static pst_code add_name(struct pst_ps_rows *rows, pst_str name, const pst_str *all, size_t count,
                         struct pst_err *err)
{
    if (rows->seen_count == PST_PS_COLUMNS)
        return PST_FAIL(err, PST_E_SYSTEM, "the query has more than %d columns", PST_PS_COLUMNS);
    if (name.len == 0 || name.len > NAME_BYTES || !pst_utf8_valid(name, NULL))
        return PST_FAIL(err, PST_E_SYSTEM, "the query has a column whose name is no name");
    struct pst_ps_seen *seen = &rows->seen[rows->seen_count];
    *seen = (struct pst_ps_seen){.name = name, .column = -1};
    if (is_plain(name))
        PST_TRY(pst_arena_printf(rows->arena, &seen->key, err, "\"%.*s\"", PST_STR_ARG(name)));
    if (!pst_str_starts(name, PST_STR("attr:"))) {
        pst_str canonical =
            rows->stream ? pst_ps_stream_canonical(rows->stream, name, all, count) : name;
        if (pst_ps_rows_column(rows, canonical) >= 0)
            canonical = name; /* two columns with a claim to it: the second keeps its own name */
        if (rows->row_count > 0)
            PST_TRY(pst_ps_rows_reserve(rows, rows->column_count + 1, 0, err));
        rows->names[rows->column_count] = canonical;
        seen->column = (int)rows->column_count++;
    }
    rows->seen_count++;
    return PST_OK;
}

static int find_seen(const struct pst_ps_rows *rows, pst_str name)
{
    for (size_t i = 0; i < rows->seen_count; i++)
        if (pst_str_eq(rows->seen[i].name, name))
            return (int)i;
    return -1;
}

pst_code pst_ps_rows_learn(struct pst_ps_rows *rows, const pst_str *all, size_t count,
                           struct pst_err *err)
{
    for (size_t i = 0; i < count; i++)
        if (find_seen(rows, all[i]) < 0)
            PST_TRY(add_name(rows, all[i], all, count, err));
    return PST_OK;
}

static pst_code learn_names(struct pst_ps_rows *rows, yyjson_val *row, struct pst_err *err)
{
    pst_str *all = NULL;
    size_t count = 0;
    yyjson_obj_iter it;
    yyjson_val *key;
    PST_TRY(pst_arena_array(rows->arena, &all, yyjson_obj_size(row), sizeof(*all), err));
    yyjson_obj_iter_init(row, &it);
    while ((key = yyjson_obj_iter_next(&it)))
        all[count++] = text_of(key);
    return pst_ps_rows_learn(rows, all, count, err);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static pst_code set_fault(struct pst_ps_rows *rows, size_t row, struct pst_err *err, pst_str column,
                          const char *what, size_t at)
{
    if (!rows->faults)
        PST_TRY(
            pst_arena_array(rows->arena, &rows->faults, rows->row_cap, sizeof(*rows->faults), err));
    if (rows->faults[row].len)
        return PST_OK;
    if (at == SIZE_MAX)
        return pst_arena_printf(rows->arena, &rows->faults[row], err, "column '%.*s': %s",
                                PST_STR_ARG(column), what);
    return pst_arena_printf(rows->arena, &rows->faults[row], err, "column '%.*s': %s at byte %zu",
                            PST_STR_ARG(column), what, at);
}

pst_code pst_ps_rows_fault(struct pst_ps_rows *rows, size_t row, pst_str why, struct pst_err *err)
{
    if (!rows->faults)
        PST_TRY(
            pst_arena_array(rows->arena, &rows->faults, rows->row_cap, sizeof(*rows->faults), err));
    rows->faults[row] = why;
    return PST_OK;
}

static size_t find_control(pst_str s)
{
    size_t i = 0;
    while (i < s.len && ((unsigned char)s.ptr[i] >= ' ' || s.ptr[i] == '\n' || s.ptr[i] == '\r' ||
                         s.ptr[i] == '\t'))
        i++;
    return i;
}

/* Of a suspicious body: text that is valid, without control characters. */
static pst_code check_text(struct pst_ps_rows *rows, size_t row, const struct pst_cell *cell,
                           pst_str column, struct pst_err *err)
{
    size_t at = 0;
    size_t control = find_control(cell->text);
    if (!pst_utf8_valid(cell->text, &at) && at <= control)
        return set_fault(rows, row, err, column, "invalid UTF-8", at);
    if (control < cell->text.len)
        return set_fault(rows, row, err, column, "a control character", control);
    return PST_OK;
}

static pst_code fill_cell(struct pst_ps_rows *rows, size_t row, struct pst_cell *cell,
                          yyjson_val *v, pst_str column, struct pst_err *err)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_STR:
        *cell = (struct pst_cell){.text = text_of(v), .kind = PST_CELL_TEXT};
        return rows->is_suspicious ? check_text(rows, row, cell, column, err) : PST_OK;
    case YYJSON_TYPE_RAW:
        *cell = (struct pst_cell){.text = {yyjson_get_raw(v), yyjson_get_len(v)},
                                  .kind = PST_CELL_NUMBER};
        if (cell->text.len <= PST_PS_NUMBER_BYTES)
            return PST_OK;
        *cell = (struct pst_cell){.kind = PST_CELL_NULL};
        return set_fault(rows, row, err, column, "a number of more than 64 characters", SIZE_MAX);
    case YYJSON_TYPE_BOOL:
        *cell = (struct pst_cell){.text = yyjson_is_true(v) ? PST_STR("true") : PST_STR("false"),
                                  .kind = PST_CELL_BOOL};
        return PST_OK;
    case YYJSON_TYPE_NULL:
        *cell = (struct pst_cell){.kind = PST_CELL_NULL};
        return PST_OK;
    default:
        *cell = (struct pst_cell){.kind = PST_CELL_NULL};
        return set_fault(rows, row, err, column, "a nested value", SIZE_MAX);
    }
}

static pst_code fill_row(struct pst_ps_rows *rows, size_t row, yyjson_val *object,
                         struct pst_err *err)
{
    size_t position = 0;
    bool is_regular = true;
    yyjson_obj_iter it;
    yyjson_val *key;
    yyjson_obj_iter_init(object, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        int at = (int)position++;
        if ((size_t)at >= rows->seen_count || !pst_str_eq(rows->seen[at].name, name)) {
            is_regular = false;
            at = find_seen(rows, name);
            if (at < 0) {
                PST_TRY(learn_names(rows, object, err));
                at = find_seen(rows, name);
            }
        }
        int column = rows->seen[at].column;
        if (column < 0)
            continue;
        struct pst_cell *cell = &rows->cells[row * rows->stride + (size_t)column];
        if (!is_regular && cell->kind != PST_CELL_ABSENT)
            PST_TRY(set_fault(rows, row, err, rows->names[column], "there twice", SIZE_MAX));
        PST_TRY(fill_cell(rows, row, cell, yyjson_obj_iter_get_val(key), rows->names[column], err));
    }
    return PST_OK;
}

static pst_code add_row(struct pst_ps_rows *rows, yyjson_val *object, struct pst_err *err)
{
    if (!yyjson_is_obj(object))
        return PST_FAIL(err, PST_E_SYSTEM, "the answer has a row that is no object");
    /* Learning a name inside fill_row may move the cells, but not the row's number. */
    size_t row = rows->row_count;
    PST_TRY(pst_ps_rows_reserve(rows, rows->column_count, 1, err));
    memset(rows->cells + row * rows->stride, 0, rows->stride * sizeof(*rows->cells));
    if (rows->faults)
        rows->faults[row] = (pst_str){0};
    rows->row_count++;
    return fill_row(rows, row, object, err);
}

static pst_code add_rows(struct pst_ps_rows *rows, yyjson_val *list, struct pst_err *err)
{
    yyjson_arr_iter it;
    yyjson_val *row;
    if (yyjson_is_obj(list)) {
        PST_TRY(learn_names(rows, list, err));
        return add_row(rows, list, err);
    }
    yyjson_val *first = yyjson_arr_get_first(list);
    if (yyjson_is_obj(first) && rows->row_count == 0)
        PST_TRY(learn_names(rows, first, err));
    PST_TRY(pst_ps_rows_reserve(rows, rows->column_count, yyjson_arr_size(list), err));
    yyjson_arr_iter_init(list, &it);
    while ((row = yyjson_arr_iter_next(&it)))
        PST_TRY(add_row(rows, row, err));
    return PST_OK;
}

pst_code pst_ps_rows_parse(struct pst_ps_rows *rows, pst_str body, struct pst_err *err)
{
    __attribute__((cleanup(pst_auto_document))) yyjson_doc *doc = NULL;
    yyjson_val *list = NULL;
    PST_TRY(pst_ps_rows_begin(rows, err));
    PST_TRY(parse(rows, body, &doc, err));
    PST_TRY(find_rows(yyjson_doc_get_root(doc), &list, err));
    return list ? add_rows(rows, list, err) : PST_OK;
}

pst_code pst_ps_rows_read(struct pst_ps_rows *rows, pst_str body, size_t *added,
                          struct pst_err *err)
{
    size_t before = rows->row_count;
    bool is_done = false;
    if (pst_str_starts(body, PST_STR("\xef\xbb\xbf")))
        body = pst_str_sub(body, 3, body.len);
    if (body.len == 0)
        return PST_FAIL(err, PST_E_UNREACHABLE, "the answer is cut off before its first byte");
    PST_TRY(pst_ps_rows_scan(rows, body, &is_done, err));
    if (!is_done)
        PST_TRY(pst_ps_rows_parse(rows, body, err));
    *added = rows->row_count - before;
    return PST_OK;
}

void pst_ps_rows_move(struct pst_ps_rows *rows, size_t to, size_t from)
{
    if (to == from)
        return;
    memmove(rows->cells + to * rows->stride, rows->cells + from * rows->stride,
            rows->stride * sizeof(*rows->cells));
    if (rows->faults)
        rows->faults[to] = rows->faults[from];
}

void pst_ps_rows_pack(struct pst_ps_rows *rows)
{
    if (rows->stride == rows->column_count)
        return;
    for (size_t i = 0; i < rows->row_count; i++)
        memmove(rows->cells + i * rows->column_count, rows->cells + i * rows->stride,
                rows->column_count * sizeof(*rows->cells));
    rows->stride = rows->column_count;
}
