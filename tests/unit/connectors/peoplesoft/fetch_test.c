/* tests/unit/connectors/peoplesoft/fetch_test.c: pages of whole documents over a gateway that caps,
 * cuts, repeats, ignores and fails. */
#include "../../test.h"

#include <stdio.h>

#include "crypto/crypto.h"
#include "gateway.h"

#define CONFIG "{\"base_url\":\"https://ps.example.com\"}"

/* 7 documents of 1 to 5 rows in three business units. */
static const struct gateway_row ROWS[] = {
    {"US001", "0000000001", 1, 1, NULL, NULL},  {"US001", "0000000001", 1, 2, NULL, NULL},
    {"US001", "0000000001", 2, 1, NULL, NULL},  {"US001", "0000000002", 1, 1, NULL, NULL},
    {"US001", "0000000010", 1, 1, NULL, NULL},  {"US001", "0000000010", 2, 1, NULL, NULL},
    {"US001", "0000000010", 9, 1, NULL, NULL},  {"US001", "0000000010", 10, 1, NULL, NULL},
    {"US001", "0000000010", 10, 2, NULL, NULL}, {"US002", "0000000001", 1, 1, NULL, NULL},
    {"US002", "0000000003", 1, 1, NULL, NULL},  {"US002", "0000000003", 1, 2, NULL, NULL},
    {"US003", "0000000001", 1, 1, NULL, NULL},  {"US003", "0000000009", 3, 1, NULL, NULL},
};
#define ALL                                                                                        \
    "US001|0000000001:3 US001|0000000002:1 US001|0000000010:5 US002|0000000001:1 "                 \
    "US002|0000000003:2 US003|0000000001:1 US003|0000000009:1 "

struct fixture {
    struct gateway gateway;
    struct pst_connector *self;
    struct pst_connector_ctx ctx;
    struct pst_arena *arena;
    struct pst_err err;
};

static void begin(struct fixture *f, const char *config)
{
    *f = (struct fixture){.gateway = {.rows = ROWS, .row_count = PST_COUNT(ROWS)}};
    if (gateway_open(&f->self, config, GATEWAY_CREDENTIALS, &f->err) != PST_OK)
        fail_msg("%s", f->err.msg);
    f->ctx = (struct pst_connector_ctx){
        .call = gateway_call, .self = &f->gateway, .zone = gateway_zone("UTC")};
    if (pst_arena_new(&f->arena, 64 << 20, &f->err) != PST_OK)
        fail_msg("%s", f->err.msg);
}

static void end(struct fixture *f)
{
    pst_peoplesoft_ops.close(f->self);
    pst_arena_free(f->arena);
}

static enum pst_fetch_mode fetch_mode = PST_FETCH_FULL;

static pst_code fetch(struct fixture *f, const char *after, uint32_t limit, struct pst_page *page)
{
    const struct pst_fetch request = {
        .stream = pst_manifest_stream(gateway_manifest(), PST_STR("purchase_orders")),
        .mode = fetch_mode,
        .from = PST_WALL_NONE,
        .to = PST_WALL_NONE,
        .as_of = PST_WALL_NONE,
        .after_key = pst_str_from(after),
        .limit = limit,
    };
    return pst_peoplesoft_ops.fetch(f->self, &f->ctx, &request, f->arena, page, &f->err);
}

static bool walk_stamps; /* all rows of a document must have one stamp */

static void check_stamps(const struct pst_page *page, const struct pst_document *doc)
{
    for (size_t c = 0; c < page->columns.count; c++) {
        if (!pst_str_is(page->columns.names[c], "A.LAST_DTTM_UPDATE"))
            continue;
        for (uint32_t i = 1; i < doc->row_count; i++)
            assert_true(
                pst_str_eq(doc->cells[i * page->columns.count + c].text, doc->cells[c].text));
    }
}

