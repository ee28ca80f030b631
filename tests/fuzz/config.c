/* tests/fuzz/config.c: the server's options from a file, the environment and arguments. The input
 * is the file's text, then a NUL, then lines: those with a '=' in capitals are the environment,
 * the others arguments. */
#include "codec/json.h"
#include "config/options.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 16 << 20, LINES = 32 };

static void check_values(const struct pst_config *c)
{
    struct pst_err err;
    struct pst_buf b;
    yyjson_doc *doc = NULL;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    pst_buf_init(&b, ARENA_BYTES);
    pst_config_values_json(c, &b);
    FUZZ_OK(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
    pst_buf_fini(&b);
    for (size_t i = 0; i < pst_options.count; i++) {
        const struct pst_config_option *o = &pst_options.options[i];
        bool is_number = o->type == PST_CONFIG_INT || o->type == PST_CONFIG_DURATION ||
                         o->type == PST_CONFIG_SIZE;
        if (is_number && (o->min || o->max))
            FUZZ_REQUIRE(pst_config_int(c, i) >= o->min && pst_config_int(c, i) <= o->max);
    }
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    const char *env[LINES + 1] = {NULL};
    const char *args[LINES + 1] = {NULL};
    size_t env_count = 0;
    size_t arg_count = 0;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    pst_str rest = bytes;
    pst_str file = pst_str_split(&rest, '\0');
    while (rest.len && env_count < LINES && arg_count < LINES) {
        pst_str line = pst_str_split(&rest, '\n');
        pst_str text = {NULL, 0};
        FUZZ_OK(pst_arena_printf(a, &text, &err, "%.*s", PST_STR_ARG(line)));
        if (pst_str_starts(text, PST_STR("PENSTOCK_")))
            env[env_count++] = text.ptr;
        else
            args[arg_count++] = text.ptr;
    }
    struct pst_config *config = NULL;
    const struct pst_config_input input = {.file_name = "penstock.yaml",
                                           .file_text = file,
                                           .env = env,
                                           .args = args,
                                           .arg_count = arg_count,
                                           .max_words = 2};
    if (pst_config_load(&config, &pst_options, &input, &err) == PST_OK)
        check_values(config);
    else
        FUZZ_REQUIRE(err.msg[0]);
    pst_config_unref(config);
}
