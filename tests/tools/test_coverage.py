"""The gate of tools/coverage.py: what is not reached fails, and so does an excuse without cause."""
import io
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import coverage  # noqa: E402

TEXT = ["if (a && b)", "return x;", "}"]


def judge(lines, *excuses, path="src/base/made_up.c"):
    return coverage.judge_strict({path: lines}, list(excuses), lambda _: TEXT)


def report(files, *excuses):
    return coverage.report_strict(files, list(excuses), lambda _: TEXT, io.StringIO())


@pytest.mark.parametrize("lines, found", [
    ({1: [3, [3, 1]], 2: [1, []]}, []),
    ({1: [3, [3, 0]], 2: [1, []]}, [1]),
    ({1: [3, [1, 2]], 2: [0, []]}, [2]),
    ({1: [0, [0, 0]], 2: [0, []]}, [1, 2]),
])
def test_every_line_and_branch_that_is_not_reached_is_found(lines, found):
    assert [line for _, line, *_ in judge(lines)[0]] == found


def test_an_excuse_holds_for_its_file_and_its_line_only():
    hole = {2: [0, []]}
    assert judge(hole, ("src/base/made_up.c", "return x;", "why")) == ([], [], 1)
    found, unused, _ = judge(hole, ("src/base/other.c", "return x;", "why"))
    assert found and unused == [("src/base/other.c", "return x;")]


@pytest.mark.parametrize("text", ["return x;", "a line that is gone"])
def test_an_excuse_that_is_not_needed_fails(text, capsys):
    good = {"src/base/made_up.c": {1: [1, [1, 1]], 2: [1, []]}}
    assert report(good) == (1, 0)
    assert report(good, ("src/base/made_up.c", text, "why")) == (1, 1)
    assert "no longer needed" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["src/base/x.c | return x;\n", "src/base/x.c | return x; |  \n"])
def test_an_excuse_without_a_reason_is_refused(text):
    with pytest.raises(ValueError):
        coverage.read_excuses(text)


def test_a_condition_in_an_excuse_may_have_bars():
    assert coverage.read_excuses("# why\nsrc/a.c | if (a || b | c) | never\n") == [
        ("src/a.c", "if (a || b | c)", "never")]


@pytest.mark.parametrize("covered, failed", [(9, 0), (8, 1)])
def test_another_module_needs_its_share_of_lines(covered, failed):
    files = {"src/store/a.c": {n: [n <= covered, [0, 0]] for n in range(1, 11)}}
    assert coverage.report_modules(files) == (1 - failed, failed)


def test_a_module_with_few_lines_is_not_carried_by_a_large_one():
    files = {"src/store/a.c": {n: [1, []] for n in range(1000)}, "src/db/a.c": {1: [0, []]}}
    assert coverage.report_modules(files) == (1, 1)


def test_strict_files_are_judged_by_unit_tests_and_not_counted_twice():
    files = {"src/sync/plan.c": {1: [0, []]}, "src/sync/run.c": {1: [1, []]}}
    assert [path for path in files if coverage.is_strict(path)] == ["src/sync/plan.c"]
    assert coverage.report_modules(files) == (1, 0)


def test_a_function_of_a_header_is_added_up_over_the_programs_that_have_it():
    files = {}
    for counts in ([1, 0], [0, 2]):
        coverage.add_up(files, {"files": [{"file": "../../src/base/a.h", "lines": [
            {"line_number": 4, "count": 2, "function_name": "f",
             "branches": [{"count": n, "throw": False} for n in counts]}]}]})
    assert files == {"src/base/a.h": {4: {"f": (4, [1, 2])}}}


def test_only_everything_is_a_hundred_percent():
    assert coverage.percent(99999, 100000) == 99.9
    assert coverage.percent(7, 7) == 100.0
