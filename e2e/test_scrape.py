"""Tyto scrapes what a prometheus.yml says: beside Debian's Prometheus, and from a stand-in that asks for TLS and a token."""

import http.server
import shutil
import signal
import ssl
import subprocess
import threading

import pytest
import requests

from server import Tyto, eventually
from test_prometheus import PROMETHEUS, free_port

NODE_EXPORTER = shutil.which("prometheus-node-exporter")

# What does not change between two scrapes, of every kind of look at it.
QUERIES = [
    "up",
    "node_uname_info",
    "node_boot_time_seconds",
    "node_memory_MemTotal_bytes",
    "node_exporter_build_info",
    "node_cpu_seconds_total > bool 1e300",
    "count by (mode) (node_cpu_seconds_total)",
    "sum by (collector) (node_scrape_collector_success)",
    "label_replace(node_uname_info, 'short', '$1', 'release', '([0-9]+).*')",
    "count({job='node', __name__=~'node_network_.*'})",
    "max by (instance, kind) (process_max_fds)",
    "scrape_samples_scraped - scrape_samples_post_metric_relabeling",
    "count({__name__=~'node_netstat_.*'}) or vector(0)",
]


@pytest.fixture
def node_exporter():
    assert NODE_EXPORTER, "install it: apt-get install prometheus-node-exporter"
    port = free_port()
    process = subprocess.Popen([NODE_EXPORTER, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    eventually(lambda: answers(f"http://127.0.0.1:{port}/metrics"))
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


def answers(url):
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def vector(url, query):
    answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=60).json()
    assert answer["status"] == "success", answer
    return sorted((sorted(sample["metric"].items()), sample["value"][1]) for sample in answer["data"]["result"])


def test_the_same_file_gives_the_same_answers_as_prometheus(node_exporter, tmp_path):
    assert PROMETHEUS, "install it: apt-get install prometheus"
    port = free_port()
    (tmp_path / "targets.yml").write_text(f"- targets: ['{node_exporter}']\n  labels: {{kind: file}}\n")
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s, external_labels: {{dc: here}}}}
rule_files: ["none.rules"]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["{node_exporter}"], labels: {{kind: static}}}}]
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: "node_(netstat|vmstat)_.*", action: drop}}
  - job_name: files
    file_sd_configs: [{{files: ["targets.yml"]}}]
    relabel_configs:
      - {{source_labels: [__meta_filepath], regex: ".*/(.*)", target_label: file}}
  - job_name: gone
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
""")
    prometheus = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with Tyto(tmp_path / "data", "--scrape-config", config) as tyto:
            for base in [url, tyto.url]:
                eventually(lambda: answers(f"{base}/-/ready") and len(vector(base, "count_over_time(up[1m]) > 2")) == 3)
            for query in QUERIES:
                expected = vector(url, query)
                assert expected or query.startswith("count({__name__"), query
                assert vector(tyto.url, query) == expected, query
            ours, theirs = (
                {
                    (target["scrapePool"], target["scrapeUrl"], target["health"], target["scrapeInterval"], str(target["labels"]))
                    for target in requests.get(f"{base}/api/v1/targets", timeout=60).json()["data"]["activeTargets"]
                }
                for base in [tyto.url, url]
            )
            assert ours == theirs
            [kind] = {entry["type"] for entry in tyto.get("/api/v1/targets/metadata", metric="node_cpu_seconds_total")["data"]}
            assert kind == "counter"
            assert any("not used by Tyto: global.external_labels, rule_files" in line for line in tyto.stderr), tyto.stderr
            assert tyto.stop() == 0
    finally:
        prometheus.kill()
        prometheus.wait()


class Guarded(http.server.BaseHTTPRequestHandler):
    """Answers in HTTPS, and only who knows the token."""

    def do_GET(self):
        known = self.headers.get("Authorization") == "Bearer open sesame"
        text = b"# TYPE treasure gauge\ntreasure 40\n" if known else b""
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def guarded(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_tls_and_tokens_reload_and_staleness(guarded, tmp_path):
    config, token = tmp_path / "prometheus.yml", tmp_path / "token"
    token.write_text("open sesame\n")

    def write(jobs):
        config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(
            f"- {{job_name: {name}, scheme: https, static_configs: [{{targets: ['{guarded}']}}], {options}}}\n" for name, options in jobs.items()
        ))

    known = {
        "trusted": "tls_config: {ca_file: cert.pem}, authorization: {credentials_file: token}",
        "careless": "tls_config: {insecure_skip_verify: true}, bearer_token: open sesame",
        "stranger": "authorization: {credentials_file: token}",
        "guest": "tls_config: {ca_file: cert.pem}",
    }
    write(known)
    with Tyto(tmp_path / "data", "--scrape-config", config) as tyto:
        health = lambda: {target["scrapePool"]: target["health"] for target in tyto.get("/api/v1/targets")["data"]["activeTargets"]}
        eventually(lambda: health() == {"trusted": "up", "careless": "up", "stranger": "down", "guest": "down"})
        assert {sample["metric"]["job"] for sample in tyto.promql("treasure == 40")} == {"trusted", "careless"}
        errors = {target["scrapePool"]: target["lastError"] for target in tyto.get("/api/v1/targets")["data"]["activeTargets"]}
        assert "401" in errors["guest"] and "certificate" in errors["stranger"].lower(), errors

        # A job goes: its series end at once. A broken file changes nothing.
        del known["careless"]
        write(known)
        tyto.process.send_signal(signal.SIGHUP)
        eventually(lambda: {sample["metric"]["job"] for sample in tyto.promql("treasure")} == {"trusted"})
        config.write_text("scrape_config: []\n")
        refused = requests.post(f"{tyto.url}/-/reload", timeout=60)
        assert refused.status_code >= 400 and "prometheus.yml:1:1: cannot use key \"scrape_config\"" in refused.json()["error"], refused.text
        assert "did you mean" in refused.json()["error"]
        # The token is read at each scrape.
        token.write_text("wrong\n")
        eventually(lambda: health()["trusted"] == "down" and not tyto.promql("treasure"))
        assert tyto.stop() == 0


def test_a_file_that_cannot_be_used_is_refused_at_the_start(tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs:\n- job_name: pods\n  consul_sd_configs: [{server: here}]\n")
    with pytest.raises(RuntimeError, match="prometheus.yml:3:3: cannot discover targets by consul_sd_configs"):
        Tyto(tmp_path / "data", "--scrape-config", config).start()
