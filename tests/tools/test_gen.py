"""tools/gen.py: the model's files are checked strictly, and every mistake names its file and key."""
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOOD = {
    "name": "things", "singular": "thing", "title": "Things", "domain": "common", "description": "A thing.",
    "fields": {
        "number": {"type": "string", "description": "Its number.", "filterable": True, "example": "0\"1"},
        "state": {"type": "enum", "description": "Its state.", "values": {"on": "On.", "off": "Off."}},
        "parts": {"type": "array", "description": "Parts.", "fields": {
            "count": {"type": "integer", "description": "How many."}}},
    },
}


def generate(tmp_path, text):
    source, output = tmp_path / "things.yaml", tmp_path / "tables.c"
    source.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
    done = subprocess.run([sys.executable, str(ROOT / "tools/gen.py"), str(output), str(source)],
                          capture_output=True, text=True, check=False)
    return done, output.read_text() if output.exists() else None


def test_an_entity_becomes_tables(tmp_path):
    done, tables = generate(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr
    assert '{"things", "thing", "things", "Things", "common"' in tables
    assert '{"source_state", PST_TYPE_STRING, ' in tables, "an enum gets its twin"
    assert '"\\"0\\\\\\"1\\""' in tables, "examples are JSON inside C"
    assert '{&things_fields[0], "f_number"}' in tables


def changed(**fields):
    return {**GOOD, "fields": {**GOOD["fields"], **fields}}


@pytest.mark.parametrize("model, where, what", [
    ({**GOOD, "colour": 1}, "entity", "unknown key 'colour'"),
    ({k: v for k, v in GOOD.items() if k != "title"}, "entity", "'title' is missing"),
    ({**GOOD, "name": "stuff"}, "name", "must be 'things'"),
    ({**GOOD, "domain": "sports"}, "domain", "unknown 'sports'"),
    (changed(id={"type": "string", "description": "x"}), "fields.id", "every record has that member"),
    (changed(Bad={"type": "string", "description": "x"}), "fields.Bad", "lower-case words"),
    (changed(x={"type": "money", "description": "x"}), "fields.x", "unknown type 'money'"),
    (changed(x={"type": "string"}), "fields.x", "'description' is missing"),
    (changed(x="string"), "fields.x", "must be a mapping"),
    (changed(x={"type": "enum", "description": "x"}), "fields.x", "'values' belongs to the type enum"),
    (changed(x={"type": "string", "description": "x", "values": {}}), "fields.x", "'values' belongs"),
    (changed(x={"type": "enum", "description": "x", "values": {"A b": "x"}}), "fields.x", "values are"),
    (changed(x={"type": "text", "description": "x", "filterable": True}), "fields.x", "filterable"),
    (changed(x={"type": "reference", "description": "x", "target": "unicorns"}), "fields.x", "unknown target 'unicorns'"),
    (changed(source_state={"type": "string", "description": "x"}), "source_state", "is made by itself"),
    (changed(x={"type": "array", "description": "x", "fields": {
        "y": {"type": "string", "description": "x", "filterable": True}}}), "fields.x.y", "filterable"),
    (changed(**{f"f{i}": {"type": "string", "description": "x", "filterable": True} for i in range(16)}),
     "fields", "more than 16 filterable"),
    ("name: things\nname: things\n", "line 2", "'name' twice"),
    ("a: [", "things.yaml", "line 1"),
])
def test_mistakes_name_file_and_key(tmp_path, model, where, what):
    done, tables = generate(tmp_path, model)
    assert done.returncode != 0 and tables is None
    assert "things.yaml: " in done.stderr and where in done.stderr and what in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
