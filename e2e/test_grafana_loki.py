"""The requests of Grafana's Loki data source in the order in which Explore and Logs Drilldown make them, and the shapes that both read.
Live streaming is in test_tail.py."""

import datetime
import json
import time

import requests

from test_tail import push

TAGS = {"X-Query-Tags": "Source=logvolhist"}
APART = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
HOUR = 3600 * 10**9


def ask(server, path, headers=None, **parameters):
    response = requests.get(f"{server.url}/loki/api/v1/{path}", params=parameters, headers=headers, timeout=60)
    assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
    assert response.headers["Content-Type"].startswith("application/json")
    return response.json()


def result(answer, kind):
    """What stands in `data`, after a look at everything that Grafana's reader wants around it."""
    assert answer["status"] == "success" and answer["data"]["resultType"] == kind
    assert answer["data"]["stats"]["summary"].keys() >= {"bytesProcessedPerSecond", "totalBytesProcessed", "totalLinesProcessed", "execTime"}
    return answer["data"]["result"]


def shop(server):
    """Two services, one in JSON; the instant of the newest line."""
    now = time.time_ns()
    levels = ["info", "info", "info", "error"]
    rows = [json.dumps({"level": levels[at % 4], "status": 200 + 300 * (at % 4 == 3), "took": f"{at}ms"}) for at in range(40)]
    push(server, [
        ({"service_name": "shop", "namespace": "prod"}, [(now - (40 - at) * 10**9, row) for at, row in enumerate(rows)]),
        ({"service_name": "mail", "namespace": "prod"}, [(now - 5 * 10**9, "level=warn sent=3")]),
    ])
    return now


def test_explore(tyto):
    now = shop(tyto)
    span = {"start": now - HOUR, "end": now + 10**9}
    # Save & test, and the version that decides what is asked.
    [sample] = result(ask(tyto, "query", query="vector(1)+vector(1)", time=4 * 10**9, direction="backward"), "vector")
    assert (sample["metric"], sample["value"][1]) == ({}, "2")
    assert ask(tyto, "status/buildinfo")["version"].startswith("3.")
    # The builder: names, values behind other matchers, series.
    assert {"service_name", "namespace"} <= set(ask(tyto, "labels", **span)["data"])
    assert ask(tyto, "label/service_name/values", query='{namespace="prod"}', **span)["data"] == ["mail", "shop"]
    assert {series["service_name"] for series in ask(tyto, "series", **{"match[]": '{namespace="prod"}'}, **span)["data"]} == {"mail", "shop"}
    # The hint of how much will be read.
    stats = ask(tyto, "index/stats", query='{service_name="shop"}', **span)
    assert stats.keys() == {"streams", "chunks", "entries", "bytes"} and (stats["streams"], stats["entries"]) == (1, 40)
    # Run: the lines, and beside them the histogram by level.
    query = '{service_name="shop"} | json'
    answer = ask(tyto, "query_range", APART, query=query, direction="backward", limit=1000, step="15000ms", **span)
    assert answer["data"]["encodingFlags"] == ["categorize-labels"]
    [stream] = result(answer, "streams")
    times = [int(value[0]) for value in stream["values"]]
    assert stream["stream"]["namespace"] == "prod" and len(times) == 40 and times == sorted(times, reverse=True)
    assert stream["values"][0][2]["parsed"] == {"level": "error", "status": "500", "took": "39ms"}
    histogram = f"sum by (level, detected_level) (count_over_time({query} | drop __error__[15s]))"
    series = result(ask(tyto, "query_range", TAGS, query=histogram, direction="backward", step="15000ms", **span), "matrix")
    assert {line["metric"]["level"]: sum(int(value) for _, value in line["values"]) for line in series} == {"info": 30, "error": 10}
    # A stat panel, and the sample of lines beneath a metric.
    [sample] = result(ask(tyto, "query", query=f"sum(rate({query} | status=`500`[1h]))", time=now, direction="backward"), "vector")
    assert float(sample["value"][1]) == 10 / 3600
    assert result(ask(tyto, "query_range", {"X-Query-Tags": "Source=logsample"}, query=query, limit=100, step="15000ms", **span), "streams")
    # Lines around a line, on both sides.
    middle = times[20]
    for direction, start, end in [("backward", middle - 2 * HOUR, middle), ("forward", middle, middle + 2 * HOUR)]:
        around = ask(tyto, "query_range", query='{service_name="shop", namespace="prod"}', direction=direction, limit=5, start=start, end=end, step="1000ms")
        found = [int(value[0]) for stream in result(around, "streams") for value in stream["values"]]
        expect = [at for at in times if at < middle][:5] if direction == "backward" else sorted(at for at in times if at >= middle)[:5]
        assert sorted(found) == sorted(expect)
    # What is wrong is text, which Grafana shows.
    response = requests.get(tyto.url + "/loki/api/v1/query_range", params={"query": "{service_name=", **span}, timeout=30)
    assert response.status_code == 400 and "parse error at line 1, col" in response.text


