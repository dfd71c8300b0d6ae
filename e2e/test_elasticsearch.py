"""Clients of Elasticsearch send to Tyto: what they sent is what is stored, and every item has its result."""

import json
import socket
import subprocess
import time

import pytest
import requests
from elasticsearch import Elasticsearch, helpers as elastic_helpers
from opensearchpy import OpenSearch, helpers as open_helpers

from server import Tyto, eventually


@pytest.fixture
def search(tmp_path):
    """A server that speaks Elasticsearch at the root of a port, too."""
    with Tyto(tmp_path / "data", "--elasticsearch", "127.0.0.1:0") as server:
        yield server


def documents(count):
    for number in range(count):
        yield {"@timestamp": f"2026-11-22T10:00:{number % 60:02}.{number:06}Z", "message": f"line {number} é\n\"quoted\"", "log": {"level": "warn"},
               "service": {"name": "clinic"}, "number": number, "ratio": number / 8, "ok": number % 2 == 0}


def stored(server, index):
    rows = server.sql(
        "select body, time_unix_nano, severity_text, severity_number, service_name, attributes['number'], attributes['ratio'], attributes['ok'] "
        f"from logs where resource_attributes['elasticsearch.index'] = '{index}' order by time_unix_nano")
    return [tuple(row) for row in rows]


def expected(count):
    base = 1_795_341_600 * 10**9
    rows = []
    for document in documents(count):
        number = document["number"]
        nanos = base + (number % 60) * 10**9 + number * 1000
        ratio = str(document["ratio"])
        rows.append((document["message"], nanos, "warn", 13, "clinic", str(number), ratio.removesuffix(".0"), str(document["ok"]).lower()))
    return sorted(rows, key=lambda row: row[1])


@pytest.mark.parametrize("make, helpers", [
    (lambda url: Elasticsearch(url), elastic_helpers), (lambda url: OpenSearch(url), open_helpers)], ids=["elasticsearch", "opensearch"])
@pytest.mark.parametrize("where", ["prefix", "port"])
def test_bulk_helpers(search, make, helpers, where):
    client = make(f"{search.url}/elasticsearch" if where == "prefix" else f"http://{search.elasticsearch}")
    assert client.info()["version"]["number"]
    assert client.ping()
    actions = [{"_index": "clinic", "_id": f"id-{document['number']}", **document} for document in documents(1000)]
    assert helpers.bulk(client, actions, chunk_size=300) == (1000, [])
    assert stored(search, "clinic") == expected(1000)
    ids = search.sql("select count(distinct attributes['elasticsearch.document_id']) from logs")
    assert ids == [(1000,)]


def test_items_have_their_own_results(search):
    client = Elasticsearch(f"http://{search.elasticsearch}", http_compress=True)
    actions = [
        {"_op_type": "create", "_index": "a", "message": "one"},
        {"_op_type": "delete", "_index": "a", "_id": "7"},
        {"_op_type": "index", "_index": "a", "@timestamp": "tomorrow", "message": "two"},
        {"_op_type": "update", "_index": "a", "_id": "7", "doc": {"message": "three"}},
        {"_op_type": "index", "_index": "a", "_id": "8", "message": "four"},
    ]
    results = list(elastic_helpers.streaming_bulk(client, actions, raise_on_error=False))
    assert [(ok, *((name, result["status"]) for name, result in item.items())) for ok, item in results] == [
        (True, ("create", 201)), (False, ("delete", 400)), (False, ("index", 400)), (False, ("update", 400)), (True, ("index", 201))]
    assert results[2][1]["index"]["error"]["type"] == "document_parsing_exception"
    assert results[4][1]["index"]["_id"] == "8"
    assert client.index(index="a", document={"message": "five"})["result"] == "created"
    assert client.index(index="a", id="9", document={"message": "six"})["_id"] == "9"
    assert client.create(index="a", id="10", document={"message": "seven"})["_version"] == 1
    bodies = [body for body, in search.sql("select body from logs order by body")]
    assert bodies == ["five", "four", "one", "seven", "six"]


def test_clients_may_make_what_they_need(search):
    client = OpenSearch(f"http://{search.elasticsearch}")
    assert not client.indices.exists(index="logs")
    assert client.indices.create(index="logs")["acknowledged"]
    assert client.indices.put_index_template(name="logs", body={"index_patterns": ["logs-*"]})["acknowledged"]
    assert client.cluster.health()["status"] == "green"
    assert client.indices.refresh(index="logs")["_shards"]["failed"] == 0
    with pytest.raises(Exception, match="501"):
        client.search(index="logs", body={"query": {"match_all": {}}})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_rsyslog(search, tmp_path):
    syslog, (host, port) = free_port(), search.elasticsearch.split(":")
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(f'''
global(workDirectory="{tmp_path}")
module(load="imtcp")
module(load="omelasticsearch")
input(type="imtcp" port="{syslog}" address="127.0.0.1")
template(name="json" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="service.name" name="programname" format="jsonf")
}}
action(type="omelasticsearch" server="{host}" serverport="{port}" searchIndex="syslog" bulkmode="on" template="json"
       errorFile="{tmp_path}/errors.json")
''')
    daemon = subprocess.Popen(["rsyslogd", "-n", "-f", configuration, "-i", tmp_path / "pid"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        def connected():
            try:
                return socket.create_connection(("127.0.0.1", syslog), timeout=1)
            except OSError:
                return None
        with eventually(connected) as connection:
            lines = [f"<{8 + number % 8}>1 2026-11-22T10:00:00.{number:06}Z web-1 shop 77 - - order {number} \"paid\"\n" for number in range(500)]
            connection.sendall("".join(lines).encode())
        eventually(lambda: search.one("select count(*) from logs") == 500)
        rows = search.sql("select body, severity_number, service_name, resource_attributes['host.name'], "
                          "(time_unix_nano - 1795341600000000000) / 1000 from logs order by time_unix_nano")
        numbers = [21, 19, 18, 17, 13, 10, 9, 5]
        names = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
        assert rows == [(f'order {number} "paid"', numbers[number % 8], "shop", "web-1", number) for number in range(500)]
        assert {name for name, in search.sql("select distinct severity_text from logs")} == set(names)
    finally:
        daemon.terminate()
        daemon.wait(30)
    errors = tmp_path / "errors.json"
    assert not errors.exists() or not errors.read_text(), errors.read_text()


def test_json_lines(tyto):
    records = "\n".join(json.dumps({"message": f"m{number}", "time": time.time(), "user": {"id": number}}) for number in range(100))
    answer = requests.post(f"{tyto.url}/api/tyto/v1/logs?service.name=cart", data=records + "\nbad\n",
                           headers={"content-type": "application/x-ndjson"}, timeout=30)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["rejected"], [error["at"] for error in told["errors"]]) == (100, 1, ["line 101"])
    assert tyto.one("select count(distinct body) from logs where service_name = 'cart'") == 100
    trace = "2026-11-22 10:00:00,123 ERROR failed\nTraceback (most recent call last):\n  File \"a.py\"\nKeyError: 'é'"
    answer = requests.post(f"{tyto.url}/api/tyto/v1/logs", data=(trace + "\nnext\n").encode(), headers={"content-type": "text/plain"}, timeout=30)
    assert answer.json()["accepted"] == 2
    assert tyto.sql("select body, severity_number from logs where time_unix_nano = 1795341600123000000") == [(trace, 17)]
