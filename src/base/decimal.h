/* base/decimal.h: exact decimal numbers as text.
 *
 * Money and quantities are decimal strings with exactly the digits the source gave. This
 * header checks such text and adds and multiplies it exactly, up to PST_DECIMAL_DIGITS
 * significant digits; it never rounds.
 *
 * Thread-safety: plain values.
 */
#ifndef PST_BASE_DECIMAL_H
#define PST_BASE_DECIMAL_H

#include <stdint.h>

#include "base/err.h"
#include "base/num.h"
#include "base/str.h"

enum { PST_DECIMAL_DIGITS = 36, PST_DECIMAL_TEXT = 80 };

struct pst_decimal {
    pst_i128 coefficient;
    int scale; /* digits behind the point, 0..PST_DECIMAL_DIGITS */
};

/* JSON or ERP number text: [+-]digits[.digits][e[+-]digits], also ".5" and "5."; the value is
 * exact. Errors: INVALID (not a number), LIMIT (more than PST_DECIMAL_DIGITS digits). */
pst_code pst_decimal_parse(struct pst_decimal *out, pst_str text, struct pst_err *err);

/* Plain notation: no exponent, no '+', a digit before the point, as many digits behind it as
 * scale says ("39000.000", "-0.5", "0"). Returns the length; out is NUL-terminated. */
size_t pst_decimal_format(char out[PST_DECIMAL_TEXT], struct pst_decimal d);

/* Exact; scale of the sum is the larger one, of the product the sum of both.
 * Errors: LIMIT. */
pst_code pst_decimal_add(struct pst_decimal *out, struct pst_decimal a, struct pst_decimal b,
                         struct pst_err *err);
pst_code pst_decimal_mul(struct pst_decimal *out, struct pst_decimal a, struct pst_decimal b,
                         struct pst_err *err);

int pst_decimal_cmp(struct pst_decimal a, struct pst_decimal b); /* by value: 1.0 equals 1 */

/* Whether text already is plain notation, so that it may be stored as it is. */
bool pst_decimal_is_plain(pst_str text);

#endif