/* Walk all pages; "id:rows id:rows (fault) ..." */
static void walk(struct fixture *f, uint32_t limit, char *out, size_t size, int max_pages)
{
    char after[128] = "";
    size_t n = 0;
    out[0] = '\0';
    for (int pages = 0;; pages++) {
        struct pst_page page;
        if (pages == max_pages)
            fail_msg("no end after %d pages", pages);
        if (fetch(f, after, limit, &page) != PST_OK)
            fail_msg("limit %u, after '%s': %s", limit, after, f->err.msg);
        for (size_t i = 0; i < page.count; i++) {
            const struct pst_document *doc = &page.documents[i];
            n += (size_t)snprintf(out + n, size - n, "%.*s:%u ", PST_STR_ARG(doc->source_id),
                                  doc->row_count);
            if (doc->fault.len)
                n += (size_t)snprintf(out + n, size - n, "(%.*s) ", PST_STR_ARG(doc->fault));
            if (walk_stamps)
                check_stamps(&page, doc);
        }
        if (page.count > 0)
            assert_true(pst_str_copy(after, sizeof(after), page.next_key));
        else
            assert_int_equal(page.next_key.len, 0);
        if (page.end)
            return;
        assert_true(page.count > 0);
        pst_arena_reset(f->arena);
    }
}

static void every_page_limit_and_every_cap_give_the_same_documents(void **state)
{
    (void)state;
    static const uint32_t LIMITS[] = {1, 2, 3, 4, 5, 7, 13, 14, 15, 1000};
    for (size_t i = 0; i < PST_COUNT(LIMITS); i++) {
        for (unsigned cap = 0; cap <= 15; cap++) {
            struct fixture f;
            char all[512];
            begin(&f, CONFIG);
            f.gateway.cap = cap;
            walk(&f, LIMITS[i], all, sizeof(all), 40);
            if (strcmp(all, ALL) != 0)
                fail_msg("limit %u, cap %u: %s", LIMITS[i], cap, all);
            end(&f);
        }
    }
}

static void the_end_is_only_believed_after_an_empty_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct pst_page page;
    begin(&f, CONFIG);
    assert_int_equal(fetch(&f, "", 1000, &page), PST_OK);
    assert_true(page.end);
    assert_int_equal(page.rows, PST_COUNT(ROWS));
    assert_int_equal(page.wait_us, 2000); /* two calls */
    assert_true(page.bytes > 1000);
    f.gateway.row_count = 0;
    assert_int_equal(fetch(&f, "", 1000, &page), PST_OK);
    assert_true(page.end);
    assert_int_equal(page.count, 0);
    assert_int_equal(page.wait_us, 1000);
    end(&f);
}

static void a_page_asked_for_again_is_the_same_page(void **state)
{
    (void)state;
    struct fixture f;
    struct pst_page first;
    struct pst_page again;
    begin(&f, CONFIG);
    assert_int_equal(fetch(&f, "US001|0000000001", 6, &first), PST_OK);
    assert_int_equal(fetch(&f, "US001|0000000001", 6, &again), PST_OK);
    assert_int_equal(first.count, again.count);
    assert_str(first.documents[0].source_id, "US001|0000000002");
    for (size_t i = 0; i < first.count; i++)
        assert_true(pst_str_eq(first.documents[i].sort_key, again.documents[i].sort_key));
    assert_true(pst_str_eq(first.next_key, again.next_key));
    end(&f);
}

static void a_row_added_behind_a_read_document_is_left_to_the_next_change(void **state)
{
    (void)state;
    struct fixture f;
    struct pst_page page;
    begin(&f, CONFIG);
    assert_int_equal(fetch(&f, "US001|0000000001", 1, &page), PST_OK);
    assert_non_null(
        strstr(f.gateway.urls[0], "prompt_fieldvalue=,,US001,0000000001,99999,999&json_resp=true"));
    end(&f);
}

