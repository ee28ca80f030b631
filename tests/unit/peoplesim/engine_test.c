/* Tests of peoplesim/engine.h: the same data from the same seed, pages that pass every row once
 * in order whatever was changed, windows, columns, and changes by key and by chance. */
#include "peoplesim/engine.h"

#include <stdio.h>
#include <yyjson.h>

#include "base/cleanup.h"
#include "tests/unit/test.h"

enum { BODY_MAX = 64 << 20 };
#define EPOCH_US 1795478400000000LL /* 2026-11-24T00:00:00Z */
#define HOUR_US 3600000000LL

static struct pst_sim_zone zone;

static const struct pst_sim_settings small = {
    .seed = 7,
    .orders = 60,
    .lines_min = 1,
    .lines_max = 4,
    .schedules_min = 1,
    .schedules_max = 3,
    .epoch_us = EPOCH_US,
    .history_us = 60 * PST_SIM_DAY_US,
    .odd = true,
};

static struct pst_sim_engine *new_engine(const struct pst_sim_settings *settings)
{
    struct pst_err err;
    struct pst_sim_engine *e = NULL;
    assert_ok(pst_sim_engine_new(&e, settings, &zone, &err));
    pst_sim_engine_set_clock(
        e, (struct pst_sim_clock){.is_frozen = true, .frozen_us = EPOCH_US + 10 * HOUR_US});
    return e;
}

static struct pst_sim_select select_of(enum pst_sim_entity entity)
{
    return (struct pst_sim_select){
        .query = &pst_sim_queries[entity],
        .window = PST_SIM_ALL_TIMES,
        .after = PST_SIM_FROM_START,
        .asof_day = PST_SIM_NO_TIME,
        .columns = PST_SIM_ALL_COLUMNS,
    };
}

/* The whole answer; the caller frees it. */
static pst_str dump_all(struct pst_sim_engine *e, enum pst_sim_entity entity, struct pst_buf *out)
{
    struct pst_err err;
    struct pst_sim_select q = select_of(entity);
    struct pst_sim_selected got;
    pst_buf_init(out, BODY_MAX);
    assert_ok(pst_sim_engine_dump(e, &q, BODY_MAX, out, &got, &err));
    assert_true(got.is_end);
    return pst_buf_str(out);
}

/* The rows array of an answer; *doc is freed by the caller. */
static yyjson_val *rows_of(struct pst_sim_engine *e, const struct pst_sim_select *q,
                           yyjson_doc **doc, struct pst_sim_selected *got)
{
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf out = {0};
    pst_buf_init(&out, BODY_MAX);
    assert_ok(pst_sim_engine_select(e, q, &out, got, &err));
    *doc = yyjson_read(out.ptr, out.len, YYJSON_READ_BIGNUM_AS_RAW);
    if (!*doc)
        fail_msg("not JSON: %.300s", out.ptr);
    yyjson_val *query = yyjson_ptr_get(yyjson_doc_get_root(*doc), "/data/query");
    assert_int_equal(yyjson_get_uint(yyjson_obj_get(query, "numrows")), got->rows);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(query, "queryname=")), q->query->name);
    yyjson_val *rows = yyjson_obj_get(query, "rows");
    assert_int_equal(yyjson_arr_size(rows), got->rows);
    return rows;
}

static const char *text_of(yyjson_val *row, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(row, name));
    if (!text)
        fail_msg("no text in %s", name);
    return text;
}

/* The key of a row, so that comparing texts compares keys. */
static void key_of(const struct pst_sim_query *q, yyjson_val *row, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t k = 0; k < q->key_count; k++) {
        const struct pst_sim_column *c = &q->columns[q->keys[k]];
        yyjson_val *v = yyjson_obj_get(row, c->name);
        int n = yyjson_is_str(v)
                    ? snprintf(out + at, size - at, "%-20s|", yyjson_get_str(v))
                    : snprintf(out + at, size - at, "%06u|", (unsigned)yyjson_get_uint(v));
        at += (size_t)n;
    }
}

/* Walk by keyset pages of `page` rows, with text keys as a client does; checks order and that
 * nothing repeats; returns the number of rows. */
