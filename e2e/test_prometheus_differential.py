"""Generated queries over the same samples, in Tyto and in Debian's Prometheus.

`SEED` draws other queries, `QUERIES` another number of them; a failure prints both and each query that went wrong.
"""

import concurrent.futures
import dataclasses
import math
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
import requests

import exposition
from generate_promql import ANSWERLESS, CONSTRUCTS, Drawn, Grammar, World, for_tyto
from prometheus import Prometheus, free_port
from server import Tyto, eventually

NODE_EXPORTER = shutil.which("prometheus-node-exporter")
SEED = int(os.environ.get("SEED", "1"))
QUERIES = int(os.environ.get("QUERIES", "500"))

PACE_MS, HISTORY_PACE_MS = 1000, 15_000
SCRAPES, HISTORY_STEPS = 22, 160
LIVE = '{job=~"node|tyto|shop"}'
PAST = '{job="past"}'


@pytest.fixture
def node_exporter():
    assert NODE_EXPORTER, "install it: apt-get install prometheus-node-exporter"
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([NODE_EXPORTER, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
    yield address
    process.kill()
    process.wait()


def scrape(name, targets, path="/metrics", more=""):
    return f"- {{job_name: {name}, metrics_path: {path}, static_configs: [{{targets: {targets}}}]{more}}}\n"


def raw(base, selector, at):
    """{labels: [(ms, value)]} of everything that a selector finds in the two hours before."""
    [answer] = ask([base], "query", {"query": f"{selector}[2h]", "time": at})
    return {
        tuple(sorted(series["metric"].items())): [(round(seconds * 1000), float(value)) for seconds, value in series["values"]]
        for series in answer["data"]["result"]
    }


def ask(bases, path, parameters):
    return [requests.get(f"{base}/api/v1/{path}", params=parameters, timeout=60).json() for base in bases]


def gauge(base, name):
    """Of Prometheus itself."""
    lines = requests.get(f"{base}/metrics", timeout=30).text.splitlines()
    return sum(float(text.rsplit(" ", 1)[1]) for text in lines if text.startswith((name + "{", name + " ")))


def ended(base):
    """Whether no series is alive: the mark of its end is the last of each."""
    [answer] = ask([base], "query", {"query": f"count({LIVE})"})
    return not answer["data"]["result"]


def held(base):
    return sum(map(len, raw(base, LIVE, time.time()).values()))


@pytest.fixture
def both(node_exporter, tmp_path):
    """Both, and the samples that both hold: those that Prometheus scraped and sent, and those that each has scraped."""
    first_ms = int(time.time()) * 1000 - HISTORY_PACE_MS * (HISTORY_STEPS + 2)
    with exposition.Target(exposition.history("past", first_ms, HISTORY_PACE_MS, HISTORY_STEPS)) as target:
        past = scrape("history", [target.address], "/history", ", honor_labels: true, scrape_interval: 5s, scrape_timeout: 5s")
        (tmp_path / "tyto.yml").write_text("scrape_configs:\n" + past)
        arguments = ["--scrape-config", tmp_path / "tyto.yml", "--promql-features", "promql-experimental-functions"]
        with Tyto(tmp_path / "tyto", *arguments) as tyto:
            sending = f"""
global: {{scrape_interval: {PACE_MS}ms, scrape_timeout: {PACE_MS}ms}}
remote_write:
- url: {tyto.url}/api/v1/write
  queue_config: {{batch_send_deadline: 200ms}}
  write_relabel_configs: [{{source_labels: [job], regex: history|past, action: drop}}]
"""
            targets = {"node": [node_exporter], "tyto": [tyto.http], "shop": [target.address]}
            scraping = "scrape_configs:\n" + past + "".join(scrape(name, found) for name, found in targets.items())
            ceasing = "scrape_configs:\n" + past + "".join(scrape(name, []) for name in targets)
            with Prometheus(tmp_path / "prometheus", sending + scraping) as prometheus:
                eventually(lambda: target.step >= SCRAPES, timeout=SCRAPES * PACE_MS / 1000 + 30)
                # No more scrapes: the ends of all series are marked, and nothing moves any longer.
                (tmp_path / "prometheus" / "prometheus.yml").write_text(sending + ceasing)
                prometheus.process.send_signal(signal.SIGHUP)
                eventually(lambda: ended(prometheus.url))
                eventually(lambda: gauge(prometheus.url, "prometheus_remote_storage_samples_pending") == 0)
                eventually(lambda: ended(tyto.url) and held(tyto.url) == held(prometheus.url))
                yield tyto, prometheus


def same(ours, theirs):
    """Equal by value; see `generate_promql` for why the bound is enough."""
    return ours == theirs or ours != ours and theirs != theirs or math.isclose(ours, theirs, rel_tol=1e-9)


def points(data):
    """{labels: [(time, value)]}"""
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        return {(): [tuple(result)]}
    found = {tuple(sorted(series["metric"].items())): [tuple(point) for point in series.get("values") or [series["value"]]] for series in result}
    assert len(found) == len(result), "the same series twice"
    return found


def difference(ours, theirs, ordered):
    """What is wrong, as a sentence; nothing when both are the same."""
    if theirs["status"] != ours["status"]:
        return f"{ours['status']}: {ours.get('error')!r} instead of {theirs['status']}: {theirs.get('error')!r}"
    if theirs["status"] == "error":
        wrong = ours["errorType"] != theirs["errorType"]
        return f"errorType {ours['errorType']} instead of {theirs['errorType']}: {theirs['error']}" if wrong else None
    if ours["data"]["resultType"] != theirs["data"]["resultType"]:
        return f"{ours['data']['resultType']} instead of {theirs['data']['resultType']}"
    mine, yours = points(ours["data"]), points(theirs["data"])
    for labels in sorted(mine.keys() ^ yours.keys()):
        return f"{'too much' if labels in mine else 'missing'}: {dict(labels)}"
    if ordered and list(mine) != list(yours):
        return f"another order: {list(mine)} instead of {list(yours)}"
    for labels, expected in yours.items():
        found = mine[labels]
        if [at for at, _ in found] != [at for at, _ in expected]:
            return f"other times of {dict(labels)}: {found[:5]} instead of {expected[:5]}"
        for (at, our), (_, their) in zip(found, expected):
            equal = our == their if theirs["data"]["resultType"] == "string" else same(float(our), float(their))
            if not equal:
                return f"{our} instead of {their} at {at} of {dict(labels)}"
    return None


@dataclasses.dataclass
class Question:
    drawn: Drawn
    path: str
    times: dict


def questions(world, grammar, dice, count):
    """Half of them over a range of time."""
    found = []
    while len(found) < count:
        drawn = grammar.query()
        if drawn.kind in ("vector", "scalar") and dice.random() < 0.5:
            start, steps = world.time(dice.uniform(0.4, 0.7)), dice.randint(1, 12)
            step = dice.randint(1, max(1, (world.last_ms - start) // steps // world.unit_ms)) * world.unit_ms
            times = {"start": f"{start / 1000:.3f}", "end": f"{(start + steps * step + dice.choice([0, world.unit_ms // 3])) / 1000:.3f}", "step": f"{step / 1000:.3f}"}
            found.append(Question(drawn, "query_range", times))
        else:
            found.append(Question(drawn, "query", {"time": f"{world.time(dice.uniform(0.5, 1)) / 1000:.3f}"}))
    return found


def answers(asked, tyto, prometheus):
    """Of both, in the order of the questions."""
    def pair(question):
        return [
            ask([base], question.path, {"query": form(question.drawn.text), **question.times})[0]
            for base, form in [(tyto.url, for_tyto), (prometheus.url, str)]
        ]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(pair, asked))


def test_generated_queries_have_the_same_answers(both):
    tyto, prometheus = both
    now = time.time()
    worlds = []
    for selector, pace_ms, unit_ms, ranges in [(LIVE, PACE_MS, 1000, (4, 12)), (PAST, HISTORY_PACE_MS, 1000, (40, 900))]:
        ours, theirs = (raw(base, selector, now) for base in (tyto.url, prometheus.url))
        assert ours.keys() == theirs.keys()
        for labels, samples in theirs.items():
            assert [(at, repr(value)) for at, value in ours[labels]] == [(at, repr(value)) for at, value in samples], labels
        worlds.append(World(theirs, pace_ms, unit_ms, ranges))
    live, past = worlds
    assert {metric.job for metric in live.metrics} == {"node", "tyto", "shop"} and sum(len(metric.series) for metric in past.metrics) > 100
    assert past.unit_ms == 1000

    dice = random.Random(SEED)
    wrong, full, errors, met, count = [], 0, 0, set(), 0
    drawing = [(world, Grammar(world, dice)) for world in (live, past)]
    # What the hosts' metrics are at the moment decides which queries have an answer: more are drawn until each construct was seen at work.
    while not count or QUERIES >= 500 and CONSTRUCTS - met - ANSWERLESS and count < 5 * QUERIES:
        asked = [question for world, grammar in drawing for question in questions(world, grammar, dice, (QUERIES if not count else 100) // 2)]
        count += len(asked)
        for question, (ours, theirs) in zip(asked, answers(asked, tyto, prometheus)):
            why = difference(ours, theirs, question.drawn.ordered and question.path == "query")
            if why:
                wrong.append(f"{question.path} {question.times}\n  {question.drawn.text}\n  {why}")
            errors += theirs["status"] == "error"
            if theirs["status"] == "success" and theirs["data"]["result"]:
                full += 1
                met |= question.drawn.constructs
    print(f"SEED={SEED}: {count} queries, {full} with an answer, {errors} errors, {len(wrong)} differ")
    assert not wrong, f"SEED={SEED}: {len(wrong)} of {count} differ:\n" + "\n".join(wrong[:40])
    assert full >= 0.7 * count, f"SEED={SEED}: only {full} of {count} have an answer"
    if QUERIES >= 500:
        assert CONSTRUCTS - met <= ANSWERLESS, f"SEED={SEED}: never seen at work: {sorted(CONSTRUCTS - met)}"
