"""Clients of Prometheus that read from Tyto: Prometheus itself, promtool, Grafana's data source."""

import re
import struct
import subprocess
import time

import pytest
import requests

import remote
from prometheus import PROMTOOL, Prometheus
from server import Tyto, eventually
from test_prometheus_api import STALE, in_order, samples


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A Tyto with an hour of samples, flushed to the lake but for the last of them, and the end of that hour."""
    end = int(time.time()) - 20
    with Tyto(tmp_path_factory.mktemp("clients") / "tyto") as tyto:
        remote.write(requests, tyto.url, samples(end * 1000))
        tyto.flush()
        remote.write(requests, tyto.url, remote.series({"__name__": "late"}, [(end * 1000, 1)]))
        yield tyto, end


def read(tyto, matchers, start_ms, end_ms, forms=()):
    return requests.post(tyto.url + "/api/v1/read", data=remote.read_request(matchers, start_ms, end_ms, forms), timeout=60)


EVERYTHING = [(2, "__name__", ".+")]


def test_both_forms_of_remote_read_hold_the_same_samples(filled, tmp_path):
    tyto, end = filled
    plain = read(tyto, EVERYTHING, 0, 1 << 42)
    assert plain.ok and plain.headers["Content-Type"] == "application/x-protobuf" and plain.headers["Content-Encoding"] == "snappy"
    floats, histograms = remote.samples_of(plain.content)
    streamed = read(tyto, EVERYTHING, 0, 1 << 42, [remote.STREAMED_XOR_CHUNKS, remote.SAMPLES])
    assert streamed.headers["Content-Type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    chunks = remote.chunks_of(streamed.content)
    assert chunks.keys() == floats.keys() and len(chunks) > 50
    decoded = 0
    for labels, pieces in chunks.items():
        points = []
        for first, last, encoding, data in pieces:
            if encoding == 1:
                piece = remote.xor_samples(data)
                assert (piece[0][0], piece[-1][0]) == (first, last) and len(piece) <= 120
                points += piece
        assert points == floats[labels]
        decoded += len(points)
    assert decoded > 10_000
    stale = struct.unpack("<Q", struct.pack("<d", STALE))[0]
    assert floats[(("__name__", "ends"), ("job", "api"))][-1][1] == stale
    assert histograms[(("__name__", "native"),)] == 240

    # Prometheus makes the same bytes of the same samples.
    body = samples(end * 1000)
    with Prometheus(tmp_path / "prometheus") as prometheus:
        remote.write(requests, prometheus.url, body)
        theirs = remote.chunks_of(read(prometheus, EVERYTHING, 0, 1 << 42, [remote.STREAMED_XOR_CHUNKS]).content)
    same = 0
    for labels, pieces in theirs.items():
        exactly = [(0, name, value) for name, value in labels]
        for first, last, encoding, data in pieces:
            # It cuts series elsewhere: where it cuts, ask for just that piece.
            found = remote.chunks_of(read(tyto, exactly, first, last, [remote.STREAMED_XOR_CHUNKS]).content)[labels]
            # After a boundary of two hours Prometheus goes on in another chunk: that of histograms says in two bits whether a reset was
            # before it, which the answer to a question for just this piece cannot know.
            if encoding == 3:
                data = data[:2] + bytes([data[2] & 0x3F]) + data[3:]
            if len(found) == 1:
                # Where the bits end with a byte, Prometheus may have begun another one, with nothing in it.
                theirs_whole = data[:-1] if data == found[0][3] + b"\0" else data
                assert found == [(first, last, encoding, theirs_whole)], labels
                same += 1
            else:
                # More than the 120 samples of a chunk: the first of ours begins as theirs does, but for the count.
                assert data[2:].startswith(found[0][3][2:-1]), labels
    assert same > 40


def test_remote_read_narrows_and_refuses(filled):
    tyto, end = filled
    floats, _ = remote.samples_of(read(tyto, [(0, "__name__", "up"), (1, "job", "web"), (3, "instance", "b.*")], (end - 60) * 1000, (end - 30) * 1000).content)
    assert {dict(labels)["instance"] for labels in floats} == {"a:1", "c:3"}
    assert all((end - 60) * 1000 <= at <= (end - 30) * 1000 for points in floats.values() for at, _ in points)
    assert remote.samples_of(read(tyto, [(0, "__name__", "nothing")], 0, 1 << 42).content) == ({}, {})
    assert read(tyto, [(0, "__name__", "nothing")], 0, 1 << 42, [1]).content == b""

    unknown = read(tyto, EVERYTHING, 0, 1, [7])
    assert unknown.status_code == 400 and "does not support any of the requested response types" in unknown.text
    assert read(tyto, [(2, "job", "(")], 0, 1).status_code == 400
    for broken in (b"", b"\xff" * 9, remote.pack(b"\x0a\xff"), remote.varint(1 << 40)):
        assert requests.post(tyto.url + "/api/v1/read", data=broken, timeout=30).status_code == 400
    assert requests.get(tyto.url + "/api/v1/read", timeout=30).status_code == 405


def test_prometheus_reads_from_tyto(filled, tmp_path):
    """2.42 asks for samples and reads no native histograms; streamed chunks are held against those it writes itself."""
    tyto, end = filled
    config = f"remote_read: [{{url: {tyto.url}/api/v1/read, read_recent: true}}]"
    with Prometheus(tmp_path / "prometheus", config) as prometheus:
        for query in ["up", "sum by (job) (rate(http_requests_total[5m]))", "ends", "count_over_time(ends[1h])", "special", "late", "memory_bytes offset 10m", "topk(1, sum by (instance) (http_requests_total))", "nothing"]:
            # Between samples: 2.42 still takes what lies at a range's start.
            until = end - 7
            for path, times in [("query", {"time": until}), ("query_range", {"start": until - 1800, "end": until, "step": 60})]:
                answers = [
                    in_order(requests.get(f"{base}/api/v1/{path}", params={"query": query, **times}, timeout=60).json())
                    for base in (prometheus.url, tyto.url)
                ]
                theirs, ours = answers
                assert theirs["status"] == "success", theirs
                compare(theirs["data"]["result"], ours["data"]["result"], query)


def compare(theirs, ours, query):
    assert len(theirs) == len(ours), query
    for their, our in zip(theirs, ours):
        assert their["metric"] == our["metric"], query
        for key in ("value", "values", "histogram", "histograms"):
            assert flat(our.get(key)) == pytest.approx(flat(their.get(key)), rel=1e-9, nan_ok=True), (query, key)


def flat(found):
    """Every number in order."""
    if isinstance(found, dict):
        return [number for key in sorted(found) for number in flat(found[key])]
    if isinstance(found, list):
        return [number for item in found for number in flat(item)]
    return [] if found is None else [float(found)]


def test_federation(tyto, tmp_path):
    now = int(time.time() * 1000)
    remote.write(requests, tyto.url, b"".join([
        remote.series({"__name__": "up", "job": "a", "instance": "x:1"}, [(now - 20_000, 0), (now - 5000, 1)]),
        remote.series({"__name__": "up", "job": "gone"}, [(now - 20_000, 1), (now - 10_000, STALE)]),
        remote.series({"__name__": "up", "job": "old"}, [(now - 400_000, 1)]),
        remote.series({"__name__": "job:rate", "job": "quote\"\\\n"}, [(now - 5000, 1e-9)]),
        remote.series({"__name__": "http.hits"}, [(now - 5000, 5)]),
    ]))
    text = requests.get(tyto.url + "/federate", params={"match[]": ["up", '{__name__=~".+"}']}, timeout=30)
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    lines = text.text.splitlines()
    assert f'up{{instance="x:1",job="a"}} 1 {now - 5000}' in lines and "# TYPE up untyped" in lines
    assert f'job:rate{{job="quote\\"\\\\\\n",instance=""}} 1e-09 {now - 5000}' in lines
    assert f'http_hits{{instance=""}} 5 {now - 5000}' in lines
    assert "gone" not in text.text and "old" not in text.text
    assert requests.get(tyto.url + "/federate", timeout=30).text == ""
    bad = requests.get(tyto.url + "/federate", params={"match[]": "up{"}, timeout=30)
    assert (bad.status_code, bad.text.strip()) == (400, "1:4: parse error: unexpected end of input inside braces")
    openmetrics = requests.get(tyto.url + "/federate", params={"match[]": "up"}, headers={"Accept": "application/openmetrics-text"}, timeout=30)
    assert openmetrics.headers["Content-Type"].startswith("text/plain")

    config = f"""
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    scrape_interval: 1s
    params: {{"match[]": ['{{__name__=~".+"}}']}}
    static_configs: [{{targets: ["{tyto.http}"]}}]
