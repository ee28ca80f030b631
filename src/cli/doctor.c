/* cli/doctor.c: findings, and those about connections and webhooks, which the server is asked for.
 */
#include "cli/doctor.h"

#include <stdarg.h>
#include <string.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"

enum { LIST_MAX = 10000, LIST_BYTES = 64 << 20, NAME = 2400 };

static const char *const verdict_names[] = {"ok", "warning", "error", "skipped"};
static const char *const verdict_marks[] = {"  ok    ", "  warn  ", "  FAIL  ", "  -     "};

void pst_finding_say(struct pst_finding *f, enum pst_verdict verdict, const char *fix,
                     const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    f->verdict = verdict;
    (void)vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
    va_end(ap);
    (void)snprintf(f->fix, sizeof(f->fix), "%s", fix);
}

void pst_report_print(struct pst_report *r, const char *name, const struct pst_finding *f)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 8192);
    r->bad += f->verdict == PST_FINDING_BAD;
    r->warnings += f->verdict == PST_FINDING_WARNING;
    if (r->cli->json) {
        pst_json_begin_object(&r->json);
        pst_json_add_z(&r->json, "name", name);
        pst_json_add_z(&r->json, "verdict", verdict_names[f->verdict]);
        pst_json_add_z(&r->json, "detail", f->detail);
        pst_json_add_z(&r->json, "fix", f->fix);
        pst_json_end_object(&r->json);
        return;
    }
    pst_buf_addf(&b, "%s", verdict_marks[f->verdict]);
    pst_terminal_clean(&b, pst_str_from(name), PST_FINDING_TEXT);
    pst_buf_add_lit(&b, ": ");
    pst_terminal_clean(&b, pst_str_from(f->detail), PST_FINDING_TEXT);
    pst_buf_add_char(&b, '\n');
    if (f->fix[0] && f->verdict != PST_FINDING_GOOD) {
        pst_buf_add_lit(&b, "        -> ");
        pst_terminal_clean(&b, pst_str_from(f->fix), PST_FINDING_TEXT);
        pst_buf_add_char(&b, '\n');
    }
    pst_terminal_print(pst_buf_str(&b));
}

/* ---- asking the server ---- */

/* Everything of /v1/<what>; a refusal is a finding of that name, and an empty list. */
static size_t list(struct pst_report *r, const char *what, pst_str organization,
                   yyjson_val ***items)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_err err;
    struct pst_finding f = {0};
    char name[NAME];
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, pst_str_from(what));
    if (pst_client_list(r->cli, &target, LIST_MAX, items, &count, &err) == PST_OK)
        return count;
    (void)snprintf(name, sizeof(name), "%s%.*s", what, PST_STR_ARG(organization));
    pst_finding_say(&f, PST_FINDING_BAD, "", "%s", err.msg);
    pst_report_print(r, name, &f);
    return 0;
}

static void test_one(struct pst_report *r, yyjson_val *connection, struct pst_finding *f)
{
    struct pst_err err;
    struct pst_reply reply = {0};
    size_t i = 0;
    size_t n = 0;
    yyjson_val *check = NULL;
    if (pst_ask_test(r->cli, pst_value_str(connection, "id"), &reply, &err) != PST_OK) {
        pst_finding_say(f, PST_FINDING_BAD, "", "%s", err.msg);
        return;
    }
    pst_finding_say(f, PST_FINDING_GOOD, "", "address, credentials and every entity are fine");
    yyjson_arr_foreach(pst_value_at(reply.root, "checks"), i, n, check)
    {
        bool ok = true;
        char fix[PST_FINDING_TEXT] = "";
        (void)pst_json_bool(pst_value_at(check, "ok"), &ok);
        (void)snprintf(fix, sizeof(fix), "%.*s", PST_STR_ARG(pst_value_str(check, "fix")));
        if (ok)
            continue;
        pst_finding_say(f, PST_FINDING_BAD, fix, "%.*s: %.*s",
                        PST_STR_ARG(pst_value_str(check, "name")),
                        PST_STR_ARG(pst_value_str(check, "detail")));
        return;
    }
}

static void judge_status(yyjson_val *connection, struct pst_finding *f)
{
    pst_str status = pst_value_str(connection, "status");
    pst_str reason = pst_value_str(connection, "status_reason");
    bool is_refused = pst_str_eq(status, PST_STR("authentication_required"));
    bool is_bad = is_refused || pst_str_eq(status, PST_STR("offline"));
    pst_finding_say(
        f, is_bad ? PST_FINDING_BAD : PST_FINDING_GOOD,
        is_refused ? "give new credentials: penstock connections update CONNECTION --ask-password"
                   : "",
        "%.*s%s%.*s", PST_STR_ARG(status), reason.len > 0 ? ": " : "", PST_STR_ARG(reason));
}

