"""The lake, and the log, in a real S3 server: nothing acknowledged is lost, whatever becomes of the node or the line."""

import os

import duckdb
import pytest
import requests

from s3 import BUCKET, S3, Line, credentials
from server import Tyto, eventually
from test_docs_sql import documented


@pytest.fixture(scope="module")
def s3():
    before = dict(os.environ)
    credentials()
    with S3() as server:
        yield server
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def prefix(request):
    return request.node.name.replace("[", "-").replace("]", "")


def options(url, prefix, *more):
    return ["--lake", f"s3://{BUCKET}/{prefix}", "--lake-endpoint", url, *more]


def push(server, key, lines=20, size=20):
    values = [[str(1_760_000_000_000_000_000 + index), f"{key} {index} {os.urandom(size).hex()}"] for index in range(lines)]
    body = {"streams": [{"stream": {"app": "s3", "request": key}, "values": values}]}
    return requests.post(server.url + "/loki/api/v1/push", json=body, timeout=120)


def counts(server):
    return dict(server.sql("select resource_attributes['request'], count(*) from logs group by 1"))


@pytest.mark.parametrize("wal", ["disk", "object"])
def test_a_lake_in_s3_is_written_read_and_found_again(s3, prefix, tmp_path, wal):
    arguments = options(s3.url, prefix, "--wal", wal)
    with Tyto(tmp_path / "data", *arguments) as server:
        for number in range(10):
            assert push(server, f"request-{number}").ok
            server.flush()
        assert push(server, "in the log").ok
        expect = {f"request-{number}": 20 for number in range(10)} | {"in the log": 20}
        assert counts(server) == expect
        assert server.metric("tyto_cache_hits_total") > 0
        server.kill()
    with Tyto(tmp_path / "data", *arguments) as server:
        assert counts(server) == expect
        assert server.stop() == 0
    keys = s3.keys(f"{prefix}/shards/default/lake/logs/")
    assert any(key.endswith(".parquet") for key in keys) and any(key.endswith("0.json") for key in keys), keys
    # Ended in order, another node may have it.
    with Tyto(tmp_path / "another", *arguments) as server:
        assert counts(server) == expect


def test_a_killed_node_without_a_disk_loses_nothing(s3, prefix, tmp_path):
    arguments = options(s3.url, prefix, "--wal", "object", "--cache-disk-bytes-max", "0")
    acknowledged = {}
    for node in range(3):
        with Tyto(tmp_path / f"node-{node}", *arguments) as server:
            assert counts(server) == acknowledged
            for number in range(10):
                assert push(server, f"{node}-{number}").ok
                acknowledged[f"{node}-{number}"] = 20
                if number == 5 and node != 1:
                    server.flush()
            server.kill()


def test_a_second_node_is_refused(s3, prefix, tmp_path):
    arguments = options(s3.url, prefix, "--wal", "object")
    with Tyto(tmp_path / "one", *arguments) as server:
        with pytest.raises(RuntimeError, match="held by process"):
            Tyto(tmp_path / "two", *arguments).start()
        assert push(server, "after").ok
        server.flush()
        assert counts(server) == {"after": 20}


@pytest.mark.parametrize("mode", ["refuse", "slowdown", "error", "cut"])
def test_an_outage_costs_nothing_that_was_acknowledged(s3, prefix, tmp_path, mode):
    line = Line(s3.port)
    arguments = options(line.url, prefix, "--cache-memory-bytes-max", "0", "--cache-disk-bytes-max", "0")
    with Tyto(tmp_path / "data", *arguments) as server:
        assert push(server, "before").ok
        server.flush()
        line.mode = mode
        acknowledged = {"before": 20}
        for number in range(20):
            # The log on disk takes them.
            assert push(server, f"during-{number}").ok
            acknowledged[f"during-{number}"] = 20
        assert not requests.post(server.url + "/-/flush", timeout=120).ok
        answer = requests.post(server.url + "/api/tyto/v1/sql", json={"sql": "select body from logs"}, timeout=120)
        assert answer.status_code == 503 and f"s3://{BUCKET}/{prefix}/shards/default/lake/logs/part-" in answer.text, answer.text
        if mode == "refuse":
            server.kill()
            line.mode = "pass"
            server.start()
        line.mode = "pass"
        eventually(lambda: requests.post(server.url + "/-/flush", timeout=120).ok, timeout=120)
        assert counts(server) == acknowledged
        assert push(server, "after").ok
        assert server.stop() == 0
    with Tyto(tmp_path / "data", *arguments) as server:
        assert counts(server) == acknowledged | {"after": 20}


