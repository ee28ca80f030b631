/* tests/conformance/connector_test.c: what every adapter must keep, tried against its simulated
 * system through the real gate.
 *
 *   connector_test SUBJECT PROGRAM     PROGRAM: the simulated system
 *
 * For every stream: pages never skip or repeat wherever reading stops, documents are whole at every
 * page limit, keys ascend, windows are half-open, only an empty answer is the end. And: each fault
 * gets its code, deadlines hold, one bad row is one document's fault, nothing leaks. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/tz.h"
#include "crypto/crypto.h"
#include "gate/gate.h"
#include "os/clock.h"
#include "subject.h"
#include "unit/test.h"

enum { DOCUMENTS = 4096, PAGES = 8192 };

static const struct subject *subject;

static struct {
    struct pst_manifest *manifest;
    struct pst_tz *zone;
    struct pst_gate *gate;
    struct pst_http *http;
    struct pst_arena *config_arena;
    yyjson_val *config, *credentials, *wrong;
} world;

/* One run through the gate. */
struct session {
    struct pst_connector *self;
    struct pst_gate_run *run;
    struct pst_connector_ctx ctx;
    struct pst_arena *arena;
    struct pst_err err;
};

static pst_code open_session(struct session *s, yyjson_val *credentials)
{
    *s = (struct session){0};
    PST_TRY(pst_arena_new(&s->arena, 64 << 20, &s->err));
    PST_TRY(subject->ops->open(&s->self, world.manifest, world.config, credentials, &s->err));
    PST_TRY(pst_gate_begin(
        &s->run, world.gate,
        &(struct pst_gate_run_options){.connector = subject->ops, .http = world.http}, &s->err));
    s->ctx = (struct pst_connector_ctx){.call = pst_gate_call, .self = s->run, .zone = world.zone};
    return PST_OK;
}

static void begin(struct session *s)
{
    if (open_session(s, world.credentials) != PST_OK)
        fail_msg("%s", s->err.msg);
}

static void end(struct session *s)
{
    subject->ops->close(s->self);
    pst_gate_end(s->run);
    pst_arena_free(s->arena);
}

struct window {
    pst_wall from, to;
};
static const struct window OPEN = {{INT64_MIN}, {INT64_MIN}}; /* no bounds */

static pst_code fetch(struct session *s, const struct pst_stream *stream, struct window window,
                      const char *after, uint32_t limit, struct pst_page *page)
{
    const struct pst_fetch request = {
        .stream = stream,
        .mode = PST_FETCH_FULL,
        .from = window.from,
        .to = window.to,
        .as_of = PST_WALL_NONE,
        .after_key = pst_str_from(after),
        .limit = limit,
    };
    return subject->ops->fetch(s->self, &s->ctx, &request, s->arena, page, &s->err);
}

/* A document as far as it is compared. */
struct seen {
    char id[128];
    unsigned char sort_key[256];
    size_t sort_len;
    uint32_t rows;
    uint64_t hash; /* of its cells */
    pst_wall stamp;
    bool has_fault;
    size_t page;
};

struct list {
    struct seen *items; /* DOCUMENTS of them, freed by the caller */
    size_t count;
    char (*tokens)[128]; /* next_key of each page, PAGES of them */
    size_t pages;
    uint64_t rows;
};

static void list_init(struct list *l)
{
    *l = (struct list){.items = pst_calloc(DOCUMENTS, sizeof(struct seen)),
                       .tokens = pst_calloc(PAGES, 128)};
    assert_non_null(l->items);
    assert_non_null(l->tokens);
}

static void list_fini(struct list *l)
{
    pst_free(l->items);
    pst_free(l->tokens);
}

static uint64_t hash_cells(const struct pst_document *d, const struct pst_columns *columns)
{
    struct pst_buf b;
    uint64_t h = 1469598103934665603ULL;
    pst_buf_init(&b, 16 << 20);
    pst_document_source_json(&b, columns, d);
    assert_int_equal(b.fail, PST_OK);
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ (unsigned char)b.ptr[i]) * 1099511628211ULL;
    pst_buf_fini(&b);
    return h;
}