static void only_the_business_units_of_the_configuration_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *units, *documents;
    } CASES[] = {
        {"[\"US002\"]", "US002|0000000001:1 US002|0000000003:2 "},
        {"[\"US003\",\"US001\"]", "US001|0000000001:3 US001|0000000002:1 US001|0000000010:5 "
                                  "US003|0000000001:1 US003|0000000009:1 "},
        {"[\"US000\",\"US0015\",\"US004\"]", ""},
        {"[]", ALL},
    };
    static const uint32_t LIMITS[] = {1, 3, 1000};
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        for (size_t k = 0; k < PST_COUNT(LIMITS); k++) {
            struct fixture f;
            char config[128];
            char all[512];
            (void)snprintf(config, sizeof(config),
                           "{\"base_url\":\"https://ps.example.com\",\"business_units\":%s}",
                           CASES[i].units);
            begin(&f, config);
            walk(&f, LIMITS[k], all, sizeof(all), 40);
            assert_string_equal(all, CASES[i].documents);
            end(&f);
        }
    }
}

static void cells_stamps_and_columns_are_those_of_the_source(void **state)
{
    (void)state;
    static const struct gateway_row ONE[] = {
        {"US001", "1", 1, 1, "2026-03-29-02.30.00.000000",
         ",\"C.QTY_PO\":12.5000,\"Z.MINE\":\"x\""},
        {"US001", "2", 1, 1, "", NULL},
        {"US001", "3", 1, 1, "yesterday", NULL},
    };
    struct fixture f;
    struct pst_page page;
    char text[PST_WALL_TEXT];
    begin(&f, CONFIG);
    f.ctx.zone = gateway_zone("Europe/Berlin");
    f.gateway.rows = ONE;
    f.gateway.row_count = PST_COUNT(ONE);
    assert_int_equal(fetch(&f, "", 1000, &page), PST_OK);
    assert_int_equal(page.columns.count, 7);
    assert_str(page.columns.names[0], "A.BUSINESS_UNIT");
    assert_str(page.columns.names[5], "C.QTY_PO");
    assert_str(page.columns.names[6], "Z.MINE");
    assert_int_equal(page.documents[0].cells[5].kind, PST_CELL_NUMBER);
    assert_str(page.documents[0].cells[5].text, "12.5000");
    assert_int_equal(page.documents[1].cells[5].kind, PST_CELL_ABSENT);
    pst_wall_format(text, page.documents[0].stamp); /* the missing hour goes forward */
    assert_string_equal(text, "2026-03-29T01:30:00Z");
    assert_true(pst_wall_is_none(page.documents[1].stamp));
    assert_int_equal(page.documents[1].fault.len, 0);
    assert_true(page.documents[2].fault.len > 0);
    end(&f);
}

static void renamed_and_bare_columns_get_the_names_of_the_pack(void **state)
{
    (void)state;
    static const struct gateway_row ONE[] = {
        {"US001", "1", 1, 1, NULL,
         ",\"X.SUPPLIER\":\"V1\",\"Q.BUYER_ID\":\"b\",\"CANCEL_STATUS\":\"A\""}};
    struct fixture f;
    struct pst_page page;
    begin(&f, "{\"base_url\":\"https://ps.example.com\",\"columns\":{\"purchase_orders\":"
              "{\"A.VENDOR_ID\":\"X.SUPPLIER\"}},\"queries\":{\"purchase_orders\":\"XX_PO\"}}");
    f.gateway.rows = ONE;
    f.gateway.row_count = 1;
    f.gateway.is_bare = true;
    assert_int_equal(fetch(&f, "", 1000, &page), PST_OK);
    assert_non_null(strstr(f.gateway.urls[0], "/PUBLIC/XX_PO/JSON/"));
    static const char *const NAMES[] = {
        "A.BUSINESS_UNIT", "A.PO_ID",    "B.LINE_NBR",   "C.SCHED_NBR", "A.LAST_DTTM_UPDATE",
        "A.VENDOR_ID",     "A.BUYER_ID", "CANCEL_STATUS" /* of B or of C: stays as it is */};
    assert_int_equal(page.columns.count, PST_COUNT(NAMES));
    for (size_t i = 0; i < PST_COUNT(NAMES); i++)
        assert_str(page.columns.names[i], NAMES[i]);
    end(&f);
}

