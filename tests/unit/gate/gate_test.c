/* tests/unit/gate/gate_test.c: calls through the gate to a peer: counters, observed contacts, slots
 * per origin, Retry-After, cancelling. */
#include "../test.h"

#include <pthread.h>

#include "../http/peer.h"
#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "gate/gate.h"
#include "gate/refusals.h"
#include "os/clock.h"
#include "os/thread.h"

#define OK_BODY "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}"

struct seen {
    int count;
    pst_code code;
    enum pst_contact_class klass;
    int status;
    char connection[PST_ID_TEXT], sync[PST_ID_TEXT], origin[PST_ORIGIN_TEXT];
    bool has_err, is_denied, is_private, is_confirmed, has_returned;
    enum pst_trial trial;
};

static pthread_mutex_t seen_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what is written */

static void observe(void *self, const struct pst_contact *contact)
{
    struct seen *s = self;
    (void)pthread_mutex_lock(&seen_mutex);
    s->count++;
    s->code = contact->code;
    s->klass = contact->klass;
    s->status = contact->response->status;
    s->has_err = contact->err != NULL;
    s->is_denied = contact->is_denied;
    s->is_private = contact->is_private;
    s->is_confirmed = contact->is_confirmed;
    s->has_returned = contact->has_returned;
    s->trial = contact->trial;
    (void)pst_str_copy(s->connection, sizeof(s->connection), contact->connection_id);
    (void)pst_str_copy(s->sync, sizeof(s->sync), contact->sync_id);
    (void)pst_str_copy(s->origin, sizeof(s->origin), pst_str_from(contact->origin));
    (void)pthread_mutex_unlock(&seen_mutex);
}

static uint32_t per_host = 1; /* calls at a time */
static atomic_int_fast64_t clock_ms; /* of the gate; calls and slots go by the real one */

static pst_mono read_clock(void)
{
    return (pst_mono){atomic_load(&clock_ms) * PST_NS_PER_MS};
}

struct fixture {
    struct peer peer;
    struct seen seen;
    struct pst_gate *gate;
    struct pst_http *http;
    struct pst_gate_run *run;
    struct pst_arena *arena;
    struct pst_http_response response;
    atomic_bool cancel;
};

static void begin(struct fixture *f, const struct peer_answer *answers, size_t count,
                  pst_mono deadline)
{
    struct pst_err err;
    memset(f, 0, sizeof(*f));
    peer_start(&f->peer, answers, count);
    assert_ok(pst_gate_new(
        &f->gate,
        &(struct pst_gate_options){
            .per_host = per_host, .mono = read_clock, .observe = observe, .observe_self = &f->seen},
        &err));
    assert_ok(pst_http_new(&f->http, &(struct pst_http_options){0}, &err));
    assert_ok(pst_arena_new(&f->arena, 1 << 20, &err));
    assert_ok(pst_gate_begin(&f->run, f->gate,
                             &(struct pst_gate_run_options){.connection_id = PST_STR("conn_1"),
                                                            .sync_id = PST_STR("sync_1"),
                                                            .http = f->http,
                                                            .cancel = &f->cancel,
                                                            .deadline = deadline},
                             &err));
}

static void end(struct fixture *f)
{
    pst_gate_end(f->run);
    pst_http_free(f->http);
    pst_gate_free(f->gate);
    pst_arena_free(f->arena);
    peer_stop(&f->peer);
}

static pst_code call(struct fixture *f, struct pst_err *err)
{
    const struct pst_http_request request = {.url = pst_str_from(peer_url(&f->peer, "/x")),
                                             .expect = PST_EXPECT_JSON};
    return pst_gate_call(f->run, &request, f->arena, &f->response, err);
}

