"""Loki's tail with a real WebSocket client: what was there and what comes are together what was sent, each line once."""

import json
import threading
import time
from urllib.parse import urlencode

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from server import Tyto, eventually

SECOND = 10**9


class Tail:
    """One client; every line it was told as (labels, time, line), in the order in which it was told."""

    def __init__(self, server, query, headers=None, messages_ahead=None, **parameters):
        address = f"ws://{server.http}/loki/api/v1/tail?" + urlencode({"query": query, **parameters})
        # Mostly as many as come: a test must not be slow by accident.
        self.socket = connect(address, additional_headers=headers, max_size=None, max_queue=messages_ahead).__enter__()
        self.lines, self.messages, self.dropped, self.close = [], [], 0, None

    def read(self, seconds):
        """One message, if one comes in time."""
        try:
            message = json.loads(self.socket.recv(timeout=seconds))
        except TimeoutError:
            return False
        except ConnectionClosed as closed:
            self.close = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
            return False
        self.messages.append(message)
        self.dropped += message.get("tyto", {}).get("dropped_lines", 0)
        for stream in message["streams"]:
            labels = json.dumps(stream["stream"], sort_keys=True)
            self.lines += [(labels, int(value[0]), value[1]) for value in stream["values"]]
        return True

    def until(self, done, timeout=60):
        deadline = time.monotonic() + timeout
        while not done(self) and self.close is None:
            assert time.monotonic() < deadline, f"{len(self.lines)} lines, the last is {self.lines[-1:]}"
            self.read(1)
        return self

    def texts(self):
        return [line for _, _, line in self.lines]


def push(server, streams):
    """Of each stream lines by now; returns when they are acknowledged."""
    body = {"streams": [{"stream": labels, "values": [[str(at), line] for at, line in values]} for labels, values in streams]}
    response = requests.post(server.url + "/loki/api/v1/push", json=body, timeout=60)
    assert response.status_code == 204, response.text


class Writer(threading.Thread):
    """So many lines a second into three streams, until it is told to stop; `sent` has what was acknowledged."""

    def __init__(self, server, lines_per_second):
        super().__init__(daemon=True)
        self.server, self.per_batch, self.sent, self.ended, self.failed = server, lines_per_second // 20, [], threading.Event(), None

    def run(self):
        number, next_at = 0, time.monotonic()
        try:
            while not self.ended.is_set():
                now = time.time_ns()
                values = [(now + at, f"line {number + at}") for at in range(self.per_batch)]
                push(self.server, [({"app": "flood", "part": str(part)}, values[part::3]) for part in range(3)])
                self.sent += [line for _, line in values]
                number += self.per_batch
                next_at += 0.05
                time.sleep(max(0, next_at - time.monotonic()))
        except requests.RequestException as error:
            self.failed = error

    def stop(self):
        self.ended.set()
        self.join(60)


def test_five_thousand_lines_a_second_are_told_once_each_and_in_order(tyto):
    writer = Writer(tyto, 5000)
    writer.start()
    time.sleep(0.9)
    began = time.monotonic()
    tails = [Tail(tyto, '{app="flood"}', limit=5000)]
    for at in range(3):
        # What goes on beneath changes nothing.
        tyto.flush()
        readers = [threading.Thread(target=lambda tail: [tail.read(0.2) for _ in range(12)], args=[tail]) for tail in tails]
        [reader.start() for reader in readers]
        [reader.join(60) for reader in readers]
        if at == 1:
            # It begins when there are more lines than its limit: their newest and all that come.
            tails.append(Tail(tyto, '{app="flood"}', limit=100))
    writer.stop()
    seconds = time.monotonic() - began
    assert not writer.failed
    sent = len(writer.sent)
    last = writer.sent[-1]
    for tail in tails:
        tail.until(lambda tail: last in tail.texts()[-2000:])
        # Whatever was told too often or too late.
        while tail.read(0.3):
            pass
        texts = tail.texts()
        assert len(texts) == len(set(texts)), "no line comes twice"
        assert tail.dropped == 0
        for part in range(3):
            numbers = [int(line.split()[1]) for labels, _, line in tail.lines if json.loads(labels)["part"] == str(part)]
            assert numbers == sorted(numbers), "in order by stream"
    assert sorted(tails[0].texts()) == sorted(writer.sent)
    late = sorted(int(line.split()[1]) for line in tails[1].texts())
    assert late == list(range(late[0], sent)) and late[0] > 0, "from the newest hundred on, nothing is missing"
    # Some ten messages a second, however many lines.
    assert len(tails[0].messages) < 15 * seconds + 20
    print(f"{sent} lines in {seconds:.1f} s, {len(tails[0].messages)} messages")


