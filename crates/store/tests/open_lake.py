#!/usr/bin/env python3
"""Reads a lake with Tyto off: DuckDB reads the Parquet files that the Delta log names, ClickHouse reads the Delta tables.

    open_lake.py <lake dir>

prints one JSON object: engine > table > counts and sums. Needs `pip install duckdb chdb`.
"""

import json
import os
import pathlib
import sys
import urllib.parse

import chdb
import duckdb

# Plain SQL that both engines understand; {length}, {body} and {points} are what they write differently. A sum of doubles depends on their
# order, and with a staleness marker it is NaN, hence whole millionths of what is small.
QUERIES = {
    "logs": "SELECT count(*), sum({characters}(coalesce({body}, ''))), min({body}), max({body}), count(DISTINCT {body}), min(time_unix_nano), "
    "max(time_unix_nano), count(DISTINCT service_name), count(trace_id) FROM {source}",
    "spans": "SELECT count(*), sum(duration_nano), min(start_time_unix_nano), max(start_time_unix_nano), "
    "count(DISTINCT service_name), count(DISTINCT trace_id) FROM {source}",
    "samples": "SELECT count(*), sum({length}(timestamps)), (SELECT sum(CAST(round(value * 1e6) AS BIGINT)) FROM {points} WHERE abs(value) < 1e9), "
    "min(min_time_unix_nano), max(max_time_unix_nano), count(DISTINCT name) FROM {source}",
}
NAMES = {
    "logs": ["rows", "body_characters", "body_min", "body_max", "bodies", "time_min", "time_max", "services", "with_trace"],
    "spans": ["rows", "duration_sum", "time_min", "time_max", "services", "traces"],
    "samples": ["rows", "points", "value_millionths_sum", "time_min", "time_max", "names"],
}

# A body put together, and the single values of a table of samples, as docs/formats/lake.md shows.
DUCKDB_BODY = """CASE WHEN body_template IS NULL THEN body ELSE array_to_string(list_transform(list_zip(string_split(body_template, chr(26)),
  string_split(coalesce(body_variables, ''), ' ')), lambda pair: concat(pair[1], pair[2])), '') END"""
CLICKHOUSE_BODY = """if(isNull(body_template), body, arrayStringConcat(arrayMap((literal, variable) -> concat(literal, variable),
  splitByChar('\\x1A', assumeNotNull(body_template)),
  arrayResize(splitByChar(' ', ifNull(body_variables, '')), length(splitByChar('\\x1A', assumeNotNull(body_template))), ''))))"""
DUCKDB_POINTS = """(SELECT coalesce(value, sum(delta) OVER (PARTITION BY row ORDER BY time) / power(10, value_scale)) AS value
  FROM (SELECT row, value_scale, unnest(timestamps) AS time, unnest("values") AS value, unnest(value_deltas) AS delta
        FROM (SELECT *, row_number() OVER () AS row FROM {source})))"""
CLICKHOUSE_POINTS = """(SELECT arrayJoin(arrayConcat(arrayMap(v -> assumeNotNull(v), "values"), arrayMap(n -> n / intExp10(assumeNotNull(value_scale)),
  arrayCumSum(arrayMap(d -> assumeNotNull(d), value_deltas))))) AS value
  FROM {source})"""


def live_files(table: pathlib.Path) -> list[str]:
    """The files of the table by its log: the last checkpoint and the commits after it, as Delta's protocol has it."""
    log = table / "_delta_log"
    live, version = set(), -1
    hint = log / "_last_checkpoint"
    if hint.exists():
        version = json.loads(hint.read_text())["version"]
        checkpoint = log / f"{version:020}.checkpoint.parquet"
        query = f"SELECT add.path FROM read_parquet('{checkpoint}') WHERE add.path IS NOT NULL"
        live = {urllib.parse.unquote(path) for (path,) in duckdb.sql(query).fetchall()}
    for commit in sorted(log.glob("*.json")):
        if len(commit.stem) != 20 or int(commit.stem) <= version:
            continue
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "remove" in action:
                live.discard(urllib.parse.unquote(action["remove"]["path"]))
            if "add" in action:
                live.add(urllib.parse.unquote(action["add"]["path"]))
    return [str(table / name) for name in sorted(live)]


def named(table: pathlib.Path, row: list) -> dict:
    """The same Python types from both engines: sums are floats."""
    pairs = zip(NAMES[table.name], row, strict=True)
    return {name: float(value) if name.endswith("_sum") and value is not None else value for name, value in pairs}


def with_duckdb(table: pathlib.Path) -> dict | None:
    files = live_files(table)
    if not files:
        return None
    source = f"read_parquet({files!r}, union_by_name = true)"
    own = {"length": "len", "characters": "length", "body": DUCKDB_BODY, "points": DUCKDB_POINTS.format(source=source)}
    query = QUERIES[table.name].format(source=source, **own)
    row = duckdb.sql(query).fetchall()[0]
    return named(table, row)


def with_clickhouse(table: pathlib.Path) -> dict | None:
    if not live_files(table):
        return None
    source = f"deltaLakeLocal('{table}')"
    own = {"length": "length", "characters": "lengthUTF8", "body": CLICKHOUSE_BODY, "points": CLICKHOUSE_POINTS.format(source=source)}
    query = QUERIES[table.name].format(source=source, **own)
    row = json.loads(str(chdb.query(query + " SETTINGS output_format_json_quote_64bit_integers = 0", "JSONCompact")))["data"][0]
    return named(table, row)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lake = pathlib.Path(sys.argv[1]).resolve()
    # Embedded ClickHouse reads only files below the folder it is started in.
    os.chdir(lake)
    tables = [lake / name for name in QUERIES if (lake / name / "_delta_log").is_dir()]
    answer = {
        "duckdb": {table.name: with_duckdb(table) for table in tables},
        "clickhouse": {table.name: with_clickhouse(table) for table in tables},
    }
    print(json.dumps(answer, indent=2, default=str))


if __name__ == "__main__":
    main()
