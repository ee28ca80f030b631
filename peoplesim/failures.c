/* peoplesim/failures.c: how PeopleSoft, WebLogic and what stands before them fail. */
#include "peoplesim/gateway.h"

static const char sign_on[] =
    "<!DOCTYPE html>\n<html dir='ltr' lang='en'>\n<head><title>Oracle PeopleSoft "
    "Sign-in</title></head>\n"
    "<body class='signin'><form action='/psp/EP/?cmd=login&amp;languageCd=ENG' method='post' "
    "id='login'>"
    "<label for='userid'>User ID</label><input type='text' name='userid' id='userid'>"
    "<label for='pwd'>Password</label><input type='password' name='pwd' id='pwd'>"
    "<input type='submit' name='Submit' value='Sign In'></form>"
    "<a href='/psp/EP/?cmd=login&amp;languageCd=ENG&amp;errorCode=106'>English</a></body></html>\n";

static const char unavailable[] =
    "<html><head><title>503 Service Temporarily Unavailable</title></head>\n"
    "<body><center><h1>503 Service Temporarily Unavailable</h1></center><hr>"
    "<p>The system is down for maintenance.</p></body></html>\n";

static const char busy[] = "<html><head><title>429 Too Many Requests</title></head>\n"
                           "<body><center><h1>429 Too Many Requests</h1></center></body></html>\n";

static void answer(struct pst_response *res, int status, const char *type, const char *body)
{
    res->status = status;
    pst_buf_reset(&res->body);
    pst_buf_add_str(&res->body, pst_str_from(body));
    if (type)
        pst_response_header(res, "Content-Type", pst_str_from(type));
}

void pst_sim_fail_page(struct pst_response *res, int status)
{
    const char *reason = status == 404   ? "Not Found"
                         : status == 403 ? "Forbidden"
                         : status == 405 ? "Method Not Allowed"
                         : status == 400 ? "Bad Request"
                                         : "Internal Server Error";
    answer(res, status, "text/html; charset=UTF-8", "");
    pst_buf_addf(&res->body,
                 "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.0 Draft//EN\">\n<HTML>\n<HEAD>\n"
                 "<TITLE>Error %d--%s</TITLE>\n</HEAD>\n<BODY bgcolor=\"white\">\n"
                 "<H2>Error %d--%s</H2>\n<P>From RFC 2068 <i>Hypertext Transfer Protocol -- "
                 "HTTP/1.1</i>:</P>\n</BODY>\n</HTML>\n",
                 status, reason, status, reason);
}

void pst_sim_fail_login(struct pst_response *res)
{
    answer(res, 401, "text/html; charset=UTF-8", "<html><body>Unauthorized</body></html>\n");
    pst_response_header(res, "WWW-Authenticate", PST_STR("Basic realm=\"PeopleSoft\""));
}

/* The number behind the comma of "text (158,45)". */
static int message_id(const char *text)
{
    const char *comma = strrchr(text, ',');
    return comma ? (int)strtol(comma + 1, NULL, 10) : 0;
}

static void put_ib(struct pst_response *res, int status, const char *text)
{
    answer(res, status, "text/xml; charset=UTF-8", "");
    pst_buf_addf(
        &res->body,
        "<?xml version=\"1.0\"?>\n<IBResponse type=\"error\"><DefaultTitle>Integration "
        "Broker Response</DefaultTitle><StatusCode>20</StatusCode><MessageID>%d</MessageID>"
        "<DefaultMessage><![CDATA[%s]]></DefaultMessage></IBResponse>\n",
        message_id(text), text);
}

void pst_sim_fail_ib(const struct pst_sim_gateway *g, struct pst_response *res, int status,
                     const char *text)
{
    if (g->is_production)
        answer(res, 500, NULL, "");
    else
        put_ib(res, status, text);
}

void pst_sim_fail_as(enum pst_sim_fault_kind kind, struct pst_response *res)
{
    switch (kind) {
    case PST_SIM_FAULT_401:
        pst_sim_fail_login(res);
        return;
    case PST_SIM_FAULT_403:
        pst_sim_fail_page(res, 403);
        return;
    case PST_SIM_FAULT_404:
        pst_sim_fail_page(res, 404);
        return;
    case PST_SIM_FAULT_429:
        answer(res, 429, "text/html", busy);
        pst_response_header(res, "Retry-After", PST_STR("1"));
        return;
    case PST_SIM_FAULT_500_TEXT:
        put_ib(res, 500,
               "SQL error. Stmt #: 5653  Error Position: 0  Return: 8601 - [Oracle] ORA-01555: "
               "snapshot too old (2,116)");
        return;
    case PST_SIM_FAULT_IB_158_45:
        put_ib(res, 200, "User password failed. (158,45)");
        return;
    case PST_SIM_FAULT_503:
        answer(res, 503, "text/html", unavailable);
        return;
    case PST_SIM_FAULT_SIGN_ON:
        answer(res, 200, "text/html; charset=UTF-8", sign_on);
        return;
    case PST_SIM_FAULT_REDIRECT:
        answer(res, 302, "text/html", "<html><body>Moved</body></html>\n");
        pst_response_header(res, "Location",
                            PST_STR("https://login.example.com/oam/server/obrareq"));
        return;
    case PST_SIM_FAULT_GARBAGE:
        answer(res, 200, "application/json", "{\"status\":\"success\",\"data\":{\"query\":{,}}}");
        return;
    case PST_SIM_FAULT_500:
    case PST_SIM_FAULT_NONE:
    case PST_SIM_FAULT_RESET:
    case PST_SIM_FAULT_TRUNCATE:
    case PST_SIM_FAULT_STALL:
    case PST_SIM_FAULT_SLOW:
    case PST_SIM_FAULT_ROW_CAP:
    case PST_SIM_FAULT_PROMPTS_IGNORED:
    case PST_SIM_FAULT_MISSING_COLUMN:
    case PST_SIM_FAULT_BAD_STAMP:
    case PST_SIM_FAULT_BAD_NUMBER:
    case PST_SIM_FAULT_BAD_UTF8:
    case PST_SIM_FAULT_HIDDEN:
    case PST_SIM_FAULT_BLANKS_LEFT_OUT:
    case PST_SIM_FAULT_KINDS:
        break;
    }
    answer(res, 500, NULL, ""); /* naked, as in production mode */
}

bool pst_sim_is_plain(pst_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    c == '_' || c == '.' || c == '-';
        if (!fine)
            return false;
    }
    return name.len < PST_SIM_FAULT_NAME;
}
