"""Tyto beside Debian's Prometheus: both hold the same samples, and clients must not be able to tell them apart."""

import json
import math
import re
import struct
import time

import pytest
import requests

import remote
from prometheus import Prometheus
from server import Tyto

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
STEP_MS = 15_000
STEPS = 240


def samples(end_ms):
    """Counters with resets, gauges, a classic histogram, series that end, gaps, and a native histogram; an hour until `end_ms`."""
    start = end_ms - STEPS * STEP_MS
    at = [start + step * STEP_MS for step in range(STEPS)]
    out = []

    def add(labels, points, histograms=()):
        out.append(remote.series(labels, points, histograms))

    for job in ("api", "web"):
        for instance in ("a:1", "b:2", "c:3"):
            base = {"job": job, "instance": instance}
            rate = len(job) + ord(instance[0]) % 7
            add({"__name__": "up", **base}, [(t, int((index // 40 + rate) % 5 > 0)) for index, t in enumerate(at)])
            for code in ("200", "404", "500"):
                add({"__name__": "http_requests_total", "code": code, **base},
                    [(t, index % 150 * rate * (1 + int(code) / 250)) for index, t in enumerate(at)])
            add({"__name__": "memory_bytes", **base}, [(t + 137 * (index % 3), 1e9 + math.sin(index / rate) * 1e8) for index, t in enumerate(at)])
            for bound in ("0.1", "1", "+Inf"):
                add({"__name__": "latency_seconds_bucket", "le": bound, **base},
                    [(t, index * rate * {"0.1": 1, "1": 2, "+Inf": 3}[bound]) for index, t in enumerate(at)])
    add({"__name__": "ends", "job": "api"}, [(t, index) for index, t in enumerate(at[:100])] + [(at[100], STALE)])
    add({"__name__": "sparse"}, [(t, 1 / 3) for t in at[::30]])
    add({"__name__": "special", "kind": "nan"}, [(t, math.nan) for t in at])
    add({"__name__": "special", "kind": "inf"}, [(t, math.inf) for t in at])
    add({"__name__": "special", "kind": "tiny"}, [(t, -1e-9) for t in at])
    add({"__name__": "special", "kind": "quote\"back\\slash\nline é🦉"}, [(t, 1e21) for t in at])
    add({"__name__": "native"}, (), [
        remote.histogram(t, 3 * index + 6, index * 1.5, index, ([(-2, 2), (3, 1)], [index + 1, index + 2, 2]), ([(0, 1)], [1]))
        for index, t in enumerate(at)
    ])
    return b"".join(out)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Both servers and the last full second that they hold samples of."""
    folder = tmp_path_factory.mktemp("api")
    end = int(time.time()) - 20
    with Tyto(folder / "tyto") as tyto, Prometheus(folder / "prometheus") as prometheus:
        body = samples(end * 1000)
        for url in (tyto.url, prometheus.url):
            remote.write(requests, url, body)
        yield tyto, prometheus, end


def close(ours, theirs):
    """Equal, numbers in texts by value: sums may be added up in another order."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and ours.keys() == theirs.keys() and all(close(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(close, ours, theirs))
    if ours == theirs or isinstance(theirs, bool) or type(ours) is not type(theirs):
        return ours == theirs
    try:
        return float(ours) == pytest.approx(float(theirs), rel=1e-9, nan_ok=True)
    except (TypeError, ValueError):
        return False


def in_order(answer):
    """Series of one answer by their labels: which comes first is said by nobody."""
    data = answer.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        data["result"].sort(key=lambda series: json.dumps(series["metric"], sort_keys=True))
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        data.sort(key=lambda series: json.dumps(series, sort_keys=True))
    return answer


QUERIES = [
    "up", "up{job='api'}", "up{job=~'a.*',instance!~'b.*'}", "{__name__=~'up|sparse'}", "1", "-1 ^ 2", "'text'", "1 + 2 * 3 % 4", "time()",
    "vector(1)", "scalar(up{job='api',instance='a:1'})", "http_requests_total offset 10m", "http_requests_total offset -1m",
    "http_requests_total @ end()", "rate(http_requests_total[5m])", "increase(http_requests_total{code='500'}[10m])",
    "irate(http_requests_total[2m])", "delta(memory_bytes[5m])", "deriv(memory_bytes[10m])", "idelta(memory_bytes[5m])",
    "resets(http_requests_total[1h])", "changes(up[1h])", "predict_linear(memory_bytes[10m], 600)",
    "avg_over_time(memory_bytes[5m])", "max_over_time(memory_bytes[5m])", "min_over_time(memory_bytes[5m])", "sum_over_time(up[10m])",
    "count_over_time(ends[30m])", "quantile_over_time(0.9, memory_bytes[10m])", "stddev_over_time(memory_bytes[10m])",
    "stdvar_over_time(up[10m])", "last_over_time(sparse[10m])", "present_over_time(sparse[10m])", "absent_over_time(nothing[5m])",
    "absent(nothing{a='b'})", "absent(up)", "sum(up)", "sum by (job) (up)", "sum without (instance) (up)", "avg(memory_bytes)",
    "min(memory_bytes) by (job)", "max by (instance) (memory_bytes)", "count(http_requests_total) by (code)", "group(up)",
    "stddev(memory_bytes)", "stdvar by (job) (memory_bytes)", "topk(2, memory_bytes)", "bottomk(1, memory_bytes) by (job)",
    "quantile(0.5, memory_bytes)", "count_values('value', up)", "up + on(job, instance) memory_bytes",
    "http_requests_total / on(job, instance) group_left up", "up == 1", "up > bool 0", "up and memory_bytes", "up or sparse",
    "up unless on(job) up{instance='a:1'}", "memory_bytes % 7", "abs(special)", "ceil(memory_bytes / 3)", "clamp(memory_bytes, 0, 1e9)",
    "clamp_max(up, 0)", "floor(sparse)", "round(memory_bytes, 1000)", "sgn(special)", "sqrt(up)", "exp(up)", "ln(memory_bytes)",
    "log2(memory_bytes)", "log10(memory_bytes)", "sin(up)", "deg(up)", "pi()", "sort(memory_bytes)", "sort_desc(memory_bytes)",
    "timestamp(memory_bytes)", "hour(vector(1.7e9))", "day_of_week()", "days_in_month(vector(1.7e9))", "year(vector(1.7e9))",
    "histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))", "histogram_quantile(0.5, sum by (le) (latency_seconds_bucket))",
    "label_replace(up, 'host', '$1', 'instance', '(.*):.*')", "label_join(up, 'both', '-', 'job', 'instance')",
    "max_over_time(rate(http_requests_total[5m])[30m:1m])", "avg_over_time(up[10m:])", "special", "ends", "native", "histogram_count(native)",
    "histogram_sum(native)", "up[1m]", "native[1m]", "ends[1h]",
]

BAD_QUERIES = [
    "", " ", "up{", "up}", "sum(", "up[5m", "up[", "up[0s]", "up[5", "rate(up)", "nope()", "up + ", "up{job='a'", "up{job=}", "up{job=~'('}", "{}",
    "{job=''}", "{job=~'.*'}", "1 and 2", "1 == 2", "up and 1", "sum by (job", "topk(up)", "topk('a', up)", "rate(up[5m], 1)", "label_replace(up, 'a')",
    "up offset", "up offset 5m offset 6m", "'unterminated", "up @ 'x'", "count_values(1, up)", "up[5m:1m", "sum(up) by (job) extra",
    "up{job='a',job2}", "bool", "up on(job) up", "up + bool up", "up * on(job) group_left(job) up", "up{__name__='x'}", "5m5", "1.2.3", "up[5m][5m]",
    "avg(up[5m])", "-'a'", "vector('a')", "time(1)", "'a' + 1", "a{b=\"\\q\"}", "()", "up!", "sum without", "histogram_quantile(up)", "absent('x')",
]

LABELS = [
    ("labels", {}), ("labels", {"match[]": "up"}), ("labels", {"match[]": ["up", "sparse"]}), ("label/job/values", {}),
    ("label/__name__/values", {}), ("label/instance/values", {"match[]": "up{job='api'}"}), ("label/nope/values", {}),
    ("label/kind/values", {"match[]": ["special{kind=~'i.*'}", "up"]}), ("series", {"match[]": "up"}), ("series", {"match[]": ["up", "sparse", "up{job='api'}"]}),
    ("series", {"match[]": "nothing"}), ("series", {"match[]": "{kind='nan'}"}), ("label/le/values", {}), ("label/__name__/values", {"match[]": "{code=~'4..'}"}),
]

BAD_REQUESTS = [
    ("query", {"query": "up", "time": "yesterday"}), ("query", {"query": "up", "timeout": "soon"}), ("query_range", {"query": "up"}),
    ("query_range", {"query": "up", "start": "x", "end": "1", "step": "1"}), ("query_range", {"query": "up", "start": "1", "end": "y", "step": "1"}),
    ("query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}), ("query_range", {"query": "up", "start": "1", "end": "2"}),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}), ("query_range", {"query": "up", "start": "1", "end": "2", "step": "-5"}),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "1.5m"}), ("query_range", {"query": "up", "start": "1", "end": "2", "step": "1e300"}),
    ("query_range", {"query": "up", "start": "0", "end": "12000", "step": "1"}), ("query_range", {"query": "up[5m]", "start": "1", "end": "2", "step": "1"}),
    ("query_range", {"query": "'a'", "start": "1", "end": "2", "step": "1"}), ("query_range", {"query": "sum(", "start": "1", "end": "2", "step": "1"}),
    ("series", {}), ("series", {"match[]": "up{"}), ("series", {"match[]": "{}"}), ("series", {"match[]": "up", "start": "x"}), ("labels", {"match[]": "{"}),
    ("labels", {"match[]": "{job=''}"}), ("labels", {"end": "never"}), ("label/job/values", {"match[]": "sum(up)"}), ("label/job/values", {"start": "z"}),
    ("metadata", {"limit": "many"}), ("query_exemplars", {"query": "sum("}), ("query_exemplars", {"query": "up", "start": "2", "end": "1"}),
    ("format_query", {"query": "sum("}), ("format_query", {}), 
    ("query", {"query": "label_replace(up, 'instance', 'same', '', '')"}), ("query", {"query": "label_replace(up, 'a', '$1', 'b', '(')"}),
    ("query", {"query": "rate({__name__=~'up|memory_bytes'}[5m])"}),
]

FORMATTED = [
    "sum(rate(http_requests_total{job='api'}[5m])) by (job)", "up offset 90s", "foo{b='1',a=~\"x|y\"}", "1+2*3", "up[300s:1m]", "- up", "up@123.4567",
    "a+ignoring(x,y)group_left(z)b", "sum without()(a)", "topk(5,a)", "(((a)))", "a[1h30m]", "0x1F", "1e3", "+Inf", "-a^2", "a>bool 1",
    "sum by (job, instance) (rate(http_requests_total{job='api-server',group='canary',environment='production'}[5m])) / sum by (job) (up)",
    "histogram_quantile(0.99, sum by (le, job) (rate(latency_seconds_bucket{job='api-server',environment=~'production|staging'}[5m]))) > 0.25",
    "label_replace(label_replace(http_requests_total{job='api-server'}, 'first', '$1', 'instance', '(.*):(.*)'), 'second', '$2', 'instance', '(.*)')",
    "-(sum(rate(http_requests_total{job='api',code='500',environment='production-number-one'}[5m])) or vector(0) and on(job) up)",
    "max_over_time(sum by (job) (rate(http_requests_total{job='api-server',environment='production-number-one'}[5m]))[1h:5m] offset 10m)",
    "((http_requests_total{job='api-server',environment='production',group='canary',instance='localhost:9090',code='200'}))",
    "quantile(0.9, avg_over_time(memory_bytes{job='api-server',environment='production',group='canary',instance='x'}[5m]))",
]


def ask(base, path, parameters, method="get"):
    call = requests.get if method == "get" else requests.post
    where = {"params" if method == "get" else "data": parameters}
    response = call(f"{base.url}/api/v1/{path}", timeout=60, **where)
    assert response.headers["Content-Type"] == "application/json", response.text
    return response.status_code, response.json()


def words(error):
    """Of an error text, without what only 2.42 writes otherwise: wrappers of expressions, a capital letter."""
    return re.sub(r"\^\(\?:(.*)\)\$", r"\1", error).replace("Invalid time value", "invalid time value")


# Where Prometheus 3 itself has other words than 2.42, after its sources.
NEWER_WORDS = {
    "": "unknown position: parse error: no expression found in input",
    "up[5m": "1:6: parse error: unexpected end of input in duration expression",
    "up[": "1:4: parse error: unexpected end of input in duration expression",
    "up[5": "1:5: parse error: unexpected end of input in duration expression",
    "up[0s]": "1:4: parse error: duration must be greater than 0",
    "up offset": "1:10: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
    "up[5m:1m": "1:9: parse error: unexpected end of input in duration expression",
}
# A range query's bad expression names the parameter since 3.0.
RANGE_PREFIX = 'invalid parameter "query": '


def test_the_same_answers(both):
    tyto, prometheus, end = both
    compared, wrong = 0, []
    # Between samples: since 3.0 a range does not hold what lies at its start, which 2.42 still takes.
    until = end - 7
    for query in QUERIES:
        for path, parameters in [("query", {"time": until}), ("query_range", {"start": until - 600, "end": until, "step": 60})]:
            (our_status, ours), (their_status, theirs) = (ask(base, path, {"query": query, **parameters}) for base in (tyto, prometheus))
            if their_status == 200:
                # Infos and warnings are newer than 2.42.
                ours = {key: value for key, value in ours.items() if key not in ("infos", "warnings")}
            same = close(in_order(ours), in_order(theirs)) if their_status == 200 else ours["errorType"] == theirs["errorType"]
            compared += 1
            if our_status != their_status or not same:
                wrong.append((path, query, json.dumps(ours)[:600], json.dumps(theirs)[:600]))
    assert not wrong, "\n".join(map(str, wrong))
    assert compared == 2 * len(QUERIES) > 150


def test_the_same_samples_are_counted(both):
    tyto, prometheus, end = both
    until, wrong = end - 7, []
    for query in QUERIES:
        # The size of a native histogram in samples is that of each program's own memory.
        if "native" in query:
            continue
        for path, parameters in [("query", {"time": until}), ("query_range", {"start": until - 600, "end": until, "step": 60})]:
            ours, theirs = (ask(base, path, {"query": query, "stats": "true", **parameters})[1] for base in (tyto, prometheus))
            if theirs["status"] != "success":
                continue
            counted = [answer["data"]["stats"]["samples"]["totalQueryableSamples"] for answer in (ours, theirs)]
            if counted[0] != counted[1]:
                wrong.append((path, query, *counted))
            assert ours["data"]["stats"]["samples"]["peakSamples"] >= 0
    assert not wrong, "\n".join(map(str, wrong))


def test_the_same_refusals(both):
    tyto, prometheus, _ = both
    wrong = []
    refused = [("query", {"query": query}) for query in BAD_QUERIES] + BAD_REQUESTS
    for path, parameters in refused:
        (our_status, ours), (their_status, theirs) = (ask(base, path, parameters) for base in (tyto, prometheus))
        expect = words(theirs.get("error", ""))
        query = parameters.get("query", "")
        if path in ("query", "format_query") and query in NEWER_WORDS:
            expect = RANGE_PREFIX + NEWER_WORDS[query]
        elif path == "query_range" and not expect.startswith(("invalid parameter", "exceeded")):
            expect = RANGE_PREFIX + expect
        if (our_status, ours["status"], ours.get("errorType"), ours.get("error", "")) != (their_status, "error", theirs.get("errorType"), expect):
            wrong.append((path, parameters, our_status, ours, their_status, expect))
    assert not wrong, "\n".join(map(str, wrong))
    assert len(refused) > 80


def test_the_same_labels_and_series(both):
    tyto, prometheus, end = both
    for path, parameters in LABELS:
        for times in ({}, {"start": end - 3600, "end": end}):
            ours, theirs = (in_order(ask(base, path, {**parameters, **times})[1]) for base in (tyto, prometheus))
            assert ours == theirs, (path, parameters, times)
    (_, posted), (_, got) = (ask(tyto, "labels", {"match[]": ["up", "sparse"]}, method) for method in ("post", "get"))
    assert posted == got


def test_the_same_form_of_queries(both):
    tyto, prometheus, _ = both
    wrong = []
    for query in FORMATTED:
        ours, theirs = (ask(base, "format_query", {"query": query}, "post")[1] for base in (tyto, prometheus))
        if ours != theirs:
            wrong.append((query, ours, theirs))
    assert not wrong, "\n".join(map(str, wrong))
