/* web/internal.h: what the status page shows, as data. Private to this module. */
#ifndef PST_WEB_INTERNAL_H
#define PST_WEB_INTERNAL_H

#include "base/buf.h"
#include "store/incidents.h"
#include "web/web.h"

struct pst_board_day {
    int64_t watched_s, degraded_s, down_s;
};

struct pst_board_component {
    char name[64];
    char title[80];
    enum pst_web_level level;
    struct pst_board_day days[PST_WEB_DAYS]; /* the oldest first; the last one is today */
};

struct pst_board {
    struct pst_board_component components[PST_WEB_COMPONENTS];
    size_t component_count;
    int64_t today; /* days since 1970 */
    pst_wall drawn_at;
    bool store_is_failing;
    const struct pst_incident *incidents; /* those open, then those closed; the newest first */
    size_t incident_count;
};

const char *pst_web_level_name(enum pst_web_level level); /* "ok" */
const char *pst_web_level_title(enum pst_web_level level); /* "Working" */
enum pst_web_level pst_web_overall(const struct pst_board *board);
const char *pst_web_headline(enum pst_web_level overall); /* a sentence */

/* How a day was; *known false: it was not watched. */
enum pst_web_level pst_web_day_level(const struct pst_board_day *day, bool *known);
/* "99.98", of all days watched; false: none was. */
bool pst_web_uptime(const struct pst_board_component *c, char out[16]);
/* "Investigating"; a maintenance goes through the same states by other names ("In progress"). */
const char *pst_web_state_title(enum pst_incident_impact impact, enum pst_incident_state state);
const char *pst_web_component_title(const struct pst_board *board, pst_str name); /* or NULL */

/* The styles, and their hash as a Content-Security-Policy names it. */
extern const char pst_web_style[];

void pst_web_draw_html(struct pst_buf *out, const struct pst_board *board);
void pst_web_draw_json(struct pst_buf *out, const struct pst_board *board);
void pst_web_draw_atom(struct pst_buf *out, const struct pst_board *board);

#endif
