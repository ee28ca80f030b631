#!/usr/bin/python3
"""Compiles model/*.yaml to the C tables behind src/model/model.h.

    gen.py OUTPUT.c ENTITY.yaml...

The unified model is written once, in YAML; this is the only place that reads it. Every mistake is
reported with its file and key, and nothing is written.
"""

import pathlib
import re
import sys

import yaml

TYPES = {
    "string": "STRING", "text": "TEXT", "integer": "INTEGER", "decimal": "DECIMAL", "boolean": "BOOLEAN",
    "date": "DATE", "datetime": "DATETIME", "enum": "ENUM", "reference": "REFERENCE", "array": "ARRAY",
}
FIELD_KEYS = {"type", "description", "example", "filterable", "values", "fields", "target"}
ENTITY_KEYS = {"name", "singular", "title", "domain", "description", "fields"}
DOMAINS = {"common", "finance", "supply_chain", "human_capital", "crm", "maintenance"}
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
# What a reference may point at: the product's entities (product page, 3), read already or not.
TARGETS = set("""
    business_units locations departments currencies units_of_measure
    gl_accounts journal_entries supplier_invoices payments customers customer_invoices
    suppliers items inventory_levels purchase_requisitions purchase_orders receipts
    employees jobs positions companies contacts cases opportunities assets work_orders
""".split())
# Members that every record has beside the model's fields (product page, 2.1).
ENVELOPE = {"id", "source_id", "display_name", "created_at", "updated_at", "deleted_at", "synced_at", "seq",
            "custom_fields", "source"}
MAX_FILTERS = 16


class Wrong(Exception):
    pass


class UniqueLoader(yaml.SafeLoader):
    """YAML without silent duplicates."""


def no_duplicates(loader, node, deep=False):
    seen = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=deep)
        if name in seen:
            raise Wrong(f"line {key.start_mark.line + 1}: '{name}' twice")
        seen.add(name)
    return loader.construct_mapping(node, deep)


UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, no_duplicates)


def c_text(value):
    if value is None:
        return "NULL"
    out = "".join(f"\\{c}" if c in '"\\' else c if 32 <= ord(c) < 127 else
                  "".join(f"\\{b:03o}" for b in c.encode()) for c in str(value))
    return f'"{out}"'


