"""What log lines have in common, from the socket to the answers, over a restart and an erasure's way."""

import time

import requests

from server import Tyto
from test_serve import push


def ask(server, path, **params):
    response = requests.get(server.url + path, params=params, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def found(server, at, **params):
    answer = ask(server, "/api/tyto/v1/patterns", start=str(at - 10**9), end=str(at + 60 * 10**9), **params)
    return {pattern["pattern"]: pattern for pattern in answer["patterns"]}, answer


def test_patterns_are_counted_found_again_and_outlast_a_restart(tmp_path):
    at = (time.time_ns() // 10**9 - 3000) * 10**9
    users = ["root", "alice", "bob", "carol", "dan", "erin"]
    with Tyto(tmp_path / "tyto-data") as server:
        push(server, [f"session opened for user {users[index % 6]} by (uid={index})" for index in range(60)], {"app": "sshd"}, at)
        push(server, [f"request {index} took {index * 7} ms" for index in range(40)], {"app": "web"}, at)
        opened = "session opened for user <_> by (uid=<_>)"
        patterns, answer = found(server, at)
        assert {text: pattern["count"] for text, pattern in patterns.items()} == {opened: 60, "request <_> took <_>": 40}
        assert (answer["lines"], answer["lines_before"], answer["sampled"]) == (100, 0, False)
        assert {pattern["change"] for pattern in patterns.values()} == {"new"}
        assert sum(count for _, count in patterns[opened]["samples"]) == 60
        # Grafana's way, and the way back from a pattern to its lines.
        bounds = {"start": str(at - 10**9), "end": str(at + 60 * 10**9)}
        drilldown = ask(server, "/loki/api/v1/patterns", query='{app="sshd"}', step="60s", **bounds)
        assert [pattern["pattern"] for pattern in drilldown["data"]] == [opened] and drilldown["status"] == "success"
        lines = ask(server, "/loki/api/v1/query_range", query=f'{{app="sshd"}} |> `{opened}`', limit=1000, **bounds)
        assert sum(len(stream["values"]) for stream in lines["data"]["result"]) == 60
        assert "tyto_log_patterns 2" in requests.get(server.url + "/metrics", timeout=60).text
        assert server.stop() == 0
    assert b"session" not in (tmp_path / "tyto-data" / "patterns").read_bytes()
    with Tyto(tmp_path / "tyto-data") as server:
        again, _ = found(server, at)
        assert {text: pattern["id"] for text, pattern in again.items()} == {text: pattern["id"] for text, pattern in patterns.items()}
        # Later there are no sessions any more, and what was seen before is not new.
        push(server, ["request 1 took 2 ms"] * 40, {"app": "web"}, at + 70 * 10**9)
        answer = ask(server, "/api/tyto/v1/patterns", start=str(at + 60 * 10**9), end=str(at + 121 * 10**9))
        assert {pattern["pattern"]: pattern["change"] for pattern in answer["patterns"]} == {opened: "vanished", "request <_> took <_>": "steady"}
        assert server.stop() == 0
