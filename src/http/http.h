/* http/http.h: the HTTP client, and where it may connect.
 *
 * libcurl's easy interface behind one blocking call, its multi interface behind a fleet of requests
 * on one thread. The rules that never change are built in:
 * http and https only, no redirects, no .netrc, no proxy from the environment, TLS 1.2 or
 * later, no `Expect: 100-continue`, cookies and kept-alive connections only inside one run.
 * Retrying is not done here (design.md rule 9).
 *
 * A failed call fills what is known of the response (status, timings, fault), so that the
 * request log can show it.
 *
 * Thread-safety: pst_http_init once, before threads start. A struct pst_http belongs to one
 * thread at a time; the cancel flag may be set from any thread. pst_egress_* is pure.
 */
#ifndef PST_HTTP_HTTP_H
#define PST_HTTP_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

struct pst_secret; /* crypto/crypto.h */

/* libcurl's and OpenSSL's process-wide state, with an allocator that wipes what it frees.
 * Errors: INTERNAL. May be called again. */
pst_code pst_http_init(struct pst_err *err);

/* ---- where it may connect ---------------------------------------------------------------- */

/* IPv4 is kept as ::ffff:a.b.c.d. */
struct pst_address {
    uint8_t ip[16];
    uint16_t port; /* 0 = any */
};

struct pst_range {
    uint8_t ip[16];
    uint8_t bits; /* 0..128; an IPv4 prefix counts the 96 bits before it */
};

enum pst_zone {
    PST_ZONE_PUBLIC, /* webhooks, flow http: what users and Link visitors set */
    PST_ZONE_SYSTEM, /* connections to customers' systems */
    PST_ZONES,
};

/* Arrays are borrowed. */
struct pst_egress {
    /* Private ranges that the operator listed, by zone. */
    const struct pst_range *ranges[PST_ZONES];
    size_t range_counts[PST_ZONES];
    /* Where Penstock itself and its database listen. The unspecified address: all of loopback. */
    const struct pst_address *own;
    size_t own_count;
    bool allow_loopback; /* development mode */
};

/* Whether a connection of that zone may go there. *why (may be NULL) gets a static text when
 * not. Decides on addresses only, so every spelling of a host name ends here. */
bool pst_egress_allows(const struct pst_egress *egress, enum pst_zone zone,
                       const struct pst_address *address, const char **why);

/* "10.0.0.0/8", "fd00::/8", "192.168.1.7". false for anything else, host bits set included. */
bool pst_range_parse(struct pst_range *out, pst_str text);
/* "127.0.0.1", "::1", without a port. */
bool pst_address_parse(struct pst_address *out, pst_str text);
enum { PST_ADDRESS_TEXT = 56 };
size_t pst_address_format(char out[PST_ADDRESS_TEXT], const struct pst_address *a);

/* ---- the client -------------------------------------------------------------------------- */

/* All borrowed for the life of the handle. Zero and NULL take the defaults in brackets. */
struct pst_http_options {
    /* Asked for every address just before connecting to it; NULL allows all (the operator's
     * own command line). Not asked for a unix socket, nor for the operator's proxy, behind which
     * only addresses written out in the URL are. */
    bool (*allows)(void *self, const struct pst_address *address, const char **why);
    void *allows_self;
    const char *proxy; /* "http://proxy.example:3128" [none] */
    const char *ca_file; /* PEM bundle of trusted authorities [the system's] */
    const char *user_agent; /* ["penstock/<version>"] */
};

struct pst_http;
pst_code pst_http_new(struct pst_http **out, const struct pst_http_options *options,
                      struct pst_err *err);
/* Begin a new run: forget cookies and close kept-alive connections, so that nothing is carried
 * from one organization's connection to another's. */
void pst_http_reset(struct pst_http *http);
void pst_http_free(struct pst_http *http); /* NULL is a no-op */
PST_DEFINE_AUTO(http, struct pst_http, pst_http_free);

struct pst_http_header {
    pst_str name, value;
};

/* Limits of one call; 0 takes the default. */
struct pst_http_limits {
    int64_t connect_ms; /* name, connect and TLS: 10 s */
    int64_t first_byte_ms; /* from the request's start to the first byte of the answer: 120 s */
    int64_t total_ms; /* 15 min */
    int64_t slow_ms; /* an answer slower than slow_bytes_per_s over this time ends: 60 s */
    int64_t slow_bytes_per_s; /* 256 */
    size_t max_body_bytes; /* decoded: 64 MiB */
    uint32_t max_ratio; /* decoded to received bytes, after the first MiB: 200 */
};