"""
    with Prometheus(tmp_path / "prometheus", config) as prometheus:
        def scraped(query):
            answer = requests.get(prometheus.url + "/api/v1/query", params={"query": query}, timeout=30).json()
            return answer["data"]["result"]

        [found] = eventually(lambda: scraped('up{job="a"}'))
        assert (found["metric"]["instance"], found["value"][1]) == ("x:1", "1")
        [rate] = scraped("job:rate")
        assert rate["metric"] == {"__name__": "job:rate", "job": "quote\"\\\n"}
        assert not scraped('up{job="gone"}')
        health = requests.get(prometheus.url + "/api/v1/targets", timeout=30).json()["data"]["activeTargets"][0]
        assert (health["health"], health["lastError"]) == ("up", "")


def promtool(*arguments):
    assert PROMTOOL, "install it: apt-get install prometheus"
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_promtool(filled):
    tyto, end = filled
    code, out, _ = promtool("query", "instant", "--time", end, tyto.url, "up{job='api',instance='a:1'}")
    assert code == 0 and re.fullmatch(r'up\{instance="a:1", job="api"\} => [01] @\[\d+(\.\d+)?\]\n', out), out
    code, out, _ = promtool("query", "range", f"--start={end - 60}", f"--end={end}", "--step=30s", tyto.url, "sum(up)")
    assert code == 0 and len(out.splitlines()) == 4, out
    code, out, _ = promtool("query", "series", "--match=up{job='web'}", "--match=sparse", f"--start={end - 3600}", f"--end={end}", tyto.url)
    assert code == 0 and set(out.splitlines()) == {
        '{__name__="sparse"}', *(f'{{__name__="up", instance="{instance}", job="web"}}' for instance in ("a:1", "b:2", "c:3"))
    }
    code, out, _ = promtool("query", "labels", f"--start={end - 3600}", f"--end={end}", tyto.url, "code")
    assert code == 0 and out.splitlines() == ["200", "404", "500"]
    code, _, err = promtool("query", "instant", tyto.url, "sum(")
    assert code != 0 and 'invalid parameter "query": 1:5: parse error: unclosed left parenthesis' in err, err


# What Grafana's data source sends, in the order in which it does: saving the data source, the query editor, a panel.
GRAFANA = [
    ("POST", "query", {"query": "1+1", "time": "{end}"}, {"resultType": "scalar"}),
    ("GET", "status/buildinfo", {}, {"version": "3.5.0"}),
    ("GET", "rules", {}, {"groups": []}),
    ("POST", "labels", {"start": "{start}", "end": "{end}"}, ["__name__", "code", "instance", "job", "kind", "le"]),
    ("GET", "metadata", {"metric": "nothing"}, {}),
    ("GET", "metadata", {"limit_per_metric": "1", "limit": "40000"}, None),
    ("GET", "label/__name__/values", {"start": "{start}", "end": "{end}"}, None),
    ("GET", "label/__name__/values", {"start": "{start}", "end": "{end}", "limit": "3"}, ["ends", "http_requests_total", "late"]),
    ("GET", "label/job/values", {"start": "{start}", "end": "{end}", "match[]": '{__name__="up"}', "limit": "40000"}, ["api", "web"]),
    ("POST", "labels", {"start": "{start}", "end": "{end}", "match[]": '{__name__="up",job="api"}'}, ["__name__", "instance", "job"]),
    ("POST", "series", {"start": "{start}", "end": "{end}", "match[]": "sparse"}, [{"__name__": "sparse"}]),
    ("GET", "label/U____name__/values", {"match[]": "sparse"}, None),
    ("POST", "query_range", {"query": "sum(rate(http_requests_total[1m0s]))", "start": "{start}.000", "end": "{end}.000", "step": "15"}, {"resultType": "matrix"}),
    ("POST", "query", {"query": "up", "time": "{end}.123"}, {"resultType": "vector"}),
    ("POST", "query_exemplars", {"query": "up", "start": "{start}", "end": "{end}"}, []),
    ("POST", "format_query", {"query": "sum(up)by(job)"}, "sum by (job) (up)"),
    ("GET", "alerts", {}, {"alerts": []}),
]


def test_grafana_data_source(filled):
    tyto, end = filled
    fill = lambda text: text.replace("{start}", str(end - 3600)).replace("{end}", str(end))
    for method, path, parameters, expect in GRAFANA:
        parameters = {key: fill(value) for key, value in parameters.items()}
        where = {"params": parameters} if method == "GET" else {"data": parameters}
        response = requests.request(method, f"{tyto.url}/api/v1/{path}", timeout=60, headers={"Accept-Encoding": "gzip"}, **where)
        assert response.status_code == 200, (path, response.text)
        answer = response.json()
        assert answer["status"] == "success"
        data = answer["data"]
        if isinstance(expect, dict) and expect:
            assert expect.items() <= data.items(), path
        elif expect is not None:
            assert data == expect, path
        limit = int(parameters.get("limit", 0))
        assert (answer.get("warnings") == ["results truncated due to limit"]) == (limit == 3), answer.get("warnings")
    values = requests.get(f"{tyto.url}/api/v1/label/__name__/values", headers={"Accept-Encoding": "gzip"}, timeout=60)
    assert values.headers["Content-Encoding"] == "gzip"
    # Grafana takes a Prometheus that names features of Mimir for Mimir.
    assert "features" not in tyto.get("/api/v1/status/buildinfo")["data"]


def test_status_pages(filled):
    tyto, _ = filled
    stats = tyto.get("/api/v1/status/tsdb", limit=2)["data"]
    head = stats["headStats"]
    series = tyto.get("/api/v1/series", **{"match[]": '{__name__=~".+"}'})["data"]
    assert head["numSeries"] == len(series)
    assert head["numLabelPairs"] == len({pair for labels in series for pair in labels.items()})
    assert stats["seriesCountByMetricName"] == [{"name": "http_requests_total", "value": 18}, {"name": "latency_seconds_bucket", "value": 18}]
    assert stats["labelValueCountByLabelName"][0] == {"name": "__name__", "value": len({labels["__name__"] for labels in series})}
    assert {"name": "job=api", "value": 25} in tyto.get("/api/v1/status/tsdb")["data"]["seriesCountByLabelValuePair"]
    for limit, message in [("0", "limit must be a positive number"), ("x", "limit must be a positive number"), ("10001", "limit must not exceed 10000")]:
        refused = requests.get(tyto.url + "/api/v1/status/tsdb", params={"limit": limit}, timeout=30)
        assert (refused.status_code, refused.json()["error"]) == (400, message)

    runtime = tyto.get("/api/v1/status/runtimeinfo")["data"]
    assert runtime["hostname"] and runtime["CWD"].startswith("/") and runtime["reloadConfigSuccess"] is True and runtime["GOMAXPROCS"] > 0
    flags = tyto.get("/api/v1/status/flags")["data"]
    assert flags["storage.tsdb.path"] == str(tyto.data_dir) and flags["query.timeout"] == "2m" and "promql-duration-expr" in flags["enable-feature"]


def test_features_that_are_off(tmp_path):
    with Tyto(tmp_path / "data", "--promql-features", "promql-binop-fill-modifiers") as tyto:
        def refused(query, path="query"):
            response = requests.get(f"{tyto.url}/api/v1/{path}", params={"query": query}, timeout=30)
            assert response.status_code == 400
            return response.json()["error"]

        assert refused("info(up)") == 'invalid parameter "query": 1:1: parse error: function "info" is not enabled'
        assert refused("up smoothed", "parse_query").endswith("1:1: parse error: smoothed modifier is experimental and not enabled")
        tyto.promql("up + fill(0) up")
        remote.write(requests, tyto.url, remote.series({"__name__": "a_total", "job": "x"}, [(1_000_000, 1), (1_015_000, 2)]))
        # A function drops the name at once.
        query = 'label_replace(rate(a_total[1m]), "was", "$1", "__name__", "(.+)")'
        assert tyto.promql(query, time=1015)[0]["metric"] == {"job": "x"}
        assert tyto.get("/api/v1/status/flags")["data"]["enable-feature"] == "promql-binop-fill-modifiers"