static uint64_t walk(struct pst_sim_engine *e, enum pst_sim_entity entity, uint64_t page)
{
    struct pst_err err;
    struct pst_sim_select q = select_of(entity);
    char before[128] = "";
    char texts[PST_SIM_KEYS_MAX][32];
    uint64_t rows = 0;
    q.max_rows = page;
    for (;;) {
        yyjson_doc *doc = NULL;
        struct pst_sim_selected got;
        yyjson_val *list = rows_of(e, &q, &doc, &got);
        size_t i = 0;
        size_t max = 0;
        yyjson_val *row = NULL;
        pst_str keys[PST_SIM_KEYS_MAX] = {0};
        yyjson_arr_foreach(list, i, max, row)
        {
            char key[128];
            key_of(q.query, row, key, sizeof(key));
            if (strcmp(before, key) >= 0)
                fail_msg("'%s' follows '%s'", key, before);
            (void)snprintf(before, sizeof(before), "%s", key);
            for (size_t k = 0; k < q.query->key_count; k++) {
                yyjson_val *v = yyjson_obj_get(row, q.query->columns[q.query->keys[k]].name);
                if (yyjson_is_str(v))
                    (void)snprintf(texts[k], sizeof(texts[k]), "%s", yyjson_get_str(v));
                else
                    (void)snprintf(texts[k], sizeof(texts[k]), "%u", (unsigned)yyjson_get_uint(v));
                keys[k] = pst_str_from(texts[k]);
            }
        }
        rows += got.rows;
        yyjson_doc_free(doc);
        if (got.rows == 0)
            return rows;
        assert_ok(pst_sim_position_of(pst_sim_engine_world(e), q.query, keys, &q.after, &err));
    }
}

static struct pst_sim_operation operation(enum pst_sim_action action, enum pst_sim_entity entity,
                                          int level, uint64_t count, uint64_t seed)
{
    return (struct pst_sim_operation){
        .action = action,
        .query = &pst_sim_queries[entity],
        .level = level,
        .count = count,
        .seed = seed,
        .stamp = PST_SIM_STAMP_NOW,
        .now_us = EPOCH_US + 10 * HOUR_US,
    };
}

static uint64_t apply(struct pst_sim_engine *e, struct pst_sim_operation op)
{
    struct pst_err err;
    uint64_t done = 0;
    PST_AUTO(buf) struct pst_buf keys = {0};
    pst_buf_init(&keys, BODY_MAX);
    assert_ok(pst_sim_engine_apply(e, &op, &keys, &done, &err));
    return done;
}

static void stir(struct pst_sim_engine *e, enum pst_sim_entity entity)
{
    int levels = pst_sim_queries[entity].levels;
    for (int level = 0; level < levels; level++) {
        apply(e, operation(PST_SIM_CHANGE, entity, level, 9, 1));
        apply(e, operation(PST_SIM_ADD, entity, level, 7, 2));
        apply(e, operation(PST_SIM_DELETE, entity, level, 5, 3));
    }
    struct pst_sim_operation between = operation(PST_SIM_ADD, entity, 0, 6, 4);
    between.between = true;
    apply(e, between);
}

static const enum pst_sim_entity keyed[] = {
    PST_SIM_BUSINESS_UNITS, PST_SIM_ITEMS,     PST_SIM_PURCHASE_ORDERS,
    PST_SIM_RECEIPTS,       PST_SIM_SUPPLIERS, PST_SIM_WORK_ORDERS,
};

static void one_seed_gives_one_set_of_data_and_another_another(void **state)
{
    (void)state;
    struct pst_sim_settings other_settings = small;
    other_settings.seed = 8;
    PST_AUTO(sim_engine) struct pst_sim_engine *a = new_engine(&small);
    PST_AUTO(sim_engine) struct pst_sim_engine *b = new_engine(&small);
    PST_AUTO(sim_engine) struct pst_sim_engine *other = new_engine(&other_settings);
    for (size_t i = 0; i < PST_COUNT(keyed); i++) {
        PST_AUTO(buf) struct pst_buf one = {0};
        PST_AUTO(buf) struct pst_buf two = {0};
        PST_AUTO(buf) struct pst_buf three = {0};
        stir(a, keyed[i]);
        stir(b, keyed[i]);
        pst_str first = dump_all(a, keyed[i], &one);
        assert_true(first.len > 0);
        assert_true(pst_str_eq(first, dump_all(b, keyed[i], &two)));
        if (keyed[i] != PST_SIM_BUSINESS_UNITS)
            assert_false(pst_str_eq(first, dump_all(other, keyed[i], &three)));
        else
            pst_buf_init(&three, 0);
    }
}

