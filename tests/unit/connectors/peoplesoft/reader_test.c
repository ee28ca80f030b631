/* tests/unit/connectors/peoplesoft/reader_test.c: every form in which the service answers, and
 * what is made of answers that are broken. */
#include "../../test.h"

#include <stdio.h>

#include "base/utf8.h"
#include "connectors/peoplesoft/reader.h"

#define OK_OPEN                                                                                    \
    "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":1,\"queryname=\":\"Q\",\"rows\":"
#define OK_CLOSE "}}}"

static struct pst_arena *arena;

static int make_arena(void **state)
{
    struct pst_err err;
    (void)state;
    return pst_arena_new(&arena, 64 << 20, &err) == PST_OK ? 0 : -1;
}

static int free_arena(void **state)
{
    (void)state;
    pst_arena_free(arena);
    return 0;
}

static pst_str body_of(const char *text, size_t len)
{
    struct pst_err err;
    char *copy = NULL;
    assert_ok(pst_arena_alloc(arena, &copy, len + PST_HTTP_PADDING, &err));
    memcpy(copy, text, len);
    return (pst_str){copy, len};
}

/* The rows as text: "A.B=text, C:number, D=null ; ..." and faults in front of their row. */
static void render(const struct pst_ps_rows *rows, char *out, size_t size)
{
    static const char KIND[] = {'?', '~', '=', ':', '!'};
    size_t n = 0;
    out[0] = '\0';
    for (size_t r = 0; r < rows->row_count; r++) {
        if (rows->faults && rows->faults[r].len)
            n += (size_t)snprintf(out + n, size - n, "<%.*s>", PST_STR_ARG(rows->faults[r]));
        for (size_t c = 0; c < rows->column_count; c++) {
            const struct pst_cell *cell = &rows->cells[r * rows->stride + c];
            if (cell->kind == PST_CELL_ABSENT)
                continue;
            n += (size_t)snprintf(out + n, size - n, "%.*s%c%.*s,", PST_STR_ARG(rows->names[c]),
                                  KIND[cell->kind], PST_STR_ARG(cell->text));
        }
        n += (size_t)snprintf(out + n, size - n, ";");
    }
}

