"""Debian's Prometheus scrapes itself, remote-writes to Tyto, and both must answer alike."""

import http.server
import shutil
import socket
import subprocess
import threading
import time

import pytest
import requests

from server import eventually

PROMETHEUS = shutil.which("prometheus")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


TRACE_ID = "0123456789abcdef0123456789abcdef"


class Shop(http.server.BaseHTTPRequestHandler):
    """A target whose counter carries an exemplar, in OpenMetrics."""

    count = 0

    def do_GET(self):
        Shop.count += 1
        text = f"""# TYPE orders counter
# HELP orders Orders taken.
orders_total{{kind="book"}} {Shop.count} # {{trace_id="{TRACE_ID}"}} {Shop.count}
# EOF
"""
        self.send_response(200)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def shop():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def prometheus(tyto, shop, tmp_path):
    assert PROMETHEUS, "install it: apt-get install prometheus"
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: tyto
    static_configs: [{{targets: ["{tyto.http}"]}}]
  - job_name: shop
    static_configs: [{{targets: ["{shop}"]}}]
remote_write:
  - url: {tyto.url}/api/v1/write
    send_exemplars: true
    metadata_config: {{send_interval: 1s}}
    queue_config: {{batch_send_deadline: 1s}}
""")
    process = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}",
         "--enable-feature=exemplar-storage"],
        stderr=subprocess.PIPE, text=True,
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


QUERIES = [
    "up",
    "count({__name__=~'prometheus_.+'})",
    "sum by (job) (up)",
    "prometheus_tsdb_head_series",
    "sum(rate(prometheus_tsdb_head_samples_appended_total[10s]))",
    "increase(prometheus_http_requests_total{handler='/metrics'}[10s])",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[15s])))",
    "topk(3, go_memstats_alloc_bytes_total)",
    "max_over_time(go_goroutines[10s]) - min_over_time(go_goroutines[10s])",
    "process_resident_memory_bytes / on(instance, job) group_left go_goroutines",
    "go_gc_duration_seconds{quantile='0.5'} offset 2s",
    "absent(nothing_has_this_name)",
    "go_memstats_alloc_bytes",
    "sum without (instance) (process_open_fds)",
]


def by_labels(answer):
    def key(series):
        return tuple(sorted(series["metric"].items()))
    return {key(series): series for series in answer["data"]["result"]}


def test_remote_write_then_equal_answers(tyto, prometheus):
    eventually(lambda: len(tyto.promql("up")) == 3, timeout=60)
    # Long enough that every range asked for lies within every series' life: Prometheus before 3.0 extrapolated to the left of
    # a series' first sample by another rule. Everything until `now` has been sent: remote write is a second behind.
    time.sleep(36)
    now = time.time() - 4

    def ask(base, path, **parameters):
        response = requests.get(base + path, params=parameters, timeout=30)
        assert response.ok, response.text
        return response.json()

    compared = 0
    for query in QUERIES:
        for path, parameters in [("/api/v1/query", {"time": now}), ("/api/v1/query_range", {"start": now - 10, "end": now, "step": 2})]:
            theirs = by_labels(ask(prometheus, path, query=query, **parameters))
            ours = by_labels(ask(tyto.url, path, query=query, **parameters))
            assert ours.keys() == theirs.keys(), query
            for labels, series in theirs.items():
                points = lambda found: found.get("values") or [found["value"]]
                for (their_time, their_value), (our_time, our_value) in zip(points(series), points(ours[labels]), strict=True):
                    assert our_time == pytest.approx(their_time)
                    assert float(our_value) == pytest.approx(float(their_value), rel=1e-9, nan_ok=True), (query, labels)
                    compared += 1
    assert compared > 100

    names = ask(prometheus, "/api/v1/label/__name__/values")["data"]
    assert set(names) <= set(ask(tyto.url, "/api/v1/label/__name__/values")["data"])
    metadata = eventually(lambda: ask(tyto.url, "/api/v1/metadata", metric="go_goroutines")["data"])
    assert metadata["go_goroutines"][0]["type"] == "gauge"

    # Prometheus sends an exemplar apart from the samples of its series.
    def exemplars(base):
        found = ask(base, "/api/v1/query_exemplars", query="orders_total", start=now - 30, end=now)["data"]
        return {(tuple(sorted(series["seriesLabels"].items())), exemplar["labels"]["trace_id"], float(exemplar["value"]))
                for series in found for exemplar in series["exemplars"]}

    assert len(exemplars(prometheus)) > 10
    assert exemplars(prometheus) <= exemplars(tyto.url)
