/* YAML, percent-encoding, source ids, base64, compression. */
#include "tests/unit/test.h"

#include <yaml.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/base64.h"
#include "codec/html.h"
#include "codec/percent.h"
#include "codec/yaml.h"
#include "codec/zip.h"

static void yaml_becomes_json(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "null"},
        {"# nothing\n", "null"},
        {"a: 1\nb: [x, 'y', \"z\"]\nc: {d: ~, e: true, f: FALSE}\n",
         "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"],\"c\":{\"d\":null,\"e\":true,\"f\":false}}"},
        {"- yes\n- on\n- 2026-11-24\n- 1.2.3\n- '1'\n",
         "[\"yes\",\"on\",\"2026-11-24\",\"1.2.3\",\"1\"]"},
        {"x", "\"x\""},
        {"[12, 1E3, 1e-3, 1/2, 1:2, 0xFFFFFFFFFFFFFFFFF, 0o7]",
         "[12,1e3,1e-3,\"1/2\",\"1:2\",\"0xFFFFFFFFFFFFFFFFF\",7]"},
        {"[1.50, -2, +3, .5, 5., 1e3, 0x1F, 0o17, 0]", "[1.50,-2,3,0.5,5.0,1e3,31,15,0]"},
        {"1: one\n~: none\n", "{\"1\":\"one\",\"~\":\"none\"}"},
        {"t: |\n  two\n  lines\n", "{\"t\":\"two\\nlines\\n\"}"},
        {"a:\n", "{\"a\":null}"},
        {"[0x1g, 0o8, 0o, 0xFFFFFFFFFFFFFFFF, 1e+, .e1, +.5, -5.e-3, +, .]",
         "[\"0x1g\",\"0o8\",\"0o\",18446744073709551615,\"1e+\",\".e1\",0.5,-5.0e-3,\"+\",\".\"]"},
        {"[Null, NULL, True, TRUE, False, tRUE]", "[null,null,true,true,false,\"tRUE\"]"},
        {"x: 0x\ny: 0b1\nz: -x\nw: 1e\n", "{\"x\":\"0x\",\"y\":\"0b1\",\"z\":\"-x\",\"w\":\"1e\"}"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 10000);
        assert_ok(pst_yaml_to_json(pst_str_from(cases[i][0]), &b, &err));
        assert_str(pst_buf_str(&b), cases[i][1]);
    }
}

static void yaml_mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a: 1\na: 2\n", "line 2, column 1: 'a' stands twice"},
        {"a: &x 1\n", "anchors"},
        {"a: &x [1]\n", "anchors"},
        {"a: &x {b: 1}\n", "anchors"},
        {"a: *x\n", "aliases"},
        {"a: !!str 1\n", "tags"},
        {"a: 007\n", "leading zeros"},
        {"a: .inf\n", "infinity"},
        {"{[1]: 2}", "must be a scalar"},
        {"a: 1\n---\nb: 2\n", "second document"},
        {"a: [1\n", "line"},
        {"a: \"\xFF\"\n", "byte"},
        {"a: -.INF\n", "infinity"},
        {"a: .nan\n", "infinity"},
        {"a: -01.5\n", "leading zeros"},
        {"a: b: c\n", "line 1, column"},
        {"? {x: 1}\n: 2\n", "must be a scalar"},
        {"&x a: 1\n", "anchors"},
        {"a: !!seq [1]\n", "tags"},
        {"a: !!map {b: 1}\n", "tags"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 10000);
        assert_code(pst_yaml_to_json(pst_str_from(cases[i][0]), &b, &err), PST_E_INVALID);
        if (!strstr(err.msg, cases[i][1]))
            fail_msg("'%s' does not say '%s'", err.msg, cases[i][1]);
    }
}

static void yaml_limits_hold(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    char deep[PST_YAML_MAX_DEPTH * 2 + 3] = "";
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    memset(deep, '[', PST_YAML_MAX_DEPTH);
    memset(deep + PST_YAML_MAX_DEPTH, ']', PST_YAML_MAX_DEPTH);
    assert_ok(pst_yaml_read(pst_str_from(deep), a, &doc, &err));
    memset(deep, '[', PST_YAML_MAX_DEPTH + 1);
    memset(deep + PST_YAML_MAX_DEPTH + 1, ']', PST_YAML_MAX_DEPTH + 1);
    assert_code(pst_yaml_read(pst_str_from(deep), a, &doc, &err), PST_E_LIMIT);
    assert_code(pst_yaml_read((pst_str){deep, PST_YAML_MAX_BYTES + 1}, a, &doc, &err), PST_E_LIMIT);
}

