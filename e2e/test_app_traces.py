"""An app of two services with OpenTelemetry's automatic instrumentations, Python's and JavaScript's: from the map's red edge to the
GetItem that fails, its 404, its metadata and its log lines, through the APIs and in the browser."""

import os
import shutil
import subprocess

import pytest

from clinic import APP, Clinic
from server import BINARY, ROOT, Tyto, environment, eventually

BUSINESS = "registration"
REGISTRATION, DOCTORS = "component:registration/patients/registration-api", "component:registration/doctors/doctors-api"
POSTGRES, DYNAMODB, QUEUE = "database:localhost", "database:dynamodb.amazonaws.com", "queue:registrations"
EDGES = {
    ("user:user", REGISTRATION): "call",
    (REGISTRATION, DOCTORS): "call",
    (REGISTRATION, POSTGRES): "database",
    (REGISTRATION, DYNAMODB): "database",
    (REGISTRATION, QUEUE): "messaging",
    (QUEUE, DOCTORS): "messaging",
    (DOCTORS, POSTGRES): "database",
    (DOCTORS, DYNAMODB): "database",
}
ENTITIES = {
    REGISTRATION, DOCTORS, POSTGRES, DYNAMODB, QUEUE, "user:user", "business_service:registration", "service:registration/patients",
    "service:registration/doctors",
}
WELL, BROKEN = 6, 4
# As OTLP's JSON writes them.
ERROR, SERVER, CLIENT = 2, 2, 3


@pytest.fixture(params=["", "http,database"], ids=["older conventions", "current conventions"])
def clinic(request, tmp_path):
    """It has registered patients and told some of them their doctor; the clinic of the south has none, because its table is missing."""
    arguments = ["--catalog", str(APP / "omd.yaml"), "--span-metrics-interval-seconds", "1", "--service-graph-wait-seconds", "5"]
    with Tyto(tmp_path / "data", *arguments) as server, Clinic(server, tmp_path, OTEL_SEMCONV_STABILITY_OPT_IN=request.param) as clinic:
        north, south = clinic.register("Ada", "north"), clinic.register("Bea", "south")
        for _ in range(WELL):
            assert clinic.doctor_of(north).json() == {"doctor": "Dr. Minot"}
        for _ in range(BROKEN):
            assert clinic.doctor_of(south).status_code == 404
        eventually(lambda: clinic.welcomed() == 2, timeout=60)
        yield clinic


def drawn(server):
    """The map, once all that is expected is on it and has been counted, and nothing waits for its other side that could be drawn as another."""
    alone = 'sum(traces_service_graph_unpaired_spans_total{client="doctors-api"}) >= %d' % (WELL + BROKEN)
    eventually(lambda: server.promql(alone), timeout=60)
    counted = {(DOCTORS, DYNAMODB): WELL + BROKEN, (REGISTRATION, DOCTORS): WELL + BROKEN, (REGISTRATION, QUEUE): 2, (QUEUE, DOCTORS): 1}

    def found():
        found = server.get("/api/tyto/v1/topology")
        seen = {(edge["from"], edge["to"]): edge for edge in found["edges"] if edge["last_seen"]}
        seconds = found["end"] - found["start"]
        is_whole = set(EDGES) <= set(seen) and all(seen[edge]["requests_per_second"] * seconds > count - 0.5 for edge, count in counted.items())
        return is_whole and (found, seen)

    return eventually(found, timeout=60)


def spans_of(server, trace_id):
    found = server.get(f"/tempo/api/v2/traces/{trace_id}")["trace"]["resourceSpans"]
    value = lambda given: next(iter(given.values()))
    return [{**span, "attributes": {each["key"]: value(each["value"]) for each in span.get("attributes", [])}}
            for resource in found for scope in resource["scopeSpans"] for span in scope["spans"]]


