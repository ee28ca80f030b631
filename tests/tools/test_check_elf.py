"""tools/check_elf.py finds each protection missing: a small program is built without just that one."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import check_elf  # noqa: E402

COMPILE = ["-O2", "-fPIE", "-fstack-protector-strong", "-fstack-clash-protection",
           *(["-fcf-protection"] if check_elf.X86 else []), "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
LINK = ["-pie", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
PROGRAM = check_elf.PROBE + """
static int add(int x) { return x + 1; }
int (*volatile step)(int) = add;
#define FEW(n) int f##n##1(int x){return step(x);} int f##n##2(int x){return step(x);} \\
               int f##n##3(int x){return step(x);} int f##n##4(int x){return step(x);} \\
               int f##n##5(int x){return step(x);} int f##n##6(int x){return step(x);}
FEW(a) FEW(b) FEW(c) FEW(d)
static void touch(int *x) { *x = step(*x); }
static void fill(char *x) { x[0] = 1; }
void (*volatile use)(int *) = touch;
int main(int count, char **words)
{ clashing(fill); return guarded(use) + (fortified((size_t)count, words[0], 1) != 0) - 3; }
"""


def build(place, compile_flags=(), link_flags=(), text=PROGRAM):
    source, made = place / "program.c", place / "program"
    source.write_text(text)
    subprocess.run(["gcc", "-w", *COMPILE, *compile_flags, source, "-o", made, *LINK, *link_flags], check=True)
    return made


def missing(checks):
    return {what for what, fine in checks if not fine}


def test_a_hardened_program_has_everything(tmp_path):
    made = build(tmp_path)
    assert missing(check_elf.program(made)) == set()
    assert missing(check_elf.search_path(made)) == set()
    assert missing(check_elf.size(made)) == set()


@pytest.mark.parametrize("compile_flags, link_flags, what", [
    (["-fno-pie"], ["-no-pie"], "position independent"),
    ([], ["-Wl,-z,norelro"], "relocations are read-only"),
    ([], ["-Wl,-z,lazy"], "everything is bound at the start"),
    ([], ["-Wl,-z,execstack"], "no executable stack"),
    (["-fno-stack-protector"], [], "stack protector"),
    (["-U_FORTIFY_SOURCE"], [], "fortified libc calls"),
    pytest.param(["-fcf-protection=none"], [], "landing pads for indirect calls",
                 marks=pytest.mark.skipif(not check_elf.X86, reason="of x86-64")),
    pytest.param(["-fno-stack-clash-protection"], [], "large frames touch every page",
                 marks=pytest.mark.skipif(not check_elf.X86, reason="of x86-64")),
])
def test_each_protection_is_missed_in_a_program(tmp_path, compile_flags, link_flags, what):
    found = missing(check_elf.program(build(tmp_path, compile_flags, link_flags)))
    assert what in found
    # The others are still there, but for those that go with it by nature.
    assert len(found) <= 4, found


def test_a_segment_to_write_and_execute_is_found(tmp_path):
    text = PROGRAM + 'asm(".section .both, \\"awx\\", @progbits\\n.quad 1\\n.text\\n");\n'
    made = build(tmp_path, text=text)
    assert missing(check_elf.program(made)) == {"nothing is writable and executable"}


def test_relocations_in_code_are_found(tmp_path):
    text = PROGRAM + 'asm(".text\\n.globl odd\\nodd: .quad main\\n");\n'
    made = build(tmp_path, [], ["-Wl,-z,notext"], text)
    assert "no relocations in code" in missing(check_elf.program(made))


@pytest.mark.parametrize("flags, what", [
    (["-Wl,-rpath,/opt/lib", "-Wl,--disable-new-dtags"], "no RPATH"),
    (["-Wl,-rpath,/opt/lib", "-Wl,--enable-new-dtags"], "RUNPATH only to what is installed along"),
    (["-Wl,-rpath,$ORIGIN/../lib/penstock", "-Wl,--enable-new-dtags"], "RUNPATH only to what is installed along"),
])
def test_a_search_path_is_found(tmp_path, flags, what):
    assert what in missing(check_elf.search_path(build(tmp_path, [], flags)))


def test_a_path_of_the_build_machine_is_found(tmp_path):
    made = build(tmp_path, text=PROGRAM + f'const char *volatile where = "{tmp_path}/x.c";\n')
    assert missing(check_elf.size(made, tmp_path)) == {"no path of the build machine"}


def test_a_large_program_is_found(tmp_path):
    made = build(tmp_path, text=PROGRAM + "const char volatile large[5000001] = {1};\n")
    assert len(missing(check_elf.size(made))) == 1


@pytest.mark.parametrize("flags, what", [
    (["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"], "fortify at level 3"),
    (["-O0"], "fortify at level 3"),
    (["-fstack-protector"], "strong stack protector"),
    pytest.param(["-fno-stack-clash-protection"], "stack clash protection",
                 marks=pytest.mark.skipif(not check_elf.X86, reason="of x86-64")),
    pytest.param(["-fcf-protection=none"], "control-flow protection",
                 marks=pytest.mark.skipif(not check_elf.X86, reason="of x86-64")),
])
def test_each_weaker_flag_is_found_in_the_record(flags, what):
    assert missing(check_elf.compiled_with(["gcc", *COMPILE])) == set()
    assert missing(check_elf.compiled_with(["gcc", *COMPILE, *flags])) == {what}


def test_the_flags_are_taken_out_of_a_compile_command():
    command = ("ccache cc -Isrc -I../../src -flto=auto -Wall -std=gnu2x -O3 -D_GNU_SOURCE '-DX=\"a b\"' -include b.h "
               "-fPIC -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -MD -MQ a.o -o a.o -c ../../src/a.c")
    assert check_elf.flags_of(command) == ("cc", "-std=gnu2x", "-O3", "-fPIC", "-U_FORTIFY_SOURCE",
                                           "-D_FORTIFY_SOURCE=3")