static void add_document(struct list *l, const struct pst_document *d,
                         const struct pst_columns *columns)
{
    assert_true(l->count < DOCUMENTS);
    struct seen *x = &l->items[l->count++];
    assert_true(pst_str_copy(x->id, sizeof(x->id), d->source_id));
    assert_true(d->sort_key.len > 0 && d->sort_key.len <= sizeof(x->sort_key));
    memcpy(x->sort_key, d->sort_key.ptr, d->sort_key.len);
    x->sort_len = d->sort_key.len;
    x->rows = d->row_count;
    x->hash = hash_cells(d, columns);
    x->stamp = d->stamp;
    x->has_fault = d->fault.len > 0;
    x->page = l->pages;
    if (l->count > 1) {
        pst_str before = {(const char *)x[-1].sort_key, x[-1].sort_len};
        if (pst_str_cmp(before, d->sort_key) >= 0)
            fail_msg("'%s' comes behind '%s'", x->id, x[-1].id);
    }
}

/* Read from `after` to the end. */
static void walk(struct session *s, const struct pst_stream *stream, struct window window,
                 const char *after, uint32_t limit, struct list *l)
{
    char token[128];
    bool is_end = false;
    assert_true(pst_str_copy(token, sizeof(token), pst_str_from(after)));
    for (l->count = l->pages = 0, l->rows = 0; !is_end; l->pages++) {
        struct pst_page page;
        uint64_t rows = 0;
        assert_true(l->pages < PAGES);
        pst_arena_reset(s->arena);
        if (fetch(s, stream, window, token, limit, &page) != PST_OK)
            fail_msg("limit %u, after '%s': %s", limit, token, s->err.msg);
        for (size_t i = 0; i < page.count; i++) {
            add_document(l, &page.documents[i], &page.columns);
            rows += page.documents[i].row_count;
        }
        assert_int_equal(rows, page.rows);
        assert_true(page.count > 0 || page.end);
        assert_int_equal(page.next_key.len > 0, page.count > 0);
        if (page.count > 0)
            assert_true(pst_str_copy(token, sizeof(token), page.next_key));
        (void)pst_str_copy(l->tokens[l->pages], sizeof(token), pst_str_from(token));
        l->rows += rows;
        is_end = page.end;
    }
}

static void compare(const struct list *a, const struct list *b, size_t b_from, const char *what)
{
    if (a->count != b->count - b_from)
        fail_msg("%s: %zu documents, expected %zu", what, a->count, b->count - b_from);
    for (size_t i = 0; i < a->count; i++) {
        const struct seen *x = &a->items[i];
        const struct seen *y = &b->items[b_from + i];
        if (strcmp(x->id, y->id) != 0 || x->rows != y->rows || x->hash != y->hash ||
            x->stamp.us != y->stamp.us)
            fail_msg("%s: '%s' with %u rows, expected '%s' with %u", what, x->id, x->rows, y->id,
                     y->rows);
    }
}

#define EACH_STREAM(stream)                                                                        \
    for (const struct pst_stream *stream = world.manifest->streams;                                \
         stream < world.manifest->streams + world.manifest->stream_count; stream++)

static void every_page_limit_gives_the_same_whole_documents(void **state)
{
    (void)state;
    static const uint32_t LIMITS[] = {1, 7, 1000};
    EACH_STREAM(stream)
    {
        struct session s;
        struct list truth;
        struct list l;
        begin(&s);
        list_init(&truth);
        list_init(&l);
        walk(&s, stream, OPEN, "", 100000, &truth);
        assert_true(truth.count > 5);
        assert_int_equal(truth.rows, subject->count_rows(stream->name));
        for (size_t i = 0; i < PST_COUNT(LIMITS); i++) {
            walk(&s, stream, OPEN, "", LIMITS[i], &l);
            compare(&l, &truth, 0, stream->entity->name);
        }
        list_fini(&l);
        list_fini(&truth);
        end(&s);
    }
}