static const struct {
    const char *what;
    const char *body;
    size_t len; /* 0 = strlen */
    const char *rows; /* as render() shows them */
} GOOD[] = {
    {"two rows",
     OK_OPEN "[{\"attr:rownumber\":1,\"A.X\":\"1\",\"A.Y\":2},{\"attr:rownumber\":2,\"A.X\":\"3\","
             "\"A.Y\":4.50}]" OK_CLOSE,
     0, "A.X=1,A.Y:2,;A.X=3,A.Y:4.50,;"},
    {"queryname without '='",
     "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":0,\"queryname\":\"Q\",\"rows\":[]}}"
     "}",
     0, ""},
    {"no rows", OK_OPEN "[]" OK_CLOSE, 0, ""},
    {"rows missing", "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":0}}}", 0, ""},
    {"rows empty text", OK_OPEN "\"\"" OK_CLOSE, 0, ""},
    {"rows blank text", OK_OPEN "\" \"" OK_CLOSE, 0, ""},
    {"rows null", OK_OPEN "null" OK_CLOSE, 0, ""},
    {"rows empty object", OK_OPEN "{}" OK_CLOSE, 0, ""},
    {"one row as object", OK_OPEN "{\"attr:rownumber\":1,\"X\":\"a\"}" OK_CLOSE, 0, "X=a,;"},
    {"no status", "{\"data\":{\"query\":{\"rows\":[{\"X\":\"a\"}]}}}", 0, "X=a,;"},
    {"status in capitals", "{\"status\":\"SUCCESS\",\"data\":{\"query\":{\"rows\":[]}}}", 0, ""},
    {"wrong numrows",
     "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":99,\"rows\":[{\"X\":\"a\"}]}}}", 0,
     "X=a,;"},
    {"byte order mark and blanks", "\xef\xbb\xbf \r\n" OK_OPEN "[{\"X\":\"a\"}]" OK_CLOSE "\r\n", 0,
     "X=a,;"},
    {"blanks: empty, one, null, missing",
     OK_OPEN "[{\"X\":\"\",\"Y\":\" \",\"Z\":null},{\"X\":\"\",\"Z\":\"z\"}]" OK_CLOSE, 0,
     "X=,Y= ,Z~,;X=,Z=z,;"},
    {"every digit of numbers",
     OK_OPEN
     "[{\"A\":39000.000,\"B\":-0,\"C\":1E+2,\"D\":1234567890123456789012345678901}]" OK_CLOSE,
     0, "A:39000.000,B:-0,C:1E+2,D:1234567890123456789012345678901,;"},
    {"numbers as text, ids with zeros",
     OK_OPEN "[{\"A\":\"39000.000\",\"B\":\"0000000123\"}]" OK_CLOSE, 0,
     "A=39000.000,B=0000000123,;"},
    {"booleans", OK_OPEN "[{\"A\":true,\"B\":false}]" OK_CLOSE, 0, "A!true,B!false,;"},
    {"columns in another order",
     OK_OPEN "[{\"X\":\"1\",\"Y\":\"2\"},{\"Y\":\"4\",\"X\":\"3\"}]" OK_CLOSE, 0,
     "X=1,Y=2,;X=3,Y=4,;"},
    {"a column that comes late",
     OK_OPEN "[{\"X\":\"1\"},{\"X\":\"2\",\"Y\":\"3\"},{\"X\":\"4\"}]" OK_CLOSE, 0,
     "X=1,;X=2,Y=3,;X=4,;"},
    {"escapes", OK_OPEN "[{\"X\":\"a\\\"b\\\\c\\/\\u00e9\\n\\ud83d\\ude00\"}]" OK_CLOSE, 0,
     "X=a\"b\\c/\xc3\xa9\n\xf0\x9f\x98\x80,;"},
    {"trailing comma", OK_OPEN "[{\"X\":\"1\",},]" OK_CLOSE, 0, "X=1,;"},
    {"raw line breaks and tabs in a text", OK_OPEN "[{\"X\":\"a\nb\tc\r\"}]" OK_CLOSE, 0,
     "X=a\nb\tc\r,;"},
    {"bare fractions and NaN", OK_OPEN "[{\"X\":.5,\"Y\":NaN,\"Z\":-.25,\"W\":5.}]" OK_CLOSE, 0,
     "X=.5,Y=NaN,Z=-.25,W=5.,;"},
    {"leading zeros in a number", OK_OPEN "[{\"X\":007}]" OK_CLOSE, 0, "X=007,;"},
    {"an escape that JSON does not know", OK_OPEN "[{\"X\":\"it\\'s\"}]" OK_CLOSE, 0, "X=it\\'s,;"},
    {"a control character is its row's fault", OK_OPEN "[{\"X\":\"a\x01\"},{\"X\":\"b\"}]" OK_CLOSE,
     0, "<column 'X': a control character at byte 1>X=a\x01,;X=b,;"},
    {"a control character beside odd JSON", OK_OPEN "[{\"X\":\"a\x01\",\"Y\":.5}]" OK_CLOSE, 0,
     "<column 'X': invalid UTF-8 at byte 1>X=a\xff,Y=.5,;"},
    {"a single surrogate is its row's fault",
     OK_OPEN "[{\"X\":\"a\"},{\"X\":\"\\ud800\"},{\"X\":\"\\udc00x\"}]" OK_CLOSE, 0,
     "X=a,;<column 'X': invalid UTF-8 at byte 0>X=\xff,;<column 'X': invalid UTF-8 at byte "
     "0>X=\xffx,;"},
    {"invalid UTF-8 is its row's fault",
     OK_OPEN "[{\"X\":\"a\"},{\"X\":\"bc\xe9\"},{\"X\":\"d\"}]" OK_CLOSE, 0,
     "X=a,;<column 'X': invalid UTF-8 at byte 2>X=bc\xe9,;X=d,;"},
    {"NUL is its row's fault", OK_OPEN "[{\"X\":\"\\u0000b\"},{\"X\":\"c\"}]" OK_CLOSE, 0,
     "<column 'X': a control character at byte 0>X=,;X=c,;"},
    {"a column twice is its row's fault",
     OK_OPEN "[{\"X\":\"1\",\"Y\":\"2\",\"X\":\"3\"},{\"X\":\"4\",\"Y\":\"5\"}]" OK_CLOSE, 0,
     "<column 'X': there twice>X=3,Y=2,;X=4,Y=5,;"},
    {"a nested value is its row's fault",
     OK_OPEN "[{\"X\":{\"a\":[1]},\"Y\":\"1\"},{\"X\":\"2\",\"Y\":[]}]" OK_CLOSE, 0,
     "<column 'X': a nested value>X~,Y=1,;<column 'Y': a nested value>X=2,Y~,;"},
    {"a number too long is its row's fault",
     OK_OPEN "[{\"X\":11111111112222222222333333333344444444445555555555666666666677777}]" OK_CLOSE,
     0, "<column 'X': a number of more than 64 characters>X~,;"},
    {"a number of 64 characters is not",
     OK_OPEN "[{\"X\":1111111111222222222233333333334444444444555555555566666666667777}]" OK_CLOSE,
     0, "X:1111111111222222222233333333334444444444555555555566666666667777,;"},
};

