/* The command table is sound, and help and manual are whole. */
#include "tests/unit/test.h"

#include "cli/command.h"

static void every_command_explains_itself(void **state)
{
    (void)state;
    for (size_t i = 0; pst_commands[i]; i++) {
        const struct pst_command *c = pst_commands[i];
        assert_true(strlen(c->summary) > 10);
        assert_int_not_equal(c->summary[strlen(c->summary) - 1], '.');
        assert_non_null(c->run);
        assert_non_null(c->table);
        assert_true(c->min_words <= c->max_words);
        assert_int_equal(c->max_words == 0, c->words[0] == '\0');
        assert_non_null(c->examples);
        assert_non_null(c->examples[0].line);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(c->name, pst_commands[j]->name);
    }
}

static void options_of_a_command_have_help_and_do_not_clash(void **state)
{
    (void)state;
    struct pst_err err;
    for (size_t i = 0; pst_commands[i]; i++) {
        const struct pst_config_table *t = pst_commands[i]->table;
        struct pst_config_input in = {0};
        PST_AUTO(config) struct pst_config *config = NULL;
        assert_ok(pst_config_load(&config, t, &in, &err)); /* defaults are within bounds */
        for (size_t a = 0; a < t->count; a++) {
            const struct pst_config_option *o = &t->options[a];
            assert_int_equal(o->help[strlen(o->help) - 1], '.');
            assert_string_not_equal(o->name, "help");
            /* What the environment may say is the same for all commands, or a secret. */
            if (a >= PST_CLI_OWN && pst_commands[i] != &pst_command_serve)
                assert_int_not_equal(o->flags & (PST_CONFIG_FLAG_ONLY | PST_CONFIG_SECRET), 0);
            for (size_t b = 0; b < a; b++) {
                assert_string_not_equal(o->name, t->options[b].name);
                if (o->letter)
                    assert_int_not_equal(o->letter, t->options[b].letter);
            }
        }
    }
}

static void a_command_is_found_by_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *words[2];
        size_t count;
        const char *name; /* NULL: none */
        size_t taken;
    } cases[] = {
        {{"sync"}, 1, "sync", 1},
        {{"sync", "acme"}, 2, "sync", 1},
        {{"connections"}, 1, "connections", 1},
        {{"connections", "get"}, 2, "connections get", 2},
        {{"connections", "list"}, 2, "connections", 2},
        {{"keys", "list"}, 2, "keys", 2},
        {{"keys", "rotate-root"}, 2, "keys rotate-root", 2},
        {{"keys", "rotate-data"}, 2, "keys rotate-data", 2},
        {{"status", "list"}, 2, "status", 1}, /* a connection called list */
        {{"snyc"}, 1, NULL, 0},
        {{""}, 1, NULL, 0},
        {{NULL}, 0, NULL, 0},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        size_t taken = 0;
        const struct pst_command *c = pst_command_find(cases[i].words, cases[i].count, &taken);
        if (!cases[i].name) {
            assert_null(c);
            continue;
        }
        assert_non_null(c);
        assert_string_equal(c->name, cases[i].name);
        assert_int_equal(taken, cases[i].taken);
    }
}

static void assert_holds(void (*write)(struct pst_buf *), const char *const *texts)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 20);
    write(&b);
    assert_int_equal(b.fail, PST_OK);
    for (; *texts; texts++) {
        if (!strstr(b.ptr, *texts))
            fail_msg("'%s' is not in:\n%s", *texts, b.ptr);
    }
}

static void help_and_manual_name_everything(void **state)
{
    (void)state;
    static const char *const overview[] = {"penstock COMMAND", "  sync ", "  doctor ", NULL};
    static const char *const man[] = {".TH PENSTOCK 1",  ".SS penstock keys create",
                                      ".SH EXIT STATUS", "\\-\\-page\\-rows",
                                      "PENSTOCK_LISTEN", NULL};
    static const char *const markdown[] = {"# Commands", "## penstock connections update",
                                           "penstock sync acme --full", NULL};
    assert_holds(pst_help_overview, overview);
    assert_holds(pst_help_man, man);
    assert_holds(pst_help_markdown, markdown);
    for (size_t i = 0; pst_commands[i]; i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 1 << 20);
        pst_help_command(pst_commands[i], &b);
        assert_non_null(b.ptr);
        assert_non_null(strstr(b.ptr, "Usage: penstock "));
        assert_non_null(strstr(b.ptr, pst_commands[i]->examples[0].line));
        pst_str left = pst_buf_str(&b);
        while (left.ptr) {
            pst_str line = pst_str_split(&left, '\n');
            if (line.len > 100)
                fail_msg("%s: a line is too long: %.*s", pst_commands[i]->name, PST_STR_ARG(line));
        }
        assert_non_null(strstr(b.ptr, "--"));
    }
}

static void the_manual_says_each_thing_once(void **state)
{
    (void)state;
    static const char title[] = "The connected system is unreachable";
    PST_AUTO(buf) struct pst_buf b = {.max = 1 << 20};
    pst_help_man(&b);
    pst_buf_add_char(&b, '\0');
    assert_int_equal(b.fail, PST_OK);
    const char *statuses = strstr(b.ptr, ".SH EXIT STATUS");
    const char *first = strstr(statuses, title);
    assert_non_null(first);
    assert_null(strstr(first + 1, title));
    assert_true(strstr(statuses, ".B 64\n") < strstr(statuses, ".B 65\n"));
    assert_null(strstr(b.ptr, ".SS Connection\n")); /* as if it were a command */
    assert_non_null(strstr(b.ptr, ".SS Webhooks\n")); /* of the configuration */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(options_of_a_command_have_help_and_do_not_clash),
        cmocka_unit_test(a_command_is_found_by_its_words),
        cmocka_unit_test(help_and_manual_name_everything),
        cmocka_unit_test(the_manual_says_each_thing_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