static void lies_of_the_query_are_named(void **state)
{
    (void)state;
    struct fixture f;
    struct pst_page page;
    begin(&f, CONFIG);
    f.gateway.ignores_prompts = true;
    assert_int_equal(fetch(&f, "US001|0000000001", 5, &page), PST_E_SYSTEM);
    assert_non_null(strstr(f.err.msg, "does not heed its prompts"));
    assert_int_equal(fetch(&f, "", 1000, &page), PST_E_SYSTEM); /* seen by the second call */
    f.gateway.ignores_prompts = false;
    f.gateway.is_descending = true;
    assert_int_equal(fetch(&f, "", 5, &page), PST_E_DELETE_GUARD);
    assert_non_null(strstr(f.err.msg, "order"));
    fetch_mode = PST_FETCH_INCREMENTAL; /* deletes nothing anyhow */
    assert_int_equal(fetch(&f, "", 5, &page), PST_E_SYSTEM);
    fetch_mode = PST_FETCH_FULL;
    f.gateway.is_descending = false;
    f.gateway.without = "C.SCHED_NBR";
    assert_int_equal(fetch(&f, "", 5, &page), PST_E_SYSTEM);
    assert_non_null(strstr(f.err.msg, "has no column 'C.SCHED_NBR'"));
    end(&f);
}

static void a_stamp_that_no_row_names_is_none(void **state)
{
    (void)state;
    static const struct gateway_meta FIELDS = {
        .part = "QueryFields",
        .body = "{\"R\":{\"Q\":[{\"PTQASWRK\":{\"UniqueFieldName\":\"X.PO_ID\",\"FieldType\":"
                "\"Character\"}},"
                "{\"PTQASWRK\":{\"UniqueFieldName\":\"B.LINE_NBR\",\"FieldType\":\"Number\"}}]}}"};
    struct fixture f;
    struct pst_page page;
    struct pst_source_columns columns;
    begin(&f, CONFIG);
    assert_int_equal(fetch(&f, "", 5, &page), PST_OK);
    assert_int_equal(page.unnamed.len, 0);
    f.gateway.without = "A.LAST_DTTM_UPDATE";
    assert_int_equal(fetch(&f, "", 5, &page), PST_OK);
    assert_int_equal(page.count, 2);
    assert_true(pst_wall_is_none(page.documents[0].stamp));
    assert_str(page.unnamed, "A.LAST_DTTM_UPDATE");
    assert_int_equal(fetch(&f, "US003|0000000009", 5, &page), PST_OK);
    assert_int_equal(page.unnamed.len, 0); /* no rows, no question */
    f.gateway.meta = &FIELDS;
    f.gateway.meta_count = 1;
    assert_int_equal(pst_peoplesoft_ops.describe(
                         f.self, &f.ctx,
                         pst_manifest_stream(gateway_manifest(), PST_STR("purchase_orders")),
                         f.arena, &columns, &f.err),
                     PST_OK);
    assert_int_equal(columns.count, 2);
    assert_str(columns.items[0].name, "X.PO_ID");
    assert_str(columns.items[0].column, "A.PO_ID");
    assert_str(columns.items[1].column, "");
    end(&f);
}

static void rows_out_of_order_inside_a_document_are_named(void **state)
{
    (void)state;
    static const struct gateway_row SWAPPED[] = {{"US001", "1", 2, 1, NULL, NULL},
                                                 {"US001", "1", 1, 1, NULL, NULL},
                                                 {"US001", "2", 1, 1, NULL, NULL}};
    struct fixture f;
    struct pst_page page;
    begin(&f, CONFIG);
    f.gateway.rows = SWAPPED;
    f.gateway.row_count = PST_COUNT(SWAPPED);
    assert_int_equal(fetch(&f, "", 3, &page), PST_E_DELETE_GUARD);
    end(&f);
}

