"""The stores under test: each a process of its own, so that the kernel counts its CPU and memory."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

import company

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Store:
    """One process over one fresh folder."""

    name = ""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{self.name}-"))
        self.process = None
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_bytes(self, what="VmRSS"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+)", status)[1]) * 1024

    def disk_bytes(self, folder=None):
        return sum(path.stat().st_size for path in (folder or self.folder).rglob("*") if path.is_file())

    def settle(self):
        """Everything to disk in its final form."""

    def rest(self):
        """Waits until hardly anything is at work in the background, a minute at most."""
        for _ in range(60):
            before = self.cpu_seconds()
            time.sleep(1)
            if self.cpu_seconds() - before < 0.03:
                return

    # Servers

    def spawn(self, arguments, ready):
        self.log = open(self.folder / "stderr.log", "wb")
        self.process = subprocess.Popen([str(argument) for argument in arguments], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
                connection.request("GET", ready)
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start: {(self.folder / 'stderr.log').read_text()}")
            time.sleep(0.05)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def request(self, method, path, body=None, headers={}):
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{self.name}: {method} {path}: {response.status} {answer[:500]!r}")
        return answer

    def remote_write(self, bodies):
        headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy", "x-prometheus-remote-write-version": "0.1.0"}
        for body in bodies:
            self.request("POST", "/api/v1/write", body, headers)

    def promql(self, path, **parameters):
        return json.loads(self.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"))["data"]


class Tyto(Store):
    name = "tyto"
    binary = None
    flags = ()
    # Attributes of logs with a type, and so with a column of their own, as ClickHouse's table declares its columns.
    declares = {"duration": "number"}

    def start(self):
        self.port = free_port()
        if self.declares:
            contract = self.folder / "contract.json"
            contract.write_text(json.dumps({
                "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "What the bench logs", "type": "object",
                "properties": {name: {"type": kind} for name, kind in self.declares.items()}}))
            self.flags = (*self.flags, "--catalog", contract)
        self.spawn([self.binary, "serve", "--data-dir", self.folder / "data", "--http", f"127.0.0.1:{self.port}", "--otlp-grpc", "127.0.0.1:0",
                    "--otlp-http", "127.0.0.1:0", *self.flags], "/-/ready")

    def otlp(self, signal_name, bodies):
        for body in bodies:
            self.request("POST", f"/v1/{signal_name}", body, {"content-type": "application/x-protobuf"})

    def loki(self, bodies):
        for body in bodies:
            self.request("POST", "/loki/api/v1/push", body, {"content-type": "application/x-protobuf"})

    def settle(self):
        self.request("POST", "/-/flush")
        self.rest()

    def lake_bytes(self, table):
        """The files of the table as it is now, and its log. What a compaction replaced is deleted after ten minutes and is not counted, as with
        ClickHouse's parts."""
        folder = self.folder / "data" / "shards" / "default" / "lake" / table
        files = set()
        for commit in sorted((folder / "_delta_log").glob("*.json")):
            for action in map(json.loads, commit.read_text().splitlines()):
                if "remove" in action:
                    files.discard(action["remove"]["path"])
                if "add" in action:
                    files.add(action["add"]["path"])
        return sum((folder / name).stat().st_size for name in files) + self.disk_bytes(folder / "_delta_log")

    def sql(self, text):
        return json.loads(self.request("POST", "/api/tyto/v1/sql", json.dumps({"sql": text}), {"content-type": "application/json"}))["rows"]

    def tempo(self, path, **parameters):
        return json.loads(self.request("GET", f"/tempo/api/{path}?{urllib.parse.urlencode(parameters)}"))

    def logql(self, path, **parameters):
        return json.loads(self.request("GET", f"/loki/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))["data"]["result"]


class TytoUndeclared(Tyto):
    """Knows of the logs what they say themselves."""

    name = "tyto (no contract)"
    declares = {}


class TytoUnwatched(Tyto):
    """Makes no metrics and no map of spans."""

    name = "tyto (no span metrics)"
    flags = ("--span-metrics=false",)


class TytoUnruled(Tyto):
    """Has the same typed column for the attribute of the lines, and knows nobody and no rule."""

    name = "tyto (nothing enforced)"
    catalogue = {}


class TytoGoverned(Tyto):
    """Has a company's catalogue; without contracts and masks it knows whose records are."""

    declares = {}

    def __init__(self, name="tyto", **catalogue):
        self.name, self.catalogue = name, catalogue

    def start(self):
        company.write(self.folder / "catalogue", **self.catalogue)
        (self.folder / "pseudonyms").write_bytes(bytes(range(32)))
        self.flags = ("--catalog", self.folder / "catalogue", "--pseudonym-key", self.folder / "pseudonyms")
        super().start()


class TytoFromFiles(Tyto):
    """Keeps no flushed samples in memory: every query reads Parquet, as those over last week do."""

    name = "tyto (from files)"
    flags = ("--recent-samples-bytes-max", "0")


class Prometheus(Store):
    name = "prometheus"

    def start(self):
        self.port = free_port()
        config = self.folder / "prometheus.yml"
        config.write_text("global: {}\n")
        self.spawn(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                    "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--storage.tsdb.retention.time=100y"], "/-/ready")

    def settle(self):
        # The head becomes a block only after hours; a snapshot writes it as one now.
        self.request("POST", "/api/v1/admin/tsdb/snapshot")

    def sample_bytes(self):
        return self.disk_bytes(self.folder / "data" / "snapshots")


class VictoriaMetrics(Store):
    name = "victoria-metrics"

    def start(self):
        self.port = free_port()
        self.spawn(["victoria-metrics", f"-storageDataPath={self.folder}/data", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
                    "-search.latencyOffset=0s", "-search.disableCache", "-search.maxUniqueTimeseries=2000000", "-dedup.minScrapeInterval=0s"], "/health")

    def settle(self):
        self.request("GET", "/internal/force_flush")
        self.request("GET", "/internal/force_merge")
        time.sleep(1)

    def sample_bytes(self):
        return self.disk_bytes(self.folder / "data" / "data") + self.disk_bytes(self.folder / "data" / "indexdb")


class ClickHouse(Store):
    """chdb in a process of its own; `order` is the table's sorting key, by which it is named if it has no name of its own."""

    def __init__(self, order=None, name=None):
        self.order = order
        self.name = "clickhouse" if order is None else f"clickhouse {name or 'by ' + order.split(',')[0]}"

    def start(self):
        self.process = subprocess.Popen([sys.executable, HERE / "clickhouse.py", self.folder / "data"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.sql("SELECT 1")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(120)

    def sql(self, text):
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {text}: {answer['error']}")
        return answer["rows"]

    def settle(self):
        self.sql(f"OPTIMIZE TABLE {self.table} FINAL")

    def table_bytes(self):
        [[count]] = self.sql(f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = '{self.table}'")
        return int(count)
