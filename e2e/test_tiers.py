"""Old files in cheaper places: the same answers, in Tyto and in whatever reads Delta and follows links."""

import json
import os
import time

import chdb
import duckdb
import pytest
import requests

from s3 import BUCKET, S3, Line, credentials
from server import Tyto, eventually
from test_docs_sql import duckdb_with_delta
from test_serve import push

DAY_NS = 86_400 * 10**9
SUMS = "count(*), sum(time_unix_nano % 1000003), sum(length(resource_attributes['app']))"


@pytest.fixture(scope="module")
def s3():
    before = dict(os.environ)
    credentials()
    with S3() as server:
        yield server
    os.environ.clear()
    os.environ.update(before)


def fill(server, ages_days):
    """A file for each age, so many lines in each."""
    now = time.time_ns()
    for age in ages_days:
        push(server, [f"line {index} of {age} days ago" for index in range(200)], {"app": f"age-{age}"}, now - age * DAY_NS)
        server.flush()


def in_tiers(server, table="logs"):
    shards = requests.get(server.url + "/api/tyto/v1/shards", timeout=60).json()
    [found] = [stats for stats in shards[0]["tables"] if stats["table"] == table]
    return {tier["place"]: tier["files"] for tier in found.get("tiers", [])}


def test_two_tiers_on_disk_stay_in_the_table(tmp_path, monkeypatch):
    # chdb reads files under the folder it stands in.
    monkeypatch.chdir(tmp_path)
    warm, cold = tmp_path / "warm", tmp_path / "cold disk"
    warm.mkdir(), cold.mkdir()
    tiers = ["--tier", f"logs:7d={warm}", "--tier", f"30d={cold}"]
    with Tyto(tmp_path / "data", *tiers) as server:
        fill(server, [0, 10, 20, 40, 400])
        ours = server.sql(f"select {SUMS} from logs")[0]
        assert ours[0] == 1000
        eventually(lambda: sorted(in_tiers(server).values()) == [2, 2])
        assert server.sql(f"select {SUMS} from logs")[0] == ours
        assert all(str(warm / "default/lake/logs") in place or str(cold / "default/lake/logs") in place for place in in_tiers(server))
        eventually(lambda: server.metric("tyto_tier_files") == 4)
        assert server.metric("tyto_tier_moved_files_total") == 4 and server.metric("tyto_tier_moved_bytes_total") > 0
        assert server.stop() == 0

    logs = tmp_path / "data/shards/default/lake/logs"
    with duckdb_with_delta() as connection:
        [theirs] = connection.sql(f"select {SUMS} from delta_scan('{logs}')").fetchall()
        assert theirs == ours
    from deltalake import DeltaTable

    table = DeltaTable(str(logs))
    rows = table.to_pyarrow_table(columns=["time_unix_nano", "resource_attributes"])
    assert duckdb.sql("select count(*), sum(time_unix_nano % 1000003) from rows").fetchall() == [ours[:2]]
    assert len(json.loads(table.metadata().configuration["tyto.tiers"])) == 2
    # ClickHouse reads no file outside of the table's folder, and says so; by their names it reads them all.
    with pytest.raises(RuntimeError, match="should be inside the table directory"):
        chdb.query(f"select count() from deltaLakeLocal('{logs}') settings allow_experimental_delta_kernel_rs = 0")
    files = [os.path.realpath(uri) for uri in table.file_uris()]
    assert sum(str(cold) in path for path in files) == 2 and sum(str(warm) in path for path in files) == 2
    union = " union all ".join(f"select * from file('{path}', Parquet)" for path in files)
    select = f"select count(), sum(time_unix_nano % 1000003) from ({union})"
    [row] = json.loads(str(chdb.query(select, "JSONCompact")))["data"]
    assert tuple(map(int, row)) == ours[:2]

    # Taken out of the options, the files are where they are. A tier that is away is named.
    with Tyto(tmp_path / "data") as server:
        assert server.sql(f"select {SUMS} from logs")[0] == ours and sorted(in_tiers(server).values()) == [2, 2]
        (cold / "default").rename(tmp_path / "away")
        answer = requests.post(server.url + "/api/tyto/v1/sql", json={"sql": "select max(length(body)) from logs"}, timeout=120)
        assert answer.status_code == 503 and str(cold / "default/lake/logs") in answer.text, answer.text
        (tmp_path / "away").rename(cold / "default")
        assert server.sql(f"select {SUMS} from logs")[0] == ours
    with pytest.raises(RuntimeError, match="cannot use tier .*no such directory: make it, or mount it"):
        Tyto(tmp_path / "data", "--tier", f"30d={tmp_path / 'nowhere'}").start()


def test_a_tier_in_s3(s3, tmp_path):
    line = Line(s3.port)
    endpoint = ["--lake-endpoint", line.url]
    tier = ["--tier", f"30d=s3://{BUCKET}/cold"]
    with Tyto(tmp_path / "data", *tier, *endpoint) as server:
        fill(server, [0, 40, 400])
        ours = server.sql(f"select {SUMS} from logs")[0]
        eventually(lambda: sum(in_tiers(server).values()) == 2)
        assert server.sql(f"select {SUMS} from logs")[0] == ours
        keys = s3.keys("cold/default/lake/logs/")
        assert len(keys) == 2 and all(key.endswith(".parquet") for key in keys)
        server.kill()
    with Tyto(tmp_path / "data", *endpoint, "--cache-disk-bytes-max", "0", "--cache-memory-bytes-max", "0") as server:
        assert server.sql(f"select {SUMS} from logs")[0] == ours, "the options name the tier no more"
        line.mode = "refuse"
        fill(server, [0])
        answer = requests.post(server.url + "/api/tyto/v1/sql", json={"sql": "select max(length(body)) from logs"}, timeout=120)
        assert answer.status_code == 503 and f"s3://{BUCKET}/cold/default/lake/logs/" in answer.text, answer.text
        server.kill()
        # It starts, and takes records, while the tier is away.
        server.start()
        fill(server, [0])
        line.mode = "pass"
        eventually(lambda: server.one("select count(*) from logs") == 1000)
        assert server.stop() == 0
    # Any reader of Parquet reads what the log names.
    import pyarrow.fs
    import pyarrow.parquet

    bucket = pyarrow.fs.S3FileSystem(access_key="test", secret_key="test", endpoint_override=s3.url, region="us-east-1")
    log = sorted((tmp_path / "data/shards/default/lake/logs/_delta_log").glob("*.json"))
    adds = [json.loads(text)["add"] for commit in log for text in commit.read_text().splitlines() if text.startswith('{"add"')]
    cold = [add for add in adds if add["path"].startswith(f"s3://{BUCKET}/cold/")]
    assert len(cold) == 2 and not any(add["dataChange"] for add in cold)
    for add in cold:
        assert pyarrow.parquet.read_table(add["path"].removeprefix("s3://"), filesystem=bucket, columns=["body"]).num_rows == 200
