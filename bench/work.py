"""The work: made from one seed, so that every store gets the same records, in the form it likes best."""

import dataclasses
import json
import random
import struct

import cramjam
import numpy

START_S = 1_760_000_000
STEP_S = 15


# Protocol Buffers, written by hand: a million records in seconds instead of minutes.

def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(field, content):
    if isinstance(content, str):
        content = content.encode()
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def fixed64(field, value):
    return bytes([field << 3 | 1]) + struct.pack("<Q", value)


# Metrics

@dataclasses.dataclass
class Metrics:
    """Series with one value per scrape: `values[scrape, series]`."""

    labels: list
    values: numpy.ndarray

    @property
    def samples(self):
        return self.values.size

    def requests(self, series_per_request=5000):
        """Remote-write bodies (snappy), scrape by scrape."""
        heads = []
        for labels in self.labels:
            text = b"".join(block(1, block(1, name) + block(2, value)) for name, value in sorted(labels.items()))
            # A sample is 16 bytes: a double and a time of six bytes, each with its tag.
            heads.append(varint(len(text) + 18) + text + b"\x12\x10\x09")
        for scrape, row in enumerate(self.values):
            time = b"\x10" + varint((START_S + scrape * STEP_S) * 1000)
            cells = row.astype("<f8").tobytes()
            series = [b"\x0a" + head + cells[at * 8:at * 8 + 8] + time for at, head in enumerate(heads)]
            for first in range(0, len(series), series_per_request):
                yield bytes(cramjam.snappy.compress_raw(b"".join(series[first:first + series_per_request])))


def node_exporters(instances=10, scrapes=240):
    """1000 series an instance under 72 names, as node_exporter has them; 27 % of them never change."""
    dice = numpy.random.default_rng(7)
    labels, values = [], []

    def add(name, extra, column):
        labels.append({"__name__": name, "job": "node", "instance": f"10.0.0.{instance}:9100", "dc": f"dc{instance % 3}", **extra})
        values.append(column)

    def counter(rate, whole=True):
        steps = dice.poisson(rate, scrapes) if whole else numpy.round(dice.exponential(rate, scrapes), 2)
        return numpy.cumsum(steps, dtype=float) + float(dice.integers(1_000_000))

    def gauge(middle):
        return numpy.maximum(0, numpy.round(middle + numpy.cumsum(dice.normal(0, middle / 200, scrapes)) / 4096) * 4096)

    def constant():
        return numpy.full(scrapes, float(dice.integers(1 << 30)))

    for instance in range(instances):
        for cpu in range(16):
            for mode in "idle user system iowait irq softirq steal nice".split():
                add("node_cpu_seconds_total", {"cpu": str(cpu), "mode": mode}, counter(3, whole=False) if mode != "nice" else constant())
        for name in range(10):
            for device in range(8):
                add(f"node_disk_metric{name}_total", {"device": f"sd{'abcdefgh'[device]}"}, counter(200) if device < 5 else constant())
        for name in ["receive_bytes", "transmit_bytes", "receive_packets", "transmit_packets", "receive_errs", "transmit_errs"]:
            for device in range(10):
                add(f"node_network_{name}_total", {"device": f"eth{device}"}, counter(90_000) if device < 6 and "errs" not in name else constant())
        for name in range(30):
            add(f"node_memory_Metric{name}_bytes", {}, gauge(8e9) if name < 24 else constant())
        for handler in range(20):
            base = numpy.cumsum(dice.poisson(20, scrapes))
            share = 0.0
            for le in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]:
                share = 1.0 if le == "+Inf" else share + (1 - share) * 0.4
                add("http_request_duration_seconds_bucket", {"handler": f"/api/{handler}", "le": le}, numpy.floor(base * share))
            add("http_request_duration_seconds_count", {"handler": f"/api/{handler}"}, base.astype(float))
            add("http_request_duration_seconds_sum", {"handler": f"/api/{handler}"}, numpy.cumsum(dice.exponential(0.8, scrapes)))
        filler = 0
        while len(labels) < (instance + 1) * 1000:
            add(f"node_filesystem_metric{filler % 22}", {"mountpoint": f"/data/{filler // 22}"}, constant() if filler % 3 == 0 else gauge(1e9))
            filler += 1
    return Metrics(labels, numpy.array(values).T.copy())