def test_drilldown(tyto):
    now = shop(tyto)
    iso = {name: datetime.datetime.fromtimestamp(at / 10**9, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
           for name, at in [("start", now - HOUR), ("end", now + 10**9)]}
    span = {"start": now - HOUR, "end": now + 10**9}
    limits = ask(tyto, "drilldown-limits")
    assert limits.keys() >= {"limits", "pattern_ingester_enabled", "version"} and limits["limits"]["volume_enabled"] is True
    # The first page: services by their volume.
    volume = ask(tyto, "index/volume", query="{service_name=~`.+`}", limit=5000, targetLabels="service_name", **iso)
    sizes = {sample["metric"]["service_name"]: int(sample["value"][1]) for sample in result(volume, "vector")}
    assert list(sizes) == ["shop", "mail"] and sizes["mail"] == len("level=warn sent=3")
    panel = "sum by (detected_level) (count_over_time({service_name=`shop`} | drop __error__ [10s]))"
    series = result(ask(tyto, "query_range", query=panel, step="10000ms", direction="backward", **span), "matrix")
    assert sum(int(value) for line in series for _, value in line["values"]) == 40
    # A service: its labels, its fields, their values, a panel of each.
    labels = {label["label"]: label["cardinality"] for label in ask(tyto, "detected_labels", query="{service_name=`shop`}", **iso)["detectedLabels"]}
    assert labels["namespace"] == 1
    by_label = "sum(count_over_time({service_name=`shop` ,namespace != \"\"} [10s])) by (namespace)"
    assert result(ask(tyto, "query_range", query=by_label, step="10000ms", **span), "matrix")[0]["metric"] == {"namespace": "prod"}
    fields = {field["label"]: field for field in ask(tyto, "detected_fields", query="{service_name=`shop`}", limit=1000, **iso)["fields"]}
    assert (fields["status"]["type"], fields["status"]["cardinality"], fields["status"]["parsers"]) == ("int", 2, ["json"])
    assert fields["took"]["type"] == "duration"
    assert sorted(ask(tyto, "detected_field/status/values", query="{service_name=`shop`}", **iso)["values"]) == ["200", "500"]
    by_field = "sum by (status) (count_over_time({service_name=`shop`} | json | logfmt | drop __error__, __error_details__ | status!=\"\" [10s]))"
    series = result(ask(tyto, "query_range", query=by_field, step="10000ms", **span), "matrix")
    assert {line["metric"]["status"]: sum(int(value) for _, value in line["values"]) for line in series} == {"200": 30, "500": 10}
    by_duration = "avg_over_time({service_name=`shop`} | json took=\"took\" | drop __error__, __error_details__ | took!=\"\" | unwrap duration(took) [1h]) by ()"
    [line] = result(ask(tyto, "query_range", query=by_duration, step="3600000ms", start=now, end=now), "matrix")
    assert abs(float(line["values"][0][1]) - 0.0195) < 1e-9
    # The lines of one value.
    lines = "{service_name=`shop`} | json | logfmt | drop __error__, __error_details__ | status=`500`"
    answer = ask(tyto, "query_range", APART, query=lines, limit=1000, direction="backward", step="10000ms", **span)
    assert sum(len(stream["values"]) for stream in result(answer, "streams")) == 10