static void good_and_bad_calls_are_counted_and_observed(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_BODY},
        {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", .end = PEER_CLOSE},
        {.bytes = "", .end = PEER_CLOSE},
    };
    static const struct {
        pst_code code;
        enum pst_contact_class klass;
        int status;
    } WANT[] = {
        {PST_OK, PST_CONTACT_GOOD, 200},
        {PST_E_UNREACHABLE, PST_CONTACT_UNWELL, 503},
        {PST_E_REAUTH, PST_CONTACT_REFUSED, 401},
        {PST_E_UNREACHABLE, PST_CONTACT_UNREACHABLE, 0},
    };
    struct fixture f;
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    for (size_t i = 0; i < PST_COUNT(WANT); i++) {
        struct pst_err err = {0};
        assert_int_equal(call(&f, &err), WANT[i].code);
        assert_int_equal(f.seen.count, i + 1);
        assert_int_equal(f.seen.code, WANT[i].code);
        assert_int_equal(f.seen.klass, WANT[i].klass);
        assert_int_equal(f.seen.status, WANT[i].status);
        assert_int_equal(f.seen.has_err, WANT[i].code != PST_OK);
        assert_int_equal(err.retry_after_s, i == 1 ? 30 : 0);
    }
    assert_string_equal(f.seen.connection, "conn_1");
    assert_string_equal(f.seen.sync, "sync_1");
    assert_non_null(strstr(f.seen.origin, "http://127.0.0.1:"));
    struct pst_gate_counters c = pst_gate_counters(f.run);
    assert_int_equal(c.calls, 4);
    assert_int_equal(c.bytes, 7);
    assert_true(c.wait_us > 0);
    end(&f);
}

/* Another run of the fixture's gate. */
static void take_run(struct fixture *f, const char *connection, enum pst_trial trial)
{
    struct pst_err err;
    pst_gate_end(f->run);
    assert_ok(pst_gate_begin(
        &f->run, f->gate,
        &(struct pst_gate_run_options){
            .connection_id = pst_str_from(connection), .http = f->http, .trial = trial},
        &err));
}

static void a_host_that_fails_two_connections_is_not_called_for_a_third(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = "", .end = PEER_RESET},
        {.bytes = "", .end = PEER_RESET},
        {.bytes = "", .end = PEER_RESET},
        {.bytes = "", .end = PEER_RESET},
        {.bytes = OK_BODY},
        {.bytes = OK_BODY},
    };
    struct fixture f;
    struct pst_err err;
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    for (int i = 0; i < 2; i++) {
        assert_code(call(&f, &err), PST_E_UNREACHABLE);
        atomic_fetch_add(&clock_ms, 3000);
    }
    assert_true(!f.seen.is_private && !f.seen.is_confirmed);
    take_run(&f, "conn_2", PST_TRIAL_NONE);
    assert_code(call(&f, &err), PST_E_UNREACHABLE);
    assert_true(pst_gate_is_away(f.gate, f.seen.origin));
    take_run(&f, "conn_3", PST_TRIAL_NONE);
    assert_code(call(&f, &err), PST_E_AWAY);
    assert_true(f.seen.is_denied);
    assert_int_equal(f.seen.klass, PST_CONTACT_UNREACHABLE);
    assert_int_equal(f.seen.status, 0);
    assert_int_equal(pst_gate_counters(f.run).calls, 0);
    assert_int_equal(f.peer.requests, 3);
    take_run(&f, "conn_3", PST_TRIAL_EARLY);
    assert_code(call(&f, &err), PST_E_UNREACHABLE);
    assert_true(f.seen.is_confirmed); /* it need not be tried three times */
    take_run(&f, "conn_3", PST_TRIAL_PROBE);
    assert_ok(call(&f, &err));
    assert_int_equal(f.seen.trial, PST_TRIAL_PROBE);
    assert_true(f.seen.has_returned);
    assert_false(pst_gate_is_away(f.gate, f.seen.origin));
    take_run(&f, "conn_4", PST_TRIAL_NONE);
    assert_ok(call(&f, &err));
    assert_false(f.seen.has_returned);
    end(&f);
}

static void what_fails_in_one_moment_is_no_outage(void **state)
{
    (void)state;
    static const char *const CONNECTIONS[] = {"conn_1", "conn_2", "conn_1", "conn_2"};
    static const struct peer_answer A[] = {{.bytes = "", .end = PEER_RESET},
                                           {.bytes = "", .end = PEER_RESET},
                                           {.bytes = "", .end = PEER_RESET},
                                           {.bytes = "", .end = PEER_RESET},
                                           {.bytes = OK_BODY}};
    struct fixture f;
    struct pst_err err;
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    for (size_t i = 0; i < PST_COUNT(CONNECTIONS); i++) {
        take_run(&f, CONNECTIONS[i], PST_TRIAL_NONE);
        assert_code(call(&f, &err), PST_E_UNREACHABLE);
    }
    assert_false(pst_gate_is_away(f.gate, f.seen.origin));
    atomic_fetch_add(&clock_ms, 1000); /* the try that confirms finds it well */
    assert_ok(call(&f, &err));
    end(&f);
}