static void yaml_survives_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        yyjson_doc *doc = NULL;
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = pst_yaml_read(PST_STR("a: {b: [1.5, x]}\nc: y\n"), a, &doc, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
    }
    assert_int_equal(pst_alloc_live(), live);
}

/* libyaml takes its memory from malloc, where the tests have no say: the linker puts these in
 * front of it (--wrap). */
static int yaml_calls_before_no_memory = -1;

static bool yaml_has_memory(void)
{
    return yaml_calls_before_no_memory < 0 || yaml_calls_before_no_memory-- > 0;
}

int __real_yaml_parser_initialize(yaml_parser_t *parser);
int __wrap_yaml_parser_initialize(yaml_parser_t *parser);
int __wrap_yaml_parser_initialize(yaml_parser_t *parser)
{
    return yaml_has_memory() ? __real_yaml_parser_initialize(parser) : 0;
}

int __real_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event)
{
    if (yaml_has_memory())
        return __real_yaml_parser_parse(parser, event);
    parser->error = YAML_MEMORY_ERROR;
    return 0;
}

static void yaml_without_memory_is_no_mistake_of_the_text(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    struct pst_err err;
    pst_code rc = PST_E_NO_MEMORY;
    int calls = 0;
    for (; rc != PST_OK; calls++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 10000);
        yaml_calls_before_no_memory = calls;
        rc = pst_yaml_to_json(PST_STR("a: {b: [1, x]}\n"), &b, &err);
        yaml_calls_before_no_memory = -1;
        if (rc != PST_OK)
            assert_code(rc, PST_E_NO_MEMORY);
        else
            assert_str(pst_buf_str(&b), "{\"a\":{\"b\":[1,\"x\"]}}");
    }
    assert_true(calls > 10);
    assert_int_equal(pst_alloc_live(), live);
}

static void percent_encoding_round_trips(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_str out;
    pst_buf_init(&b, 1000);
    assert_ok(pst_arena_new(&a, 1 << 16, &err));
    pst_percent_encode(&b, PST_STR("aZ9-._~ +%&#/\xC3\xA4"));
    assert_str(pst_buf_str(&b), "aZ9-._~%20%2B%25%26%23%2F%C3%A4");
    assert_ok(pst_percent_decode(a, &out, pst_buf_str(&b), false, &err));
    assert_str(out, "aZ9-._~ +%&#/\xC3\xA4");
    assert_ok(pst_percent_decode(a, &out, PST_STR("a+b%2f"), true, &err));
    assert_str(out, "a b/");
    assert_ok(pst_percent_decode(a, &out, PST_STR("a+b"), false, &err));
    assert_str(out, "a+b");
    assert_ok(pst_percent_decode(a, &out, PST_STR("a+b"), true, &err));
    assert_str(out, "a b");
    assert_ok(pst_percent_decode(a, &out, PST_STR("ab"), true, &err));
    assert_str(out, "ab");
    static const char *const bad[] = {"%",  "%2",  "a%2", "%2g", "%g2", "%00",
                                      "a%", "%G0", "%/0", "%:0", "%`0"};
    for (size_t i = 0; i < PST_COUNT(bad); i++)
        assert_code(pst_percent_decode(a, &out, pst_str_from(bad[i]), false, &err), PST_E_INVALID);
}

static void source_ids_join_and_split(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_str parts[3];
    size_t count = 0;
    pst_buf_init(&b, 1000);
    assert_ok(pst_arena_new(&a, 1 << 16, &err));
    pst_source_id_add(&b, PST_STR("US|01"), true);
    pst_source_id_add(&b, (pst_str){NULL, 0}, false);
    pst_source_id_add(&b, PST_STR("50% /\xC3\xA4"), false);
    assert_str(pst_buf_str(&b), "US%7C01||50%25 /\xC3\xA4");
    assert_ok(pst_source_id_split(a, pst_buf_str(&b), parts, 3, &count, &err));
    assert_int_equal(count, 3);
    assert_str(parts[0], "US|01");
    assert_str(parts[1], "");
    assert_str(parts[2], "50% /\xC3\xA4");
    assert_code(pst_source_id_split(a, pst_buf_str(&b), parts, 2, &count, &err), PST_E_INVALID);
    static const char *const bad[] = {"a%zz", "a%7c", "a%20", "a%", "a%2", "x|%7C%", "a%2|5"};
    for (size_t i = 0; i < PST_COUNT(bad); i++)
        assert_code(pst_source_id_split(a, pst_str_from(bad[i]), parts, 3, &count, &err),
                    PST_E_INVALID);
}

