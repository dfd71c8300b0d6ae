"""A payment service sends a field that its contract does not know: observed, set aside, let in once the contract is fixed, and refused, over four protocols."""

import json
import os
import shutil
import socket
import subprocess
import time

import msgpack
import pytest
import requests

from server import BINARY, ROOT, Tyto, environment

OMD = """
business_services:
  - name: payments
    owners: [{team: till, email: till@example.com}]
    contract: payments
"""
START = 1_795_341_600_000_000_000
PROTOCOLS = ["otlp", "loki", "fluent", "bulk"]


class Company:
    """A catalogue that is changed under a running server."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "contracts").mkdir(parents=True)
        (folder / "omd.yaml").write_text(OMD)

    def contract(self, mode, methods=("card", "wallet"), version="1.0.0"):
        contract = {
            "x-tyto": {"mode": mode, "version": version},
            "required": ["payment.method"],
            "properties": {"payment.method": {"type": "string", "enum": list(methods)}},
        }
        (self.folder / "contracts" / "payments.json").write_text(json.dumps(contract, indent=1))


@pytest.fixture
def company(tmp_path):
    return Company(tmp_path / "catalogue")


@pytest.fixture
def server(tmp_path, company):
    company.contract("observe")
    with Tyto(tmp_path / "data", "--catalog", company.folder, "--fluent", "127.0.0.1:0") as server:
        yield server


def reload(server):
    response = requests.post(server.url + "/-/reload", timeout=30)
    assert response.ok, response.text


def otlp(server, records):
    """Records are (body, payment method, time)."""
    log_records = [
        {"timeUnixNano": str(at), "body": {"stringValue": body}, "attributes": [{"key": "payment.method", "value": {"stringValue": method}}]}
        for body, method, at in records
    ]
    resource = {"attributes": [{"key": "omd.business_service", "value": {"stringValue": "payments"}}]}
    request = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": log_records}]}]}
    return requests.post(f"http://{server.otlp_http}/v1/logs", json=request, timeout=30)


def loki(server, records):
    values = [[str(at), body, {"payment.method": method}] for body, method, at in records]
    request = {"streams": [{"stream": {"business_service": "payments"}, "values": values}]}
    return requests.post(server.url + "/loki/api/v1/push", json=request, timeout=30)


def fluent(server, records):
    """Waits for the acknowledgement of the chunk."""
    host, port = server.ports["fluent"].rsplit(":", 1)
    time_of = lambda at: msgpack.ExtType(0, (at // 10**9).to_bytes(4, "big") + (at % 10**9).to_bytes(4, "big"))
    entries = [[time_of(at), {"log": body, "payment.method": method, "omd.business_service": "payments"}] for body, method, at in records]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(msgpack.packb(["pay", entries, {"chunk": "one"}]))
        return msgpack.unpackb(connection.recv(65536))


def bulk(server, records):
    lines = []
    for body, method, at in records:
        lines.append({"create": {"_index": "pay"}})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)) + f".{at % 10**9:09d}Z"
        lines.append({"@timestamp": stamp, "message": body, "payment.method": method, "omd.business_service": "payments"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return requests.post(server.url + "/elasticsearch/_bulk", data=text, headers={"Content-Type": "application/x-ndjson"}, timeout=30)


SEND = {"otlp": otlp, "loki": loki, "fluent": fluent, "bulk": bulk}


def batch(round_, number, method="crad"):
    """A record that keeps the contract, one that does not."""
    at = START + round_ * 10**9 + number * 10**6
    return [(f"good {round_} {number}", "card", at), (f"odd {round_} {number}", method, at + 1)]


def send_all(server, round_, method="crad"):
    return {name: SEND[name](server, batch(round_, number, method)) for number, name in enumerate(PROTOCOLS)}


def rows(server, table):
    """The time of each record by what it says; each is there once."""
    found = server.sql(f"select body, time_unix_nano from {table} where body is not null")
    texts = {}
    for body, at in found:
        # A document of _bulk is its own body.
        text = json.loads(body)["message"] if body.startswith("{") else body
        assert text not in texts, f"{text} is there twice"
        texts[text] = at
    return texts


def expected(rounds, words=("good", "odd")):
    return {
        f"{word} {round_} {number}": START + round_ * 10**9 + number * 10**6 + (word == "odd")
        for round_ in rounds for number in range(len(PROTOCOLS)) for word in words
    }


def order(server, what, **selector):
    response = requests.post(f"{server.url}/api/tyto/v1/quarantine/{what}", json=selector, timeout=60)
    assert response.ok, response.text
    return response.json()


def test_from_the_first_wrong_field_to_its_replay(server, company):
    # Observed: all is stored, and counted.
    send_all(server, 0)
    assert rows(server, "logs") == expected([0])
    assert server.metric("tyto_contract_violations_total") == 4
    assert server.get("/api/tyto/v1/quarantine") == {"records": 0, "groups": []}

    # Set aside: what is good is stored, and the sender is not told to come again.
    company.contract("quarantine", version="1.1.0")
    reload(server)
    answers = send_all(server, 1)
    stored = {**expected([0]), **expected([1], ["good"])}
    assert rows(server, "logs") == stored and rows(server, "quarantine") == expected([1], ["odd"])
    partial = answers["otlp"].json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "0" and "1 record is quarantined: payment.method breaks contract payments 1.1.0" in partial["errorMessage"]
    assert "crad" not in partial["errorMessage"]
    assert answers["loki"].status_code == 204
    assert answers["fluent"] == {"ack": "one"}
    assert [item["create"]["status"] for item in answers["bulk"].json()["items"]] == [201, 201]

    waiting = server.get("/api/tyto/v1/quarantine", business_service="payments")
    [group] = waiting["groups"]
    assert (waiting["records"], group["records"], group["path"], group["rule"], group["team"]) == (4, 4, "payment.method", "enum", "till")
    assert group["found"] == "a string of 1 to 8 bytes" and group["expected"] == 'one of ["card","wallet"]' and sum(group["trend"]) == 4
    one = server.get("/api/tyto/v1/quarantine/" + group["examples"][0])
    assert one["attributes"]["payment.method"] == "a string of 1 to 8 bytes" and one["state"] == "quarantined"
    assert not server.logql('{business_service="payments"} |= "odd 1"', start=START, end=START + 3600 * 10**9)

    # Without a fix nothing is let in, and a crash changes nothing.
    assert order(server, "replay", business_service="payments")["kept"] == 4
    server.kill()
    server.start()
    assert rows(server, "logs") == stored and server.get("/api/tyto/v1/quarantine")["records"] == 4

    # The contract is fixed: each is let in once, with its own time, and stays so.
    company.contract("quarantine", ["card", "wallet", "crad"], "1.2.0")
    reload(server)
    settled = order(server, "replay", business_service="payments", rule="enum")
    assert (settled["selected"], settled["released"], settled["kept"]) == (4, 4, 0)
    assert rows(server, "logs") == expected([0, 1])
    server.kill()
    server.start()
    assert rows(server, "logs") == expected([0, 1])
    assert order(server, "replay", all=True)["selected"] == 0
    server.flush()
    assert rows(server, "logs") == expected([0, 1])
    assert server.sql("select state, count(*) from quarantine group by 1 order by 1") == [("quarantined", 4), ("released", 4)]
    assert server.get("/api/tyto/v1/quarantine/" + group["examples"][0])["state"] == "released"
    assert server.sql("select distinct business_service from logs") == [("payments",)]


def test_a_replay_goes_through_the_pipelines_of_now(server, company):
    company.contract("quarantine")
    reload(server)
    otlp(server, batch(4, 0) + batch(4, 1))
    assert rows(server, "quarantine") == {f"odd 4 {number}": START + 4 * 10**9 + number * 10**6 + 1 for number in range(2)}

    # What a pipeline drops by now waits no more, what breaks the contract still does, and neither is stored.
    (company.folder / "pipelines").mkdir()
    (company.folder / "pipelines" / "odd.yaml").write_text("name: odd\nmatch: {business_service: payments}\nstages: [{drop: '.body == \"odd 4 0\"'}]\n")
    reload(server)
    settled = order(server, "replay", all=True)
    assert (settled["selected"], settled["released"], settled["kept"]) == (2, 1, 1)
    assert rows(server, "logs") == {f"good 4 {number}": START + 4 * 10**9 + number * 10**6 for number in range(2)}
    assert server.get("/api/tyto/v1/quarantine")["records"] == 1 and len(rows(server, "quarantine")) == 2

    # Of a request all of whose records are set aside or dropped the sender learns the same as of any other.
    odd = otlp(server, [("odd 4 0", "crad", START), ("odd 5 0", "crad", START + 1)])
    assert "1 record is quarantined: payment.method breaks contract" in odd.json()["partialSuccess"]["errorMessage"]

    company.contract("quarantine", ["card", "wallet", "crad"])
    reload(server)
    assert order(server, "replay", all=True)["released"] == 2
    assert sorted(rows(server, "logs")) == ["good 4 0", "good 4 1", "odd 4 1", "odd 5 0"]


def test_every_protocol_refuses_in_its_own_words(server, company):
    company.contract("reject")
    reload(server)
    answers = send_all(server, 2)
    assert rows(server, "logs") == expected([2], ["good"]) and rows(server, "quarantine") == {}
    partial = answers["otlp"].json()["partialSuccess"]
    assert answers["otlp"].status_code == 200 and partial["rejectedLogRecords"] == "1" and "payment.method breaks contract" in partial["errorMessage"]
    assert answers["loki"].status_code == 400 and "1 entries were refused: payment.method" in answers["loki"].text
    assert answers["fluent"] == {"ack": "one"}, "or it would be sent for ever"
    items = [item["create"] for item in answers["bulk"].json()["items"]]
    assert [item["status"] for item in items] == [201, 400] and items[1]["error"]["type"] == "document_parsing_exception"
    assert "crad" not in items[1]["error"]["reason"]
    assert server.metric("tyto_records_rejected_total") == 4
    usage = server.get("/api/tyto/v1/usage")["usage"]
    assert [(row["signal"], row["records"]) for row in usage if row["business_service"] == "payments"] == [("logs", 4)]


def test_the_page_shows_what_waits_and_settles_it(server, company, tmp_path):
    company.contract("quarantine")
    reload(server)
    send_all(server, 6)
    missing = {"timeUnixNano": str(START), "body": {"stringValue": "without"}}
    resource = {"attributes": [{"key": "omd.business_service", "value": {"stringValue": "payments"}}]}
    request = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [missing]}]}]}
    assert requests.post(f"http://{server.otlp_http}/v1/logs", json=request, timeout=30).ok
    company.contract("quarantine", ["card", "wallet", "crad"])
    reload(server)
    images = os.environ.get("IMAGES_DIR") or tmp_path / "images"
    variables = {**environment(), "BASE_URL": server.url, "IMAGES_DIR": str(images)}
    walk = [shutil.which("node"), ROOT / "ui" / "e2e" / "quarantine.mjs"]
    walked = subprocess.run(walk, env=variables, capture_output=True, text=True, timeout=180)
    assert walked.returncode == 0 and "settled" in walked.stdout, walked.stdout + walked.stderr
    assert rows(server, "logs") == expected([6])


def test_the_command_lists_and_discards(server, company):
    company.contract("quarantine")
    reload(server)
    send_all(server, 3)

    def tyto(*arguments):
        done = subprocess.run([BINARY, "quarantine", *arguments, "--server", server.url], capture_output=True, text=True, env=environment(), timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = tyto("list")
    assert listed.startswith("4 records wait, 1 groups\n\n4 of payments\n  payment.method (enum)"), listed
    [first, *_] = json.loads(tyto("list", "--json"))["groups"][0]["examples"]
    assert json.loads(tyto("show", first))["contract"] == "payments"
    assert json.loads(tyto("discard", "--id", first))["discarded"] == 1
    assert json.loads(tyto("discard", "--path", "other"))["selected"] == 0
    assert json.loads(tyto("discard", "--all"))["discarded"] == 3
    assert tyto("list").startswith("0 records wait")
    refused = requests.post(server.url + "/api/tyto/v1/quarantine/discard", json={}, timeout=30)
    assert refused.status_code == 400 and '{"all": true}' in refused.json()["error"]
    assert rows(server, "logs") == expected([3], ["good"])


def contract_try(server, path, *arguments):
    command = [BINARY, "contract", "try", str(path), "--against", server.url, "--last", "10d", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120)


def test_a_draft_is_tried_on_what_came(server, company, tmp_path):
    send_all(server, 0)
    company.contract("quarantine")
    reload(server)
    send_all(server, 1)
    # Eight came before and four after it was enforced, and of those four more wait.
    draft = tmp_path / "payments.json"
    contract = json.loads((company.folder / "contracts" / "payments.json").read_text())
    draft.write_text(json.dumps(contract, indent=1))
    told = contract_try(server, draft)
    assert told.returncode == 1, told
    assert "payments: 16 records judged\n8 break it (50.00 %): as drafted 0 would be only counted, 8 set aside, 0 refused" in told.stdout, told.stdout
    assert "8 of payments: payment.method (enum, " in told.stdout and "crad" not in told.stdout
    # What is let in is judged once.
    contract["properties"]["payment.method"]["enum"].append("crad")
    draft.write_text(json.dumps(contract, indent=1))
    fixed = contract_try(server, draft)
    assert fixed.returncode == 0 and "16 records judged\nNone of them breaks it." in fixed.stdout, fixed
    assert rows(server, "quarantine") == expected([1], ["odd"]), "nothing was stored, and nothing let in"
    company.contract("observe", ["card", "wallet", "crad"])
    reload(server)
    order(server, "replay", business_service="payments")
    again = json.loads(contract_try(server, draft, "--format", "json").stdout)
    assert (again["came"], again["records"], again["broken"], again["sampled"]) == (16, 16, 0, False)
    # Of more than may be judged, a sample.
    few = json.loads(contract_try(server, draft, "--format", "json", "--rows-max", "1").stdout)
    assert few["sampled"] and 0 < few["records"] < few["came"] == 16
    # A contract that nobody has says so, until it is said whom it is for.
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**contract, "x-tyto": {"mode": "reject"}, "required": ["payment.currency"]}))
    nobody = contract_try(server, other)
    assert nobody.returncode == 2 and "nobody in the catalogue has such a contract" in nobody.stderr
    for_them = contract_try(server, other, "--for", "payments")
    assert for_them.returncode == 1 and "16 refused" in for_them.stdout and "payment.currency (required, " in for_them.stdout, for_them
    other.write_text("{")
    bad = contract_try(server, other, "--for", "payments")
    assert bad.returncode == 2 and "cannot use the draft:" in bad.stderr and "other.json:1" in bad.stderr
