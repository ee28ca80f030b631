/* tests/fuzz/fuzzer.c: a target for libFuzzer. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pst_fuzz((pst_str){size ? (const char *)data : "", size});
    return 0;
}
