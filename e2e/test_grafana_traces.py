"""The requests of Grafana's Tempo and Jaeger data sources in the order in which Explore makes them, streaming by a generated client among
them, and a trace of 100,000 spans."""

import time

import grpc
import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from test_trace_receivers import generated

HOUR = 3600


@pytest.fixture(scope="session")
def tempo(tmp_path_factory):
    return generated(tmp_path_factory, "tempo")


def shop(server, traces=30):
    """Traces of two services over the last two hours, every tenth of which fails; the instant of the newest, in seconds."""
    now = int(time.time())
    spans = []
    for number in range(traces):
        at = (now - 10 - number * 2 * HOUR // traces) * 10**6
        common = {"traceId": f"{number + 1:032x}"}
        failed = {"error": "true"} if number % 10 == 0 else {}
        spans.append({**common, "id": "1", "kind": "SERVER", "name": "GET /items", "timestamp": at, "duration": 5000 + number, "localEndpoint": {"serviceName": "web"}, "tags": {"http.path": "/items"}})
        spans.append({**common, "id": "2", "parentId": "1", "kind": "CLIENT", "name": "get", "timestamp": at + 100, "duration": 3000, "localEndpoint": {"serviceName": "web"}})
        spans.append({**common, "id": "3", "parentId": "2", "kind": "SERVER", "name": "lookup", "timestamp": at + 200, "duration": 2000, "localEndpoint": {"serviceName": "stock"}, "tags": {"shelf": str(number % 3), **failed}})
    answer = requests.post(f"{server.url}/api/v2/spans", json=spans, timeout=60)
    assert answer.status_code == 202, answer.text
    return now


def jaeger(server, path, status=200, **parameters):
    response = requests.get(f"{server.url}/jaeger/api/{path}", params=parameters, timeout=60)
    assert response.status_code == status, response.text
    answer = response.json()
    assert answer.keys() == {"data", "total", "limit", "offset", "errors"}
    return answer if status != 200 else answer["data"]


def test_jaeger_data_source(tyto):
    now = shop(tyto)
    # Save & test; the lists of the search form.
    assert jaeger(tyto, "services") == ["stock", "web"]
    assert jaeger(tyto, "services/web/operations") == ["GET /items", "get"]
    assert jaeger(tyto, "operations", service="web", spanKind="server") == [{"name": "GET /items", "spanKind": "server"}]
    # A search.
    span = {"start": (now - 6 * HOUR) * 10**6, "end": (now + 1) * 10**6, "lookback": "custom"}
    found = jaeger(tyto, "traces", service="stock", limit=20, **span)
    starts = [min(s["startTime"] for s in trace["spans"]) for trace in found]
    assert len(found) == 20 and starts == sorted(starts, reverse=True) and all(len(trace["spans"]) == 3 for trace in found)
    assert {process["serviceName"] for process in found[0]["processes"].values()} == {"web", "stock"}
    for wanted, count in [({"operation": "lookup", "tags": '{"error":"true"}'}, 3), ({"tags": '{"shelf":"1"}'}, 10), ({"tag": ["shelf:1", "error:true"]}, 1),
                          ({"minDuration": "3ms"}, 0), ({"maxDuration": "2ms", "minDuration": "1.5ms"}, 30), ({"operation": "nothing"}, 0)]:
        assert len(jaeger(tyto, "traces", service="stock", limit=100, **span, **wanted)) == count, wanted
    # One trace, several, one that is not there.
    [trace] = jaeger(tyto, "traces/1")
    by_id = {s["spanID"]: s for s in trace["spans"]}
    assert by_id[f"{3:016x}"]["references"] == [{"refType": "CHILD_OF", "traceID": f"{1:032x}", "spanID": f"{2:016x}"}]
    assert len(jaeger(tyto, "traces", traceID=["1", "2", "3"])) == 3
    assert jaeger(tyto, "traces/ffff", status=404)["errors"] == [{"code": 404, "msg": "trace not found"}]
    assert "service" in jaeger(tyto, "traces", status=400)["errors"][0]["msg"]
    # The graph of dependencies, over all of it and over the last hour.
    assert jaeger(tyto, "dependencies", endTs=now * 1000, lookback=24 * HOUR * 1000) == [{"parent": "web", "child": "stock", "callCount": 30}]
    [recent] = jaeger(tyto, "dependencies", endTs=now * 1000, lookback=HOUR * 1000)
    assert 14 <= recent["callCount"] <= 16
    assert jaeger(tyto, "dependencies", endTs=(now - 48 * HOUR) * 1000, lookback=1000) == []
    tyto.flush()
    assert jaeger(tyto, "dependencies") == [{"parent": "web", "child": "stock", "callCount": 30}]


def test_tempo_data_source(tyto, tempo):
    messages, _ = tempo
    now = shop(tyto)
    ask = lambda path, **parameters: requests.get(f"{tyto.url}/tempo/api/{path}", params=parameters, timeout=60)
    assert ask("echo").text == "echo" and ask("status/buildinfo").json()["version"].startswith("2.")
    scopes = {scope["name"]: scope["tags"] for scope in ask("v2/search/tags", start=now - 6 * HOUR, end=now).json()["scopes"]}
    assert "shelf" in scopes["span"] and "service.name" in scopes["resource"]
    values = ask("v2/search/tag/span.shelf/values", start=now - 6 * HOUR, end=now).json()["tagValues"]
    assert values == [{"type": "string", "value": str(shelf)} for shelf in range(3)]
    found = ask("search", q="{}", limit=5, start=now - 6 * HOUR, end=now + 1).json()["traces"]
    assert [trace["rootTraceName"] for trace in found] == ["GET /items"] * 5
    # A trace as Grafana reads it, and as people do.
    headers = {"Accept": "application/protobuf"}
    answer = requests.get(f"{tyto.url}/tempo/api/v2/traces/{found[0]['traceID']}", headers=headers, timeout=60)
    whole = messages.TraceByIDResponse.FromString(answer.content)
    assert whole.status == messages.COMPLETE and not whole.message
    assert sum(len(scope.spans) for resource in TracesData.FromString(whole.trace).resource_spans for scope in resource.scope_spans) == 3
    readable = ask(f"v2/traces/{found[0]['traceID']}").json()
    assert readable["status"] == "COMPLETE" and readable["metrics"].keys() == {"inspectedBytes"}
    assert ask("v2/traces/ffff").status_code == 404 == ask("traces/ffff").status_code
    assert ask("v2/traces/1", start=now - 30 * HOUR, end=now - 20 * HOUR).status_code == 404


def test_tempo_streaming(tyto, tempo):
    """By host and port of the data source's address alone, as Grafana does."""
    messages, services = tempo
    now = shop(tyto, 90)
    with grpc.insecure_channel(tyto.http) as channel:
        stub = services.StreamingQuerierStub(channel)
        span = {"start": now - 6 * HOUR, "end": now + 1}
        answers = list(stub.Search(messages.SearchRequest(query="{}", limit=80, **span), timeout=60))
        assert len(answers) == 3
        jobs = [(answer.metrics.completed_jobs, answer.metrics.total_jobs) for answer in answers]
        assert jobs == [(1, 3), (2, 3), (3, 3)]
        # The newest first; between only what is new; the last has all.
        newest, more, all_of_it = ([trace.trace_id for trace in answer.traces] for answer in answers)
        assert 0 < len(newest) < len(newest) + len(more) < len(all_of_it) == 80 and not set(newest) & set(more) and set(newest) | set(more) < set(all_of_it)
        starts = [trace.start_time_unix_nano for trace in answers[-1].traces]
        assert starts == sorted(starts, reverse=True) and answers[-1].traces[0].root_service_name == "web" and answers[-1].traces[0].duration_ms == 5
        # As many as are wanted end it early.
        assert len(list(stub.Search(messages.SearchRequest(query="{}", limit=2, **span), timeout=60))) == 1
        [tags] = stub.SearchTags(messages.SearchTagsRequest(start=span["start"], end=span["end"]), timeout=60)
        assert {"shelf", "service.name"} <= set(tags.tag_names)
        [tags] = stub.SearchTagsV2(messages.SearchTagsRequest(scope="span", **span), timeout=60)
        assert {scope.name: "shelf" in scope.tags for scope in tags.scopes}["span"]
        [values] = stub.SearchTagValues(messages.SearchTagValuesRequest(tag_name="service.name", **span), timeout=60)
        assert list(values.tag_values) == ["stock", "web"]
        [values] = stub.SearchTagValuesV2(messages.SearchTagValuesRequest(tag_name="span.shelf", **span), timeout=60)
        assert sorted(value.value for value in values.tag_values) == ["0", "1", "2"]
        for call, code in [(lambda: stub.Search(messages.SearchRequest(query="{ nonsense", **span), timeout=60), {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED}),
                           (lambda: stub.Search(messages.SearchRequest(query="{}", start=9, end=3), timeout=60), {grpc.StatusCode.INVALID_ARGUMENT}),
                           (lambda: stub.Unheard(messages.SearchRequest(), timeout=60), {grpc.StatusCode.UNIMPLEMENTED})]:
            try:
                list(call())
                raise AssertionError("it was answered")
            except grpc.RpcError as refused:
                assert refused.code() in code and refused.details(), refused


def test_a_trace_of_100_000_spans_opens(tyto, tempo):
    messages, _ = tempo
    at = int(time.time() - 600) * 10**6
    span = lambda number: {"traceId": "abc", "id": f"{number + 1:x}", "name": f"step {number % 100}", "timestamp": at + number, "duration": 50, "localEndpoint": {"serviceName": f"service-{number % 20}"},
                           "tags": {"http.path": "/items/{id}", "http.status_code": "200", "thread": str(number % 8)}, **({"parentId": f"{(number - 1) // 10 + 1:x}"} if number else {})}
    for first in range(0, 100_000, 10_000):
        answer = requests.post(f"{tyto.url}/api/v2/spans", json=[span(number) for number in range(first, first + 10_000)], timeout=120)
        assert answer.status_code == 202, answer.text
    tyto.flush()
    for path, headers, count in [
        ("tempo/api/v2/traces/abc", {"Accept": "application/protobuf"}, lambda body: sum(len(scope.spans) for resource in TracesData.FromString(messages.TraceByIDResponse.FromString(body.content).trace).resource_spans for scope in resource.scope_spans)),
        ("tempo/api/v2/traces/abc", {}, lambda body: sum(len(scope["spans"]) for resource in body.json()["trace"]["resourceSpans"] for scope in resource["scopeSpans"])),
        ("jaeger/api/traces/abc", {}, lambda body: len(body.json()["data"][0]["spans"])),
    ]:
        began = time.monotonic()
        answer = requests.get(f"{tyto.url}/{path}", headers=headers, timeout=120)
        seconds = time.monotonic() - began
        assert answer.status_code == 200 and count(answer) == 100_000
        memory = next(line for line in open(f"/proc/{tyto.process.pid}/status") if line.startswith("VmHWM"))
        print(f"{path} {headers}: {seconds:.2f} s, {len(answer.content) >> 20} MiB, {memory.split()[1]} KiB at most")
    # One that the limits cut says so.
    assert tyto.stop() == 0
    tyto.arguments = ("--query-memory-bytes-max", "4000000")
    tyto.start()
    partial = requests.get(f"{tyto.url}/tempo/api/v2/traces/abc", timeout=120).json()
    spans = sum(len(scope["spans"]) for resource in partial["trace"]["resourceSpans"] for scope in resource["scopeSpans"])
    assert partial["status"] == "PARTIAL" and "query_memory_bytes_max" in partial["message"] and 0 < spans < 100_000
    assert requests.get(f"{tyto.url}/tempo/api/traces/abc", timeout=120).status_code == 422
    assert "query_memory_bytes_max" in requests.get(f"{tyto.url}/jaeger/api/traces/abc", timeout=120).json()["errors"][0]["msg"]
