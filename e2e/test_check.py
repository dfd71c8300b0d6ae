"""Catalogue files beside JSON Schema as others read it, and beside a real server."""

import json
import pathlib
import subprocess

import jsonschema
import yaml

from server import BINARY, ROOT, Tyto, environment

EXAMPLES = ROOT / "examples"
CASES = ROOT / "tests" / "cases" / "catalog"
# What is about the form of one file, so that an editor can tell it. Everything else needs the other files.
OF_FORM = {"unknown-key", "missing-key", "wrong-type", "bad-name", "bad-value", "bad-match"}
# What a schema cannot say: whether an expression compiles or takes nothing, what is beyond ten years or below an hour.
BEYOND_SCHEMAS = {
    "a regular expression with look-ahead", "an unclosed group", "an expression that takes nothing", "longer than ten years", "no time at all",
    "a refresh of a second", "a slash in the name of a business service", "a slash in the name of a component", "a contract with a path",
    "a name that no label can have", "what parsing needs", "names of metrics and labels",
}


def run(*arguments, cwd=ROOT):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, env=environment(), cwd=cwd, timeout=60)


def validator(kind):
    schema = json.loads(run("schema", kind).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def keys(schema):
    """Every key that a schema has, at any depth."""
    found = set(schema.get("properties", {})) if isinstance(schema, dict) else set()
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        found |= keys(value)
    return found


def test_editors_find_nothing_wrong_with_the_examples():
    for kind, pattern in [("omd", "*/*/omd.yaml"), ("board", "*/*/boards/*.yaml"), ("pipeline", "*/*/pipelines/*.yaml"), ("contract", "*/*/contracts/*.json")]:
        check, files = validator(kind), sorted(EXAMPLES.glob(pattern))
        assert len(files) >= 4, pattern
        for file in files:
            errors = [error.message for error in check.iter_errors(yaml.safe_load(file.read_text()))]
            assert not errors, f"{file}: {errors}"


def test_editors_refuse_what_the_check_refuses_for_its_form():
    omd, board, pipeline, told = validator("omd"), validator("board"), validator("pipeline"), 0
    for path in sorted(CASES.glob("*refused*.test")):
        if path.name.startswith(("contracts", "weaver")):
            continue
        for case in path.read_text().split("\n====\n"):
            files, said = case.rsplit("\n---- checked", 1)
            name = files.splitlines()[0].removeprefix("# ")
            checks = {line.split(":", 1)[0] for line in said.strip().splitlines()} - {"no-contact", "no-owner"}
            if "\n---- file" in files or not checks or not checks <= OF_FORM or name in BEYOND_SCHEMAS:
                continue
            schema = next((known for name, known in [("boards", board), ("pipelines", pipeline)] if path.name.startswith(name)), omd)
            assert not schema.is_valid(yaml.safe_load(files)), name
            told += 1
    assert told >= 50, told


def test_every_key_of_the_schema_is_one_of_the_check(tmp_path):
    # The check names the keys of a map when it is given another: each of them is in the schema, and each of the schema's is one.
    known = keys(json.loads(run("schema", "omd").stdout))
    named = set()
    inner = "{zzzzzzzz: 1, owners: [{zzzzzzzz: 1}], links: [{zzzzzzzz: 1}], retention: {zzzzzzzz: 1}%s}"
    component = inner % ", match: [{a: {zzzzzzzz: 1}}], depends_on: [{zzzzzzzz: 1}]"
    service = inner % f", components: [{component}]"
    text = f"zzzzzzzz: 1\nbusiness_services: [{inner % f', services: [{service}]'}]\nservices: [{service}]\ncomponents: [{component}]\n"
    (tmp_path / "omd.yaml").write_text(text)
    report = json.loads(run("check", "omd.yaml", "--format", "json", cwd=tmp_path).stdout)
    for problem in report["problems"]:
        if problem["check"] == "unknown-key":
            named |= set(problem["what"].split(" has ")[1].split(", "))
    assert named == known


def test_what_is_for_ci_can_be_read():
    workflow = yaml.safe_load((ROOT / "deploy/github-actions/tyto-check.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    assert workflow["permissions"] == {"contents": "read", "security-events": "write"}
    assert all("uses" in step or "run" in step for step in steps)
    for step in (step for step in steps if "run" in step):
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
    hooks = yaml.safe_load((ROOT / "deploy/git-hooks/pre-commit-config.yaml").read_text())
    assert hooks["repos"][0]["hooks"][0]["entry"].startswith("tyto check")


def test_beside_a_server_in_force(tmp_path):
    with Tyto(tmp_path / "data", "--catalog", EXAMPLES / "streaming") as server:
        same = run("check", "examples/streaming/markers", "--against", server.url)
        assert same.returncode == 0 and same.stdout == "ok: 1 file, 1 component, 0 contracts\n", same.stdout + same.stderr
        mine = tmp_path / "mine"
        mine.mkdir()
        (mine / "omd.yaml").write_text(
            "components:\n  - name: tv\n    of: video-playback/player\n    match: [{service.name: player-api}]\n    depends_on: [checkout-api]\n"
        )
        claimed = run("check", ".", "--against", server.url, cwd=mine)
        assert claimed.returncode == 1
        assert "omd.yaml:4:13: error[duplicate-claim]" in claimed.stdout and "server:" in claimed.stdout, claimed.stdout
        assert "  + component video-playback/player/tv\n" in claimed.stdout
        served = server.get("/api/tyto/v1/schemas/omd.json")
        assert served == json.loads(run("schema", "omd").stdout)