/* ---- two runs at a time ---- */

/* A second run of the fixture's gate, in a thread of its own. */
struct other {
    struct fixture *f;
    struct pst_gate_run_options options;
    pst_code code;
    struct pst_thread *thread;
};

static void run_other(void *arg)
{
    struct other *o = arg;
    struct pst_err err;
    struct fixture own = {.peer.port = o->f->peer.port};
    assert_ok(pst_http_new(&own.http, &(struct pst_http_options){0}, &err));
    assert_ok(pst_arena_new(&own.arena, 1 << 20, &err));
    o->options.http = own.http;
    assert_ok(pst_gate_begin(&own.run, o->f->gate, &o->options, &err));
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", (unsigned)o->f->peer.port);
    const struct pst_http_request request = {.url = pst_str_from(url), .expect = PST_EXPECT_JSON};
    o->code = pst_gate_call(own.run, &request, own.arena, &own.response, &err);
    pst_gate_end(own.run);
    pst_http_free(own.http);
    pst_arena_free(own.arena);
}

/* Back when its call has reached the peer, as the peer's `requests`. */
static void start_other(struct other *o, struct fixture *f, size_t requests)
{
    struct pst_err err;
    o->f = f;
    assert_ok(pst_thread_start(&o->thread, "other", run_other, o, &err));
    while (atomic_load(&f->peer.requests) < requests)
        pst_sleep_ms(1);
}

static void who_waited_in_line_while_the_host_went_away_does_not_call_it(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = "", .end = PEER_RESET},
        {.bytes = "", .end = PEER_RESET},
        {.bytes = "", .end = PEER_RESET, .delay_ms = 500},
        {.bytes = OK_BODY, .end = PEER_CLOSE},
    };
    struct fixture f;
    struct pst_err err;
    struct other o = {.options.connection_id = PST_STR("conn_2")};
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    for (int i = 0; i < 2; i++) {
        assert_code(call(&f, &err), PST_E_UNREACHABLE);
        atomic_fetch_add(&clock_ms, 3000);
    }
    assert_false(pst_gate_is_away(f.gate, f.seen.origin));
    start_other(&o, &f, 3);
    take_run(&f, "conn_3", PST_TRIAL_NONE);
    assert_code(call(&f, &err), PST_E_AWAY);
    pst_thread_join(o.thread);
    assert_int_equal(o.code, PST_E_UNREACHABLE);
    assert_int_equal(f.peer.requests, 3);
    assert_int_equal(pst_gate_counters(f.run).calls, 0);
    /* What it held is given back: the next trial and the next call find room. */
    take_run(&f, "conn_3", PST_TRIAL_PROBE);
    assert_ok(call(&f, &err));
    end(&f);
}

static void the_time_in_line_is_not_the_systems(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_BODY, .end = PEER_CLOSE, .delay_ms = 1000},
        {.bytes = OK_BODY, .end = PEER_CLOSE, .delay_ms = 1000},
    };
    struct fixture f;
    struct pst_err err = {0};
    struct other o = {.options.connection_id = PST_STR("conn_2")};
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    start_other(&o, &f, 1);
    const struct pst_http_request request = {.url = pst_str_from(peer_url(&f.peer, "/x")),
                                             .expect = PST_EXPECT_JSON,
                                             .deadline = pst_mono_after_ms(pst_mono_now(), 1800)};
    assert_ok(pst_gate_call(f.run, &request, f.arena, &f.response, &err));
    pst_thread_join(o.thread);
    assert_int_equal(o.code, PST_OK);
    end(&f);
}

