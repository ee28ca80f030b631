/* web/board.c: from seconds and incidents to levels and words. */
#include <stdio.h>

#include "web/internal.h"

const char *pst_web_level_name(enum pst_web_level level)
{
    static const char *const NAMES[] = {"ok", "degraded", "down", "maintenance"};
    return NAMES[level];
}

const char *pst_web_level_title(enum pst_web_level level)
{
    static const char *const TITLES[] = {"Working", "Degraded", "Down", "Maintenance"};
    return TITLES[level];
}

const char *pst_web_state_title(enum pst_incident_impact impact, enum pst_incident_state state)
{
    static const char *const TROUBLE[] = {"Investigating", "Identified", "Monitoring", "Resolved"};
    static const char *const WORK[] = {"In progress", "In progress", "Verifying", "Completed"};
    return impact == PST_IMPACT_MAINTENANCE ? WORK[state] : TROUBLE[state];
}

/* How bad, for comparing. */
static int rank(enum pst_web_level level)
{
    static const int RANKS[] = {
        [PST_WEB_OK] = 0, [PST_WEB_MAINTENANCE] = 1, [PST_WEB_DEGRADED] = 2, [PST_WEB_DOWN] = 3};
    return RANKS[level];
}

enum pst_web_level pst_web_overall(const struct pst_board *board)
{
    enum pst_web_level worst = PST_WEB_OK;
    for (size_t i = 0; i < board->component_count; i++) {
        if (rank(board->components[i].level) > rank(worst))
            worst = board->components[i].level;
    }
    return worst;
}

const char *pst_web_headline(enum pst_web_level overall)
{
    static const char *const HEADLINES[] = {"Everything is working", "Some things are degraded",
                                            "Some things are down", "Maintenance is under way"};
    return HEADLINES[overall];
}

/* Down for a hundredth of the time or more makes a day red, any trouble amber. */
enum pst_web_level pst_web_day_level(const struct pst_board_day *day, bool *known)
{
    *known = day->watched_s > 0;
    if (*known && day->down_s * 100 >= day->watched_s)
        return PST_WEB_DOWN;
    return day->down_s + day->degraded_s > 0 ? PST_WEB_DEGRADED : PST_WEB_OK;
}

bool pst_web_uptime(const struct pst_board_component *c, char out[16])
{
    int64_t watched = 0;
    int64_t down = 0;
    for (size_t i = 0; i < PST_WEB_DAYS; i++) {
        watched += c->days[i].watched_s;
        down += c->days[i].down_s;
    }
    if (watched <= 0)
        return false;
    int64_t share = (watched - down) * 10000 / watched; /* rounded down: 100 means all of it */
    (void)snprintf(out, 16, "%d.%02d", (int)(share / 100), (int)(share % 100));
    return true;
}

const char *pst_web_component_title(const struct pst_board *board, pst_str name)
{
    for (size_t i = 0; i < board->component_count; i++) {
        if (pst_str_is(name, board->components[i].name))
            return board->components[i].title;
    }
    return NULL;
}
