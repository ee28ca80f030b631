/* cli/cmd_doctor.c: penstock doctor: looks at everything around the server and says what to do.
 *
 * Each check is a row of `checks`. A server that runs keeps the store locked, so its contents
 * are then looked at only through its own readiness; without one the file itself is examined. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "account/account.h"
#include "app/app.h"
#include "app/settings.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/store.h"

enum { REACH = PST_CLI_OWN };
enum { LIST_MAX = 1000, TEST_MS = 600000, SPACE_WANTED = 1 << 30, TEXT = 600 };

PST_CLI_TABLE(table, {.name = "reach",
                      .type = PST_CONFIG_BOOL,
                      .flags = PST_CONFIG_FLAG_ONLY,
                      .help = "Also test every connection: address, credentials, permissions."});

enum verdict { GOOD, WARNING, BAD, SKIPPED };
static const char *const verdict_names[] = {"ok", "warning", "error", "skipped"};
static const char *const verdict_marks[] = {"  ok    ", "  warn  ", "  FAIL  ", "  -     "};

struct finding {
    enum verdict verdict;
    char detail[TEXT];
    char fix[TEXT]; /* "" where nothing is to be done */
};

struct doctor {
    struct pst_cli *cli;
    struct pst_settings settings;
    bool server_runs;
    bool store_exists;
    int schema, known; /* of the store, and of this program */
    struct pst_db *db; /* open when no server runs and the store exists */
    struct pst_json_writer json; /* used where cli->json */
    size_t bad;
    size_t warnings;
};

static void say(struct finding *f, enum verdict verdict, const char *fix, const char *fmt, ...)
    PST_PRINTF(4, 5);

static void say(struct finding *f, enum verdict verdict, const char *fix, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    f->verdict = verdict;
    (void)vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
    va_end(ap);
    (void)snprintf(f->fix, sizeof(f->fix), "%s", fix);
}

/* ---- the checks ---- */

static void check_config(struct doctor *d, struct finding *f)
{
    if (d->settings.file.len > 0)
        say(f, GOOD, "", "read from '%.*s'", PST_STR_ARG(d->settings.file));
    else
        say(f, GOOD, "", "no configuration file; defaults, environment and flags hold");
}

static void check_private(struct finding *f, pst_str path, const char *what)
{
    struct pst_err err;
    pst_code rc = pst_file_check_private(path.ptr, &err);
    if (rc == PST_OK)
        say(f, GOOD, "", "'%.*s' is readable by its owner only", PST_STR_ARG(path));
    else if (rc == PST_E_NOT_FOUND)
        say(f, SKIPPED, "", "%s '%.*s' does not exist yet; the first start makes it", what,
            PST_STR_ARG(path));
    else
        say(f, BAD, "give it to the user that runs Penstock (chown), and to no one else (chmod)",
            "%s", err.msg);
}

/* By this user; err tells why not. */
static bool is_writable(pst_str dir, struct pst_err *err)
{
    if (access(dir.ptr, W_OK | X_OK) == 0)
        return true;
    (void)PST_FAIL_OS(err, PST_E_IO, "this user may not write to '%.*s'", PST_STR_ARG(dir));
    return false;
}

static void check_data_dir(struct doctor *d, struct finding *f)
{
    struct pst_file_info info = {0};
    struct pst_err err;
    pst_str dir = d->settings.paths.data_dir;
    if (pst_file_stat(dir.ptr, &info, &err) == PST_OK && info.exists && !info.is_dir)
        say(f, BAD, "name a directory with --data-dir", "'%.*s' is no directory", PST_STR_ARG(dir));
    else if (info.exists && !is_writable(dir, &err))
        say(f, BAD, "run as the user that the directory belongs to, or make it writable", "%s",
            err.msg);
    else
        check_private(f, dir, "the data directory");
}

static void check_key_file(struct doctor *d, struct finding *f)
{
    struct pst_paths *p = &d->settings.paths;
    if (pst_config_str(d->settings.config, PST_OPT_ROOT_KEY).len > 0)
        say(f, GOOD, "", "the root key comes from the configuration, not from a file");
    else if (d->store_exists && !pst_file_exists(p->key_file.ptr))
        say(f, BAD, "bring the key file back from where you keep its copy",
            "the store exists, but its root key '%.*s' does not", PST_STR_ARG(p->key_file));
    else
        check_private(f, p->key_file, "the key file");
}