def test_the_pipeline_is_that_of_a_range_query(tyto):
    query = '{app="shop"} | json | status >= 500 | line_format "{{.status}} {{.path}}" | drop path'
    flags = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    now = time.time_ns()

    def lines(first):
        rows = [json.dumps({"status": status, "path": f"/{first + at}"}) for at, status in enumerate([200, 500, 503])]
        return [({"app": "shop"}, [(now + first + at, row) for at, row in enumerate(rows)]), ({"app": "other"}, [(now, rows[1])])]

    push(tyto, lines(0))
    plain = Tail(tyto, query)
    apart = Tail(tyto, query, flags, limit=1)
    push(tyto, lines(10))
    plain.until(lambda tail: len(tail.lines) >= 4)
    apart.until(lambda tail: len(tail.lines) >= 3)
    assert apart.texts() == ["503 /2", "500 /11", "503 /12"]
    assert apart.messages[0]["encodingFlags"] == ["categorize-labels"]

    def told(messages):
        return sorted(json.dumps([stream["stream"], value]) for message in messages for stream in message for value in stream["values"])

    assert told(message["streams"] for message in plain.messages) == told([tyto.logql(query, direction="forward")])
    response = requests.get(tyto.url + "/loki/api/v1/query_range", params={"query": query}, headers=flags, timeout=30)
    whole = told([response.json()["data"]["result"]])
    assert set(told(message["streams"] for message in apart.messages)) < set(whole)


