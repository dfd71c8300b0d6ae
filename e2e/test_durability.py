"""kill -9 under load: whatever was acknowledged is there exactly once, whatever was not is there whole or not at all."""

import os
import random
import threading
import time

import requests

from server import Tyto

ROUNDS = int(os.environ.get("TYTO_KILL_ROUNDS", "50"))
LINES_PER_REQUEST = 20


class Sender(threading.Thread):
    """Pushes numbered requests, each once, and notes which were acknowledged."""

    def __init__(self, url, name):
        super().__init__(daemon=True)
        self.url, self.name = url, name
        self.sent, self.acknowledged = [], []
        self.ended = threading.Event()

    def run(self):
        session = requests.Session()
        number = 0
        while not self.ended.is_set():
            key = f"{self.name}-{number}"
            number += 1
            base = time.time_ns()
            values = [[str(base + line), f"{key} line {line}"] for line in range(LINES_PER_REQUEST)]
            body = {"streams": [{"stream": {"app": "kill", "request": key}, "values": values}]}
            self.sent.append(key)
            try:
                if session.post(self.url + "/loki/api/v1/push", json=body, timeout=10).status_code == 204:
                    self.acknowledged.append(key)
            except requests.RequestException:
                return


def test_kill_at_random_moments(tmp_path):
    seed = int(os.environ.get("TYTO_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    sent, acknowledged = set(), set()
    for round_number in range(ROUNDS):
        with Tyto(tmp_path) as server:
            senders = [Sender(server.url, f"{round_number}-{index}") for index in range(4)]
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
                sent.update(sender.sent)
                acknowledged.update(sender.acknowledged)
            if flusher:
                flusher.join()
        if round_number % 10 == 9 or round_number == ROUNDS - 1:
            check(tmp_path, sent, acknowledged, seed)
    assert len(acknowledged) > ROUNDS


def check(data_dir, sent, acknowledged, seed):
    with Tyto(data_dir) as server:
        counts = dict(server.sql("select resource_attributes['request'], count(*) from logs group by 1"))
        distinct = server.one("select count(distinct body) from logs")
    context = f"seed {seed}"
    assert acknowledged <= counts.keys(), (context, sorted(acknowledged - counts.keys())[:5])
    assert counts.keys() <= sent, context
    wrong = {key: count for key, count in counts.items() if count != LINES_PER_REQUEST}
    assert not wrong, (context, wrong)
    assert distinct == LINES_PER_REQUEST * len(counts), context