static void reading_goes_on_behind_any_page_after_a_crash(void **state)
{
    (void)state;
    EACH_STREAM(stream)
    {
        struct session s;
        struct list truth;
        struct list rest;
        begin(&s);
        list_init(&truth);
        list_init(&rest);
        walk(&s, stream, OPEN, "", 7, &truth);
        for (size_t page = 0; page + 1 < truth.pages; page++) {
            size_t from = 0;
            while (from < truth.count && truth.items[from].page <= page)
                from++;
            end(&s); /* a new process knows nothing but the stored key */
            begin(&s);
            walk(&s, stream, OPEN, truth.tokens[page], 1000, &rest);
            compare(&rest, &truth, from, stream->entity->name);
        }
        list_fini(&rest);
        list_fini(&truth);
        end(&s);
    }
}

static void a_lower_row_cap_of_the_system_loses_nothing(void **state)
{
    (void)state;
    EACH_STREAM(stream)
    {
        struct session s;
        struct list truth;
        struct list l;
        begin(&s);
        list_init(&truth);
        list_init(&l);
        walk(&s, stream, OPEN, "", 1000, &truth);
        subject->set_fault(FAULT_ROW_CAP, 0);
        walk(&s, stream, OPEN, "", 1000, &l);
        subject->clear_faults();
        compare(&l, &truth, 0, stream->entity->name);
        list_fini(&l);
        list_fini(&truth);
        end(&s);
    }
}

static bool has_id(const struct list *l, const char *id)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i].id, id) == 0)
            return true;
    return false;
}

static void windows_are_half_open(void **state)
{
    (void)state;
    EACH_STREAM(stream)
    {
        struct session s;
        struct list truth;
        struct list before;
        struct list behind;
        if (!stream->has_stamp)
            continue;
        begin(&s);
        list_init(&truth);
        list_init(&before);
        list_init(&behind);
        walk(&s, stream, OPEN, "", 1000, &truth);
        for (size_t k = 0; k < truth.count; k += 1 + truth.count / 8) {
            pst_wall at = truth.items[k].stamp;
            if (pst_wall_is_none(at))
                continue;
            walk(&s, stream, (struct window){.from = PST_WALL_NONE, .to = at}, "", 1000, &before);
            walk(&s, stream, (struct window){.from = at, .to = PST_WALL_NONE}, "", 1000, &behind);
            for (size_t i = 0; i < truth.count; i++) {
                const struct seen *x = &truth.items[i];
                bool is_before = x->stamp.us < at.us;
                if (pst_wall_is_none(x->stamp))
                    continue;
                if (!has_id(is_before ? &before : &behind, x->id))
                    fail_msg("%s '%s' is in no window", stream->entity->name, x->id);
                if (is_before && stream->effective_dated)
                    continue; /* it may have come into force since */
                if (!stream->date_only && has_id(is_before ? &behind : &before, x->id))
                    fail_msg("%s '%s' is in both windows", stream->entity->name, x->id);
            }
        }
        list_fini(&behind);
        list_fini(&before);
        list_fini(&truth);
        end(&s);
    }
}

static void an_empty_window_is_an_end_without_documents(void **state)
{
    (void)state;
    pst_wall past = {0};
    assert_true(pst_wall_parse(&past, PST_STR("1950-01-01T00:00:00Z")));
    EACH_STREAM(stream)
    {
        struct session s;
        struct pst_page page;
        if (!stream->has_stamp)
            continue;
        begin(&s);
        struct window window = {.from = PST_WALL_NONE, .to = past};
        assert_int_equal(fetch(&s, stream, window, "", 100, &page), PST_OK);
        assert_true(page.end);
        assert_int_equal(page.count, 0);
        end(&s);
    }
}