def test_the_requests_of_grafana_and_logcli(tyto):
    push(tyto, [({"app": "shop"}, [(time.time_ns(), "there")])])
    # Grafana's Explore, and its server: the query alone. logcli: three parameters, and a fourth with --delay-for.
    for parameters in [{}, {"limit": 30, "start": time.time_ns() - SECOND * 3600}, {"limit": 30, "start": time.time_ns() - SECOND * 3600, "delay_for": 1}]:
        tail = Tail(tyto, '{app="shop"}', {"X-Scope-OrgID": "fake", "User-Agent": "loki-logcli/3.5.0"}, **parameters)
        tail.until(lambda tail: tail.texts() == ["there"])
        assert tail.messages == [{"streams": tyto.logql('{app="shop"}')}]
        assert tail.socket.ping().wait(10)
        tail.socket.close()
    # logcli begins anew behind the last line that it has seen.
    tail = Tail(tyto, '{app="shop"}', limit=30, start=tail.lines[0][1] + 1)
    push(tyto, [({"app": "shop"}, [(time.time_ns(), "new")])])
    assert tail.until(lambda tail: tail.lines).texts() == ["new"]
    for parameters, says in [
        ({"query": 'count_over_time({app="shop"}[1m])'}, "only log selector is supported"),
        ({"query": "{app="}, "cannot read the LogQL query"),
        ({"query": '{app="shop"}', "delay_for": 6}, "delay_for can't be greater than 5"),
        ({"query": '{app="shop"}', "limit": 5001}, "max entries limit per query exceeded"),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            Tail(tyto, **parameters)
        response = refused.value.response
        assert response.status_code == 400 and says in response.body.decode(), response.body
    response = requests.get(tyto.url + "/loki/api/v1/tail", params={"query": '{app="shop"}'}, timeout=30)
    assert response.status_code == 400 and "cannot open a WebSocket" in response.text
    # A page of another site gets nothing.
    with pytest.raises(InvalidStatus) as refused:
        Tail(tyto, '{app="shop"}', {"Origin": "http://evil.example"})
    assert refused.value.response.status_code == 403


def test_who_is_slow_is_told_what_it_lost_and_holds_up_nobody(tyto):
    # It reads nothing but what the kernel keeps for it.
    tail = Tail(tyto, '{app="heavy"}', messages_ahead=1)
    filler, count, start = "x" * 2000, 0, time.monotonic()
    for _ in range(40):
        now = time.time_ns()
        push(tyto, [({"app": "heavy"}, [(now + at, f"{count + at} {filler}") for at in range(500)])])
        count += 500
    assert time.monotonic() - start < 60, "ingest goes on"
    tail.until(lambda tail: len(tail.lines) + tail.dropped >= count, timeout=60)
    numbers = [int(line.split()[0]) for line in tail.texts()]
    assert tail.dropped > 0 and len(numbers) + tail.dropped == count
    assert len(set(numbers)) == len(numbers) and numbers == sorted(numbers) and numbers[-1] == count - 1
    entries = [entry for message in tail.messages for entry in message.get("dropped_entries", [])]
    assert entries and all(entry["labels"]["app"] == "heavy" and int(entry["timestamp"]) > 0 for entry in entries)
    assert tyto.metric("tyto_log_tail_dropped_lines_total") == tail.dropped


def test_what_is_erased_is_told_to_nobody(tyto):
    push(tyto, [({"app": "shop"}, [(time.time_ns(), "secret one"), (time.time_ns(), "fine one")])])
    order = {"match": [{"field": "body", "contains": "secret"}], "reference": "case 1"}
    response = requests.post(tyto.url + "/api/tyto/v1/erasures", json=order, timeout=30)
    assert response.ok, response.text
    tail = Tail(tyto, '{app="shop"}')
    push(tyto, [({"app": "shop"}, [(time.time_ns(), "fine two")])])
    tail.until(lambda tail: "fine two" in tail.texts())
    assert sorted(tail.texts()) == ["fine one", "fine two"]


def test_so_many_so_long_and_until_the_end(tmp_path):
    with Tyto(tmp_path / "data", "--tails-max", "2", "--tail-duration-max-seconds", "4") as server:
        first, second = Tail(server, '{app="a"}'), Tail(server, '{app="a"}')
        with pytest.raises(InvalidStatus) as refused:
            Tail(server, '{app="a"}')
        assert refused.value.response.status_code == 429
        assert "max concurrent tail requests limit exceeded, count > limit (3 > 2)" in refused.value.response.body.decode()
        eventually(lambda: server.metric("tyto_log_tails") == 2)
        second.socket.close()
        # logcli knows these words, and begins anew.
        first.until(lambda tail: tail.close, timeout=20)
        assert first.close == (1011, "reached tail max duration limit")
        eventually(lambda: server.metric("tyto_log_tails") == 0)
        last = Tail(server, '{app="a"}')
        push(server, [({"app": "a"}, [(time.time_ns(), "before the end")])])
        last.until(lambda tail: tail.lines)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 9, "nobody waits for those who follow"
        last.until(lambda tail: tail.close)
        assert last.close[0] == 1001


def test_after_a_kill_everything_that_was_told_is_there(tmp_path):
    with Tyto(tmp_path / "data") as server:
        writer = Writer(server, 2000)
        writer.start()
        tail = Tail(server, '{app="flood"}', limit=5000)
        tail.until(lambda tail: len(tail.lines) > 3000)
        server.kill()
        tail.until(lambda tail: tail.close)
        eventually(lambda: writer.failed)
        told = tail.texts()
        server.start()
        stored = {line for _, line in (tuple(value) for stream in server.logql('{app="flood"}', limit=5000, direction="forward") for value in stream["values"])}
        assert len(told) == len(set(told))
        head = {line for line in told if int(line.split()[1]) < 4500}
        assert head <= stored, "what is told is durable"
        # Who begins anew behind its last line misses nothing.
        again = Tail(server, '{app="flood"}', limit=5000, start=max(at for _, at, _ in tail.lines) + 1)
        push(server, [({"app": "flood", "part": "0"}, [(time.time_ns(), "line 999999")])])
        again.until(lambda tail: "line 999999" in tail.texts())
        assert set(writer.sent) <= set(told) | set(again.texts())