static void every_form_of_a_good_answer_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(GOOD); i++) {
        struct pst_err err = {0};
        struct pst_ps_rows rows = {.arena = arena};
        size_t added = 0;
        char text[1024];
        pst_str body = body_of(GOOD[i].body, GOOD[i].len ? GOOD[i].len : strlen(GOOD[i].body));
        pst_code code = pst_ps_rows_read(&rows, body, &added, &err);
        if (code != PST_OK)
            fail_msg("%s: %s", GOOD[i].what, err.msg);
        render(&rows, text, sizeof(text));
        if (strcmp(text, GOOD[i].rows) != 0)
            fail_msg("%s: '%s', expected '%s'", GOOD[i].what, text, GOOD[i].rows);
        assert_int_equal(added, rows.row_count);
    }
}

static const struct {
    const char *body;
    pst_code code;
    const char *says;
} BAD[] = {
    {"", PST_E_UNREACHABLE, "cut off"},
    {"{", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":\"a\"},{\"X\":\"b", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":\"a\"},", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":12", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":tr", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":\"a\"}]", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":\"a\n\"},{\"X\":\"b", PST_E_UNREACHABLE, "cut off"},
    {OK_OPEN "[{\"X\":\"a\"}]" OK_CLOSE "<!-- proxy -->", PST_E_SYSTEM, "not valid JSON"},
    {OK_OPEN "[{\"X\" \"a\"}]" OK_CLOSE, PST_E_SYSTEM, "not valid JSON"},
    {"[]", PST_E_SYSTEM, "not that of a query"},
    {"\"text\"", PST_E_SYSTEM, "not that of a query"},
    {"{\"status\":\"success\"}", PST_E_SYSTEM, "not that of a query"},
    {"{\"status\":\"success\",\"data\":{}}", PST_E_SYSTEM, "not that of a query"},
    {"{\"status\":\"success\",\"data\":{\"query\":[]}}", PST_E_SYSTEM, "not that of a query"},
    {"{\"positionNbr\":\"\",\"errMessage\":\"x\"}", PST_E_SYSTEM, "not that of a query"},
    {"{\"status\":\"error\",\"message\":\"Query Q is not there\"}", PST_E_SYSTEM,
     "Query Q is not there"},
    {"{\"status\":\"error\",\"data\":{\"message\":\"no access\"}}", PST_E_SYSTEM, "no access"},
    {"{\"status\":\"\",\"data\":{\"query\":{\"rows\":[]}}}", PST_E_SYSTEM, "status ''"},
    {"{\"status\":7,\"data\":{\"query\":{\"rows\":[]}}}", PST_E_SYSTEM, "status ''"},
    {OK_OPEN "\"none\"" OK_CLOSE, PST_E_SYSTEM, "no list"},
    {OK_OPEN "7" OK_CLOSE, PST_E_SYSTEM, "no list"},
    {OK_OPEN "[1]" OK_CLOSE, PST_E_SYSTEM, "no object"},
    {OK_OPEN "[{\"\":1}]" OK_CLOSE, PST_E_SYSTEM, "no name"},
    {OK_OPEN "[{\"\xff\":1}]" OK_CLOSE, PST_E_SYSTEM, "no name"},
};

