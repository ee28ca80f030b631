#!/usr/bin/env python3
"""Compiles src/event/types.yaml to the table of event types (src/event/event.h).

    gen_events.py OUTPUT INPUT

Checks what a reader of the table relies on: names, versions, that every property has a type, and
that each sample fits its schema (as far as this small check goes: types, enums, required members).
"""
import json
import pathlib
import re
import sys

import yaml

NAME = re.compile(r"^[a-z]+\.([a-z_]+|\*)$")
KEYS = {"version", "of_connection", "description", "data", "sample"}
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "null": type(None)}


class Wrong(Exception):
    pass


def c_json(value):
    """JSON as a C string, broken into lines that a compiler takes."""
    text = json.dumps(value, separators=(",", ":"))
    parts = [text[i:i + 90] for i in range(0, len(text), 90)]
    return "\n     ".join('"' + p.replace("\\", "\\\\").replace('"', '\\"') + '"' for p in parts)


def data_schema(data):
    return {"type": "object", "required": list(data), "properties": data}


def fits(where, schema, value):
    types = schema.get("type")
    if types is None:
        raise Wrong(f"{where}: has no type")
    types = types if isinstance(types, list) else [types]
    if not any(isinstance(value, TYPES[t]) and not (t == "integer" and isinstance(value, bool)) for t in types):
        raise Wrong(f"{where}: the sample has {value!r}, which is no {' or '.join(types)}")
    if "enum" in schema and value not in schema["enum"]:
        raise Wrong(f"{where}: the sample has {value!r}, which is not in its enum")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                raise Wrong(f"{where}.{name}: the sample lacks it")
        for name, item in value.items():
            if properties and name not in properties:
                raise Wrong(f"{where}.{name}: the schema does not know it")
            if name in properties:
                fits(f"{where}.{name}", properties[name], item)
    if isinstance(value, list):
        for i, item in enumerate(value):
            fits(f"{where}[{i}]", schema["items"], item)


def check(name, entry):
    if not NAME.match(name):
        raise Wrong(f"{name}: is no name of a type")
    if set(entry) != KEYS:
        raise Wrong(f"{name}: has to have exactly {', '.join(sorted(KEYS))}")
    if not isinstance(entry["version"], int) or entry["version"] < 1:
        raise Wrong(f"{name}.version: a number from 1")
    fits(f"{name}.data", data_schema(entry["data"]), entry["sample"])


def row(name, entry):
    check(name, entry)
    flag = "true" if entry["of_connection"] else "false"
    return (f"    {{{json.dumps(name)}, {entry['version']}, {flag},\n     {json.dumps(entry['description'])},\n"
            f"     {c_json(data_schema(entry['data']))},\n     {c_json(entry['sample'])}}},\n")


def main():
    output, source = map(pathlib.Path, sys.argv[1:])
    try:
        types = yaml.safe_load(source.read_text(encoding="utf-8"))
        rows = "".join(row(name, entry) for name, entry in types.items())
    except (Wrong, yaml.YAMLError) as problem:
        sys.exit(f"{source}: {problem}")
    output.write_text("/* Made by tools/gen_events.py from src/event/types.yaml; do not edit. */\n"
                      "#include \"event/event.h\"\n\n"
                      f"const struct pst_event_type pst_event_types[] = {{\n{rows}}};\n"
                      f"const size_t pst_event_type_count = {len(types)};\n", encoding="utf-8")


if __name__ == "__main__":
    main()
