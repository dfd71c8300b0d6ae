"""Gives every fuzz target real inputs to start from: fuzz/corpus/<target>/seed-*.

usage: seeds.py [DATA]      DATA: the folder of the public suites (default ../shared/data); without it a few are made here.
Run with the e2e tests' Python: it brings the OpenTelemetry protobuf messages.
"""

import base64
import gzip
import json
import pathlib
import struct
import sys

import msgpack
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent.parent / "shared" / "data")


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def block(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def number(field, value):
    return varint(field << 3) + varint(value & (1 << 64) - 1)


def double(field, value):
    return varint(field << 3 | 1) + struct.pack("<d", value)


def remote_write():
    """prometheus.WriteRequest with floats, an exemplar, a native histogram and metadata."""
    def label(name, value):
        return block(1, block(1, name) + block(2, value))

    name = label("__name__", "http_requests_total") + label("job", "shop")
    floats = b"".join(block(2, double(1, value) + number(2, 1_700_000_000_000 + index)) for index, value in enumerate([1, 2.5, float("nan")]))
    exemplar = block(3, block(1, block(1, "trace_id") + block(2, "ab" * 16)) + double(2, 0.5) + number(3, 1_700_000_000_000))
    spans = block(11, number(1, 2) + number(2, 2))
    histogram = block(4, number(1, 7) + double(3, 9.5) + number(4, 3 << 1) + double(5, 1e-128) + number(6, 1) + spans + block(12, varint(2) + varint(3)) + number(15, 1_700_000_000_000))
    metadata = block(3, number(1, 1) + block(2, "http_requests_total") + block(4, "Requests.") + block(5, "1"))
    yield block(1, name + floats + exemplar)
    yield block(1, name + histogram) + metadata


def remote_write_2():
    """io.prometheus.write.v2.Request with floats that have starts, an exemplar, a native histogram and metadata."""
    symbols = ["", "__name__", "http_requests_total", "job", "shop", "trace_id", "ab" * 16, "Requests.", "1"]
    head = b"".join(block(4, symbol) for symbol in symbols)
    floats = b"".join(block(2, double(1, value) + number(2, 1_700_000_000_000 + index) + number(3, 1_700_000_000_000)) for index, value in enumerate([1, 2.5]))
    exemplar = block(4, block(1, varint(5) + varint(6)) + double(2, 0.5) + number(3, 1_700_000_000_000))
    spans = block(11, number(1, 2) + number(2, 2))
    histogram = block(3, number(1, 7) + double(3, 9.5) + number(4, 3 << 1) + spans + block(12, varint(2) + varint(3)) + number(15, 1_700_000_000_000))
    labels = block(1, varint(1) + varint(2) + varint(3) + varint(4))
    metadata = block(5, number(1, 1) + number(3, 7) + number(4, 8))
    yield head + block(5, labels + floats + exemplar + metadata)
    yield head + block(5, labels + histogram + metadata + number(6, 1_700_000_000_000))


def remote_read():
    """prometheus.ReadRequest with matchers of every type, hints and the forms of an answer; as it is and packed."""
    matchers = b"".join(block(3, number(1, kind) + block(2, "job") + block(3, "sh.p")) for kind in range(4))
    hints = block(4, number(1, 15_000) + block(2, "rate") + number(3, 1_700_000_000_000) + number(4, 1_700_000_060_000) + block(5, "job"))
    request = block(1, number(1, 1_700_000_000_000) + number(2, 1_700_000_300_000) + matchers + hints) + block(2, varint(1) + varint(0))
    yield request
    # Snappy, one literal with the length in the byte after its tag.
    yield varint(len(request)) + bytes([60 << 2, len(request) - 1]) + request


def loki():
    """logproto.PushRequest with structured metadata."""
    time = block(1, number(1, 1_700_000_000) + number(2, 5))
    entry = block(2, time + block(2, "level=info msg=\"started\"") + block(3, block(1, "trace_id") + block(2, "ab")))
    yield block(1, block(1, '{app="shop", env="prod"}') + entry)


def loki_json():
    yield json.dumps({"streams": [{"stream": {"app": "shop"}, "values": [["1700000000000000000", "line", {"trace_id": "ab"}]]}]}).encode()
    path = DATA / "logql" / "loki_push_cases.json"
    if path.exists():
        yield from (case["body"].encode() for case in json.loads(path.read_text()))


def otlp(kind, file, own):
    text = json.dumps(own)
    # Protobuf's JSON writes bytes in base64, OTLP's writes ids in hexadecimal.
    yield text.replace(TRACE_ID, "ab" * 16).replace(SPAN_ID, "ab" * 8).encode(), json_format.Parse(text, kind()).SerializeToString()
    path = DATA / "otlp" / "proto-examples" / file
    if path.exists():
        yield path.read_bytes(), None


TRACE_ID, SPAN_ID = "q6urq6urq6urq6urq6urqw==", "q6urq6urq6s="
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
TIME = "1700000000000000000"
POINT = {"timeUnixNano": TIME, "startTimeUnixNano": TIME, "attributes": [{"key": "code", "value": {"intValue": "200"}}]}
EXEMPLARS = [{"timeUnixNano": TIME, "asDouble": 0.5, "traceId": TRACE_ID}]
OTLP = {
    "otlp_logs": (ExportLogsServiceRequest, "logs.json", {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": {"name": "s"}, "logRecords": [
        {"timeUnixNano": TIME, "severityNumber": 9, "body": {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}]}}}]}}}]}]}]}),
    "otlp_traces": (ExportTraceServiceRequest, "trace.json", {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"spans": [
        {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "GET", "kind": 2, "startTimeUnixNano": TIME, "endTimeUnixNano": TIME,
         "events": [{"timeUnixNano": TIME, "name": "e"}], "links": [{"traceId": TRACE_ID, "spanId": SPAN_ID}], "status": {"code": 2}}]}]}]}),
    "otlp_metrics": (ExportMetricsServiceRequest, "metrics.json", {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [
        {"name": "g", "unit": "By", "gauge": {"dataPoints": [{**POINT, "asInt": "5"}]}},
        {"name": "c", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{**POINT, "asDouble": 5.5, "exemplars": EXEMPLARS}]}},
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{**POINT, "count": "3", "sum": 4, "bucketCounts": ["1", "2"], "explicitBounds": [1]}]}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [{**POINT, "count": "3", "scale": 2, "zeroCount": "1", "positive": {"offset": -1, "bucketCounts": ["1", "1"]}}]}},
        {"name": "s", "summary": {"dataPoints": [{**POINT, "count": "3", "sum": 4, "quantileValues": [{"quantile": 0.5, "value": 1}]}]}}]}]}]}),
}