static void broken_answers_are_never_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(BAD); i++) {
        struct pst_err err = {0};
        struct pst_ps_rows rows = {.arena = arena};
        size_t added = 0;
        pst_str body = body_of(BAD[i].body, strlen(BAD[i].body));
        pst_code code = pst_ps_rows_read(&rows, body, &added, &err);
        if (code != BAD[i].code || !strstr(err.msg, BAD[i].says))
            fail_msg("%s: %s: %s", BAD[i].body, pst_code_name(code), err.msg);
    }
}

static void an_answer_cut_at_any_byte_is_retried(void **state)
{
    (void)state;
    static const char WHOLE[] =
        "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":2,\"queryname=\":"
        "\"Q\",\"rows\":[{\"attr:rownumber\":1,\"A.X\":\"a\\u00e9\",\"N\":-1.5e3},"
        "{\"A.X\":null,\"N\":true}]}}}";
    for (size_t len = 0; len < sizeof(WHOLE) - 1; len++) {
        struct pst_err err = {0};
        struct pst_ps_rows rows = {.arena = arena};
        size_t added = 0;
        pst_code code = pst_ps_rows_read(&rows, body_of(WHOLE, len), &added, &err);
        if (code != PST_E_UNREACHABLE)
            fail_msg("cut after %zu bytes: %s: %s", len, pst_code_name(code), err.msg);
    }
}

static void rows_of_several_answers_stand_in_one_table(void **state)
{
    (void)state;
    static const char *const BODIES[] = {
        OK_OPEN "[{\"X\":\"1\",\"Y\":\"a\xff\"}]" OK_CLOSE, OK_OPEN "[]" OK_CLOSE,
        OK_OPEN "[{\"Y\":\"b\",\"X\":\"2\"},{\"X\":\"3\",\"Z\":\"new\"}]" OK_CLOSE};
    struct pst_err err;
    struct pst_ps_rows rows = {.arena = arena};
    char text[512];
    size_t added = 0;
    for (size_t i = 0; i < PST_COUNT(BODIES); i++)
        assert_ok(pst_ps_rows_read(&rows, body_of(BODIES[i], strlen(BODIES[i])), &added, &err));
    assert_int_equal(added, 2);
    pst_ps_rows_move(&rows, 0, 0);
    render(&rows, text, sizeof(text));
    assert_string_equal(text, "<column 'Y': invalid UTF-8 at byte 1>"
                              "X=1,Y=a\xff,;X=2,Y=b,;X=3,Z=new,;");
    pst_ps_rows_pack(&rows);
    assert_int_equal(rows.stride, 3);
    render(&rows, text, sizeof(text));
    assert_non_null(strstr(text, ";X=2,Y=b,;X=3,Z=new,;"));
    pst_ps_rows_move(&rows, 0, 2);
    rows.row_count = 1;
    render(&rows, text, sizeof(text));
    assert_string_equal(text, "X=3,Z=new,;");
}

static void deep_nesting_is_refused_quickly(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    struct pst_err err;
    struct pst_ps_rows rows = {.arena = arena};
    size_t added = 0;
    char *text = NULL;
    assert_ok(pst_arena_alloc(arena, &text, 2 * DEPTH + PST_HTTP_PADDING, &err));
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_code(pst_ps_rows_read(&rows, (pst_str){text, 2 * DEPTH}, &added, &err), PST_E_SYSTEM);
}