static void base64_round_trips_and_is_strict(void **state)
{
    (void)state;
    static const char *const vectors[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"\xFB\xFF", "+/8=", "-_8"},
    };
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    pst_str out;
    assert_ok(pst_arena_new(&a, 1 << 16, &err));
    for (size_t i = 0; i < PST_COUNT(vectors); i++) {
        for (int kind = 0; kind < 2; kind++) {
            PST_AUTO(buf) struct pst_buf b = {0};
            pst_buf_init(&b, 100);
            pst_base64_encode(&b, (enum pst_base64)kind, pst_str_from(vectors[i][0]));
            assert_true(pst_str_is(pst_buf_str(&b), vectors[i][1 + kind]));
            assert_ok(pst_base64_decode(a, &out, (enum pst_base64)kind,
                                        pst_str_from(vectors[i][1 + kind]), &err));
            assert_true(pst_str_is(out, vectors[i][0]));
        }
    }
    assert_code(pst_base64_decode(a, &out, PST_BASE64, (pst_str){"Zg\0v", 4}, &err), PST_E_INVALID);
    static const char *const bad[] = {
        "Zg", "Zg=", "Zg===", "Zh==", "Z===", "Zm9 ", "Zm-v", "Zm9v\n"};
    for (size_t i = 0; i < PST_COUNT(bad); i++)
        assert_code(pst_base64_decode(a, &out, PST_BASE64, pst_str_from(bad[i]), &err),
                    PST_E_INVALID);
    assert_code(pst_base64_decode(a, &out, PST_BASE64_URL, PST_STR("Z"), &err), PST_E_INVALID);
    assert_code(pst_base64_decode(a, &out, PST_BASE64_URL, PST_STR("Zg=="), &err), PST_E_INVALID);
}

static void text_survives_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        pst_str out;
        pst_str parts[2];
        size_t count = 0;
        static char long_text[9000];
        memset(long_text, 'A', 8000);
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = pst_base64_decode(a, &out, PST_BASE64, (pst_str){long_text, 8000}, &err);
        memcpy(long_text + 8000, "%25", 3);
        if (rc == PST_OK)
            rc = pst_percent_decode(a, &out, (pst_str){long_text, 8003}, false, &err);
        if (rc == PST_OK)
            rc = pst_source_id_split(a, (pst_str){long_text, 8003}, parts, 2, &count, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        assert_true(rc != PST_OK || (count == 1 && parts[0].len == 8001));
    }
    assert_int_equal(pst_alloc_live(), live);
}

/* zstd likewise. */
static int zstd_calls_before_no_memory = -1;

static bool zstd_has_memory(void)
{
    return zstd_calls_before_no_memory < 0 || zstd_calls_before_no_memory-- > 0;
}

#define WITHOUT_MEMORY(type, name, refusal, params, arguments)                                     \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return zstd_has_memory() ? __real_##name arguments : (refusal);                            \
    }
WITHOUT_MEMORY(ZSTD_CCtx *, ZSTD_createCCtx, NULL, (void), ())
WITHOUT_MEMORY(ZSTD_DCtx *, ZSTD_createDCtx, NULL, (void), ())
WITHOUT_MEMORY(ZSTD_CDict *, ZSTD_createCDict, NULL, (const void *bytes, size_t len, int level),
               (bytes, len, level))
WITHOUT_MEMORY(ZSTD_DDict *, ZSTD_createDDict, NULL, (const void *bytes, size_t len), (bytes, len))
WITHOUT_MEMORY(size_t, ZSTD_compressCCtx, (size_t)-ZSTD_error_memory_allocation,
               (ZSTD_CCtx * z, void *out, size_t room, const void *bytes, size_t len, int level),
               (z, out, room, bytes, len, level))

