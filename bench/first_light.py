"""What ingest costs: CPU seconds and bytes of the real server, fed over its real protocols, durability on.

usage: first_light.py BINARY [--rounds 3] [--million 1]        writes bench/RESULTS.md
Wall time is not quoted: machines are shared. Each round starts an empty server; figures are medians.
"""

import argparse
import http.client
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
os.environ["TYTO_BIN"] = os.path.abspath(sys.argv[1])

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest  # noqa: E402
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

from server import Tyto  # noqa: E402

START = 1_760_000_000_000_000_000
PER_REQUEST = 2000


def attribute(attributes, key, value):
    entry = attributes.add(key=key)
    if isinstance(value, int):
        entry.value.int_value = value
    else:
        entry.value.string_value = value


def resource(target, dice, service):
    attribute(target.attributes, "service.name", f"service-{service}")
    attribute(target.attributes, "k8s.pod.name", f"service-{service}-{dice.randrange(8)}")
    attribute(target.attributes, "host.name", f"host-{dice.randrange(40)}")


SHAPES = [f"request to /api/v{index % 3}/{word}/{{}} finished with {{}} in {{}} ms" for index, word in enumerate(
    "catalogue login payment play marker title profile search image device session token cart price tax".split() * 4)]


def logs(dice, count):
    for first in range(0, count, PER_REQUEST):
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        resource(group.resource, dice, dice.randrange(20))
        scope = group.scope_logs.add()
        trace_id = b""
        for index in range(first, min(first + PER_REQUEST, count)):
            if index % 6 == 0:
                trace_id = dice.randbytes(16)
            record = scope.log_records.add(time_unix_nano=START + index * 1_000_000, severity_number=9 + 4 * (index % 50 == 0),
                                           severity_text="ERROR" if index % 50 == 0 else "INFO", trace_id=trace_id, span_id=dice.randbytes(8))
            record.body.string_value = dice.choice(SHAPES).format(dice.randrange(10**6), dice.choice([200, 200, 200, 404, 500]), dice.randrange(900))
            attribute(record.attributes, "duration_ms", dice.randrange(900))
            attribute(record.attributes, "http.route", f"/api/{index % 12}")
        yield request.SerializeToString()


def spans(dice, count):
    for first in range(0, count, PER_REQUEST):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        resource(group.resource, dice, dice.randrange(12))
        scope = group.scope_spans.add()
        trace_id = b""
        for index in range(first, min(first + PER_REQUEST, count)):
            if index % 8 == 0:
                trace_id = dice.randbytes(16)
            begin = START + index * 500_000
            span = scope.spans.add(trace_id=trace_id, span_id=dice.randbytes(8), parent_span_id=dice.randbytes(8), name=f"GET /api/{index % 30}",
                                   kind=2 + index % 2, start_time_unix_nano=begin, end_time_unix_nano=begin + dice.randrange(10**8))
            attribute(span.attributes, "http.request.method", "GET")
            attribute(span.attributes, "http.response.status_code", dice.choice([200, 200, 200, 404]))
            attribute(span.attributes, "db.system.name", "postgresql")
        yield request.SerializeToString()


def samples(dice, count):
    """1000 series a host, 27 % of them constant, every 15 s."""
    series, values = 1000, {}
    for scrape in range(count // (series * 4)):
        for host in range(4):
            request = ExportMetricsServiceRequest()
            group = request.resource_metrics.add()
            attribute(group.resource.attributes, "service.name", "node")
            attribute(group.resource.attributes, "service.instance.id", f"host-{host}")
            scope = group.scope_metrics.add()
            for name in range(50):
                metric = scope.metrics.add(name=f"node_metric_{name}_total")
                metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
                for cpu in range(20):
                    key = (host, name, cpu)
                    if (name * 20 + cpu) % 100 >= 27:
                        values[key] = values.get(key, 0) + dice.randrange(1000) / 10
                    point = metric.sum.data_points.add(time_unix_nano=START + scrape * 15 * 10**9, as_double=values.get(key, 1.0))
                    attribute(point.attributes, "cpu", str(cpu))
                    attribute(point.attributes, "mode", ["idle", "user", "system", "iowait"][cpu % 4])
            yield request.SerializeToString()


SIGNALS = [("logs", "/v1/logs", logs), ("spans", "/v1/traces", spans), ("samples", "/v1/metrics", samples)]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, what):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024


def disk_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(path, bodies, million):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tyto-bench-"))
    try:
        with Tyto(folder) as server:
            pid, rest = server.process.pid, memory_mib(server.process.pid, "VmRSS")
            connection = http.client.HTTPConnection(server.http)
            before = cpu_seconds(pid)
            for body in bodies:
                connection.request("POST", path, body, {"content-type": "application/x-protobuf"})
                response = connection.getresponse()
                answer = response.read()
                assert response.status == 200, answer
            sent = cpu_seconds(pid)
            server.flush()
            flushed = cpu_seconds(pid)
            peak = memory_mib(pid, "VmHWM")
            lake = folder / "shards" / "default" / "lake"
            table = {"/v1/logs": "logs", "/v1/traces": "spans", "/v1/metrics": "samples"}[path]
            return {
                "ingest CPU s per million": (sent - before) / million,
                "with flush": (flushed - before) / million,
                "bytes on disk per record": disk_bytes(lake / table) / (million * 1e6),
                "peak MiB": peak,
                "MiB at rest": rest,
            }
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", type=float, default=1.0)
    options = parser.parse_args()
    count = int(options.million * 1e6)
    rows = []
    for signal, path, generate in SIGNALS:
        bodies = list(generate(random.Random(7), count))
        rounds = [measure(path, bodies, options.million) for _ in range(options.rounds)]
        figures = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        wire = sum(map(len, bodies)) / count
        rows.append((signal, wire, figures))
        print(signal, f"wire {wire:.0f} B", {key: round(value, 3) for key, value in figures.items()}, flush=True)
    report(options, rows)


def report(options, rows):
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    lines = [
        "# What ingest costs", "",
        f"`make bench` at {revision}, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}; "
        f"{options.million:g} million records of each signal over OTLP/HTTP protobuf in requests of up to {PER_REQUEST}, one connection, "
        f"write-ahead log fsync'd before each answer, median of {options.rounds} rounds.", "",
        "| signal | bytes on the wire, each | " + " | ".join(rows[0][2]) + " |", "|---|---|" + "---|" * len(rows[0][2]),
    ]
    for signal, wire, figures in rows:
        lines.append(f"| {signal} | {wire:.0f} | " + " | ".join(f"{value:.2f}" for value in figures.values()) + " |")
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


main()
