/* cli/cmd_doctor.c: penstock doctor: looks at everything around the server and says what to do.
 *
 * Each check is a row of `checks`. A server that runs keeps the store locked, so its contents
 * are then looked at only through its own readiness; without one the file itself is examined. */
#include <errno.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "account/account.h"
#include "app/app.h"
#include "app/settings.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/store.h"

enum { REACH = PST_CLI_OWN };
enum { SPACE_WANTED = 1 << 30 };

PST_CLI_TABLE(table, {.name = "reach",
                      .type = PST_CONFIG_BOOL,
                      .flags = PST_CONFIG_FLAG_ONLY,
                      .help = "Also test every connection: address, credentials, permissions."});

struct doctor {
    struct pst_cli *cli;
    struct pst_settings settings;
    bool server_runs;
    bool store_exists;
    int schema, known; /* of the store, and of this program */
    struct pst_db *db; /* open when no server runs and the store exists */
    struct pst_report report;
};

/* ---- the checks ---- */

static void check_config(struct doctor *d, struct pst_finding *f)
{
    if (d->settings.file.len > 0)
        pst_finding_say(f, PST_FINDING_GOOD, "", "read from '%.*s'", PST_STR_ARG(d->settings.file));
    else
        pst_finding_say(f, PST_FINDING_GOOD, "",
                        "no configuration file; defaults, environment and flags hold");
}

static void check_private(struct pst_finding *f, pst_str path, const char *what)
{
    struct pst_err err;
    pst_code rc = pst_file_check_private(path.ptr, &err);
    if (rc == PST_OK)
        pst_finding_say(f, PST_FINDING_GOOD, "", "'%.*s' is readable by its owner only",
                        PST_STR_ARG(path));
    else if (rc == PST_E_NOT_FOUND)
        pst_finding_say(f, PST_FINDING_SKIPPED, "",
                        "%s '%.*s' does not exist yet; the first start makes it", what,
                        PST_STR_ARG(path));
    else
        pst_finding_say(
            f, PST_FINDING_BAD,
            "give it to the user that runs Penstock (chown), and to no one else (chmod)", "%s",
            err.msg);
}

/* By this user; err tells why not. */
static bool is_writable(pst_str dir, struct pst_err *err)
{
    if (access(dir.ptr, W_OK | X_OK) == 0)
        return true;
    (void)PST_FAIL_OS(err, PST_E_IO, "this user may not write to '%.*s'", PST_STR_ARG(dir));
    return false;
}

static void check_data_dir(struct doctor *d, struct pst_finding *f)
{
    struct pst_file_info info = {0};
    struct pst_err err;
    pst_str dir = d->settings.paths.data_dir;
    if (pst_file_stat(dir.ptr, &info, &err) == PST_OK && info.exists && !info.is_dir)
        pst_finding_say(f, PST_FINDING_BAD, "name a directory with --data-dir",
                        "'%.*s' is no directory", PST_STR_ARG(dir));
    else if (info.exists && !is_writable(dir, &err))
        pst_finding_say(f, PST_FINDING_BAD,
                        "run as the user that the directory belongs to, or make it writable", "%s",
                        err.msg);
    else
        check_private(f, dir, "the data directory");
}

static void check_key_file(struct doctor *d, struct pst_finding *f)
{
    struct pst_paths *p = &d->settings.paths;
    if (pst_config_str(d->settings.config, PST_OPT_ROOT_KEY).len > 0)
        pst_finding_say(f, PST_FINDING_GOOD, "",
                        "the root key comes from the configuration, not from a file");
    else if (d->store_exists && !pst_file_exists(p->key_file.ptr))
        pst_finding_say(f, PST_FINDING_BAD, "bring the key file back from where you keep its copy",
                        "the store exists, but its root key '%.*s' does not",
                        PST_STR_ARG(p->key_file));
    else
        check_private(f, p->key_file, "the key file");
}

static void check_store_file(struct doctor *d, struct pst_finding *f)
{
    check_private(f, d->settings.paths.store, "the store");
}

static void check_space(struct doctor *d, struct pst_finding *f)
{
    struct pst_err err;
    uint64_t bytes = 0;
    const char *dir = d->settings.paths.data_dir.ptr;
    if (!pst_file_exists(dir)) {
        pst_finding_say(f, PST_FINDING_SKIPPED, "", "the data directory does not exist yet");
        return;
    }
    if (pst_file_space(dir, &bytes, &err) != PST_OK)
        pst_finding_say(f, PST_FINDING_WARNING, "", "%s", err.msg);
    else if (bytes < SPACE_WANTED)
        pst_finding_say(
            f, PST_FINDING_WARNING, "make room, or move data_dir to a larger file system",
            "%llu MiB are free on the file system of '%s'", (unsigned long long)(bytes >> 20), dir);
    else
        pst_finding_say(f, PST_FINDING_GOOD, "", "%llu MiB are free",
                        (unsigned long long)(bytes >> 20));
}

