/* connectors/peoplesoft/check.c: what a sync needs, asked for piece by piece, and what to do where
 * a piece is missing, in the words of PeopleSoft's own pages.
 *
 * Order: the address and the credentials (one ListQuery call; a refusal ends the test), then per
 * stream whether its query exists, its columns, its prompts, and two one-row reads, the second of
 * which shows whether the prompts have an effect. */
#include "connectors/peoplesoft/check.h"

#include "base/num.h"
#include "connectors/peoplesoft/fetch.h"
#include "connectors/peoplesoft/meta.h"
#include "connectors/peoplesoft/request.h"

enum { CHECKS_PER_STREAM = 4, CHECKS_FIRST = 3, LIST_BYTES = 1500, CLOCKS_APART_S = 600 };

struct tester {
    struct pst_connector *self;
    const struct pst_connector_ctx *ctx;
    struct pst_arena *arena;
    struct pst_check *items;
    size_t count;
    yyjson_val **queries; /* what ListQuery knows; NULL when it cannot be asked */
    size_t query_count;
    pst_str list_fault; /* why ListQuery cannot be asked; empty when it can */
};

/* ---- words --------------------------------------------------------------------------------- */

static const struct {
    pst_code code;
    int http_status; /* 0 = any */
    const char *fix;
} FIXES[] = {
    {PST_E_REAUTH, 0,
     "Give the user id and password again. Look in PeopleTools > Security > User Profiles whether "
     "the account is locked or its password has expired. Nothing is tried again before they "
     "change, "
     "so that the account is not locked"},
    {PST_E_SYSTEM_DENIED, 0,
     "Add the web services of the Query Access Service (QAS_EXECUTEQRY_REST_GET, "
     "QAS_LISTQUERY_REST_GET, QAS_LISTQUERYFIELDS_REST_GET, QAS_LISTQUERYPROMPTS_REST_GET) to a "
     "permission list of the user: PeopleTools > Security > Permissions & Roles > Permission Lists "
     "> "
     "Web Services. If a proxy or firewall denies the call, let this server through"},
    {PST_E_SYSTEM, 404,
     "Compare the address and the node's name with the one that the gateway publishes: it is "
     "https://host:port/PSIGW/RESTListeningConnector/NODE/. The node is the database's default "
     "local "
     "node (PeopleTools > Integration Broker > Integration Setup > Node Definitions)"},
    {PST_E_SYSTEM, 500,
     "PeopleSoft hides the reason while its service system status is Production. Look in "
     "PeopleTools "
     "> Integration Broker > Service Operations Monitor > Monitoring > Synchronous Services for "
     "the "
     "error, or set the status to Development for the test (Integration Broker > Configuration > "
     "Service Configuration). Most often the user lacks the query access group of a record, or the "
     "web service is not active"},
    {PST_E_SYSTEM, 0,
     "Look in PeopleTools > Integration Broker > Service Operations Monitor for the error of this "
     "call"},
    {PST_E_FOREIGN_PAGE, 0,
     "Something in front of PeopleSoft (a sign-on portal, proxy or firewall) answered instead of "
     "the "
     "integration gateway. Let this server reach /PSIGW without the portal's sign-on, and use the "
     "gateway's own address, not that of the browser pages (/psp, /psc)"},
    {PST_E_SYSTEM_BUSY, 0, "Wait, then test again"},
    {PST_E_TIMEOUT, 0,
     "The gateway does not answer in time. Look whether the application server is up; a firewall "
     "may "
     "also swallow the calls. A first call after a restart can be slow: test again"},
    {PST_E_UNREACHABLE, 0,
     "Look whether the host name and port are right, the gateway's web server is up, and a "
     "firewall "
     "lets this server through. For a certificate that is not from a public authority, give the "
     "authority's certificate in ca_pem"},
    {PST_E_AWAY, 0,
     "No call was made. Test again in some seconds: a test tries it every 5 s at most"},
    {PST_E_EGRESS, 0,
     "Correct the address. For a system in a private network the operator of Penstock has to list "
     "its address range in system_ranges; loopback addresses, Penstock's own and the ports of "
     "other services stay closed"},
};

