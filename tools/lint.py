#!/usr/bin/env python3
"""The checks of ./dev check that read the sources: format, layers, sizes, banned calls, headers
on their own, shell scripts, machine paths.

    lint.py                 every check over every file
    lint.py format layers   only the named checks
    lint.py --staged        every check over the files staged for a commit

Prints `file:line: text` per finding and exits 1 if there is one. A rule that a file breaks for
a reason is listed, with the reason, in tools/exceptions.txt.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 600
MAX_TEST_FILE_LINES = 1000  # a suite of one contract stays in one file
MAX_FUNCTION_LINES = 60
MAX_TEST_FUNCTION_LINES = 100  # tables of cases stand inside
SOURCE_DIRS = ("src/", "peoplesim/")

# What a call of these means is said in the finding; the second column is the rule's name.
BANNED_CALLS = [
    (r"malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf|free", "alloc",
     "memory comes from base/alloc.h or an arena"),
    (r"pthread_create|thrd_create", "thread", "threads start through os/thread.h, in app"),
    (r"system|popen|alloca|setjmp|longjmp|rand|srand|random|tmpnam|mktemp", "banned",
     "not used in this project"),
]


class Source:
    """One file: its text, and the text with comments and literals blanked out."""

    def __init__(self, path):
        self.path = path
        self.text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        self._code = None

    @property
    def code(self):
        if self._code is None:
            self._code = blank(self.text)
        return self._code


def blank(text):
    """Comments, strings and character constants become spaces; line breaks stay."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def spaces(match):
        piece = match.group()
        inside = re.sub(r"[^\n]", " ", piece[1:-1])
        return piece[0] + inside + piece[-1] if piece[0] in "\"'" else re.sub(r"[^\n]", " ", piece)

    return pattern.sub(spaces, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def read_exceptions():
    entries = {}
    for line in (ROOT / "tools/exceptions.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            rule, path, what, reason = (part.strip() for part in line.split("|", 3))
            if not reason:
                sys.exit(f"tools/exceptions.txt: no reason given: {line}")
            entries[(rule, path, what)] = reason
    return entries


EXCEPTIONS = read_exceptions()
USED = set()


def excused(rule, path, what="-"):
    for key in ((rule, path, what), (rule, path, "-")):
        if key in EXCEPTIONS:
            USED.add(key)
            return True
    return False


# ---- layers ------------------------------------------------------------------------------------


def read_layers():
    modules, only = {}, {}
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words and words[0] == "only":
            only[words[1]] = set(words[2:])
        elif words:
            modules[words[1]] = (int(words[0]), words[2], words[3] == "os")
    return modules, only


def module_of(path, modules):
    """The module a path below src/ belongs to, or None."""
    parts = pathlib.PurePath(path).parts
    for take in (2, 1):
        if "/".join(parts[:take]) in modules:
            return "/".join(parts[:take])
    return None


def layer_fault(user, target, header, modules, only):
    """Why `user` may not include `header` of module `target`, or None."""
    if user == target:
        return None
    if user in only:
        return None if target in only[user] else f"{user} may not include {target}"
    layer, _, may_os = modules[user]
    target_layer, headers, _ = modules[target]
    if target == "os":
        return None if may_os else f"{user} may not include os"
    if target_layer >= layer:
        return f"{user} (layer {layer}) may not include {target} (layer {target_layer})"
    public = f"{target}/{target.split('/')[-1]}.h"
    if headers == "one" and header != public:
        return f"{header} is private to {target}; its public header is {public}"
    return None


def check_layers(sources):
    modules, only = read_layers()
    for source in sources:
        if not source.path.startswith(SOURCE_DIRS) or not source.path.endswith((".c", ".h")):
            continue
        inside = source.path.removeprefix("src/")
        user = module_of(inside, modules) or inside.split("/")[0]
        if user not in modules and user not in only:
            yield source.path, 1, f"module '{user}' is not in tools/layers.txt"
            continue
        for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', source.text, re.M):
            header = match.group(1)
            target = module_of(header, modules)
            fault = target and layer_fault(user, target, header, modules, only)
            if fault and not excused("layer", source.path, header):
                yield source.path, line_of(source.text, match.start()), fault


# ---- sizes and calls ---------------------------------------------------------------------------


def check_sizes(sources):
    for source in sources:
        if source.path.endswith(".c"):
            lines = source.text.count("\n")
            most = MAX_TEST_FILE_LINES if source.path.startswith("tests/") else MAX_FILE_LINES
            if lines > most and not excused("file-lines", source.path):
                yield source.path, 1, f"{lines} lines; a file has up to {most}"
            yield from check_functions(source)


def check_functions(source):
    for match in re.finditer(r"^\{\n(.*?)^\}", source.code, re.M | re.S):
        lines = match.group(1).count("\n")
        head = re.findall(r"(\w+)\s*\(", source.code[:match.start()].rpartition("\n\n")[2])
        name = head[0] if head else "?"
        most = MAX_TEST_FUNCTION_LINES if source.path.startswith("tests/") else MAX_FUNCTION_LINES
        if lines > most and not excused("function-lines", source.path, name):
            line = line_of(source.code, match.start())
            yield source.path, line, f"{name}: {lines} lines; a function has up to {most}"


def check_calls(sources):
    for source in sources:
        if not source.path.startswith(SOURCE_DIRS):
            continue
        for names, rule, why in BANNED_CALLS:
            for match in re.finditer(rf"(?<![\w.>])({names})\s*\(", source.code):
                if source.path == "src/os/thread.c" and rule == "thread":
                    continue
                if not excused(rule, source.path, match.group(1)):
                    line = line_of(source.code, match.start())
                    yield source.path, line, f"{match.group(1)}(): {why}"
        yield from check_globals(source)
        yield from check_scopes(source)


def check_scopes(source):
    """What is released at the end of its scope must be valid from its first line: an early return
    would release garbage."""
    for match in re.finditer(r"PST_AUTO\(\w+\)[^;={}]*;", source.code):
        yield source.path, line_of(source.code, match.start()), "PST_AUTO without an initialiser"


def check_globals(source):
    """A static variable that is not const: it belongs to nobody. A pointer is const by what
    stands behind its last star."""
    for match in re.finditer(r"^[ \t]*(?:static|_Thread_local)\b([^(){};=]*?)(\w+)\s*(?:\[[^;={]*\]\s*)?[=;]",
                             source.code, re.M):
        kind, name = match.group(1), match.group(2)
        if re.search(r"\bconst\b", kind.rpartition("*")[2]) or excused("global", source.path, name):
            continue
        yield source.path, line_of(source.code, match.start(2)), f"{name}: a mutable global"


def check_sql(sources):
    """SQL is literals with bound values. Names of tables and columns come from the compiled model and
    may be put in; a conversion where a value stands is a fault."""
    literals = re.compile(r'"(?:\\.|[^"\\\n])*"(?:\s*"(?:\\.|[^"\\\n])*")*')  # side by side they are one
    sql = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|VALUES|FROM|LIMIT|ORDER BY|SET|AND)\b")
    value = re.compile(r"(=|<|>|'|\b(?:LIKE|IN|LIMIT|OFFSET|VALUES|BETWEEN))\s*\(?\s*%(\.\*)?-?\d*(s|d|u|i|z[ud]|l+[dui]|\"$)")
    for source in sources:
        if not source.path.startswith(SOURCE_DIRS):
            continue
        for match in literals.finditer(source.text):
            text = re.sub(r'"\s*"', "", match.group())
            if sql.search(text) and value.search(text) and not excused("sql", source.path):
                yield source.path, line_of(source.text, match.start()), "a value is formatted into SQL; bind it"


# ---- text --------------------------------------------------------------------------------------


def check_text(sources):
    """Nothing names a path of somebody's machine or a registry's host."""
    patterns = [
        (re.compile(r"(?<![\w.])/(wor[k]|roo[t])/\w"), "a path of one machine"),
        (re.compile(r"https?://[\w.-]*(debian|ubuntu|npmjs)[\w.-]*/"), "a registry's host"),
        (re.compile(r"\b(TOD[O]|FIXM[E]|XX[X])\b"), "unfinished"),
        (re.compile(r"[ \t]+$"), "blanks at the end of the line"),
    ]
    for source in sources:
        for number, line in enumerate(source.text.split("\n"), 1):
            for pattern, what in patterns:
                if pattern.search(line):
                    yield source.path, number, what


def check_opening(sources):
    """Every C file opens with its purpose: `/* module/file.h: what it is`."""
    for source in sources:
        if source.path.startswith(SOURCE_DIRS) and source.path.endswith((".c", ".h")):
            inside = re.escape(source.path.removeprefix("src/"))
            if not re.match(rf"/\* {inside}: \w", source.text):
                yield source.path, 1, "the file does not open with its purpose (/* path: ...)"


# ---- other programs ----------------------------------------------------------------------------


def run(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def in_parallel(items, work):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for item, (status, output) in zip(items, pool.map(work, items)):
            if status != 0:
                yield item, 1, output


def check_format(sources):
    names = [s.path for s in sources if s.path.endswith((".c", ".h"))]
    chunks = [names[i:i + 20] for i in range(0, len(names), 20)]
    for _, _, output in in_parallel(
            chunks, lambda part: run(["clang-format-19", "--dry-run", "-Werror", *part])):
        for path, line in re.findall(r"^(\S+?):(\d+):\d+: error", output, re.M):
            yield path, int(line), "not as clang-format has it; ./dev fmt mends it"


def check_headers(sources):
    """Each header compiles alone."""
    headers = [s.path for s in sources if s.path.endswith(".h") and s.path.startswith(SOURCE_DIRS)]
    include = ["-Isrc", "-I.", "-isystem", "build/deps/yyjson/include", "-isystem", "/usr/share/include/llhttp"]
    yield from in_parallel(headers, lambda header: run(
        ["gcc", "-std=gnu2x", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *include,
         "-include", "base/banned.h", "-x", "c", header]))


def check_shell(sources):
    scripts = [s.path for s in sources
               if s.path.endswith(".sh") or s.text.startswith(("#!/bin/sh", "#!/usr/bin/env bash"))]
    if scripts:
        status, output = run(["shellcheck", *scripts])
        if status != 0:
            yield scripts[0], 1, output


CHECKS = {
    "format": check_format,
    "layers": check_layers,
    "sizes": check_sizes,
    "calls": check_calls,
    "sql": check_sql,
    "text": check_text,
    "opening": check_opening,
    "headers": check_headers,
    "shell": check_shell,
}


def names_in_tree(staged):
    """Paths of the work tree; without git (an unpacked archive) every file outside build/."""
    command = ["git", "diff", "--cached", "--name-only", "--diff-filter=ACMR"] if staged else [
        "git", "ls-files", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists():
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        return {str(path) for path in found if path.parts[0] != "build" and "__pycache__" not in path.parts}
    trusted = ["-c", f"safe.directory={ROOT}"]  # a tree that another user unpacked is still this tree
    listed = subprocess.run([command[0], *trusted, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


def files(staged):
    kinds = (".c", ".h", ".def", ".py", ".sh", ".yaml", ".txt", ".md", ".build", ".cfg", ".service")
    for name in sorted(names_in_tree(staged)):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and (path.suffix in kinds or name in ("dev", ".ci/run")):
            yield Source(name)


def main(arguments):
    staged = "--staged" in arguments
    chosen = [a for a in arguments if not a.startswith("-")] or list(CHECKS)
    sources = list(files(staged))
    failed = 0
    for name in chosen:
        findings = list(CHECKS[name](sources))
        for path, line, text in findings:
            print(f"{path}:{line}: {name}: {text}")
        failed += bool(findings)
    if not staged and chosen == list(CHECKS):
        for rule, path, what in sorted(set(EXCEPTIONS) - USED):
            print(f"tools/exceptions.txt:1: unused: {rule} | {path} | {what}")
            failed += 1
    if not staged:
        print(f"{len(chosen) - min(failed, len(chosen))} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
