"""A small shop is scored: each component says what lifts it, and CI is told whether that is enough."""

import json
import subprocess
import time

import requests

from server import BINARY, Tyto, environment

OMD = """
business_services:
  - name: shop
    owners: [{team: shop, email: shop@example.com}]
    services:
      - name: front
        components:
          - {name: web, match: [{service.name: web}], environment: live}
          - {name: api, match: [{service.name: api}]}
"""


def attributes(**pairs):
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in pairs.items()]


def send(server, service, count, **resource):
    """So many log records."""
    now = time.time_ns()
    records = [{"timeUnixNano": str(now + number), "body": {"stringValue": f"line {number}"}} for number in range(count)]
    resource = {"attributes": attributes(service__name=service, **resource)}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    assert requests.post(server.url + "/v1/logs", json=body, timeout=30).ok


def scorecard(server, *arguments):
    return subprocess.run([BINARY, "scorecard", "--server", server.url, *arguments], capture_output=True, text=True, env=environment(), timeout=120)


def test_a_team_is_scored_and_ci_is_told(tmp_path):
    omd = tmp_path / "omd.yaml"
    omd.write_text(OMD)
    with Tyto(tmp_path / "data", "--catalog", str(omd)) as server:
        nothing = scorecard(server, "--fail-below", "heard")
        assert nothing.returncode == 2 and "not enough data yet (2 components, 2 without enough data)" in nothing.stdout, nothing
        send(server, "web", 150, deployment__environment__name="live")
        send(server, "api", 120)
        send(server, "stranger", 10)
        told = scorecard(server, "--team", "shop", "--fail-below", "owned")
        assert told.returncode == 1, told
        assert "shop/front/api: level 1, Heard\n  Only 0 % of 120 records say where they run, 95 % are asked" in told.stdout, told.stdout
        assert "shop/front/web: level 2, Owned\n  No traces and no metrics arrive: 150 log records, 0 spans and 0 points" in told.stdout, told.stdout
        assert "Tyto's own counters are not stored" in told.stderr
        assert scorecard(server, "--team", "shop", "--fail-below", "1").returncode == 0
        card = json.loads(scorecard(server, "--format", "json").stdout)
        assert card["unassigned"]["logs"] == 10 and card["all"]["figures"]["logs"] == 270 and card["all"]["at_level"] == [1, 1, 0, 0]
        # Whoever asks the same again gets the same.
        [logs] = [question["query"] for question in card["questions"] if question["asks"].startswith("Log records, and")]
        assert sum(records for *_, records, _ in server.sql(logs)) == 280
        gone = scorecard(server, "--team", "gone")
        assert gone.returncode == 2 and 'cannot find a component of team "gone"' in gone.stderr
        refused = scorecard(server, "--fail-below", "best")
        assert refused.returncode == 2 and "write 1 to 4" in refused.stderr
