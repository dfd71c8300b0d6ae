"""What must hold: own / peer, as `docs/` and the issues promise it. `best` is the least of all peers, and beside `IN_SECONDS` a figure stands by itself."""

import collections
import math

IN_SECONDS = "(seconds)"
Goal = collections.namedtuple("Goal", "area figure peer must")
Reached = collections.namedtuple("Reached", "area figure peer must ratio")

# The beginning of an area's name, the beginning of a figure's. "*" is each figure, "mean" the geometric mean of all.
GOALS = [
    Goal("metrics", "ingest", "victoria-metrics", 0.50),
    Goal("metrics", "ingest", "prometheus", 0.13),
    Goal("metrics", "with flush", "victoria-metrics", 0.60),
    Goal("metrics", "disk", "victoria-metrics", 0.80),
    Goal("metrics", "disk", "prometheus", 0.50),
    Goal("many series", "first scrape", "victoria-metrics", 0.50),
    Goal("many series", "memory", "victoria-metrics", 0.70),
    Goal("many series", "memory", "prometheus", 0.25),
    Goal("PromQL", "*", "best", 1.0),
    Goal("PromQL", "mean", "victoria-metrics", 0.60),
    Goal("logs", "ingest", "clickhouse by time", 1.0),
    Goal("logs", "disk", "clickhouse by time", 0.85),
    Goal("logs", "peak memory", "clickhouse by time", 0.40),
    Goal("log queries", "*", "best", 1.0),
    Goal("log queries", "mean", "best", 0.60),
    Goal("governance", "ingest", "tyto (nothing enforced)", 1.15),
    Goal("governance", "with flush", "tyto (nothing enforced)", 1.15),
    Goal("catalogue", "server's start", IN_SECONDS, 2.0),
    Goal("spans", "with flush", "clickhouse otel_traces", 0.60),
    Goal("spans", "disk", "clickhouse otel_traces", 0.60),
    Goal("trace queries", "trace by id", "clickhouse otel_traces", 0.10),
    Goal("trace queries", "search", "clickhouse otel_traces", 1.0),
    Goal("trace queries", "metrics", "clickhouse otel_traces", 0.50),
    Goal("trace queries", "SQL: errors", "clickhouse otel_traces", 1.0),
    Goal("trace queries", "SQL: count", "clickhouse otel_traces", 0.50),
    Goal("trace queries", "SQL: longest", "clickhouse otel_traces", 0.50),
]


def reached(areas):
    """Every goal with the ratio that was measured; goals of areas that were not measured are left out."""
    found = []
    for area, rows in areas.items():
        for goal in GOALS:
            if not area.startswith(goal.area):
                continue
            ratios = {figure: ratio(row, goal.peer) for figure, row in rows.items()}
            ratios = {figure: value for figure, value in ratios.items() if value}
            if goal.figure == "mean" and ratios:
                mean = math.exp(sum(math.log(value) for value in ratios.values()) / len(ratios))
                found.append(Reached(area, "geometric mean", goal.peer, goal.must, mean))
            for figure, value in ratios.items():
                if goal.figure == "*" or (goal.figure != "mean" and figure.startswith(goal.figure)):
                    found.append(Reached(area, figure, goal.peer, goal.must, value))
    return found


def ratio(row, peer):
    if peer == IN_SECONDS:
        return row.get("tyto")
    peers = [value for store, value in row.items() if value and (store == peer or peer == "best" and not store.startswith("tyto"))]
    return row["tyto"] / min(peers) if peers and "tyto" in row else None