static void check_store_file(struct doctor *d, struct finding *f)
{
    check_private(f, d->settings.paths.store, "the store");
}

static void check_space(struct doctor *d, struct finding *f)
{
    struct pst_err err;
    uint64_t bytes = 0;
    const char *dir = d->settings.paths.data_dir.ptr;
    if (!pst_file_exists(dir)) {
        say(f, SKIPPED, "", "the data directory does not exist yet");
        return;
    }
    if (pst_file_space(dir, &bytes, &err) != PST_OK)
        say(f, WARNING, "", "%s", err.msg);
    else if (bytes < SPACE_WANTED)
        say(f, WARNING, "make room, or move data_dir to a larger file system",
            "%llu MiB are free on the file system of '%s'", (unsigned long long)(bytes >> 20), dir);
    else
        say(f, GOOD, "", "%llu MiB are free", (unsigned long long)(bytes >> 20));
}

static void check_clock(struct doctor *d, struct finding *f)
{
    (void)d;
    struct timex t = {0};
    char now[PST_WALL_TEXT];
    (void)pst_wall_format(now, pst_wall_now());
    int state = adjtimex(&t);
    /* Machines in containers often may not ask; the time itself is still shown. */
    if (state < 0)
        say(f, SKIPPED, "", "it is %s; whether the clock is kept right cannot be told", now);
    else if (state == TIME_ERROR)
        say(f, WARNING, "run a time service (systemd-timesyncd, chrony)",
            "it is %s, and no time service keeps the clock right", now);
    else
        say(f, GOOD, "", "it is %s, kept right by a time service", now);
}

static void check_server(struct doctor *d, struct finding *f)
{
    if (d->server_runs)
        say(f, GOOD, "", "a server answers at '%.*s'", PST_STR_ARG(d->settings.paths.socket));
    else
        say(f, WARNING, "start it: penstock serve", "no server runs on '%.*s'",
            PST_STR_ARG(d->settings.paths.data_dir));
}

static void judge_sandbox(yyjson_val *server, struct finding *f)
{
    yyjson_val *s = pst_value_at(server, "sandbox");
    pst_str mode = pst_value_str(s, "mode");
    pst_str missing = pst_value_str(s, "missing");
    if (missing.len == 0)
        say(f, GOOD, "",
            "system calls are restricted, files by Landlock (version %lld); no new privileges, no "
            "core dumps",
            (long long)pst_value_i64(s, "landlock"));
    else
        say(f, WARNING,
            pst_str_is(mode, "off") ? "take the option sandbox out, it is for debuggers"
                                    : "a newer kernel, or a container that allows seccomp and "
                                      "Landlock, gives all of it",
            "%.*s", PST_STR_ARG(missing));
}

static void check_sandbox(struct doctor *d, struct finding *f)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("server"));
    if (!d->server_runs)
        say(f, SKIPPED, "", "only while a server runs");
    else if (pst_client_get(d->cli, &target, &reply, &err) != PST_OK)
        say(f, WARNING, "", "%s", err.msg);
    else
        judge_sandbox(reply.root, f);
}

static void check_port(struct doctor *d, struct finding *f)
{
    struct pst_err err;
    pst_str listen = pst_config_str(d->settings.config, PST_OPT_LISTEN);
    if (d->server_runs)
        say(f, GOOD, "", "the server holds it");
    else if (pst_app_try_listen(listen, &err) == PST_OK)
        say(f, GOOD, "", "%.*s is free", PST_STR_ARG(listen));
    else
        say(f, BAD, "stop what uses the address, or choose another with listen", "%s", err.msg);
}

/* While a server runs it says itself whether it can write. */
static void ask_about_store(struct doctor *d, struct finding *f)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct pst_reply reply = {0};
    bool is_writable = true;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("server"));
    if (pst_client_get(d->cli, &target, &reply, &err) != PST_OK) {
        say(f, WARNING, "", "%s", err.msg);
        return;
    }
    yyjson_val *store = pst_value_at(reply.root, "store");
    (void)pst_json_bool(pst_value_at(store, "writable"), &is_writable);
    if (is_writable)
        say(f, GOOD, "", "the server has it open");
    else
        say(f, BAD,
            "make room on its file system, or mend what is wrong with it; the server goes on by "
            "itself then",
            "the server cannot write it: %.*s", PST_STR_ARG(pst_value_str(store, "trouble")));
}

