"""What tools/analyze.py reads from gcc and cppcheck, and that its list of non-findings is held to its use."""
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import analyze  # noqa: E402
import tidy  # noqa: E402

FAULTY = """
#include <stdlib.h>
int twice(int n);
int twice(int n)
{
    int a[2] = {0};
    char *p = malloc(4);
    if (!p)
        return 0;
    free(p);
    if (n)
        free(p);
    return a[n ? 2 : 0];
}
"""


def test_a_finding_of_gcc_is_read_with_its_rule():
    text = ("In file included from x:\n../../src/base/a.c:12:5: warning: use of NULL ‘p’ [CWE-476] "
            "[-Wanalyzer-null-argument]\n/usr/include/b.h:1:1: warning: theirs [-Wanalyzer-null-argument]\n")
    assert analyze.parse(text, tidy.BUILD, analyze.GCC) == [
        ("src/base/a.c", 12, "-Wanalyzer-null-argument", "use of NULL ‘p’")]


def test_a_finding_of_cppcheck_is_read_with_its_rule():
    assert analyze.parse("src/base/a.c:3: nullPointer: of 'p'\ntests/a.c:1: nullPointer: x\n", analyze.ROOT,
                         analyze.PLAIN) == [("src/base/a.c", 3, "nullPointer", "of 'p'")]


def test_gcc_finds_a_double_free(tmp_path, monkeypatch):
    monkeypatch.setattr(tidy, "CLEAN", tmp_path)
    monkeypatch.setattr(tidy, "BUILD", tmp_path)
    monkeypatch.setattr(analyze, "ROOT", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text(FAULTY)
    found = analyze.examine(("src/a.c", ["gcc", "-O2", "-Wall"], "src/a.c"))
    assert [rule for _, _, rule, _ in found] == ["-Wanalyzer-double-free"]
    (tmp_path / "src/a.c").write_text(FAULTY.replace("if (n)\n        free(p);", ""))
    assert analyze.examine(("src/a.c", ["gcc", "-O2", "-Wall"], "src/a.c")) == []


@pytest.mark.skipif(not shutil.which("cppcheck"), reason="./dev setup has not been run")
def test_cppcheck_finds_a_double_free_and_an_index_out_of_bounds(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text(FAULTY)
    done = subprocess.run([*analyze.CPPCHECK, "src/a.c"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [rule for _, _, rule, _ in analyze.parse(done.stderr, analyze.ROOT, analyze.PLAIN)] == [
        "arrayIndexOutOfBounds", "doubleFree"]


def test_an_entry_excuses_its_rule_on_its_line_and_fails_when_it_is_not_needed():
    entries = analyze.read_list("# why\nnullPointer | src/a.c | if (a | b) | the reason\n")
    lines = ["x();", "if (a | b)"]
    finding = ("src/a.c", 2, "nullPointer", "of a")
    assert analyze.judge([finding], entries, lambda _: lines) == ([], [])
    assert analyze.judge([], entries, lambda _: lines) == ([], [("nullPointer", "src/a.c", "if (a | b)")])
    other = ("src/a.c", 1, "nullPointer", "of x")
    assert analyze.judge([finding, other], entries, lambda _: lines) == ([other], [])


@pytest.mark.parametrize("text", ["nullPointer | src/a.c | x();\n", "nullPointer | src/a.c | x(); |  \n"])
def test_an_entry_without_a_reason_is_refused(text):
    with pytest.raises(ValueError):
        analyze.read_list(text)


@pytest.mark.skipif(not shutil.which(tidy.TIDY), reason="./dev setup has not been run")
@pytest.mark.parametrize("switched_off, text, rule", [
    (tidy.QUICK, "int f(int n);\nint f(int n)\n{\n    if (n)\n        return 1;\n    else\n        return 1;\n}\n",
     "bugprone-branch-clone"),
    (tidy.ANALYZE, FAULTY, "clang-analyzer-unix.Malloc"),
])
def test_clang_tidy_finds_what_is_planted(switched_off, text, rule, tmp_path, monkeypatch):
    for name in ("BUILD", "CLEAN", "ROOT"):
        monkeypatch.setattr(tidy, name, tmp_path)
    (tmp_path / ".clang-tidy").write_text((analyze.ROOT / ".clang-tidy").read_text())
    (tmp_path / "src").mkdir()
    source = tmp_path / "src/a.c"
    source.write_text(text)
    (tmp_path / "compile_commands.json").write_text(
        f'[{{"directory": "{tmp_path}", "command": "gcc -c src/a.c", "file": "src/a.c"}}]')
    _, output = tidy.examine(("src/a.c", ["gcc"], "src/a.c", switched_off))
    assert rule in output