def queries(language):
    yield {"promql": b'sum by (job) (rate(http_requests_total{code=~"5.."}[5m] offset 1h)) / 2', "logql": b'sum by (app) (rate({app="shop"} |= "x" | json | status>400 [5m]))', "traceql": b'{ span.a >= 1.5 && .b =~ "x.*" } >> { } | by(name) | count() > 2'}[language]
    path = DATA / language / "parse_cases.tsv"
    if path.exists():
        yield from (line.split(b"\t")[1] for line in path.read_bytes().splitlines()[1:])


def plant(target, seeds):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds):
        (folder / f"seed-{index}").write_bytes(seed)


for target, (kind, file, own) in OTLP.items():
    both = list(otlp(kind, file, own))
    plant(f"{target}_json", [as_json for as_json, _ in both])
    plant(target, [as_bytes for _, as_bytes in both if as_bytes])
    if target == "otlp_traces":
        plant("span_watch", [as_bytes for _, as_bytes in both if as_bytes])
plant("remote_write", remote_write())
plant("remote_write_2", remote_write_2())
plant("remote_read", remote_read())
plant("loki", loki())
plant("loki_json", loki_json())
plant("promql", queries("promql"))
plant("logql", queries("logql"))
plant("traceql", queries("traceql"))
NOTIFY = b'''public_url: https://a.example\ndigest_every: 1d\nemail: {server: "a:25", tls: none, from: a@b}\nslack: [{channels: ["#a"], url: {env: A}}]\ngithub: {token: {file: a}}\nwebhook: {}\n'''
plant("catalog", [(HERE.parent / "crates" / "sim" / "src" / "omd.yaml").read_bytes(), NOTIFY])
EXAMPLES = HERE.parent / "examples"
OMD = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*/omd.yaml"))]
CONTRACTS = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*/contracts/*.json"))]
BOARDS = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*/boards/*.yaml"))]
plant("catalog_check", [b"\0".join(files) for files in zip(OMD, OMD[1:], CONTRACTS, BOARDS)])
PIPELINES = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*/pipelines/*.yaml"))]
TABLES = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*/pipelines/tables/*.csv"))]
plant("pipeline_file", [b"\0".join([file, *TABLES, b'[{"code": "card", "kind": 1}]']) for file in PIPELINES])
PROGRAMS = (HERE.parent / "tests" / "cases" / "pipeline" / "stages.test").read_text().split("- vrl: |\n")[1:]
plant("pipeline_program", [program.split("\n----")[0].encode() for program in PROGRAMS])
LINES = (HERE.parent / "crates" / "pipeline" / "src" / "transform" / "mask" / "tests.rs").read_text().split('"')[1::2]
plant("pipeline_mask", [line.encode() for line in LINES])
RECORDS = [b'{"payment.method": "card", "payment.amount": 12.5}', b'{"payment.method": "crad", "n": [1, {"a": null}]}', b"4bf92f3577b34da6a3ce929d0e0e4736"]
plant("contract_records", [b"\0".join([file.read_bytes(), *RECORDS]) for file in sorted((HERE.parent / "examples").glob("*/*/contracts/*.json"))])
plant("backstage", [(HERE.parent / "tests" / "cases" / "catalog" / "backstage" / "catalog-info.yaml").read_bytes()])
WEAVER = HERE.parent / "tests" / "cases" / "catalog" / "weaver"
ORDERS, COURIERS, VEHICLES = ((WEAVER / f"{name}.yaml").read_bytes() for name in ("orders", "couriers", "vehicles"))
plant("weaver", [ORDERS, COURIERS + b"\0" + ORDERS.replace(b"shop.till.site", b"shop.vehicle.plate"), ORDERS + b"\0" + VEHICLES + b"\0event.*\0registry.*"])
# One block: a compressed map of grams, all of them there, and one lane of values.
GRAMS = bytes.fromhex("28b52ffd60001f4d000010ffff0100fbdf032c")
plant("block_filter", [b"\x01" + b"".join(n.to_bytes(4, "little") for n in (1, len(GRAMS), 32)) + GRAMS + b"\x55" * 32])


def exposition_protobuf():
    """io.prometheus.client.MetricFamily: a counter with an exemplar, and a native histogram with classic buckets."""
    label = block(1, block(1, "code") + block(2, "200"))
    exemplar = block(2, block(1, block(1, "trace_id") + block(2, "ab" * 16)) + double(2, 1) + block(3, number(1, 1_700_000_000)))
    counter = block(1, "requests_total") + block(2, "Requests.") + number(3, 0) + block(4, label + block(3, double(1, 5) + exemplar))
    bucket = block(3, number(1, 3) + double(2, 0.5))
    native = number(5, 3 << 1) + double(6, 1e-128) + number(7, 1) + block(12, number(1, 2) + number(2, 2)) + block(13, varint(2) + varint(3))
    histogram = block(1, "seconds") + number(3, 4) + block(4, label + block(7, number(1, 3) + double(2, 1.5) + bucket + native))
    yield b"".join(varint(len(family)) + family for family in (counter, histogram))


EXPOSITION = b"# HELP a Of a.\n# TYPE a counter\na_total{x=\"1\\\\n\",\"y.z\"=\"2\"} 1.5e3 1700000000\n"
textparse = sorted((DATA / "prom-formats" / "textparse").glob("*.txt"))
plant("exposition_text", [EXPOSITION] + [path.read_bytes()[:20_000] for path in textparse if path.name.endswith(".prom.txt")])
plant("exposition_openmetrics", [EXPOSITION.replace(b"1700000000", b"1.5 # {a=\"b\"} 2 3") + b"# EOF\n"] + [path.read_bytes() for path in textparse if path.name.endswith(".om.txt")])
plant("exposition_protobuf", exposition_protobuf())


LINES = [b'{"message": "a", "@timestamp": "2026-11-22T10:00:00Z", "log": {"level": "warn"}, "n": [1, {"k": null}]}\n', b'{"msg": "b", "time": 1795341600123}\n']
plant("json_lines", [b"".join(LINES)])
plant("json_values", [b"[" + b",".join(LINES) + b"]", b"".join(LINES)])
plant("log_text", [b"2026-11-22 10:00:00,123 ERROR gone\njava.lang.Error: x\n\tat a.B\n", b"2026-11-22T10:00:00Z stdout P a\n2026-11-22T10:00:00Z stdout F b\n",
                   b'{"log":"a\\n","stream":"stderr","time":"2026-11-22T10:00:00Z"}\n', b"panic: x\ngoroutine 1 [running]:\nmain.f()\n"])
plant("log_patterns", [b"\0".join([b"user a left", b"user b left", b"user c.d left (x)", b"user e left", b'{"msg":"a 5 \\"b\\"","n":1}', b"k=v msg=\"x y\" z=(1, 2)",
                                     b"at Sun Jul 10 03:55 <a> b  7  c\nd", b"x: 1; y x: 2; y x: 3; y", b"uid=0 tty= a:b@c|d"])])
plant("elasticsearch_bulk", [b'{"index": {"_index": "a", "_id": "1"}}\n' + LINES[0] + b'{"delete": {"_index": "a", "_id": "1"}}\n{"create": {}}\n' + LINES[1]])
plant("splunk_events", [b'{"event": "a", "time": 1795341600.5, "host": "h", "fields": {"n": 1}}{"event": {"message": "b"}}', b'[{"event": 1}]'])
CLOUDWATCH = {"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "logEvents": [{"id": "1", "timestamp": 1795341600000, "message": "m"}]}
RECORDS = [gzip.compress(json.dumps(CLOUDWATCH).encode()), LINES[0], b"plain\n"]
plant("firehose", [json.dumps({"requestId": "r", "timestamp": 1795341600000, "records": [{"data": base64.b64encode(data).decode()}]}).encode() for data in RECORDS])
plant("journal", [b"__REALTIME_TIMESTAMP=1795341600000000\nPRIORITY=3\nMESSAGE=a\n\n__REALTIME_TIMESTAMP=1\nMESSAGE\n" + struct.pack("<Q", 3) + b"a\nb\n\n"])
SYSLOG = [b'<165>1 2026-11-22T10:00:00.5Z web-1 shop 77 ID47 [one@1 a="x\\"y" b=""][two] \xef\xbb\xbfpaid', b"<34>Nov 22 10:00:00 web-1 su[9]: gone", b"<189>237: router: *Nov 22 10:00:00.295 CET: %SYS-5-CONFIG_I: x",
          b"<6>[ 1.5] usb", b'<134>Nov 22 10:00:00 a b: @cee: {"level": "warn"}', b"<13>: 2026 Nov 22 10:00:00 UTC: x"]
plant("syslog_message", SYSLOG)
plant("git_address", [b"https://bot:secret@git.example/acme/pay.git#main:deploy/omd", b"git@host:acme/pay", b"ssh://git@[::1]:22/~me/x", b"/srv/x/y#:a", b"ext::sh"])
plant("syslog_stream", [b"\n".join(SYSLOG), b"\0".join(SYSLOG), b"".join(b"%d %s" % (len(message), message) for message in SYSLOG), b"5 <1>a\n<1>b\r\n12 monkeys\n9 <1>half"])
ENTRIES = b"".join(msgpack.packb(entry) for entry in [[1795341600, {"log": "ERROR x", "source": "stderr", "container_id": "c"}], [msgpack.ExtType(0, b"j\x9a\x00\x00\x00\x00\x00\x01"), {"log": "\tat a.B"}],
                                                     [[1795341600, {"m": 1}], {"message": "a", "n": [1, 1.5, None, b"\xff"], "kubernetes": {"labels": {"app": "b"}}}]])
plant("fluent_forward", [msgpack.packb(message) for message in [["t", 1795341600, {"message": "a"}], ["t", [[1795341600, {"a": 1}]], {"chunk": "c"}], ["t", ENTRIES, {"size": 3}],
                                                                ["t", gzip.compress(ENTRIES), {"compressed": "gzip"}], None]]
      + [msgpack.packb(["t", 1795341600, {"log": "he", "partial_message": "true", "partial_id": "1", "partial_ordinal": "1", "partial_last": "false"}]) * 2])

ZIPKIN = {"traceId": "5982fe77008310cc", "parentId": "90394f6bcffb5d13", "id": "67fae42571535f60", "kind": "CLIENT", "name": "get", "timestamp": 1795341600000000, "duration": 26000,
          "localEndpoint": {"serviceName": "shop", "ipv4": "10.0.0.1", "port": 80}, "remoteEndpoint": {"ipv6": "::1"}, "annotations": [{"timestamp": 1795341600000001, "value": "retry"}],
          "tags": {"error": "x", "otel.status_code": "ERROR", "service.version": "1"}}
plant("zipkin_json", [json.dumps([ZIPKIN, {**ZIPKIN, "kind": "SERVER", "shared": True}, {"traceId": "1", "id": "2", "timestamp": "3.5", "name": None}, 5]).encode()])
ENDPOINT = block(1, "shop") + block(2, bytes([10, 0, 0, 1])) + block(3, bytes(16)) + number(4, 80)
plant("zipkin_proto", [block(1, block(1, bytes(15) + b"\x01") + block(2, bytes(7) + b"\x03") + block(3, bytes(7) + b"\x02") + number(4, 1) + block(5, "get") + varint(6 << 3 | 1) + struct.pack("<Q", 1795341600000000)
                                + number(7, 26000) + block(8, ENDPOINT) + block(9, ENDPOINT) + block(10, varint(1 << 3 | 1) + struct.pack("<Q", 1) + block(2, "retry")) + block(11, block(1, "error") + block(2, "x")) + number(13, 1))])


def thrift(fields):
    """A structure of Thrift's binary protocol: its fields as (number, type letter, value)."""
    out = b""
    for at, letter, value in fields:
        kind, packed = {"b": (2, lambda: bytes([value])), "d": (4, lambda: struct.pack(">d", value)), "i": (8, lambda: struct.pack(">i", value)), "l": (10, lambda: struct.pack(">q", value)),
                        "s": (11, lambda: struct.pack(">i", len(value)) + value), "t": (12, lambda: value), "a": (15, lambda: b"\x0c" + struct.pack(">i", len(value)) + b"".join(value))}[letter]
        out += bytes([kind]) + struct.pack(">h", at) + packed()
    return out + b"\0"


TAGS = [thrift([(1, "s", key), (2, "i", kind), value]) for key, kind, value in [(b"span.kind", 0, (3, "s", b"server")), (b"d", 1, (4, "d", 0.5)), (b"error", 2, (5, "b", 1)), (b"http.status_code", 3, (6, "l", 500)), (b"raw", 4, (7, "s", b"\xff"))]]
SPAN = thrift([(1, "l", 1), (2, "l", -1), (3, "l", 2), (4, "l", 0), (5, "s", b"GET"), (6, "a", [thrift([(1, "i", 1), (2, "l", 1), (3, "l", -1), (4, "l", 3)])]), (7, "i", 1), (8, "l", 1795341600000000), (9, "l", 5), (10, "a", TAGS),
               (11, "a", [thrift([(1, "l", 1795341600000000), (2, "a", TAGS)])])])
plant("jaeger_thrift", [thrift([(1, "t", thrift([(1, "s", b"shop"), (2, "a", TAGS)])), (2, "a", [SPAN, SPAN])]), thrift([(2, "a", [SPAN]), (1, "t", thrift([(1, "s", b"shop")]))])])
TAG = block(1, "error") + number(2, 1) + block(3, "x") + number(4, 1) + number(5, 7) + double(6, 0.5) + block(7, b"\xff")
JAEGER_TIME = number(1, 1795341600) + number(2, 5)
JAEGER_PROCESS = block(1, "shop") + block(2, TAG)
plant("jaeger_proto", [block(1, block(1, block(1, bytes(15) + b"\x01") + block(2, bytes(7) + b"\x02") + block(3, "GET") + block(4, block(1, bytes(15) + b"\x01") + block(2, bytes(7) + b"\x03") + number(3, 1)) + number(5, 1)
                                        + block(6, JAEGER_TIME) + block(7, JAEGER_TIME) + block(8, TAG) + block(9, block(1, JAEGER_TIME) + block(2, TAG)) + block(10, JAEGER_PROCESS)) + block(2, JAEGER_PROCESS))])
