/* web/draw_html.c: the status page as HTML: one file, no script, light and dark. */
#include <stdio.h>

#include "codec/html.h"
#include "web/internal.h"

/* clang-format off */
const char pst_web_style[] =
    ":root{color-scheme:light dark;--bg:#f7f8fa;--card:#fff;--ink:#1c2430;--dim:#5b6675;--line:#e3e7ee;"
    "--ok:#2e9e6b;--ok-ink:#1b7a50;--warn:#e0a100;--warn-ink:#8a6100;--bad:#d64545;--bad-ink:#b3261e;"
    "--note:#3b78d8;--note-ink:#2457a6;--none:#dfe4ea}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0f141b;--card:#171e27;--ink:#e4e9f0;--dim:#98a4b3;"
    "--line:#27303c;--ok:#3fb27f;--ok-ink:#5fd19c;--warn:#d9a520;--warn-ink:#eec35a;--bad:#e05c5c;"
    "--bad-ink:#ff8f88;--note:#5b95ee;--note-ink:#8ab4f8;--none:#2b3440}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}"
    "main{max-width:46rem;margin:0 auto;padding:2.5rem 1.25rem 3rem}"
    "h1{font-size:1rem;font-weight:600;margin:0 0 1.25rem;color:var(--dim);letter-spacing:.01em}"
    "h2{font-size:1.05rem;margin:2.5rem 0 .75rem}"
    "h3{font-size:1rem;margin:0}"
    "p{margin:.25rem 0}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:12px}"
    ".now{display:flex;align-items:center;gap:.9rem;padding:1.25rem 1.4rem}"
    ".now strong{font-size:1.35rem;line-height:1.25;font-weight:650}"
    ".dot{flex:none;width:.9rem;height:.9rem;border-radius:50%;background:var(--ok)}"
    ".now.degraded .dot,.tag.degraded::before{background:var(--warn)}"
    ".now.down .dot,.tag.down::before{background:var(--bad)}"
    ".now.maintenance .dot,.tag.maintenance::before{background:var(--note)}"
    ".note{margin:.75rem 0 0;color:var(--dim)}"
    "ul{list-style:none;margin:0;padding:0}"
    ".parts li{padding:1.05rem 1.4rem 1rem}.parts li+li{border-top:1px solid var(--line)}"
    ".row{display:flex;justify-content:space-between;align-items:baseline;gap:1rem}"
    ".tag{font-size:.9rem;color:var(--ok-ink);white-space:nowrap}"
    ".tag::before{content:\"\";display:inline-block;width:.5rem;height:.5rem;border-radius:50%;"
    "background:var(--ok);margin-right:.45rem}"
    ".tag.degraded{color:var(--warn-ink)}.tag.down{color:var(--bad-ink)}.tag.maintenance{color:var(--note-ink)}"
    ".days{display:block;width:100%;height:2rem;margin:.6rem 0 .3rem}"
    ".days rect{fill:var(--ok)}.days .n{fill:var(--none)}.days .w{fill:var(--warn)}.days .b{fill:var(--bad)}"
    ".scale{display:flex;justify-content:space-between;font-size:.8rem;color:var(--dim)}"
    ".incident{padding:1.1rem 1.4rem;margin:0 0 .75rem}"
    ".incident.open{border-left:4px solid var(--warn)}.incident.open.down{border-left-color:var(--bad)}"
    ".incident.open.maintenance{border-left-color:var(--note)}"
    ".meta{font-size:.875rem;color:var(--dim)}"
    "ol{list-style:none;margin:.8rem 0 0;padding:0 0 0 1rem;border-left:2px solid var(--line)}"
    "ol li+li{margin-top:.7rem}"
    "ol b{font-weight:600}"
    "time{font-variant-numeric:tabular-nums}"
    ".text{white-space:pre-line;overflow-wrap:anywhere}"
    "footer{margin-top:2.5rem;font-size:.875rem;color:var(--dim);display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}"
    "a{color:inherit}"
    "a:focus-visible{outline:2px solid var(--note);outline-offset:2px}"
    "@media(max-width:30rem){main{padding-top:1.5rem}.now,.parts li,.incident{padding-left:1rem;padding-right:1rem}}";