def many_series(series=200_000, scrapes=10):
    """What memory a series takes, and what a new one costs."""
    dice = numpy.random.default_rng(8)
    labels = [
        {"__name__": f"app_requests_{at % 40}_total", "job": "app", "pod": f"app-{at // 40 % 50}-{at // 2000:05x}", "region": f"eu-{at % 3}", "path": f"/v1/{at % 97}"}
        for at in range(series)
    ]
    values = numpy.cumsum(dice.poisson(5, (scrapes, series)), axis=0, dtype=float)
    return Metrics(labels, values)


# Logs

SERVICES = [f"{name}-service" for name in "login payment play marker catalogue title profile search image device session token cart price tax mail queue audit gate edge".split()]
VERBS = "accepted finished retried refused queued scheduled cached evicted loaded stored opened closed".split()
THINGS = "request session order token image title payment invoice device stream".split()
SHAPES = [f"{verb} {thing} {{}} for user {{}} in {{}} ms" if at % 2 else f"{thing} {{}} {verb}: status={{}} attempt={{}}"
          for at, (verb, thing) in enumerate((verb, thing) for verb in VERBS for thing in THINGS[:5])]
NEEDLE, PHRASE, WORD = "cafebabe-needle", "connection reset by peer", "rollback"


@dataclasses.dataclass
class Logs:
    """Columns of equal length."""

    count: int
    time_ns: list
    level: list
    service: list
    pod: list
    host: list
    trace_id: list
    span_id: list
    message: list
    duration: list

    def json_lines(self):
        for at in range(self.count):
            seconds, rest = divmod(self.time_ns[at], 10**9)
            yield (f'{{"time":"{stamp(seconds)}.{rest:09d}Z","level":"{self.level[at]}","service":"{self.service[at]}","pod":"{self.pod[at]}",'
                   f'"host":"{self.host[at]}","trace_id":"{self.trace_id[at]}","span_id":"{self.span_id[at]}",'
                   f'"message":"{self.message[at]}","duration":{self.duration[at]}}}')

    def otlp_requests(self, per_request=2000):
        """A collector's batches: grouped by resource."""
        levels = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}
        resources = {}
        for first in range(0, self.count, per_request):
            groups = {}
            for at in range(first, min(first + per_request, self.count)):
                body = (fixed64(1, self.time_ns[at]) + b"\x10" + bytes([levels[self.level[at]]]) + block(3, self.level[at])
                        + block(5, block(1, self.message[at]))
                        + block(6, block(1, "duration") + block(2, b"\x21" + struct.pack("<d", self.duration[at])))
                        + block(9, bytes.fromhex(self.trace_id[at])) + block(10, bytes.fromhex(self.span_id[at])) + fixed64(11, self.time_ns[at]))
                groups.setdefault((self.service[at], self.pod[at], self.host[at]), []).append(block(2, body))
            request = []
            for key, records in groups.items():
                if key not in resources:
                    names = ("service.name", "k8s.pod.name", "host.name")
                    resources[key] = block(1, b"".join(block(1, block(1, name) + block(2, block(1, value))) for name, value in zip(names, key)))
                request.append(block(1, resources[key] + block(2, b"".join(records))))
            yield b"".join(request)

    def loki_requests(self, per_request=2000):
        lines = list(self.json_lines())
        for first in range(0, self.count, per_request):
            streams = {}
            for at in range(first, min(first + per_request, self.count)):
                seconds, rest = divmod(self.time_ns[at], 10**9)
                entry = block(1, b"\x08" + varint(seconds) + b"\x10" + varint(rest)) + block(2, lines[at])
                streams.setdefault((self.service[at], self.pod[at]), []).append(block(2, entry))
            body = b"".join(block(1, block(1, f'{{service_name="{service}", pod="{pod}"}}') + b"".join(entries)) for (service, pod), entries in streams.items())
            yield bytes(cramjam.snappy.compress_raw(body))


def stamp(seconds, cache={}):
    if seconds not in cache:
        import datetime
        cache[seconds] = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return cache[seconds]