static void pages_of_any_size_pass_every_row_once_in_order(void **state)
{
    (void)state;
    static const uint64_t pages[] = {1, 7, 50, 100000};
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < PST_COUNT(keyed); i++) {
            uint64_t docs = 0;
            uint64_t rows = 0;
            if (round == 1)
                stir(e, keyed[i]);
            pst_sim_engine_count(e, &pst_sim_queries[keyed[i]], PST_SIM_ALL_TIMES, &docs, &rows);
            assert_true(rows >= docs && docs > 0);
            for (size_t p = 0; p < PST_COUNT(pages); p++)
                assert_int_equal(walk(e, keyed[i], pages[p]), rows);
        }
    }
}

static void a_fixed_size_gives_exactly_that_many_rows(void **state)
{
    (void)state;
    struct pst_sim_settings settings = small;
    settings.orders = 100;
    settings.lines_min = settings.lines_max = 5;
    settings.schedules_min = settings.schedules_max = 2;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&settings);
    uint64_t docs = 0;
    uint64_t rows = 0;
    pst_sim_engine_count(e, &pst_sim_queries[PST_SIM_PURCHASE_ORDERS], PST_SIM_ALL_TIMES, &docs,
                         &rows);
    assert_int_equal(docs, 100);
    assert_int_equal(rows, 1000);
}

