"""Starts the real binary and asks it, as a user would."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("TYTO_BIN") or str(
    pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "tyto"
)
READY = re.compile(r"^tyto ready http=(\S+) otlp_grpc=(\S+) otlp_http=(\S+)((?: \S+=\S+)*)$")


def environment():
    """Of the test's own making only: a developer's TYTO_* settings must not leak in."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TYTO_")}


class Tyto:
    """One process of `tyto serve` on free ports."""

    def __init__(self, data_dir, *arguments):
        self.data_dir = pathlib.Path(data_dir)
        self.arguments = arguments
        self.process = None
        self.stderr = []

    def start(self, timeout=60):
        started = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, "serve", "--data-dir", self.data_dir, "--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0",
             "--otlp-http", "127.0.0.1:0", *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )
        collector = threading.Thread(target=self._collect_stderr, args=(self.process,), daemon=True)
        collector.start()
        line = self.process.stdout.readline().rstrip("\n")
        self.seconds_to_ready = time.monotonic() - started
        ready = READY.match(line)
        if not ready:
            self.process.wait(timeout)
            collector.join(timeout)
            raise RuntimeError(f"not ready: {line!r}\n{''.join(self.stderr)}")
        self.http, self.otlp_grpc, self.otlp_http, others = ready.groups()
        # Of ports that are there only when they are asked for, by name.
        self.ports = dict(pair.split("=", 1) for pair in others.split())
        self.elasticsearch = self.ports.get("elasticsearch")
        self.url = f"http://{self.http}"
        return self

    def _collect_stderr(self, process):
        for line in process.stderr:
            self.stderr.append(line)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=60):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        panics = [line for line in self.stderr if "panicked" in line]
        assert not panics, "".join(self.stderr)

    # Questions

    def get(self, path, **parameters):
        response = requests.get(self.url + path, params=parameters, timeout=60)
        assert response.ok, f"{response.status_code} {response.text}"
        return response.json()

    def sql(self, text):
        response = requests.post(self.url + "/api/tyto/v1/sql", json={"sql": text}, timeout=120)
        assert response.ok, f"{response.status_code} {response.text}"
        return [tuple(row) for row in response.json()["rows"]]

    def one(self, text):
        """The only value of the only row."""
        [(value,)] = self.sql(text)
        return value

    def promql(self, query, **parameters):
        return self.get("/api/v1/query", query=query, **parameters)["data"]["result"]

    def logql(self, query, **parameters):
        return self.get("/loki/api/v1/query_range", query=query, **parameters)["data"]["result"]

    def flush(self):
        response = requests.post(self.url + "/-/flush", timeout=120)
        assert response.ok, f"{response.status_code} {response.text}"

    def metric(self, name):
        """The sum over all series of one of Tyto's own metrics."""
        text = requests.get(self.url + "/metrics", timeout=10).text
        lines = [line for line in text.splitlines() if re.match(rf"{name}[{{ ]", line)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def eventually(check, timeout=30, every=0.1):
    """Waits until `check` returns something true, and returns it."""
    deadline = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {check}")
        time.sleep(every)
