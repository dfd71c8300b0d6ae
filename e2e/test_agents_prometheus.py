"""Prometheus by the files of deploy/agents/prometheus: Debian's, through a proxy with TLS and a token. Each sample is there once, under the identity
that the files stamp."""

import http.server
import itertools
import json
import re
import ssl
import subprocess
import threading

import pytest
import requests
import yaml

import agents
from kubernetes import Kubernetes, pod
from prometheus import BINARY, free_port
from server import Tyto, eventually
from test_agents import ANNOTATIONS, BILLING, CATALOGUE, SALES
from test_syslog import make_certificates


def prometheus_version():
    said = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr).groups()))


@pytest.fixture
def prometheus():
    assert BINARY, "install it: apt-get install prometheus"
    running = []

    def start(config, folder):
        new = prometheus_version() >= (3, 0)
        if not new:
            # The one line that its comment says old ones do not know.
            text, count = re.subn(r"\n +protobuf_message: .*", "", config.read_text())
            assert count == 1
            config.write_text(text)
        agent = ["--agent", "--enable-feature=metadata-wal-records"] if new else ["--enable-feature=agent"]
        log = (folder / "log").open("w")
        running.append((subprocess.Popen([BINARY, *agent, f"--config.file={config}", f"--storage.agent.path={folder}/agent",
                                          f"--web.listen-address=127.0.0.1:{free_port()}"], stderr=log), log))
        return new

    yield start
    for process, log in running:
        process.kill()
        process.wait()
        log.close()


class Counting(http.server.BaseHTTPRequestHandler):
    """A target that says how often it was asked."""

    def do_GET(self):
        text = f"# TYPE asked counter\nasked_total {next(self.server.count)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Gate(http.server.BaseHTTPRequestHandler):
    """The proxy before Tyto: TLS, and nobody without the token. Closed, it answers 503."""

    def do_POST(self):
        server, body = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        server.seen.add((self.headers.get("Authorization"), self.headers.get("X-Prometheus-Remote-Write-Version")))
        status, text = (503, b"") if not server.open else (401, b"")
        if server.open and self.headers.get("Authorization") == "Bearer open sesame":
            passed = {name: value for name, value in self.headers.items() if name.lower().startswith(("content-", "x-")) and name.lower() != "content-length"}
            answer = requests.post(server.url + self.path, data=body, headers=passed, timeout=60)
            status, text = answer.status_code, answer.content
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def serve(handler, **settings):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    vars(server).update(settings)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def shop():
    server = serve(Counting, count=itertools.count(1))
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def gate(tyto, tmp_path):
    make_certificates(tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url, server.open, server.seen = tyto.url, True, set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def changed(name, folder, gate, **others):
    """A file with its lines changed that a README says to change, and scraped more often. Each is there."""
    (folder / "token").write_text("open sesame\n")
    text = (agents.FOLDER / "prometheus" / name).read_text()
    lines = {"https://tyto.example.com/": f"https://localhost:{gate.server_address[1]}/", "/etc/prometheus/tyto/token": str(folder / "token"),
             "# tls_config: {ca_file: /etc/prometheus/tyto/ca.pem}": f"tls_config: {{ca_file: {folder}/ca.pem}}",
             "scrape_interval: 30s": "scrape_interval: 500ms", "scrape_timeout: 10s": "scrape_timeout: 500ms",
             "batch_send_deadline: 5s": "batch_send_deadline: 200ms", "max_backoff: 30s": "max_backoff: 1s", **others}
    for old, new in lines.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


def values(tyto, query):
    found = tyto.promql(query)
    return {tuple(series["metric"].get(name) for name in ["business_service", "service", "component", "environment", "team"]):
            [float(value) for _, value in series["values"]] for series in found}


def test_prometheus_on_a_host(tyto, gate, shop, prometheus, tmp_path):
    node = serve(Counting, count=itertools.count(1))
    config = changed("host.yml", tmp_path, gate, **{"localhost:9100": f"127.0.0.1:{node.server_address[1]}"})
    targets = (agents.FOLDER / "prometheus" / "targets" / "shop.yml").read_text().replace("localhost:8080", shop)
    assert shop in targets
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "shop.yml").write_text(targets)
    # Who says not whose it is is not scraped.
    (tmp_path / "targets" / "nobody.yml").write_text(f"- targets: ['{shop}']\n  labels: {{business_service: sales}}\n")
    new = prometheus(config, tmp_path)

    platform = ("platform", "hosts", "node", "production", "platform")
    eventually(lambda: set(values(tyto, "asked_total[10m]")) == {SALES, platform})
    # While Tyto is away samples wait; then each is there, once: the values are those that were shown, one after the other.
    gate.open = False
    before = values(tyto, "asked_total[10m]")[SALES][-1]
    eventually(lambda: any(True for _ in gate.seen))
    threading.Event().wait(3)
    gate.open = True
    eventually(lambda: values(tyto, "asked_total[10m]")[SALES][-1] > before + 10, timeout=60)
    for series in values(tyto, "asked_total[10m]").values():
        assert series == [float(number + series[0]) for number in range(len(series))] and series[0] <= 2, series
    assert {authorization for authorization, _ in gate.seen} == {"Bearer open sesame"}
    assert {version for _, version in gate.seen} == {"2.0.0" if new else "0.1.0"}
    node.shutdown()


