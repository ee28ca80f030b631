#!/usr/bin/env python3
"""Writes the generated pages from the tables in the programs:

    docs/configuration.md    every option of `penstock serve`, from its option table
    docs/cli.md              every command, from the command table
    docs/errors.md           every error code, from src/base/errors.def

    docs.py [--check]        --check only compares and fails when a page is behind

The manual page, penstock(1), is what `penstock help --format man` prints.
"""
import json
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


def shown_default(option):
    value = option.get("default") or ""
    return f"`{value}`" if value else ""


def bounds(option):
    if option.get("choices"):
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    if "max" not in option:
        return option["type"]
    low, high, unit = option["min"], option["max"], option.get("unit")
    if option["type"] == "duration":
        low, high, unit = duration(low), duration(high), None
    elif option["type"] == "size":
        low, high, unit = size(low), size(high), None
    elif option["type"] in ("string", "list"):
        return f"{option['type']}, up to {high}"
    return f"{low} to {high}" + (f" {unit}" if unit else "")


def duration(milliseconds):
    for name, length in (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000)):
        if milliseconds and milliseconds % length == 0:
            return f"{milliseconds // length}{name}"
    return f"{milliseconds}ms" if milliseconds else "0"


def size(count):
    for name, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count and count % length == 0:
            return f"{count // length}{name}"
    return str(count)


def configuration_page():
    options = json.loads(penstock("help", "--format", "options"))
    lines = ["# Configuration of `penstock serve`\n", MADE.rstrip() + "\n",
             "Every option has one name in three spellings: `page_rows` in the YAML file, `PENSTOCK_PAGE_ROWS` in the",
             "environment, `--page-rows` as a flag. Later wins: default, file, environment, flag. The file is the one",
             "that `--config` or `PENSTOCK_CONFIG` names, else `$XDG_CONFIG_HOME/penstock/penstock.yaml`, else",
             "`/etc/penstock/penstock.yaml`. Options marked *reload* are taken over on SIGHUP (`systemctl reload penstock`).\n",
             "```yaml", "# penstock.yaml", "listen: 127.0.0.1:7400", "system_ranges: [10.0.0.0/8]", "log_level: info", "```"]
    group = None
    for option in options:
        if option.get("group") != group:
            group = option.get("group")
            lines += [f"\n## {group}\n", "| option | default | values | |", "| --- | --- | --- | --- |"]
        marks = "*reload* " if option.get("reloadable") else ""
        secret = "" if "flag" in option else "No flag, because arguments are public. "
        name = option["name"] if "env" in option else option["flag"]
        lines.append(f"| `{name}` | {shown_default(option)} | {bounds(option)} | {marks}{secret}{option['help']} |")
    return "\n".join(lines) + "\n"


def commands_page():
    text = penstock("help", "--format", "markdown")
    title, _, rest = text.partition("\n")
    return f"{title}\n\n{MADE}{rest.lstrip()}"


PAGES = {
    "docs/configuration.md": configuration_page,
    "docs/cli.md": commands_page,
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