static void one_bad_row_is_one_document_s_fault(void **state)
{
    (void)state;
    static const struct gateway_row BAD[] = {
        {"US001", "1", 1, 1, NULL, NULL},
        {"US001", "2", 1, 1, NULL, NULL},
        {"US001", "2", 2, 1, NULL, ",\"B.DESCR254_MIXED\":\"caf\xe9\""},
        {"US001", "3", 1, 1, NULL, NULL},
        {"US001", "3", 1, 1, NULL, NULL},
        {"US001", "4\xe9|", 1, 1, NULL, NULL},
    };
    struct fixture f;
    struct pst_page page;
    begin(&f, CONFIG);
    f.gateway.rows = BAD;
    f.gateway.row_count = PST_COUNT(BAD);
    assert_int_equal(fetch(&f, "", 1000, &page), PST_OK);
    assert_int_equal(page.count, 4);
    assert_int_equal(page.documents[0].fault.len, 0);
    assert_str(page.documents[1].fault, "column 'B.DESCR254_MIXED': invalid UTF-8 at byte 3");
    assert_str(page.documents[2].fault, "two of its rows have the same key");
    assert_true(page.documents[3].fault.len > 0);
    assert_str(page.documents[3].source_id, "US001|4?%7C");
    end(&f);
}

static void
a_document_of_more_than_ten_thousand_rows_is_rejected_and_the_next_ones_come(void **state)
{
    (void)state;
    enum { MAX = 10000, ROWS_MAX = 2 * MAX + 4 };
    static struct gateway_row rows[ROWS_MAX];
    static const struct {
        int rows; /* of the document in the middle */
        uint32_t limit;
    } CASES[] = {{MAX, 3000},      {MAX + 1, 3000},  {2 * MAX, 3000},    {MAX, 20000},
                 {MAX + 1, 20000}, {2 * MAX, 20000}, {MAX + 1, MAX + 2}, {MAX + 1, MAX + 3}};
    for (size_t c = 0; c < PST_COUNT(CASES); c++) {
        struct fixture f;
        char all[512];
        char want[512];
        int n = 0;
        rows[n++] = (struct gateway_row){"US001", "0", 1, 1, NULL, NULL};
        for (int i = 0; i < CASES[c].rows; i++)
            rows[n++] = (struct gateway_row){"US001", "1", i + 1, 1, NULL, NULL};
        rows[n++] = (struct gateway_row){"US001", "2", 1, 1, NULL, NULL};
        rows[n++] = (struct gateway_row){"US002", "1", 1, 1, NULL, NULL};
        begin(&f, "{\"base_url\":\"https://ps.example.com\",\"page_size\":20000}");
        f.gateway.rows = rows;
        f.gateway.row_count = (size_t)n;
        walk(&f, CASES[c].limit, all, sizeof(all), 20);
        bool is_fine = CASES[c].rows <= MAX;
        (void)snprintf(want, sizeof(want), "US001|0:1 US001|1:%d%s US001|2:1 US002|1:1 ",
                       is_fine ? MAX : 1, is_fine ? "" : " (it has more than 10000 rows)");
        if (strcmp(all, want) != 0)
            fail_msg("%d rows, limit %u: %s", CASES[c].rows, CASES[c].limit, all);
        end(&f);
    }
}

/* ---- documents of more than one answer, which change in between ---- */

#define LATER "2026-01-15-12.00.01.000000"
#define MUCH_LATER "2026-01-15-12.00.02.000000"

