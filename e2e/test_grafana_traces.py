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
        for call, code in [(lambda: stub.Search(messages.SearchRequest(query="{}", start=9, end=3), timeout=60), grpc.StatusCode.INVALID_ARGUMENT),
                           (lambda: stub.Unheard(messages.SearchRequest(), timeout=60), grpc.StatusCode.UNIMPLEMENTED)]:
            refused(call, code)


def refused(call, code, words=""):
    try:
        list(call())
    except grpc.RpcError as error:
        assert error.code() == code and error.details() and words in error.details(), error
    else:
        raise AssertionError("it was answered")


def plain(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def test_traceql_streaming(tyto, tempo):
    """What the query editor asks with *Streaming* on: TraceQL in every call that takes it."""
    messages, services = tempo
    now = shop(tyto, 90)
    since = now - 3 * HOUR
    span, nanos = {"start": since, "end": now + 1}, {"start": since * 10**9, "end": now * 10**9}
    with grpc.insecure_channel(tyto.http) as channel:
        stub = services.StreamingQuerierStub(channel)

        def search(query, **more):
            return list(stub.Search(messages.SearchRequest(query=query, **{"limit": 100, "spans_per_span_set": 3, **span, **more}), timeout=60))

        # A search by attributes, what it matched, and the same over HTTP.
        failed = '{ resource.service.name = "stock" && status = error }'
        answers = search(failed)
        found = answers[-1].traces
        assert len(found) == 9 and all(trace.root_service_name == "web" and trace.root_trace_name == "GET /items" for trace in found)
        for trace in found:
            [matched] = trace.span_sets
            assert matched.matched == 1 == len(matched.spans) and matched.spans[0].duration_nanos == 2_000_000
            assert plain(matched.spans[0].attributes) == {"service.name": "stock", "status": "error"}
            assert trace.span_set == matched and trace.service_stats["stock"].error_count == 1
        assert answers[-1].metrics.completed_jobs == answers[-1].metrics.total_jobs == len(answers)
        over_http = requests.get(f"{tyto.url}/tempo/api/search", params={"q": failed, "limit": 100, "spss": 3, **span}, timeout=60).json()["traces"]
        assert [trace["traceID"] for trace in over_http] == [trace.trace_id for trace in found]
        # Between a span and the one below it, over several spans, with an attribute chosen, by an aggregate.
        assert len(search('{ name = "get" } > { span.shelf = "1" }')[-1].traces) == 30
        assert len(search('{ name = "GET /items" } && { span.shelf = "1" && status = error }')[-1].traces) == 3
        chosen = search('{ name = "lookup" } | select(span.shelf)', limit=5)[-1].traces
        assert len(chosen) == 5 and all(plain(trace.span_sets[0].spans[0].attributes)["shelf"] in "012" for trace in chosen)
        assert len(search("{ } | count() = 3")[-1].traces) == 90 and not search("{ } | count() > 3")[-1].traces
        # Whoever asks something else goes away in the middle; the server goes on.
        stream = stub.Search(messages.SearchRequest(query=failed, limit=100, **span), timeout=60)
        next(stream)
        stream.cancel()

        # Series of all the time, with examples, and one value.
        [answer] = stub.MetricsQueryRange(messages.QueryRangeRequest(
            query='{ name = "lookup" } | count_over_time() by (span.shelf)', step=600 * 10**9, exemplars=20, **nanos), timeout=60)
        series = {plain(each.labels)["span.shelf"]: each for each in answer.series}
        assert sorted(series) == ["0", "1", "2"] and answer.status == messages.COMPLETE
        for each in series.values():
            times = [sample.timestamp_ms for sample in each.samples]
            assert sum(sample.value for sample in each.samples) == 30 and times == sorted(times) and {b - a for a, b in zip(times, times[1:])} == {600_000}
        labels = [plain(example.labels) for each in series.values() for example in each.exemplars]
        assert labels and all(int(each["trace:id"], 16) <= 90 for each in labels)
        [answer] = stub.MetricsQueryRange(messages.QueryRangeRequest(query='{ name = "lookup" } | rate()', step=60 * 10**9, **nanos), timeout=60)
        [rates] = answer.series
        assert abs(sum(sample.value for sample in rates.samples) * 60 - 90) < 1e-6
        [answer] = stub.MetricsQueryInstant(messages.QueryInstantRequest(query='{ status = error } | count_over_time() by (resource.service.name)', **nanos), timeout=60)
        assert [(plain(each.labels), each.value) for each in answer.series] == [({"resource.service.name": "stock"}, 9.0)]
        [answer] = stub.MetricsQueryInstant(messages.QueryInstantRequest(query='{ name = "lookup" } | max_over_time(duration)', **nanos), timeout=60)
        assert [each.value for each in answer.series] == [0.002]

        # What is offered while a query is typed: of what it matches already, and of all when it is not complete.
        [tags] = stub.SearchTagsV2(messages.SearchTagsRequest(query='{ resource.service.name = "web" }', **span), timeout=60)
        of_web = {scope.name: set(scope.tags) for scope in tags.scopes}
        assert "http.path" in of_web["span"] and "shelf" not in of_web["span"] and "service.name" in of_web["resource"] and "status" in of_web["intrinsic"]
        for tag, query, expected in [("resource.service.name", '{ span.shelf = "1" }', ["stock"]), ("name", '{ resource.service.name = "web" }', ["GET /items", "get"]),
                                     ("span.shelf", "{ span.shelf = ", ["0", "1", "2"]), ("span.shelf", '{ name = "nothing" }', [])]:
            [values] = stub.SearchTagValuesV2(messages.SearchTagValuesRequest(tag_name=tag, query=query, **span), timeout=60)
            assert sorted(value.value for value in values.tag_values) == expected, (tag, query)

        invalid = grpc.StatusCode.INVALID_ARGUMENT
        refused(lambda: search("{ nonsense"), invalid, "nonsense")
        refused(lambda: search("{ } | rate()"), invalid)
        refused(lambda: stub.MetricsQueryRange(messages.QueryRangeRequest(query="{ }", step=10**9, **nanos), timeout=60), invalid)
        refused(lambda: stub.MetricsQueryInstant(messages.QueryInstantRequest(query="{ } | rate(", **nanos), timeout=60), invalid)
        refused(lambda: stub.MetricsQueryRange(messages.QueryRangeRequest(query="{ } | rate()", start=9, end=3), timeout=60), invalid, "end")


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