static void more_columns_than_a_query_has_are_refused(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_ps_rows rows = {.arena = arena};
    struct pst_buf b;
    size_t added = 0;
    pst_buf_init(&b, 1 << 20);
    pst_buf_add_lit(&b, OK_OPEN "[{");
    for (int i = 0; i <= PST_PS_COLUMNS; i++)
        pst_buf_addf(&b, "%s\"C%d\":1", i ? "," : "", i);
    pst_buf_add_lit(&b, "}]" OK_CLOSE);
    assert_code(pst_ps_rows_read(&rows, body_of(b.ptr, b.len), &added, &err), PST_E_SYSTEM);
    pst_buf_fini(&b);
}

/* xorshift64: the same bytes on every machine. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check_cells(const struct pst_ps_rows *rows)
{
    for (size_t r = 0; r < rows->row_count; r++) {
        bool has_fault = rows->faults && rows->faults[r].len;
        for (size_t c = 0; c < rows->column_count; c++) {
            const struct pst_cell *cell = &rows->cells[r * rows->stride + c];
            if (!has_fault && cell->text.len)
                assert_true(pst_utf8_valid(cell->text, NULL) &&
                            !memchr(cell->text.ptr, '\0', cell->text.len));
        }
    }
}

static void damaged_answers_give_an_error_or_clean_rows(void **state)
{
    (void)state;
    static const char PIECES[] = "{}[],:\"\\\0\x01\xff\xc3u0dnt.-9e \n";
    uint64_t random = 20261124;
    for (int round = 0; round < 20000; round++) {
        const char *source = GOOD[next_random(&random) % PST_COUNT(GOOD)].body;
        struct pst_err err;
        struct pst_ps_rows rows = {.arena = arena};
        size_t added = 0;
        pst_arena_reset(arena);
        pst_str body = body_of(source, strlen(source));
        char *bytes = (char *)(uintptr_t)body.ptr;
        for (uint64_t hits = 1 + next_random(&random) % 4; hits > 0; hits--)
            bytes[next_random(&random) % body.len] =
                PIECES[next_random(&random) % (sizeof(PIECES) - 1)];
        if (next_random(&random) % 4 == 0) {
            body.len = next_random(&random) % body.len;
            memset(bytes + body.len, 0, PST_HTTP_PADDING);
        }
        pst_code code = pst_ps_rows_read(&rows, body, &added, &err);
        if (code == PST_OK)
            check_cells(&rows);
        else if (code != PST_E_SYSTEM && code != PST_E_UNREACHABLE)
            fail_msg("round %d: %s: %s", round, pst_code_name(code), err.msg);
    }
}

/* A damaged or good body the quick way and the tolerant one; whether the quick way took it. */
static bool both_ways_agree(pst_str body, const char *what)
{
    static char quick_text[8192];
    static char tolerant_text[8192];
    struct pst_err err;
    struct pst_ps_rows quick = {.arena = arena};
    struct pst_ps_rows tolerant = {.arena = arena};
    bool is_done = false;
    pst_str copy = body_of(body.ptr, body.len);
    assert_ok(pst_ps_rows_scan(&quick, body, &is_done, &err));
    if (memcmp(body.ptr, copy.ptr, body.len) != 0)
        fail_msg("%s: the body was changed", what);
    if (!is_done) {
        assert_int_equal(quick.row_count, 0);
        return false;
    }
    if (pst_ps_rows_parse(&tolerant, copy, &err) != PST_OK)
        fail_msg("%s: read, but %s", what, err.msg);
    render(&quick, quick_text, sizeof(quick_text));
    render(&tolerant, tolerant_text, sizeof(tolerant_text));
    assert_string_equal(quick_text, tolerant_text);
    return true;
}

