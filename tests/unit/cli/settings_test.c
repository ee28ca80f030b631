/* Flags of a connection to the JSON of a request. */
#include "tests/unit/test.h"

#include "cli/settings.h"
#include "crypto/crypto.h"

PST_CLI_TABLE(table, PST_SETTINGS_OPTIONS);

static pst_code build(const char *const *args, const char *const *env, struct pst_buf *out,
                      struct pst_err *err)
{
    struct pst_cli cli = {0};
    struct pst_config_input in = {.args = args, .env = env};
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(config) struct pst_config *config = NULL;
    struct pst_json_writer w;
    while (args[in.arg_count])
        in.arg_count++;
    PST_TRY(pst_arena_new(&arena, 1 << 20, err));
    PST_TRY(pst_config_load(&config, &table, &in, err));
    cli.options = config;
    cli.arena = arena;
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    PST_TRY(pst_settings_put(&cli, &w, PST_SETTINGS_CHANGE, err));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void only_what_was_given_is_sent(void **state)
{
    (void)state;
    static const struct {
        const char *const args[8];
        const char *json;
    } cases[] = {
        {{NULL}, "{}"},
        {{"--name", "acme", "-s", "5m"}, "{\"name\":\"acme\",\"schedule\":\"5m\"}"},
        {{"--base-url", "https://ps", "--set", "node=HR"},
         "{\"config\":{\"base_url\":\"https://ps\",\"node\":\"HR\"}}"},
        {{"--set", "page_size:=500", "--set", "tls_verify:=false"},
         "{\"config\":{\"page_size\":500,\"tls_verify\":false}}"},
        {{"--set", "business_units:=[\"US001\",\"US002\"]", "--set", "node=A"},
         "{\"config\":{\"business_units\":[\"US001\",\"US002\"],\"node\":\"A\"}}"},
        {{"--set", "columns:={\"a\":{\"b\":\"c,]\"}}"},
         "{\"config\":{\"columns\":{\"a\":{\"b\":\"c,]\"}}}}"},
        {{"--history-days", "0", "-e", "items,suppliers"},
         "{\"history_days\":0,\"entities\":[\"items\",\"suppliers\"]}"},
        {{"-m", "crm=77"}, "{\"metadata\":{\"crm\":\"77\"}}"},
        {{"-m", "town=Berlin, Mitte", "-m", "a=1"},
         "{\"metadata\":{\"town\":\"Berlin, Mitte\",\"a\":\"1\"}}"},
        {{"-u", "PSAPI"}, "{\"credentials\":{\"username\":\"PSAPI\"}}"},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 1 << 16);
        assert_ok(build(cases[i].args, NULL, &b, &err));
        assert_str(pst_buf_str(&b), cases[i].json);
    }
}

static void a_password_comes_from_the_environment_or_a_file(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 16);
    assert_ok(build(ARGS("-u", "U"), ARGS("PENSTOCK_PASSWORD=from-env"), &b, &err));
    assert_str(pst_buf_str(&b), "{\"credentials\":{\"username\":\"U\",\"password\":\"from-env\"}}");

    char path[] = "/tmp/pst_settings_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_true(fputs("from-file\r\nsecond line\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    pst_buf_reset(&b);
    assert_ok(build(ARGS("--password-file", path), ARGS("PENSTOCK_PASSWORD=from-env"), &b, &err));
    assert_str(pst_buf_str(&b), "{\"credentials\":{\"password\":\"from-file\"}}");
    assert_int_equal(remove(path), 0);

    pst_buf_reset(&b);
    assert_code(build(ARGS("--password", "x"), NULL, &b, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "PENSTOCK_PASSWORD"));
}

static void what_is_not_key_and_value_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"plain", "=x", ":=1", "a:=[1", "a:=nonsense"};
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(bad); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 1 << 16);
        assert_code(build(ARGS("--set", bad[i]), NULL, &b, &err), PST_E_INVALID);
    }
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 16);
    assert_code(build(ARGS("--history-days", "many"), NULL, &b, &err), PST_E_INVALID);
    assert_string_equal(err.param, "history_days");
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_given_is_sent),
        cmocka_unit_test(a_password_comes_from_the_environment_or_a_file),
        cmocka_unit_test(what_is_not_key_and_value_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
