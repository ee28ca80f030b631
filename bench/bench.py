#!/usr/bin/env python3
"""./dev bench: the figures, each beside a floor or a peer of the same run, and the goals.

    ./dev bench                      the list
    ./dev bench NAME [options]       run one; a table, and build/bench/NAME.json
    ./dev bench all                  run every one
    ./dev bench docs                 put the figures of build/bench/*.json into docs/

The release build is measured. Close other programs: the load when it began stands in the result.
"""
import argparse
import importlib
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import common  # noqa: E402

BENCHES = {
    "sync": "a first full sync of 1,000,000 rows, and one in which nothing changed",
    "store": "pages of records into the store alone, beside bare inserts",
    "api": "lists, records and changes from 100,000 orders, beside nginx with the same bytes as files",
    "start": "from exec to ready with stores of several sizes; the binary; memory at rest",
    "webhooks": "events written, a backlog of 1,000,000 delivered, from commit to receipt, beside curl alone",
    "scale": "what a record and a page cost from 10,000 to 1,000,000 records (10,000,000 with --max)",
    "storm": "10,000 connections of one host that dies and comes back",
    "idle": "100,000 connections on a schedule of one day",
}
DOCUMENT = "docs/performance.md"  # unless the bench names another


def load(name):
    return importlib.import_module(name)


def print_list():
    print(__doc__.strip() + "\n")
    for name, about in BENCHES.items():
        print(f"  {name:8} {about}")


def parse(name, bench, arguments):
    parser = argparse.ArgumentParser(prog=f"./dev bench {name}", description=bench.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0, help=f"medians of so many runs (default: {bench.RUNS})")
    parser.add_argument("--json", type=pathlib.Path, default=common.OUT / f"{name}.json", help="where the result goes")
    parser.add_argument("--directory", default=os.environ.get("TMPDIR", "/tmp"), help="where stores are made")
    if hasattr(bench, "add_options"):
        bench.add_options(parser)
    return parser.parse_args(arguments)


def run(name, arguments):
    bench = load(name)
    options = parse(name, bench, arguments)
    result = common.run(name, BENCHES[name], bench, options)
    common.write_json(result, options.json)
    print(common.text_table(result))
    print(f"\nas JSON: {options.json}")


def refresh(text, name, result, document):
    """The text with what stands between `<!-- NAME -->` and `<!-- /NAME -->` made anew."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"{document} has no place for '{name}': {begin} {end}")
    body = common.markdown_table(result)
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{body}\n{end}", text, flags=re.S)


def write_docs():
    results = {path.stem: json.loads(path.read_text()) for path in sorted(common.OUT.glob("*.json"))
               if path.stem in BENCHES}
    for name, result in results.items():
        document = common.ROOT / getattr(load(name), "DOCUMENT", DOCUMENT)
        text = document.read_text(encoding="utf-8")
        document.write_text(refresh(text, name, result, document.name), encoding="utf-8")
        for file, picture in getattr(load(name), "pictures", lambda _: {})(result).items():
            (common.ROOT / "docs" / file).write_text(picture, encoding="utf-8")
        print(f"{document.name}: {name}")
    if not results:
        print("no results in build/bench")


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print_list()
    elif arguments[0] == "docs":
        write_docs()
    elif arguments[0] == "all":
        for name in BENCHES:
            run(name, arguments[1:])
            print()
    elif arguments[0] in BENCHES:
        run(arguments[0], arguments[1:])
    else:
        raise SystemExit(f"./dev bench: no bench '{arguments[0]}'; there are {', '.join(BENCHES)}")


if __name__ == "__main__":
    main()
