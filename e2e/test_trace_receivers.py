"""Spans by the clients of Zipkin and Jaeger: what they mean comes out of every API that reads traces."""

import importlib
import json
import subprocess
import sys
import time

import grpc
import pytest
import requests
from grpc_tools import protoc
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk import environment_variables
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from py_zipkin import Encoding, Kind
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import ZipkinAttrs, zipkin_client_span, zipkin_server_span

from server import ROOT, Tyto, eventually

# The exporter's last release wants names that the SDK has dropped since.
for name in ("AGENT_HOST", "AGENT_PORT", "AGENT_SPLIT_OVERSIZED_BATCHES", "ENDPOINT", "PASSWORD", "TIMEOUT", "USER"):
    setattr(environment_variables, f"OTEL_EXPORTER_JAEGER_{name}", f"OTEL_EXPORTER_JAEGER_{name}")
JaegerExporter = importlib.import_module("opentelemetry.exporter.jaeger.thrift").JaegerExporter

SPANS = ("select span_id, parent_span_id, name, kind, status_code, status_message, service_name from spans "
         "where trace_id = '{}' order by start_time_unix_nano, name, parent_span_id nulls first")


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory):
    """The messages of e2e/protos/jaeger.proto."""
    return generated(tmp_path_factory, "jaeger")