static const char *fix_of_opening(pst_code code)
{
    switch ((int)code) {
    case PST_E_UNAVAILABLE:
        return "end the other process";
    case PST_E_CORRUPT:
        return "restore the newest backup: penstock restore FILE";
    case PST_E_UNSUPPORTED:
        return "move data_dir to a local disk";
    default:
        return "see that this user may read and write the file, its folder and its disk";
    }
}

static void check_lock(struct doctor *d, struct finding *f)
{
    struct pst_err err;
    if (d->server_runs) {
        ask_about_store(d, f);
        return;
    }
    if (!d->store_exists) {
        say(f, SKIPPED, "", "there is no store yet");
        return;
    }
    pst_code code =
        pst_store_look(&d->db, d->settings.paths.store.ptr, &d->schema, &d->known, &err);
    if (code != PST_OK)
        say(f, BAD, fix_of_opening(code), "%s", err.msg);
    else if (d->schema > d->known)
        say(f, BAD, "use the newer program again, or restore a backup that this one made",
            "it is of a newer version (schema %d, this program knows %d)", d->schema, d->known);
    else if (d->schema < d->known)
        say(f, GOOD, "", "opened; the next start brings it from schema %d to %d", d->schema,
            d->known);
    else if (pst_db_was_unclean(d->db))
        say(f, GOOD, "", "opened; it was not closed the last time, which is harmless");
    else
        say(f, GOOD, "", "opened");
}

static pst_code with_reader(struct doctor *d,
                            pst_code (*look)(struct doctor *, struct pst_db_conn *,
                                             struct pst_err *),
                            struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    PST_TRY(pst_db_reader_new(d->db, &reader, err));
    return look(d, reader, err);
}

static pst_code look_integrity(struct doctor *d, struct pst_db_conn *reader, struct pst_err *err)
{
    (void)d;
    return pst_db_check(reader, err);
}

static void check_integrity(struct doctor *d, struct finding *f)
{
    struct pst_err err;
    if (!d->db)
        say(f, SKIPPED, "", "only while no server runs");
    else if (with_reader(d, look_integrity, &err) == PST_OK)
        say(f, GOOD, "", "every page of the file is sound");
    else
        say(f, BAD,
            err.code == PST_E_CORRUPT ? "restore the newest backup: penstock restore FILE"
                                      : "look after the disk: the kernel's log says more",
            "%s", err.msg);
}

static pst_code look_key(struct doctor *d, struct pst_db_conn *reader, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    pst_str text = pst_config_str(d->settings.config, PST_OPT_ROOT_KEY);
    if (text.len > 0)
        PST_TRY(pst_key_from_text(&key, text, err));
    else
        PST_TRY(pst_key_load(&key, d->settings.paths.key_file.ptr, err));
    return pst_vault_check(reader, key, err);
}

static void check_key(struct doctor *d, struct finding *f)
{
    struct pst_err err;
    if (!d->db)
        say(f, SKIPPED, "", "only while no server runs (which started with the right key)");
    else if (with_reader(d, look_key, &err) == PST_OK)
        say(f, GOOD, "", "the root key opens the store");
    else
        say(f, BAD, "put the store's own key file in its place", "%s", err.msg);
}

struct audit {
    char first[TEXT];
};

static void note_finding(void *self, pst_str text)
{
    struct audit *a = self;
    if (a->first[0] == '\0')
        (void)snprintf(a->first, sizeof(a->first), "%.*s", PST_STR_ARG(text));
}

