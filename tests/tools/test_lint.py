"""The checks of tools/lint.py find what they are for, and leave good code alone."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import lint  # noqa: E402


def source(text, path="src/sync/made_up.c"):
    made = lint.Source.__new__(lint.Source)
    made.path, made.text, made._code = path, text, None  # pylint: disable=protected-access
    return made


def findings(check, text, path="src/sync/made_up.c"):
    return [what for _, _, what in check([source(text, path)])]


@pytest.mark.parametrize("user, header, allowed", [
    ("sync", "base/err.h", True),
    ("sync", "sync/internal.h", True),
    ("sync", "store/records.h", True),
    ("sync", "db/db.h", True),
    ("sync", "db/internal.h", False),
    ("sync", "os/file.h", False),
    ("http", "os/clock.h", True),
    ("sync", "webhook/webhook.h", False),
    ("store", "sync/sync.h", False),
    ("connectors/peoplesoft", "connectors/sandbox/sandbox.h", False),
    ("app", "connectors/peoplesoft/peoplesoft.h", True),
])
def test_includes_go_down_only(user, header, allowed):
    found = findings(lint.check_layers, f'#include "{header}"\n', f"src/{user}/x.c")
    assert (not found) == allowed, found


@pytest.mark.parametrize("header, allowed", [("server/server.h", True), ("codec/json.h", False)])
def test_the_simulator_shares_no_converter(header, allowed):
    assert (not findings(lint.check_layers, f'#include "{header}"\n', "peoplesim/x.c")) == allowed


def test_a_module_that_is_not_listed_is_found():
    assert findings(lint.check_layers, "int x;\n", "src/novel/x.c")


def function(lines):
    return "static int long_one(int n)\n{\n" + "    n++;\n" * lines + "}\n"


@pytest.mark.parametrize("lines, found", [(60, 0), (61, 1)])
def test_a_function_has_up_to_60_lines(lines, found):
    result = findings(lint.check_sizes, function(lines))
    assert len(result) == found
    assert all("long_one" in text for text in result)


@pytest.mark.parametrize("lines, found", [(600, 0), (601, 1)])
def test_a_file_has_up_to_600_lines(lines, found):
    assert len(findings(lint.check_sizes, "int a;\n" * lines)) == found


@pytest.mark.parametrize("text, found", [
    ("    p = malloc(3);\n", 1),
    ("    p = pst_malloc(3);\n", 0),
    ("    /* malloc(3) is what this replaces */\n", 0),
    ('    say("malloc(3)");\n', 0),
    ("    ops->free(p);\n", 0),
    ("    pthread_create(&t, NULL, run, NULL);\n", 1),
    ("    system(line);\n", 1),
])
def test_banned_calls(text, found):
    assert len(findings(lint.check_calls, text)) == found


@pytest.mark.parametrize("text, found", [
    ("static int count;\n", 1),
    ("static int count = 3;\n", 1),
    ("static _Atomic int count;\n", 1),
    ("static const int count = 3;\n", 0),
    ("static const char *const names[] = {0};\n", 0),
    ("static const char *name;\n", 1),
    ("static int count(void);\n", 0),
    ("    static int inside;\n", 1),
])
def test_mutable_globals(text, found):
    assert len(findings(lint.check_calls, text)) == found, text


@pytest.mark.parametrize("text, found", [
    ('    put(out, "SELECT pk FROM sync WHERE id = ?1");\n', 0),
    ('    printf_like(out, "SELECT pk FROM sync WHERE id = %s", id);\n', 1),
    ('    printf_like(out, "DELETE FROM sync WHERE pk = %lld", pk);\n', 1),
    ('    add(out, "SELECT pk FROM %s WHERE pk = ?1", e->table);\n', 0),
    ('    add(out, "SELECT pk FROM sync WHERE name = \'%s\'", name);\n', 1),
    ('    add(out, " ORDER BY pk LIMIT %d", n);\n', 1),
    ('    add(out, "INSERT INTO t VALUES (%lld)", n);\n', 1),
    ('    log(out, "%d rows", n);\n', 0),
    ('    add(out, "SELECT pk FROM sync"\n             " WHERE id = "\n             "%s", id);\n', 1),
    ('    add(out, "SELECT pk FROM sync WHERE pk = %" PRId64, pk);\n', 1),
    ('    add(out, "SELECT pk FROM sync", "%s", id);\n', 0),
])
def test_values_are_bound_not_formatted(text, found):
    assert len(findings(lint.check_sql, text)) == found


@pytest.mark.parametrize("text, found", [
    ("see /wor" + "k/shared\n", 1),
    ("see https://deb." + "debian.org/debian\n", 1),
    ("a framework/sample\n", 0),
    ("ends with a blank \n", 1),
    ("TO" + "DO: later\n", 1),
])
def test_text(text, found):
    assert len(findings(lint.check_text, text)) == found


@pytest.mark.parametrize("text, found", [
    ("/* sync/made_up.c: what it is. */\n", 0),
    ("#include <stdio.h>\n", 1),
    ("/* sync/other.c: what it is. */\n", 1),
])
def test_a_file_opens_with_its_purpose(text, found):
    assert len(findings(lint.check_opening, text)) == found


@pytest.mark.parametrize("text, found", [
    ("    PST_AUTO(arena) struct pst_arena *a;\n", 1),
    ("    PST_AUTO(arena) struct pst_arena *a = NULL;\n", 0),
    ("    PST_AUTO(buf) struct pst_buf b = {0};\n", 0),
])
def test_what_is_released_at_the_end_of_its_scope_is_valid_from_its_beginning(text, found):
    assert len(findings(lint.check_calls, text)) == found


def in_a_tree(tmp_path, monkeypatch, path, text):
    """A file that the checks read through other programs."""
    for folder in ("src/base", "src/sync"):
        (tmp_path / folder).mkdir(parents=True)
    for name in (".clang-format", "src/base/banned.h"):
        (tmp_path / name).write_text((lint.ROOT / name).read_text())
    (tmp_path / path).write_text(text)
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    return source(text, path)


@pytest.mark.parametrize("text, found", [
    ("int n;\n", 0),
    ("int  n;\n", 1),
    ("#include <stdlib.h>\n\nint f(void)\n{\n  return 1;\n}\n", 1),
])
def test_format(text, found, tmp_path, monkeypatch):
    file = in_a_tree(tmp_path, monkeypatch, "src/sync/made_up.c", text)
    assert len(list(lint.check_format([file]))) == found


@pytest.mark.parametrize("text, found", [
    ("#pragma once\n#include <stddef.h>\nsize_t f(void);\n", 1),  # the project uses guards
    ("#ifndef A\n#define A\n#include <stdint.h>\nint64_t f(void);\n#endif\n", 0),
    ("#ifndef A\n#define A\nuint64_t f(pst_wall t);\n#endif\n", 1),
    ("#ifndef A\n#define A\nstatic int f(char *s)\n{\n    return atoi(s);\n}\n#endif\n", 1),
])
def test_a_header_compiles_alone_without_a_warning(text, found, tmp_path, monkeypatch):
    file = in_a_tree(tmp_path, monkeypatch, "src/sync/made_up.h", text)
    assert len(list(lint.check_headers([file]))) == found


@pytest.mark.parametrize("text, found", [("#!/bin/sh\necho $1\n", 1), ('#!/bin/sh\necho "$1"\n', 0)])
def test_shell(text, found, tmp_path, monkeypatch):
    file = in_a_tree(tmp_path, monkeypatch, "src/sync/made_up.sh", text)
    assert len(list(lint.check_shell([file]))) == found


def test_an_exception_without_a_reason_is_refused(tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/exceptions.txt").write_text("sql | src/store/a.c | - | \n")
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    with pytest.raises(SystemExit):
        lint.read_exceptions()


def test_an_exception_that_is_not_needed_fails(monkeypatch, capsys):
    monkeypatch.setattr(lint, "EXCEPTIONS", {("sql", "src/no/such.c", "-"): "why"})
    monkeypatch.setattr(lint, "USED", set())
    monkeypatch.setattr(lint, "CHECKS", {"sql": lambda sources: []})
    assert lint.main([]) == 1
    assert "unused: sql | src/no/such.c | -" in capsys.readouterr().out
