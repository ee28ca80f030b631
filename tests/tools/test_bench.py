"""bench/common.py: medians, floors, goals and the tables made of them."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import bench  # noqa: E402
import common  # noqa: E402
from common import Figure, at_least, at_most  # noqa: E402


def combined(*values, **more):
    return common.combine([[Figure("pages", value, "pages/s", **more)] for value in values])[0]


def test_the_median_of_the_runs_stands_with_its_spread():
    row = combined(30, 10, 20)
    assert (row["value"], row["low"], row["high"]) == (20, 10, 30)


def test_a_share_is_taken_run_by_run():
    """A slow moment slows both, so the quotient says more than the quotient of two medians."""
    runs = [[Figure("pages", 10, "", 100)], [Figure("pages", 80, "", 200)], [Figure("pages", 30, "", 100)]]
    assert common.combine(runs)[0]["share"] == pytest.approx(0.3)


def test_groups_may_use_the_same_names():
    rows = common.combine([[Figure("CPU", 1, "us", group="first", goal=at_most(2)), Figure("CPU", 3, "us", group="again")]])
    assert [(row["group"], row["value"]) for row in rows] == [("first", 1), ("again", 3)]


@pytest.mark.parametrize("goal, value, met", [
    (at_least(10), 10, True), (at_least(10), 9.99, False), (at_most(10), 10, True), (at_most(10), 10.01, False)])
def test_a_goal_is_met_on_its_side_and_at_its_edge(goal, value, met):
    assert combined(value, goal=goal)["met"] is met


def test_a_failing_bench_leaves_nothing_behind(tmp_path):
    class Failing:
        RUNS = 1
        finished = False

        @staticmethod
        def measure(options, place, state):
            (place / "left").write_text("x")
            raise RuntimeError("no")

        @classmethod
        def finish(cls, options, place, state):
            cls.finished = True

    class Options:
        runs, directory = 0, tmp_path

    with pytest.raises(RuntimeError):
        common.run("failing", "", Failing, Options())
    assert Failing.finished and not list(tmp_path.iterdir())


def test_the_page_takes_the_new_table_and_keeps_the_words_around_it():
    result = {"bench": "sync", "about": "", "date": "", "commit": "", "runs": 1, "details": ["busy: 1"],
              "machine": {"cpu": "c", "cores": 2, "memory_gib": 1, "system": "", "kernel": "", "compiler": "", "load": 0},
              "figures": [combined(7, goal=at_least(8, "beside"))]}
    page = bench.refresh("before\n<!-- sync -->\nold\n<!-- /sync -->\nafter", "sync", result, "a.md")
    assert page.startswith("before\n") and page.endswith("\nafter") and "old" not in page
    assert "| not met |" in page and "busy: 1" in page
    with pytest.raises(SystemExit):
        bench.refresh("no place", "sync", result, "a.md")