static const char *fix_for(const struct pst_err *e)
{
    for (size_t i = 0; i < PST_COUNT(FIXES); i++)
        if (FIXES[i].code == e->code &&
            (FIXES[i].http_status == 0 || FIXES[i].http_status == e->http_status))
            return FIXES[i].fix;
    return "Test again; if it stays so, look in Penstock's log for the request id";
}

/* ---- findings ------------------------------------------------------------------------------ */

static struct pst_check *add(struct tester *t, pst_str name, pst_str entity)
{
    struct pst_check *c = &t->items[t->count++];
    *c = (struct pst_check){.name = name, .entity = entity, .ok = true};
    return c;
}

static pst_code set_fault(struct tester *t, struct pst_check *c, const struct pst_err *e,
                          const char *fix, struct pst_err *err)
{
    c->ok = false;
    c->code = e->code;
    PST_TRY(pst_arena_dup(t->arena, &c->detail, pst_str_from(e->msg), err));
    c->fix = pst_str_from(fix ? fix : fix_for(e));
    return PST_OK;
}

/* Our own trouble, or an end of the work, is no finding: the test as a whole fails. */
static bool ends_test(pst_code code)
{
    return code == PST_E_NO_MEMORY || code == PST_E_CANCELLED || code == PST_E_LIMIT ||
           code == PST_E_INTERNAL || code == PST_E_UNAVAILABLE;
}

/* Nothing further is to be tried: refused, or not there. */
static bool is_over(pst_code code)
{
    return code == PST_E_REAUTH || code == PST_E_UNREACHABLE || code == PST_E_TIMEOUT ||
           code == PST_E_AWAY || code == PST_E_EGRESS || code == PST_E_FOREIGN_PAGE;
}

/* ---- metadata ------------------------------------------------------------------------------ */

static pst_code read_meta(struct tester *t, const char *service, pst_str query, yyjson_val ***items,
                          size_t *count, struct pst_err *err)
{
    struct pst_http_response response;
    pst_str url = {0};
    if (service)
        return pst_ps_meta_ask(t->self, t->ctx, service, query, t->arena, items, count, err);
    PST_TRY(pst_ps_url_list(t->self, query, t->arena, &url, err));
    PST_TRY(pst_ps_get(t->self, t->ctx, url, PST_EXPECT_JSON, t->arena, &response, err));
    return pst_ps_meta_read(response.body, t->arena, items, count, err);
}

static yyjson_val *find_item(yyjson_val **items, size_t count, const char *member, pst_str value)
{
    for (size_t i = 0; i < count; i++)
        if (pst_str_eq(pst_ps_meta_text(items[i], member), value))
            return items[i];
    return NULL;
}

/* The column's entry, by the name it has at this site, else by what stands behind the dot. */
static yyjson_val *find_column(const struct pst_ps_stream *s, yyjson_val **items, size_t count,
                               pst_str pack_name, pst_str *names)
{
    yyjson_val *item =
        find_item(items, count, "UniqueFieldName", pst_ps_stream_site_name(s, pack_name));
    for (size_t i = 0; i < count && !item; i++)
        if (pst_str_eq(pst_ps_stream_canonical(s, names[i], names, count), pack_name))
            item = items[i];
    return item;
}

static bool is_type_fit(char kind, pst_str type)
{
    static const struct {
        char kind;
        const char *types[4];
    } FIT[] = {
        {'C', {"Character", "Long Character"}},   {'L', {"Long Character", "Character"}},
        {'N', {"Number", "Signed Number"}},       {'S', {"Signed Number", "Number"}},
        {'D', {"Date", "Datetime", "Character"}}, {'T', {"Datetime", "Date", "Character"}},
    };
    if (type.len == 0)
        return true;
    for (size_t i = 0; i < PST_COUNT(FIT); i++)
        for (size_t k = 0; k < 4 && FIT[i].kind == kind; k++)
            if (FIT[i].types[k] && pst_str_eq_nocase(type, pst_str_from(FIT[i].types[k])))
                return true;
    return false;
}

