/* tests/unit/config/table.h: a small option table with every type, and loading it. */
#ifndef PST_TESTS_UNIT_CONFIG_TABLE_H
#define PST_TESTS_UNIT_CONFIG_TABLE_H

#include "tests/unit/test.h"

#include "config/config.h"

enum { NAME, ROWS, FAST, WAIT, CACHE, MODE, HOSTS, TOKEN, FORCE, ROW_COUNT };

static const struct pst_config_option rows[ROW_COUNT] = {
    [NAME] = {.name = "name",
              .letter = 'n',
              .type = PST_CONFIG_STRING,
              .value = "anon",
              .min = 2,
              .max = 8,
              .arg = "NAME",
              .group = "Service",
              .help = "Who it is."},
    [ROWS] = {.name = "page_rows",
              .letter = 'r',
              .type = PST_CONFIG_INT,
              .value = "10",
              .min = 1,
              .max = 100,
              .flags = PST_CONFIG_RELOADABLE,
              .arg = "N",
              .unit = "rows",
              .group = "Service",
              .help = "How many."},
    [FAST] = {.name = "fast",
              .letter = 'f',
              .type = PST_CONFIG_BOOL,
              .value = "false",
              .group = "Service",
              .help = "Be quick."},
    [WAIT] = {.name = "wait_time",
              .type = PST_CONFIG_DURATION,
              .value = "2s",
              .min = 100,
              .max = 60000,
              .arg = "TIME",
              .unit = "milliseconds",
              .group = "Limits",
              .help = "How long."},
    [CACHE] = {.name = "cache",
               .type = PST_CONFIG_SIZE,
               .value = "1MiB",
               .min = 1024,
               .max = 1048576,
               .arg = "SIZE",
               .unit = "bytes",
               .group = "Limits",
               .help = "How much."},
    [MODE] = {.name = "mode",
              .type = PST_CONFIG_ENUM,
              .value = "plain",
              .choices = "plain|loud|silent",
              .arg = "MODE",
              .group = "Limits",
              .help = "How."},
    [HOSTS] = {.name = "hosts",
               .type = PST_CONFIG_LIST,
               .value = "",
               .min = 0,
               .max = 3,
               .arg = "HOST,...",
               .group = "Limits",
               .help = "Where."},
    [TOKEN] = {.name = "token",
               .type = PST_CONFIG_STRING,
               .max = 40,
               .flags = PST_CONFIG_SECRET,
               .arg = "TOKEN",
               .group = "Limits",
               .help = "The secret."},
    [FORCE] = {.name = "force",
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .group = "Limits",
               .help = "Do it."},
};

static const struct pst_config_table table = {
    .program = "trial", .env_prefix = "TRIAL_", .options = rows, .count = ROW_COUNT};

/* Load from whichever sources are not NULL; args and env end in NULL, at most two words. */
static inline pst_code load(struct pst_config **out, const char *yaml, const char *const *env,
                            const char *const *args, struct pst_err *err)
{
    struct pst_config_input in = {.file_name = yaml ? "trial.yaml" : NULL,
                                  .file_text = pst_str_from(yaml),
                                  .env = env,
                                  .args = args,
                                  .max_words = 2};
    while (args && args[in.arg_count])
        in.arg_count++;
    return pst_config_load(out, &table, &in, err);
}

#define LIST(...) ((const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

#endif