static pst_code use_compression(pst_str dict, struct pst_err *err)
{
    PST_AUTO(zip) struct pst_zip *z = NULL;
    PST_AUTO(zip_dict) struct pst_zip_dict *d = NULL;
    PST_AUTO(buf) struct pst_buf frame = {0};
    pst_buf_init(&frame, 1000);
    PST_TRY(pst_zip_new(&z, 1, err));
    PST_TRY(pst_zip_dict_new(&d, dict, 1, err));
    PST_TRY(pst_zip_compress(z, NULL, PST_STR("text"), &frame, err));
    PST_TRY(pst_zip_compress(z, d, PST_STR("text"), &frame, err));
    return PST_OK;
}

static pst_code train(struct pst_buf *dict, struct pst_err *err)
{
    static char texts[500][32];
    pst_str samples[500];
    for (int i = 0; i < 500; i++) {
        int n = snprintf(texts[i], sizeof(texts[i]), "[{\"A.VENDOR_ID\":\"%08d\"}]", i * 7919);
        samples[i] = (pst_str){texts[i], (size_t)n};
    }
    return pst_zip_train(samples, PST_COUNT(samples), 2048, dict, err);
}

static void compression_survives_every_allocation_fault(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf dict = {0};
    int64_t live = pst_alloc_live();
    pst_buf_init(&dict, 1 << 16);
    FOR_EACH_ALLOC_FAULT(i)
    {
        pst_buf_fini(&dict);
        pst_code rc = train(&dict, &err);
        if (rc == PST_OK)
            rc = use_compression(pst_buf_str(&dict), &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
    }
    int calls = 0;
    for (pst_code rc = PST_E_NO_MEMORY; rc != PST_OK; calls++) {
        zstd_calls_before_no_memory = calls;
        rc = use_compression(pst_buf_str(&dict), &err);
        zstd_calls_before_no_memory = -1;
        assert_true(rc == PST_OK || rc == PST_E_NO_MEMORY);
    }
    assert_int_equal(calls, 6); /* five can fail */
    pst_buf_fini(&dict);
    assert_int_equal(pst_alloc_live(), live);
}

static void frames_round_trip_with_and_without_a_dictionary(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(zip) struct pst_zip *z = NULL;
    PST_AUTO(zip_dict) struct pst_zip_dict *d = NULL;
    PST_AUTO(buf) struct pst_buf dict = {0};
    PST_AUTO(buf) struct pst_buf frame = {0};
    PST_AUTO(buf) struct pst_buf back = {0};
    static char texts[500][200];
    pst_str samples[500];
    pst_buf_init(&dict, 1 << 16);
    pst_buf_init(&frame, 1 << 16);
    pst_buf_init(&back, 1 << 16);
    for (int i = 0; i < 500; i++) {
        int n =
            snprintf(texts[i], sizeof(texts[i]),
                     "[{\"A.SETID\":\"SHARE\",\"A.VENDOR_ID\":\"%010d\",\"A.NAME1\":\"Name %d\","
                     "\"A.CITY\":\"City %x\"}]",
                     i, i * 7919, i * 104729);
        samples[i] = (pst_str){texts[i], (size_t)n};
    }
    assert_ok(pst_zip_new(&z, 3, &err));
    assert_ok(pst_zip_train(samples, 500, 4096, &dict, &err));
    assert_ok(pst_zip_dict_new(&d, pst_buf_str(&dict), 3, &err));
    assert_ok(pst_zip_compress(z, NULL, samples[7], &frame, &err));
    size_t plain = frame.len;
    assert_int_equal(pst_zip_frame_dict_id(pst_buf_str(&frame)), 0);
    assert_ok(pst_zip_decompress(z, NULL, pst_buf_str(&frame), 1000, &back, &err));
    assert_true(pst_str_eq(pst_buf_str(&back), samples[7]));
    assert_code(pst_zip_decompress(z, d, pst_buf_str(&frame), 1000, &back, &err), PST_E_CORRUPT);
    pst_buf_reset(&frame);
    pst_buf_reset(&back);
    assert_ok(pst_zip_compress(z, d, samples[7], &frame, &err));
    assert_true(frame.len < plain);
    assert_int_equal(pst_zip_frame_dict_id(pst_buf_str(&frame)), pst_zip_dict_id(d));
    assert_ok(pst_zip_decompress(z, d, pst_buf_str(&frame), samples[7].len, &back, &err));
    assert_true(pst_str_eq(pst_buf_str(&back), samples[7]));
    assert_code(pst_zip_decompress(z, d, pst_buf_str(&frame), samples[7].len - 1, &back, &err),
                PST_E_LIMIT);
    assert_code(pst_zip_decompress(z, NULL, pst_buf_str(&frame), 1000, &back, &err), PST_E_CORRUPT);
    frame.ptr[frame.len - 1] ^= 0x55;
    frame.len--;
    assert_code(pst_zip_decompress(z, d, pst_buf_str(&frame), 1000, &back, &err), PST_E_CORRUPT);
    assert_code(pst_zip_decompress(z, NULL, PST_STR("not a frame"), 1000, &back, &err),
                PST_E_CORRUPT);
    /* A frame as streams write it: without its size. */
    assert_code(pst_zip_decompress(z, NULL, PST_STR("\x28\xB5\x2F\xFD\x00\x00\x01\x00\x00"), 1000,
                                   &back, &err),
                PST_E_CORRUPT);
    assert_code(pst_zip_dict_new(&d, PST_STR("no"), 3, &err), PST_E_INVALID);
    assert_code(pst_zip_train(samples, 2, 4096, &dict, &err), PST_E_INVALID);
    pst_zip_free(NULL);
    pst_zip_dict_free(NULL);
}

static void compression_keeps_to_the_buffers_maximum(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(zip) struct pst_zip *z = NULL;
    PST_AUTO(buf) struct pst_buf small = {0};
    char bytes[100];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7919 % 251);
    pst_buf_init(&small, 64);
    assert_ok(pst_zip_new(&z, 1, &err));
    assert_code(pst_zip_compress(z, NULL, (pst_str){bytes, sizeof(bytes)}, &small, &err),
                PST_E_LIMIT);
    memset(bytes, 'x', sizeof(bytes));
    pst_buf_reset(&small);
    assert_ok(pst_zip_compress(z, NULL, (pst_str){bytes, sizeof(bytes)}, &small, &err));

    PST_AUTO(buf) struct pst_buf back = {0};
    pst_buf_init(&back, sizeof(bytes) - 1);
    assert_code(pst_zip_decompress(z, NULL, pst_buf_str(&small), 1000, &back, &err), PST_E_LIMIT);
    pst_buf_reset(&back);
    assert_code(pst_zip_train(NULL, 0, sizeof(bytes) - 1, &back, &err), PST_E_INVALID);
    pst_str sample = {bytes, sizeof(bytes)};
    assert_code(pst_zip_train(&sample, 1, 4096, &back, &err), PST_E_LIMIT);
    assert_code(pst_zip_compress(z, NULL, sample, &back, &err), PST_E_LIMIT);
    pst_alloc_fail_at(0);
    assert_code(pst_zip_new(&z, 1, &err), PST_E_NO_MEMORY);
    pst_alloc_fail_at(-1);
}

static void html_shows_text_as_it_is(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 200);
    pst_html_add(&b, PST_STR("<a href=\"x\">R&D 'it'</a>"));
    pst_html_add(&b, PST_STR(""));
    assert_str(pst_buf_str(&b), "&lt;a href=&quot;x&quot;&gt;R&amp;D 'it'&lt;/a&gt;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_becomes_json),
        cmocka_unit_test(yaml_mistakes_are_told_with_their_place),
        cmocka_unit_test(yaml_limits_hold),
        cmocka_unit_test(yaml_survives_every_allocation_fault),
        cmocka_unit_test(yaml_without_memory_is_no_mistake_of_the_text),
        cmocka_unit_test(text_survives_every_allocation_fault),
        cmocka_unit_test(compression_survives_every_allocation_fault),
        cmocka_unit_test(percent_encoding_round_trips),
        cmocka_unit_test(source_ids_join_and_split),
        cmocka_unit_test(html_shows_text_as_it_is),
        cmocka_unit_test(base64_round_trips_and_is_strict),
        cmocka_unit_test(frames_round_trip_with_and_without_a_dictionary),
        cmocka_unit_test(compression_keeps_to_the_buffers_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