static const struct gateway_row BEFORE[] = {
    {"US001", "1", 1, 1, NULL, NULL}, {"US001", "2", 1, 1, NULL, NULL},
    {"US001", "2", 2, 1, NULL, NULL}, {"US001", "2", 3, 1, NULL, NULL},
    {"US001", "2", 4, 1, NULL, NULL}, {"US001", "3", 1, 1, NULL, NULL},
};
/* A line came where reading has passed, one went that is still to come. */
static const struct gateway_row AFTER[] = {
    {"US001", "1", 1, 1, NULL, NULL},  {"US001", "2", 1, 1, LATER, NULL},
    {"US001", "2", 1, 2, LATER, NULL}, {"US001", "2", 2, 1, LATER, NULL},
    {"US001", "2", 3, 1, LATER, NULL}, {"US001", "3", 1, 1, NULL, NULL},
};
/* It stands outside of the window, or is gone. */
static const struct gateway_row WITHOUT[] = {
    {"US001", "1", 1, 1, NULL, NULL},
    {"US001", "3", 1, 1, NULL, NULL},
};

static size_t change_at;

static void change_once(struct gateway *g, size_t call)
{
    if (call != change_at)
        return;
    g->rows = AFTER;
    g->row_count = PST_COUNT(AFTER);
}

static void go_once(struct gateway *g, size_t call)
{
    if (call != change_at)
        return;
    g->rows = WITHOUT;
    g->row_count = PST_COUNT(WITHOUT);
}

/* Every call finds another stamp. */
static void change_always(struct gateway *g, size_t call)
{
    static struct gateway_row rows[PST_COUNT(BEFORE)];
    memcpy(rows, BEFORE, sizeof(BEFORE));
    static const char *const stamps[] = {NULL, LATER, MUCH_LATER};
    for (size_t i = 1; i < 5; i++)
        rows[i].stamp = stamps[call % PST_COUNT(stamps)];
    g->rows = rows;
    g->row_count = PST_COUNT(BEFORE);
}

static void a_document_that_changes_between_its_answers_is_never_half_of_each(void **state)
{
    (void)state;
    static const struct {
        void (*before)(struct gateway *g, size_t call);
        const char *changed;
    } CASES[] = {{change_once, "US001|1:1 US001|2:4 US001|3:1 "},
                 {go_once, "US001|1:1 US001|3:1 "}};
    for (size_t c = 0; c < PST_COUNT(CASES); c++) {
        for (uint32_t limit = 1; limit <= 7; limit++) {
            for (unsigned cap = 0; cap <= 7; cap++) {
                for (change_at = 0; change_at < 24; change_at++) {
                    struct fixture f;
                    char all[512];
                    begin(&f, CONFIG);
                    f.gateway.rows = BEFORE;
                    f.gateway.row_count = PST_COUNT(BEFORE);
                    f.gateway.cap = cap;
                    f.gateway.before = CASES[c].before;
                    walk_stamps = true;
                    walk(&f, limit, all, sizeof(all), 40);
                    walk_stamps = false;
                    /* As it was, or as it is: both have four rows, or it is not there. */
                    if (strcmp(all, CASES[c].changed) != 0 &&
                        strcmp(all, "US001|1:1 US001|2:4 US001|3:1 ") != 0)
                        fail_msg("limit %u, cap %u, call %zu: %s", limit, cap, change_at, all);
                    end(&f);
                }
            }
        }
    }
}

static void a_document_that_never_holds_still_is_rejected_and_the_next_ones_come(void **state)
{
    (void)state;
    struct fixture f;
    char all[512];
    begin(&f, CONFIG);
    f.gateway.before = change_always;
    walk(&f, 3, all, sizeof(all), 10);
    assert_string_equal(all, "US001|1:1 US001|2:4 (it kept changing while it was read) US001|3:1 ");
    end(&f);
}

