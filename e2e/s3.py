"""A real S3 server on loopback (moto), and a line to it that breaks when told to."""

import os
import socket
import subprocess
import sys
import threading
import time

import requests

BUCKET = "lake"


class S3:
    """moto's S3 server, in a process of its own."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                assert requests.put(f"{self.url}/{BUCKET}", timeout=5).ok
                return self
            except (requests.ConnectionError, requests.Timeout):
                assert time.monotonic() < deadline and self.process.poll() is None, "moto does not start"
                time.sleep(0.1)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def keys(self, prefix=""):
        import xml.etree.ElementTree as tree

        answer = requests.get(f"{self.url}/{BUCKET}", params={"list-type": "2", "prefix": prefix, "max-keys": "1000"}, timeout=30)
        names = tree.fromstring(answer.content).iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")
        return sorted(name.text for name in names)


class Line:
    """A TCP proxy before the server. `mode` says what becomes of a request: `pass`, `refuse` (nobody listens any more), `slowdown`
    (503, as S3 throttles), `error` (500), `expired` (403: the credentials have ended), `cut` (forwarded, and the
    connection ends before the answer), `slow` (answers trickle)."""

    def __init__(self, port):
        self.port, self.mode, self.seen = port, "pass", 0
        self.every = 1
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        """One request after the other; each on a new connection to the server."""
        with client:
            try:
                while request := self._read(client):
                    self.seen += 1
                    mode = self.mode if self.seen % self.every == 0 else "pass"
                    if mode == "refuse":
                        return
                    refusals = {
                        "slowdown": (b"503 Slow Down", "SlowDown"),
                        "error": (b"500 Internal Server Error", "InternalError"),
                        "expired": (b"403 Forbidden", "ExpiredToken"),
                    }
                    if mode in refusals:
                        status, code = refusals[mode]
                        body = f"<Error><Code>{code}</Code><Message>by the test</Message></Error>".encode()
                        client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
                        continue
                    with socket.create_connection(("127.0.0.1", self.port)) as server:
                        server.sendall(request)
                        answer = self._read(server, head=request.startswith(b"HEAD"))
                    if mode == "cut":
                        return
                    if mode == "slow":
                        for start in range(0, len(answer), 65536):
                            client.sendall(answer[start:start + 65536])
                            time.sleep(0.05)
                    else:
                        client.sendall(answer)
            except OSError:
                return

    @staticmethod
    def _read(connection, head=False):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return b""
            data += more
        header, _, body = data.partition(b"\r\n\r\n")
        fields = {line.split(b":", 1)[0].strip().lower(): line.split(b":", 1)[1].strip() for line in header.split(b"\r\n")[1:]}
        if fields.get(b"expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = 0 if head else int(fields.get(b"content-length", 0))
        parts, have = [body], len(body)
        while have < length:
            more = connection.recv(1 << 20)
            if not more:
                break
            parts.append(more)
            have += len(more)
        return header + b"\r\n\r\n" + b"".join(parts)


def credentials():
    """In the environment, where AWS's own tools look for them."""
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        del os.environ[key]
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1")
