/* tests/unit/connector/connector_test.c: manifests that are taken and refused, options of every
 * type, the registry. */
#include "../test.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "codec/json.h"
#include "connector/connector.h"

#define HEAD "name: demo\ntitle: Demo\ncredits: 1\n"
#define STREAMS "streams:\n  items: {windowed: false}\n"

static pst_code load(struct pst_manifest **out, const char *yaml, struct pst_err *err)
{
    const struct pst_connector_ops ops = {
        .name = "demo", .manifest_yaml = yaml, .manifest_len = strlen(yaml)};
    return pst_manifest_new(out, &ops, err);
}

static void a_manifest_is_read(void **state)
{
    (void)state;
    struct pst_manifest *m = NULL;
    struct pst_err err;
    assert_ok(load(&m,
                   "name: demo\ntitle: Demo system\ndescription: d\ncredits: 4\n"
                   "adapter: {clock: C}\n"
                   "options:\n"
                   "  url: {type: url, title: Address, required: true, help: h, example: e}\n"
                   "  token: {type: string, title: Token, credential: true, secret: true}\n"
                   "  mode: {type: enum, title: Mode, values: [a, b], default: b}\n"
                   "streams:\n"
                   "  items: {windowed: false, stamp: {column: S, type: date}, query: Q,"
                   " effective_dated: true}\n"
                   "  purchase_orders: {windowed: true, stamp: {column: T, type: datetime}}\n"
                   "  work_orders: {}\n",
                   &err));
    assert_str(m->title, "Demo system");
    assert_int_equal(m->credits, 4);
    assert_int_equal(m->option_count, 3);
    assert_true(m->options[0].is_required);
    assert_true(m->options[1].is_secret && m->options[1].is_credential);
    assert_int_equal(m->options[2].type, PST_OPTION_ENUM);
    assert_non_null(pst_json_get(m->adapter, PST_STR("clock")));
    assert_int_equal(m->stream_count, 3);
    const struct pst_stream *s = pst_manifest_stream(m, PST_STR("items"));
    assert_true(s->has_stamp && s->date_only && s->effective_dated && !s->windowed);
    assert_string_equal(s->entity->name, "items");
    assert_non_null(pst_json_get(s->manifest, PST_STR("query")));
    s = pst_manifest_stream(m, PST_STR("purchase_orders"));
    assert_true(s->has_stamp && !s->date_only && !s->effective_dated && s->windowed);
    assert_false(pst_manifest_stream(m, PST_STR("work_orders"))->has_stamp);
    assert_null(pst_manifest_stream(m, PST_STR("suppliers")));
    pst_manifest_free(m);
    pst_manifest_free(NULL);
}

static void wrong_manifests_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } CASES[] = {
        {"", "manifest of 'demo'"},
        {"[", "line"},
        {"name: other\ntitle: x\ncredits: 1\n" STREAMS, "'other' is not the adapter's"},
        {"name: demo\ncredits: 1\n" STREAMS, "title"},
        {"name: demo\ntitle: x\n" STREAMS, "credits"},
        {"name: demo\ntitle: x\ncredits: 3\n" STREAMS, "credits"},
        {"name: demo\ntitle: x\ncredits: 5\n" STREAMS, "credits"},
        {HEAD, "streams"},
        {HEAD "streams: {}\n", "streams"},
        {HEAD "streams: {nonsense: {}}\n", "streams.nonsense: no entity"},
        {HEAD "streams: {items: 7}\n", "streams.items"},
        {HEAD "streams: {items: {windowed: true}}\n", "streams.items: windowed"},
        {HEAD "streams: {items: {stamp: {column: S, type: time}}}\n", "stamp.type"},
        {HEAD "extra: 1\n" STREAMS, "extra"},
        {HEAD "options: {o: {type: strng, title: t}}\n" STREAMS, "options.o: type: 'strng'"},
        {HEAD "options: {o: {type: string}}\n" STREAMS, "title"},
        {HEAD "options: {o: {type: string, title: t, sceret: true}}\n" STREAMS, "sceret"},
        {HEAD "options: {o: {type: string, title: t, secret: true}}\n" STREAMS, "credential"},
        {HEAD "options: {o: {type: enum, title: t}}\n" STREAMS, "values"},
        {HEAD "options: {o: {type: string, title: t, values: [a]}}\n" STREAMS, "values"},
        {HEAD "options: {o: {type: string, title: t, pattern: x}}\n" STREAMS, "pattern"},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_manifest *m = NULL;
        struct pst_err err = {0};
        pst_code code = load(&m, CASES[i].yaml, &err);
        if (code != PST_E_INVALID || !strstr(err.msg, CASES[i].says) || m)
            fail_msg("case %zu: %s: %s", i, pst_code_name(code), err.msg);
    }
}

