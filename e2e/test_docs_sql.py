"""Every ```sql block of the documents runs as it is written, beside a data folder that a Tyto which has ended left."""

import importlib.metadata
import json
import pathlib
import re
import time

import duckdb
import pytest
import requests
from chdb.session import Session

from server import ROOT, Tyto
from test_open_lake import fill
from test_serve import push, run

# What a query of another engine asks, by words of it, as Tyto is asked; none where Tyto does not show it.
TYTO_SAYS = {
    "SELECT service_name, count(": "select service_name, count(*) from logs group by service_name",
    "sample_values(": "select name, count(*), sum(value) from points group by name",
    "sample_points(": "select name, count(*), sum(value) from points group by name",
    "log_body(": "select time_unix_nano, body from logs",
    "SELECT body_template": None,
    # All of `push_spans` take as long.
    "SELECT http_route": "select http_route, count(*), max(duration_nano) / 1e6, max(end_time_unix_nano) from spans where http_response_status_code >= 500 group by 1",
    "SELECT http_response_status_code": "select http_response_status_code, count(*), avg(duration_ms) from logs where http_response_status_code >= 500 group by 1",
}


# Of the records of `push_declared` so many.
WHERE_DECLARED = {
    "http_response_status_code > 500": 73,
    "http_response_status_code IN (200, 501)": 28,
    "http_response_status_code <> 200": 100,
    "http_response_status_code IS NULL": 0,
    "duration_ms >= 12": 3,
    "duration_ms IS NULL": 16,
    "cache_hit": 50,
    "NOT cache_hit": 50,
}