def generated(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp(name)
    source = ROOT / "e2e" / "protos"
    assert protoc.main(["protoc", f"-I{source}", f"-I{importlib.resources.files('grpc_tools') / '_proto'}", f"--python_out={folder}",
                        f"--grpc_python_out={folder}", str(source / f"{name}.proto")]) == 0
    sys.path.insert(0, str(folder))
    return importlib.import_module(f"{name}_pb2"), importlib.import_module(f"{name}_pb2_grpc")


def node(script, *arguments):
    done = subprocess.run(["node", ROOT / "e2e" / "clients" / script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.strip()


def told(tyto, trace_id):
    return [span[2:] for span in tyto.sql(SPANS.format(trace_id))]


def test_zipkin_of_opentelemetry(tyto):
    spans = TracerProvider(resource=Resource.create({"service.name": "shop", "service.version": "1.2", "omd.business_service": "store"}))
    spans.add_span_processor(BatchSpanProcessor(ZipkinExporter(endpoint=f"{tyto.url}/api/v2/spans")))
    tracer = spans.get_tracer("e2e", "0.1")
    with tracer.start_as_current_span("GET /items", kind=SpanKind.SERVER) as root:
        with tracer.start_as_current_span("select", kind=SpanKind.CLIENT, attributes={"db.system": "postgresql", "net.peer.port": 5432}) as child:
            child.add_event("retry", {"attempt": 2})
            child.set_status(Status(StatusCode.ERROR, "no such item"))
    assert spans.force_flush()
    trace_id = f"{root.get_span_context().trace_id:032x}"
    assert told(tyto, trace_id) == [("GET /items", "server", "unset", None, "shop"), ("select", "client", "error", "no such item", "shop")]
    [(business_service, version, scope, system)] = tyto.sql(
        "select business_service, resource_attributes['service.version'], scope_name, attributes['db.system'] from spans where name = 'select'")
    assert (business_service, version, scope, system) == ("store", "1.2", "e2e", "postgresql")


def test_zipkin_of_node_shares_span_ids(tyto):
    trace_id = node("zipkin.js", f"{tyto.url}/api/v2/spans").rjust(32, "0")
    client, server, child = eventually(lambda: (lambda rows: rows if len(rows) == 3 else None)(tyto.sql(SPANS.format(trace_id))))
    by_kind = {span[3]: span for span in (client, server, child)}
    client, server, child = by_kind["client"], by_kind["server"], by_kind["unspecified"]
    # Both sides have one id on the wire: here the server's hangs below the client's, and its own work below it.
    assert client[0] != server[0] and server[1] == client[0] and child[1] == server[0] and client[1] is None
    assert (client[6], server[6], child[4:6]) == ("web", "shop", ("error", "no such item"))
    assert tyto.one("select attributes['network.peer.address'] from spans where kind = 'client'") == "10.0.0.2"
    assert tyto.one("select attributes['peer.service'] from spans where kind = 'client'") == "shop"
    [edge] = requests.get(f"{tyto.url}/jaeger/api/dependencies", timeout=60).json()["data"]
    assert edge == {"parent": "web", "child": "shop", "callCount": 1}


def test_py_zipkin(tyto):
    transport = SimpleHTTPTransport("127.0.0.1", int(tyto.http.rsplit(":", 1)[1]))
    attrs = ZipkinAttrs(trace_id="17133d482ba4f605", span_id="17133d482ba4f605", parent_span_id=None, flags="0", is_sampled=True)
    with zipkin_server_span("shop", "get /items", transport_handler=transport, encoding=Encoding.V2_JSON, zipkin_attrs=attrs):
        with zipkin_client_span("shop", "call", binary_annotations={"http.path": "/x"}) as client:
            client.add_sa_binary_annotation(port=9000, service_name="stock", host="10.1.2.3")
    rows = eventually(lambda: told(tyto, "000000000000000017133d482ba4f605"))
    assert sorted(rows) == [("call", "client", "unset", None, "shop"), ("get /items", "server", "unset", None, "shop")]


def test_jaeger_thrift_of_opentelemetry(tyto):
    spans = TracerProvider(resource=Resource.create({"service.name": "shop", "omd.team": "orders"}))
    spans.add_span_processor(BatchSpanProcessor(JaegerExporter(collector_endpoint=f"{tyto.url}/api/traces?format=jaeger.thrift")))
    tracer = spans.get_tracer("e2e", "0.1")
    with tracer.start_as_current_span("GET /items", kind=SpanKind.SERVER) as root:
        with tracer.start_as_current_span("select", kind=SpanKind.CLIENT, attributes={"rows": 3, "ratio": 0.5, "cached": True}) as child:
            child.set_status(Status(StatusCode.ERROR, "no such item"))
            child.add_event("retry", {"attempt": 2})
    assert spans.force_flush()
    trace_id = f"{root.get_span_context().trace_id:032x}"
    assert told(tyto, trace_id) == [("GET /items", "server", "unset", None, "shop"), ("select", "client", "error", "no such item", "shop")]
    trace = requests.get(f"{tyto.url}/tempo/api/v2/traces/{trace_id}", timeout=60).json()["trace"]
    found = [span for resource in trace["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"] if span["name"] == "select"]
    values = {entry["key"]: entry["value"] for entry in found[0]["attributes"]}
    assert {key: values[key] for key in ("rows", "ratio", "cached")} == {"rows": {"intValue": "3"}, "ratio": {"doubleValue": 0.5}, "cached": {"boolValue": True}}


def test_jaeger_of_node(tyto):
    trace_id = node("jaeger.js", f"{tyto.url}/api/traces").rjust(32, "0")
    spans = eventually(lambda: (lambda rows: rows if len(rows) == 3 else None)(tyto.sql(SPANS.format(trace_id))))
    root, charge, mail = ({span[2]: span for span in spans}[name] for name in ("POST /orders", "charge", "mail"))
    assert root[3:5] == ("server", "error") and charge[3:5] == ("client", "error") and charge[1] == root[0] == mail[1]
    # Seen through Jaeger's own API.
    [trace] = requests.get(f"{tyto.url}/jaeger/api/traces/{trace_id}", timeout=60).json()["data"]
    charge = next(span for span in trace["spans"] if span["operationName"] == "charge")
    tags = {tag["key"]: tag["value"] for tag in charge["tags"]}
    assert tags["peer.service"] == "payment" and tags["ratio"] == 0.5 and tags["error"] is True and tags["span.kind"] == "client"
    [log] = charge["logs"]
    assert {field["key"]: field["value"] for field in log["fields"]} == {"event": "error", "message": "declined", "attempt": 2}
    process = trace["processes"][charge["processID"]]
    assert process["serviceName"] == "checkout" and {"key": "node", "type": "float64", "value": 7.0} in process["tags"] or \
        {"key": "node", "type": "int64", "value": 7} in process["tags"]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "gzip"])
def test_jaeger_grpc(tyto, jaeger, compression):
    messages, services = jaeger
    now = int(time.time())
    process = messages.Process(service_name="shop", tags=[messages.KeyValue(key="hostname", v_str="web-1")])
    ids = [(7).to_bytes(16, "big"), (8).to_bytes(8, "big"), (9).to_bytes(8, "big")]
    root = messages.Span(trace_id=ids[0], span_id=ids[1], operation_name="GET", flags=1, tags=[messages.KeyValue(key="span.kind", v_str="server")])
    child = messages.Span(trace_id=ids[0], span_id=ids[2], operation_name="work", process=messages.Process(service_name="db"),
                          references=[messages.SpanRef(trace_id=ids[0], span_id=ids[1])],
                          tags=[messages.KeyValue(key="error", v_type=1, v_bool=True), messages.KeyValue(key="rows", v_type=2, v_int64=3)])
    for span in (root, child):
        span.start_time.FromSeconds(now)
        span.duration.FromMilliseconds(5)
    with grpc.insecure_channel(tyto.otlp_grpc, compression=compression) as channel:
        stub = services.CollectorServiceStub(channel)
        stub.PostSpans(messages.PostSpansRequest(batch=messages.Batch(spans=[root, child], process=process)), timeout=30)
        assert told(tyto, f"{7:032x}") == [("GET", "server", "unset", None, "shop"), ("work", "unspecified", "error", None, "db")]
        with pytest.raises(grpc.RpcError) as refused:
            stub.PostSpans(messages.PostSpansRequest(batch=messages.Batch(spans=[messages.Span()])), timeout=30)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "spans[0].traceId" in refused.value.details()
    assert tyto.one("select resource_attributes['host.name'] from spans where name = 'GET'") == "web-1"


def test_late_spans_join_their_trace(tyto):
    """Flushed to the lake, restarted, and then the rest of the trace comes, some of it by another protocol."""
    start = int((time.time() - 1800) * 1e6)
    span = lambda number, parent, service, at: {"traceId": "00000000000000000000000000000abc", "id": f"{number:016x}", "name": f"n{number}", "timestamp": at, "duration": 1000,
                                                **({"parentId": f"{parent:016x}"} if parent else {}), "localEndpoint": {"serviceName": service}}
    post = lambda spans: requests.post(f"{tyto.url}/api/v2/spans", json=spans, timeout=60)
    assert post([span(1, None, "web", start)]).status_code == 202
    tyto.flush()
    assert post([span(2, 1, "shop", start + 10)]).status_code == 202
    assert tyto.stop() == 0
    tyto.start()
    assert post([span(3, 2, "db", start + 20)]).status_code == 202
    names = lambda answer: [s["operationName"] for s in answer["data"][0]["spans"]]
    assert sorted(names(requests.get(f"{tyto.url}/jaeger/api/traces/abc", timeout=60).json())) == ["n1", "n2", "n3"]
    found = requests.get(f"{tyto.url}/jaeger/api/traces", params={"service": "db"}, timeout=60).json()
    assert sorted(names(found)) == ["n1", "n2", "n3"]


def test_what_is_refused_costs_only_itself(tyto):
    good = {"traceId": "a", "id": "1", "timestamp": int(time.time() * 1e6)}
    answer = requests.post(f"{tyto.url}/api/v2/spans", data=json.dumps([good, {**good, "traceId": "no"}]), headers={"Content-Type": "application/json"}, timeout=60)
    assert (answer.status_code, answer.text) == (400, '1 spans were refused: spans[1].traceId: "no" is no id: send 1 to 32 hexadecimal digits\n')
    assert tyto.one("select count(*) from spans") == 1
    assert tyto.metric("tyto_receive_rejected_records_total") == 1


def test_the_ports_that_clients_expect(tmp_path, jaeger):
    messages, services = jaeger
    with Tyto(tmp_path / "data", "--zipkin", "127.0.0.1:0", "--jaeger-http", "127.0.0.1:0", "--jaeger-grpc", "127.0.0.1:0") as tyto:
        assert requests.get(f"http://{tyto.ports['zipkin']}/health", timeout=10).json() == {"status": "UP"}
        node("zipkin.js", f"http://{tyto.ports['zipkin']}/api/v2/spans")
        node("jaeger.js", f"http://{tyto.ports['jaeger_http']}/api/traces")
        span = messages.Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, operation_name="GET")
        span.start_time.GetCurrentTime()
        with grpc.insecure_channel(tyto.ports["jaeger_grpc"]) as channel:
            services.CollectorServiceStub(channel).PostSpans(messages.PostSpansRequest(batch=messages.Batch(spans=[span])), timeout=30)
        assert eventually(lambda: tyto.one("select count(*) from spans") == 7)