static const char OPTIONS[] =
    HEAD "options:\n"
         "  str: {type: string, title: t}\n"
         "  must: {type: string, title: Must be there, required: true}\n"
         "  word: {type: string, title: t, pattern: name, default: W}\n"
         "  text: {type: text, title: t}\n"
         "  url: {type: url, title: t}\n"
         "  zone: {type: timezone, title: t, default: UTC}\n"
         "  mode: {type: enum, title: t, values: [a, b], default: b}\n"
         "  num: {type: integer, title: t, min: 10, max: 20, default: 15}\n"
         "  time: {type: duration, title: t, min: 1000, max: 60000, default: 30s}\n"
         "  flag: {type: boolean, title: t, default: true}\n"
         "  list: {type: list, title: t}\n"
         "  map: {type: map, title: t}\n"
         "  maps: {type: map_of_maps, title: t}\n"
         "  user: {type: string, title: t, credential: true, required: true}\n" STREAMS;

static yyjson_val *json(struct pst_arena *arena, const char *text)
{
    struct pst_err err;
    yyjson_doc *doc = NULL;
    assert_ok(pst_json_read(pst_str_from(text), NULL, arena, &doc, &err));
    return yyjson_doc_get_root(doc);
}

static void every_type_of_option_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *value; /* member beside "must" */
        const char *param; /* NULL = good */
    } CASES[] = {
        {"\"str\":\"x\"", NULL},
        {"\"str\":\"\"", NULL},
        {"\"str\":null", NULL},
        {"\"str\":7", "config.str"},
        {"\"str\":\"a\\nb\"", "config.str"},
        {"\"str\":\"a\\u0000b\"", "config.str"},
        {"\"word\":\"PSFT_EP9\"", NULL},
        {"\"word\":\"a/b\"", "config.word"},
        {"\"word\":\"\"", "config.word"},
        {"\"text\":\"a\\nb\"", NULL},
        {"\"url\":\"https://h:8443/x\"", NULL},
        {"\"url\":\"h\"", "config.url"},
        {"\"url\":\"https://u:p@h\"", "config.url"},
        {"\"url\":\"https://h/#x\"", "config.url"},
        {"\"zone\":\"America/New_York\"", NULL},
        {"\"zone\":\"Etc/GMT+5\"", NULL},
        {"\"zone\":\"../etc/passwd\"", "config.zone"},
        {"\"zone\":\"America/NewYork\"", "config.zone"},
        {"\"mode\":\"a\"", NULL},
        {"\"mode\":\"A\"", "config.mode"},
        {"\"num\":10", NULL},
        {"\"num\":20", NULL},
        {"\"num\":9", "config.num"},
        {"\"num\":21", "config.num"},
        {"\"num\":15.5", "config.num"},
        {"\"num\":\"15\"", "config.num"},
        {"\"time\":\"1s\"", NULL},
        {"\"time\":60", NULL},
        {"\"time\":\"999ms\"", "config.time"},
        {"\"time\":\"2m\"", "config.time"},
        {"\"time\":\"soon\"", "config.time"},
        {"\"flag\":false", NULL},
        {"\"flag\":\"false\"", "config.flag"},
        {"\"list\":[]", NULL},
        {"\"list\":[\"a\",\"b\"]", NULL},
        {"\"list\":[\"\"]", "config.list"},
        {"\"list\":[1]", "config.list"},
        {"\"list\":\"a\"", "config.list"},
        {"\"map\":{\"a\":\"b\"}", NULL},
        {"\"map\":{\"a\":1}", "config.map"},
        {"\"map\":[]", "config.map"},
        {"\"maps\":{\"a\":{\"b\":\"c\"}}", NULL},
        {"\"maps\":{\"a\":\"b\"}", "config.maps"},
        {"\"user\":\"u\"", "config.user"},
        {"\"other\":1", "config.other"},
    };
    struct pst_manifest *m = NULL;
    struct pst_arena *arena = NULL;
    struct pst_err err;
    assert_ok(load(&m, OPTIONS, &err));
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    yyjson_val *credentials = json(arena, "{\"user\":\"u\"}");
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "{\"must\":\"m\",%s}", CASES[i].value);
        pst_code code = pst_manifest_check(m, json(arena, text), credentials, &err);
        bool is_good = CASES[i].param == NULL;
        if (is_good != (code == PST_OK) || (!is_good && strcmp(err.param, CASES[i].param) != 0))
            fail_msg("%s: %s, %s: %s", CASES[i].value, pst_code_name(code), err.param, err.msg);
    }
    pst_arena_free(arena);
    pst_manifest_free(m);
}

