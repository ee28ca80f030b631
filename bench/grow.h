/* bench/grow.h: a store with as many records as a bench wants, written by the store's own code in
 * pages, without a source system, a mapping or a server.
 *
 * Records are purchase orders with every filter column filled, in order of their keys, so that
 * they lie as a first full sync would have left them. Errors end the program: it is a bench.
 */
#ifndef PST_BENCH_GROW_H
#define PST_BENCH_GROW_H

#include "store/records.h"

enum { GROW_PAGE = 2000, GROW_SUPPLIERS = 500, GROW_KEY = 24 };

struct grow;

/* Opens (or makes) the store at path and adds a connection to its first organization, or to a new
 * one. bytes: of a record, its kept source included. close ends the run and switches the connection
 * off, so that a server leaves it alone. */
struct grow *grow_open(const char *path, int64_t bytes);
void grow_close(struct grow *g);

/* Append records until there are `records`. */
void grow_to(struct grow *g, int64_t records);
/* Write the `count` records from number `first` on again, changed, in one page (<= GROW_PAGE). */
void grow_update(struct grow *g, int64_t first, int64_t count, int version);

struct pst_db *grow_db(struct grow *g);
const struct pst_entity *grow_entity(const struct grow *g);
int64_t grow_connection_pk(const struct grow *g);
struct pst_id grow_connection_id(const struct grow *g);
void grow_key(char out[GROW_KEY], int64_t n); /* sort key and source id of record n */
void grow_record_id(uint8_t out[PST_ID_RAW], int64_t n);
void grow_supplier(char out[40], int64_t n); /* supplier_id, one of GROW_SUPPLIERS */
uint64_t grow_mix(uint64_t x); /* a number that looks random */

_Noreturn void grow_stop(const struct pst_err *err);
#define MUST(expr)                                                                                 \
    do {                                                                                           \
        struct pst_err err = {0};                                                                  \
        if ((expr) != PST_OK)                                                                      \
            grow_stop(&err);                                                                       \
    } while (0)

#endif
