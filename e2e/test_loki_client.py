"""A Loki client from PyPI pushes through Python's logging."""

import logging
import time

import logging_loki

import requests


def test_logging_handler(tyto):
    handler = logging_loki.LokiHandler(url=f"{tyto.url}/loki/api/v1/push", tags={"application": "clinic"}, version="1")
    logger = logging.getLogger("clinic")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    for index in range(50):
        logger.info('{"patient": %d, "ward": "%s"}', index, "AB"[index % 2])
    logger.error("printer on fire", extra={"tags": {"floor": "3"}})

    streams = tyto.logql('{application="clinic"}', limit=1000, start=int((time.time() - 600) * 1e9))
    assert sum(len(stream["values"]) for stream in streams) == 51
    [stream] = tyto.logql('{application="clinic", floor="3"}')
    assert stream["values"][0][1] == "printer on fire"

    counted = tyto.get("/loki/api/v1/query", query='sum by (ward) (count_over_time({application="clinic"} | json | patient >= 10 [10m]))')
    assert {tuple(row["metric"].items()): row["value"][1] for row in counted["data"]["result"]} == {
        (("ward", "A"),): "20", (("ward", "B"),): "20"}
    assert "application" in tyto.get("/loki/api/v1/labels")["data"]
    assert tyto.get("/loki/api/v1/label/application/values")["data"] == ["clinic"]
    assert requests.get(tyto.url + "/loki/api/v1/query_range", params={"query": "{broken"}, timeout=5).status_code == 400


def test_newest_first_stops_at_the_limit(tyto):
    start = time.time_ns() - 10**9
    values = [[str(start + index), f"line {index}"] for index in range(5000)]
    body = {"streams": [{"stream": {"app": "many"}, "values": values}]}
    assert requests.post(tyto.url + "/loki/api/v1/push", json=body, timeout=30).status_code == 204
    for flushed in [False, True]:
        if flushed:
            tyto.flush()
        [stream] = tyto.logql('{app="many"}', limit=10)
        assert [line for _, line in stream["values"]] == [f"line {index}" for index in range(4999, 4989, -1)]
        [stream] = tyto.logql('{app="many"}', limit=3, direction="forward")
        assert [line for _, line in stream["values"]] == ["line 0", "line 1", "line 2"]
