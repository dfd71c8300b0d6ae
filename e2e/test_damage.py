"""A full disk and flipped bits: nothing acknowledged is lost, the damage is named, the rest is still served."""

import os
import pathlib
import subprocess

import pytest
import requests

from server import Tyto, eventually


def push(server, key, lines=200):
    """Random text, so that it takes the room it seems to take; true when acknowledged."""
    values = [[str(1_760_000_000_000_000_000 + index), f"{key} {index} {os.urandom(200).hex()}"] for index in range(lines)]
    body = {"streams": [{"stream": {"app": "damage", "request": key}, "values": values}]}
    return requests.post(server.url + "/loki/api/v1/push", json=body, timeout=30)


def counts(server):
    return dict(server.sql("select resource_attributes['request'], count(*) from logs group by 1"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tyto-test", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here (needs root): {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_and_recovers(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(12 << 20))
    acknowledged = set()
    with Tyto(small_disk / "data") as server:
        refused = None
        for number in range(500):
            answer = push(server, f"before-{number}")
            if not answer.ok:
                refused = answer
                break
            acknowledged.add(f"before-{number}")
        assert refused is not None, "the disk never filled"
        assert refused.status_code in (429, 500, 503), refused.text
        assert "write" in refused.text and "log" in refused.text, refused.text
        # What was acknowledged is still answered while the disk is full.
        assert counts(server).keys() >= acknowledged
        assert requests.get(server.url + "/-/healthy", timeout=10).ok
        ballast.unlink()
        eventually(lambda: push(server, "after").ok, timeout=60)
        server.flush()
        server.kill()
    with Tyto(small_disk / "data") as server:
        found = counts(server)
        assert acknowledged | {"after"} <= found.keys()
        # A refused request may have been stored whole when it was tried again, never in part or twice.
        assert set(found.values()) == {200}


def flip(path, share):
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0xFF
    path.write_bytes(content)


def test_a_damaged_lake_file_is_named_and_the_rest_is_served(tmp_path):
    with Tyto(tmp_path) as server:
        assert push(server, "damaged").ok
        span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "whole", "startTimeUnixNano": "1760000000000000000", "endTimeUnixNano": "1760000000000000001"}
        answer = requests.post(server.url + "/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, timeout=10)
        assert answer.ok, answer.text
        server.flush()
        assert server.stop() == 0
    [file] = pathlib.Path(tmp_path).glob("shards/*/lake/logs/*.parquet")
    flip(file, 0.5)
    with Tyto(tmp_path) as server:
        answer = requests.post(server.url + "/api/tyto/v1/sql", json={"sql": "select body from logs"}, timeout=60)
        assert not answer.ok and file.name in answer.text, answer.text[:300]
        answer = requests.get(server.url + "/loki/api/v1/query_range", params={"query": '{app="damage"}', "start": "1760000000", "end": "1760000001"}, timeout=60)
        assert not answer.ok and file.name in answer.text, answer.text[:300]
        assert server.sql("select name from spans") == [("whole",)]
        assert push(server, "after").ok


def test_a_damaged_log_is_named_and_nothing_is_thrown_away(tmp_path):
    with Tyto(tmp_path) as server:
        for number in range(5):
            assert push(server, f"request-{number}").ok
        server.kill()
    [segment] = pathlib.Path(tmp_path).glob("shards/*/wal/*.wal")
    whole = segment.read_bytes()
    flip(segment, 0.3)
    damaged = segment.read_bytes()
    with pytest.raises(RuntimeError, match=segment.name):
        Tyto(tmp_path).start()
    assert segment.read_bytes() == damaged, "a log that cannot be read is left as it is"
    segment.write_bytes(whole)
    with Tyto(tmp_path) as server:
        assert counts(server) == {f"request-{number}": 200 for number in range(5)}
