"""Splunk's HTTP Event Collector, Amazon Data Firehose and systemd's journal, as their real senders speak."""

import base64
import gzip
import json
import struct
import subprocess
import uuid

import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

TEN = 1_795_341_600


def collector(tyto, path, body, headers=None, **parameters):
    headers = {"authorization": "Splunk 0-0-0", **(headers or {})}
    return requests.post(f"{tyto.url}/services/collector{path}", data=body, headers=headers, params=parameters, timeout=30)


def test_splunk(tyto):
    assert requests.get(f"{tyto.url}/services/collector/health", timeout=10).json() == {"text": "HEC is healthy", "code": 17}
    events = "".join(json.dumps({"event": f"line {number}", "time": TEN + number / 8, "host": "web-1", "fields": {"n": number}}) for number in range(200))
    answer = collector(tyto, "/event", gzip.compress(events.encode()), {"content-encoding": "gzip", "x-splunk-request-channel": "c1"})
    assert (answer.status_code, answer.json()) == (200, {"text": "Success", "code": 0, "ackId": 0})
    rows = tyto.sql("select body, attributes['n'], resource_attributes['host.name'], time_unix_nano from logs order by time_unix_nano")
    assert rows == [(f"line {number}", str(number), "web-1", TEN * 10**9 + number * 125_000_000) for number in range(200)]
    acks = collector(tyto, "/ack", json.dumps({"acks": [0, 1]}), channel="c1").json()
    assert acks == {"acks": {"0": True, "1": False}}

    answer = collector(tyto, "", '{"event": "good"}{"event": ""}')
    told = answer.json()
    assert (answer.status_code, told["code"], told["invalid-event-number"], told["accepted"]) == (400, 13, 1, 1)
    assert collector(tyto, "/raw", "one\ntwo\n", sourcetype="plain").json()["code"] == 0
    assert tyto.one("select count(*) from logs where resource_attributes['com.splunk.sourcetype'] = 'plain'") == 2
    assert requests.post(f"{tyto.url}/services/collector", data="{}", timeout=10).json() == {"text": "Token is required", "code": 2}
    assert collector(tyto, "", "").json() == {"text": "No data", "code": 5}


def deliver(tyto, kind, records, request_id=None, **headers):
    """A delivery as Firehose makes it: boto3's records, base64 in JSON."""
    request_id = request_id or str(uuid.uuid4())
    body = {"requestId": request_id, "timestamp": TEN * 1000, "records": [{"data": base64.b64encode(record["Data"]).decode()} for record in records]}
    headers = {"content-type": "application/json", "x-amz-firehose-protocol-version": "1.0", "x-amz-firehose-request-id": request_id,
               "x-amz-firehose-access-key": "key", "x-amz-firehose-source-arn": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/logs",
               "content-encoding": "gzip", **headers}
    answer = requests.post(f"{tyto.url}/firehose/{kind}", data=gzip.compress(json.dumps(body).encode()), headers=headers, timeout=30)
    told = answer.json()
    assert told["requestId"] == request_id and isinstance(told["timestamp"], int)
    return answer.status_code, told.get("errorMessage")


