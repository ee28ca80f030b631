"""tests/unit/torture.c finds what it is for: a small program is tortured, built by itself."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = """
#include <stdlib.h>
#include "tests/unit/test.h"

static void fails_without_memory(void **state)
{
    (void)state;
    void *p = pst_malloc(8);
    assert_non_null(p);
    pst_free(p);
}
static void aborts_without_memory(void **state)
{
    (void)state;
    void *p = pst_malloc(8);
    if (!p)
        abort();
    pst_free(p);
}
static void *lose(void *p) { __asm__ volatile("" : "+r"(p)); return NULL; }
static void loses_memory_and_fails(void **state)
{
    (void)state;
    void *p = pst_malloc(100);
    void *q = p ? pst_malloc(8) : NULL;
    if (!q)
        p = lose(p);
    __asm__ volatile("" : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r12", "memory");
    assert_non_null(q);
    pst_free(q);
    pst_free(p);
}
static void holds_memory_and_fails(void **state)
{
    (void)state;
    void *volatile p = pst_malloc(8);
    void *q = p ? pst_malloc(8) : NULL;
    assert_non_null(q);
    pst_free(q);
    pst_free(p);
}
static void makes_faults(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i) pst_free(pst_malloc(8));
}
static void fails_alone(void **state)
{
    (void)state;
    fail();
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fails_without_memory), cmocka_unit_test(aborts_without_memory),
        cmocka_unit_test(loses_memory_and_fails), cmocka_unit_test(holds_memory_and_fails),
        cmocka_unit_test(makes_faults), cmocka_unit_test(fails_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
"""


@pytest.fixture(scope="module")
def torture(tmp_path_factory):
    """The lines that begin with TORTURE or NOT TRIED, by build."""
    place = tmp_path_factory.mktemp("torture")
    (place / "program.c").write_text(PROGRAM)

    def run(*flags):
        made = place / ("program" + "".join(flags).replace("=", "-"))
        subprocess.run(["gcc", "-w", "-g", "-O0", "-std=gnu2x", "-D_GNU_SOURCE", "-include", "stdio.h", "-include",
                        "stdlib.h", "-include", "string.h", *flags, f"-I{ROOT}", f"-I{ROOT}/src",
                        place / "program.c", ROOT / "tests/unit/torture.c", ROOT / "src/base/alloc.c",
                        ROOT / "src/base/err.c", *sorted((ROOT / "src/base").glob("utf8.c")), "-lcmocka", "-o", made],
                       check=True)
        done = subprocess.run([made], env={**os.environ, "PST_TORTURE": "9", "ASAN_OPTIONS": "detect_leaks=1"},
                              capture_output=True, text=True, check=False, timeout=120)
        return [line for line in done.stdout.splitlines() if line.startswith(("TORTURE", "NOT TRIED"))], done
    return run


def test_what_the_product_does_is_told_from_what_cmocka_does(torture):
    lines, done = torture()
    assert "TORTURE aborts_without_memory, allocation 0: Aborted" in lines, done
    assert not any("fails_without_memory" in line or "holds_memory" in line for line in lines), lines
    assert "NOT TRIED makes_faults: it makes faults of its own" in lines
    assert "NOT TRIED fails_alone: it does not pass in a process of its own" in lines
    assert any(line.endswith("1 bad, 2 not tried") for line in lines), lines


def test_memory_that_a_failing_test_lost_is_found_and_what_it_holds_is_not(torture):
    lines, done = torture("-fsanitize=address")
    assert any(line.startswith("TORTURE loses_memory_and_fails, allocation 1:") and "Sanitizer" in line
               for line in lines), done
    assert not any("holds_memory" in line or "fails_without_memory" in line for line in lines), lines
