/* gate/classify.c: what an answer means, from its status and the first bytes of its body. */
#include "gate/gate.h"

#include <stdio.h>

#include "gate/echo.h"
#include "gate/page.h"

enum { TEXT_BYTES = 200 };

struct answer {
    const struct pst_http_request *request;
    const struct pst_http_response *response;
    enum pst_body_shape shape;
    char host[PST_ORIGIN_TEXT];
    char text[TEXT_BYTES]; /* the page's title or the fault's message, or "" */
};

static pst_code fail(const struct answer *a, pst_code code, const char *what, struct pst_err *err)
{
    bool has_text = a->text[0] != '\0';
    if (pst_gate_echoes(a->request, pst_str_from(a->text)))
        code =
            PST_FAIL(err, code, "'%s' %s, in words that have the password in them", a->host, what);
    else
        code = PST_FAIL(err, code, "'%s' %s%s%s%s", a->host, what, has_text ? ": '" : "", a->text,
                        has_text ? "'" : "");
    err->http_status = a->response->status;
    return code;
}

/* The system's own words, wherever an error can be told from data. */
static const struct pst_connector_phrase *find_phrase(const struct answer *a,
                                                      const struct pst_connector_ops *connector)
{
    bool is_data = a->response->status < 300 && a->shape != PST_BODY_XML_ERROR &&
                   a->shape != PST_BODY_HTML && a->shape != PST_BODY_OTHER;
    for (size_t i = 0; !is_data && connector && i < connector->phrase_count; i++) {
        pst_str text = pst_str_from(connector->phrases[i].text);
        if (pst_page_has(a->response->body, text) || pst_page_has(a->response->location, text))
            return &connector->phrases[i];
    }
    return NULL;
}

static pst_code fail_phrase(struct answer *a, const struct pst_connector_phrase *phrase,
                            struct pst_err *err)
{
    char what[TEXT_BYTES];
    (void)snprintf(what, sizeof(what), "answered HTTP %d: %s", a->response->status,
                   phrase->meaning);
    return fail(a, phrase->code, what, err);
}

static const struct {
    int status;
    pst_code code;
    const char *what;
} STATUSES[] = {
    {401, PST_E_REAUTH, "refused the credentials (HTTP 401)"},
    {403, PST_E_SYSTEM_DENIED, "denied access (HTTP 403)"},
    {404, PST_E_SYSTEM, "does not know this address (HTTP 404)"},
    {407, PST_E_UNREACHABLE, "is behind a proxy that asks for a sign-on (HTTP 407)"},
    {429, PST_E_SYSTEM_BUSY, "asked to slow down (HTTP 429)"},
    {502, PST_E_UNREACHABLE, "is not answering behind its proxy (HTTP 502)"},
    {503, PST_E_UNREACHABLE, "is not available (HTTP 503)"},
    {504, PST_E_UNREACHABLE, "is not answering behind its proxy (HTTP 504)"},
};

static pst_code classify_status(struct answer *a, struct pst_err *err)
{
    char what[TEXT_BYTES];
    int status = a->response->status;
    for (size_t i = 0; i < PST_COUNT(STATUSES); i++)
        if (STATUSES[i].status == status)
            return fail(a, STATUSES[i].code, STATUSES[i].what, err);
    if (status >= 300 && status < 400) {
        char target[PST_ORIGIN_TEXT] = "another page";
        struct pst_err ignored;
        if (pst_http_origin(target, a->response->location, &ignored) != PST_OK ||
            pst_gate_echoes(a->request, pst_str_from(target)))
            (void)snprintf(target, sizeof(target), "another page");
        (void)snprintf(what, sizeof(what), "sent the call to %.120s (HTTP %d)", target, status);
        return fail(a, PST_E_FOREIGN_PAGE, what, err);
    }
    (void)snprintf(what, sizeof(what), "answered HTTP %d%s", status,
                   a->shape == PST_BODY_EMPTY ? " without saying why" : "");
    return fail(a, PST_E_SYSTEM, what, err);
}

static pst_code classify_success(struct answer *a, struct pst_err *err)
{
    enum pst_http_expect expect = a->request->expect;
    switch (a->shape) {
    case PST_BODY_XML_ERROR:
        return fail(a, PST_E_SYSTEM, "answered with an error message", err);
    case PST_BODY_HTML:
        if (expect == PST_EXPECT_ANY)
            return PST_OK;
        return fail(a, PST_E_FOREIGN_PAGE, "answered with a web page instead of data", err);
    case PST_BODY_OTHER:
        if (expect == PST_EXPECT_ANY)
            return PST_OK;
        return fail(a, PST_E_FOREIGN_PAGE, "answered with a text that is no data", err);
    case PST_BODY_EMPTY:
        if (expect == PST_EXPECT_ANY)
            return PST_OK;
        return fail(a, PST_E_UNREACHABLE, "answered with nothing", err);
    case PST_BODY_JSON:
        if (expect == PST_EXPECT_XML)
            return fail(a, PST_E_SYSTEM, "answered JSON where XML was asked for", err);
        break;
    case PST_BODY_XML:
        if (expect == PST_EXPECT_JSON)
            return fail(a, PST_E_SYSTEM, "answered XML where JSON was asked for", err);
        break;
    }
    return PST_OK;
}

/* Host of the URL, for messages. */
static void read_host(struct answer *a)
{
    struct pst_err ignored;
    char origin[PST_ORIGIN_TEXT];
    if (pst_http_origin(origin, a->request->url, &ignored) != PST_OK)
        return;
    (void)pst_str_copy(a->host, sizeof(a->host), pst_str_host(pst_str_from(origin)));
}

pst_code pst_gate_classify(const struct pst_http_request *request,
                           const struct pst_http_response *response,
                           const struct pst_connector_ops *connector, struct pst_err *err)
{
    struct answer a = {
        .request = request,
        .response = response,
        .shape = pst_body_shape(response->body),
    };
    bool is_success = response->status >= 200 && response->status < 300;
    if (is_success && (a.shape == PST_BODY_JSON || a.shape == PST_BODY_XML) &&
        request->expect == PST_EXPECT_ANY)
        return PST_OK;
    read_host(&a);
    if (a.shape == PST_BODY_HTML)
        pst_page_text(a.text, sizeof(a.text), response->body, "title");
    else if (a.shape == PST_BODY_XML_ERROR)
        pst_page_text(a.text, sizeof(a.text), response->body, "DefaultMessage");
    const struct pst_connector_phrase *phrase =
        response->status == 401 ? NULL : find_phrase(&a, connector);
    if (phrase)
        return fail_phrase(&a, phrase, err);
    return is_success ? classify_success(&a, err) : classify_status(&a, err);
}