def test_firehose_logs(tyto):
    events = [{"id": str(number), "timestamp": TEN * 1000 + number, "message": f"START {number} é"} for number in range(50)]
    message = {"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/pay", "logStream": "s/1", "subscriptionFilters": ["f"],
               "logEvents": events}
    control = {**message, "messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 0, "message": "CWL CONTROL MESSAGE"}]}
    records = [{"Data": gzip.compress(json.dumps(part).encode())} for part in [message, control]]
    records += [{"Data": b'{"message": "json", "level": "error"}\n{"message": "lines"}\n'}, {"Data": b"plain one\nplain two\n"}]
    request_id = str(uuid.uuid4())
    for _ in range(2):
        assert deliver(tyto, "logs", records, request_id) == (200, None)
    rows = tyto.sql("select body, time_unix_nano, resource_attributes['aws.log.group.names'], resource_attributes['cloud.account.id'], "
                    "resource_attributes['cloud.region'] from logs where attributes['aws.log.event.id'] is not null order by time_unix_nano")
    group = '[{"stringValue":"/aws/lambda/pay"}]'
    assert rows == [(event["message"], event["timestamp"] * 10**6, group, "123456789012", "eu-west-1") for event in events]
    others = tyto.sql("select body from logs where attributes['aws.log.event.id'] is null order by body")
    assert [body for body, in others] == ["json", "lines", "plain one", "plain two"]
    assert deliver(tyto, "logs", records, str(uuid.uuid4())) == (200, None)
    assert tyto.one("select count(*) from logs") == 2 * 54


def test_firehose_metrics(tyto):
    def message(name, value):
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
        metric.name = name
        point = metric.gauge.data_points.add()
        point.time_unix_nano, point.as_double = TEN * 10**9, value
        body = request.SerializeToString()
        assert len(body) < 128
        return struct.pack("B", len(body)) + body

    assert deliver(tyto, "metrics", [{"Data": message("a", 1.5) + message("b", 2.5)}, {"Data": message("c", 3.5)}]) == (200, None)
    found = tyto.get("/api/v1/query", query='{__name__=~"a|b|c"}', time=TEN)["data"]["result"]
    assert {row["metric"]["__name__"]: row["value"][1] for row in found} == {"a": "1.5", "b": "2.5", "c": "3.5"}
    status, why = deliver(tyto, "metrics", [{"Data": b'{"metric_name": "CPU"}'}])
    assert status == 400 and "OpenTelemetry 1.0" in why


def export(**fields):
    """An entry in the journal's export format."""
    out = b""
    for name, value in fields.items():
        value = value if isinstance(value, bytes) else str(value).encode()
        out += name.encode() + (b"\n" + struct.pack("<Q", len(value)) + value if b"\n" in value else b"=" + value) + b"\n"
    return out + b"\n"


def test_journal_upload(tyto, tmp_path):
    """systemd's own tools: journal-remote makes a journal of entries, journal-upload sends it."""
    boot, machine = uuid.uuid4().hex, uuid.uuid4().hex
    entries = b"".join(
        export(__REALTIME_TIMESTAMP=TEN * 10**6 + number, __MONOTONIC_TIMESTAMP=number + 1, _BOOT_ID=boot, _MACHINE_ID=machine, _HOSTNAME="web-1", PRIORITY=number % 8,
               SYSLOG_IDENTIFIER="shop", _SYSTEMD_UNIT="shop.service", MESSAGE=f"line {number} é" + ("\nmore" if number % 10 == 0 else ""))
        for number in range(3000))
    (tmp_path / "export").write_bytes(entries)
    (tmp_path / "journal").mkdir()
    remote = ["/usr/lib/systemd/systemd-journal-remote", f"--output={tmp_path}/journal/test.journal", "--split-mode=none", f"{tmp_path}/export"]
    subprocess.run(remote, check=True, capture_output=True, timeout=120)
    upload = ["/usr/lib/systemd/systemd-journal-upload", f"--url={tyto.url}", f"--directory={tmp_path}/journal", f"--save-state={tmp_path}/state",
              "--follow=no"]
    subprocess.run(upload, check=True, capture_output=True, timeout=120)
    rows = tyto.sql("select body, time_unix_nano / 1000 - 1795341600000000, severity_number, service_name, resource_attributes['host.name'], "
                    "resource_attributes['systemd.unit'] from logs order by time_unix_nano")
    numbers = [21, 19, 18, 17, 13, 10, 9, 5]
    assert rows == [(f"line {number} é" + ("\nmore" if number % 10 == 0 else ""), number, numbers[number % 8], "shop", "web-1", "shop.service")
                    for number in range(3000)]
