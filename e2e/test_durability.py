"""kill -9 under load: whatever was acknowledged is there exactly once, whatever was not is there whole or not at all."""

import os
import random
import threading
import time

import requests

from server import Tyto

ROUNDS = int(os.environ.get("TYTO_KILL_ROUNDS", "50"))
RECORDS_PER_REQUEST = 20


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


def loki_push(key, base):
    values = [[str(base + index), f"{key} line {index}"] for index in range(RECORDS_PER_REQUEST)]
    return "/loki/api/v1/push", {"streams": [{"stream": {"app": "kill", "request": key}, "values": values}]}


def otlp_spans(key, base):
    spans = [{"traceId": f"{base:032x}", "spanId": f"{index + 1:016x}", "name": f"{key} span {index}", "startTimeUnixNano": str(base),
              "endTimeUnixNano": str(base + index), "attributes": [attribute("request", key)]} for index in range(RECORDS_PER_REQUEST)]
    return "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def otlp_points(key, base):
    points = [{"timeUnixNano": str(base + index * 1_000_000), "asDouble": index, "attributes": [attribute("request", key)]} for index in range(RECORDS_PER_REQUEST)]
    return "/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "kill", "gauge": {"dataPoints": points}}]}]}]}


# For each signal: how it is sent, how many records of each request are there, and how many different ones.
SIGNALS = {
    "logs": (loki_push, "select resource_attributes['request'], count(*), count(distinct body) from logs group by 1"),
    "spans": (otlp_spans, "select attributes['request'], count(*), count(distinct name) from spans group by 1"),
    "samples": (otlp_points, "select labels['request'], count(*), count(distinct value) from points where name = 'kill' group by 1"),
}


class Sender(threading.Thread):
    """Sends numbered requests, each once, and notes which were acknowledged."""

    def __init__(self, url, signal, name):
        super().__init__(daemon=True)
        self.url, self.signal, self.name = url, signal, name
        self.sent, self.acknowledged = [], []
        self.ended = threading.Event()

    def run(self):
        session = requests.Session()
        number = 0
        while not self.ended.is_set():
            key = f"{self.name}-{number}"
            number += 1
            path, body = SIGNALS[self.signal][0](key, time.time_ns())
            self.sent.append(key)
            try:
                if session.post(self.url + path, json=body, timeout=10).ok:
                    self.acknowledged.append(key)
            except requests.RequestException:
                return


def test_kill_at_random_moments(tmp_path):
    seed = int(os.environ.get("TYTO_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    sent, acknowledged = ({signal: set() for signal in SIGNALS} for _ in range(2))
    for round_number in range(ROUNDS):
        with Tyto(tmp_path) as server:
            senders = [Sender(server.url, signal, f"{round_number}-{index}") for index, signal in enumerate([*SIGNALS, "logs"])]
            for sender in senders:
                sender.start()
            flusher = None
            if dice.random() < 0.6:
                def flush(url=server.url):
                    try:
                        requests.post(url + "/-/flush", timeout=10)
                    except requests.RequestException:
                        pass
                flusher = threading.Timer(dice.uniform(0, 0.3), flush)
                flusher.start()
            time.sleep(dice.uniform(0.02, 0.5))
            server.kill()
            for sender in senders:
                sender.ended.set()
                sender.join()
                sent[sender.signal].update(sender.sent)
                acknowledged[sender.signal].update(sender.acknowledged)
            if flusher:
                flusher.join()
        if round_number % 10 == 9 or round_number == ROUNDS - 1:
            check(tmp_path, sent, acknowledged, seed)
    assert all(len(requests) > ROUNDS / 2 for requests in acknowledged.values()), {signal: len(requests) for signal, requests in acknowledged.items()}


def check(data_dir, sent, acknowledged, seed):
    with Tyto(data_dir) as server:
        for signal, (_, count) in SIGNALS.items():
            context = f"seed {seed}, {signal}"
            found = {key: (total, distinct) for key, total, distinct in server.sql(count)}
            assert acknowledged[signal] <= found.keys(), (context, sorted(acknowledged[signal] - found.keys())[:5])
            assert found.keys() <= sent[signal], context
            wrong = {key: counts for key, counts in found.items() if counts != (RECORDS_PER_REQUEST, RECORDS_PER_REQUEST)}
            assert not wrong, (context, wrong)