static void the_ports_of_a_host_share_its_places(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_BODY, .end = PEER_CLOSE, .delay_ms = 1000},
    };
    static const struct peer_answer B[] = {{.bytes = OK_BODY, .end = PEER_CLOSE}};
    struct fixture f;
    struct peer second;
    struct pst_err err = {0};
    struct other o = {.options.connection_id = PST_STR("conn_2")};
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    peer_start(&second, B, PST_COUNT(B));
    start_other(&o, &f, 1);
    struct pst_http_request request = {.url = pst_str_from(peer_url(&second, "/x")),
                                       .expect = PST_EXPECT_JSON,
                                       .deadline = pst_mono_after_ms(pst_mono_now(), 100)};
    assert_code(pst_gate_call(f.run, &request, f.arena, &f.response, &err), PST_E_UNAVAILABLE);
    assert_int_equal(second.requests, 0);
    pst_thread_join(o.thread);
    assert_int_equal(o.code, PST_OK);
    request.deadline = (pst_mono){0};
    assert_ok(pst_gate_call(f.run, &request, f.arena, &f.response, &err));
    assert_int_equal(second.requests, 1);
    peer_stop(&second);
    end(&f);
}

/* The fixture's run goes by these credentials from now on. */
static void take_credentials(struct fixture *f, uint64_t mark, int64_t pending_since,
                             enum pst_trial trial)
{
    struct pst_err err;
    pst_gate_end(f->run);
    assert_ok(pst_gate_begin(&f->run, f->gate,
                             &(struct pst_gate_run_options){.connection_id = PST_STR("conn_1"),
                                                            .credentials_mark = mark,
                                                            .pending_since = {pending_since},
                                                            .trial = trial,
                                                            .http = f->http},
                             &err));
}

static void refused_credentials_are_tried_once(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
         .end = PEER_CLOSE,
         .delay_ms = 500},
        {.bytes = OK_BODY},
    };
    struct fixture f;
    struct pst_err err;
    struct other o = {.options = {.connection_id = PST_STR("conn_1"),
                                  .credentials_mark = 7,
                                  .pending_since = {1000}}};
    per_host = 4;
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    start_other(&o, &f, 1);
    take_credentials(&f, 7, 1000, PST_TRIAL_NONE); /* a test while the first sync asks */
    assert_code(call(&f, &err), PST_E_REAUTH);
    pst_thread_join(o.thread);
    assert_int_equal(o.code, PST_E_REAUTH);
    take_credentials(&f, 7, 0, PST_TRIAL_NONE);
    assert_code(call(&f, &err), PST_E_REAUTH);
    /* What is not tried holds no place of those that are. */
    pst_gate_set_offline(f.gate, PST_STR("conn_1"), true, "away");
    take_credentials(&f, 7, 0, PST_TRIAL_PROBE);
    assert_code(call(&f, &err), PST_E_REAUTH);
    assert_int_equal(f.peer.requests, 1);
    /* Each time it is told, for who could not store it. */
    assert_int_equal(f.seen.count, 4);
    assert_int_equal(f.seen.klass, PST_CONTACT_REFUSED);
    assert_int_equal(f.seen.trial, PST_TRIAL_PROBE);
    assert_true(f.seen.is_denied && f.seen.has_err);
    take_credentials(&f, 9, 0, PST_TRIAL_PROBE);
    assert_ok(call(&f, &err));
    pst_gate_set_offline(f.gate, PST_STR("conn_1"), false, "");
    take_credentials(&f, 7, 2000, PST_TRIAL_NONE); /* switched off and on again */
    assert_ok(call(&f, &err));
    take_credentials(&f, 7, 0, PST_TRIAL_NONE); /* they are good now, pending or not */
    assert_ok(call(&f, &err));
    take_credentials(&f, 8, 0, PST_TRIAL_NONE);
    assert_ok(call(&f, &err));
    assert_int_equal(f.peer.requests, 5);
    per_host = 1;
    end(&f);
}

static void only_the_latest_refusals_are_kept(void **state)
{
    (void)state;
    static struct pst_refusals r;
    struct pst_refusal one = {.connection_id = {"conn_1"}};
    for (uint64_t mark = 0; mark <= PST_REFUSALS_KEPT + 1; mark++) {
        one.mark = mark;
        pst_refusals_add(&r, &one);
        assert_int_equal(pst_refusals_has(&r, &one), mark != 0);
    }
    one.mark = 1;
    assert_false(pst_refusals_has(&r, &one));
    one.mark = 2;
    assert_true(pst_refusals_has(&r, &one));
    one.connection_id.text[5] = '2';
    assert_false(pst_refusals_has(&r, &one));
}

