/* tests/unit/gate/classify_test.c: what is made of answers, over pages as gateways, proxies and
 * portals send them. */
#include "../test.h"

#include "base/cleanup.h"
#include "gate/gate.h"
#include "gate/page.h"

#define IB(text)                                                                                   \
    "<?xml version=\"1.0\"?>\n<IBResponse type=\"error\"><DefaultTitle>Integration Broker "        \
    "Response</DefaultTitle><StatusCode>20</StatusCode><DefaultMessage>" text                      \
    "</DefaultMessage></IBResponse>"
#define FAULT(text)                                                                                \
    "<?xml version=\"1.0\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/"  \
    "envelope/\"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>SOAP-ENV:Server</faultcode>"            \
    "<detail><IBResponse xmlns=\"\" type=\"error\"><DefaultMessage><![CDATA[" text                 \
    "]]></DefaultMessage></IBResponse></detail></SOAP-ENV:Fault></SOAP-ENV:Body></"                \
    "SOAP-ENV:Envelope>"
#define HTML(title)                                                                                \
    "<!DOCTYPE html><html><head><title>" title "</title></head><body>x</body></html>"
#define DATA "{\"status\":\"success\"}"

static const struct pst_connector_phrase PHRASES[] = {
    {"(158,45)", PST_E_REAUTH, "wrong password"},
    {"(158,55)", PST_E_REAUTH, "unknown user"},
    {"(158,536)", PST_E_SYSTEM_DENIED, "no permission"},
    {"(158,10721)", PST_E_UNREACHABLE, "no application server"},
    {"errorCode=105", PST_E_REAUTH, "wrong password on the sign-on page"},
};
static const struct pst_connector_ops OPS = {
    .name = "x", .phrases = PHRASES, .phrase_count = PST_COUNT(PHRASES)};