static void check_contents(struct doctor *d, struct finding *f)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_err err;
    struct audit audit = {0};
    int64_t findings = 0;
    if (!d->db) {
        say(f, SKIPPED, "", "only while no server runs");
        return;
    }
    if (d->schema != d->known) {
        say(f, SKIPPED, "", "only of a store of this program's schema");
        return;
    }
    pst_code rc = pst_db_reader_new(d->db, &reader, &err);
    if (rc == PST_OK)
        rc = pst_store_audit(reader, note_finding, &audit, &findings, &err);
    if (rc != PST_OK)
        say(f, BAD, "restore the newest backup: penstock restore FILE", "%s", err.msg);
    else if (findings > 0)
        say(f, BAD, "report this with the message", "%lld findings, the first: %s",
            (long long)findings, audit.first);
    else
        say(f, GOOD, "", "counters, sequence numbers and streams agree");
}

/* ---- connections, through the server ---- */

static void test_one(struct doctor *d, yyjson_val *connection, struct finding *f)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct pst_reply reply = {0};
    size_t i = 0;
    size_t n = 0;
    yyjson_val *check = NULL;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, pst_value_str(connection, "id"));
    pst_target_add(&target, PST_STR("test"));
    if (pst_client_call(d->cli, "POST", &target, PST_STR("{}"), TEST_MS, &reply, &err) != PST_OK) {
        say(f, BAD, "", "%s", err.msg);
        return;
    }
    say(f, GOOD, "", "address, credentials and every entity are fine");
    yyjson_arr_foreach(pst_value_at(reply.root, "checks"), i, n, check)
    {
        bool ok = true;
        char fix[TEXT] = "";
        (void)pst_json_bool(pst_value_at(check, "ok"), &ok);
        (void)snprintf(fix, sizeof(fix), "%.*s", PST_STR_ARG(pst_value_str(check, "fix")));
        if (ok)
            continue;
        say(f, BAD, fix, "%.*s: %.*s", PST_STR_ARG(pst_value_str(check, "name")),
            PST_STR_ARG(pst_value_str(check, "detail")));
        return;
    }
}

static void judge_status(yyjson_val *connection, struct finding *f)
{
    pst_str status = pst_value_str(connection, "status");
    pst_str reason = pst_value_str(connection, "status_reason");
    bool is_refused = pst_str_eq(status, PST_STR("authentication_required"));
    bool is_bad = is_refused || pst_str_eq(status, PST_STR("offline"));
    say(f, is_bad ? BAD : GOOD,
        is_refused ? "give new credentials: penstock connections update CONNECTION --ask-password"
                   : "",
        "%.*s%s%.*s", PST_STR_ARG(status), reason.len > 0 ? ": " : "", PST_STR_ARG(reason));
}

/* One that never got as far as "online": the last sync's error says why. */
static void judge_pending(struct doctor *d, yyjson_val *connection, struct finding *f)
{
    PST_AUTO(buf) struct pst_buf why = {.max = 4096};
    pst_connection_failure(d->cli, pst_value_str(connection, "id"), &why);
    if (why.len > 0)
        say(f, WARNING, "penstock connections test CONNECTION says what to do",
            "pending, for its last sync failed: %.*s", PST_STR_ARG(pst_buf_str(&why)));
}

/* ---- output ---- */

static void print_finding(struct doctor *d, const char *name, const struct finding *f)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 8192);
    d->bad += f->verdict == BAD;
    d->warnings += f->verdict == WARNING;
    if (d->cli->json) {
        pst_json_begin_object(&d->json);
        pst_json_add_z(&d->json, "name", name);
        pst_json_add_z(&d->json, "verdict", verdict_names[f->verdict]);
        pst_json_add_z(&d->json, "detail", f->detail);
        pst_json_add_z(&d->json, "fix", f->fix);
        pst_json_end_object(&d->json);
        return;
    }
    pst_buf_addf(&b, "%s%s: ", verdict_marks[f->verdict], name);
    pst_terminal_clean(&b, pst_str_from(f->detail), TEXT);
    pst_buf_add_char(&b, '\n');
    if (f->fix[0] && f->verdict != GOOD) {
        pst_buf_add_lit(&b, "        -> ");
        pst_terminal_clean(&b, pst_str_from(f->fix), TEXT);
        pst_buf_add_char(&b, '\n');
    }
    pst_terminal_print(pst_buf_str(&b));
}

