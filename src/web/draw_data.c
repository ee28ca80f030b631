/* web/draw_data.c: the same as JSON, and incidents as an Atom feed (RFC 4287). */
#include <stdio.h>

#include "codec/json.h"
#include "web/internal.h"

/* ---- JSON ---- */

static void put_day(struct pst_json_writer *w, int64_t number, const struct pst_board_day *day)
{
    char date[16];
    bool is_known = false;
    enum pst_web_level level = pst_web_day_level(day, &is_known);
    struct pst_civil c = pst_wall_to_civil((pst_wall){number * 86400 * PST_US_PER_S});
    (void)snprintf(date, sizeof(date), "%04d-%02d-%02d", c.year % 10000, c.month % 100,
                   c.day % 100);
    pst_json_begin_object(w);
    pst_json_add_z(w, "date", date);
    pst_json_add_z(w, "status", is_known ? pst_web_level_name(level) : NULL);
    pst_json_add_i64(w, "down_seconds", day->down_s);
    pst_json_add_i64(w, "degraded_seconds", day->degraded_s);
    pst_json_end_object(w);
}

static void put_component(struct pst_json_writer *w, const struct pst_board *board,
                          const struct pst_board_component *c)
{
    char uptime[16];
    pst_json_begin_object(w);
    pst_json_add_z(w, "name", c->name);
    pst_json_add_z(w, "title", c->title);
    pst_json_add_z(w, "status", pst_web_level_name(c->level));
    pst_json_add_z(w, "uptime_percent", pst_web_uptime(c, uptime) ? uptime : NULL);
    pst_json_add_array(w, "days");
    for (size_t i = 0; i < PST_WEB_DAYS; i++)
        put_day(w, board->today - (PST_WEB_DAYS - 1) + (int64_t)i, &c->days[i]);
    pst_json_end_array(w);
    pst_json_end_object(w);
}

static void put_incident(struct pst_json_writer *w, const struct pst_incident *i)
{
    pst_str list = i->components;
    pst_json_begin_object(w);
    pst_json_add_str(w, "id", pst_id_str(&i->id));
    pst_json_add_str(w, "title", i->title);
    pst_json_add_z(w, "impact", pst_incident_impact_name(i->impact));
    pst_json_add_z(w, "state", pst_incident_state_name(i->state));
    pst_json_add_array(w, "components");
    while (list.len)
        pst_json_put_str(w, pst_str_split(&list, ','));
    pst_json_end_array(w);
    pst_json_add_wall(w, "opened_at", i->opened_at);
    pst_json_add_wall(w, "closed_at", i->closed_at);
    pst_json_add_array(w, "updates");
    for (size_t k = 0; k < i->update_count; k++) {
        pst_json_begin_object(w);
        pst_json_add_wall(w, "at", i->updates[k].at);
        pst_json_add_z(w, "state", pst_incident_state_name(i->updates[k].state));
        pst_json_add_str(w, "text", i->updates[k].text);
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
    pst_json_end_object(w);
}

void pst_web_draw_json(struct pst_buf *out, const struct pst_board *board)
{
    struct pst_json_writer w;
    struct pst_err ignored;
    enum pst_web_level overall = pst_web_overall(board);
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "status", pst_web_level_name(overall));
    pst_json_add_z(&w, "headline", pst_web_headline(overall));
    pst_json_add_wall(&w, "updated_at", board->drawn_at);
    pst_json_add_array(&w, "components");
    for (size_t i = 0; i < board->component_count; i++)
        put_component(&w, board, &board->components[i]);
    pst_json_end_array(&w);
    pst_json_add_array(&w, "incidents");
    for (size_t i = 0; i < board->incident_count; i++)
        put_incident(&w, &board->incidents[i]);
    pst_json_end_array(&w);
    pst_json_end_object(&w);
    (void)pst_json_finish(&w, &ignored); /* what failed stays in the buffer for its owner */
}

/* ---- Atom ---- */

/* XML 1.0 has no place for most control characters. */
static void put_xml(struct pst_buf *b, pst_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '<')
            pst_buf_add_lit(b, "&lt;");
        else if (c == '&')
            pst_buf_add_lit(b, "&amp;");
        else if (c == '>')
            pst_buf_add_lit(b, "&gt;");
        else if (c >= ' ' || c == '\n' || c == '\t')
            pst_buf_add_char(b, (char)c);
    }
}

static void put_element(struct pst_buf *b, const char *name, pst_str text)
{
    pst_buf_addf(b, "<%s>", name);
    put_xml(b, text);
    pst_buf_addf(b, "</%s>", name);
}

static void put_wall(struct pst_buf *b, const char *name, pst_wall t)
{
    char text[PST_WALL_TEXT];
    (void)pst_wall_format(text, t);
    put_element(b, name, pst_str_from(text));
}

static void put_entry(struct pst_buf *b, const struct pst_incident *i)
{
    pst_buf_addf(b, "<entry><id>urn:penstock:incident:%s</id>", i->id.text);
    put_element(b, "title", i->title);
    put_wall(b, "published", i->opened_at);
    put_wall(b, "updated", i->updated_at);
    pst_buf_addf(b, "<link rel=\"alternate\" type=\"text/html\" href=\"/status#%s\"/>", i->id.text);
    pst_buf_addf(b, "<category term=\"%s\"/><category term=\"%s\"/><content type=\"text\">",
                 pst_incident_impact_name(i->impact), pst_incident_state_name(i->state));
    for (size_t k = i->update_count; k > 0; k--) {
        char at[PST_WALL_TEXT];
        const struct pst_incident_update *u = &i->updates[k - 1];
        (void)pst_wall_format(at, u->at);
        pst_buf_addf(b, "%s %s", at, pst_web_state_title(i->impact, u->state));
        if (u->text.len)
            pst_buf_add_lit(b, ": ");
        put_xml(b, u->text);
        pst_buf_add_char(b, '\n');
    }
    pst_buf_add_lit(b, "</content></entry>\n");
}

void pst_web_draw_atom(struct pst_buf *b, const struct pst_board *board)
{
    pst_wall updated = {0};
    for (size_t i = 0; i < board->incident_count; i++) {
        if (board->incidents[i].updated_at.us > updated.us)
            updated = board->incidents[i].updated_at;
    }
    pst_buf_add_lit(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                       "<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:penstock:status</id>"
                       "<title>Status</title><author><name>Penstock</name></author>"
                       "<link rel=\"self\" type=\"application/atom+xml\" href=\"/status.atom\"/>"
                       "<link rel=\"alternate\" type=\"text/html\" href=\"/status\"/>");
    put_wall(b, "updated", updated);
    pst_buf_add_char(b, '\n');
    for (size_t i = 0; i < board->incident_count; i++)
        put_entry(b, &board->incidents[i]);
    pst_buf_add_lit(b, "</feed>\n");
}