def test_without_a_disk_an_outage_refuses_and_says_when_to_come_back(s3, prefix, tmp_path):
    line = Line(s3.port)
    arguments = options(line.url, prefix, "--wal", "object")
    with Tyto(tmp_path / "data", *arguments) as server:
        assert push(server, "before").ok
        line.mode = "slowdown"
        refused = push(server, "refused")
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1, (refused.status_code, refused.text)
        line.mode = "pass"
        eventually(lambda: push(server, "after").ok, timeout=60)
        server.kill()
    with Tyto(tmp_path / "another", *arguments) as server:
        found = counts(server)
        assert found.pop("before") == 20 and found.pop("after") in (20, 40, 60) and not found.keys() - {"refused"}


@pytest.mark.parametrize("wal", ["disk", "object"])
@pytest.mark.parametrize("mode", ["cut", "error", "slow"])
def test_a_line_that_fails_every_few_requests_is_only_slower(s3, prefix, tmp_path, mode, wal):
    line = Line(s3.port)
    arguments = options(line.url, prefix, "--wal", wal, "--cache-disk-bytes-max", "0", "--cache-memory-bytes-max", "0")
    with Tyto(tmp_path / "data", *arguments) as server:
        line.every, line.mode = 5, mode
        acknowledged = set()
        for number in range(25):
            if push(server, f"request-{number}").ok:
                acknowledged.add(f"request-{number}")
            if number % 5 == 4:
                requests.post(server.url + "/-/flush", timeout=120)
        assert len(acknowledged) > 20
        line.mode = "pass"
        eventually(lambda: requests.post(server.url + "/-/flush", timeout=120).ok, timeout=120)
        found = counts(server)
        assert acknowledged <= found.keys() and set(found.values()) == {20}
        server.kill()
    with Tyto(tmp_path / "another" if wal == "object" else tmp_path / "data", *arguments) as server:
        found = counts(server)
        assert acknowledged <= found.keys() and set(found.values()) == {20}


def test_other_readers_read_the_lake_in_s3(s3, prefix, tmp_path):
    from deltalake import DeltaTable

    with Tyto(tmp_path / "data", *options(s3.url, prefix)) as server:
        for number in range(4):
            assert push(server, f"request-{number}", lines=500).ok
            server.flush()
        ours = server.sql("select count(*), sum(time_unix_nano % 1000003), sum(length(body)) from logs")[0]
        assert server.stop() == 0
    storage = {"AWS_ENDPOINT_URL": s3.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
               "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    logs = DeltaTable(f"s3://{BUCKET}/{prefix}/shards/default/lake/logs", storage_options=storage)
    assert logs.metadata().configuration["tyto.formatVersion"] == "2"
    rows = logs.to_pyarrow_table(columns=["time_unix_nano", "body", "body_template", "body_variables"])
    [log_body] = [text for *_, text in documented() if text.startswith("CREATE MACRO log_body")]
    duckdb.sql(log_body)
    body = "log_body(body, body_template, body_variables)"
    theirs = duckdb.sql(f"select count(*), sum(time_unix_nano % 1000003), sum(length({body})) from rows").fetchall()[0]
    assert theirs == tuple(ours) and theirs[0] == 2000
