"""A small company's spans become metrics and a map, which outlive a restart, and CI is told where the map is not what was declared."""

import json
import subprocess
import time

import requests

from server import BINARY, Tyto, environment, eventually

OMD = """
business_services:
  - name: shop
    owners: [{team: shop}]
    services:
      - name: front
        components:
          - name: web
            match: [{service.name: web}]
            depends_on: [api, {database: orders-db}]
          - name: api
            match: [{service.name: api}]
"""


def attributes(**pairs):
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in pairs.items()]


def resource(service, *spans):
    return {"resource": {"attributes": attributes(service__name=service)}, "scopeSpans": [{"spans": list(spans)}]}


def span(trace, own, parent, kind, end_ns, failed=False, **tags):
    return {
        "traceId": f"{trace:032x}", "spanId": f"{own:016x}", "parentSpanId": f"{parent:016x}" if parent else "", "name": "work", "kind": kind,
        "startTimeUnixNano": str(end_ns - 50_000_000), "endTimeUnixNano": str(end_ns), "attributes": attributes(**tags),
        "status": {"code": 2} if failed else {},
    }


def visit(server, trace, end_ns):
    """A user asks web, which asks api in vain, and a database of which nobody knows."""
    web = [span(trace, 1, 0, 2, end_ns), span(trace, 2, 1, 3, end_ns, failed=True), span(trace, 4, 1, 3, end_ns, db__system__name="postgresql", server__address="carts-db")]
    body = {"resourceSpans": [resource("web", *web), resource("api", span(trace, 3, 2, 2, end_ns, failed=True))]}
    response = requests.post(server.url + "/v1/traces", json=body, timeout=30)
    assert response.ok, response.text


def edges(found):
    return {(edge["from"].split("/")[-1], edge["to"].split("/")[-1]): edge for edge in found["edges"] if edge["last_seen"]}


def drift(server, *arguments):
    return subprocess.run(
        [BINARY, "topology", "drift", "--server", server.url, *arguments], capture_output=True, text=True, env=environment(), timeout=120
    )


def test_the_map_the_metrics_and_the_drift(tmp_path):
    omd = tmp_path / "omd.yaml"
    omd.write_text(OMD)
    arguments = ["--catalog", str(omd), "--span-metrics-interval-seconds", "1", "--service-graph-wait-seconds", "1"]
    expected = {("user:user", "web"), ("web", "api"), ("web", "database:carts-db")}
    with Tyto(tmp_path / "data", *arguments) as server:
        now = time.time_ns()
        for trace in range(1, 11):
            visit(server, trace, now)
        visit(server, 11, now - 7200 * 10**9)
        map_of = lambda **parameters: server.get("/api/tyto/v1/topology", **parameters)
        found = eventually(lambda: (found := edges(map_of())) and set(found) == expected and found)
        failing = found["web", "api"]
        assert failing["declared"] and not found["web", "database:carts-db"]["declared"]
        assert abs(failing["errors_per_second"] - failing["requests_per_second"]) < 1e-9 and failing["p95_seconds"] > 0.03
        assert 1 <= int(failing["example_trace_id"], 16) <= 10
        # What came late is at its own time on the map, and in no counter of now.
        before = eventually(lambda: (before := edges(map_of(at=now / 1e9 - 7195))) and set(before) == expected and before)
        assert int(before["web", "api"]["example_trace_id"], 16) == 11
        [calls] = eventually(lambda: server.promql('traces_spanmetrics_calls_total{service="api"}'))
        assert calls["value"][1] == "10" and calls["metric"]["component"] == "api" and calls["metric"]["status_code"] == "STATUS_CODE_ERROR"
        [failed] = server.promql('traces_service_graph_request_failed_total{client="web", server="api"}')
        assert failed["value"][1] == "10" and failed["metric"]["business_service"] == "shop"
        [seconds] = server.promql('sum by (server) (increase(traces_service_graph_request_total{connection_type="database"}[10m]))')
        assert seconds["metric"]["server"] == "carts-db" and float(seconds["value"][1]) > 5

        differs = drift(server)
        assert differs.returncode == 1, differs.stderr
        assert "called, not declared" in differs.stdout and "database:carts-db" in differs.stdout and "database:orders-db" in differs.stdout
        omd.write_text(OMD.replace("orders-db", "carts-db"))
        assert requests.post(server.url + "/-/reload", timeout=30).ok
        agrees = drift(server, "--output", "json")
        assert agrees.returncode == 0 and json.loads(agrees.stdout)["drift"] is False, agrees.stdout
        assert server.stop() == 0
    nobody = drift(server)
    assert nobody.returncode == 2 and "cannot ask" in nobody.stderr

    with Tyto(tmp_path / "data", *arguments) as server:
        assert set(edges(server.get("/api/tyto/v1/topology"))) == expected
        # Counters begin anew, and say so.
        visit(server, 12, time.time_ns())
        [calls] = eventually(lambda: [found for found in server.promql('traces_spanmetrics_calls_total{service="api"}') if found["value"][1] == "1"])
        assert calls["metric"]["service"] == "api"
