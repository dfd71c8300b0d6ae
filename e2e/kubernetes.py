"""A stand-in for Kubernetes's API server on loopback: lists in pages, watches, bookmarks, 410 Gone, tokens."""

import http.server
import json
import threading
import urllib.parse

# Kind: where its objects are.
GROUPS = {
    "pods": "/api/v1", "services": "/api/v1", "nodes": "/api/v1", "endpoints": "/api/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1", "ingresses": "/apis/networking.k8s.io/v1",
}


class Kubernetes:
    """Objects by kind, namespace and name; every change is an event with a version."""

    def __init__(self, token, page=2):
        self.token, self.page = token, page
        self.version, self.forgotten = 1, 0
        self.objects, self.events = {}, []
        self.changed = threading.Condition()
        # Watches end when this grows.
        self.epoch = 0
        self.asked = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.hang_up()
        self.server.shutdown()

    # What a test does

    def put(self, kind, namespace, name, **body):
        with self.changed:
            key = (kind, namespace, name)
            event = "MODIFIED" if key in self.objects else "ADDED"
            self.version += 1
            metadata = {"name": name, "namespace": namespace, "resourceVersion": str(self.version), **body.pop("metadata", {})}
            self.objects[key] = {"metadata": metadata, **body}
            self.events.append((self.version, event, key, self.objects[key]))
            self.changed.notify_all()

    def delete(self, kind, namespace, name):
        with self.changed:
            key = (kind, namespace, name)
            gone = self.objects.pop(key)
            self.version += 1
            gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
            self.events.append((self.version, "DELETED", key, gone))
            self.changed.notify_all()

    def hang_up(self):
        """Ends all watches."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def forget(self):
        """Versions before now are gone, as after a compaction."""
        with self.changed:
            self.version += 1
            self.forgotten, self.events = self.version, []
        self.hang_up()

    # What the server does

    def answer(self, handler):
        url = urllib.parse.urlparse(handler.path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        self.asked.append(handler.path)
        if handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self.status(handler, 401, "Unauthorized")
        kind = url.path.rsplit("/", 1)[1]
        if not url.path.startswith(GROUPS.get(kind, "none")):
            return self.status(handler, 404, "the server could not find the requested resource")
        parts = url.path.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else None
        matches = lambda key: key[0] == kind and namespace in (None, key[1])
        if asked.get("watch") == "true":
            return self.watch(handler, matches, int(asked["resourceVersion"]))
        with self.changed:
            items = [body for key, body in sorted(self.objects.items()) if matches(key)]
            version = str(self.version)
        begin = int(asked.get("continue", 0))
        end = begin + min(int(asked["limit"]), self.page)
        metadata = {"resourceVersion": version, **({"continue": str(end)} if end < len(items) else {})}
        self.send(handler, 200, {"kind": "List", "metadata": metadata, "items": items[begin:end] or None})

    def watch(self, handler, matches, version):
        if version < self.forgotten:
            return self.status(handler, 410, "too old resource version")
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

        def say(event):
            line = json.dumps(event).encode() + b"\n"
            # In two pieces: a line is whole when it ends.
            for piece in [line[:7], line[7:]]:
                handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                handler.wfile.flush()

        epoch = self.epoch
        try:
            while True:
                with self.changed:
                    fresh = [event for event in self.events if event[0] > version and matches(event[2])]
                    if not fresh and self.epoch == epoch:
                        self.changed.wait()
                        continue
                    ends, version = self.epoch != epoch, max([version, *(event[0] for event in fresh)])
                for _, kind, _, body in fresh:
                    say({"type": kind, "object": body})
                if ends:
                    handler.wfile.write(b"0\r\n\r\n")
                    return
                say({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}})
        except OSError:
            return

    def status(self, handler, code, message):
        self.send(handler, code, {"kind": "Status", "status": "Failure", "message": message, "code": code})

    @staticmethod
    def send(handler, code, body):
        text = json.dumps(body).encode()
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


def pod(name, address, labels, **metadata):
    """A body of a pod whose only container listens at this address."""
    host, port = address.split(":")
    return {
        "metadata": {"labels": labels, "uid": f"uid-{name}", **metadata},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": int(port), "protocol": "TCP"}]}]},
        "status": {"podIP": host, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
