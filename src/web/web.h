/* web/web.h: the public status page: HTML that needs no JavaScript, the same as JSON, and a feed.
 *
 * What is shown is drawn from time to time by pst_web_refresh and kept as bytes, so that an answer
 * costs a copy, and the page is there when the store is not: then the last picture is drawn again,
 * with the store's trouble on it. It shows nothing of any organization: no names, ids, hosts, and
 * no numbers of connections.
 *
 *   /status        HTML, or JSON where Accept says so
 *   /status.json   JSON
 *   /status.atom   Atom feed of incidents
 *
 * Components: "api", "sync", "webhooks", and "connector:<name>" of every connector.
 *
 * Thread-safety: pst_web_refresh one thread at a time; the handlers on any loop.
 */
#ifndef PST_WEB_WEB_H
#define PST_WEB_WEB_H

#include "connector/connector.h"
#include "db/db.h"
#include "server/server.h"

struct pst_web;

enum pst_web_level { PST_WEB_OK, PST_WEB_DEGRADED, PST_WEB_DOWN, PST_WEB_MAINTENANCE };
enum { PST_WEB_COMPONENTS = 32, PST_WEB_DAYS = 90 };

/* connectors: borrowed for good. Errors: NO_MEMORY. */
pst_code pst_web_new(struct pst_web **out, const struct pst_connectors *connectors,
                     struct pst_err *err);
void pst_web_free(struct pst_web *web); /* NULL is a no-op */
PST_DEFINE_AUTO(web, struct pst_web, pst_web_free);

/* How many components there are, the name of one, how it is since the last refresh. */
size_t pst_web_component_count(const struct pst_web *web);
const char *pst_web_component_name(const struct pst_web *web, size_t index);
enum pst_web_level pst_web_component_level(const struct pst_web *web, size_t index);

/* Read incidents and days through conn and draw anew. store_is_failing: it cannot be written. When
 * it cannot be read either, what was read last is drawn. Errors: NO_MEMORY, LIMIT: the last picture
 * stays. */
pst_code pst_web_refresh(struct pst_web *web, struct pst_db_conn *conn, bool store_is_failing,
                         pst_wall now, struct pst_err *err);

/* The routes of the pages, for the router; they live as long as web. */
const struct pst_route *pst_web_routes(struct pst_web *web, size_t *count);

#endif