static void list_one(struct pst_buf *list, pst_str name)
{
    pst_buf_addf(list, "%s'%.*s'", list->len ? ", " : "", PST_STR_ARG(name));
}

static pst_code compare_columns(struct tester *t, const struct pst_ps_stream *s, yyjson_val **items,
                                size_t count, struct pst_buf *missing, struct pst_buf *wrong,
                                struct pst_err *err)
{
    pst_str *names = NULL;
    PST_TRY(pst_arena_array(t->arena, &names, count, sizeof(*names), err));
    for (size_t i = 0; i < count; i++)
        names[i] = pst_ps_meta_text(items[i], "UniqueFieldName");
    for (size_t i = 0; i < s->pack->column_count; i++) {
        const struct pst_ps_column *c = &s->pack->columns[i];
        yyjson_val *item = find_column(s, items, count, c->name, names);
        pst_str type = pst_ps_meta_text(item, "FieldType");
        if (!item)
            list_one(missing, pst_ps_stream_site_name(s, c->name));
        else if (!is_type_fit(c->kind, type))
            pst_buf_addf(wrong, "%s'%.*s' is %.*s", wrong->len ? ", " : "",
                         PST_STR_ARG(pst_ps_stream_site_name(s, c->name)), PST_STR_ARG(type));
    }
    return PST_OK;
}

static pst_code check_columns(struct tester *t, const struct pst_ps_stream *s, struct pst_check *c,
                              struct pst_err *err)
{
    yyjson_val **items = NULL;
    size_t count = 0;
    struct pst_err e;
    pst_code code = read_meta(t, "QueryFields", s->query, &items, &count, &e);
    PST_AUTO(buf) struct pst_buf missing = {0};
    PST_AUTO(buf) struct pst_buf wrong = {0};
    pst_buf_init(&missing, LIST_BYTES);
    pst_buf_init(&wrong, LIST_BYTES);
    if (ends_test(code))
        return PST_FAIL(err, code, "%s", e.msg);
    if (code != PST_OK)
        return set_fault(t, c, &e, NULL, err);
    PST_TRY(compare_columns(t, s, items, count, &missing, &wrong, err));
    if (missing.len) {
        (void)PST_FAIL(&e, PST_E_SYSTEM, "query '%.*s' has no column %.*s", PST_STR_ARG(s->query),
                       PST_STR_ARG(pst_buf_str(&missing)));
        return set_fault(
            t, c, &e,
            "Add the columns in Query Manager (the field's unique name has to be the one "
            "named here), or give the names that they have in the option `columns`",
            err);
    }
    if (wrong.len) {
        (void)PST_FAIL(&e, PST_E_SYSTEM, "columns of query '%.*s' have another type: %.*s",
                       PST_STR_ARG(s->query), PST_STR_ARG(pst_buf_str(&wrong)));
        return set_fault(t, c, &e, "Compare these columns with the query pack", err);
    }
    return pst_arena_printf(t->arena, &c->detail, err, "all %zu columns are there",
                            s->pack->column_count);
}

static pst_code check_prompts(struct tester *t, const struct pst_ps_stream *s, struct pst_check *c,
                              struct pst_err *err)
{
    yyjson_val **items = NULL;
    size_t count = 0;
    struct pst_err e;
    pst_code code = read_meta(t, "QueryPrompts", s->query, &items, &count, &e);
    PST_AUTO(buf) struct pst_buf missing = {0};
    PST_AUTO(buf) struct pst_buf extra = {0};
    pst_buf_init(&missing, LIST_BYTES);
    pst_buf_init(&extra, LIST_BYTES);
    if (ends_test(code))
        return PST_FAIL(err, code, "%s", e.msg);
    if (code != PST_OK)
        return set_fault(t, c, &e, NULL, err);
    for (size_t i = 0; i < s->pack->prompt_count; i++)
        if (!find_item(items, count, "UniquePromptName", s->pack->prompts[i].name))
            list_one(&missing, s->pack->prompts[i].name);
    for (size_t i = 0; i < count; i++) {
        pst_str name = pst_ps_meta_text(items[i], "UniquePromptName");
        bool is_known = false;
        for (size_t k = 0; k < s->pack->prompt_count; k++)
            is_known = is_known || pst_str_eq(name, s->pack->prompts[k].name);
        if (!is_known)
            list_one(&extra, name);
    }
    if (missing.len == 0 && extra.len == 0)
        return pst_arena_printf(t->arena, &c->detail, err, "all %zu prompts are there",
                                s->pack->prompt_count);
    (void)PST_FAIL(&e, PST_E_SYSTEM, "query '%.*s' %s%.*s%s%s%.*s", PST_STR_ARG(s->query),
                   missing.len ? "has no prompt " : "", PST_STR_ARG(pst_buf_str(&missing)),
                   missing.len && extra.len ? " and " : "",
                   extra.len ? "has a prompt that is not in the pack: " : "",
                   PST_STR_ARG(pst_buf_str(&extra)));
    return set_fault(t, c, &e,
                     "Set the prompts of the query as the query pack has them: type Character, the "
                     "unique prompt name exactly as named here, in capitals",
                     err);
}