static void check_clock(struct doctor *d, struct pst_finding *f)
{
    (void)d;
    struct timex t = {0};
    char now[PST_WALL_TEXT];
    (void)pst_wall_format(now, pst_wall_now());
    int state = adjtimex(&t);
    /* Machines in containers often may not ask; the time itself is still shown. */
    if (state < 0)
        pst_finding_say(f, PST_FINDING_SKIPPED, "",
                        "it is %s; whether the clock is kept right cannot be told", now);
    else if (state == TIME_ERROR)
        pst_finding_say(f, PST_FINDING_WARNING, "run a time service (systemd-timesyncd, chrony)",
                        "it is %s, and no time service keeps the clock right", now);
    else
        pst_finding_say(f, PST_FINDING_GOOD, "", "it is %s, kept right by a time service", now);
}

static void check_server(struct doctor *d, struct pst_finding *f)
{
    if (d->server_runs)
        pst_finding_say(f, PST_FINDING_GOOD, "", "a server answers at '%.*s'",
                        PST_STR_ARG(d->settings.paths.socket));
    else
        pst_finding_say(f, PST_FINDING_WARNING, "start it: penstock serve",
                        "no server runs on '%.*s'", PST_STR_ARG(d->settings.paths.data_dir));
}

static void judge_sandbox(yyjson_val *server, struct pst_finding *f)
{
    yyjson_val *s = pst_value_at(server, "sandbox");
    pst_str mode = pst_value_str(s, "mode");
    pst_str missing = pst_value_str(s, "missing");
    if (missing.len == 0)
        pst_finding_say(
            f, PST_FINDING_GOOD, "",
            "system calls are restricted, files by Landlock (version %lld); no new privileges, no "
            "core dumps",
            (long long)pst_value_i64(s, "landlock"));
    else
        pst_finding_say(f, PST_FINDING_WARNING,
                        pst_str_is(mode, "off")
                            ? "take the option sandbox out, it is for debuggers"
                            : "a newer kernel, or a container that allows seccomp and "
                              "Landlock, gives all of it",
                        "%.*s", PST_STR_ARG(missing));
}

static void check_sandbox(struct doctor *d, struct pst_finding *f)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("server"));
    if (!d->server_runs)
        pst_finding_say(f, PST_FINDING_SKIPPED, "", "only while a server runs");
    else if (pst_client_get(d->cli, &target, &reply, &err) != PST_OK)
        pst_finding_say(f, PST_FINDING_WARNING, "", "%s", err.msg);
    else
        judge_sandbox(reply.root, f);
}

static void check_port(struct doctor *d, struct pst_finding *f)
{
    struct pst_err err;
    pst_str listen = pst_config_str(d->settings.config, PST_OPT_LISTEN);
    if (d->server_runs)
        pst_finding_say(f, PST_FINDING_GOOD, "", "the server holds it");
    else if (pst_app_try_listen(listen, &err) == PST_OK)
        pst_finding_say(f, PST_FINDING_GOOD, "", "%.*s is free", PST_STR_ARG(listen));
    else
        pst_finding_say(f, PST_FINDING_BAD,
                        "stop what uses the address, or choose another with listen", "%s", err.msg);
}

