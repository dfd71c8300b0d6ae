"""With Tyto off, DuckDB reads the Parquet files and ClickHouse reads the Delta tables, and they agree with Tyto's SQL."""

import json
import time

import chdb
import duckdb
import pytest
import requests

from server import Tyto
from test_serve import push
from test_otel_sdk import exporters, RESOURCE


@pytest.fixture
def tyto(tmp_path):
    """What it stores is what is sent: samples made of spans come when they come."""
    with Tyto(tmp_path / "data", "--span-metrics=false") as server:
        yield server


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


def test_duckdb_and_clickhouse_agree_with_tyto(tyto, monkeypatch):
    # chdb reads files under the folder it stands in.
    monkeypatch.chdir(tyto.data_dir)
    fill(tyto)
    tyto.flush()
    ours = {
        "logs": tyto.sql("select count(*), sum(time_unix_nano % 1000003), sum(length(business_service)) from logs")[0],
        "spans": tyto.sql("select count(*), sum(duration_nano % 1000003), sum(length(name)) from spans")[0],
        "samples": tyto.sql("select count(*), sum(min_time_unix_nano % 1000003), sum(length(name)) from samples")[0],
    }
    assert ours["logs"][0] == 1500 and ours["spans"][0] == 200 and tyto.one("select count(*) from points") > 100
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

    [(found,)] = duckdb.sql(
        f"select count(*) from read_parquet({lake_files(lake / 'logs')!r}) where resource_attributes['second'] = 'yes'").fetchall()
    assert found == 500