static void an_offline_connection_is_only_called_to_try(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, {.bytes = OK_BODY}};
    struct fixture f;
    struct pst_err err;
    begin(&f, A, PST_COUNT(A), (pst_mono){0});
    pst_gate_restore(f.gate, PST_STR("conn_1"), "", "a proxy's page");
    assert_code(call(&f, &err), PST_E_AWAY);
    assert_non_null(strstr(err.msg, "offline: a proxy's page"));
    assert_int_equal(f.seen.count, 0); /* nothing new */
    take_run(&f, "conn_1", PST_TRIAL_EARLY);
    assert_code(call(&f, &err), PST_E_UNREACHABLE);
    assert_code(call(&f, &err), PST_E_AWAY);
    assert_non_null(strstr(err.msg, "a moment ago"));
    pst_gate_set_offline(f.gate, PST_STR("conn_1"), false, NULL);
    assert_ok(call(&f, &err));
    end(&f);
}

static void silence_after_a_short_timeout_is_the_connections_own(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = "", .end = PEER_KEEP, .delay_ms = 2000}};
    struct fixture f;
    struct pst_err err;
    begin(&f, A, 1, pst_mono_after_ms(pst_mono_now(), 100));
    assert_code(call(&f, &err), PST_E_TIMEOUT);
    assert_true(f.seen.is_private);
    end(&f);
}

static void a_cancelled_or_late_run_makes_no_call(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = OK_BODY}};
    struct fixture f;
    struct pst_err err;
    begin(&f, A, 1, (pst_mono){0});
    atomic_store(&f.cancel, true);
    assert_code(call(&f, &err), PST_E_CANCELLED);
    end(&f);
    begin(&f, A, 1, (pst_mono){1});
    assert_code(call(&f, &err), PST_E_TIMEOUT);
    assert_int_equal(f.peer.requests, 0);
    assert_int_equal(f.seen.count, 0); /* and says nothing about the system */
    end(&f);
}

/* ---- memory ---- */

static void failed_allocations_are_reported_and_nothing_leaks(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_gate *gate = NULL;
        struct pst_http *http = NULL;
        struct pst_gate_run *run = NULL;
        int64_t waited = 0;
        int64_t live = pst_alloc_live();
        struct pst_http_slots *slots = NULL;
        struct pst_http_slot *slot = NULL;
        const struct pst_http_wait wait = {.host = PST_STR("a"), .owner = PST_STR("b")};
        pst_code code = pst_gate_new(&gate, &(struct pst_gate_options){0}, &err);
        if (code == PST_OK)
            code = pst_http_new(&http, &(struct pst_http_options){0}, &err);
        if (code == PST_OK)
            code = pst_gate_begin(&run, gate, &(struct pst_gate_run_options){.http = http}, &err);
        if (code == PST_OK)
            code = pst_http_slots_new(&slots, 1, 1, &err);
        if (code == PST_OK)
            code = pst_http_slot_take(slots, &wait, &slot, &waited, &err);
        assert_int_equal(code, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        if (slot)
            pst_http_slot_give(slots, slot);
        pst_http_slots_free(slots);
        pst_gate_end(run);
        pst_http_free(http);
        pst_gate_free(gate);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK || pst_http_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_and_bad_calls_are_counted_and_observed),
        cmocka_unit_test(a_host_that_fails_two_connections_is_not_called_for_a_third),
        cmocka_unit_test(what_fails_in_one_moment_is_no_outage),
        cmocka_unit_test(who_waited_in_line_while_the_host_went_away_does_not_call_it),
        cmocka_unit_test(the_time_in_line_is_not_the_systems),
        cmocka_unit_test(the_ports_of_a_host_share_its_places),
        cmocka_unit_test(refused_credentials_are_tried_once),
        cmocka_unit_test(only_the_latest_refusals_are_kept),
        cmocka_unit_test(an_offline_connection_is_only_called_to_try),
        cmocka_unit_test(silence_after_a_short_timeout_is_the_connections_own),
        cmocka_unit_test(a_cancelled_or_late_run_makes_no_call),
        cmocka_unit_test(failed_allocations_are_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