/* One that never got as far as "online": the last sync's error says why. */
static void judge_pending(struct pst_report *r, yyjson_val *connection, struct pst_finding *f)
{
    PST_AUTO(buf) struct pst_buf why = {.max = 4096};
    pst_connection_failure(r->cli, pst_value_str(connection, "id"), &why);
    if (why.len > 0)
        pst_finding_say(f, PST_FINDING_WARNING,
                        "penstock connections test CONNECTION says what to do",
                        "pending, for its last sync failed: %.*s", PST_STR_ARG(pst_buf_str(&why)));
}

static void look_at_connections(struct pst_report *r, pst_str organization, bool reach)
{
    yyjson_val **items = NULL;
    size_t count = list(r, "connections", organization, &items);
    for (size_t i = 0; i < count; i++) {
        struct pst_finding f = {0};
        char name[NAME];
        (void)snprintf(name, sizeof(name), "connection %.*s%.*s",
                       PST_STR_ARG(pst_value_str(items[i], "name")), PST_STR_ARG(organization));
        if (reach)
            test_one(r, items[i], &f);
        else
            judge_status(items[i], &f);
        if (f.verdict == PST_FINDING_GOOD &&
            pst_str_is(pst_value_str(items[i], "status"), "pending"))
            judge_pending(r, items[i], &f);
        pst_report_print(r, name, &f);
    }
}

/* One finding per webhook in trouble; one for all where there is none. */
static void look_at_webhooks(struct pst_report *r, pst_str organization)
{
    struct pst_finding f = {0};
    char name[NAME];
    yyjson_val **items = NULL;
    size_t count = list(r, "webhooks", organization, &items);
    size_t well = 0;
    for (size_t i = 0; i < count; i++) {
        PST_AUTO(buf) struct pst_buf advice = {.max = 4096};
        pst_webhook_advice(&advice, items[i]);
        well += advice.len == 0;
        if (advice.len == 0)
            continue;
        (void)snprintf(name, sizeof(name), "webhook %.*s%.*s",
                       PST_STR_ARG(pst_value_str(items[i], "url")), PST_STR_ARG(organization));
        pst_finding_say(&f,
                        pst_str_is(pst_value_str(items[i], "status"), "disabled")
                            ? PST_FINDING_BAD
                            : PST_FINDING_WARNING,
                        "", "%.*s", PST_STR_ARG(pst_buf_str(&advice)));
        pst_report_print(r, name, &f);
    }
    if (count > 0 && well == count) {
        (void)snprintf(name, sizeof(name), "webhooks%.*s", PST_STR_ARG(organization));
        pst_finding_say(&f, PST_FINDING_GOOD, "", "%zu, none of them in trouble", count);
        pst_report_print(r, name, &f);
    }
}

/* ---- organizations ---- */

/* name: " of ..." behind the names of findings, or "" where it goes without saying. */
static void look_at_organization(struct pst_report *r, pst_str name, bool reach)
{
    PST_AUTO(arena) struct pst_arena *lists = NULL;
    struct pst_err err;
    struct pst_finding f = {0};
    struct pst_arena *kept = r->cli->arena;
    if (pst_arena_new(&lists, LIST_BYTES, &err) != PST_OK) {
        pst_finding_say(&f, PST_FINDING_BAD, "", "%s", err.msg);
        pst_report_print(r, "connections", &f);
        return;
    }
    r->cli->arena = lists; /* an organization's answers go before the next one */
    look_at_connections(r, name, reach);
    look_at_webhooks(r, name);
    r->cli->arena = kept;
}

static void look_at_all(struct pst_report *r, bool reach)
{
    yyjson_val **items = NULL;
    size_t count = list(r, "organizations", PST_STR(""), &items);
    for (size_t i = 0; i < count; i++) {
        PST_AUTO(buf) struct pst_buf name = {.max = NAME};
        if (count > 1)
            pst_buf_addf(&name, " of %.*s", PST_STR_ARG(pst_value_str(items[i], "name")));
        pst_client_act_for(r->cli, pst_value_str(items[i], "id"));
        look_at_organization(r, pst_buf_str(&name), reach);
    }
    pst_client_act_for(r->cli, PST_STR(""));
}

void pst_report_organizations(struct pst_report *r, bool reach)
{
    bool is_named = pst_config_str(r->cli->options, PST_CLI_ORGANIZATION).len > 0;
    bool is_remote = pst_config_str(r->cli->options, PST_CLI_URL).len > 0; /* the key names one */
    if (is_named || is_remote)
        look_at_organization(r, PST_STR(""), reach);
    else
        look_at_all(r, reach);
}