static void failures_keep_their_code_and_name_the_query(void **state)
{
    (void)state;
    static const pst_code CODES[] = {PST_E_REAUTH,      PST_E_SYSTEM_DENIED, PST_E_SYSTEM,
                                     PST_E_UNREACHABLE, PST_E_TIMEOUT,       PST_E_FOREIGN_PAGE,
                                     PST_E_SYSTEM_BUSY, PST_E_CANCELLED};
    for (size_t i = 0; i < PST_COUNT(CODES); i++) {
        for (size_t call = 0; call < 2; call++) {
            struct fixture f;
            struct pst_page page;
            begin(&f, CONFIG);
            f.gateway.answers[f.gateway.answer_count++] =
                (struct gateway_answer){.call = call, .code = CODES[i], .http_status = 599};
            assert_int_equal(fetch(&f, "", 1000, &page), CODES[i]);
            assert_non_null(strstr(f.err.msg, "query 'PST_PURCHASE_ORDERS': "));
            assert_int_equal(f.err.http_status, 599);
            assert_int_equal(f.gateway.calls, call + 1);
            end(&f);
        }
    }
}

static void a_cut_answer_gives_no_page(void **state)
{
    (void)state;
    struct fixture f;
    struct pst_page page = {.count = 77};
    begin(&f, CONFIG);
    f.gateway.answers[f.gateway.answer_count++] = (struct gateway_answer){
        .call = 0,
        .body =
            "{\"status\":\"success\",\"data\":{\"query\":{\"rows\":[{\"A.BUSINESS_UNIT\":\"US0"};
    assert_int_equal(fetch(&f, "", 1000, &page), PST_E_UNREACHABLE);
    assert_int_equal(page.count, 77);
    end(&f);
}

static void keys_of_others_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {"US001", "US001|1|2", "US001|%zz", "US001|a%00"};
    struct fixture f;
    struct pst_page page;
    begin(&f, CONFIG);
    for (size_t i = 0; i < PST_COUNT(BAD); i++)
        assert_int_equal(fetch(&f, BAD[i], 10, &page), PST_E_INVALID);
    assert_int_equal(fetch(&f, "", 0, &page), PST_E_INVALID);
    assert_int_equal(f.gateway.calls, 0);
    assert_int_equal(fetch(&f, "US001|a,b", 10, &page), PST_E_SYSTEM);
    assert_non_null(strstr(f.err.msg, "comma"));
    end(&f);
}

static void the_clock_query_or_the_http_date_tells_the_time(void **state)
{
    (void)state;
#define CLOCK(value)                                                                               \
    "{\"status\":\"success\",\"data\":{\"query\":{\"rows\":[{\"attr:rownumber\":1," value "}]}}}"
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
    static const struct {
        struct gateway_answer answer;
        pst_code code;
        const char *time;
    } CASES[] = {
        {{.body = CLOCK("\"CURRENT_DTTM\":\"2026-07-01-12.00.00.250000\"")},
         PST_OK,
         "2026-07-01T10:00:00.25Z"},
        {{.body = CLOCK("\"EXPR1_1\":\"2026-07-01 12:00:00\"")}, PST_OK, "2026-07-01T10:00:00Z"},
        {{.body = CLOCK("\"EXPR1_1\":\"now\""), .date = DATE}, PST_OK, "1994-11-06T08:49:37Z"},
        {{.body = "{\"status\":\"error\"}", .date = DATE}, PST_OK, "1994-11-06T08:49:37Z"},
        {{.code = PST_E_SYSTEM, .http_status = 500, .date = DATE}, PST_OK, "1994-11-06T08:49:37Z"},
        {{.code = PST_E_SYSTEM_DENIED, .http_status = 403, .date = DATE},
         PST_OK,
         "1994-11-06T08:49:37Z"},
        {{.code = PST_E_SYSTEM, .http_status = 500}, PST_E_SYSTEM, ""},
        {{.code = PST_E_REAUTH, .http_status = 401, .date = DATE}, PST_E_REAUTH, ""},
        {{.code = PST_E_UNREACHABLE, .http_status = 503, .date = DATE}, PST_E_UNREACHABLE, ""},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct fixture f;
        pst_wall now = PST_WALL_NONE;
        char text[PST_WALL_TEXT];
        begin(&f, CONFIG);
        f.ctx.zone = gateway_zone("Europe/Berlin");
        f.gateway.answers[0] = CASES[i].answer;
        f.gateway.answer_count = 1;
        pst_code code = pst_peoplesoft_ops.source_now(f.self, &f.ctx, &now, &f.err);
        pst_wall_format(text, now);
        if (code != CASES[i].code || strcmp(text, CASES[i].time) != 0)
            fail_msg("case %zu: %s, %s", i, pst_code_name(code), text);
        end(&f);
    }
}

