/* tests/unit/http/names_test.c: names that resolve to several addresses, or to another one each
 * time.
 *
 * This program has a getaddrinfo of its own, which libcurl finds before the C library's. A receiver
 * listens on 127.0.0.1, which is allowed here, and another on the same port of 127.0.0.2, which is
 * not: nobody may ever connect to it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"
#include "peer.h"
#include "tests/unit/test.h"

/* ---- the resolver ---- */

enum { ADDRESSES = 4 };

/* What the next look-ups of "name.example" give, the last one again and again. */
static struct {
    const char *answers[4][ADDRESSES];
    atomic_size_t count, asked;
} names;

static struct addrinfo *new_address(const char *text, const char *service, struct addrinfo *next)
{
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)(a + 1);
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)strtoul(service ? service : "0", NULL, 10));
    assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
    *a = (struct addrinfo){.ai_family = AF_INET,
                           .ai_socktype = SOCK_STREAM,
                           .ai_protocol = IPPROTO_TCP,
                           .ai_addrlen = sizeof(*in),
                           .ai_addr = (struct sockaddr *)in,
                           .ai_next = next};
    return a;
}

/* Called on a thread of libcurl's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)hints;
    *out = NULL;
    if (!node || strcmp(node, "name.example") != 0)
        return EAI_NONAME;
    size_t n = atomic_fetch_add(&names.asked, 1);
    size_t last = atomic_load(&names.count) - 1;
    const char *const *texts = names.answers[n < last ? n : last];
    size_t count = 0;
    while (count < ADDRESSES && texts[count])
        count++;
    while (count > 0)
        *out = new_address(texts[--count], service, *out);
    return 0;
}

void freeaddrinfo(struct addrinfo *all)
{
    while (all) {
        struct addrinfo *next = all->ai_next;
        free(all);
        all = next;
    }
}

static void set_answers(size_t count, const char *const answers[][ADDRESSES])
{
    for (size_t i = 0; i < count; i++)
        memcpy(names.answers[i], answers[i], sizeof(names.answers[i]));
    atomic_store(&names.count, count);
    atomic_store(&names.asked, 0);
}

/* ---- who is called ---- */

static const struct peer_answer yes = {
    .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    .end = PEER_CLOSE};
static struct peer peer;
static int forbidden = -1;

static struct sockaddr_in forbidden_address(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(peer.port)};
    (void)inet_pton(AF_INET, "127.0.0.2", &in.sin_addr);
    return in;
}

static int set_up(void **state)
{
    (void)state;
    struct pst_err err;
    if (pst_http_init(&err) != PST_OK)
        return -1;
    peer_start(&peer, &yes, 1);
    struct sockaddr_in in = forbidden_address();
    forbidden = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return bind(forbidden, (struct sockaddr *)&in, sizeof(in)) != 0 || listen(forbidden, 16) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    peer_stop(&peer);
    return close(forbidden);
}

static void assert_nobody_came(void)
{
    assert_int_equal(accept(forbidden, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static bool is_allowed(void *self, const struct pst_address *address, const char **why)
{
    (void)self;
    *why = "a private address";
    return address->ip[15] == 1;
}

static void note(void *self, const struct pst_fleet_answer *a)
{
    struct pst_fleet_answer *out = self;
    *out = *a;
    out->duration_us = 1; /* it has ended */
}

static struct pst_fleet_answer call_port(struct pst_fleet *f, unsigned port)
{
    struct pst_err err;
    struct pst_fleet_answer answer = {0};
    char url[64];
    (void)snprintf(url, sizeof(url), "http://name.example:%u/", port);
    const struct pst_fleet_request q = {.url = pst_str_from(url),
                                        .body = PST_STR("{}"),
                                        .timeout_ms = 20000,
                                        .done = note,
                                        .self = &answer};
    assert_ok(pst_fleet_add(f, &q, &err));
    while (answer.duration_us == 0)
        assert_ok(pst_fleet_run(f, 100, &err));
    return answer;
}

/* Its own fleet: no answer of the resolver is known yet. */
static struct pst_fleet_answer call(unsigned port)
{
    const struct pst_fleet_options options = {.allow_http = true, .http.allows = is_allowed};
    PST_AUTO(fleet) struct pst_fleet *f = NULL;
    struct pst_err err;
    assert_ok(pst_fleet_new(&f, &options, &err));
    return call_port(f, port);
}

/* ---- tests ---- */

static void a_name_that_turns_is_refused_when_it_has_turned(void **state)
{
    (void)state;
    static const char *const turning[][ADDRESSES] = {{"127.0.0.1"}, {"127.0.0.2"}, {"127.0.0.1"}};
    for (int i = 0; i < 20; i++) {
        set_answers(3, turning);
        assert_int_equal(call(peer.port).status, 200);
        assert_int_equal(call(peer.port).code, PST_E_EGRESS);
        assert_int_equal(call(peer.port).status, 200);
        assert_int_equal(atomic_load(&names.asked), 3);
    }
    assert_nobody_came();
}

/* What was decided about is what is connected to: there is no look-up in between. */
static void one_call_asks_the_resolver_once(void **state)
{
    (void)state;
    static const char *const turning[][ADDRESSES] = {{"127.0.0.1"}, {"127.0.0.2"}};
    const struct pst_fleet_options options = {.allow_http = true, .http.allows = is_allowed};
    PST_AUTO(fleet) struct pst_fleet *f = NULL;
    struct pst_err err;
    assert_ok(pst_fleet_new(&f, &options, &err));
    set_answers(2, turning);
    assert_int_equal(call_port(f, peer.port).status, 200);
    assert_int_equal(atomic_load(&names.asked), 1);
    (void)call_port(f, peer.port);
    assert_nobody_came();
}

static void among_several_addresses_the_forbidden_ones_are_never_called(void **state)
{
    (void)state;
    static const char *const mixed[][ADDRESSES] = {
        {"127.0.0.2", "127.0.0.1"}, {"127.0.0.2", "127.0.0.2", "127.0.0.1"}, {"127.0.0.2"}};
    for (size_t i = 0; i < PST_COUNT(mixed); i++) {
        set_answers(1, &mixed[i]);
        size_t before = atomic_load(&peer.requests);
        assert_int_equal(call(peer.port).code, PST_E_EGRESS); /* no picking of a better one */
        assert_int_equal(atomic_load(&peer.requests), before);
    }
    /* An allowed one that answers is enough; when it does not, the next is asked about. */
    static const char *const behind[][ADDRESSES] = {{"127.0.0.1", "127.0.0.2"}};
    set_answers(1, behind);
    assert_int_equal(call(peer.port).status, 200);
    struct pst_fleet_answer a = call(1); /* nobody listens there */
    assert_int_equal(a.code, PST_E_EGRESS);
    assert_nobody_came();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_turns_is_refused_when_it_has_turned),
        cmocka_unit_test(one_call_asks_the_resolver_once),
        cmocka_unit_test(among_several_addresses_the_forbidden_ones_are_never_called),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
