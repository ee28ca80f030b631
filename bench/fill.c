/* bench/fill.c: records into a store that no server has open.
 *
 *   fill STORE RECORDS BYTES
 *
 * Adds a connection with RECORDS purchase orders of BYTES each to the store's first organization
 * and prints the connection's id.
 */
#include <stdio.h>

#include "base/num.h"
#include "grow.h"

int main(int argc, char **argv)
{
    int64_t records = 0;
    int64_t bytes = 0;
    if (argc != 4 || !pst_parse_i64(&records, pst_str_from(argv[2]), 1, 1000000000) ||
        !pst_parse_i64(&bytes, pst_str_from(argv[3]), 200, 1000000)) {
        (void)fprintf(stderr, "usage: fill STORE RECORDS BYTES\n");
        return 64;
    }
    struct grow *g = grow_open(argv[1], bytes);
    struct pst_id id = grow_connection_id(g);
    grow_to(g, records);
    grow_close(g);
    puts(id.text);
    return 0;
}