static const struct {
    const char *what;
    int status;
    const char *location, *body;
    enum pst_http_expect expect;
    pst_code code;
    const char *says;
} CASES[] = {
    {"data", 200, "", DATA, PST_EXPECT_JSON, PST_OK, ""},
    {"a list", 200, "", "[1]", PST_EXPECT_JSON, PST_OK, ""},
    {"data behind a mark and blanks", 200, "", "\xef\xbb\xbf \r\n\t" DATA, PST_EXPECT_JSON, PST_OK,
     ""},
    {"data that speaks of errors", 200, "", "{\"DESCR\":\"User password failed. (158,45)\"}",
     PST_EXPECT_JSON, PST_OK, ""},
    {"xml", 200, "", "<?xml version=\"1.0\"?><QAS_GETQUERYRESULTS_RESP_MSG/>", PST_EXPECT_XML,
     PST_OK, ""},
    {"xml, prefixed and commented", 200, "", "<?xml?><!-- <html> --><q:query/>", PST_EXPECT_XML,
     PST_OK, ""},
    {"anything where anything will do", 200, "", HTML("x"), PST_EXPECT_ANY, PST_OK, ""},
    {"nothing where anything will do", 204, "", "", PST_EXPECT_ANY, PST_OK, ""},
    {"accepted", 202, "", "<IBResponse type=\"success\"><StatusCode>0</StatusCode></IBResponse>",
     PST_EXPECT_XML, PST_OK, ""},

    {"xml where json was asked for", 200, "", "<?xml version=\"1.0\"?><QAS_X/>", PST_EXPECT_JSON,
     PST_E_SYSTEM, "XML where JSON"},
    {"json where xml was asked for", 200, "", DATA, PST_EXPECT_XML, PST_E_SYSTEM, "JSON where XML"},
    {"nothing", 200, "", "", PST_EXPECT_JSON, PST_E_UNREACHABLE, "with nothing"},
    {"blanks", 200, "", " \r\n", PST_EXPECT_JSON, PST_E_UNREACHABLE, "with nothing"},
    {"no content", 204, "", "", PST_EXPECT_JSON, PST_E_UNREACHABLE, "with nothing"},
    {"plain text", 200, "", "Service unavailable", PST_EXPECT_JSON, PST_E_FOREIGN_PAGE, "no data"},

    {"sign-on page", 200, "", HTML("Oracle PeopleSoft Sign-in"), PST_EXPECT_JSON,
     PST_E_FOREIGN_PAGE, "'Oracle PeopleSoft Sign-in'"},
    {"sign-on page that refused", 200, "",
     "<html><title>Sign-in</title><form action='?cmd=login&errorCode=105'></html>", PST_EXPECT_JSON,
     PST_E_REAUTH, "wrong password on the sign-on page"},
    {"portal page in lower case", 200, "",
     "\n\n<html lang=en><head>\n<TITLE>\n  Single\n Sign-On </TITLE>", PST_EXPECT_JSON,
     PST_E_FOREIGN_PAGE, "'Single Sign-On'"},
    {"xhtml portal", 200, "",
     "<?xml version=\"1.0\"?><!DOCTYPE html><html xmlns=\"x\"><head><title>ADFS</title>",
     PST_EXPECT_XML, PST_E_FOREIGN_PAGE, "'ADFS'"},
    {"page without title", 200, "", "<html><body>Maintenance</body></html>", PST_EXPECT_JSON,
     PST_E_FOREIGN_PAGE, "web page instead of data"},
    {"script only", 200, "", "<script>location='/login'</script>", PST_EXPECT_JSON,
     PST_E_FOREIGN_PAGE, "web page"},
    {"redirect", 302, "https://sso.example.com/login?x=1", "", PST_EXPECT_JSON, PST_E_FOREIGN_PAGE,
     "https://sso.example.com:443"},
    {"redirect to a path", 302, "/psp/ps/?cmd=login", "", PST_EXPECT_JSON, PST_E_FOREIGN_PAGE,
     "another page"},
    {"redirect that refuses", 302, "https://ps.example.com/psp/ps/?cmd=login&errorCode=105", "",
     PST_EXPECT_JSON, PST_E_REAUTH, "wrong password"},
    {"redirect without target", 301, "", "", PST_EXPECT_JSON, PST_E_FOREIGN_PAGE, "another page"},

    {"401", 401, "", "", PST_EXPECT_JSON, PST_E_REAUTH, "HTTP 401"},
    {"401 with a page", 401, "", HTML("401"), PST_EXPECT_JSON, PST_E_REAUTH, "HTTP 401"},
    {"401 with another reason", 401, "", IB("User x not authorized. (158,536)"), PST_EXPECT_JSON,
     PST_E_REAUTH, "HTTP 401"},
    {"bad password in a fault, 500", 500, "", FAULT("User password failed. (158,45)"),
     PST_EXPECT_JSON, PST_E_REAUTH, "wrong password"},
    {"bad password in a fault, 200", 200, "", FAULT("User password failed. (158,45)"),
     PST_EXPECT_JSON, PST_E_REAUTH, "wrong password"},
    {"bad password, translated", 200, "", IB("Kennwort falsch. (158,45)"), PST_EXPECT_JSON,
     PST_E_REAUTH, "Kennwort falsch"},
    {"unknown user", 500, "", IB("UserName not defined in database. (158,55)"), PST_EXPECT_JSON,
     PST_E_REAUTH, "unknown user"},
    {"operation not allowed", 500, "",
     IB("User X not authorized to invoke Service Operation Y. (158,536)"), PST_EXPECT_JSON,
     PST_E_SYSTEM_DENIED, "no permission"},
    {"application server gone", 500, "", IB("External System Contact Error (158,10721)"),
     PST_EXPECT_JSON, PST_E_UNREACHABLE, "no application server"},
    {"another fault, 200", 200, "", FAULT("SQL error. Stmt #1 ORA-01555"), PST_EXPECT_JSON,
     PST_E_SYSTEM, "'SQL error. Stmt #1 ORA-01555'"},
    {"another error, 500", 500, "", IB("Query X is not there"), PST_EXPECT_JSON, PST_E_SYSTEM,
     "'Query X is not there'"},
    {"error with another number", 500, "", IB("Something (158,450)"), PST_EXPECT_JSON, PST_E_SYSTEM,
     "(158,450)"},

    {"403", 403, "", "", PST_EXPECT_JSON, PST_E_SYSTEM_DENIED, "HTTP 403"},
    {"403 of a firewall", 403, "", HTML("Request blocked"), PST_EXPECT_JSON, PST_E_SYSTEM_DENIED,
     "'Request blocked'"},
    {"404", 404, "", HTML("Error 404--Not Found"), PST_EXPECT_JSON, PST_E_SYSTEM,
     "'Error 404--Not Found'"},
    {"400", 400, "", "", PST_EXPECT_JSON, PST_E_SYSTEM, "HTTP 400"},
    {"405", 405, "", "", PST_EXPECT_JSON, PST_E_SYSTEM, "HTTP 405"},
    {"407", 407, "", "", PST_EXPECT_JSON, PST_E_UNREACHABLE, "proxy"},
    {"429", 429, "", "", PST_EXPECT_JSON, PST_E_SYSTEM_BUSY, "HTTP 429"},
    {"naked 500", 500, "", "", PST_EXPECT_JSON, PST_E_SYSTEM, "without saying why"},
    {"500 page", 500, "", HTML("Error 500--Internal Server Error"), PST_EXPECT_JSON, PST_E_SYSTEM,
     "Internal Server Error"},
    {"502", 502, "", HTML("502 Bad Gateway"), PST_EXPECT_JSON, PST_E_UNREACHABLE,
     "'502 Bad Gateway'"},
    {"503", 503, "", "", PST_EXPECT_JSON, PST_E_UNREACHABLE, "HTTP 503"},
    {"503 that speaks JSON", 503, "", DATA, PST_EXPECT_JSON, PST_E_UNREACHABLE, "HTTP 503"},
    {"504", 504, "", "", PST_EXPECT_JSON, PST_E_UNREACHABLE, "HTTP 504"},
    {"500 where anything will do", 500, "", "{}", PST_EXPECT_ANY, PST_E_SYSTEM, "HTTP 500"},
};