static void each_fault_gets_its_code_on_the_first_and_on_a_later_page(void **state)
{
    (void)state;
    const struct pst_stream *stream = &world.manifest->streams[world.manifest->stream_count - 1];
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        pst_code want = subject->expected[fault];
        if (want == PST_OK)
            continue;
        for (unsigned skip = 0; skip < 2; skip++) {
            struct session s;
            struct pst_page page = {0};
            char token[128] = "";
            pst_code code = PST_OK;
            begin(&s);
            subject->set_fault((enum subject_fault)fault, skip);
            for (int pages = 0; pages < 4 && code == PST_OK && !page.end; pages++) {
                code = fetch(&s, stream, OPEN, token, 5, &page);
                if (code == PST_OK && page.count > 0)
                    assert_true(pst_str_copy(token, sizeof(token), page.next_key));
            }
            subject->clear_faults();
            if (code != want || s.err.code != want || s.err.msg[0] == '\0')
                fail_msg("fault %d after %u: %s, expected %s: %s", fault, skip, pst_code_name(code),
                         pst_code_name(want), s.err.msg);
            assert_null(strstr(s.err.msg, "penstock\"")); /* no credential in messages */
            end(&s);
        }
    }
}

static void a_deadline_is_kept(void **state)
{
    (void)state;
    struct session s;
    struct pst_page page;
    begin(&s);
    subject->set_fault(FAULT_SLOW, 0);
    pst_mono start = pst_mono_now();
    s.ctx.deadline = pst_mono_after_ms(start, 300);
    assert_int_equal(fetch(&s, world.manifest->streams, OPEN, "", 10, &page), PST_E_TIMEOUT);
    assert_true(pst_mono_ms_until(start, pst_mono_now()) < 2500);
    subject->clear_faults();
    end(&s);
}

static void a_bad_row_is_one_document_s_fault(void **state)
{
    (void)state;
    EACH_STREAM(stream)
    {
        struct session s;
        struct list truth;
        struct list l;
        begin(&s);
        list_init(&truth);
        list_init(&l);
        walk(&s, stream, OPEN, "", 1000, &truth);
        subject->set_fault(FAULT_BAD_TEXT, 0);
        walk(&s, stream, OPEN, "", 1000, &l);
        subject->clear_faults();
        size_t faults = 0;
        for (size_t i = 0; i < l.count; i++)
            faults += l.items[i].has_fault;
        assert_true(faults >= 1 && faults < l.count);
        assert_int_equal(l.count, truth.count);
        assert_int_equal(l.rows, truth.rows);
        list_fini(&l);
        list_fini(&truth);
        end(&s);
    }
}

static void the_source_s_time_is_its_own(void **state)
{
    (void)state;
    struct session s;
    pst_wall now = PST_WALL_NONE;
    begin(&s);
    pst_wall before = subject->now();
    assert_int_equal(subject->ops->source_now(s.self, &s.ctx, &now, &s.err), PST_OK);
    pst_wall after = subject->now();
    assert_true(now.us >= before.us - PST_US_PER_S);
    assert_true(now.us <= after.us + PST_US_PER_S);
    end(&s);
}

static void a_probe_tells_good_credentials_from_wrong_ones(void **state)
{
    (void)state;
    struct session s;
    begin(&s);
    assert_int_equal(subject->ops->probe(s.self, &s.ctx, &s.err), PST_OK);
    end(&s);
    if (open_session(&s, world.wrong) != PST_OK)
        fail_msg("%s", s.err.msg);
    assert_int_equal(subject->ops->probe(s.self, &s.ctx, &s.err), PST_E_REAUTH);
    assert_int_equal(pst_gate_counters(s.run).calls, 1);
    end(&s);
}

static size_t run_checks(struct session *s, struct pst_checks *checks)
{
    const struct pst_stream *streams[PST_ENTITIES_MAX];
    size_t count = 0;
    size_t failed = 0;
    EACH_STREAM(stream)
    streams[count++] = stream;
    if (subject->ops->test(s->self, &s->ctx, streams, count, s->arena, checks, &s->err) != PST_OK)
        fail_msg("%s", s->err.msg);
    for (size_t i = 0; i < checks->count; i++) {
        const struct pst_check *c = &checks->items[i];
        assert_true(c->name.len > 0 && c->detail.len > 0);
        assert_int_equal(c->ok, c->fix.len == 0);
        failed += !c->ok;
    }
    return failed;
}

