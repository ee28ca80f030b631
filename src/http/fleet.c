/* http/fleet.c: many requests on one thread: curl's multi interface over epoll.
 *
 * A flight (handle, header lines, the answer's beginning) is used again for the next request with
 * the options that never change still set. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/num.h"
#include "http/handle.h"
#include "http/url.h"
#include "os/clock.h"

enum {
    KEEP = 256,
    EVENTS = 256,
    CURL_BUFFER = 4 << 10, /* made for each transfer */
    OWN_LINES = 2, /* beside the caller's: Expect, Accept */
    CHECK_MS = 1000,
};

struct flight {
    struct pst_fleet *fleet;
    struct flight *prev, *next; /* among those in the air; next also among the idle ones */
    CURL *easy;
    pst_mono overdue; /* curl should have ended it by then */
    struct pst_guard guard;
    struct pst_buf url; /* NUL-terminated; the handle has it */
    struct pst_buf text; /* header lines, each with a NUL */
    struct curl_slist lines[PST_FLEET_HEADERS + OWN_LINES];
    void (*done)(void *self, const struct pst_fleet_answer *answer);
    void *self;

    size_t head_bytes, body_bytes; /* received */
    bool is_enough; /* the rest of the body was not wanted */
    bool is_deaf; /* its socket cannot be waited for */
    size_t retry_after_len;
    char retry_after[64];
    char message[CURL_ERROR_SIZE];
    char body[PST_FLEET_KEPT];
};

struct pst_fleet {
    struct pst_fleet_options options;
    CURLM *multi;
    struct flight *flying, *idle;
    int epoll, wake;
    bool has_deaf; /* among the flying */
    pst_mono timer; /* when curl wants to be called; NEVER = not */
    pst_mono check; /* when to look for flights that curl has lost */
};

/* ---- curl's callbacks --------------------------------------------------------------------- */

static int set_timer(CURLM *multi, long timeout_ms, void *self)
{
    struct pst_fleet *f = self;
    (void)multi;
    f->timer = timeout_ms < 0 ? PST_MONO_NEVER : pst_mono_after_ms(pst_mono_now(), timeout_ms);
    return 0;
}

/* Failing here would end curl's work for all: this flight is taken down as soon as it may be. */
static void mark_deaf(struct pst_fleet *f, CURL *easy)
{
    struct flight *l = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &l) != CURLE_OK || !l)
        return;
    pst_guard_stop(&l->guard, PST_E_UNAVAILABLE, PST_FAULT_LOCAL,
                   "its socket could not be waited for");
    l->is_deaf = f->has_deaf = true;
}

/* known: not NULL when the socket is in the epoll set already. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *known)
{
    struct pst_fleet *f = self;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    int op = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(f->epoll, op, fd, &event) != 0 || curl_multi_assign(f->multi, fd, f) != CURLM_OK)
        mark_deaf(f, easy);
    return 0;
}

static void stop_for_size(struct flight *l)
{
    pst_guard_stop(&l->guard, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL,
                   "the head of the answer is larger than allowed");
}

static size_t take_header(char *bytes, size_t size, size_t count, void *self)
{
    static const pst_str name = PST_STR_INIT("retry-after:");
    struct flight *l = self;
    pst_str line = {bytes, size * count};
    l->head_bytes += line.len;
    if (l->head_bytes > PST_FLEET_READ) {
        stop_for_size(l);
        return 0;
    }
    if (pst_str_starts(line, PST_STR("HTTP/"))) /* another answer: what came before was 1xx */
        l->retry_after_len = 0;
    if (line.len > name.len && (line.ptr[0] | 0x20) == 'r' &&
        pst_str_eq_nocase(pst_str_sub(line, 0, name.len), name)) {
        pst_str value = pst_str_trim(pst_str_sub(line, name.len, line.len));
        l->retry_after_len = value.len < sizeof(l->retry_after) ? value.len : 0;
        if (l->retry_after_len > 0)
            memcpy(l->retry_after, value.ptr, l->retry_after_len);
    }
    return line.len;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *self)
{
    struct flight *l = self;
    size_t len = size * count;
    if (l->body_bytes < PST_FLEET_KEPT) {
        size_t room = PST_FLEET_KEPT - l->body_bytes;
        memcpy(l->body + l->body_bytes, bytes, len < room ? len : room);
    }
    l->body_bytes += len;
    if (l->body_bytes <= PST_FLEET_READ)
        return len;
    l->is_enough = true;
    return 0;
}

/* ---- flights ------------------------------------------------------------------------------ */

static void release_handle(struct flight *l)
{
    curl_easy_cleanup(l->easy);
    l->easy = NULL;
    pst_buf_reset(&l->url);
}

