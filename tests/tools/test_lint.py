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