static void keys_that_do_not_exist_are_places_too(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    const struct pst_sim_world *w = pst_sim_engine_world(e);
    static const struct {
        const char *keys[4];
        const char *unit; /* of the first row behind it; NULL: none is */
        const char *id;
    } cases[] = {
        {{"", "", "", ""}, "AU001", "0000000001"},
        {{"", "9", "9", "9"}, "AU001", "0000000001"},
        {{"A", "", "", ""}, "AU001", "0000000001"},
        {{"US001", "", "", ""}, "US001", "0000000001"},
        {{"US001", "0000000001", "99999", "999"}, "US001", "0000000004"},
        {{"US001", "0000000002", "", ""}, "US001", "0000000004"},
        {{"US001", "1", "", ""}, "US002", "0000000001"},
        {{"US0015", "", "", ""}, "US002", "0000000001"},
        {{"us001", "", "", ""}, NULL, NULL},
        {{"US003", "9999999999", "", ""}, NULL, NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_sim_select q = select_of(PST_SIM_PURCHASE_ORDERS);
        pst_str keys[PST_SIM_KEYS_MAX];
        for (size_t k = 0; k < PST_SIM_KEYS_MAX; k++)
            keys[k] = pst_str_from(cases[i].keys[k]);
        assert_ok(pst_sim_position_of(w, q.query, keys, &q.after, &err));
        yyjson_doc *doc = NULL;
        struct pst_sim_selected got;
        q.max_rows = 1;
        yyjson_val *row = yyjson_arr_get_first(rows_of(e, &q, &doc, &got));
        assert_int_equal(got.rows, cases[i].unit ? 1 : 0);
        if (cases[i].unit) {
            assert_string_equal(text_of(row, "A.BUSINESS_UNIT"), cases[i].unit);
            assert_string_equal(text_of(row, "A.PO_ID"), cases[i].id);
        }
        yyjson_doc_free(doc);
    }
    pst_str bad[PST_SIM_KEYS_MAX] = {PST_STR("US001"), PST_STR("0000000001"), PST_STR("two"),
                                     PST_STR("")};
    struct pst_sim_position p;
    assert_code(pst_sim_position_of(w, &pst_sim_queries[PST_SIM_PURCHASE_ORDERS], bad, &p, &err),
                PST_E_INVALID);
}

/* Rows of the window, counted, and by looking at every row's stamp. */
static void check_window(struct pst_sim_engine *e, enum pst_sim_entity entity, int64_t from,
                         int64_t to)
{
    const struct pst_sim_query *query = &pst_sim_queries[entity];
    const struct pst_sim_column *stamp = &query->columns[query->stamp];
    struct pst_sim_select q = select_of(entity);
    yyjson_doc *doc = NULL;
    struct pst_sim_selected got;
    yyjson_val *rows = rows_of(e, &q, &doc, &got);
    size_t i = 0;
    size_t max = 0;
    yyjson_val *row = NULL;
    uint64_t want = 0;
    yyjson_arr_foreach(rows, i, max, row)
    {
        pst_str text = pst_str_from(text_of(row, stamp->name));
        int64_t at = 0;
        if (stamp->type == PST_SIM_DATE) {
            assert_true(pst_sim_date_read(&at, text));
            want += at >= pst_sim_day_of(from) && at <= pst_sim_day_of(to);
        } else if (text.len) {
            assert_true(pst_sim_dttm_read(&at, text));
            want += at >= from && at < to;
        }
    }
    yyjson_doc_free(doc);
    uint64_t docs = 0;
    uint64_t counted = 0;
    pst_sim_engine_count(e, query, (struct pst_sim_window){from, to}, &docs, &counted);
    assert_int_equal(counted, want);
}

static void a_window_has_the_rows_whose_stamp_lies_in_it(void **state)
{
    (void)state;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    static const enum pst_sim_entity stamped[] = {PST_SIM_ITEMS, PST_SIM_PURCHASE_ORDERS,
                                                  PST_SIM_RECEIPTS, PST_SIM_SUPPLIERS,
                                                  PST_SIM_WORK_ORDERS};
    int64_t epoch = pst_sim_zone_local(&zone, EPOCH_US);
    for (size_t i = 0; i < PST_COUNT(stamped); i++) {
        stir(e, stamped[i]);
        check_window(e, stamped[i], epoch - 20 * PST_SIM_DAY_US, epoch - 10 * PST_SIM_DAY_US);
        check_window(e, stamped[i], epoch - 2 * HOUR_US, epoch + 20 * HOUR_US);
        check_window(e, stamped[i], epoch + 9 * HOUR_US, epoch + 11 * HOUR_US);
        check_window(e, stamped[i], epoch + 10 * HOUR_US, epoch + 10 * HOUR_US + 1);
        check_window(e, stamped[i], epoch + 10 * HOUR_US + 1, epoch + 20 * HOUR_US);
    }
}

static void only_changed_rows_are_newer_than_the_generated_ones(void **state)
{
    (void)state;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    const struct pst_sim_query *q = &pst_sim_queries[PST_SIM_PURCHASE_ORDERS];
    struct pst_sim_window recent = {pst_sim_zone_local(&zone, EPOCH_US + 9 * HOUR_US),
                                    PST_SIM_NO_TIME};
    uint64_t docs = 0;
    uint64_t rows = 0;
    pst_sim_engine_count(e, q, recent, &docs, &rows);
    assert_int_equal(docs, 0);
    assert_int_equal(apply(e, operation(PST_SIM_CHANGE, PST_SIM_PURCHASE_ORDERS, 0, 5, 1)), 5);
    struct pst_sim_operation silent = operation(PST_SIM_CHANGE, PST_SIM_PURCHASE_ORDERS, 2, 5, 2);
    silent.stamp = PST_SIM_STAMP_KEEP;
    assert_int_equal(apply(e, silent), 5);
    pst_sim_engine_count(e, q, recent, &docs, &rows);
    assert_int_equal(docs, 5);
}

static void only_the_columns_asked_for_come(void **state)
{
    (void)state;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    struct pst_sim_select q = select_of(PST_SIM_PURCHASE_ORDERS);
    q.columns = 1ULL << PST_SIM_PO_A_PO_ID | 1ULL << PST_SIM_PO_C_QTY_PO;
    yyjson_doc *doc = NULL;
    struct pst_sim_selected got;
    yyjson_val *row = yyjson_arr_get_first(rows_of(e, &q, &doc, &got));
    assert_int_equal(yyjson_obj_size(row), 3);
    assert_int_equal(yyjson_get_uint(yyjson_obj_get(row, "attr:rownumber")), 1);
    assert_non_null(yyjson_obj_get(row, "A.PO_ID"));
    assert_non_null(yyjson_obj_get(row, "C.QTY_PO"));
    yyjson_doc_free(doc);
}

static void every_column_of_every_query_comes_with_its_type(void **state)
{
    (void)state;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++) {
        struct pst_sim_select q = select_of((enum pst_sim_entity)i);
        yyjson_doc *doc = NULL;
        struct pst_sim_selected got;
        yyjson_val *row = yyjson_arr_get_first(rows_of(e, &q, &doc, &got));
        assert_int_equal(yyjson_obj_size(row), q.query->column_count + 1);
        for (size_t c = 0; c < q.query->column_count; c++) {
            const struct pst_sim_column *column = &q.query->columns[c];
            yyjson_val *v = yyjson_obj_get(row, column->name);
            bool is_number = column->type == PST_SIM_NUMBER || column->type == PST_SIM_SIGNED;
            if (!v || yyjson_is_str(v) == is_number)
                fail_msg("%s of %s", column->name, q.query->name);
        }
        yyjson_doc_free(doc);
    }
}

