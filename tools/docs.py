#!/usr/bin/env python3
"""Writes the generated pages from the tables in the programs:

    docs/configuration.md    every option of `penstock serve`, from its option table
    docs/cli.md              every command, from the command table
    docs/errors.md           every error code, from src/base/errors.def

    docs.py [--check]        --check only compares and fails when a page is behind

The manual page penstock(1) is made by the build from the same tables.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/dev"
MADE = "<!-- Made by ./dev docs; change the table in the source instead. -->\n\n"
RETRY = {"NEVER": "no", "LATER": "later", "BACKOFF": "later, with backoff", "REAUTH": "after new credentials"}
ORIGIN = {"REQUEST": "the request", "PENSTOCK": "Penstock", "SYSTEM": "the connected system"}


def penstock(*arguments):
    return subprocess.run([BUILD / "src/cli/penstock", *arguments], capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL).stdout


def errors_page():
    text = (ROOT / "src/base/errors.def").read_text()
    codes = {}
    for row in re.findall(r'^X\((\w+),\s*"(\w+)",\s*(\w+),\s*(\w+),\s*(\d+),\s*(\d+),\s*"([^"]+)"\)', text, re.M):
        _, code, origin, retry, exit_status, http, title = row
        codes.setdefault(code, (http, ORIGIN[origin], RETRY[retry], exit_status, title))
    lines = ["# Error codes\n", MADE.rstrip() + "\n",
             "Errors of the API are `application/problem+json`. `code` is stable; the text in `detail` is for people.",
             "`origin` says who has to act, `retryable` whether the same call may work later. The exit status is that",
             "of the command line for the same error.\n",
             "| code | HTTP | origin | try again | exit | meaning |", "| --- | --: | --- | --- | --: | --- |"]
    for code, (http, origin, retry, exit_status, title) in sorted(codes.items(), key=lambda item: (int(item[1][0]), item[0])):
        lines.append(f"| `{code}` | {http} | {origin} | {retry} | {exit_status} | {title} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "docs/errors.md": errors_page,
}


def main(arguments):
    behind = 0
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in arguments:
            print(f"{name} is behind; ./dev docs writes it")
            behind += 1
        else:
            path.write_text(text)
            print(f"wrote {name}")
    if "--check" in arguments:
        print(f"{len(PAGES) - behind} passed, {behind} failed")
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