static void credentials_go_with_every_call(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, CONFIG);
    struct pst_err err = f.err;
    assert_ok(pst_peoplesoft_ops.probe(f.self, &f.ctx, &err));
    assert_string_equal(f.gateway.user, "PSTUSER");
    assert_string_equal(f.gateway.password, "secret");
    assert_string_equal(
        f.gateway.urls[0],
        "https://ps.example.com/PSIGW/RESTListeningConnector/PSFT_EP/ListQuery.v1/"
        "public/listquery?search=PST_CLOCK&maxrows=1000&isconnectedquery=N&json_resp="
        "true");
    end(&f);
    pst_peoplesoft_ops.close(NULL);
}

static void failed_allocations_are_reported_and_nothing_leaks(void **state)
{
    (void)state;
    (void)gateway_manifest();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct gateway g = {.rows = ROWS, .row_count = PST_COUNT(ROWS)};
        struct pst_connector_ctx ctx = {
            .call = gateway_call, .self = &g, .zone = gateway_zone("UTC")};
        struct pst_connector *self = NULL;
        struct pst_arena *arena = NULL;
        struct pst_page page;
        struct pst_err err;
        int64_t live = pst_alloc_live();
        const struct pst_fetch request = {
            .stream = pst_manifest_stream(gateway_manifest(), PST_STR("purchase_orders")),
            .from = PST_WALL_NONE,
            .to = PST_WALL_NONE,
            .as_of = PST_WALL_NONE,
            .limit = 4,
        };
        pst_code code = gateway_open(&self, CONFIG, GATEWAY_CREDENTIALS, &err);
        if (code == PST_OK)
            code = pst_arena_new(&arena, 1 << 22, &err);
        if (code == PST_OK)
            code = pst_peoplesoft_ops.fetch(self, &ctx, &request, arena, &page, &err);
        if (code != (pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK))
            fail_msg("allocation %ld: %s: %s", i, pst_code_name(code), err.msg);
        pst_peoplesoft_ops.close(self);
        pst_arena_free(arena);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_limit_and_every_cap_give_the_same_documents),
        cmocka_unit_test(the_end_is_only_believed_after_an_empty_answer),
        cmocka_unit_test(a_page_asked_for_again_is_the_same_page),
        cmocka_unit_test(a_row_added_behind_a_read_document_is_left_to_the_next_change),
        cmocka_unit_test(only_the_business_units_of_the_configuration_are_read),
        cmocka_unit_test(cells_stamps_and_columns_are_those_of_the_source),
        cmocka_unit_test(renamed_and_bare_columns_get_the_names_of_the_pack),
        cmocka_unit_test(lies_of_the_query_are_named),
        cmocka_unit_test(a_stamp_that_no_row_names_is_none),
        cmocka_unit_test(rows_out_of_order_inside_a_document_are_named),
        cmocka_unit_test(one_bad_row_is_one_document_s_fault),
        cmocka_unit_test(
            a_document_of_more_than_ten_thousand_rows_is_rejected_and_the_next_ones_come),
        cmocka_unit_test(a_document_that_changes_between_its_answers_is_never_half_of_each),
        cmocka_unit_test(a_document_that_never_holds_still_is_rejected_and_the_next_ones_come),
        cmocka_unit_test(failures_keep_their_code_and_name_the_query),
        cmocka_unit_test(a_cut_answer_gives_no_page),
        cmocka_unit_test(keys_of_others_are_refused),
        cmocka_unit_test(the_clock_query_or_the_http_date_tells_the_time),
        cmocka_unit_test(credentials_go_with_every_call),
        cmocka_unit_test(failed_allocations_are_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
