/* base/id.h: ids as the product writes them: a prefix and 128 bits as 26 lower-case Crockford
 * base-32 characters ("conn_01jd..."). Time-ordered ids are UUIDv7.
 *
 * Thread-safety: pure; the random bytes come from the caller (os/rand.h makes new ids).
 */
#ifndef PST_BASE_ID_H
#define PST_BASE_ID_H

#include <stdint.h>

#include "base/str.h"
#include "base/time.h"

enum { PST_ID_RAW = 16, PST_ID_BODY = 26, PST_ID_TEXT = 40 };

/* Id text with its NUL, by value; "" is no id. */
struct pst_id {
    char text[PST_ID_TEXT];
};

/* prefix: "conn_" with the underscore, at most 8 characters. */
struct pst_id pst_id_format(const char *prefix, const uint8_t raw[PST_ID_RAW]);

/* UUIDv7 from a wall clock (milliseconds) and 10 random bytes. */
void pst_id_v7(uint8_t out[PST_ID_RAW], pst_wall now, const uint8_t random[10]);

/* false unless text is exactly prefix + 26 characters of the alphabet. raw may be NULL. */
bool pst_id_parse(uint8_t raw[PST_ID_RAW], const char *prefix, pst_str text);

static inline pst_str pst_id_str(const struct pst_id *id)
{
    return pst_str_from(id->text);
}

#endif