def logs(count=1_000_000, hour=0):
    """Lines of one hour; those of another are others."""
    dice = random.Random(7 + hour)
    columns = [[] for _ in range(9)]
    trace_id = pod = ""
    every = 3_600_000_000_000 // count
    for at in range(count):
        if at % 6 == 0:
            trace_id = dice.randbytes(16).hex()
        service = dice.choice(SERVICES)
        replica = dice.randrange(32)
        pod = f"{service}-{replica // 4:x}5d9c7b6f4-{replica % 4}"
        # A pod stays where it runs.
        host = f"ip-10-0-{(SERVICES.index(service) * 7 + replica) % 40}-17.eu-west-1.compute.internal"
        message = dice.choice(SHAPES).format(dice.randrange(10**8), dice.choice([200, 200, 200, 404, 500, 7_654_321]), dice.randrange(900))
        if at % 33 == 5:
            message += f" ({PHRASE})"
        if at % 100 == 7:
            message += f" {WORD} done"
        if at == count * 2 // 3:
            message += f" {NEEDLE}"
        level = "ERROR" if at % 50 == 0 else "WARN" if at % 17 == 0 else "DEBUG" if at % 9 == 0 else "INFO"
        row = ((START_S + hour * 3600) * 10**9 + at * every, level, service, pod, host, trace_id,
               dice.randbytes(8).hex(), message, round(dice.expovariate(1 / 40), 3))
        for column, value in zip(columns, row):
            column.append(value)
    return Logs(count, *columns)


# Spans

@dataclasses.dataclass
class Spans:
    traces: int
    rows: list

    @property
    def count(self):
        return len(self.rows)

    def json_lines(self):
        for row in self.rows:
            yield json.dumps(dict(zip(SPAN_COLUMNS, row)), separators=(",", ":"))

    def otlp_requests(self, per_request=2000):
        resources = {service: block(1, block(1, block(1, "service.name") + block(2, block(1, service)))) for service in SERVICES[:12]}

        def text(name, value):
            return block(9, block(1, name) + block(2, block(1, value)))

        for first in range(0, self.count, per_request):
            groups = {}
            for time, end, trace_id, span_id, parent, service, name, kind, status, method, route, path, code, system, statement in self.rows[first:first + per_request]:
                body = (block(1, bytes.fromhex(trace_id)) + block(2, bytes.fromhex(span_id)) + (block(4, bytes.fromhex(parent)) if parent else b"")
                        + block(5, name) + b"\x30" + bytes([kind]) + fixed64(7, time) + fixed64(8, end))
                if method:
                    body += text("http.request.method", method) + text("http.route", route) + text("url.path", path)
                    body += block(9, block(1, "http.response.status_code") + block(2, b"\x18" + varint(code)))
                if system:
                    body += text("db.system.name", system) + text("db.query.text", statement) + text("server.address", f"db-{service}.internal")
                if status:
                    body += block(15, b"\x18" + bytes([status]))
                groups.setdefault(service, []).append(block(2, body))
            yield b"".join(block(1, resources[service] + block(2, b"".join(spans))) for service, spans in groups.items())


SPAN_COLUMNS = ("time", "end", "trace_id", "span_id", "parent", "service", "name", "kind", "status", "method", "route", "path", "code", "system", "statement")


def spans(traces=200_000):
    dice = random.Random(9)
    rows = []
    every = 3_600_000_000_000 // traces
    for trace in range(traces):
        trace_id, begin = dice.randbytes(16).hex(), START_S * 10**9 + trace * every
        ids = [dice.randbytes(8).hex() for _ in range(8)]
        failed = trace % 240 == 3
        for at in range(8):
            service = SERVICES[(trace + at * 5) % 12]
            length = int(dice.expovariate(1 / 20e6)) + 1000
            start = begin + at * 100_000
            parent = ids[(at - 1) // 2] if at else ""
            status = 2 if failed and at in (0, trace // 240 % 8) else 0
            if at in (4, 6):
                route, path, code, method, system = "", "", 0, "", "postgresql"
                statement = f"SELECT * FROM {dice.choice(THINGS)}s WHERE id = $1"
                name, kind = f"SELECT {statement.split()[3]}", 3
            else:
                number = dice.randrange(30)
                route, path = f"/api/{number}/{{id}}", f"/api/{number}/{dice.randrange(10**9)}"
                method, code, system, statement = "GET", 500 if status else dice.choice([200, 200, 200, 404]), "", ""
                name, kind = f"GET {route}", 2 if at % 2 == 0 else 3
            rows.append((start, start + length, trace_id, ids[at], parent, service, name, kind, status, method, route, path, code, system, statement))
    return Spans(traces, rows)
