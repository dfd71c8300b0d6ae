"""What is asked of spans: of Tyto in Tempo's API and in SQL, and the same of two tables that people make in ClickHouse.

`otel_traces` has the columns, maps, indexes and sorting key that OpenTelemetry's exporter for ClickHouse gives it: it takes any span, as Tyto does. `by
service` is a table made by hand for exactly these spans, with a typed column for each of their attributes; it is told beside, as what is possible.
"""

import collections
import datetime
import json
import math

import work

END_S = work.START_S + 3600
MINUTE_NS = 60 * 10**9
# A bucket of Tyto's quantiles, and of Tempo's, is so much wider than the one before.
QUANTILE_TOLERANCE = 2 ** (1 / 16) - 1

# `tyto` is what is asked of Tyto, `sql` makes of a table what is asked of ClickHouse, `near` is how far numbers may lie apart.
Question = collections.namedtuple("Question", "name tyto sql near", defaults=(1e-6,))

KINDS, STATUSES = {2: "Server", 3: "Client"}, {0: "Unset", 2: "Error"}


class Otel:
    """The columns of OpenTelemetry's exporter, as far as these spans say anything in them, and expressions over them."""

    name, order = "otel_traces", "ServiceName, SpanName, toDateTime(Timestamp)"
    create = """CREATE TABLE spans (Timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
        ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)), SpanName LowCardinality(String) CODEC(ZSTD(1)),
        SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
        ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)), ScopeVersion String CODEC(ZSTD(1)),
        SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), Duration UInt64 CODEC(ZSTD(1)),
        StatusCode LowCardinality(String) CODEC(ZSTD(1)), StatusMessage String CODEC(ZSTD(1)),
        INDEX traces TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
        INDEX resource_keys mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX resource_values mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX span_keys mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX span_values mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX durations Duration TYPE minmax GRANULARITY 1)
        ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))"""
    start, at_ns, trace, span, parent = "Timestamp", "toUnixTimestamp64Nano(Timestamp)", "TraceId", "SpanId", "ParentSpanId"
    service, route, duration = "ServiceName", "SpanName", "Duration"
    is_error, is_server = "StatusCode = 'Error'", "SpanKind = 'Server'"
    is_database, is_500 = "SpanAttributes['db.system.name'] = 'postgresql'", "SpanAttributes['http.response.status_code'] = '500'"

    @staticmethod
    def lines(traces):
        for time, end, trace_id, span_id, parent, service, name, kind, status, *attributes in traces.rows:
            yield json.dumps({
                "Timestamp": stamp(time), "TraceId": trace_id, "SpanId": span_id, "ParentSpanId": parent, "SpanName": name,
                "SpanKind": KINDS[kind], "ServiceName": service, "ResourceAttributes": {"service.name": service},
                "SpanAttributes": span_attributes(service, *attributes), "Duration": end - time, "StatusCode": STATUSES[status]}, separators=(",", ":"))


class ByHand:
    """A typed column for each attribute that these spans have, and nothing for any other."""

    name, order = "by service", "service, name, time"
    create = """CREATE TABLE spans (time Int64 CODEC(Delta, ZSTD), end Int64 CODEC(Delta, ZSTD), trace_id String CODEC(ZSTD), span_id String CODEC(ZSTD), parent String CODEC(ZSTD),
        service LowCardinality(String), name LowCardinality(String), kind UInt8, status UInt8, method LowCardinality(String), route LowCardinality(String),
        path String CODEC(ZSTD), code UInt16, system LowCardinality(String), statement LowCardinality(String),
        INDEX traces trace_id TYPE bloom_filter(0.01) GRANULARITY 1) ENGINE = MergeTree ORDER BY (service, name, time)"""
    start, at_ns, trace, span, parent = "time", "time", "trace_id", "span_id", "parent"
    service, route, duration = "service", "name", "end - time"
    is_error, is_server = "status = 2", "kind = 2"
    is_database, is_500 = "system = 'postgresql'", "code = 500"

    @staticmethod
    def lines(traces):
        return traces.json_lines()


TABLES = (Otel, ByHand)


def span_attributes(service, method, route, path, code, system, statement):
    """What `work.Spans.otlp_requests` says of a span."""
    if method:
        return {"http.request.method": method, "http.route": route, "url.path": path, "http.response.status_code": str(code)}
    return {"db.system.name": system, "db.query.text": statement, "server.address": f"db-{service}.internal"}


def stamp(time_ns):
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S}.{rest:09}"