static void texts_fit_their_columns(void **state)
{
    (void)state;
    struct pst_sim_settings settings = small;
    settings.orders = 4000;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&settings);
    bool has_full_text = false;
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++) {
        struct pst_sim_select q = select_of((enum pst_sim_entity)i);
        yyjson_doc *doc = NULL;
        struct pst_sim_selected got;
        size_t r = 0;
        size_t max = 0;
        yyjson_val *row = NULL;
        yyjson_val *rows = rows_of(e, &q, &doc, &got);
        yyjson_arr_foreach(rows, r, max, row)
        {
            for (size_t c = 0; c < q.query->column_count; c++) {
                const struct pst_sim_column *column = &q.query->columns[c];
                if (column->type != PST_SIM_CHAR)
                    continue;
                int chars = 0;
                for (const char *p = text_of(row, column->name); *p; p++)
                    chars += ((unsigned char)*p & 0xc0U) != 0x80U;
                has_full_text = has_full_text || chars == 254;
                if (chars > column->digits)
                    fail_msg("%s: '%s'", column->name, text_of(row, column->name));
            }
        }
        yyjson_doc_free(doc);
    }
    assert_true(has_full_text);
}

static void translate_values_come_as_asked(void **state)
{
    (void)state;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    static const struct {
        enum pst_sim_xlat_mode mode;
        const char *text;
    } cases[] = {{PST_SIM_XLAT_CODE, "P"},
                 {PST_SIM_XLAT_SHORT, "Partial"},
                 {PST_SIM_XLAT_LONG, "Partially Received"}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_sim_select q = select_of(PST_SIM_PURCHASE_ORDERS);
        yyjson_doc *doc = NULL;
        struct pst_sim_selected got;
        size_t r = 0;
        size_t max = 0;
        yyjson_val *row = NULL;
        bool found = false;
        q.xlat = cases[i].mode;
        yyjson_val *rows = rows_of(e, &q, &doc, &got);
        yyjson_arr_foreach(rows, r, max, row) found =
            found || strcmp(text_of(row, "A.RECV_STATUS"), cases[i].text) == 0;
        assert_true(found);
        yyjson_doc_free(doc);
    }
}

static void the_joined_row_is_the_one_in_force_on_the_date(void **state)
{
    (void)state;
    struct pst_sim_settings settings = small;
    settings.orders = 4000;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&settings);
    int64_t today = pst_sim_engine_world(e)->epoch_day;
    static const int offsets[] = {-20000, -600, 0, 60};
    char before[100][16] = {0};
    int moved[4] = {0};
    for (size_t i = 0; i < PST_COUNT(offsets); i++) {
        struct pst_sim_select q = select_of(PST_SIM_SUPPLIERS);
        yyjson_doc *doc = NULL;
        struct pst_sim_selected got;
        size_t r = 0;
        size_t max = 0;
        yyjson_val *row = NULL;
        q.asof_day = today + offsets[i];
        yyjson_val *rows = rows_of(e, &q, &doc, &got);
        yyjson_arr_foreach(rows, r, max, row)
        {
            const char *effdt = text_of(row, "C.EFFDT");
            int64_t day = 0;
            if (offsets[i] == -20000)
                assert_string_equal(effdt, "");
            else if (*effdt)
                assert_true(pst_sim_date_read(&day, pst_str_from(effdt)) && day <= q.asof_day);
            moved[i] += strcmp(before[r % 100], effdt) != 0;
            (void)snprintf(before[r % 100], sizeof(before[0]), "%s", effdt);
        }
        yyjson_doc_free(doc);
    }
    assert_true(moved[1] > 0 && moved[2] > 0 && moved[3] > 0);
}

/* Rows of the window on that date, counted, and by looking at every row's effective dates: nothing
 * is stamped in it. Returns how many there are. */