/* What a caller says that the answer has to look like (used by the gate). */
enum pst_http_expect {
    PST_EXPECT_ANY,
    PST_EXPECT_JSON,
    PST_EXPECT_XML,
};

struct pst_http_request {
    pst_str method; /* "" = GET */
    pst_str url; /* absolute; userinfo in it is refused */
    const struct pst_http_header *headers;
    size_t header_count;
    pst_str body; /* sent with POST, PUT and PATCH */
    pst_str user; /* Basic, when password is not NULL */
    const struct pst_secret *password; /* borrowed */
    pst_str ca_pem; /* authorities to trust for this system, PEM text; "" = the handle's */
    bool is_unverified; /* the connection's owner switched certificate checks off */
    enum pst_http_expect expect;
    struct pst_http_limits limits;
    pst_mono deadline; /* absolute, on top of the limits; ns 0 = none */
    const atomic_bool *cancel; /* polled at least once a second; may be NULL */
    const char *unix_socket; /* path of the server's socket, for the command line */
};

enum pst_http_fault {
    PST_FAULT_NONE,
    PST_FAULT_DNS,
    PST_FAULT_CONNECT,
    PST_FAULT_TLS,
    PST_FAULT_TIMEOUT,
    PST_FAULT_RESET,
    PST_FAULT_TRUNCATED, /* fewer bytes than announced */
    PST_FAULT_PROTOCOL, /* not HTTP, two lengths, broken compression, ... */
    PST_FAULT_LIMIT,
    PST_FAULT_EGRESS,
    PST_FAULT_CANCELLED,
    PST_FAULT_LOCAL, /* memory, descriptors, a wrong request */
};
const char *pst_http_fault_name(enum pst_http_fault fault); /* "dns", "connect", ... */

/* Microseconds spent in each step, not since the start; a step that was not taken is 0. */
struct pst_http_timing {
    int64_t dns_us;
    int64_t connect_us;
    int64_t tls_us;
    int64_t first_byte_us; /* from the request sent to the first byte of the answer */
    int64_t total_us; /* of the whole call */
};

/* Texts and body lie in the arena. */
struct pst_http_response {
    int status; /* 0 when there was no answer */
    pst_str content_type;
    pst_str date;
    pst_str retry_after;
    pst_str location;
    pst_str www_authenticate;
    pst_str age, penstock_stale; /* of a copy that a Penstock serves while its system is away */
    pst_str body; /* decoded; writable memory, PST_HTTP_PADDING zero bytes behind it */
    uint64_t wire_bytes; /* body bytes as received, before decoding */
    struct pst_http_timing timing;
    bool is_reused; /* on a kept-alive connection */
    enum pst_http_fault fault;
    struct pst_address peer; /* whom it was sent to; all zero when unknown */
};

enum { PST_HTTP_PADDING = 8 };

/* One request, one answer, whatever its status. *out is overwritten in any case.
 * Errors: UNREACHABLE (dns, connect, TLS, reset, truncated, protocol), TIMEOUT, LIMIT, EGRESS,
 * CANCELLED, INVALID (URL or header), NO_MEMORY, UNAVAILABLE (no descriptors). */
pst_code pst_http_call(struct pst_http *http, const struct pst_http_request *request,
                       struct pst_arena *arena, struct pst_http_response *out, struct pst_err *err);

/* ---- many requests at once ---------------------------------------------------------------- */

/* POST requests to receivers that are nobody's friend, as many at a time as are added, all on one
 * thread: kept-alive connections, HTTP/2 where TLS offers it. Of an answer only the beginning is
 * read: after PST_FLEET_READ bytes of its body (or of its head) the transfer ends. No cookies, no
 * compression, and beside that the rules of the client.
 *
 * Thread-safety: one thread, but for pst_fleet_wake. */
struct pst_fleet;

enum {
    PST_FLEET_READ = 64 << 10,
    PST_FLEET_KEPT = 4 << 10, /* of the body, for the log */
    PST_FLEET_HEADERS = 40,
};

