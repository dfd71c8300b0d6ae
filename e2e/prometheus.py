"""Debian's Prometheus, started by tests."""

import shutil
import socket
import subprocess

import requests

from server import eventually

BINARY = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """One process on a free port, which takes remote writes."""

    def __init__(self, folder, config="{}", *arguments):
        assert BINARY, "install it: apt-get install prometheus"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.arguments = folder, arguments
        (folder / "prometheus.yml").write_text(config)

    def __enter__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(
            [BINARY, f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
             "--enable-feature=native-histograms,promql-at-modifier,promql-negative-offset", *self.arguments],
            stderr=self.log,
        )
        eventually(self._ready)
        return self

    def _ready(self):
        try:
            return requests.get(self.url + "/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
