#!/usr/bin/env python3
"""Compiles the connector's manifest and its query pack to C tables (pack.h).

    pack.py OUT.c OUT.h connector.yaml queries/*.yaml

Stops with a message where a stream and its query do not fit together: a key, stamp or mapped
column that the query does not have, a missing prompt, a name that PeopleSoft would not take.
"""
import re
import sys

import yaml

TYPES = re.compile(r"^([CN])(\d+)$|^S(\d+)\.(\d+)$|^([DTL])$")
PROMPTS_OF_WINDOWS = ["FROMDTTM", "TODTTM"]


def stop(text):
    sys.exit(f"pack.py: {text}")


def column_type(text, where):
    """(kind, length, decimals) as QueryFields tells them; length 0 = not looked at."""
    found = TYPES.match(str(text))
    if not found:
        stop(f"{where}: '{text}' is no type")
    if found[1]:
        return found[1], int(found[2]), 0
    if found[3]:
        return "S", int(found[3]) + int(found[4]), int(found[4])
    return found[5], 0, 0


def check_query(query, path):
    for member in ("name", "description", "prompts", "columns", "sql", "records"):
        if member not in query:
            stop(f"{path}: no '{member}'")
    if not re.fullmatch(r"PST_[A-Z_]{1,26}", query["name"]):
        stop(f"{path}: '{query['name']}' is no query name of this pack")
    if len(query["description"]) > 30:
        stop(f"{path}: a query's description has at most 30 characters")
    names = [c["name"] for c in query["columns"]]
    if len(set(names)) != len(names):
        stop(f"{path}: a column twice")


def mapped_columns(rules):
    """Every column that a stream's mapping names."""
    if isinstance(rules, str):
        yield rules
    elif isinstance(rules, dict):
        for key, value in rules.items():
            if key in ("column", "source", "sum", "min", "max"):
                yield value
            elif key in ("first", "ref", "group_by"):
                yield from value
            elif key == "template":
                yield from re.findall(r"\{([^}]*)\}", value)
            elif key == "when":
                for case in value:
                    yield from case["if"]
            elif key == "fields":
                for rule in value.values():
                    yield from mapped_columns(rule)


def check_stream(name, stream, queries):
    query = queries.get(stream["query"])
    if not query:
        stop(f"streams.{name}: no query '{stream['query']}' in the pack")
    columns = {c["name"] for c in query["columns"]}
    key = [part["column"] for part in stream["key"]]
    wanted = set(key) | {stream["stamp"]["column"]}
    for rules in ({"fields": stream["fields"]}, stream.get("display_name"), stream.get("created_at")):
        wanted |= set(mapped_columns(rules))
    for column in sorted(wanted - columns):
        stop(f"streams.{name}: query '{query['name']}' has no column '{column}'")
    if query.get("key") != key:
        stop(f"streams.{name}: its key is not that of query '{query['name']}'")
    prompts = [p["name"] for p in query["prompts"]]
    expected = PROMPTS_OF_WINDOWS + (["ASOFDATE"] if stream["effective_dated"] else [])
    expected += ["LAST_" + k.split(".")[-1] for k in key]
    if prompts != expected:
        stop(f"streams.{name}: prompts of '{query['name']}' are {prompts}, expected {expected}")


def c_text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", '\\n"\n    "') + '"'


def write_bytes(out, name, data, linkage="static "):
    out.write(f"{linkage}const char {name}[] = {{\n")
    for at in range(0, len(data), 24):
        out.write("    " + ",".join(str(b) for b in data[at:at + 24]) + ",\n")
    out.write("};\n\n")


def write_query(out, index, query, path):
    out.write(f"static const struct pst_ps_column COLUMNS_{index}[] = {{\n")
    for column in query["columns"]:
        kind, length, decimals = column_type(column["type"], f"{path}: {column['name']}")
        out.write(f"    {{PST_STR_INIT({c_text(column['name'])}), '{kind}', {length}, {decimals}}},\n")
    out.write("};\n")
    if query["prompts"]:
        out.write(f"static const struct pst_ps_prompt PROMPTS_{index}[] = {{\n")
        for prompt in query["prompts"]:
            out.write(f"    {{PST_STR_INIT({c_text(prompt['name'])}), {prompt['length']}}},\n")
        out.write("};\n")
    write_bytes(out, f"SQL_{index}", query["sql"].strip().encode())


def main():
    target, header, manifest_path, *paths = sys.argv[1:]
    queries, order = {}, []
    for path in sorted(paths):
        with open(path, encoding="utf-8") as file:
            query = yaml.safe_load(file)
        check_query(query, path)
        queries[query["name"]] = query
        order.append((path, query))
    with open(manifest_path, "rb") as file:
        manifest_bytes = file.read()
    manifest = yaml.safe_load(manifest_bytes)
    for name, stream in manifest["streams"].items():
        check_stream(name, stream, queries)
    if manifest["adapter"]["clock"]["query"] not in queries:
        stop("adapter.clock: no such query in the pack")

    with open(target, "w", encoding="utf-8") as out:
        out.write("/* Compiled from connector.yaml and queries/ by pack.py. */\n")
        out.write('#include "connectors/peoplesoft/pack.h"\n#include "pack_manifest.h"\n\n')
        write_bytes(out, "PST_PS_MANIFEST", manifest_bytes, linkage="")
        for index, (path, query) in enumerate(order):
            write_query(out, index, query, path)
        out.write("static const struct pst_ps_query QUERIES[] = {\n")
        for index, (_, query) in enumerate(order):
            prompts = f"PROMPTS_{index}, {len(query['prompts'])}" if query["prompts"] else "NULL, 0"
            out.write(f"    {{PST_STR_INIT({c_text(query['name'])}), {c_text(query['description'])},\n"
                      f"     {{SQL_{index}, sizeof(SQL_{index})}}, COLUMNS_{index}, {len(query['columns'])}, "
                      f"{prompts}}},\n")
        out.write("};\n\nconst struct pst_ps_pack PST_PS_PACK = {\n"
                  "    QUERIES, sizeof(QUERIES) / sizeof(QUERIES[0])};\n")
    with open(header, "w", encoding="utf-8") as out:
        out.write("/* Compiled from connector.yaml by pack.py. */\n"
                  f"enum {{ PST_PS_MANIFEST_LEN = {len(manifest_bytes)} }};\n"
                  "extern const char PST_PS_MANIFEST[PST_PS_MANIFEST_LEN];\n")


main()
