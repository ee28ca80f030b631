"""The counts of tools/parts.py: what a log says is what is added up."""
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import parts  # noqa: E402


@pytest.mark.parametrize("log, counts", [
    ("12 passed in 3.4s\n", (12, 0)),
    ("=== 2 failed, 12 passed, 1 skipped in 3.42s ===\n", (12, 2)),
    ("=== 1 failed, 2 errors in 61.42s (0:01:01) ===\n", (0, 3)),
    ("1 error in 0.10s\n", (0, 1)),
    ("no tests ran in 0.01s\n", (0, 0)),
    ("the log of a program: 3 passed in 9s\n5 passed in 1.0s\n", (5, 0)),
])
def test_pytest_counts(log, counts):
    assert parts.count_pytest(log, []) == counts


def test_the_last_line_of_a_tool_counts():
    assert parts.count_line("1 passed, 1 failed\nmore\n7 passed, 0 failed\n", []) == (7, 0)


@pytest.mark.parametrize("entries, counts", [
    ([{"result": "OK", "stderr": "[  PASSED  ] 9 test(s).\n"}], (9, 0)),
    ([{"result": "FAIL", "stderr": "[  PASSED  ] 8 test(s).\n[  FAILED  ] 1 test(s), listed below:\n"}], (8, 1)),
    ([{"result": "FAIL", "stderr": "[  PASSED  ] 8 test(s).\n"}], (8, 1)),
    ([{"result": "TIMEOUT"}], (0, 1)),
    ([{"result": "OK", "stdout": "fine\n"}], (1, 0)),
])
def test_meson_counts(entries, counts, tmp_path, monkeypatch):
    (tmp_path / "meson-logs").mkdir()
    (tmp_path / "meson-logs/testlog.json").write_text("\n".join(map(json.dumps, entries)))
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    assert parts.count_meson("", ["meson", "test", "-C", "."]) == counts


def test_a_part_that_fails_without_counting_is_one_failure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parts, "LOGS", tmp_path)
    part = ("bad", "ends with 3", (["sh", "-c", "echo why; exit 3"], {}), "pytest", 10, False)
    assert parts.run_part(part) == (0, 1, False)
    assert "why" in capsys.readouterr().out


def test_a_part_is_stopped_when_its_time_is_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parts, "LOGS", tmp_path)
    part = ("slow", "never ends", (["sh", "-c", "sleep 60"], {}), "one", 0.2, False)
    assert parts.run_part(part) == (0, 1, False)
    assert "stopped after" in capsys.readouterr().out
