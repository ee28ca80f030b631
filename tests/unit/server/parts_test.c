/* The server's parts by themselves: the head scanner, the heap of deadlines, connections per
 * address. */
#include "tests/unit/test.h"

#include "server/internal.h"

/* ---- head.c ---- */

static const struct head {
    const char *text;
    enum pst_scan_result result;
    size_t fields;
} heads[] = {
    {"GET / HTTP/1.1\r\n\r\n", PST_SCAN_DONE, 0},
    {"GET / HTTP/1.1\r\nHost: a\r\nB:\r\n\r\nrest", PST_SCAN_DONE, 2},
    {"GET / HTTP/1.1\r\nHost: a\r\n", PST_SCAN_MORE, 1},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r", PST_SCAN_MORE, 1},
    {"", PST_SCAN_MORE, 0},
    {"GE", PST_SCAN_MORE, 0},
    {"GET /\n", PST_SCAN_BAD, 0},
    {"GET / HTTP/1.1\n", PST_SCAN_BAD, 0},
    {"GET / HTTP/1.1\r\n a", PST_SCAN_BAD, 0},
    {"GET / HTTP/1.1\r\nA : b", PST_SCAN_BAD, 1},
    {"GET / HTTP/1.1\r\nA: b\rc", PST_SCAN_BAD, 1},
    {"GET / HTTP/1.1\r\nA: b\177", PST_SCAN_BAD, 1},
    {"G@T", PST_SCAN_BAD, 0},
};

static void a_head_is_scanned_alike_in_one_piece_and_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(heads); i++) {
        size_t len = strlen(heads[i].text);
        struct pst_head_scan whole = {0};
        struct pst_head_scan pieces = {0};
        enum pst_scan_result last = PST_SCAN_MORE;
        assert_int_equal(pst_server_scan_head(&whole, heads[i].text, len), heads[i].result);
        assert_int_equal(whole.fields, heads[i].fields);
        for (size_t n = 1; n <= len && last == PST_SCAN_MORE; n++)
            last = pst_server_scan_head(&pieces, heads[i].text, n);
        assert_int_equal(last, heads[i].result);
        assert_int_equal(pieces.at, whole.at);
        if (heads[i].result == PST_SCAN_BAD)
            assert_string_equal(pieces.why, whole.why);
    }
}

static void a_scan_tells_where_head_and_request_line_end(void **state)
{
    (void)state;
    struct pst_head_scan s = {0};
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nbody";
    assert_int_equal(pst_server_scan_head(&s, text, sizeof(text) - 1), PST_SCAN_DONE);
    assert_int_equal(s.line_end, strlen("GET / HTTP/1.1\r\n"));
    assert_int_equal(s.at, strlen("GET / HTTP/1.1\r\nA: b\r\n\r\n"));

    pst_server_scan_trailer_init(&s);
    assert_int_equal(pst_server_scan_head(&s, "T: x\r\n\r\n", 8), PST_SCAN_DONE);
    pst_server_scan_trailer_init(&s);
    assert_int_equal(pst_server_scan_head(&s, "\r\n", 2), PST_SCAN_DONE);
}

