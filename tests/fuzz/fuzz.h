/* tests/fuzz/fuzz.h: what every fuzz target includes.
 *
 * A target is one function, pst_fuzz(bytes), that hands the bytes to the code under test and
 * requires what must hold for every input. fuzzer.c gives it to libFuzzer (./dev fuzz), replay.c
 * runs it over the files of its corpus (a unit test, in every kind of build).
 */
#ifndef PST_TESTS_FUZZ_FUZZ_H
#define PST_TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

/* Bytes that end where their allocation ends, so that reading one too many is seen. */
void pst_fuzz(pst_str bytes);

/* What must hold. Ends the program with the input left behind as a finding. */
#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* For what cannot fail with this input: prints the error and ends the program. */
#define FUZZ_OK(expr)                                                                              \
    do {                                                                                           \
        pst_code fuzz_code_ = (expr);                                                              \
        if (fuzz_code_ != PST_OK) {                                                                \
            (void)fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #expr,                \
                          pst_code_name(fuzz_code_), err.msg);                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Cut the first byte off, for choices; 0 when there is none. */
static inline unsigned fuzz_take(pst_str *bytes)
{
    unsigned b = bytes->len ? (unsigned char)bytes->ptr[0] : 0;
    *bytes = pst_str_sub(*bytes, 1, bytes->len);
    return b;
}

#endif