static void required_options_and_both_places_are_checked(void **state)
{
    (void)state;
    struct pst_manifest *m = NULL;
    struct pst_arena *arena = NULL;
    struct pst_err err;
    assert_ok(load(&m, OPTIONS, &err));
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    yyjson_val *good = json(arena, "{\"must\":\"m\"}");
    assert_ok(pst_manifest_check(m, good, NULL, &err));
    assert_ok(pst_manifest_check(m, NULL, NULL, &err));
    static const struct {
        const char *config, *credentials, *param, *says;
    } CASES[] = {
        {"{}", NULL, "config.must", "is missing (Must be there)"},
        {"{\"must\":null}", NULL, "config.must", "is missing"},
        {"{\"must\":\"  \"}", NULL, "config.must", "empty"},
        {"[]", NULL, "config", "must be an object"},
        {NULL, "{}", "credentials.user", "is missing"},
        {NULL, "{\"must\":\"m\",\"user\":\"u\"}", "credentials.must", "no such option"},
        {NULL, "\"u\"", "credentials", "must be an object"},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        yyjson_val *config = CASES[i].config ? json(arena, CASES[i].config) : NULL;
        yyjson_val *credentials = CASES[i].credentials ? json(arena, CASES[i].credentials) : NULL;
        assert_int_equal(pst_manifest_check(m, config, credentials, &err), PST_E_INVALID);
        assert_string_equal(err.param, CASES[i].param);
        assert_non_null(strstr(err.msg, CASES[i].says));
    }
    pst_arena_free(arena);
    pst_manifest_free(m);
}

static void values_come_from_the_connection_or_the_default(void **state)
{
    (void)state;
    struct pst_manifest *m = NULL;
    struct pst_arena *arena = NULL;
    struct pst_err err;
    assert_ok(load(&m, OPTIONS, &err));
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    yyjson_val *given =
        json(arena, "{\"word\":\"X\",\"num\":12,\"time\":2,\"flag\":false,\"mode\":null}");
    assert_str(pst_option_str(m, given, "word"), "X");
    assert_str(pst_option_str(m, NULL, "word"), "W");
    assert_str(pst_option_str(m, given, "mode"), "b");
    assert_int_equal(pst_option_str(m, given, "str").len, 0);
    assert_int_equal(pst_option_i64(m, given, "num"), 12);
    assert_int_equal(pst_option_i64(m, NULL, "num"), 15);
    assert_int_equal(pst_option_ms(m, given, "time"), 2000);
    assert_int_equal(pst_option_ms(m, NULL, "time"), 30000);
    assert_false(pst_option_bool(m, given, "flag"));
    assert_true(pst_option_bool(m, NULL, "flag"));
    assert_int_equal(pst_option_i64(m, NULL, "nothing"), 0);
    pst_arena_free(arena);
    pst_manifest_free(m);
}

static void connectors_are_found_by_name(void **state)
{
    (void)state;
    const struct pst_connector_ops a = {.name = "a"};
    const struct pst_connector_ops b = {.name = "b"};
    const struct pst_connector_entry entries[] = {{&a, NULL}, {&b, NULL}};
    const struct pst_connectors all = {entries, 2};
    assert_ptr_equal(pst_connectors_find(&all, PST_STR("b")), &entries[1]);
    assert_null(pst_connectors_find(&all, PST_STR("c")));
}

static void failed_allocations_are_reported_and_nothing_leaks(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_manifest *m = NULL;
        struct pst_err err;
        int64_t live = pst_alloc_live();
        pst_code code = load(&m, OPTIONS, &err);
        assert_int_equal(code, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        pst_manifest_free(m);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_read),
        cmocka_unit_test(wrong_manifests_are_refused_with_the_place),
        cmocka_unit_test(every_type_of_option_is_checked),
        cmocka_unit_test(required_options_and_both_places_are_checked),
        cmocka_unit_test(values_come_from_the_connection_or_the_default),
        cmocka_unit_test(connectors_are_found_by_name),
        cmocka_unit_test(failed_allocations_are_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