static void the_quick_way_gives_what_the_tolerant_one_gives(void **state)
{
    (void)state;
    static const char *const QUICK[] = {
        OK_OPEN "[{\"attr:rownumber\":1,\"A.X\":\"1\",\"A.Y\":2.50}]" OK_CLOSE,
        " { \"data\" : { \"query\" : {\"rows\":[ {\"X\" : \"a\"} , {\"X\":null} ] } } }\r\n",
        OK_OPEN "[{\"X\":\"\",\"Y\":true,\"Z\":-1.5E+3},{\"X\":\"b\",\"Z\":0},{\"Z\":1}]" OK_CLOSE,
        OK_OPEN "[{\"X\":\"a\\\"b\\\\c\\/\\u00e9\\u20ac\\n\\r\\t end\"}]" OK_CLOSE,
        OK_OPEN "[{\"X\":\"0123456789\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 and on\"}]" OK_CLOSE,
        OK_OPEN "[]" OK_CLOSE,
        /* rows that leave out what is blank */
        OK_OPEN
        "[{\"X\":\"1\"},{\"W\":1,\"X\":\"2\",\"Y\":\"3\"},{\"Y\":\"4\"},{\"W\":5,\"X\":6,\"Y\":7},"
        "{\"V\":0,\"Y\":8,\"Z\":9}]" OK_CLOSE,
        OK_OPEN "[{\"X\":\"1\",\"Y\":\"2\"},{\"Y\":\"4\",\"X\":\"3\"}]" OK_CLOSE,
    };
    uint64_t random = 7;
    int taken = 0;
    for (size_t i = 0; i < PST_COUNT(QUICK); i++)
        if (!both_ways_agree(body_of(QUICK[i], strlen(QUICK[i])), QUICK[i]))
            fail_msg("not read the quick way: %s", QUICK[i]);
    for (size_t i = 0; i < PST_COUNT(GOOD); i++)
        (void)both_ways_agree(body_of(GOOD[i].body, strlen(GOOD[i].body)), GOOD[i].what);
    for (int round = 0; round < 20000; round++) {
        static const char PIECES[] = "{}[],:\"\\\0\x01\xff\xc3u0dnt.-9e \n";
        const char *source = round % 2 ? GOOD[next_random(&random) % PST_COUNT(GOOD)].body
                                       : QUICK[next_random(&random) % PST_COUNT(QUICK)];
        pst_arena_reset(arena);
        pst_str body = body_of(source, strlen(source));
        for (uint64_t hits = 1 + next_random(&random) % 2; hits > 0; hits--)
            ((char *)(uintptr_t)body.ptr)[next_random(&random) % body.len] =
                PIECES[next_random(&random) % (sizeof(PIECES) - 1)];
        taken += both_ways_agree(body, source);
    }
    assert_in_range(taken, 1000, 18000); /* the comparison compared something */
}

static void failed_allocations_are_reported_and_leave_nothing_behind(void **state)
{
    (void)state;
    static const char BODY[] =
        OK_OPEN "[{\"X\":\"a\n\",\"Y\":\"\xff\"},{\"X\":\"b\",\"Z\":1}]" OK_CLOSE;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_arena *own = NULL;
        struct pst_ps_rows rows = {0};
        size_t added = 0;
        char *copy = NULL;
        int64_t live = pst_alloc_live();
        pst_code code = pst_arena_new(&own, 1 << 20, &err);
        if (code == PST_OK)
            code = pst_arena_alloc(own, &copy, sizeof(BODY) + PST_HTTP_PADDING, &err);
        if (code == PST_OK) {
            memcpy(copy, BODY, sizeof(BODY) - 1);
            rows.arena = own;
            code = pst_ps_rows_read(&rows, (pst_str){copy, sizeof(BODY) - 1}, &added, &err);
        }
        assert_int_equal(code, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        pst_arena_free(own);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_a_good_answer_is_read),
        cmocka_unit_test(broken_answers_are_never_rows),
        cmocka_unit_test(an_answer_cut_at_any_byte_is_retried),
        cmocka_unit_test(rows_of_several_answers_stand_in_one_table),
        cmocka_unit_test(deep_nesting_is_refused_quickly),
        cmocka_unit_test(more_columns_than_a_query_has_are_refused),
        cmocka_unit_test(damaged_answers_give_an_error_or_clean_rows),
        cmocka_unit_test(the_quick_way_gives_what_the_tolerant_one_gives),
        cmocka_unit_test(failed_allocations_are_reported_and_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