def questions(trace_id):
    """Searches ask for so many traces, or name so few, that one answer alone is right: the newest of spans with different times, or all."""
    def search(name, query, where, limit):
        def newest(table):
            ids = f"SELECT {table.trace} FROM spans WHERE {where.format(t=table)} ORDER BY {table.start} DESC LIMIT 1 BY {table.trace} LIMIT {limit}"
            return told(table, ids)
        return Question(name, ("search", {"q": query, "limit": limit, **HOUR}), newest)

    def told(table, ids):
        """What a search's answer says of each trace: its root, where it begins, how long it takes, and how many spans it has."""
        first = f"(toUInt8({table.parent} != ''), {table.at_ns})"
        return (f"SELECT {table.trace}, argMin({table.service}, {first}), argMin({table.route}, {first}), min({table.at_ns}), "
                f"max({table.at_ns} + {table.duration}) - min({table.at_ns}), count() FROM spans WHERE {table.trace} IN ({ids}) GROUP BY {table.trace}")

    def per_minute(name, query, value, where, near):
        def by_service(table):
            # A point of TraceQL is of what began after the point before it, up to its own time.
            return (f"SELECT {table.service}, intDiv({table.at_ns} - 1, {MINUTE_NS}) AS minute, {value.format(t=table)} FROM spans WHERE {where.format(t=table)} "
                    f"GROUP BY {table.service}, minute")
        return Question(name, ("metrics", {"q": query, "step": "60s", "exemplars": 0, **HOUR}), by_service, near)

    errors = '{ resource.service.name = "play-service" && status = error }'
    return [
        Question("trace by id", ("trace", trace_id), lambda t: f"SELECT {t.span}, * FROM spans WHERE {t.trace} = '{trace_id}'"),
        search("search: errors of a service, 20 newest", errors, "{t.service} = 'play-service' AND {t.is_error}", 20),
        search("search: route and duration, 20 newest", '{ name = "GET /api/7/{id}" && duration > 120ms }',
               "{t.route} = 'GET /api/7/{{id}}' AND {t.duration} > 120000000", 20),
        search("search: status code 500, all", "{ span.http.response.status_code = 500 }", "{t.is_500}", 1000),
        Question("search: failed above a database, all",
                 ("search", {"q": '{ status = error } > { span.db.system.name = "postgresql" }', "limit": 1000, **HOUR}),
                 lambda t: told(t, f"SELECT DISTINCT calls.trace FROM (SELECT {t.trace} AS trace, {t.parent} AS above FROM spans WHERE {t.is_database}) AS calls "
                           f"JOIN (SELECT {t.trace} AS trace, {t.span} AS id FROM spans WHERE {t.is_error}) AS failed "
                           "ON calls.trace = failed.trace AND calls.above = failed.id")),
        per_minute("metrics: rate by service", "{ kind = server } | rate() by (resource.service.name)", "count() / 60", "{t.is_server}", 1e-6),
        # A minute of a service has fewer spans than ClickHouse's sample of them: its quantiles are exact.
        per_minute("metrics: p95 by service", "{ } | quantile_over_time(duration, .95) by (resource.service.name)",
                   "quantile(0.95)({t.duration}) / 1e9", "1", QUANTILE_TOLERANCE),
        Question("SQL: errors of a service, 20 newest",
                 ("sql", "SELECT trace_id FROM spans WHERE service_name = 'play-service' AND status_code = 'error' ORDER BY start_time_unix_nano DESC LIMIT 20"),
                 lambda t: f"SELECT {t.trace} FROM spans WHERE {t.service} = 'play-service' AND {t.is_error} ORDER BY {t.start} DESC LIMIT 20"),
        Question("SQL: count by service and minute",
                 ("sql", "SELECT service_name, start_time_unix_nano / 60000000000 AS minute, count(*) FROM spans GROUP BY 1, 2"),
                 lambda t: f"SELECT {t.service}, intDiv({t.at_ns}, {MINUTE_NS}) AS minute, count() FROM spans GROUP BY 1, 2"),
        Question("SQL: longest by service", ("sql", "SELECT service_name, max(duration_nano) FROM spans GROUP BY 1"),
                 lambda t: f"SELECT {t.service}, max({t.duration}) FROM spans GROUP BY {t.service}"),
    ]


HOUR = {"start": work.START_S, "end": END_S}


def ask_tyto(tyto, asked):
    """The bytes of an answer as they come."""
    kind, what = asked
    if kind == "sql":
        return tyto.sql(what)
    if kind == "trace":
        return tyto.tempo(f"v2/traces/{what}")
    return tyto.tempo("search" if kind == "search" else "metrics/query_range", **what)


def rows_of_tyto(asked, answer):
    """In the form of ClickHouse's answers."""
    kind = asked[0]
    if kind == "trace":
        scopes = [scope for resource in answer["trace"]["resourceSpans"] for scope in resource["scopeSpans"]]
        return sorted([span["spanId"]] for scope in scopes for span in scope["spans"])
    if kind == "search":
        return sorted(summary(found) for found in answer["traces"])
    if kind == "metrics":
        return sorted(row for series in answer["series"] for row in points(series))
    return rows_of_sql(asked, answer)


def summary(found):
    """The duration is told in whole milliseconds."""
    spans = sum(counts["spanCount"] for counts in found["serviceStats"].values())
    return [found["traceID"], found["rootServiceName"], found["rootTraceName"], int(found["startTimeUnixNano"]), found.get("durationMs", 0), spans]


def points(series):
    [service] = [label["value"]["stringValue"] for label in series["labels"] if label["key"] == "resource.service.name"]
    for sample in series["samples"]:
        # A minute without spans has a rate of nothing, and in SQL no row.
        if sample["value"] > 0:
            yield [service, float(int(sample["timestampMs"]) // 60_000 - 1), float(sample["value"])]


def rows_of_sql(asked, rows):
    if asked[0] == "trace":
        rows = [row[:1] for row in rows]
    if asked[0] == "search":
        return sorted([*row[:3], int(row[3]), int(row[4]) // 10**6, int(row[5])] for row in rows)
    return sorted([plain(cell) for cell in row] for row in rows)


def plain(cell):
    """Whole numbers come as text where they are of 64 bits; ids stay what they are."""
    if isinstance(cell, str) and (len(cell) >= 16 or not cell.isdigit()):
        return cell
    return float(cell)


def differs(left, right, near):
    """The first row that is not the same; None when all are."""
    if len(left) != len(right):
        return f"{len(left)} rows against {len(right)}: {left[:3]} against {right[:3]}"
    for one, other in zip(left, right):
        if len(one) != len(other) or not all(is_same(*pair, near) for pair in zip(one, other)):
            return f"{one} against {other}"
    return None


def is_same(one, other, near):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=near)
    return one == other
