/* From source rows to unified records: every rule, every type, every way to be wrong. */
#include "tests/unit/test.h"

#include "codec/json.h"
#include "model/plan.h"
#include "tests/unit/model/fixture.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct pst_tz *berlin;

static int load_zone(void **state)
{
    struct pst_err err;
    (void)state;
    return pst_tz_load(&berlin, NULL, PST_STR("Europe/Berlin"), &err) == PST_OK ? 0 : -1;
}

static int free_zone(void **state)
{
    (void)state;
    pst_tz_free(berlin);
    return 0;
}

/* Maps the page's document and leaves the result in *out (in arena a). */
static void map_page(const char *entity, const char *stream, const char *overrides,
                     struct fixture_page *p, struct pst_arena *a, struct pst_mapped *out)
{
    struct pst_err err;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    assert_ok(fixture_mapping(&m, entity, stream, overrides, berlin, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    assert_ok(pst_mapper_bind(mapper, &p->columns, &err));
    assert_ok(pst_mapper_apply(mapper, &p->doc, a, out, &err));
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

/* The text of one top-level member, "" when absent. */
static pst_str member(struct pst_arena *a, pst_str data, const char *name)
{
    struct pst_err err;
    yyjson_doc *doc = NULL;
    struct pst_buf b;
    struct pst_json_writer w;
    pst_str out = {NULL, 0};
    assert_ok(pst_json_read(data, NULL, a, &doc, &err));
    yyjson_val *v = pst_json_get(yyjson_doc_get_root(doc), pst_str_from(name));
    if (!v)
        return out;
    pst_buf_init(&b, 1 << 20);
    pst_json_init(&w, &b);
    pst_json_put_val(&w, v);
    assert_ok(pst_json_finish(&w, &err));
    assert_ok(pst_arena_dup(a, &out, pst_buf_str(&b), &err));
    pst_buf_fini(&b);
    return out;
}

#define assert_member(mapped, name, expected)                                                      \
    assert_str(member(a, (mapped).data, (name)), (expected))

static const char order_stream[] =
    "display_name: {template: 'PO {A.PO_ID}'}\n"
    "created_at: A.ENTERED_DT\n"
    "fields:\n"
    "  number: {column: A.PO_ID, required: true}\n"
    "  business_unit: A.BUSINESS_UNIT\n"
    "  status:\n"
    "    column: A.PO_STATUS\n"
    "    when:\n"
    "      - {if: {A.PO_STATUS: [D, Dispatched], A.RECV_STATUS: [R]}, value: received}\n"
    "    map: {D: dispatched, Dispatched: dispatched, I: draft}\n"
    "  supplier_id: {ref: [A.VENDOR_SETID, A.VENDOR_ID]}\n"
    "  order_date: A.PO_DT\n"
    "  total_amount: {sum: C.AMT}\n"
    "  approved_at: A.APPROVAL_DT\n"
    "  lines:\n"
    "    group_by: [B.LINE_NBR]\n"
    "    fields:\n"
    "      number: B.LINE_NBR\n"
    "      quantity: {sum: C.QTY}\n"
    "      due_date: {min: C.DUE_DT}\n"
    "      schedules:\n"
    "        group_by: [C.SCHED_NBR]\n"
    "        fields: {number: C.SCHED_NBR, amount: C.AMT}\n";

static const char order_columns[] =
    "A.PO_ID|A.BUSINESS_UNIT|A.PO_STATUS|A.RECV_STATUS|A.VENDOR_SETID|A.VENDOR_ID|A.PO_DT|"
    "A.APPROVAL_DT|A.ENTERED_DT|B.LINE_NBR|C.SCHED_NBR|C.QTY|C.AMT|C.DUE_DT|A.CUSTOM";

static void an_order_with_lines_and_schedules_is_one_record(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, order_columns);
    const char *head = "0000000123|US001|D|P|SHARE|0000000042|2026-03-01|"
                       "2026-03-29-02.30.00.000000|2026-02-28";
    char rows[4][300];
    static const char *const tails[] = {
        "#1|#1|#2.0000|#10.500|2026-04-02|x", "#1|#2|#3.0000|#0.250|2026-04-01|x",
        "#9|#1|#1.0000|#1.000|\\0|x", "#10|#1|#0|#-1.75|2026-05-01|x"};
    for (size_t i = 0; i < PST_COUNT(tails); i++) {
        (void)snprintf(rows[i], sizeof(rows[i]), "%s|%s", head, tails[i]);
        fixture_row(&p, rows[i]);
    }
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    assert_str(m.reject, "");
    assert_member(m, "display_name", "\"PO 0000000123\"");
    assert_member(m, "number", "\"0000000123\"");
    assert_member(m, "status", "\"dispatched\"");
    assert_member(m, "source_status", "\"D\"");
    assert_member(m, "supplier_id", "\"rec_suppliers:SHARE|0000000042\"");
    assert_member(m, "order_date", "\"2026-03-01\"");
    assert_member(m, "total_amount", "\"10.000\"");
    assert_member(m, "approved_at", "\"2026-03-29T01:30:00Z\"");
    assert_member(m, "buyer", "null");
    assert_member(m, "custom_fields", "{}");
    pst_str lines = member(a, m.data, "lines");
    assert_non_null(strstr(lines.ptr, "[{\"number\":1,"));
    assert_non_null(strstr(lines.ptr, "\"quantity\":\"5.0000\""));
    assert_non_null(strstr(lines.ptr, "\"due_date\":\"2026-04-01\""));
    assert_non_null(strstr(lines.ptr, "{\"number\":10,"));
    assert_non_null(strstr(lines.ptr, "\"amount\":\"-1.75\""));
    assert_int_equal(m.created.us, 1772233200LL * PST_US_PER_S);

    const struct pst_entity *e = pst_model_entity(PST_STR("purchase_orders"));
    const struct pst_field *status = pst_model_field(e, PST_STR("status"));
    const struct pst_field *date = pst_model_field(e, PST_STR("order_date"));
    const struct pst_field *buyer = pst_model_field(e, PST_STR("buyer"));
    assert_str(m.filters[status->filter].text, "dispatched");
    assert_str(m.filters[date->filter].text, "2026-03-01");
    assert_int_equal(m.filters[buyer->filter].kind, PST_FILTER_NULL);
}

static void clauses_come_before_the_code_table(void **state)
{
    (void)state;
    static const struct {
        const char *status, *received, *want, *twin;
    } cases[] = {
        {"D", "R", "\"received\"", "\"D\""},
        {"dispatched", "r", "\"received\"", "\"dispatched\""},
        {"D", "N", "\"dispatched\"", "\"D\""},
        {"I", "R", "\"draft\"", "\"I\""},
        {"ZZ", "N", "null", "\"ZZ\""},
        {"", "N", "null", "null"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct fixture_page p;
        struct pst_mapped m;
        char row[200];
        assert_ok(pst_arena_new(&a, 1 << 22, &err));
        fixture_columns(&p, order_columns);
        (void)snprintf(row, sizeof(row), "1|US001|%s|%s|||||||#1|#1|#1||x", cases[i].status,
                       cases[i].received);
        fixture_row(&p, row);
        map_page("purchase_orders", order_stream, "", &p, a, &m);
        assert_member(m, "status", cases[i].want);
        assert_member(m, "source_status", cases[i].twin);
    }
}

/* One custom field over one cell: the converters, value by value. */
static void every_type_converts_or_rejects(void **state)
{
    (void)state;
    static const struct {
        const char *type, *cell;
        const char *want; /* NULL: rejected */
    } cases[] = {
        {"string", "0012", "\"0012\""},
        {"string", "a\"b", "\"a\\\"b\""},
        {"string", "#12.50", "\"12.50\""},
        {"string", "", "null"},
        {"string", "   ", "null"},
        {"string", "\\0", "null"},
        {"string", "-", "null"},
        {"string", " x ", "\" x \""},
        {"integer", "#12", "12"},
        {"integer", " 12 ", "12"},
        {"integer", "#12.000", "12"},
        {"integer", "#-3", "-3"},
        {"integer", "#1E+2", "100"},
        {"integer", "#1.50e1", "15"},
        {"integer", "+5", "5"},
        {"integer", "007", "7"},
        {"integer", "-9223372036854775808", "-9223372036854775808"},
        {"integer", "9223372036854775807.0", "9223372036854775807"},
        {"integer", "9223372036854775808.0", NULL},
        {"integer", "#12.5", NULL},
        {"integer", "#1.55e1", NULL},
        {"integer", "x", NULL},
        {"integer", "#99999999999999999999", NULL},
        {"decimal", "#39000.000", "\"39000.000\""},
        {"decimal", "#.5", "\"0.5\""},
        {"decimal", "#1E+2", "\"100\""},
        {"decimal", "#-0", "\"-0\""},
        {"decimal", "0012.50", "\"12.50\""},
        {"decimal", "12,5", NULL},
        {"decimal", "01111111111111111111111111111111111111", NULL},
        {"decimal", "1234567890123456789012345678901", "\"1234567890123456789012345678901\""},
        {"decimal", "11111111111111111111111111111111111111111111111111111111111111111", NULL},
        {"boolean", "Y", "true"},
        {"boolean", "n", "false"},
        {"boolean", "Yes", "true"},
        {"boolean", "#0", "false"},
        {"boolean", " false ", "false"},
        {"boolean", "maybe", NULL},
        {"date", "2026-11-24", "\"2026-11-24\""},
        {"date", "2026-11-24-10.00.00.000000", "\"2026-11-24\""},
        {"date", "24.11.2026", NULL},
        {"datetime", "2026-10-25-02.30.00.000000", "\"2026-10-25T00:30:00Z\""},
        {"datetime", "2026-07-01T10:00:00-0700", "\"2026-07-01T17:00:00Z\""},
        {"datetime", "2026-07-01", "\"2026-06-30T22:00:00Z\""},
        {"datetime", "soon", NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct fixture_page p;
        struct pst_mapped m;
        char row[200];
        char over[200];
        assert_ok(pst_arena_new(&a, 1 << 22, &err));
        fixture_columns(&p, order_columns);
        (void)snprintf(row, sizeof(row), "1|US001|I|N||||||#1|#1|#1|#1||%s", cases[i].cell);
        (void)snprintf(over, sizeof(over), "custom_fields: {x: {column: A.CUSTOM, type: %s}}",
                       cases[i].type);
        fixture_row(&p, row);
        map_page("purchase_orders", order_stream, over, &p, a, &m);
        if (!cases[i].want) {
            if (m.reject.len == 0)
                fail_msg("%s '%s' was accepted", cases[i].type, cases[i].cell);
            assert_non_null(strstr(m.reject.ptr, "x: A.CUSTOM is not"));
            if (strlen(cases[i].cell) > 3)
                assert_null(strstr(m.reject.ptr, cases[i].cell + 1));
            continue;
        }
        char want[200];
        (void)snprintf(want, sizeof(want), "{\"x\":%s}", cases[i].want);
        assert_member(m, "custom_fields", want);
    }
}

static void what_must_be_there_and_is_not_rejects(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, order_columns);
    fixture_row(&p, "|US001|I|N||||||#1|#1|#1|#1||x");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    assert_str(m.reject, "number: A.PO_ID is blank and must not be");
    assert_str(m.data, "");
    p.doc.fault = PST_STR("byte 12 is no UTF-8");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    assert_str(m.reject, "byte 12 is no UTF-8");
}

static void sums_minima_and_maxima_leave_blanks_out(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#1|#1|#1||2026-02-01|x");
    fixture_row(&p, "1|US001|I|N||||||#1|#2||#2.50|2026-01-01|x");
    fixture_row(&p, "1|US001|I|N||||||#1|#3|#0.5|#-3||x");
    map_page(
        "purchase_orders", order_stream,
        "custom_fields: {latest: {max: C.DUE_DT, type: date}, least: {min: C.AMT, type: decimal}}",
        &p, a, &m);
    assert_member(m, "total_amount", "\"-0.50\"");
    assert_member(m, "custom_fields", "{\"latest\":\"2026-02-01\",\"least\":\"-3\"}");

    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#1|#1|||||x");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    assert_member(m, "total_amount", "null");

    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#1|#1|#1|abc||x");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    assert_non_null(strstr(m.reject.ptr, "total_amount: C.AMT is not a number that can be summed"));

    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#1|#1|#1|#1|2026-01-01|x");
    fixture_row(&p, "1|US001|I|N||||||#1|#2|#1|#1|never|x");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    assert_non_null(strstr(m.reject.ptr, "due_date: C.DUE_DT is not a date"));
}

static void what_cannot_be_compared_rejects(void **state)
{
    (void)state;
    static const struct {
        const char *type, *first, *second, *want;
    } cases[] = {
        {"integer", "#1", "x", "x: A.CUSTOM is not a number"},
        {"decimal", "x", "#1", "x: A.CUSTOM is not a number"},
        {"date", "2026-01-01", "x", "x: A.CUSTOM is not a date"},
        {"datetime", "x", "2026-01-01", "x: A.CUSTOM is not a date and time"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct fixture_page p;
        struct pst_mapped m;
        char rows[2][200];
        char over[200];
        assert_ok(pst_arena_new(&a, 1 << 22, &err));
        fixture_columns(&p, order_columns);
        (void)snprintf(rows[0], 200, "1|US001|I|N||||||#1|#1|#1|#1||%s", cases[i].first);
        (void)snprintf(rows[1], 200, "1|US001|I|N||||||#1|#2|#1|#1||%s", cases[i].second);
        fixture_row(&p, rows[0]);
        fixture_row(&p, rows[1]);
        (void)snprintf(over, sizeof(over), "custom_fields: {x: {max: A.CUSTOM, type: %s}}",
                       cases[i].type);
        map_page("purchase_orders", order_stream, over, &p, a, &m);
        assert_str(m.reject, cases[i].want);
    }
}

static void constants_can_be_filtered_by(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    const struct pst_entity *e = pst_model_entity(PST_STR("purchase_orders"));
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#1|#1|#1|#1||x");
    map_page("purchase_orders", order_stream,
             "fields: {status: {const: closed}, buyer: {const: 'the \"desk\"'}}", &p, a, &m);
    assert_member(m, "status", "\"closed\"");
    assert_member(m, "source_status", "null");
    assert_member(m, "buyer", "\"the \\\"desk\\\"\"");
    assert_str(m.filters[pst_model_field(e, PST_STR("status"))->filter].text, "closed");
    assert_str(m.filters[pst_model_field(e, PST_STR("buyer"))->filter].text, "the \"desk\"");
}

static void numbers_and_texts_side_by_side_are_gathered_by_value(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#2|#1|#1|#1||x");
    fixture_row(&p, "1|US001|I|N||||||10|#1|#1|#1||x");
    fixture_row(&p, "1|US001|I|N||||||#2|#3|#1|#1||x");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    pst_str lines = member(a, m.data, "lines");
    char *two = strstr(lines.ptr, "{\"number\":2,");
    assert_non_null(two);
    assert_null(strstr(two + 1, "{\"number\":2,"));
    assert_non_null(strstr(two, "{\"number\":10,"));
}

static void a_record_too_large_to_store_is_rejected_by_itself(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    char rows[16][16];
    static char text[1 << 20];
    memset(text, 'x', sizeof(text));
    assert_ok(pst_arena_new(&a, 64 << 20, &err));
    for (int lines = 15; lines <= 16; lines++) {
        fixture_columns(&p, "A.PO_ID|B.LINE_NBR|B.TEXT");
        for (int i = 1; i <= lines; i++) {
            (void)snprintf(rows[i - 1], sizeof(rows[0]), "1|#%d|", i);
            fixture_row(&p, rows[i - 1]);
            p.cells[i * 3 - 1].text = (pst_str){text, sizeof(text)};
        }
        map_page("purchase_orders",
                 "fields: {number: A.PO_ID, lines: {group_by: [B.LINE_NBR], fields: "
                 "{number: B.LINE_NBR, description: B.TEXT}}}",
                 "", &p, a, &m);
        assert_str(m.reject, lines == 15 ? "" : "the unified record would be larger than 16 MiB");
        assert_int_equal(m.data.len > 15U << 20, lines == 15);
    }
}

static void an_unreadable_time_of_creation_is_no_reason_to_reject(void **state)
{
    (void)state;
    static const struct {
        const char *entered;
        bool known;
    } cases[] = {{"2026-02-28", true}, {"soon", false}, {"", false}, {"\\0", false}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct fixture_page p;
        struct pst_mapped m;
        char row[200];
        assert_ok(pst_arena_new(&a, 1 << 22, &err));
        fixture_columns(&p, order_columns);
        (void)snprintf(row, sizeof(row), "1|US001|I|N|||||%s|#1|#1|#1|#1||x", cases[i].entered);
        fixture_row(&p, row);
        map_page("purchase_orders", order_stream, "", &p, a, &m);
        assert_str(m.reject, "");
        assert_int_equal(pst_wall_is_none(m.created), !cases[i].known);
    }
}

/* Every member of a line may be refused or missing, too, and is named with its path. */
static void what_is_wrong_in_a_line_names_the_line(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"number: {column: B.LINE_NBR, required: true}, unit: {column: A.X, required: true}", "",
         "unit: A.X is not filled, and it must be"},
        {"number: A.X", "first", "number: A.X is not a whole number"},
        {"item_id: {ref: [A.X]}", "x", ""},
        {"item_id: {ref: [A.X]}", "", ""},
        {"description: {template: '{A.X}!'}", " ", ""},
        {"received_quantity: {sum: A.X}, schedules: null", "", ""},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct fixture_page p;
        struct pst_mapped m;
        char stream[300];
        char row[100];
        assert_ok(pst_arena_new(&a, 1 << 22, &err));
        (void)snprintf(stream, sizeof(stream),
                       "fields: {lines: {group_by: [B.LINE_NBR], fields: {%s}}}", cases[i][0]);
        (void)snprintf(row, sizeof(row), "#1|%s", cases[i][1]);
        fixture_columns(&p, "B.LINE_NBR|A.X");
        fixture_row(&p, row);
        map_page("purchase_orders", stream, "", &p, a, &m);
        assert_str(m.reject, cases[i][2]);
    }
}

static void overrides_of_null_change_nothing(void **state)
{
    (void)state;
    static const char *const same[] = {"null", "{}", "fields: null", "custom_fields: null"};
    uint64_t version = 0;
    for (size_t i = 0; i < PST_COUNT(same); i++) {
        struct pst_err err;
        struct pst_mapping *m = NULL;
        assert_ok(fixture_mapping(&m, "purchase_orders", order_stream, same[i], berlin, &err));
        assert_true(i == 0 || pst_mapping_version(m) == version);
        version = pst_mapping_version(m);
        pst_mapping_free(m);
    }
}

static void rows_out_of_order_are_still_gathered_by_value(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|I|N||||||#2|#1|#1|#1||x");
    fixture_row(&p, "1|US001|I|N||||||#1|#1|#10|#1||x");
    fixture_row(&p, "1|US001|I|N|||||||#1|#99|#1||x");
    fixture_row(&p, "1|US001|I|N||||||#2|#2|#3|#1||x");
    fixture_row(&p, "1|US001|I|N||||||#1|#2|#20|#1||x");
    map_page("purchase_orders", order_stream, "", &p, a, &m);
    pst_str lines = member(a, m.data, "lines");
    const char *two = strstr(lines.ptr, "\"quantity\":\"4\"");
    const char *one = strstr(lines.ptr, "\"quantity\":\"30\"");
    assert_true(two && one && two < one);
    assert_null(strstr(lines.ptr, "99"));
}

static void columns_are_found_without_their_alias_when_that_is_clear(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    struct fixture_page p;
    static const char stream[] = "fields: {number: A.SETID, name: A.DESCR, unit: B.DESCR}";
    assert_ok(fixture_mapping(&m, "items", stream, "", berlin, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    fixture_columns(&p, "A.DESCR|B.DESCR|SETID");
    assert_ok(pst_mapper_bind(mapper, &p.columns, &err));
    fixture_columns(&p, "DESCR|C.SETID");
    assert_ok(pst_mapper_bind(mapper, &p.columns, &err));
    fixture_columns(&p, "C.DESCR|D.DESCR|SETID");
    assert_code(pst_mapper_bind(mapper, &p.columns, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "A.DESCR, B.DESCR"));
    fixture_columns(&p, "DESCR");
    assert_code(pst_mapper_bind(mapper, &p.columns, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "A.SETID"));
    pst_mapper_free(mapper);
    pst_mapping_free(m);
    pst_mapper_free(NULL);
    pst_mapping_free(NULL);
}

/* A source that says which columns it has. */
static pst_code bind_known(struct pst_mapper *mapper, struct fixture_page *p, const char *columns,
                           const char *known, struct pst_err *err)
{
    static struct fixture_page source;
    fixture_columns(p, columns);
    if (known)
        fixture_columns(&source, known);
    const struct pst_known_columns k = {.columns = source.columns};
    return pst_mapper_bind_known(mapper, &p->columns, known ? &k : NULL, err);
}

static void a_column_that_no_row_names_is_blank_while_the_source_has_it(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    struct pst_arena *arena = NULL;
    struct pst_mapped mapped;
    struct fixture_page p;
    static const struct pst_known_columns untold = {.is_untold = true};
    static const char stream[] = "fields: {number: A.ID, name: A.DESCR, unit: UNIT}";
    assert_ok(fixture_mapping(&m, "items", stream, "", berlin, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_code(bind_known(mapper, &p, "A.ID|B.UNIT", NULL, &err), PST_E_INVALID);
    assert_code(bind_known(mapper, &p, "A.ID|B.UNIT", "A.ID|B.UNIT", &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "no longer has these columns of the items mapping: A.DESCR"));
    assert_ok(bind_known(mapper, &p, "A.ID|B.UNIT", "A.ID|A.DESCR|B.UNIT", &err));
    fixture_row(&p, "1|EA");
    assert_ok(pst_mapper_apply(mapper, &p.doc, arena, &mapped, &err));
    assert_non_null(strstr(mapped.data.ptr, "\"name\":null"));
    assert_non_null(strstr(mapped.data.ptr, "\"unit\":\"EA\""));
    /* What was found for one page says nothing of the next with the same names. */
    assert_code(bind_known(mapper, &p, "A.ID|B.UNIT", "A.ID|B.UNIT", &err), PST_E_INVALID);
    assert_ok(pst_mapper_bind_known(mapper, &p.columns, &untold, &err));
    assert_int_equal(pst_mapper_cell(mapper, 0, 1)->kind, PST_CELL_ABSENT);
    pst_arena_free(arena);
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

static void a_blank_column_is_not_taken_for_its_namesake(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    struct fixture_page p;
    static const char stream[] = "fields: {number: A.ID, name: A.DESCR}";
    assert_ok(fixture_mapping(&m, "items", stream, "", berlin, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    assert_code(bind_known(mapper, &p, "A.ID|B.DESCR", NULL, &err), PST_E_INVALID);
    assert_ok(bind_known(mapper, &p, "A.ID|B.DESCR", "A.ID|A.DESCR|B.DESCR", &err));
    assert_int_equal(mapper->cell_of[1], -1);
    /* The source has one of that name only: it is meant. */
    assert_ok(bind_known(mapper, &p, "A.ID|B.DESCR", "A.ID|B.DESCR", &err));
    assert_int_equal(mapper->cell_of[1], 1);
    assert_ok(bind_known(mapper, &p, "A.ID|DESCR", NULL, &err));
    assert_int_equal(mapper->cell_of[1], 1);
    fixture_columns(&p, "A.ID|B.DESCR|C.DESCR");
    assert_true(pst_columns_have(&p.columns, PST_STR("A.ID")));
    assert_true(pst_columns_have(&p.columns, PST_STR("ID")));
    assert_false(pst_columns_have(&p.columns, PST_STR("A.DESCR")));
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

static pst_hash128 hash_of(struct pst_mapper *mapper, struct fixture_page *p)
{
    struct pst_err err;
    assert_ok(pst_mapper_bind(mapper, &p->columns, &err));
    return pst_mapper_source_hash(mapper, &p->doc);
}

static bool same(pst_hash128 a, pst_hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* What the hash of stored records was made of, spelled out: columns by name, row after row. */
static pst_hash128 stored_hash(const struct pst_mapping *m, const struct fixture_page *p,
                               const unsigned *order)
{
    PST_AUTO(buf) struct pst_buf names = {.max = 1000};
    PST_AUTO(buf) struct pst_buf cells = {.max = 1000};
    size_t width = p->columns.count;
    for (size_t i = 0; i < width; i++) {
        pst_buf_add_str(&names, p->names[order[i]]);
        pst_buf_add_char(&names, '\0');
    }
    for (size_t i = 0; i < p->doc.row_count * width; i++) {
        const struct pst_cell *cell = &p->doc.cells[i / width * width + order[i % width]];
        uint64_t head = (uint64_t)cell->text.len << 3 | (uint64_t)cell->kind;
        pst_buf_add(&cells, &head, sizeof(head));
        pst_buf_add_str(&cells, cell->text);
    }
    uint64_t seed = XXH3_64bits_withSeed(names.ptr, names.len, pst_mapping_version(m));
    XXH128_hash_t h = XXH3_128bits_withSeed(cells.ptr, cells.len, seed);
    return (pst_hash128){h.low64, h.high64};
}

static void what_other_rows_of_a_page_name_does_not_change_a_hash(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    struct fixture_page p;
    static const unsigned by_name[] = {1, 2, 0};
    static const char stream[] = "fields: {number: A, name: B}";
    assert_ok(fixture_mapping(&m, "items", stream, "", berlin, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    fixture_columns(&p, "C|A|B");
    fixture_row(&p, "z|x|y");
    fixture_row(&p, "-|x|\\0"); /* C is there in the row before */
    assert_true(same(stored_hash(m, &p, by_name), hash_of(mapper, &p)));
    fixture_columns(&p, "A|B");
    fixture_row(&p, "x|y");
    fixture_row(&p, "x|y");
    pst_hash128 alone = hash_of(mapper, &p);
    fixture_columns(&p, "C|B|A|D");
    fixture_row(&p, "-|y|x|-");
    fixture_row(&p, "-|y|x|-");
    assert_true(same(alone, hash_of(mapper, &p)));
    static const char *const others[] = {"|y|x|-", "\\0|y|x|-", "-|y|x|y", "-|-|x|y", "-|-|-|-"};
    for (size_t i = 0; i < PST_COUNT(others); i++) {
        fixture_columns(&p, "C|B|A|D");
        fixture_row(&p, others[i]);
        fixture_row(&p, "-|y|x|-");
        if (same(alone, hash_of(mapper, &p)))
            fail_msg("'%s' hashes like the first", others[i]);
    }
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

static void the_source_hash_sees_every_change_and_no_position(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    struct fixture_page p;
    static const char stream[] = "fields: {number: A, name: B}";
    assert_ok(fixture_mapping(&m, "items", stream, "", berlin, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    fixture_columns(&p, "A|B|C");
    fixture_row(&p, "x|y|z");
    pst_hash128 base = hash_of(mapper, &p);
    fixture_columns(&p, "C|A|B");
    fixture_row(&p, "z|x|y");
    assert_true(same(base, hash_of(mapper, &p)));
    static const char *const others[] = {"x|y|", "x|y|\\0", "x|y|-", "xy||z", "x|y|zz", "y|x|z"};
    for (size_t i = 0; i < PST_COUNT(others); i++) {
        fixture_columns(&p, "A|B|C");
        fixture_row(&p, others[i]);
        if (same(base, hash_of(mapper, &p)))
            fail_msg("'%s' hashes like the first", others[i]);
    }
    fixture_columns(&p, "A|B|C");
    fixture_row(&p, "x|y|z");
    fixture_row(&p, "x|y|z");
    assert_false(same(base, hash_of(mapper, &p)));
    fixture_columns(&p, "A|B|D");
    fixture_row(&p, "x|y|z");
    assert_false(same(base, hash_of(mapper, &p)));
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

static uint64_t version_of(const char *stream, const char *overrides)
{
    struct pst_err err;
    struct pst_mapping *m = NULL;
    assert_ok(fixture_mapping(&m, "items", stream, overrides, berlin, &err));
    uint64_t v = pst_mapping_version(m);
    pst_mapping_free(m);
    return v;
}

static void the_version_changes_with_the_rules(void **state)
{
    (void)state;
    static const char stream[] = "fields: {number: A, name: B}";
    uint64_t v = version_of(stream, "");
    assert_int_equal(v, version_of(stream, ""));
    assert_int_equal(v, version_of(stream, "{}"));
    assert_true(v != version_of("fields: {number: A, name: C}", ""));
    assert_true(v != version_of(stream, "custom_fields: {x: A}"));
    assert_true(v != version_of(stream, "fields: {name: {first: [B, A]}}"));
    assert_true(v != 0);
}

static void overrides_replace_add_and_remove_rules(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf described = {0};
    struct pst_mapping *mapping = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    static const char stream[] = "{display_name: A, fields: {number: A, name: B, unit: A}}";
    static const char over[] =
        "fields: {name: {const: fixed}, category: {first: [C, A]}, unit: null, "
        "status: {const: active}}";
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, "A|B|C");
    fixture_row(&p, "x|y|");
    map_page("items", stream, over, &p, a, &m);
    assert_member(m, "name", "\"fixed\"");
    assert_member(m, "category", "\"x\"");
    assert_member(m, "unit", "null");
    assert_member(m, "status", "\"active\"");
    assert_member(m, "source_status", "null");
    pst_buf_init(&described, 10000);
    assert_ok(fixture_mapping(&mapping, "items", stream, over, berlin, &err));
    pst_mapping_describe(mapping, &described);
    assert_non_null(strstr(described.ptr, "\"name\":{\"const\":\"fixed\"}"));
    assert_non_null(strstr(described.ptr, "\"number\":\"A\""));
    assert_ptr_equal(pst_mapping_entity(mapping), pst_model_entity(PST_STR("items")));
    pst_mapping_free(mapping);
}

static void a_record_without_a_name_is_called_by_its_source_id(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct fixture_page p;
    struct pst_mapped m;
    assert_ok(pst_arena_new(&a, 1 << 22, &err));
    fixture_columns(&p, "A|B");
    fixture_row(&p, "|");
    map_page("items", "{display_name: A, fields: {number: B}}", "", &p, a, &m);
    assert_member(m, "display_name", "\"US001|1\"");
    map_page("items", "{display_name: {template: '{A}-{B}'}, fields: {number: B}}", "", &p, a, &m);
    assert_member(m, "display_name", "\"US001|1\"");
}

static void mistakes_in_a_mapping_are_told_with_their_path(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"fields: {nope: A}", "", "fields.nope: the model has no such field"},
        {"fields: {number: A}", "fields: {nope: A}", "fields.nope"},
        {"fields: {number: A}", "other: 1", "'other'"},
        {"fields: {number: A}", "fields: 3", "fields: an object is needed"},
        {"fields: {number: ''}", "", "fields.number: the name of a source column"},
        {"fields: {number: {}}", "", "one of column, first"},
        {"fields: {number: {column: A, sum: B}}", "", "both 'column' and 'sum'"},
        {"fields: {number: {columm: A}}", "", "'columm'"},
        {"fields: {number: {sum: A}}", "", "'sum' does not give a string"},
        {"fields: {is_stocked: {max: A}}", "", "does not give a boolean"},
        {"fields: {number: {ref: [A]}}", "", "does not give a string"},
        {"fields: {weight: {template: '{A}'}}", "", "does not give a decimal"},
        {"fields: {status: A}", "", "fields.status.map"},
        {"fields: {status: {column: A, map: {x: aktive}}}", "",
         "'aktive' is not a value of status"},
        {"fields: {status: {column: A, map: {}, when: 1}}", "", "when: a list"},
        {"fields: {status: {column: A, map: {}, when: [{}]}}", "", "when: {if:"},
        {"fields: {status: {column: A, map: {}, when: [{if: {A: [x]}, value: no}]}}", "", "'no'"},
        {"fields: {status: {column: A, map: {}, when: [{if: {A: [[]]}, value: active}]}}", "",
         "texts"},
        {"fields: {number: {template: 'no column'}}", "", "names no {COLUMN}"},
        {"fields: {number: {template: 'open {A'}}", "", "template"},
        {"fields: {number: {const: 3}}", "", "const"},
        {"fields: {weight: {const: x}}", "", "const"},
        {"fields: {status: {const: x}}", "", "'x' is not a value"},
        {"fields: {number: {first: []}}", "", "1 to 16 source columns"},
        {"fields: {number: {first: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}}", "", "1 to 16"},
        {"fields: {number: [A]}", "", "must be an object, not array"},
        {"fields: {number: {column: A, required: 1}}", "", "'required' must be true or false"},
        {"fields: {number: {column: A, map: {}}}", "", "'map' is not a member"},
        {"fields: {number: {column: A, source: B}}", "", "'source' is not a member"},
        {"fields: {weight: {column: A, type: integer}}", "", "'type' is not a member"},
        {"fields: {status: {column: A, map: {}, sum: B}}", "", "'sum' is not a member"},
        {"fields: {status: {column: A, map: {}, when: [{if: {A: x}, value: active}, {if: {}}]}}",
         "", "when: {if:"},
        {"fields: {status: {map: {}, source: B}}", "", "one of column, first"},
        {"fields: {number: {template: '{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}{m}{n}{o}{p}{q}'}}", "",
         "1 to 16 columns"},
        {"fields: {number: {template: '{}'}}", "", "the name of a source column"},
        {"fields: 3", "", "fields: an object is needed"},
        {"fields: {number: A}", "custom_fields: 1", "custom_fields: an object"},
        {"fields: {number: A}", "custom_fields: {Bad: A}", "'Bad' is no name"},
        {"fields: {number: A}", "custom_fields: {x: {column: A, type: money}}",
         "'money' is none of"},
        {"fields: {number: A}", "custom_fields: {1x: A}", "'1x' is no name"},
        {"fields: {number: A}", "custom_fields: {'': A}", "'' is no name"},
        {"fields: {number: A}", "custom_fields: {x: null}", "must be an object, not null"},
        {"fields: {number: A}", "[]", "the mapping must be an object"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        struct pst_mapping *m = NULL;
        pst_code rc = fixture_mapping(&m, "items", cases[i][0], cases[i][1], berlin, &err);
        if (rc != PST_E_INVALID)
            fail_msg("accepted: %s / %s", cases[i][0], cases[i][1]);
        if (!strstr(err.msg, cases[i][2]))
            fail_msg("'%s' does not say '%s'", err.msg, cases[i][2]);
    }
}

static void mapping_survives_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    struct fixture_page p;
    fixture_columns(&p, order_columns);
    fixture_row(&p, "1|US001|D|N|S|V|||2026-01-01|#1|#1|#1|#1|2026-01-01|x");
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct pst_mapping *m = NULL;
        struct pst_mapper *mapper = NULL;
        struct pst_mapped out = {0};
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = fixture_mapping(&m, "purchase_orders", order_stream, "", berlin, &err);
        if (rc == PST_OK)
            rc = pst_mapper_new(&mapper, m, &err);
        if (rc == PST_OK)
            rc = pst_mapper_bind(mapper, &p.columns, &err);
        if (rc == PST_OK)
            rc = pst_mapper_apply(mapper, &p.doc, a, &out, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        assert_true(rc != PST_OK || out.reject.len == 0);
        pst_mapper_free(mapper);
        pst_mapping_free(m);
    }
    assert_int_equal(pst_alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_with_lines_and_schedules_is_one_record),
        cmocka_unit_test(clauses_come_before_the_code_table),
        cmocka_unit_test(every_type_converts_or_rejects),
        cmocka_unit_test(what_must_be_there_and_is_not_rejects),
        cmocka_unit_test(sums_minima_and_maxima_leave_blanks_out),
        cmocka_unit_test(what_cannot_be_compared_rejects),
        cmocka_unit_test(constants_can_be_filtered_by),
        cmocka_unit_test(numbers_and_texts_side_by_side_are_gathered_by_value),
        cmocka_unit_test(a_record_too_large_to_store_is_rejected_by_itself),
        cmocka_unit_test(an_unreadable_time_of_creation_is_no_reason_to_reject),
        cmocka_unit_test(what_is_wrong_in_a_line_names_the_line),
        cmocka_unit_test(overrides_of_null_change_nothing),
        cmocka_unit_test(rows_out_of_order_are_still_gathered_by_value),
        cmocka_unit_test(columns_are_found_without_their_alias_when_that_is_clear),
        cmocka_unit_test(the_source_hash_sees_every_change_and_no_position),
        cmocka_unit_test(what_other_rows_of_a_page_name_does_not_change_a_hash),
        cmocka_unit_test(a_column_that_no_row_names_is_blank_while_the_source_has_it),
        cmocka_unit_test(a_blank_column_is_not_taken_for_its_namesake),
        cmocka_unit_test(the_version_changes_with_the_rules),
        cmocka_unit_test(overrides_replace_add_and_remove_rules),
        cmocka_unit_test(a_record_without_a_name_is_called_by_its_source_id),
        cmocka_unit_test(mistakes_in_a_mapping_are_told_with_their_path),
        cmocka_unit_test(mapping_survives_every_allocation_fault),
    };
    return cmocka_run_group_tests(tests, load_zone, free_zone);
}