static void a_test_finds_nothing_wrong_and_stops_at_refused_credentials(void **state)
{
    (void)state;
    struct session s;
    struct pst_checks checks = {0};
    begin(&s);
    if (run_checks(&s, &checks) != 0)
        for (size_t i = 0; i < checks.count; i++)
            if (!checks.items[i].ok)
                fail_msg("%.*s: %.*s", PST_STR_ARG(checks.items[i].name),
                         PST_STR_ARG(checks.items[i].detail));
    assert_true(checks.count > world.manifest->stream_count);
    end(&s);
    if (open_session(&s, world.wrong) != PST_OK)
        fail_msg("%s", s.err.msg);
    assert_int_equal(run_checks(&s, &checks), 1);
    assert_int_equal(checks.items[checks.count - 1].code, PST_E_REAUTH);
    assert_int_equal(pst_gate_counters(s.run).calls, 1);
    end(&s);
}

static void a_description_has_the_columns_of_the_rows(void **state)
{
    (void)state;
    if (!subject->ops->describe)
        return;
    EACH_STREAM(stream)
    {
        struct session s;
        struct pst_page page = {0};
        struct pst_source_columns columns = {0};
        begin(&s);
        assert_int_equal(fetch(&s, stream, OPEN, "", 10, &page), PST_OK);
        assert_int_equal(subject->ops->describe(s.self, &s.ctx, stream, s.arena, &columns, &s.err),
                         PST_OK);
        for (size_t i = 0; i < page.columns.count; i++) {
            size_t at = 0;
            while (at < columns.count && !pst_str_eq(columns.items[at].name, page.columns.names[i]))
                at++;
            if (at == columns.count)
                fail_msg("%.*s is not described", PST_STR_ARG(page.columns.names[i]));
            assert_true(columns.items[at].type.len > 0);
        }
        end(&s);
    }
}

static void a_description_fails_as_a_page_does(void **state)
{
    static const enum subject_fault faults[] = {FAULT_REFUSED, FAULT_DENIED,  FAULT_UNAVAILABLE,
                                                FAULT_RESET,   FAULT_GARBAGE, FAULT_SIGN_ON_PAGE};
    (void)state;
    for (size_t i = 0; subject->ops->describe && i < PST_COUNT(faults); i++) {
        struct session s;
        struct pst_source_columns columns = {0};
        begin(&s);
        subject->set_fault(faults[i], 0);
        assert_int_equal(subject->ops->describe(s.self, &s.ctx, world.manifest->streams, s.arena,
                                                &columns, &s.err),
                         subject->expected[faults[i]]);
        subject->clear_faults();
        end(&s);
    }
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    subject->ops->close(NULL);
}

static void a_key_of_another_is_refused(void **state)
{
    (void)state;
    EACH_STREAM(stream)
    {
        struct session s;
        struct pst_page page;
        begin(&s);
        assert_int_equal(fetch(&s, stream, OPEN, "a|b|c|d|e|f|g|h|i|j", 10, &page), PST_E_INVALID);
        end(&s);
    }
}

