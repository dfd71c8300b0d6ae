"""A scrape target with the kinds of series that are hard to get right: histograms, summaries, gauges that go up and down, counters that
begin anew, special values, and series that come and go."""

import contextlib
import http.server
import itertools
import math
import threading

SHOPS = ["berlin", "oslo", "paris", "rome"]
KINDS = ["book", "game", "toy"]
# Written as floats: Prometheus 3 writes an integer so too.
BOUNDS = ["0.05", "0.1", "0.25", "1.0", "+Inf"]
# A session lives so many steps, and the next with its id begins so many after its beginning.
SESSION_STEPS, SESSION_EVERY = 14, 24


def each(**labels):
    """Every combination, with its number."""
    return [(index, dict(zip(labels, values))) for index, values in enumerate(itertools.product(*labels.values()))]


def families(prefix, step, counted):
    """What is exposed at a step: (name, type, [(suffix, labels, value)]). `counted` is where counters stand at step 0.

    Most values are eighths and a fraction of the series' own: sums of them are exact in any order, and no two series are equal.
    """
    stands, shops = each(shop=SHOPS, kind=KINDS), each(shop=SHOPS)

    def plain(name, kind, samples):
        return f"{prefix}_{name}", kind, [("", labels, value) for labels, value in samples]

    yield plain("stock", "gauge", [(of, round(100 * math.sin(step / 7 + i)) / 8 + i / 128) for i, of in stands])
    yield plain("reserved", "gauge", [(of, abs(round(60 * math.cos(step / 5 + i))) / 8 + i / 128) for i, of in stands])
    yield plain("queue_length", "gauge", [(of, (step * (i + 2) + i) % 5) for i, of in stands])
    yield plain("orders_total", "counter", [(of, step % (29 + 3 * i) * (i + 1)) for i, of in stands])
    yield plain("bytes_total", "counter", [(of, counted * (i + 1) + step * 3 + step // (i + 2)) for i, of in shops])
    yield plain("temperature_celsius", "gauge", [(of, round(20.1 + i / 3 + 5 * math.sin(step / 9 + i), 2)) for i, of in shops])
    yield plain("started_timestamp_seconds", "gauge", [(of, 1_500_000_000 + i * 31_000_007) for i, of in shops])
    yield plain("info", "gauge", [({**of, "version": f"1.{i % 2}", "edition": "én✓"}, 1) for i, of in shops])

    latency, size = [], []
    for i, of in shops:
        # Every bucket gets more than the one before: small differences between two are noise to Prometheus 3.
        held = [counted + step * (i + bucket + 1) + step * bucket % 3 for bucket in range(len(BOUNDS))]
        latency += [("_bucket", {**of, "le": bound}, total) for bound, total in zip(BOUNDS, itertools.accumulate(held))]
        latency += [("_sum", of, sum(count * (bucket + 1) for bucket, count in enumerate(held)) / 16), ("_count", of, sum(held))]
        quantiles = {"0.5": 10 + (step + i) % 7, "0.9": 40 + (step * 3 + i) % 11, "0.99": math.nan if i == 1 else 90 + i}
        size += [("", {**of, "quantile": quantile}, value) for quantile, value in quantiles.items()]
        size += [("_sum", of, (counted + step * 13) * (i + 1)), ("_count", of, counted + step * (i + 1))]
    yield f"{prefix}_latency_seconds", "histogram", latency
    yield f"{prefix}_size_bytes", "summary", size

    # Protobuf takes -0 for the default and leaves it out: remote write cannot send it.
    negative_zero = -0.0 if prefix == "past" else 0.0
    flips = [math.nan, step / 8, math.inf, negative_zero, -math.inf, 1.5][step // 3 % 6]
    special = {"nan": math.nan, "inf": math.inf, "neginf": -math.inf, "negzero": negative_zero, "zero": 0.0, "one": 1.0, "flips": flips}
    # Go takes the logarithm of what is smaller yet for another number's, on amd64.
    extreme = {"tiny": 1e-300, "huge": 1e300 + step * 1e290, "small": -1e-9}
    yield plain("special", "gauge", [({"kind": kind}, value) for kind, value in special.items()])
    yield plain("extreme", "untyped", [({"kind": kind}, value) for kind, value in extreme.items()])

    ages = [(i, (step + 2 + 4 * i) % SESSION_EVERY) for i in range(9)]
    alive = [(i, {"session": f"s{i}", "shop": SHOPS[i % 4]}, age) for i, age in ages if age < SESSION_STEPS]
    yield plain("session_age", "gauge", [(of, age + i / 16) for i, of, age in alive])
    yield plain("session_hits_total", "counter", [(of, age * (i + 1)) for i, of, age in alive])


def line(name, labels, value):
    pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
    written = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if value != value else repr(float(value)))
    return f"{name}{{{pairs}}} {written}"


def now(step):
    """The page of a step."""
    out = []
    for family, kind, samples in families("shop", step, 1_000_000):
        out.append(f"# TYPE {family} {kind}")
        out += [line(family + suffix, labels, value) for suffix, labels, value in samples]
    return "\n".join(out) + "\n"


def history(job, first_ms, step_ms, steps):
    """A page of all steps at once, each sample with its time, a little off the beat: as if it had been scraped every `step_ms`."""
    series = {}
    for step in range(steps):
        for family, kind, samples in families("past", step, 0):
            for suffix, labels, value in samples:
                at_ms = first_ms + step * step_ms + 137 + 100 * (step % 3) + len(family) % 7
                labels = {"job": job, "instance": "then:1", **labels}
                lines = series.setdefault((family, kind), {}).setdefault((suffix, *labels.values()), [])
                lines.append(f"{line(family + suffix, labels, value)} {at_ms}")
    out = []
    for (family, kind), found in series.items():
        out.append(f"# TYPE {family} {kind}")
        out += [text for lines in found.values() for text in lines]
    return "\n".join(out) + "\n"


class Target:
    """Serves `/metrics`, a step further at each scrape, and `/history`, which stays."""

    def __init__(self, past):
        target = self
        self.step = -1

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/metrics":
                    target.step += 1
                body = (now(target.step) if self.path == "/metrics" else past).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                # Who scraped may have gone.
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