def test_from_the_red_edge_to_the_failing_call(clinic, tmp_path):
    server = clinic.server
    found, seen = drawn(server)
    assert {edge: each["kind"] for edge, each in seen.items()} == EDGES
    assert {entity["id"] for entity in found["entities"]} == ENTITIES
    assert all(each["declared"] or edge[0] == "user:user" for edge, each in seen.items()) and not found["warnings"]
    differs = subprocess.run([BINARY, "topology", "drift", "--server", server.url], capture_output=True, text=True, env=environment(), timeout=120)
    assert differs.returncode == 0, differs.stdout + differs.stderr

    # Red are the call of DynamoDB and the one that it makes fail.
    red = {edge: each for edge, each in seen.items() if each["errors_per_second"] > 0}
    assert set(red) == {(DOCTORS, DYNAMODB), (REGISTRATION, DOCTORS)}
    for each in red.values():
        assert abs(each["errors_per_second"] / each["requests_per_second"] - BROKEN / (WELL + BROKEN)) < 1e-9

    # Its example is a trace of both services, with the call that failed.
    trace_id = red[DOCTORS, DYNAMODB]["example_trace_id"]
    spans = spans_of(server, trace_id)
    [get] = [span for span in spans if span["name"] == "DynamoDB.GetItem"]
    assert get["status"] == {"code": ERROR, "message": "Requested resource not found"} and get["kind"] == CLIENT
    expected = {"rpc.system": "aws-api", "rpc.service": "DynamoDB", "rpc.method": "GetItem", "db.operation.name": "GetItem",
                "cloud.region": "eu-west-1", "http.response.status_code": "400"}
    assert expected.items() <= get["attributes"].items()
    assert get["attributes"]["aws.dynamodb.table_names"] == {"values": [{"stringValue": "doctors-south"}]}
    [exception] = get["events"]
    assert {"key": "exception.type", "value": {"stringValue": "ResourceNotFoundException"}} in exception["attributes"]
    statuses = [span["attributes"].get("http.response.status_code") or span["attributes"].get("http.status_code")
                for span in spans if span["kind"] == SERVER]
    assert statuses == ["404", "404"]

    # TraceQL finds it, by the call and by the 404 above it.
    def search(query):
        return {trace["traceID"].zfill(32) for trace in server.get("/tempo/api/search", q=query, limit=50)["traces"]}

    failing = search('{ span.rpc.method = "GetItem" && status = error }')
    assert trace_id in failing and len(failing) == BROKEN
    assert search('{ kind = server && span.http.response.status_code = 404 } > { span.rpc.method = "GetItem" && status = error }') == failing
    python = "http.status_code" if "older" in os.environ["PYTEST_CURRENT_TEST"] else "http.response.status_code"
    assert search(f'{{ resource.service.name = "registration-api" && span.{python} = 404 }} >> {{ status = error && name = "DynamoDB.GetItem" }}') == failing

    # So do its log lines, of both services.
    def lines():
        streams = server.logql(f'{{business_service="{BUSINESS}"}} | trace_id="{trace_id}"')
        found = {(stream["stream"]["component"], line) for stream in streams for _, line, *_ in stream["values"]}
        return len(found) >= 2 and found

    found = eventually(lines)
    assert ("doctors-api", "GetItem of doctors-south failed: ResourceNotFoundException") in found
    assert any(component == "registration-api" and "has no doctor" in line for component, line in found)

    # And the message that went through the queue is one way, by its link.
    [through] = [each for each in server.promql('traces_service_graph_request_total{connection_type="messaging_system"}')]
    assert (through["metric"]["client"], through["metric"]["server"]) == ("registration-api", "doctors-api")

    walk_in_browser(server, tmp_path)


def walk_in_browser(server, folder):
    images = os.environ.get("IMAGES_DIR") or folder / "images"
    variables = {**environment(), "BASE_URL": server.url, "IMAGES_DIR": str(images)}
    walked = subprocess.run([shutil.which("node"), ROOT / "ui" / "e2e" / "app.mjs"], env=variables, capture_output=True, text=True, timeout=180)
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert "three clicks" in walked.stdout