static void check_connections(struct doctor *d)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    if (!d->server_runs ||
        pst_client_list(d->cli, &target, LIST_MAX, &items, &count, &err) != PST_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct finding f = {0};
        char name[120];
        (void)snprintf(name, sizeof(name), "connection %.*s",
                       PST_STR_ARG(pst_value_str(items[i], "name")));
        if (pst_config_bool(d->cli->options, REACH))
            test_one(d, items[i], &f);
        else
            judge_status(items[i], &f);
        if (f.verdict == GOOD && pst_str_is(pst_value_str(items[i], "status"), "pending"))
            judge_pending(d, items[i], &f);
        print_finding(d, name, &f);
    }
}

/* One finding per webhook in trouble; one for all where there is none. */
static void check_webhooks(struct doctor *d)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct finding f = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    size_t well = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("webhooks"));
    if (!d->server_runs ||
        pst_client_list(d->cli, &target, LIST_MAX, &items, &count, &err) != PST_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        PST_AUTO(buf) struct pst_buf advice = {.max = 4096};
        char name[120];
        pst_webhook_advice(&advice, items[i]);
        well += advice.len == 0;
        if (advice.len == 0)
            continue;
        (void)snprintf(name, sizeof(name), "webhook %.*s",
                       PST_STR_ARG(pst_value_str(items[i], "url")));
        say(&f, pst_str_is(pst_value_str(items[i], "status"), "disabled") ? BAD : WARNING, "",
            "%.*s", PST_STR_ARG(pst_buf_str(&advice)));
        print_finding(d, name, &f);
    }
    if (count > 0 && well == count) {
        say(&f, GOOD, "", "%zu, none of them in trouble", count);
        print_finding(d, "webhooks", &f);
    }
}

static const struct {
    const char *name;
    void (*look)(struct doctor *d, struct finding *f);
} checks[] = {
    {"configuration", check_config},
    {"data directory", check_data_dir},
    {"root key file", check_key_file},
    {"store file", check_store_file},
    {"disk", check_space},
    {"clock", check_clock},
    {"server", check_server},
    {"sandbox", check_sandbox},
    {"listen address", check_port},
    {"store", check_lock},
    {"store integrity", check_integrity},
    {"root key", check_key},
    {"store contents", check_contents},
};

static void run_checks(struct doctor *d)
{
    d->server_runs = pst_app_is_running(d->settings.paths.socket);
    d->store_exists = pst_file_exists(d->settings.paths.store.ptr);
    for (size_t i = 0; i < PST_COUNT(checks); i++) {
        struct finding f = {0};
        checks[i].look(d, &f);
        print_finding(d, checks[i].name, &f);
    }
    check_connections(d);
    check_webhooks(d);
}

static pst_code report(struct doctor *d, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 4 << 20);
    if (!d->cli->json) {
        run_checks(d);
    } else {
        pst_json_init(&d->json, &b);
        pst_json_begin_object(&d->json);
        pst_json_add_array(&d->json, "checks");
        run_checks(d);
        pst_json_end_array(&d->json);
        pst_json_add_bool(&d->json, "ok", d->bad == 0);
        pst_json_end_object(&d->json);
        PST_TRY(pst_json_finish(&d->json, err));
        pst_print_json(pst_buf_str(&b));
    }
    if (d->bad > 0)
        return PST_FAIL(err, PST_E_UNAVAILABLE, "%zu check%s failed", d->bad,
                        d->bad == 1 ? "" : "s");
    if (!d->cli->json)
        pst_printf("%s\n", d->warnings > 0 ? "no errors, see the warnings" : "all is well");
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    struct doctor d = {.cli = cli};
    PST_TRY(pst_client_settings(cli, &d.settings, err));
    pst_code rc = report(&d, err);
    pst_db_close(d.db);
    pst_config_unref(d.settings.config);
    return rc;
}

static const struct pst_example examples[] = {
    {"penstock doctor", NULL},
    {"penstock doctor --reach", "also try every connected system"},
    {0},
};

const struct pst_command pst_command_doctor = {
    .name = "doctor",
    .words = "",
    .summary = "look at files, store, clock, ports, connections and webhooks, and say what to do",
    .details = "While no server runs, the store itself is examined: every page of the file, and "
               "that its counters\nagree with its contents. The exit status is 0 when nothing is "
               "wrong.",
    .table = &table,
    .examples = examples,
    .run = run,
};
