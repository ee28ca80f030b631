#!/usr/bin/env python3
"""Reads the release binaries, as installed: hardened, small, without a path of the build machine.

    check_elf.py [build directory]          default build/release, made by ./dev build release

What shows in a binary is read off the binary. What a compiler leaves no sure trace of (level 3 of
fortify, the strong stack protector) is read off the record of the build: a probe is compiled with
every set of flags that compiled one of our files, and has to come out protected.
"""
import json
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_BYTES = 5 * 1000 * 1000  # product.md: at most 5 MB stripped
BUNDLE = "$ORIGIN/../lib/penstock"  # where a yyjson lies that the distribution does not have
X86 = platform.machine() == "x86_64"

# One function per protection. fortified: the size is known at run time only, which level 2 does not
# follow. guarded: no array, but an address that leaves, which the plain protector ignores. clashing:
# more than a guard page at once.
PROBE = """
#include <stdlib.h>
#include <string.h>
void *fortified(size_t n, const void *from, size_t m)
{ char *to = malloc(n); if (to) memcpy(to, from, m); return to; }
int guarded(void (*f)(int *)) { int x = 0; f(&x); return x; }
void clashing(void (*f)(char *)) { char big[40000]; f(big); }
"""


def output(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def readelf(path, *what):
    return output("readelf", "-W", *what, path)


def functions(path):
    """Disassembly with relocations, by function."""
    parts = re.split(r"^[0-9a-f]+ <([^>]+)>:\n", output("objdump", "-dr", "--no-show-raw-insn", path), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def start_files_have_cet():
    """The property is the AND over all objects linked, the C library's own first."""
    return "IBT" in readelf(output("gcc", "-print-file-name=crt1.o").strip(), "-n")


# ---- what the binary says ----

def program(path):
    """(what, whether it is so) of a linked program."""
    header, segments, dynamic = readelf(path, "-h"), readelf(path, "-l"), readelf(path, "-d")
    symbols = readelf(path, "--dyn-syms")
    flags = " ".join(re.findall(r"\((?:FLAGS|FLAGS_1)\)(.*)", dynamic))
    stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
    loads = re.findall(r"^ +LOAD +(?:0x[0-9a-f]+ +){5}([RWE ]{3})", segments, re.M)
    yield "position independent", "DYN (" in header and "PIE" in flags
    yield "relocations are read-only", "GNU_RELRO" in segments
    yield "everything is bound at the start", "NOW" in flags.split() or "BIND_NOW" in flags.split()
    yield "no executable stack", bool(stack) and " RWE " not in stack[0]
    yield "nothing is writable and executable", bool(loads) and not any("W" in f and "E" in f for f in loads)
    yield "no relocations in code", "TEXTREL" not in dynamic
    yield "stack protector", "__stack_chk_fail" in symbols
    yield "fortified libc calls", bool(re.search(r"__(?!stack)\w+_chk\b", symbols))
    if X86:
        code = output("objdump", "-d", "--no-show-raw-insn", path)
        # Start files alone have three or four.
        yield "landing pads for indirect calls", code.count("endbr64") > 20
        yield "large frames touch every page", bool(re.search(r"\bor[lq] +\$0x0,(0x[0-9a-f]+)?\(%rsp\)", code))
        if start_files_have_cet():
            notes = readelf(path, "-n")
            yield "marked for CET", "IBT" in notes and "SHSTK" in notes


def search_path(path):
    """No RPATH, and a RUNPATH only for the library that was installed along."""
    dynamic = readelf(path, "-d")
    wanted = [BUNDLE] if (path.parent.parent / "lib/penstock/libyyjson.so.0").exists() else []
    yield "no RPATH", "(RPATH)" not in dynamic
    yield "RUNPATH only to what is installed along", re.findall(r"\(RUNPATH\).*\[(.*)\]", dynamic) == wanted


def size(path, build_root=ROOT):
    with tempfile.TemporaryDirectory() as place:
        stripped = pathlib.Path(place) / path.name
        subprocess.run(["strip", "-o", stripped, path], check=True)
        content = stripped.read_bytes()
    yield f"at most 5 MB stripped ({len(content) / 1e6:.2f} MB)", len(content) <= MAX_BYTES
    yield "no path of the build machine", str(build_root).encode() not in content


# ---- what the record of the build says ----

def flags_of(command):
    """Of a compile command the compiler and the flags that shape code."""
    words = shlex.split(command)
    start = 1 if words[0].endswith("ccache") else 0
    return (words[start], *(word for word in words[start + 1:]
                            if re.match(r"-[fmO]|-std=|-[DU]_FORTIFY", word) and not word.startswith("-flto")))


def compiled_with(flags):
    """(what, whether it is so) of code compiled with the compiler and flags given."""
    with tempfile.TemporaryDirectory() as place:
        source, made = pathlib.Path(place) / "probe.c", pathlib.Path(place) / "probe.o"
        source.write_text(PROBE)
        subprocess.run([*flags, "-fno-lto", "-w", "-c", source, "-o", made], check=True)
        code = functions(made)
    yield "fortify at level 3", "__memcpy_chk" in code["fortified"]
    yield "strong stack protector", "__stack_chk_fail" in code["guarded"]
    if X86:
        yield "stack clash protection", bool(re.search(r"\bor[lq] +\$0x0,", code["clashing"]))
        yield "control-flow protection", "endbr64" in code["guarded"]


def recorded(build):
    commands = json.loads((build / "compile_commands.json").read_text())
    sets = {}
    for entry in commands:
        sets.setdefault(flags_of(entry["command"]), []).append(entry["file"])
    for flags, files in sets.items():
        for what, fine in compiled_with(flags):
            yield f"{what}, as {len(files)} files were compiled ({files[0]}, ...)", fine


# ---- all of it ----

def everything(build):
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", place], check=True,
                       stdout=subprocess.DEVNULL)
        found = [path for path in pathlib.Path(place).rglob("*") if path.name in ("penstock", "peoplesim")
                 and path.parent.name == "bin"]
        yield "both programs are installed", len(found) == 2
        for path in sorted(found):
            for check in (program, search_path, size):
                for what, fine in check(path):
                    yield f"{path.name}: {what}", fine
    yield from recorded(build)


def main(arguments):
    build = (ROOT / (arguments[0] if arguments else "build/release")).resolve()
    passed = failed = 0
    for what, fine in everything(build):
        print(f"{'ok  ' if fine else 'FAIL'} {what}")
        passed, failed = passed + bool(fine), failed + (not fine)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