/* Which bytes may stand where: all 256 in every place. */
static void every_byte_is_taken_or_refused_where_the_grammar_says(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *allowed; /* beside letters and digits */
        bool high; /* bytes from 0x80 on */
    } places[] = {
        {"G", "!#$%&'*+-.^_`|~ ", false},
        {"GET /", "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", false},
        {"GET / HTTP/1.1\r\nA", "!#$%&'*+-.^_`|~:", false},
        {"GET / HTTP/1.1\r\nA: ", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\r", true},
    };
    for (size_t i = 0; i < PST_COUNT(places) * 256; i++) {
        char text[64];
        unsigned char b = (unsigned char)(i % 256);
        size_t n = strlen(places[i / 256].before);
        memcpy(text, places[i / 256].before, n);
        text[n] = (char)b;
        struct pst_head_scan s = {0};
        bool alnum = (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
        bool expected = alnum || (b >= 0x80 && places[i / 256].high) ||
                        (b && strchr(places[i / 256].allowed, b));
        bool taken = pst_server_scan_head(&s, text, n + 1) == PST_SCAN_MORE;
        if (taken != expected)
            fail_msg("byte %d after '%s'", b, places[i / 256].before);
    }
}

/* ---- timers.c ---- */

enum { CONNS = 200 };

static pst_mono earliest(const struct pst_conn *conns, const bool *present)
{
    pst_mono best = PST_MONO_NEVER;
    for (size_t i = 0; i < CONNS; i++) {
        if (present[i] && conns[i].deadline.ns < best.ns)
            best = conns[i].deadline;
    }
    return best;
}

/* Against a plain search: what expires is due, and nothing that is due stays. */
static void deadlines_expire_in_time_however_they_move(void **state)
{
    (void)state;
    struct pst_err err;
    static struct pst_conn conns[CONNS];
    static bool present[CONNS];
    struct pst_timers timers = {0};
    uint64_t seed = 42;
    int64_t now = 0;
    for (int round = 0; round < 20000; round++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t i = (size_t)(seed >> 33) % CONNS;
        unsigned what = (unsigned)(seed >> 20) % 4;
        if (!present[i]) {
            assert_ok(pst_server_timer_add(&timers, &conns[i], &err));
            present[i] = true;
        } else if (what == 0) {
            pst_server_timer_remove(&timers, &conns[i]);
            present[i] = false;
        } else {
            pst_mono deadline = {now + (int64_t)((seed >> 40) % 1000)};
            pst_server_timer_set(&timers, &conns[i], what == 1 ? PST_MONO_NEVER : deadline);
        }
        now += 3;
        pst_mono due = earliest(conns, present);
        assert_true(pst_server_timer_next(&timers).ns <= due.ns);
        struct pst_conn *c = NULL;
        while ((c = pst_server_timer_expired(&timers, (pst_mono){now})) != NULL) {
            assert_true(c->deadline.ns <= now);
            pst_server_timer_set(&timers, c, PST_MONO_NEVER);
        }
        assert_true(earliest(conns, present).ns > now);
    }
    pst_free(timers.items);
}

/* ---- peers.c ---- */

static void addresses_are_counted_apart(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_peers *p = NULL;
    char address[PST_PEER_TEXT];
    assert_ok(pst_server_peers_new(&p, &err));
    for (int i = 0; i < 3000; i++) { /* more than there are buckets */
        (void)snprintf(address, sizeof(address), "10.0.%d.%d", i / 250, i % 250);
        assert_ok(pst_server_peers_enter(p, address, 2, &err));
        assert_ok(pst_server_peers_enter(p, address, 2, &err));
        assert_code(pst_server_peers_enter(p, address, 2, &err), PST_E_RATE_LIMIT);
    }
    pst_server_peers_leave(p, "10.0.0.0");
    assert_ok(pst_server_peers_enter(p, "10.0.0.0", 2, &err));
    pst_server_peers_leave(p, "192.0.2.1"); /* never entered: nothing happens */
    pst_server_peers_leave(p, "10.0.0.1");
    pst_server_peers_leave(p, "10.0.0.1");
    assert_ok(pst_server_peers_enter(p, "10.0.0.1", 1, &err));
    pst_server_peers_free(p);
    pst_server_peers_free(NULL);
}

static void without_memory_an_address_is_not_let_in(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_peers *p = NULL;
    assert_ok(pst_server_peers_new(&p, &err));
    pst_alloc_fail_at(0);
    assert_code(pst_server_peers_enter(p, "10.0.0.1", 5, &err), PST_E_NO_MEMORY);
    pst_alloc_fail_at(-1);
    assert_ok(pst_server_peers_enter(p, "10.0.0.1", 5, &err));
    pst_server_peers_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_scanned_alike_in_one_piece_and_byte_by_byte),
        cmocka_unit_test(a_scan_tells_where_head_and_request_line_end),
        cmocka_unit_test(every_byte_is_taken_or_refused_where_the_grammar_says),
        cmocka_unit_test(deadlines_expire_in_time_however_they_move),
        cmocka_unit_test(addresses_are_counted_apart),
        cmocka_unit_test(without_memory_an_address_is_not_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