/* ---- reading ------------------------------------------------------------------------------- */

static pst_code read_one(struct tester *t, const struct pst_ps_stream *s, pst_str after,
                         struct pst_page *page, struct pst_err *err)
{
    const struct pst_fetch fetch = {
        .stream = s->stream,
        .mode = PST_FETCH_FULL,
        .from = PST_WALL_NONE,
        .to = PST_WALL_NONE,
        .as_of = PST_WALL_NONE,
        .after_key = after,
        .limit = 1,
    };
    return pst_ps_fetch(t->self, t->ctx, &fetch, t->arena, page, err);
}

static pst_code check_read(struct tester *t, const struct pst_ps_stream *s, struct pst_check *c,
                           struct pst_err *err)
{
    struct pst_page page = {0};
    struct pst_page next = {0};
    struct pst_err e;
    pst_code code = read_one(t, s, (pst_str){0}, &page, &e);
    if (code == PST_OK && page.count > 0)
        code = read_one(t, s, page.next_key, &next, &e);
    if (ends_test(code))
        return PST_FAIL(err, code, "%s", e.msg);
    if (code != PST_OK)
        return set_fault(t, c, &e, NULL, err);
    if (page.count > 0)
        c->detail = PST_STR("rows can be read, and the next page continues behind them");
    else
        c->detail = PST_STR("the query works and returns no row: the table is empty, or the user's "
                            "row-level security hides all of it");
    return PST_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static pst_code check_stream(struct tester *t, const struct pst_ps_stream *s, bool *is_ended,
                             struct pst_err *err)
{
    pst_str entity = s->stream->name;
    struct pst_check *c = NULL;
    if (t->queries) {
        c = add(t, (pst_str){0}, entity);
        PST_TRY(pst_arena_printf(t->arena, &c->name, err, "query %.*s", PST_STR_ARG(s->query)));
        c->detail = PST_STR("the query is there");
    }
    if (t->queries && !find_item(t->queries, t->query_count, "QueryName", s->query)) {
        struct pst_err e;
        pst_code code =
            PST_FAIL(&e, PST_E_SYSTEM, "there is no %.*s query '%.*s' that this user may run",
                     PST_STR_ARG(t->self->owner), PST_STR_ARG(s->query));
        (void)code;
        return set_fault(
            t, c, &e,
            "Create the query from the query pack (Reporting Tools > Query > Query "
            "Manager), save it as a public query, and give the user's permission list the "
            "query access groups of its records. If the site has it under another name, "
            "give that name in the option `queries`",
            err);
    }
    static const struct {
        const char *name;
        pst_code (*check)(struct tester *, const struct pst_ps_stream *, struct pst_check *,
                          struct pst_err *);
    } STEPS[] = {{"columns", check_columns}, {"prompts", check_prompts}, {"rows", check_read}};
    for (size_t i = 0; i < PST_COUNT(STEPS) && !*is_ended; i++) {
        c = add(t, (pst_str){0}, entity);
        PST_TRY(pst_arena_printf(t->arena, &c->name, err, "%s of %.*s", STEPS[i].name,
                                 PST_STR_ARG(s->query)));
        PST_TRY(STEPS[i].check(t, s, c, err));
        /* Where the list and the query itself are answered alike, so are all others. */
        *is_ended = !c->ok && (is_over(c->code) ||
                               (c->detail.len > 0 && pst_str_eq(c->detail, t->list_fault)));
    }
    return PST_OK;
}

/* The first call: goes alone, so that refused credentials are tried once. */
static pst_code check_connection(struct tester *t, bool *is_ended, struct pst_err *err)
{
    struct pst_err e;
    pst_code code = read_meta(t, NULL, PST_STR("PST_"), &t->queries, &t->query_count, &e);
    struct pst_check *c = add(t, PST_STR("address"), (pst_str){0});
    if (ends_test(code))
        return PST_FAIL(err, code, "%s", e.msg);
    if (is_over(code) && code != PST_E_REAUTH) {
        *is_ended = true;
        return set_fault(t, c, &e, NULL, err);
    }
    c->detail = code == PST_OK || code == PST_E_REAUTH ? PST_STR("the integration gateway answers")
                                                       : PST_STR("a web server answers");
    c = add(t, PST_STR("credentials"), (pst_str){0});
    if (code == PST_E_REAUTH) {
        *is_ended = true;
        return set_fault(t, c, &e, NULL, err);
    }
    c->detail = PST_STR("the user id and password are accepted");
    if (code == PST_OK)
        return PST_OK;
    t->queries = NULL; /* the list cannot be asked; the queries themselves still can */
    c->name = PST_STR("list of queries");
    PST_TRY(set_fault(t, c, &e, NULL, err));
    t->list_fault = c->detail;
    return PST_OK;
}

static pst_code check_clock(struct tester *t, struct pst_err *err)
{
    struct pst_err e;
    pst_wall now;
    pst_str date = {0};
    pst_code code = pst_ps_read_clock(t->self, t->ctx, t->arena, &now, &date, &e);
    if (ends_test(code))
        return PST_FAIL(err, code, "%s", e.msg);
    struct pst_check *c = add(t, PST_STR("clock"), (pst_str){0});
    char text[PST_WALL_TEXT];
    if (code == PST_OK) {
        pst_wall web;
        pst_wall_format(text, now);
        int64_t apart_s = pst_http_date_parse(&web, date) ? (now.us - web.us) / PST_US_PER_S : 0;
        if (apart_s > -CLOCKS_APART_S && apart_s < CLOCKS_APART_S)
            return pst_arena_printf(t->arena, &c->detail, err, "the database's time is %s", text);
        return pst_arena_printf(t->arena, &c->detail, err,
                                "the database's time is %s, %lld min %s the web server's: is the "
                                "option time_zone right?",
                                text, (long long)((apart_s < 0 ? -apart_s : apart_s) + 30) / 60,
                                apart_s < 0 ? "behind" : "ahead of");
    }
    c->detail =
        PST_STR("query PST_CLOCK is not there: the web server's time is used instead, which "
                "is safe while both clocks differ by less than the overlap of syncs");
    return is_over(code) ? set_fault(t, c, &e, NULL, err) : PST_OK;
}

pst_code pst_ps_check(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      const struct pst_stream *const *streams, size_t count,
                      struct pst_arena *arena, struct pst_checks *out, struct pst_err *err)
{
    struct tester t = {.self = self, .ctx = ctx, .arena = arena};
    bool is_ended = false;
    PST_TRY(pst_arena_array(arena, &t.items, CHECKS_FIRST + count * CHECKS_PER_STREAM,
                            sizeof(*t.items), err));
    PST_TRY(check_connection(&t, &is_ended, err));
    if (!is_ended)
        PST_TRY(check_clock(&t, err));
    for (size_t i = 0; i < count && !is_ended; i++) {
        const struct pst_ps_stream *s = NULL;
        PST_TRY(pst_ps_stream_find(self, streams[i], &s, err));
        PST_TRY(check_stream(&t, s, &is_ended, err));
    }
    out->items = t.items;
    out->count = t.count;
    return PST_OK;
}