static void free_flight(struct flight *l)
{
    release_handle(l);
    pst_buf_fini(&l->url);
    pst_buf_fini(&l->text);
    pst_free(l);
}

static pst_code set_fixed_options(struct flight *l, struct pst_err *err)
{
    CURL *e = l->easy;
    CURLcode rc = pst_handle_set_rules(e, &l->fleet->options.http, &l->guard, l->message);
    if (!l->fleet->options.allow_http)
        PST_SET(e, rc, CURLOPT_PROTOCOLS_STR, "https");
    PST_SET(e, rc, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    PST_SET(e, rc, CURLOPT_POST, 1L);
    PST_SET(e, rc, CURLOPT_BUFFERSIZE, (long)CURL_BUFFER);
    PST_SET(e, rc, CURLOPT_UPLOAD_BUFFERSIZE, (long)(4 * CURL_BUFFER));
    PST_SET(e, rc, CURLOPT_HEADERFUNCTION, take_header);
    PST_SET(e, rc, CURLOPT_HEADERDATA, l);
    PST_SET(e, rc, CURLOPT_WRITEFUNCTION, take_body);
    PST_SET(e, rc, CURLOPT_WRITEDATA, l);
    PST_SET(e, rc, CURLOPT_PRIVATE, l);
#if LIBCURL_VERSION_NUM >= 0x075700
    PST_SET(e, rc, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a resolver that hangs */
#endif
    if (rc == CURLE_OK)
        return PST_OK;
    release_handle(l);
    return PST_FAIL(err, PST_E_NO_MEMORY, "an HTTP request cannot be made: %s",
                    curl_easy_strerror(rc));
}

static pst_code take_flight(struct pst_fleet *f, struct flight **out, struct pst_err *err)
{
    struct flight *l = f->idle;
    if (!l) {
        PST_TRY(pst_new((void **)&l, sizeof(*l), err));
        l->fleet = f;
        pst_buf_init(&l->url, SIZE_MAX / 2);
        pst_buf_init(&l->text, SIZE_MAX / 2);
        f->idle = l;
    }
    if (!l->easy) {
        l->easy = curl_easy_init();
        if (!l->easy)
            return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for an HTTP request");
        PST_TRY(set_fixed_options(l, err));
    }
    *out = l;
    return PST_OK;
}

static void add_line(struct pst_buf *text, pst_str name, pst_str value)
{
    pst_buf_add_str(text, name);
    pst_buf_add(text, value.len ? ": " : ";", value.len ? 2 : 1);
    pst_buf_add_str(text, value);
    pst_buf_add_char(text, '\0');
}

/* curl reads the list where it lies: nodes and text belong to the flight. */
static pst_code set_lines(struct flight *l, const struct pst_fleet_request *r, struct pst_err *err)
{
    struct pst_buf *text = &l->text;
    if (r->header_count > PST_FLEET_HEADERS)
        return PST_FAIL(err, PST_E_LIMIT, "a request has at most %d headers", PST_FLEET_HEADERS);
    pst_buf_reset(text);
    pst_buf_add(text, "Expect:\0Accept:", sizeof("Expect:\0Accept:"));
    for (size_t i = 0; i < r->header_count; i++) {
        const struct pst_http_header *h = &r->headers[i];
        if (h->name.len == 0 || !pst_handle_is_header_text(h->name) ||
            !pst_handle_is_header_text(h->value) || pst_str_index(h->name, ':') != h->name.len)
            return PST_FAIL(err, PST_E_INVALID, "a request header has characters it may not have");
        add_line(text, h->name, h->value);
    }
    PST_TRY(pst_buf_check(text, err));
    char *at = text->ptr;
    size_t count = r->header_count + OWN_LINES;
    for (size_t i = 0; i < count; i++) {
        l->lines[i] = (struct curl_slist){at, i + 1 < count ? &l->lines[i + 1] : NULL};
        at += strlen(at) + 1;
    }
    return PST_OK;
}

/* A URL that the handle has from its last request is not given again. */
static CURLcode set_url(struct flight *l, pst_str url, struct pst_err *err)
{
    if (pst_str_eq(pst_buf_str(&l->url), url))
        return CURLE_OK;
    pst_buf_reset(&l->url);
    pst_buf_add_str(&l->url, url);
    return pst_buf_check(&l->url, err) == PST_OK
               ? curl_easy_setopt(l->easy, CURLOPT_URL, l->url.ptr)
               : CURLE_OUT_OF_MEMORY;
}

static CURLcode set_request(struct flight *l, const struct pst_fleet_request *r,
                            struct pst_err *err)
{
    CURLcode rc = set_url(l, r->url, err);
    PST_SET(l->easy, rc, CURLOPT_HTTPHEADER, l->lines);
    PST_SET(l->easy, rc, CURLOPT_POSTFIELDS, r->body.ptr ? r->body.ptr : "");
    PST_SET(l->easy, rc, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
    PST_SET(l->easy, rc, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    PST_SET(l->easy, rc, CURLOPT_CONNECTTIMEOUT_MS, (long)r->timeout_ms);
    return rc;
}

static void prepare(struct flight *l, const struct pst_fleet_request *r)
{
    const struct pst_http_options *o = &l->fleet->options.http;
    l->guard = (struct pst_guard){.allows = o->allows, .allows_self = o->allows_self};
    l->done = r->done;
    l->self = r->self;
    l->overdue = pst_mono_after_ms(pst_mono_now(), r->timeout_ms + CHECK_MS);
    l->head_bytes = l->body_bytes = l->retry_after_len = 0;
    l->is_enough = l->is_deaf = false;
    l->message[0] = '\0';
}

pst_code pst_fleet_add(struct pst_fleet *f, const struct pst_fleet_request *request,
                       struct pst_err *err)
{
    struct flight *l = NULL;
    struct pst_url url;
    PST_TRY(pst_url_split(&url, request->url, err));
    if (!url.is_tls && !f->options.allow_http)
        return PST_FAIL(err, PST_E_INVALID, "'%.*s': only https is allowed", PST_STR_ARG(url.host));
    PST_TRY(take_flight(f, &l, err));
    PST_TRY(set_lines(l, request, err));
    prepare(l, request);
    if (set_request(l, request, err) != CURLE_OK ||
        curl_multi_add_handle(f->multi, l->easy) != CURLM_OK) {
        release_handle(l);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for an HTTP request");
    }
    f->idle = l->next;
    l->prev = NULL;
    l->next = f->flying;
    if (f->flying)
        f->flying->prev = l;
    f->flying = l;
    return PST_OK;
}

/* ---- ends --------------------------------------------------------------------------------- */

static void land(struct flight *l, CURLcode rc)
{
    struct pst_fleet *f = l->fleet;
    struct pst_fleet_answer a = {.body = {l->body, l->body_bytes},
                                 .retry_after = {l->retry_after, l->retry_after_len}};
    struct pst_err err;
    struct pst_url url = {0};
    long status = 0;
    curl_off_t total_us = 0;
    if (a.body.len > PST_FLEET_KEPT)
        a.body.len = PST_FLEET_KEPT;
    (void)curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(l->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    a.status = (int)status;
    a.duration_us = (int64_t)total_us;
    bool is_good = l->guard.stop == PST_OK && (rc == CURLE_OK || l->is_enough);
    if (!is_good) {
        (void)pst_url_split(&url, pst_buf_str(&l->url), &err);
        a.code = pst_handle_fail(&l->guard, rc, url.host, l->message, a.status, &a.fault, &err);
        a.error = pst_str_from(err.msg);
    }
    (void)curl_multi_remove_handle(f->multi, l->easy);
    if (rc != CURLE_OK)
        release_handle(l); /* curl 7.88: see client.c */
    *(l->prev ? &l->prev->next : &f->flying) = l->next;
    if (l->next)
        l->next->prev = l->prev;
    l->done(l->self, &a);
    l->next = f->idle;
    f->idle = l;
}

static void land_ended(struct pst_fleet *f)
{
    CURLMsg *message = NULL;
    int left = 0;
    while ((message = curl_multi_info_read(f->multi, &left))) {
        struct flight *l = NULL;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &l) == CURLE_OK)
            land(l, message->data.result);
    }
}

static void land_deaf(struct pst_fleet *f)
{
    if (!f->has_deaf)
        return;
    f->has_deaf = false;
    for (struct flight *l = f->flying, *next = NULL; l; l = next) {
        next = l->next;
        if (l->is_deaf)
            land(l, CURLE_ABORTED_BY_CALLBACK);
    }
}

/* curl forgets a transfer's timer when there is no memory for it. */
static void land_lost(struct pst_fleet *f, pst_mono now)
{
    if (now.ns < f->check.ns)
        return;
    f->check = pst_mono_after_ms(now, CHECK_MS);
    for (struct flight *l = f->flying, *next = NULL; l; l = next) {
        next = l->next;
        if (now.ns >= l->overdue.ns)
            land(l, CURLE_OPERATION_TIMEDOUT);
    }
}

void pst_fleet_cancel(struct pst_fleet *f)
{
    while (f->flying) {
        pst_guard_stop(&f->flying->guard, PST_E_CANCELLED, PST_FAULT_CANCELLED, "cancelled");
        land(f->flying, CURLE_ABORTED_BY_CALLBACK);
    }
}

/* ---- moving ------------------------------------------------------------------------------- */

static pst_code act(struct pst_fleet *f, curl_socket_t fd, int mask, struct pst_err *err)
{
    int running = 0;
    CURLMcode rc = curl_multi_socket_action(f->multi, fd, mask, &running);
    /* Without memory a transfer stands still until its time is over; the others go on. */
    if (rc != CURLM_OK && rc != CURLM_BAD_SOCKET && rc != CURLM_OUT_OF_MEMORY)
        return PST_FAIL(err, PST_E_INTERNAL, "the HTTP library failed: %s",
                        curl_multi_strerror(rc));
    return PST_OK;
}

static pst_code handle_event(struct pst_fleet *f, const struct epoll_event *event,
                             struct pst_err *err)
{
    int mask = 0;
    if (event->data.fd == f->wake) {
        uint64_t count = 0;
        (void)!read(f->wake, &count, sizeof(count));
        return PST_OK;
    }
    if (event->events & EPOLLIN)
        mask |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (event->events & (EPOLLERR | EPOLLHUP))
        mask |= CURL_CSELECT_ERR;
    return act(f, event->data.fd, mask, err);
}

static int wait_ms(const struct pst_fleet *f, int64_t timeout_ms)
{
    pst_mono now = pst_mono_now();
    pst_mono until = timeout_ms < 0 ? PST_MONO_NEVER : pst_mono_after_ms(now, timeout_ms);
    if (f->timer.ns < until.ns)
        until = f->timer;
    if (f->flying && f->check.ns < until.ns)
        until = f->check;
    int64_t ms = pst_mono_ms_until(now, until);
    if (until.ns == INT64_MAX)
        return -1;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

pst_code pst_fleet_run(struct pst_fleet *f, int64_t timeout_ms, struct pst_err *err)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(f->epoll, events, EVENTS, wait_ms(f, timeout_ms));
    if (count < 0 && errno != EINTR)
        return PST_FAIL_OS(err, PST_E_INTERNAL, "waiting for receivers failed");
    for (int i = 0; i < count; i++)
        PST_TRY(handle_event(f, &events[i], err));
    pst_mono now = pst_mono_now();
    if (now.ns >= f->timer.ns) {
        f->timer = PST_MONO_NEVER;
        PST_TRY(act(f, CURL_SOCKET_TIMEOUT, 0, err));
    }
    land_ended(f);
    land_deaf(f);
    land_lost(f, now);
    return PST_OK;
}

void pst_fleet_wake(struct pst_fleet *f)
{
    const uint64_t one = 1;
    (void)!write(f->wake, &one, sizeof(one));
}

/* ---- life --------------------------------------------------------------------------------- */

static pst_code open_descriptors(struct pst_fleet *f, struct pst_err *err)
{
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = f->wake};
    if (f->epoll < 0 || f->wake < 0 || epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->wake, &event) != 0)
        return PST_FAIL_OS(err, PST_E_UNAVAILABLE, "no descriptors for requests to receivers");
    return PST_OK;
}

static pst_code open_multi(struct pst_fleet *f, struct pst_err *err)
{
    f->multi = curl_multi_init();
    uint32_t keep = f->options.keep ? f->options.keep : KEEP;
    if (!f->multi || curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, set_socket) != CURLM_OK ||
        curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f) != CURLM_OK ||
        curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, set_timer) != CURLM_OK ||
        curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f) != CURLM_OK ||
        curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)keep) != CURLM_OK)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for requests to receivers");
    return PST_OK;
}

pst_code pst_fleet_new(struct pst_fleet **out, const struct pst_fleet_options *options,
                       struct pst_err *err)
{
    PST_AUTO(fleet) struct pst_fleet *f = NULL;
    PST_TRY(pst_new((void **)&f, sizeof(*f), err));
    f->options = *options;
    f->epoll = f->wake = -1;
    f->timer = PST_MONO_NEVER;
    PST_TRY(open_descriptors(f, err));
    PST_TRY(open_multi(f, err));
    *out = PST_TAKE(f);
    return PST_OK;
}

void pst_fleet_free(struct pst_fleet *f)
{
    if (!f)
        return;
    while (f->idle) {
        struct flight *next = f->idle->next;
        free_flight(f->idle);
        f->idle = next;
    }
    (void)curl_multi_cleanup(f->multi);
    if (f->epoll >= 0)
        (void)close(f->epoll);
    if (f->wake >= 0)
        (void)close(f->wake);
    pst_free(f);
}
