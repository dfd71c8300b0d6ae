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

# Plain SQL that both engines understand; {length} and {list_sum} are what they write differently.
QUERIES = {
    "logs": "SELECT count(*), sum(length(coalesce(body, ''))), min(time_unix_nano), max(time_unix_nano), "
    "count(DISTINCT service_name), count(trace_id) FROM {source}",
    "spans": "SELECT count(*), sum(duration_nano), min(start_time_unix_nano), max(start_time_unix_nano), "
    "count(DISTINCT service_name), count(DISTINCT trace_id) FROM {source}",
    "samples": "SELECT count(*), sum({length}(timestamps)), sum({list_sum}), min(min_time_unix_nano), "
    "max(max_time_unix_nano), count(DISTINCT name) FROM {source}",
}
NAMES = {
    "logs": ["rows", "body_characters", "time_min", "time_max", "services", "with_trace"],
    "spans": ["rows", "duration_sum", "time_min", "time_max", "services", "traces"],
    "samples": ["rows", "points", "value_sum", "time_min", "time_max", "names"],
}


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
    # Staleness markers are NaN; a sum over them would be NaN in both engines and prove nothing.
    numbers = "list_sum(list_filter(\"values\", lambda x: NOT isnan(x)))"
    query = QUERIES[table.name].format(source=f"read_parquet({files!r})", length="len", list_sum=numbers)
    row = duckdb.sql(query).fetchall()[0]
    return named(table, row)


def with_clickhouse(table: pathlib.Path) -> dict | None:
    if not live_files(table):
        return None
    numbers = "arraySum(arrayFilter(x -> NOT isNaN(x), arrayMap(x -> assumeNotNull(x), \"values\")))"
    query = QUERIES[table.name].format(source=f"deltaLakeLocal('{table}')", length="length", list_sum=numbers)
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
