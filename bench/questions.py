"""What is asked of the stores, and how answers are compared: by value, before any figure is quoted."""

import json
import math

import work


def prometheus_questions(last_s):
    """Name, whether VictoriaMetrics means the same by it, and the call. `last_s` is the time of the last scrape.

    Nothing is asked at the instant of a sample: Debian's Prometheus 2 counts the sample at a range's left end, Prometheus 3 and Tyto do not.
    """
    instant = {"time": last_s + 7}
    steps = {"start": work.START_S + 427, "end": last_s + 7, "step": 60}
    last = {"start": last_s - 300, "end": last_s + 7}
    return [
        ("sum by dc and mode, instant", True, "query", {"query": "sum by (dc, mode) (node_cpu_seconds_total)", **instant}),
        ("network rate by instance, range", False, "query_range", {"query": "sum by (instance) (rate(node_network_receive_bytes_total[5m]))", **steps}),
        ("p99 by handler from buckets, range", False, "query_range",
         {"query": "histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))", **steps}),
        ("topk of rates, instant", False, "query", {"query": "topk(10, rate(node_network_receive_bytes_total[5m]))", **instant}),
        ("label values with a matcher", True, "label/handler/values", {"match[]": 'http_request_duration_seconds_count{dc="dc1"}', **last}),
        ("regex on name and label, instant", True, "query",
         {"query": '{__name__=~"node_memory_.*_bytes", instance=~"10\\\\.0\\\\.0\\\\.[1-3]:.*"}', **instant}),
        ("sum over all 10 k series, range", True, "query_range", {"query": 'sum by (job) ({job="node"})', **steps}),
    ]


def many_series_questions(scrapes):
    """Name and the call. All series, and those of one pod."""
    last_s = work.START_S + (scrapes - 1) * work.STEP_S
    steps = {"start": work.START_S + 7, "end": last_s + 7, "step": work.STEP_S}
    return [
        ("sum over all series, range", "query_range", {"query": 'sum by (region) ({job="app"})', **steps}),
        ("sum over all series, instant", "query", {"query": 'sum by (region) ({job="app"})', "time": last_s + 7}),
        ("one pod of all, range", "query_range", {"query": 'sum by (path) ({job="app", pod="app-7-00001"})', **steps}),
    ]


def prometheus_answer(data):
    if isinstance(data, list):
        return sorted(data)
    answer = {}
    for series in data["result"]:
        points = series.get("values") or [series["value"]]
        answer[tuple(sorted(series["metric"].items()))] = [(float(time), float(value)) for time, value in points]
    return answer


def log_questions(sample, declared=True, hours=1):
    """Name, LogQL or SQL for Tyto, SQL for ClickHouse. `sample` is a trace id that exists; the counts are those of the first hour."""
    end_s = work.START_S + hours * 3600
    duration = "duration" if declared else "cast(attributes['duration'] AS double)"
    everything = '{service_name=~".+"}'

    def count(filters):
        return ("logql", "query", {"query": f"sum(count_over_time({everything} {filters} [{hours}h]))", "time": end_s})

    def lines(limit, filters):
        return ("logql", "query_range", {"query": f"{everything} {filters}", "start": work.START_S, "end": end_s, "limit": limit})

    return [
        ("one trace id", lines(100, f'| trace_id="{sample}"'), f"SELECT message FROM logs WHERE trace_id = '{sample}' ORDER BY time DESC"),
        ("phrase, 30 k hits", count(f'|= "{work.PHRASE}"'), f"SELECT count() FROM logs WHERE position(message, '{work.PHRASE}') > 0"),
        ("rare substring", count(f'|= "{work.NEEDLE[2:12]}"'), f"SELECT count() FROM logs WHERE position(message, '{work.NEEDLE[2:12]}') > 0"),
        ("whole word, 10 k hits", count(f'|= "{work.WORD}"'), f"SELECT count() FROM logs WHERE hasToken(message, '{work.WORD}')"),
        ("count by level and minute", ("sql", "SELECT severity_text, time_unix_nano / 60000000000 AS minute, count(*) FROM logs GROUP BY 1, 2 ORDER BY 1, 2"),
         "SELECT level, intDiv(toUnixTimestamp64Nano(time), 60000000000) AS minute, count() FROM logs GROUP BY level, minute ORDER BY level, minute"),
        ("errors and longest by service", ("sql", f"SELECT service_name, count(*), max({duration}) FROM logs WHERE severity_text = 'ERROR' GROUP BY 1 ORDER BY 1"),
         "SELECT service, count(), max(duration) FROM logs WHERE level = 'ERROR' GROUP BY service ORDER BY service"),
        ("last 100 errors", ("sql", "SELECT body, service_name, trace_id FROM logs WHERE severity_text = 'ERROR' ORDER BY time_unix_nano DESC LIMIT 100"),
         "SELECT message, service, trace_id FROM logs WHERE level = 'ERROR' ORDER BY time DESC LIMIT 100"),
    ]


def ask_tyto(tyto, question):
    if question[0] == "sql":
        return [[plain(cell) for cell in row] for row in tyto.sql(question[1])]
    result = tyto.logql(question[1], **question[2])
    if question[1] == "query":
        return [[plain(series["value"][1])] for series in result]
    lines = [(int(time), line) for stream in result for time, line, *_ in stream["values"]]
    return [[line] for _, line in sorted(lines, key=lambda entry: -entry[0])]


def ask_clickhouse(store, text):
    return [[plain(cell) for cell in row] for row in store.sql(text)]


def plain(cell):
    try:
        return float(cell)
    except (TypeError, ValueError):
        return cell


def same(left, right):
    """Equal by value; floats to one part in a million."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, (int, float)):
        return math.isclose(left, right, rel_tol=1e-6) or (math.isnan(left) and math.isnan(right))
    return left == right


def difference(left, right):
    return f"{json.dumps(left, default=str)[:300]} against {json.dumps(right, default=str)[:300]}" if not isinstance(left, dict) else f"{sorted(map(str, left.items()))[:2]} against {sorted(map(str, right.items()))[:2]}"
