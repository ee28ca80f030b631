"""./dev in the trees that people and CI have: with and without git, with and without hooks."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """The script alone; what it would install or fetch is there already."""
    shutil.copy(ROOT / "dev", tmp_path)
    (tmp_path / "build/deps/yyjson").mkdir(parents=True)
    (tmp_path / "build/deps/yyjson/.done").touch()
    return tmp_path


def run_setup(tree):
    return subprocess.run(["./dev", "setup", "build"], cwd=tree, capture_output=True, text=True, timeout=60)


def git_init(tree):
    subprocess.run(["git", "init", "-q", "--template=", "."], cwd=tree, check=True)


def test_setup_sets_the_hook_where_git_left_no_hooks_folder(tree):
    git_init(tree)
    assert not (tree / ".git/hooks").exists()
    assert run_setup(tree).returncode == 0
    hook = tree / ".git/hooks/pre-commit"
    assert "./dev check --staged" in hook.read_text() and hook.stat().st_mode & 0o111


def test_setup_keeps_a_hook_that_is_there(tree):
    git_init(tree)
    (tree / ".git/hooks").mkdir()
    (tree / ".git/hooks/pre-commit").write_text("mine\n")
    assert run_setup(tree).returncode == 0
    assert (tree / ".git/hooks/pre-commit").read_text() == "mine\n"


def test_setup_does_without_git(tree):
    done = run_setup(tree)
    assert (done.returncode, done.stderr) == (0, "") and not (tree / ".git").exists()


def test_setup_does_without_a_place_for_hooks(tree):
    git_init(tree)
    (tree / ".git/hooks").write_text("not a folder\n")
    assert run_setup(tree).returncode == 0


@pytest.mark.parametrize("kind", ["release", "dev"])
def test_sim_runs_what_its_sources_say_now(tree, kind):
    (tree / "build" / kind).mkdir()
    (tree / f"build/{kind}/build.ninja").write_text(
        "rule copy\n  command = cp $in $out\n"
        "build peoplesim/peoplesim: copy ../../peoplesim.sh\n")
    source = tree / "peoplesim.sh"
    for word in ("one", "two"):
        source.write_text(f"#!/bin/sh\necho {word} \"$@\"\n")
        source.chmod(0o755)
        done = subprocess.run(["./dev", "sim", "--port", "1"], cwd=tree, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, f"{word} --port 1\n"), done