static uint64_t check_in_force(struct pst_sim_engine *e, enum pst_sim_entity entity,
                               const char *const *columns, int64_t from_day, int64_t asof_day)
{
    struct pst_sim_select q = select_of(entity);
    struct pst_sim_selected got;
    yyjson_doc *doc = NULL;
    size_t i = 0;
    size_t max = 0;
    yyjson_val *row = NULL;
    uint64_t want = 0;
    q.asof_day = asof_day;
    yyjson_val *rows = rows_of(e, &q, &doc, &got);
    yyjson_arr_foreach(rows, i, max, row)
    {
        bool is_in = false;
        for (size_t k = 0; columns[k]; k++) {
            int64_t day = 0;
            is_in = is_in || (pst_sim_date_read(&day, pst_str_from(text_of(row, columns[k]))) &&
                              day >= from_day);
        }
        want += is_in;
    }
    assert_true(want < got.rows);
    yyjson_doc_free(doc);
    q.window.from = from_day * PST_SIM_DAY_US + 12 * HOUR_US;
    q.window.to = (asof_day + 1) * PST_SIM_DAY_US;
    (void)rows_of(e, &q, &doc, &got);
    yyjson_doc_free(doc);
    assert_int_equal(got.rows, want);
    return want;
}

static void a_window_has_what_came_into_force_in_it(void **state)
{
    (void)state;
    static const char *const of_suppliers[] = {"B.EFFDT", "C.EFFDT", NULL};
    static const char *const of_items[] = {"B.EFFDT", NULL};
    struct pst_sim_settings settings = small;
    settings.orders = 4000;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&settings);
    int64_t day = pst_sim_engine_world(e)->epoch_day;
    assert_true(check_in_force(e, PST_SIM_SUPPLIERS, of_suppliers, day + 3, day + 40) > 0);
    assert_true(check_in_force(e, PST_SIM_ITEMS, of_items, day + 3, day + 40) > 0);
    (void)check_in_force(e, PST_SIM_SUPPLIERS, of_suppliers, day + 10, day + 11);
    assert_int_equal(check_in_force(e, PST_SIM_ITEMS, of_items, day + 40, day + 41), 0);
}

static pst_code apply_key(struct pst_sim_engine *e, enum pst_sim_action action, int level,
                          const char *const keys[4], const struct pst_sim_assign *assign,
                          struct pst_err *err)
{
    struct pst_sim_operation op = operation(action, PST_SIM_PURCHASE_ORDERS, level, 0, 0);
    uint64_t done = 0;
    PST_AUTO(buf) struct pst_buf told = {0};
    pst_buf_init(&told, BODY_MAX);
    op.has_key = true;
    for (size_t k = 0; k < 4; k++)
        op.keys[k] = pst_str_from(keys[k]);
    op.assigns = assign;
    op.assign_count = assign ? 1 : 0;
    return pst_sim_engine_apply(e, &op, &told, &done, err);
}

static void a_chosen_record_is_changed_deleted_and_added_again(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_settings settings = small;
    settings.schedules_min = settings.schedules_max = 2;
    settings.lines_min = settings.lines_max = 3;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&settings);
    PST_AUTO(buf) struct pst_buf before = {0};
    pst_str original = dump_all(e, PST_SIM_PURCHASE_ORDERS, &before);
    static const char *const key[4] = {"US001", "0000000004", "2", "1"};
    static const char *const none[4] = {"US001", "0000000005", "2", "1"};
    struct pst_sim_assign price = {PST_SIM_PO_C_PRICE_PO, PST_STR("-0.50000")};
    assert_ok(apply_key(e, PST_SIM_CHANGE, 2, key, &price, &err));
    PST_AUTO(buf) struct pst_buf changed = {0};
    pst_str text = dump_all(e, PST_SIM_PURCHASE_ORDERS, &changed);
    assert_non_null(strstr(text.ptr, "\"C.PRICE_PO\":-0.50000"));
    assert_code(apply_key(e, PST_SIM_CHANGE, 2, none, &price, &err), PST_E_NOT_FOUND);
    assert_code(apply_key(e, PST_SIM_CHANGE, 1, key, &price, &err), PST_E_INVALID);
    assert_code(apply_key(e, PST_SIM_ADD, 2, key, NULL, &err), PST_E_CONFLICT);
    uint64_t total = walk(e, PST_SIM_PURCHASE_ORDERS, 1000);
    assert_ok(apply_key(e, PST_SIM_DELETE, 2, key, NULL, &err));
    assert_code(apply_key(e, PST_SIM_DELETE, 2, key, NULL, &err), PST_E_NOT_FOUND);
    assert_int_equal(walk(e, PST_SIM_PURCHASE_ORDERS, 1000), total - 1);
    assert_ok(apply_key(e, PST_SIM_DELETE, 1, key, NULL, &err));
    assert_int_equal(walk(e, PST_SIM_PURCHASE_ORDERS, 1000), total - 2);
    assert_ok(apply_key(e, PST_SIM_ADD, 1, key, NULL, &err));
    assert_int_equal(walk(e, PST_SIM_PURCHASE_ORDERS, 1000), total);
    assert_ok(apply_key(e, PST_SIM_DELETE, 0, key, NULL, &err));
    assert_int_equal(walk(e, PST_SIM_PURCHASE_ORDERS, 1000), total - 6);
    assert_ok(apply_key(e, PST_SIM_ADD, 0, key, NULL, &err));
    assert_int_equal(walk(e, PST_SIM_PURCHASE_ORDERS, 1000), total);
    assert_ok(apply_key(e, PST_SIM_RESTORE, 0, key, NULL, &err));
    PST_AUTO(buf) struct pst_buf after = {0};
    assert_true(pst_str_eq(dump_all(e, PST_SIM_PURCHASE_ORDERS, &after), original));
}

