"""A query over its budget fails, says over which, and leaves ten others beside it and the process unharmed."""

import concurrent.futures
import math

import pytest
import requests

import remote
from server import Tyto, eventually

SERIES, SAMPLES, STEP_S = 200, 1200, 15
START = 1_790_000_000
END = START + SAMPLES * STEP_S
# What a process may hold more after a while than before: caches of the store and what the allocator keeps.
RESIDENT_BYTES_MORE = 48 << 20


def fill(tyto):
    for first in range(0, SERIES, 50):
        remote.write(requests, tyto.url, b"".join(
            remote.series({"__name__": "level", "host": f"h{host}", "rack": f"r{host % 10}"},
                          [((START + step * STEP_S) * 1000, host + math.sin(step)) for step in range(SAMPLES)])
            for host in range(first, first + 50)
        ))
    tyto.flush()


def resident_bytes(tyto):
    with open(f"/proc/{tyto.process.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def ask(tyto, query, start, end, step):
    parameters = {"query": query, "start": start, "end": end, "step": step}
    return requests.get(tyto.url + "/api/v1/query_range", params=parameters, timeout=120)


def small(tyto, rack):
    """One of the ten: its answer is known."""
    response = ask(tyto, f'count(count_over_time(level{{rack="r{rack}"}}[1m]) == 4)', START + 600, START + 1200, 60)
    assert response.status_code == 200, response.text
    [series] = response.json()["data"]["result"]
    assert [float(value) for _, value in series["values"]] == [SERIES / 10] * 11
    return True


# The limit, the query that is over it, how often it looks, and what it is told.
BUDGETS = {
    "samples": (["--query-samples-max", "100000"], "sum(level)", 3600, 422, "execution", "query_samples_max = 100000"),
    "memory": (["--query-memory-bytes-max", "6000000"], "level * 2", 2, 422, "execution", "query_memory_bytes_max = 6000000"),
    "time": (["--query-timeout-seconds", "2"], "sum(quantile_over_time(0.5, level[4h]))", 2, 503, "timeout", "query_timeout_seconds"),
}


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_query_over_its_budget_fails_alone(budget, tmp_path):
    options, query, step, status, kind, words = BUDGETS[budget]
    with Tyto(tmp_path / "data", *options) as tyto:
        fill(tyto)
        assert small(tyto, 0)
        before = resident_bytes(tyto)
        for _ in range(3):
            with concurrent.futures.ThreadPoolExecutor(11) as pool:
                large = pool.submit(ask, tyto, query, END - 20_000 if step == 2 else START, END, step)
                assert all(pool.map(lambda rack: small(tyto, rack), range(10)))
                refused = large.result()
            assert refused.status_code == status, refused.text[:300]
            answer = refused.json()
            assert (answer["status"], answer["errorType"]) == ("error", kind), answer
            assert words in answer["error"] and (budget != "time" or "2s" in answer["error"]), answer
        eventually(lambda: resident_bytes(tyto) < before + RESIDENT_BYTES_MORE)
        assert small(tyto, 9)