static void every_page_is_classified(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_err err = {0};
        const struct pst_http_request request = {
            .url = PST_STR("https://PS.example.com:8443/PSIGW/x?secret=1"),
            .expect = CASES[i].expect};
        const struct pst_http_response response = {.status = CASES[i].status,
                                                   .location = pst_str_from(CASES[i].location),
                                                   .body = pst_str_from(CASES[i].body)};
        pst_code code = pst_gate_classify(&request, &response, &OPS, &err);
        if (code != CASES[i].code)
            fail_msg("%s: %s: %s", CASES[i].what, pst_code_name(code), err.msg);
        if (code == PST_OK)
            continue;
        if (!strstr(err.msg, CASES[i].says) || !strstr(err.msg, "'ps.example.com'") ||
            strstr(err.msg, "secret"))
            fail_msg("%s: %s", CASES[i].what, err.msg);
        assert_int_equal(err.http_status, CASES[i].status);
    }
}

static void without_a_connector_there_are_no_phrases(void **state)
{
    (void)state;
    struct pst_err err;
    const struct pst_http_request request = {.url = PST_STR("https://h"),
                                             .expect = PST_EXPECT_JSON};
    const struct pst_http_response response = {.status = 500, .body = pst_str_from(IB("(158,45)"))};
    assert_int_equal(pst_gate_classify(&request, &response, NULL, &err), PST_E_SYSTEM);
}

static void page_text_is_clean_and_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *page, *text;
    } PAGES[] = {
        {"<title>a</title>", "a"},
        {"<TITLE class='x'> a \n\t b </TITLE>", "a b"},
        {"<title><b>bold</b> text</title>", "bold text"},
        {"<title>0123456789abcdefghij</title>", "0123456789abcde"},
        {"<title>\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9</title>",
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"},
        {"<title>bad \xff</title>", ""},
        {"<title></title>", ""},
        {"<title>open", "open"},
        {"<title", ""},
        {"title>a</title>", ""},
        {"<subtitle>a</subtitle>", ""},
        {"", ""},
    };
    for (size_t i = 0; i < PST_COUNT(PAGES); i++) {
        char out[16];
        pst_page_text(out, sizeof(out), pst_str_from(PAGES[i].page), "title");
        if (strcmp(out, PAGES[i].text) != 0)
            fail_msg("%s: '%s'", PAGES[i].page, out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_is_classified),
        cmocka_unit_test(without_a_connector_there_are_no_phrases),
        cmocka_unit_test(page_text_is_clean_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
