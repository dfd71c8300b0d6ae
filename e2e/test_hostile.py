"""Malformed, truncated, oversized and hostile requests get the right status and a sentence, and the server goes on."""

import gzip
import random
import socket

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from test_serve import push

WRITES = ["/v1/logs", "/v1/traces", "/v1/metrics", "/api/v1/write", "/loki/api/v1/push"]
PROTOBUF = {"content-type": "application/x-protobuf"}


def post(server, path, body, **headers):
    return requests.post(server.url + path, data=body, headers={key.replace("_", "-"): value for key, value in headers.items()}, timeout=60)


@pytest.mark.parametrize("path", WRITES)
def test_garbage_is_refused_with_a_sentence(tyto, path):
    dice = random.Random(path)
    for length in [1, 2, 10, 1000, 100_000]:
        for content_type in ["application/x-protobuf", "application/json"]:
            response = post(tyto, path, dice.randbytes(length), content_type=content_type)
            assert response.status_code in (400, 415), (content_type, length, response.status_code)
            assert len(response.content) > 10
    for encoding in ["gzip", "zstd", "snappy", "nonsense"]:
        response = post(tyto, path, dice.randbytes(500), content_encoding=encoding, **{"content_type": "application/x-protobuf"})
        assert response.status_code in (400, 415), encoding
    assert requests.get(tyto.url + path, timeout=5).status_code == 405
    push(tyto, ["still here"])


@pytest.mark.parametrize("path", WRITES)
def test_a_body_over_the_limit(tyto, path):
    response = post(tyto, path, b"\0" * ((64 << 20) + 1), **{"content_type": "application/x-protobuf"})
    assert response.status_code == 413 and b"body_bytes_max" in response.content
    push(tyto, ["still here"])


def test_a_decompression_bomb_is_stopped(tyto):
    bomb = gzip.compress(b"\0" * (512 << 20), 9)
    before = tyto.metric("process_resident_memory_bytes")
    response = post(tyto, "/v1/logs", bomb, content_encoding="gzip", **{"content_type": "application/x-protobuf"})
    assert response.status_code == 413 and b"decompressed_bytes_max" in response.content
    assert tyto.metric("process_resident_memory_bytes") - before < 600 << 20


def test_partial_success_names_what_was_refused(tyto):
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for index in range(3):
        record = scope.log_records.add(time_unix_nano=1_700_000_000_000_000_000 + index)
        record.body.string_value = f"record {index}"
    scope.log_records[1].time_unix_nano = (1 << 64) - 1
    response = post(tyto, "/v1/logs", request.SerializeToString(), **{"content_type": "application/x-protobuf"})
    assert response.status_code == 200
    answer = ExportLogsServiceResponse.FromString(response.content)
    assert answer.partial_success.rejected_log_records == 1
    assert "time" in answer.partial_success.error_message.lower()
    assert tyto.one("select count(*) from logs") == 2


def test_a_truncated_request_stores_nothing(tyto):
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for index in range(5):
        scope.log_records.add(time_unix_nano=index + 1).body.string_value = "x" * 20
    whole = request.SerializeToString()
    for length in range(1, len(whole)):
        response = post(tyto, "/v1/logs", whole[:length], **{"content_type": "application/x-protobuf"})
        assert response.status_code == 400, length
    assert tyto.one("select count(*) from logs") == 0


QUERIES = [
    ("/api/v1/query", {"query": "sum(" }, 400),
    ("/api/v1/query", {"query": "(" * 10_000}, 400),
    ("/api/v1/query", {}, 400),
    ("/api/v1/query_range", {"query": "up", "start": 0, "end": 1e12, "step": 1}, 400),
    ("/api/v1/query_range", {"query": "up", "start": 10, "end": 0, "step": 1}, 400),
    ("/api/v1/query_range", {"query": "up", "start": 0, "end": 10, "step": "-1"}, 400),
    ("/api/v1/query_range", {"query": "up", "start": "NaN", "end": 10, "step": "1"}, 400),
    ("/api/v1/series", {}, 400),
    ("/api/v1/label/a%FFb/values", {}, 400),
    ("/api/v1/nothing", {}, 404),
    ("/loki/api/v1/query_range", {"query": "{"}, 400),
    ("/loki/api/v1/query_range", {"query": '{a="b"} |~ "("'}, 400),
    ("/loki/api/v1/query_range", {"query": '{a="b"}', "limit": "-1"}, 400),
    ("/loki/api/v1/nothing", {}, 404),
    ("/tempo/api/traces/xyz", {}, 400),
    ("/tempo/api/traces/0123456789abcdef0123456789abcdef", {}, 404),
    ("/jaeger/api/traces/0123456789abcdef0123456789abcdef", {}, 404),
    ("/api/tyto/v1/nothing", {}, 404),
]


@pytest.mark.parametrize("path, parameters, status", QUERIES)
def test_a_bad_question_is_refused(tyto, path, parameters, status):
    response = requests.get(tyto.url + path, params=parameters, timeout=30)
    assert response.status_code == status, response.text[:300]
    assert len(response.text) > 5 and "panicked" not in response.text


@pytest.mark.parametrize("sql", ["drop table logs", "create table x as select 1", "insert into logs values (1)", "copy logs to '/tmp/x.csv'",
                                 "select * from nothing", "select", "set datafusion.execution.batch_size = 1",
                                 "create external table t stored as csv location '/etc/passwd'", "select * from '/etc/passwd'"])
def test_sql_only_reads_its_tables(tyto, sql):
    response = requests.post(tyto.url + "/api/tyto/v1/sql", json={"sql": sql}, timeout=30)
    assert response.status_code == 400, response.text
    assert response.json()["error"]


def test_broken_http_does_not_stop_the_server(tyto):
    host, port = tyto.http.split(":")
    for bytes_sent in [b"\0\1\2\3", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/logs HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
                       b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nshort"]:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(bytes_sent)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)
    push(tyto, ["still here"])
    assert tyto.one("select count(*) from logs") == 1
