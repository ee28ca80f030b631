/* base/num.h: strict integers from text. Thread-safety: pure. */
#ifndef PST_BASE_NUM_H
#define PST_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

__extension__ typedef __int128 pst_i128;
__extension__ typedef unsigned __int128 pst_u128;

/* Decimal digits only (and one leading '-' for i64), no blanks, no '+', whole text, within
 * [min, max]. false otherwise; *out is then untouched. */
bool pst_parse_i64(int64_t *out, pst_str text, int64_t min, int64_t max);
bool pst_parse_u64(uint64_t *out, pst_str text, uint64_t min, uint64_t max);

/* "90s", "15m", "24h", "7d", "500ms" or a bare number of seconds -> milliseconds, >= 0. */
bool pst_parse_duration_ms(int64_t *out, pst_str text);

/* "64MiB", "16KiB", "1GiB", "4096" -> bytes. */
bool pst_parse_size(uint64_t *out, pst_str text);

#endif
