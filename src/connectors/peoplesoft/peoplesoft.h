/* connectors/peoplesoft/peoplesoft.h: Oracle PeopleSoft through the Query Access Service.
 *
 * The connector reads saved queries that the customer's administrator creates from the query
 * pack (queries/). It pages by key through prompts, since the service has no paging of its own,
 * and never believes that a page is the last one until an empty one came.
 *
 *   adapter.c   the operations; what open() keeps
 *   stream.c    a stream's query, key and renames, from manifest and config
 *   request.c   URLs, prompt values, windows in the source's own time
 *   reader.c    response bytes to cells        repair.c  the same for JSON that is not quite JSON
 *   table.c     cells to documents: keys, order, faults
 *   fetch.c     as many calls as a page takes
 *   check.c     test(): what is wrong and what to do        meta.c  answers of ListQuery etc.
 *
 * Names that its files share begin with pst_ps_.
 *
 * Protocol facts are those of Oracle's "Reporting Web Services" and of public clients; the
 * tolerated variations stand beside the code that meets them.
 */
#ifndef PST_CONNECTORS_PEOPLESOFT_PEOPLESOFT_H
#define PST_CONNECTORS_PEOPLESOFT_PEOPLESOFT_H

#include "connector/connector.h"

extern const struct pst_connector_ops pst_peoplesoft_ops;

#endif