def documented():
    """Every statement in its order: the document, the engine that the comment before it begins with, and the text."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^```sql\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            for part in re.split(r"^(?=-- )", block, flags=re.MULTILINE):
                comment, text = re.match(r"(?:-- (\w+)[^\n]*\n)?(.*)", part, re.DOTALL).groups()
                for statement in filter(None, map(str.strip, re.split(r";$", text, flags=re.MULTILINE))):
                    yield path.relative_to(ROOT), comment or "Tyto", statement


def duckdb_with_delta():
    """A DuckDB with the delta extension that PyPI has for its version: nothing is fetched while a test runs."""
    package = importlib.metadata.distribution("duckdb-extension-delta")
    [extension] = [file for file in package.files if file.suffix == ".duckdb_extension"]
    connection = duckdb.connect()
    connection.sql(f"LOAD '{package.locate_file(extension)}'")
    return connection


def push_bodies(server):
    """307 lines that are hard to put together again, of which 305 are split, and 300 that are none like another and stay whole."""
    lines = [f"request {index} of größe {index * 7:x} took {index}.5ms" for index in range(300)]
    lines += ["7", "no variable", "with \x1a of its own 1", "  two  spaces 1  2 ", "\u65e5\u672c3\n4\t5", json.dumps({"n": 1, "text": "a 2"}), "x" * 5000 + "1"]
    now = time.time_ns()
    push(server, lines, {"app": "lake"}, now - 10**10)
    server.flush()
    push(server, ["".join("oi"[index >> bit & 1] for bit in range(9)) + " 1" for index in range(300)], {"app": "lake"}, now)


def contracts(folder):
    """A catalogue with the contract that its page shows."""
    [contract] = [block for block in re.findall(r"^```json\n(.*?)^```", (ROOT / "docs/catalogue.md").read_text(), re.DOTALL | re.MULTILINE)]
    (folder / "contracts").mkdir(parents=True)
    (folder / "contracts" / "playback.json").write_text(contract)
    return folder


def push_declared(server):
    """Records of which most attributes fit their columns: a status as integer and as text, durations with and without decimals."""
    def attribute(key, kind, value):
        return {"key": key, "value": {f"{kind}Value": value}}

    def record(index):
        status = attribute("http.response.status_code", "int", 500 + index % 3) if index % 5 else attribute("http.response.status_code", "string", "503")
        took = attribute("duration_ms", "double", index / 8) if index % 7 else attribute("duration_ms", "string", "long")
        return {"timeUnixNano": str(time.time_ns()), "attributes": [took, attribute("rest", "string", "x"), status, attribute("cache.hit", "bool", index % 2 == 0)]}

    records = [record(index) for index in range(100)] + [{"timeUnixNano": str(time.time_ns()), "attributes": [attribute("http.response.status_code", "int", 200)]}]
    response = requests.post(server.url + "/v1/logs", json={"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}, timeout=60)
    assert response.status_code == 200, response.text


def push_spans(server):
    """Requests of two routes, a part of which failed."""
    def span(index):
        start = time.time_ns()
        attributes = [
            {"key": "http.route", "value": {"stringValue": f"/play/{index % 2}"}},
            {"key": "http.response.status_code", "value": {"intValue": 500 if index % 3 == 0 else 200}},
        ]
        ends = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 20_000_000)}
        return {"traceId": f"{index + 1:032x}", "spanId": f"{index + 1:016x}", "name": "GET", "kind": 2, **ends, "attributes": attributes}

    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [span(index) for index in range(60)]}]}]}
    response = requests.post(server.url + "/v1/traces", json=spans, timeout=60)
    assert response.status_code == 200, response.text


def ask_tyto(text):
    answer = run("sql", text, "--data-dir", "tyto-data", "--output", "json")
    assert answer.returncode == 0, answer.stderr
    return [list(row.values()) for row in json.loads(answer.stdout)]


def check(found, expect):
    """The same rows in any order, and floats but for the order of adding."""
    found, expect = (sorted(rows, key=lambda row: list(map(str, row))) for rows in (found, expect))
    for row, other in zip(found, expect, strict=True):
        for value, said in zip(row, other, strict=True):
            near = float in (type(value), type(said)) and value == pytest.approx(said, rel=1e-13)
            assert value == said or near, (row, other)


def test_sql_of_the_documents_runs_as_written(tmp_path, monkeypatch):
    declared = tmp_path / "declared"
    declared.mkdir()
    with Tyto(declared / "tyto-data", "--catalog", contracts(tmp_path / "catalog")) as server:
        push_declared(server)
        push_spans(server)
        server.flush()
        push_declared(server)
        assert server.stop() == 0
    monkeypatch.chdir(tmp_path)
    with Tyto("tyto-data", "--span-metrics=false") as server:
        fill(server)
        server.flush()
        push_bodies(server)
        assert server.stop() == 0

    lake = pathlib.Path("tyto-data/shards/default/lake")
    with duckdb_with_delta() as by_duckdb, Session(str(tmp_path / "clickhouse")) as by_clickhouse:
        def ask_clickhouse(text):
            answer = str(by_clickhouse.query(text, "JSONCompact"))
            return json.loads(answer)["data"] if answer else None

        def ask_duckdb(text):
            answer = by_duckdb.sql(text)
            return answer.fetchall() if answer else None

        engines = {"Tyto": ask_tyto, "DuckDB": ask_duckdb, "ClickHouse": ask_clickhouse}
        asked = dict.fromkeys(engines, 0)
        for document, engine, text in documented():
            assert engine in engines, f"{document}: which engine is {engine!r}?\n{text}"
            monkeypatch.chdir(declared if "http_response_status_code" in text else tmp_path)
            rows = engines[engine](text)
            if rows is None:
                assert text.startswith("CREATE "), f"{document}: no answer\n{text}"
                continue
            assert rows, f"{document}: no row\n{text}"
            asked[engine] += 1
            if engine != "Tyto":
                said = [says for words, says in TYTO_SAYS.items() if words in text]
                assert len(said) == 1, f"{document}: TYTO_SAYS does not know\n{text}"
                if said[0]:
                    check(rows, ask_tyto(said[0]))
        assert min(asked.values()) > 0, asked
        monkeypatch.chdir(tmp_path)
        # Both ways of writing bodies were read, and both of values.
        split = by_duckdb.sql(f"SELECT count(body_template), count(body), count(body_variables) FROM delta_scan('{lake}/logs')").fetchall()
        assert split == [(1500 + 305, 302, 1500 + 304)]
        [(packed, plain)] = by_duckdb.sql(f"SELECT count(value_deltas), count(values) FROM delta_scan('{lake}/samples')").fetchall()
        assert packed > 9 and plain > 0
        # Typed columns, the same in every engine and in Tyto, with some values that did not fit.
        monkeypatch.chdir(declared)
        typed = "SELECT count(http_response_status_code), sum(http_response_status_code), count(duration_ms), sum(duration_ms), count(cache_hit), count(user_plan)"
        expect = ask_tyto(f"{typed} FROM logs")
        assert expect[0][0] == 202 and expect[0][2] == 170 and expect[0][4:] == [200, 0], expect
        check(by_duckdb.sql(f"{typed} FROM delta_scan('{lake}/logs')").fetchall(), expect)
        [counted] = ask_clickhouse(f"{typed} FROM deltaLakeLocal('{lake.absolute()}/logs')")
        assert [float(value) for value in counted] == [float(value) for value in expect[0]]
        both = "SELECT count(*) FROM logs WHERE attributes['http.response.status_code'] = '503' AND http_response_status_code = 503"
        assert ask_tyto(both) == [[2 * 20]]
        for where, rows in WHERE_DECLARED.items():
            for answer in (ask_tyto(f"SELECT count(*) FROM logs WHERE {where}"), by_duckdb.sql(f"SELECT count(*) FROM delta_scan('{lake}/logs') WHERE {where}").fetchall()):
                check(answer, [[2 * rows]])
