"""With Tyto off, DuckDB reads the Parquet files and ClickHouse reads the Delta tables, and they agree with Tyto's SQL."""

import json
import re
import time

import chdb
import duckdb
import pytest
import requests
from chdb.session import Session

from server import ROOT
from test_serve import push
from test_otel_sdk import exporters, RESOURCE


def fill(server):
    push(server, [f"line {index}" for index in range(1000)], {"app": "lake"}, time.time_ns() - 10**10)
    server.flush()
    push(server, [f"more {index}" for index in range(500)], {"app": "lake", "second": "yes"})
    _, span_exporter, metric_exporter = exporters(server, "grpc")

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans = TracerProvider(resource=RESOURCE)
    spans.add_span_processor(BatchSpanProcessor(span_exporter))
    for index in range(200):
        with spans.get_tracer("lake").start_as_current_span(f"op {index % 5}") as span:
            span.add_event("e", {"n": index})
    spans.shutdown()
    reader = PeriodicExportingMetricReader(metric_exporter(), export_interval_millis=3_600_000)
    meters = MeterProvider([reader], resource=RESOURCE)
    counter, histogram = meters.get_meter("lake").create_counter("hits"), meters.get_meter("lake").create_histogram("took")
    share = meters.get_meter("lake").create_counter("share")
    for index in range(20):
        counter.add(index, {"path": f"/{index % 3}"})
        histogram.record(index)
        share.add(index / 7)
        meters.force_flush()
    meters.shutdown()


def lake_files(table):
    """The live files, read from the Delta log as its protocol says (no checkpoint yet at this size)."""
    live = set()
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                live.add(action["add"]["path"])
            if "remove" in action:
                live.discard(action["remove"]["path"])
    return [str(table / path) for path in live]


def sql_of_the_docs(section):
    """The statements that a section of docs/formats/lake.md shows, by engine."""
    text = (ROOT / "docs" / "formats" / "lake.md").read_text().split(f"### {section}\n")[1].split("\n### ")[0]
    blocks = [block.split("```")[0] for block in text.split("```sql\n-- ")[1:]]
    return {re.match(r"\w+", block)[0]: block.split("\n", 1)[1] for block in blocks}


def check_points(found, expect):
    """Names and counts are the same, and sums but for the order of adding."""
    found = sorted(map(tuple, found))
    assert [row[:2] for row in found] == [row[:2] for row in expect]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expect], rel=1e-13)


def test_duckdb_and_clickhouse_agree_with_tyto(tyto, monkeypatch, tmp_path):
    # chdb reads files under the folder it stands in.
    monkeypatch.chdir(tyto.data_dir)
    fill(tyto)
    tyto.flush()
    ours = {
        "logs": tyto.sql("select count(*), sum(time_unix_nano % 1000003), sum(length(business_service)) from logs")[0],
        "spans": tyto.sql("select count(*), sum(duration_nano % 1000003), sum(length(name)) from spans")[0],
        "samples": tyto.sql("select count(*), sum(min_time_unix_nano % 1000003), sum(length(name)) from samples")[0],
    }
    by_name = sorted(map(tuple, tyto.sql("select name, count(*), sum(value) from points group by name")))
    assert ours["logs"][0] == 1500 and ours["spans"][0] == 200 and sum(count for _, count, _ in by_name) > 100
    assert tyto.stop() == 0

    lake = tyto.data_dir / "shards" / "default" / "lake"
    columns = {"logs": ("time_unix_nano", "business_service"), "spans": ("duration_nano", "name"), "samples": ("min_time_unix_nano", "name")}
    for table, (number, text) in columns.items():
        select = f"select count(*), sum({number} % 1000003), sum(length({text}))"
        by_duckdb = duckdb.sql(f"{select} from read_parquet({lake_files(lake / table)!r})").fetchall()[0]
        answer = chdb.query(f"{select} from deltaLakeLocal('{lake / table}')", "JSONCompact")
        by_clickhouse = [int(value) for value in json.loads(str(answer))["data"][0]]
        assert list(by_duckdb) == list(ours[table]), table
        assert by_clickhouse == list(ours[table]), table

    documented = sql_of_the_docs("Values")
    files = lake_files(lake / "samples")
    create, select = documented["DuckDB"].replace("['part-1.parquet', 'part-2.parquet']", repr(files)).split(";")[:2]
    with duckdb.connect() as connection:
        connection.sql(create)
        check_points(connection.sql(select).fetchall(), by_name)
        [(packed, plain)] = connection.sql(f"select count(value_deltas), count(values) from read_parquet({files!r})").fetchall()
        assert packed > 9 and plain > 0
    create, select = documented["ClickHouse"].replace("tyto-data/shards/default/lake", str(lake)).split(";")[:2]
    with Session(str(tmp_path / "clickhouse")) as session:
        session.query(create)
        answer = json.loads(str(session.query(select + " SETTINGS output_format_json_quote_64bit_integers = 0", "JSONCompact")))
    check_points(answer["data"], by_name)
    [(found,)] = duckdb.sql(
        f"select count(*) from read_parquet({lake_files(lake / 'logs')!r}) where resource_attributes['second'] = 'yes'").fetchall()
    assert found == 500


def test_bodies_are_put_together_byte_for_byte(tyto, monkeypatch, tmp_path):
    monkeypatch.chdir(tyto.data_dir)
    lines = [f"request {index} of größe {index * 7:x} took {index}.5ms" for index in range(300)]
    lines += ["7", "no variable", "with \x1a of its own 1", "  two  spaces 1  2 ", "\u65e5\u672c3\n4\t5", json.dumps({"n": 1, "text": "a 2"}), "x" * 5000 + "1"]
    now = time.time_ns()
    push(tyto, lines, {"app": "lake"}, now - 10**10)
    tyto.flush()
    # Each is another: these stay whole.
    push(tyto, ["".join("oi"[index >> bit & 1] for bit in range(9)) + " 1" for index in range(300)], {"app": "lake"}, now)
    tyto.flush()
    ours = [list(row) for row in tyto.sql("select time_unix_nano, body from logs order by time_unix_nano, body")]
    assert len(ours) == 607 and {line for _, line in ours} >= set(lines)
    assert tyto.stop() == 0

    documented = sql_of_the_docs("Bodies")
    lake = tyto.data_dir / "shards" / "default" / "lake"
    files = lake_files(lake / "logs")
    create, select = documented["DuckDB"].replace("['part-1.parquet', 'part-2.parquet']", repr(files)).split(";")[:2]
    with duckdb.connect() as connection:
        connection.sql(create)
        assert [list(row) for row in connection.sql(select).fetchall()] == ours
        counts = connection.sql(f"select count(body_template), count(body), count(body_variables) from read_parquet({files!r})").fetchall()
        assert counts == [(305, 302, 304)]
    create, select = documented["ClickHouse"].replace("tyto-data/shards/default/lake", str(lake)).split(";")[:2]
    with Session(str(tmp_path / "clickhouse")) as session:
        session.query(create)
        answer = session.query(select + " SETTINGS output_format_json_quote_64bit_integers = 0", "JSONCompact")
    assert json.loads(str(answer))["data"] == ours