static void an_empty_stamp_is_in_no_window(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    static const char *const key[4] = {"US001", "0000000001", "", ""};
    const struct pst_sim_query *q = &pst_sim_queries[PST_SIM_PURCHASE_ORDERS];
    struct pst_sim_window wide = {0, INT64_MAX};
    uint64_t all = 0;
    uint64_t docs = 0;
    uint64_t rows = 0;
    pst_sim_engine_count(e, q, PST_SIM_ALL_TIMES, &all, &rows);
    struct pst_sim_assign empty = {PST_SIM_PO_A_LAST_DTTM_UPDATE, PST_STR("")};
    assert_ok(apply_key(e, PST_SIM_CHANGE, 0, key, &empty, &err));
    pst_sim_engine_count(e, q, wide, &docs, &rows);
    assert_int_equal(docs, all - 1);
    pst_sim_engine_count(e, q, PST_SIM_ALL_TIMES, &docs, &rows);
    assert_int_equal(docs, all);
    struct pst_sim_assign exact = {PST_SIM_PO_A_LAST_DTTM_UPDATE,
                                   PST_STR("2026-03-08-02.30.00.000000")};
    assert_ok(apply_key(e, PST_SIM_CHANGE, 0, key, &exact, &err));
    PST_AUTO(buf) struct pst_buf out = {0};
    pst_str text = dump_all(e, PST_SIM_PURCHASE_ORDERS, &out);
    assert_non_null(strstr(text.ptr, "\"A.LAST_DTTM_UPDATE\":\"2026-03-08-02.30.00.000000\""));
    struct pst_sim_assign bad = {PST_SIM_PO_A_LAST_DTTM_UPDATE, PST_STR("yesterday")};
    assert_code(apply_key(e, PST_SIM_CHANGE, 0, key, &bad, &err), PST_E_INVALID);
}

static void receipts_agree_with_what_the_orders_say_was_received(void **state)
{
    (void)state;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    struct pst_sim_select orders = select_of(PST_SIM_PURCHASE_ORDERS);
    struct pst_sim_select receipts = select_of(PST_SIM_RECEIPTS);
    yyjson_doc *order_doc = NULL;
    yyjson_doc *receipt_doc = NULL;
    struct pst_sim_selected got;
    yyjson_val *order_rows = rows_of(e, &orders, &order_doc, &got);
    yyjson_val *receipt_rows = rows_of(e, &receipts, &receipt_doc, &got);
    assert_true(got.rows > 10);
    size_t i = 0;
    size_t max = 0;
    yyjson_val *receipt = NULL;
    yyjson_arr_foreach(receipt_rows, i, max, receipt)
    {
        size_t k = 0;
        size_t order_max = 0;
        yyjson_val *order = NULL;
        bool found = false;
        yyjson_arr_foreach(order_rows, k, order_max, order)
        {
            if (strcmp(text_of(order, "A.BUSINESS_UNIT"), text_of(receipt, "B.BUSINESS_UNIT_PO")) ||
                strcmp(text_of(order, "A.PO_ID"), text_of(receipt, "B.PO_ID")) ||
                !yyjson_equals(yyjson_obj_get(order, "B.LINE_NBR"),
                               yyjson_obj_get(receipt, "B.LINE_NBR")) ||
                !yyjson_equals(yyjson_obj_get(order, "C.SCHED_NBR"),
                               yyjson_obj_get(receipt, "B.SCHED_NBR")))
                continue;
            found = true;
            assert_true(yyjson_equals(yyjson_obj_get(order, "D.QTY_RECEIVED"),
                                      yyjson_obj_get(receipt, "B.QTY_SH_ACCPT")));
            assert_string_equal(text_of(order, "A.VENDOR_ID"), text_of(receipt, "A.VENDOR_ID"));
        }
        assert_true(found);
    }
    yyjson_doc_free(order_doc);
    yyjson_doc_free(receipt_doc);
}