def json_example(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return c_text("true" if value else "false")
    if isinstance(value, int):
        return c_text(str(value))
    return c_text('"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"')


def check_keys(where, value, allowed, needed):
    if not isinstance(value, dict):
        raise Wrong(f"{where}: must be a mapping")
    for key in value:
        if key not in allowed:
            raise Wrong(f"{where}: unknown key '{key}' (allowed: {', '.join(sorted(allowed))})")
    for key in needed:
        if key not in value:
            raise Wrong(f"{where}: '{key}' is missing")


def check_field(where, name, field, top):
    if not isinstance(name, str) or not NAME.match(name):
        raise Wrong(f"{where}: a name is lower-case words joined by '_'")
    check_keys(where, field, FIELD_KEYS, ["type", "description"])
    kind = field["type"]
    if kind not in TYPES:
        raise Wrong(f"{where}: unknown type '{kind}' (known: {', '.join(TYPES)})")
    for key, wanted in (("values", "enum"), ("fields", "array"), ("target", "reference")):
        if (key in field) != (kind == wanted):
            raise Wrong(f"{where}: '{key}' belongs to the type {wanted}, and that type needs it")
    if kind == "reference" and field["target"] not in TARGETS:
        raise Wrong(f"{where}: unknown target '{field['target']}'")
    if field.get("filterable") and (not top or kind in ("array", "text")):
        raise Wrong(f"{where}: only short top-level fields can be filterable")
    if kind == "enum":
        if not isinstance(field["values"], dict):
            raise Wrong(f"{where}: values are 'name: description'")
        for value, text in field["values"].items():
            if not isinstance(value, str) or not NAME.match(value) or not isinstance(text, str):
                raise Wrong(f"{where}: values are 'name: description'")
    if kind == "array":
        for inner, rule in field["fields"].items():
            check_field(f"{where}.{inner}", inner, rule, False)


def with_twins(fields):
    """Each enum is followed by source_<name>, which carries the untouched code."""
    out = {}
    for name, field in fields.items():
        out[name] = dict(field)
        if field["type"] == "array":
            out[name]["fields"] = with_twins(field["fields"])
        if field["type"] == "enum":
            twin = f"source_{name}"
            if twin in fields:
                raise Wrong(f"{twin}: is made by itself for the enum '{name}'")
            out[twin] = {"type": "string", "description": f"What the source system holds for {name}, untouched."}
    return out


class Tables:
    """C text under construction; nested arrays come out before what refers to them."""

    def __init__(self):
        self.parts = []

    def fields(self, symbol, fields, filters):
        rows = []
        for name, f in fields.items():
            inner = f"{symbol}_{name}"
            values = nested = "NULL"
            value_count = nested_count = 0
            if f["type"] == "enum":
                values, value_count = f"{inner}_values", len(f["values"])
                body = "".join(f"    {{{c_text(v)}, {c_text(t)}}},\n" for v, t in f["values"].items())
                self.parts.append(f"static const struct pst_enum_value {values}[] = {{\n{body}}};\n")
            if f["type"] == "array":
                nested, nested_count = inner, len(f["fields"])
                self.fields(inner, f["fields"], None)
            index = list(filters).index(name) if filters and name in filters else -1
            rows.append(f"    {{{c_text(name)}, PST_TYPE_{TYPES[f['type']]}, {c_text(f['description'])}, "
                        f"{json_example(f.get('example'))}, {values}, {value_count}, {nested}, {nested_count}, "
                        f"{c_text(f.get('target'))}, {index}}},\n")
        self.parts.append(f"static const struct pst_field {symbol}[] = {{\n{''.join(rows)}}};\n")

    def entity(self, e):
        name, fields = e["name"], e["fields"]
        filters = [n for n, f in fields.items() if f.get("filterable")]
        symbol = f"{name}_fields"
        self.fields(symbol, fields, filters)
        rows = "".join(f"    {{&{symbol}[{list(fields).index(n)}], {c_text('f_' + n)}}},\n" for n in filters)
        self.parts.append(f"static const struct pst_filter {name}_filters[] = {{\n{rows}}};\n")
        return (f"    {{{c_text(name)}, {c_text(e['singular'])}, {c_text(name.replace('_', '-'))}, {c_text(e['title'])}, "
                f"{c_text(e['domain'])}, {c_text(e['description'])}, {symbol}, {len(fields)}, {name}_filters, "
                f"{len(filters)}, {c_text('rec_' + name)}}},\n")


def load(path):
    try:
        e = yaml.load(path.read_text(encoding="utf-8"), UniqueLoader)
        check_keys("entity", e, ENTITY_KEYS, sorted(ENTITY_KEYS))
        if e["name"] != path.stem or not NAME.match(e["name"]):
            raise Wrong(f"name: must be '{path.stem}', as the file is called")
        if e["domain"] not in DOMAINS:
            raise Wrong(f"domain: unknown '{e['domain']}'")
        for name, field in e["fields"].items():
            if name in ENVELOPE:
                raise Wrong(f"fields.{name}: every record has that member already")
            check_field(f"fields.{name}", name, field, True)
        e["fields"] = with_twins(e["fields"])
        if sum(1 for f in e["fields"].values() if f.get("filterable")) > MAX_FILTERS:
            raise Wrong(f"fields: more than {MAX_FILTERS} filterable ones")
        return e
    except (Wrong, yaml.YAMLError) as problem:
        sys.exit(f"{path}: {problem}")


def main():
    output, *files = map(pathlib.Path, sys.argv[1:])
    entities = [load(f) for f in sorted(files)]
    tables = Tables()
    rows = "".join(tables.entity(e) for e in entities)
    output.write_text(
        "/* Made by tools/gen.py from model/; do not edit. */\n#include \"model/tables.h\"\n\n" + "\n".join(tables.parts) +
        f"\nconst struct pst_entity pst_model_table[] = {{\n{rows}}};\n"
        f"const size_t pst_model_table_count = {len(entities)};\n", encoding="utf-8")


if __name__ == "__main__":
    main()