struct pst_fleet_options {
    struct pst_http_options http; /* no proxy */
    bool allow_http; /* plain http, too */
    uint32_t keep; /* connections kept alive without a request; 0 = 256 */
};

struct pst_fleet_answer {
    pst_code code; /* PST_OK: there is an answer, whatever its status; else as pst_http_call */
    enum pst_http_fault fault;
    int status; /* 0 = none */
    pst_str error; /* code is not PST_OK: what went wrong, for an operator */
    pst_str retry_after;
    pst_str body; /* its first PST_FLEET_KEPT bytes */
    int64_t duration_us;
};

/* All but the body and self is copied; they have to stay until done is called, once, by
 * pst_fleet_run or pst_fleet_cancel. The answer is borrowed for that call, in which nothing may be
 * added. */
struct pst_fleet_request {
    pst_str url;
    const struct pst_http_header *headers; /* at most PST_FLEET_HEADERS */
    size_t header_count;
    pst_str body;
    int64_t timeout_ms; /* from now to the end of the answer */
    void (*done)(void *self, const struct pst_fleet_answer *answer);
    void *self;
};

/* Errors: NO_MEMORY, UNAVAILABLE (no descriptors). */
pst_code pst_fleet_new(struct pst_fleet **out, const struct pst_fleet_options *options,
                       struct pst_err *err);
void pst_fleet_free(struct pst_fleet *f); /* nothing in flight; NULL is a no-op */
PST_DEFINE_AUTO(fleet, struct pst_fleet, pst_fleet_free);

/* Errors: NO_MEMORY, INVALID (URL, header), LIMIT (headers); done is then not called. */
pst_code pst_fleet_add(struct pst_fleet *f, const struct pst_fleet_request *request,
                       struct pst_err *err);
/* Move bytes; wait at most timeout_ms (negative: without end) for something to do, for a wake-up
 * or for an end. Errors: INTERNAL. */
pst_code pst_fleet_run(struct pst_fleet *f, int64_t timeout_ms, struct pst_err *err);
void pst_fleet_wake(struct pst_fleet *f); /* any thread: the next or current run returns */
void pst_fleet_cancel(struct pst_fleet *f); /* break off all: done with CANCELLED */

/* ---- how many calls at once -------------------------------------------------------------- */

/* At most per_host calls to one host at the same time, and at most per_owner of one owner (a
 * connection), over all threads. Who waits is let in fairly: while an owner waits and may have one
 * call more, every other one is let in at most once before it (http/turns.h). */
struct pst_http_slots;
pst_code pst_http_slots_new(struct pst_http_slots **out, uint32_t per_host, uint32_t per_owner,
                            struct pst_err *err);
void pst_http_slots_free(struct pst_http_slots *slots); /* when none is taken; NULL is a no-op */

/* What to wait for, and how long. */
struct pst_http_wait {
    pst_str host; /* any name goes */
    pst_str owner; /* "" = nobody's: per_owner does not hold */
    pst_mono deadline; /* ns 0 = none */
    const atomic_bool *cancel; /* looked at ten times a second; may be NULL */
};

/* *waited_us gets the time it took. Errors: UNAVAILABLE (deadline), CANCELLED, NO_MEMORY. */
struct pst_http_slot;
pst_code pst_http_slot_take(struct pst_http_slots *slots, const struct pst_http_wait *wait,
                            struct pst_http_slot **out, int64_t *waited_us, struct pst_err *err);
void pst_http_slot_give(struct pst_http_slots *slots, struct pst_http_slot *slot);

/* ---- dates and addresses of HTTP --------------------------------------------------------- */

/* Seconds from now that a Retry-After value asks for (a number, or an HTTP date against
 * `now`), within 0..86400; -1 when there is none or it is nonsense. */
int pst_http_retry_after_s(pst_str value, pst_wall now);

/* "Sun, 06 Nov 1994 08:49:37 GMT" and the two older forms of RFC 9110. */
bool pst_http_date_parse(pst_wall *out, pst_str text);

/* scheme://host:port in lower case with the port always written, as breakers see a system (limits
 * and verdicts go by its host, pst_str_host). Errors: INVALID (no http or https URL, or one with
 * userinfo), LIMIT. */
enum { PST_ORIGIN_TEXT = 300 };
pst_code pst_http_origin(char out[PST_ORIGIN_TEXT], pst_str url, struct pst_err *err);

#endif