static void a_spoiled_row_differs_only_in_its_column(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(sim_engine) struct pst_sim_engine *e = new_engine(&small);
    struct pst_sim_spoil spoil = {.row = 2, .column = PST_SIM_PO_A_PO_DT, .raw = "\"2026-99-99\""};
    struct pst_sim_select q = select_of(PST_SIM_PURCHASE_ORDERS);
    struct pst_sim_selected got;
    PST_AUTO(buf) struct pst_buf out = {0};
    pst_buf_init(&out, BODY_MAX);
    q.spoil = &spoil;
    assert_ok(pst_sim_engine_select(e, &q, &out, &got, &err));
    const char *at = strstr(out.ptr, "2026-99-99");
    assert_non_null(at);
    assert_null(strstr(at + 1, "2026-99-99"));
    yyjson_doc *doc = NULL;
    spoil.drop = true;
    yyjson_val *rows = rows_of(e, &q, &doc, &got);
    assert_non_null(yyjson_obj_get(yyjson_arr_get(rows, 0), "A.PO_DT"));
    assert_null(yyjson_obj_get(yyjson_arr_get(rows, 1), "A.PO_DT"));
    assert_non_null(yyjson_obj_get(yyjson_arr_get(rows, 2), "A.PO_DT"));
    yyjson_doc_free(doc);
}

static void odd_values_are_there_when_asked_for(void **state)
{
    (void)state;
    struct pst_sim_settings settings = small;
    settings.orders = 2000;
    PST_AUTO(sim_engine) struct pst_sim_engine *odd = new_engine(&settings);
    settings.odd = false;
    PST_AUTO(sim_engine) struct pst_sim_engine *plain = new_engine(&settings);
    PST_AUTO(buf) struct pst_buf one = {0};
    PST_AUTO(buf) struct pst_buf two = {0};
    pst_str with = dump_all(odd, PST_SIM_PURCHASE_ORDERS, &one);
    pst_str without = dump_all(plain, PST_SIM_PURCHASE_ORDERS, &two);
    static const char *const marks[] = {"12345678901234567890123.456", "\"C.QTY_PO\":-", "緊急"};
    for (size_t i = 0; i < PST_COUNT(marks); i++) {
        assert_non_null(strstr(with.ptr, marks[i]));
        assert_null(strstr(without.ptr, marks[i]));
    }
}

static int set_zone(void **state)
{
    (void)state;
    struct pst_err err;
    return pst_sim_zone_init(&zone, "America/New_York", &err) == PST_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_gives_one_set_of_data_and_another_another),
        cmocka_unit_test(pages_of_any_size_pass_every_row_once_in_order),
        cmocka_unit_test(a_fixed_size_gives_exactly_that_many_rows),
        cmocka_unit_test(keys_that_do_not_exist_are_places_too),
        cmocka_unit_test(a_window_has_the_rows_whose_stamp_lies_in_it),
        cmocka_unit_test(only_changed_rows_are_newer_than_the_generated_ones),
        cmocka_unit_test(only_the_columns_asked_for_come),
        cmocka_unit_test(every_column_of_every_query_comes_with_its_type),
        cmocka_unit_test(texts_fit_their_columns),
        cmocka_unit_test(translate_values_come_as_asked),
        cmocka_unit_test(the_joined_row_is_the_one_in_force_on_the_date),
        cmocka_unit_test(a_window_has_what_came_into_force_in_it),
        cmocka_unit_test(a_chosen_record_is_changed_deleted_and_added_again),
        cmocka_unit_test(an_empty_stamp_is_in_no_window),
        cmocka_unit_test(receipts_agree_with_what_the_orders_say_was_received),
        cmocka_unit_test(a_spoiled_row_differs_only_in_its_column),
        cmocka_unit_test(odd_values_are_there_when_asked_for),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
