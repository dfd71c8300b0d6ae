"""An erased value is in no byte of the data folder, whoever looks; and what is past its retention is shown to nobody."""

import json
import subprocess
import time

import chdb
import duckdb
import requests

from server import BINARY, Tyto, environment, eventually
from test_serve import push

SECRET = "mallory-4711@example.com"
# As a body's template has it.
SPLIT = "mallory-\x1a@example.com"


def erase(server, *arguments):
    done = subprocess.run(
        [BINARY, "erase", "--server", server.url, *arguments], capture_output=True, text=True, env=environment(), timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def holding(folder):
    """The files that hold the value: as bytes, or in Parquet as a text in any column of any row."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        if any(text.encode() in path.read_bytes() for text in (SECRET, SPLIT)):
            found.append(path)
        elif path.suffix == ".parquet":
            has = " OR ".join(f"t::VARCHAR LIKE '%{text}%'" for text in (SECRET, SPLIT))
            [(rows,)] = duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}') t WHERE {has}").fetchall()
            found.extend([path] if rows else [])
    return found


def test_what_is_erased_is_in_no_byte(tmp_path, monkeypatch):
    data = tmp_path / "data"
    # chdb reads files under the folder it stands in.
    monkeypatch.chdir(tmp_path)
    with Tyto(data) as server:
        now = time.time_ns()
        for round in range(3):
            push(server, [f"line {round}", json.dumps({"user": {"mail": SECRET}}), f"mail to {SECRET}"], {"app": "shop"}, now - 10**9 * (round + 1))
            push(server, ["hello"], {"app": SECRET}, now)
            if round < 2:
                server.flush()
        assert holding(data)
        by_body = erase(server, "--match", f"body.user.mail={SECRET}", "--table", "logs", "--reference", "case 1")
        assert (by_body["state"], by_body["erased"]["logs"], by_body["reference"]) == ("done", 3, "case 1")
        assert erase(server, "--contains", f"body={SECRET}")["erased"]["logs"] == 3
        # Accepted, and killed before it can be done.
        order = erase(server, "--match", f"attributes.app={SECRET}", "--no-wait")
        server.kill()
        server.start()
        assert server.one("SELECT count(*) FROM logs") == 3
        proof = eventually(lambda: next(
            (one for one in server.get("/api/tyto/v1/erasures")["erasures"] if one["id"] == order["id"] and one["state"] == "done"), None
        ))
        assert proof["fields"] == ["attributes.app"] and SECRET not in json.dumps(proof)
        assert holding(data) == []
        log = list((data / "shards/default/wal").iterdir())
        assert not log, "what is compressed in the log cannot be looked into; it is gone"
        refused = requests.post(server.url + "/api/tyto/v1/erasures", json={"match": [{"field": "colour", "equals": "x"}]}, timeout=10)
        assert refused.status_code == 400 and "match[0].field" in refused.json()["error"]
        assert server.stop() == 0
    lake = data / "shards/default/lake/logs"
    assert chdb.query(f"SELECT count() FROM deltaLakeLocal('{lake}')", "CSV").data().strip() == "3"


def test_retention_is_what_the_catalogue_in_force_says(tmp_path):
    catalogue = tmp_path / "omd.yaml"
    catalogue.write_text("retention: {logs: 1h}\n")
    with Tyto(tmp_path / "data", "--catalog", catalogue, "--retention-logs", "10y") as server:
        push(server, ["old"], {"app": "x"}, time.time_ns() - 2 * 3600 * 10**9)
        push(server, ["new"], {"app": "x"}, time.time_ns())
        shown = lambda: sorted(row[0] for row in server.sql("SELECT body FROM logs"))
        assert shown() == ["new"]
        server.flush()
        assert shown() == ["new"]
        catalogue.write_text("retention: {logs: 1s}\n")
        refused = requests.post(server.url + "/-/reload", timeout=10)
        assert refused.status_code == 400 and "omd.yaml:1:19" in refused.text
        catalogue.write_text("retention: {logs: 2y}\n")
        assert requests.post(server.url + "/-/reload", timeout=10).ok
        assert shown() == ["new", "old"], "its bytes were not gone yet"