/* While a server runs it says itself whether it can write. */
static void ask_about_store(struct doctor *d, struct pst_finding *f)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct pst_reply reply = {0};
    bool is_writable = true;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("server"));
    if (pst_client_get(d->cli, &target, &reply, &err) != PST_OK) {
        pst_finding_say(f, PST_FINDING_WARNING, "", "%s", err.msg);
        return;
    }
    yyjson_val *store = pst_value_at(reply.root, "store");
    (void)pst_json_bool(pst_value_at(store, "writable"), &is_writable);
    if (is_writable)
        pst_finding_say(f, PST_FINDING_GOOD, "", "the server has it open");
    else
        pst_finding_say(
            f, PST_FINDING_BAD,
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

static void check_lock(struct doctor *d, struct pst_finding *f)
{
    struct pst_err err;
    if (d->server_runs) {
        ask_about_store(d, f);
        return;
    }
    if (!d->store_exists) {
        pst_finding_say(f, PST_FINDING_SKIPPED, "", "there is no store yet");
        return;
    }
    pst_code code =
        pst_store_look(&d->db, d->settings.paths.store.ptr, &d->schema, &d->known, &err);
    if (code != PST_OK)
        pst_finding_say(f, PST_FINDING_BAD, fix_of_opening(code), "%s", err.msg);
    else if (d->schema > d->known)
        pst_finding_say(f, PST_FINDING_BAD,
                        "use the newer program again, or restore a backup that this one made",
                        "it is of a newer version (schema %d, this program knows %d)", d->schema,
                        d->known);
    else if (d->schema < d->known)
        pst_finding_say(f, PST_FINDING_GOOD, "",
                        "opened; the next start brings it from schema %d to %d", d->schema,
                        d->known);
    else if (pst_db_was_unclean(d->db))
        pst_finding_say(f, PST_FINDING_GOOD, "",
                        "opened; it was not closed the last time, which is harmless");
    else
        pst_finding_say(f, PST_FINDING_GOOD, "", "opened");
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

static void check_integrity(struct doctor *d, struct pst_finding *f)
{
    struct pst_err err;
    if (!d->db)
        pst_finding_say(f, PST_FINDING_SKIPPED, "", "only while no server runs");
    else if (with_reader(d, look_integrity, &err) == PST_OK)
        pst_finding_say(f, PST_FINDING_GOOD, "", "every page of the file is sound");
    else
        pst_finding_say(f, PST_FINDING_BAD,
                        err.code == PST_E_CORRUPT
                            ? "restore the newest backup: penstock restore FILE"
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

static void check_key(struct doctor *d, struct pst_finding *f)
{
    struct pst_err err;
    if (!d->db)
        pst_finding_say(f, PST_FINDING_SKIPPED, "",
                        "only while no server runs (which started with the right key)");
    else if (with_reader(d, look_key, &err) == PST_OK)
        pst_finding_say(f, PST_FINDING_GOOD, "", "the root key opens the store");
    else
        pst_finding_say(f, PST_FINDING_BAD, "put the store's own key file in its place", "%s",
                        err.msg);
}

struct audit {
    char first[PST_FINDING_TEXT];
};

static void note_finding(void *self, pst_str text)
{
    struct audit *a = self;
    if (a->first[0] == '\0')
        (void)snprintf(a->first, sizeof(a->first), "%.*s", PST_STR_ARG(text));
}

static void check_contents(struct doctor *d, struct pst_finding *f)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_err err;
    struct audit audit = {0};
    int64_t findings = 0;
    if (!d->db) {
        pst_finding_say(f, PST_FINDING_SKIPPED, "", "only while no server runs");
        return;
    }
    if (d->schema != d->known) {
        pst_finding_say(f, PST_FINDING_SKIPPED, "", "only of a store of this program's schema");
        return;
    }
    pst_code rc = pst_db_reader_new(d->db, &reader, &err);
    if (rc == PST_OK)
        rc = pst_store_audit(reader, note_finding, &audit, &findings, &err);
    if (rc != PST_OK)
        pst_finding_say(f, PST_FINDING_BAD, "restore the newest backup: penstock restore FILE",
                        "%s", err.msg);
    else if (findings > 0)
        pst_finding_say(f, PST_FINDING_BAD, "report this with the message",
                        "%lld findings, the first: %s", (long long)findings, audit.first);
    else
        pst_finding_say(f, PST_FINDING_GOOD, "", "counters, sequence numbers and streams agree");
}

static const struct {
    const char *name;
    void (*look)(struct doctor *d, struct pst_finding *f);
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

/* Files, clock and store of this machine say nothing about a server elsewhere. */
static void look_from_afar(struct doctor *d)
{
    struct pst_finding f = {0};
    pst_finding_say(&f, PST_FINDING_SKIPPED, "",
                    "with --url, only what that server answers: its files are looked at where it "
                    "runs");
    pst_report_print(&d->report, "this machine", &f);
    pst_report_organizations(&d->report, pst_config_bool(d->cli->options, REACH));
}

static void run_checks(struct doctor *d)
{
    if (pst_config_str(d->cli->options, PST_CLI_URL).len > 0) {
        look_from_afar(d);
        return;
    }
    d->server_runs = pst_app_is_running(d->settings.paths.socket);
    d->store_exists = pst_file_exists(d->settings.paths.store.ptr);
    for (size_t i = 0; i < PST_COUNT(checks); i++) {
        struct pst_finding f = {0};
        checks[i].look(d, &f);
        pst_report_print(&d->report, checks[i].name, &f);
    }
    if (d->server_runs)
        pst_report_organizations(&d->report, pst_config_bool(d->cli->options, REACH));
}

static pst_code report(struct doctor *d, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 64 << 20);
    if (!d->cli->json) {
        run_checks(d);
    } else {
        pst_json_init(&d->report.json, &b);
        pst_json_begin_object(&d->report.json);
        pst_json_add_array(&d->report.json, "checks");
        run_checks(d);
        pst_json_end_array(&d->report.json);
        pst_json_add_bool(&d->report.json, "ok", d->report.bad == 0);
        pst_json_end_object(&d->report.json);
        PST_TRY(pst_json_finish(&d->report.json, err));
        pst_print_json(pst_buf_str(&b));
    }
    if (d->report.bad > 0)
        return PST_FAIL(err, PST_E_UNAVAILABLE, "%zu check%s failed", d->report.bad,
                        d->report.bad == 1 ? "" : "s");
    if (!d->cli->json)
        pst_printf("%s\n", d->report.warnings > 0 ? "no errors, see the warnings" : "all is well");
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    struct doctor d = {.cli = cli, .report = {.cli = cli}};
    PST_TRY(pst_client_settings(cli, &d.settings, err));
    pst_code rc = report(&d, err);
    pst_db_close(d.db);
    pst_config_unref(d.settings.config);
    return rc;
}

static const struct pst_example examples[] = {
    {"penstock doctor", NULL},
    {"penstock doctor --reach", "also try every connected system"},
    {"penstock doctor --url https://penstock.example.com",
     "a server elsewhere: its connections and webhooks"},
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