def test_prometheus_in_kubernetes(tyto, gate, shop, prometheus, tmp_path):
    """Debian 12's Prometheus is built without discovery of Kubernetes. Tyto, which scrapes by the same file, finds the pods; Prometheus
    is given the labels that were found so, relabels them and sends."""
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": shop.split(":")[1]}
    place = lambda job, name: (f"shop/{job}", "shop", name, "n1")
    claimed = {(*SALES[:3], "shop", *place("shop", "said")), (*SALES[:3], "shop", *place("app", "staging")),
               (*BILLING[:3], "money", *place("billing-api", "named"))}
    (tmp_path / "omd.yaml").write_text(CATALOGUE)
    with Kubernetes("open sesame") as kubernetes, Tyto(tmp_path / "written", "--catalog", tmp_path / "omd.yaml") as written:
        gate.url = written.url
        put = lambda name, labels, **annotations: kubernetes.put("pods", "shop", name, **pod(name, shop, labels, annotations=annotations))
        put("said", {"app.kubernetes.io/name": "shop"}, **scraped, **ANNOTATIONS)
        put("staging", {}, **scraped, **ANNOTATIONS, **{"resource.opentelemetry.io/deployment.environment.name": "staging"})
        put("named", {"app.kubernetes.io/name": "billing-api"}, **scraped)
        put("quiet", {}, **ANNOTATIONS)
        api = f'- role: pod\n        api_server: "{kubernetes.url}"\n        authorization: {{credentials_file: {tmp_path}/token}}'
        config = changed("kubernetes.yml", tmp_path, gate, **{"- role: pod": api})
        with Tyto(tmp_path / "scraped", "--scrape-config", config, "--catalog", tmp_path / "omd.yaml") as scraping:
            eventually(lambda: placed(scraping) == claimed)
            found = [target["discoveredLabels"] for target in scraping.get("/api/v1/targets")["data"]["activeTargets"]]
        assert len(found) == 3
        discovered = [{"targets": [labels["__address__"]], "labels": {name: value for name, value in labels.items() if name.startswith("__meta_")}}
                      for labels in found]
        (tmp_path / "pods.json").write_text(json.dumps(discovered))
        text = config.read_text().replace(f"kubernetes_sd_configs:\n      {api}", f"file_sd_configs: [{{files: [{tmp_path}/pods.json]}}]")
        assert "kubernetes_sd_configs" not in text
        config.write_text(text)
        prometheus(config, tmp_path)
        eventually(lambda: placed(written) == claimed)
        environments = {series["metric"]["pod"]: series["metric"]["environment"] for series in written.promql("asked_total")}
        assert environments == {"said": "production", "staging": "staging", "named": "production"}


def placed(server):
    names = ["business_service", "service", "component", "team", "job", "namespace", "pod", "node"]
    return {tuple(series["metric"].get(name) for name in names) for series in server.promql("asked_total")}


def test_prometheus_manifest():
    text = (agents.FOLDER / "prometheus" / "statefulset.yaml").read_text()
    documents = {document["kind"]: document for document in agents.documents(agents.FOLDER / "prometheus" / "statefulset.yaml")}
    spec = documents["StatefulSet"]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert container["resources"]["limits"]["memory"] and "--agent" in container["args"]
    token = yaml.safe_load((agents.FOLDER / "prometheus" / "kubernetes.yml").read_text())["remote_write"][0]["authorization"]["credentials_file"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert token == f"{mounts['config']}/token" and "--from-literal=token=" in text
    assert f"--config.file={mounts['config']}/prometheus.yml" in container["args"] and "--from-file=prometheus.yml=kubernetes.yml" in text