/* clang-format on */

static void put_z(struct pst_buf *b, const char *text)
{
    pst_html_add(b, pst_str_from(text));
}

static const char *month_name(int month)
{
    static const char *const NAMES[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return NAMES[month - 1];
}

/* "28 Nov 2026, 14:05 UTC" in a <time>. */
static void put_time(struct pst_buf *b, pst_wall t)
{
    char machine[PST_WALL_TEXT];
    pst_wall second = {t.us - t.us % PST_US_PER_S};
    struct pst_civil c = pst_wall_to_civil(t);
    (void)pst_wall_format(machine, second);
    pst_buf_addf(b, "<time datetime=\"%s\">%d %s %d, %02d:%02d UTC</time>", machine, c.day,
                 month_name(c.month), c.year, c.hour, c.minute);
}

/* ---- components ---- */

static void put_minutes(struct pst_buf *b, const char *what, int64_t seconds)
{
    if (seconds > 0)
        pst_buf_addf(b, ", %s for %lld min", what, (long long)(seconds + 59) / 60);
}

/* One bar, its day as its title. */
static void put_bar(struct pst_buf *b, const struct pst_board *board,
                    const struct pst_board_component *c, size_t i)
{
    static const char *const CLASSES[] = {"", " class=\"w\"", " class=\"b\"", ""};
    const struct pst_board_day *day = &c->days[i];
    bool is_known = false;
    enum pst_web_level level = pst_web_day_level(day, &is_known);
    int64_t number = board->today - (PST_WEB_DAYS - 1) + (int64_t)i;
    struct pst_civil civil = pst_wall_to_civil((pst_wall){number * 86400 * PST_US_PER_S});
    pst_buf_addf(b, "<rect x=\"%zu\" width=\"4\" height=\"32\" rx=\"1.5\"%s><title>%d %s %d", i * 6,
                 is_known ? CLASSES[level] : " class=\"n\"", civil.day, month_name(civil.month),
                 civil.year);
    if (!is_known)
        pst_buf_add_lit(b, ": no data");
    else if (day->down_s + day->degraded_s == 0)
        pst_buf_add_lit(b, ": no trouble");
    put_minutes(b, "down", day->down_s);
    put_minutes(b, "degraded", day->degraded_s);
    pst_buf_add_lit(b, "</title></rect>");
}

static void put_component(struct pst_buf *b, const struct pst_board *board,
                          const struct pst_board_component *c)
{
    char uptime[16];
    bool is_known = pst_web_uptime(c, uptime);
    pst_buf_add_lit(b, "<li><div class=\"row\"><h3>");
    put_z(b, c->title);
    pst_buf_addf(b, "</h3><span class=\"tag %s\">%s</span></div>", pst_web_level_name(c->level),
                 pst_web_level_title(c->level));
    pst_buf_addf(b,
                 "<svg class=\"days\" viewBox=\"0 0 %d 32\" preserveAspectRatio=\"none\" "
                 "role=\"img\" aria-label=\"The last %d days: %s%s\">",
                 PST_WEB_DAYS * 6 - 2, (int)PST_WEB_DAYS, is_known ? uptime : "no data",
                 is_known ? " % up" : "");
    for (size_t i = 0; i < PST_WEB_DAYS; i++)
        put_bar(b, board, c, i);
    pst_buf_addf(b, "</svg><div class=\"scale\"><span>%d days ago</span>", (int)PST_WEB_DAYS);
    if (is_known)
        pst_buf_addf(b, "<span>%s %% up</span>", uptime);
    pst_buf_add_lit(b, "<span>Today</span></div></li>");
}

/* ---- incidents ---- */

static void put_component_titles(struct pst_buf *b, const struct pst_board *board, pst_str list)
{
    while (list.len) {
        const char *title = pst_web_component_title(board, pst_str_split(&list, ','));
        if (title) {
            pst_buf_add_lit(b, " \xC2\xB7 ");
            put_z(b, title);
        }
    }
}

static void put_incident(struct pst_buf *b, const struct pst_board *board,
                         const struct pst_incident *i)
{
    bool is_open = pst_wall_is_none(i->closed_at);
    pst_buf_addf(b, "<article class=\"card incident%s %s\" id=\"%s\"><h3>", is_open ? " open" : "",
                 pst_incident_impact_name(i->impact), i->id.text);
    pst_html_add(b, i->title);
    pst_buf_add_lit(b, "</h3><p class=\"meta\">");
    put_time(b, i->opened_at);
    if (!is_open) {
        pst_buf_add_lit(b, " \xE2\x80\x93 ");
        put_time(b, i->closed_at);
    }
    put_component_titles(b, board, i->components);
    pst_buf_add_lit(b, "</p><ol>");
    for (size_t k = i->update_count; k > 0; k--) {
        const struct pst_incident_update *u = &i->updates[k - 1];
        pst_buf_addf(b, "<li><b>%s</b> ", pst_web_state_title(i->impact, u->state));
        pst_buf_add_lit(b, "<span class=\"meta\">");
        put_time(b, u->at);
        pst_buf_add_lit(b, "</span>");
        if (u->text.len) {
            pst_buf_add_lit(b, "<p class=\"text\">");
            pst_html_add(b, u->text);
            pst_buf_add_lit(b, "</p>");
        }
        pst_buf_add_lit(b, "</li>");
    }
    pst_buf_add_lit(b, "</ol></article>");
}

static size_t put_incidents(struct pst_buf *b, const struct pst_board *board, bool open)
{
    size_t n = 0;
    for (size_t i = 0; i < board->incident_count; i++) {
        if (pst_wall_is_none(board->incidents[i].closed_at) == open) {
            put_incident(b, board, &board->incidents[i]);
            n++;
        }
    }
    return n;
}

static bool has_open(const struct pst_board *board)
{
    for (size_t i = 0; i < board->incident_count; i++) {
        if (pst_wall_is_none(board->incidents[i].closed_at))
            return true;
    }
    return false;
}

/* ---- the page ---- */

static void put_now(struct pst_buf *b, const struct pst_board *board)
{
    enum pst_web_level overall = pst_web_overall(board);
    pst_buf_addf(b,
                 "<div class=\"card now %s\" role=\"status\"><span class=\"dot\" "
                 "aria-hidden=\"true\"></span><strong>%s</strong></div>",
                 pst_web_level_name(overall), pst_web_headline(overall));
    if (board->store_is_failing)
        pst_buf_add_lit(b, "<p class=\"note\">The store cannot be written at the moment. Data can "
                           "be read; changes and syncs wait.</p>");
}

void pst_web_draw_html(struct pst_buf *b, const struct pst_board *board)
{
    pst_buf_add_lit(b, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                       "<title>");
    put_z(b, pst_web_headline(pst_web_overall(board)));
    pst_buf_add_lit(b, " - Status</title><link rel=\"alternate\" type=\"application/atom+xml\" "
                       "title=\"Incidents\" href=\"/status.atom\"><style>");
    pst_buf_add_str(b, pst_str_from(pst_web_style));
    pst_buf_add_lit(b, "</style></head><body><main><h1>Status</h1>");
    put_now(b, board);
    if (has_open(board)) {
        pst_buf_add_lit(b, "<section aria-labelledby=\"open\"><h2 id=\"open\">Going on now</h2>");
        (void)put_incidents(b, board, true);
        pst_buf_add_lit(b, "</section>");
    }
    pst_buf_add_lit(b, "<section aria-labelledby=\"parts\"><h2 id=\"parts\">Components</h2>"
                       "<ul class=\"card parts\">");
    for (size_t i = 0; i < board->component_count; i++)
        put_component(b, board, &board->components[i]);
    pst_buf_add_lit(b, "</ul></section><section aria-labelledby=\"past\"><h2 id=\"past\">"
                       "Past incidents</h2>");
    if (put_incidents(b, board, false) == 0)
        pst_buf_addf(b, "<p class=\"meta\">None in the last %d days.</p>", (int)PST_WEB_DAYS);
    pst_buf_add_lit(b, "</section><footer><span>Updated ");
    put_time(b, board->drawn_at);
    pst_buf_add_lit(b, "</span><a href=\"/status.atom\">Feed</a><a href=\"/status.json\">JSON</a>"
                       "</footer></main></body></html>\n");
}