static void failed_allocations_are_reported_and_nothing_leaks(void **state)
{
    (void)state;
    const struct pst_stream *stream = &world.manifest->streams[world.manifest->stream_count - 1];
    struct session s;
    struct pst_page page;
    begin(&s); /* once, so that what is kept for ever is there */
    (void)fetch(&s, stream, OPEN, "", 5, &page);
    end(&s);
    FOR_EACH_ALLOC_FAULT(i)
    {
        int64_t live = pst_alloc_live();
        pst_code code = open_session(&s, world.credentials);
        if (code == PST_OK)
            code = fetch(&s, stream, OPEN, "", 5, &page);
        if (code == PST_OK && pst_alloc_failed())
            assert_true(page.count > 0); /* a library got over it */
        if (code != PST_OK && !pst_alloc_failed())
            fail_msg("%s", s.err.msg);
        end(&s);
        /* A library may have taken it for the system's failure, which the gate remembers until the
         * system answers. */
        if (pst_alloc_failed() && pst_alloc_live() != live) {
            begin(&s);
            assert_int_equal(fetch(&s, stream, OPEN, "", 5, &page), PST_OK);
            end(&s);
        }
        assert_int_equal(pst_alloc_live(), live);
    }
}

/* ---- set-up -------------------------------------------------------------------------------- */

static void must(pst_code code, const struct pst_err *err)
{
    if (code != PST_OK) {
        (void)fprintf(stderr, "set-up: %s\n", err->msg);
        abort();
    }
}

static yyjson_val *json(const char *text)
{
    struct pst_err err;
    yyjson_doc *doc = NULL;
    must(pst_json_read(pst_str_from(text), NULL, world.config_arena, &doc, &err), &err);
    return yyjson_doc_get_root(doc);
}

static void set_up(const char *program)
{
    struct pst_err err;
    must(pst_crypto_init(&err), &err);
    must(pst_http_init(&err), &err);
    subject->start(program);
    must(pst_manifest_new(&world.manifest, subject->ops, &err), &err);
    must(pst_tz_load(&world.zone, NULL, pst_str_from(subject->zone), &err), &err);
    must(pst_gate_new(&world.gate, &(struct pst_gate_options){0}, &err), &err);
    must(pst_http_new(&world.http, &(struct pst_http_options){0}, &err), &err);
    must(pst_arena_new(&world.config_arena, 1 << 20, &err), &err);
    world.config = json(subject->config());
    world.credentials = json(subject->credentials);
    world.wrong = json(subject->wrong_credentials);
}

static void tear_down(void)
{
    subject->stop();
    pst_manifest_free(world.manifest);
    pst_tz_free(world.zone);
    pst_gate_free(world.gate);
    pst_http_free(world.http);
    pst_arena_free(world.config_arena);
}

int main(int argc, char **argv)
{
    static const struct subject *const SUBJECTS[] = {&SUBJECT_PEOPLESOFT};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_limit_gives_the_same_whole_documents),
        cmocka_unit_test(reading_goes_on_behind_any_page_after_a_crash),
        cmocka_unit_test(a_lower_row_cap_of_the_system_loses_nothing),
        cmocka_unit_test(windows_are_half_open),
        cmocka_unit_test(an_empty_window_is_an_end_without_documents),
        cmocka_unit_test(each_fault_gets_its_code_on_the_first_and_on_a_later_page),
        cmocka_unit_test(a_deadline_is_kept),
        cmocka_unit_test(a_bad_row_is_one_document_s_fault),
        cmocka_unit_test(the_source_s_time_is_its_own),
        cmocka_unit_test(a_probe_tells_good_credentials_from_wrong_ones),
        cmocka_unit_test(a_test_finds_nothing_wrong_and_stops_at_refused_credentials),
        cmocka_unit_test(a_description_has_the_columns_of_the_rows),
        cmocka_unit_test(a_description_fails_as_a_page_does),
        cmocka_unit_test(closing_nothing_is_allowed),
        cmocka_unit_test(a_key_of_another_is_refused),
        cmocka_unit_test(failed_allocations_are_reported_and_nothing_leaks),
    };
    for (size_t i = 0; argc == 3 && i < PST_COUNT(SUBJECTS); i++)
        if (strcmp(SUBJECTS[i]->ops->name, argv[1]) == 0)
            subject = SUBJECTS[i];
    if (!subject) {
        (void)fprintf(stderr, "usage: connector_test SUBJECT PROGRAM\n");
        return 2;
    }
    set_up(argv[2]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tear_down();
    return failed;
}
