"""A payment service logs what it should not, over the OpenTelemetry SDK: what pipelines hide, drop and count is as they say."""

import json
import logging
import os
import shutil
import subprocess

import requests
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from server import BINARY, ROOT, Tyto, environment, eventually

OMD = """
business_services:
  - name: payments
    owners: [{team: till, slack: "#till"}]
    services:
      - name: checkout
        components:
          - {name: checkout-api, match: [{service.name: checkout-api}]}
          - {name: ledger, match: [{service.name: ledger}]}
"""

PIPELINE = """
name: payments
match: {business_service: payments}
stages:
  - drop: {when: 'contains(.body, "health")', reason: health_check}
  - vrl: '.attributes.method = upcase(string(.attributes.method) ?? "none")'
  - mask: {kinds: [secrets, card]}
  - mask: {kinds: [email], with: pseudonym}
  - metric: {name: payments_seen_total, labels: {method: method}, help: Payments seen.}
  - sample: {keep: 0, when: '.attributes.noisy == true'}
"""


def catalogue(folder, pipeline=PIPELINE):
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "omd.yaml").write_text(OMD)
    (folder / "pipelines" / "payments.yaml").write_text(pipeline)
    return folder


def send(server, service, lines):
    """Each line with its attributes, acknowledged."""
    logs = LoggerProvider(resource=Resource.create({"service.name": service}))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"http://{server.otlp_grpc}", insecure=True)))
    logger = logging.getLogger(f"pipelines-{service}-{id(logs)}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=logs))
    for line, attributes in lines:
        logger.info(line, extra=attributes)
    assert logs.force_flush()
    logs.shutdown()


def dropped(server, **labels):
    text = requests.get(server.url + "/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("tyto_pipeline_dropped_records_total{")]
    lines = [line for line in lines if all(f'{name}="{value}"' in line for name, value in labels.items())]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_what_is_sent_is_hidden_dropped_and_counted(tmp_path):
    key = tmp_path / "key"
    key.write_text("a key that only we know\n")
    folder = catalogue(tmp_path / "catalogue")
    with Tyto(tmp_path / "data", "--catalog", folder, "--pseudonym-key", key) as tyto:
        send(tyto, "checkout-api", [
            ("paid with 4111 1111 1111 1111 by ann@example.com", {"method": "card", "api_key": "abc123"}),
            ("paid again by Ann@example.com", {"method": "card", "user": "ann@example.com"}),
            ("GET /health 200", {}),
            ("GET /health 200", {}),
            ("debugging", {"noisy": True}),
        ])
        send(tyto, "ledger", [("booked", {"method": "sepa"}), ("GET /health 200", {})])
        send(tyto, "elsewhere", [("4111 1111 1111 1111 is none of their business", {}), ("GET /health 200", {})])

        stored = dict(tyto.sql("SELECT body, attributes['user'] FROM logs WHERE component = 'checkout-api'"))
        assert len(stored) == 2
        first = next(body for body in stored if body.startswith("paid with"))
        pseudonym = first.removeprefix("paid with [masked:card] by ")
        assert pseudonym.startswith("[masked:email:") and len(pseudonym) == len("[masked:email:0123456789abcdef]")
        assert stored == {first: None, f"paid again by {pseudonym}": pseudonym}, "one person has one pseudonym"
        assert tyto.one("SELECT attributes['api_key'] FROM logs WHERE body LIKE 'paid with%'") == "[masked:secret]"
        assert tyto.one("SELECT count(*) FROM logs WHERE business_service = 'payments' AND attributes['method'] IN ('CARD', 'SEPA')") == 3
        assert tyto.one("SELECT count(*) FROM logs WHERE service_name = 'elsewhere'") == 2, "a pipeline is for its own records"

        # Stored and dropped by rule is what was sent, for each identity.
        assert dropped(tyto, component="checkout-api", reason="health_check", stage="1 drop") == 2
        assert dropped(tyto, component="checkout-api", reason="sampled", stage="6 sample") == 1
        assert dropped(tyto, component="ledger") == 1
        assert dropped(tyto) == 4
        assert tyto.one("SELECT count(*) FROM logs") + dropped(tyto) == 9

        # Metrics are told every 15 seconds.
        def counted():
            found = tyto.promql('payments_seen_total{component="checkout-api",method="CARD"}')
            return found and float(found[0]["value"][1]) == 2 and found[0]["metric"]
        labels = eventually(counted, timeout=40)
        assert (labels["business_service"], labels["service"], labels["team"]) == ("payments", "checkout", "till")

        [shown] = tyto.get("/api/tyto/v1/pipelines")["pipelines"]
        assert (shown["name"], shown["records"], [stage["dropped"] for stage in shown["stages"]]) == ("payments", 7, [3, 0, 0, 0, 0, 1])


def test_drafts_are_tried_on_live_records(tmp_path):
    with Tyto(tmp_path / "data", "--catalog", catalogue(tmp_path / "catalogue", "name: none\nmatch: {service: nobody}\nstages: [{event: x}]\n")) as tyto:
        send(tyto, "checkout-api", [("call +49 30 901820", {"n": 7}), ("GET /health 200", {})])
        file = tmp_path / "draft.yaml"
        file.write_text("name: draft\nmatch: {component: checkout-api}\nstages:\n  - drop: 'contains(.body, \"health\")'\n  - mask: phone\n")

        def run(*arguments):
            command = [BINARY, "pipeline", "try", file, *arguments]
            return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60)

        done = run("--against", tyto.url, "--last", "1h", "--json")
        assert done.returncode == 0, done.stderr
        tried = {record["before"]["body"]: record for record in json.loads(done.stdout)["records"]}
        assert tried["GET /health 200"]["dropped"] == {"stage": "1 drop", "what": "dropped", "reason": "dropped"}
        after = tried["call +49 30 901820"]["after"]
        assert (after["body"], after["attributes"]["n"]) == ("call [masked:phone]", 7), "what was a number is one still"

        shown = run("--against", tyto.url)
        assert "+ " in shown.stdout and "2 records: 1 changed, 1 dropped" in shown.stdout
        by_http = requests.post(tyto.url + "/api/tyto/v1/pipelines/try", timeout=30, json={"pipeline": file.read_text(), "component": "checkout-api"})
        assert sorted(map(json.dumps, by_http.json()["records"])) == sorted(map(json.dumps, json.loads(done.stdout)["records"]))
        assert tyto.one("SELECT count(*) FROM logs") == 2, "a trial stores nothing"

        lines = tmp_path / "lines.ndjson"
        lines.write_text('{"body": "+49 30 901820", "attributes": {"a": 1}}\nnothing\n')
        assert "2 records: 1 changed, 0 dropped" in run("--input", lines).stdout
        file.write_text("name: draft\nmatch: {service: a}\nstages:\n  - vrl: |\n      .body = upcase(5)\n")
        refused = run("--input", lines)
        assert refused.returncode == 1 and f"{file}:5:22: cannot compile" in refused.stdout


def walk(tyto, script, folder):
    images = os.environ.get("IMAGES_DIR") or folder / "images"
    variables = {**environment(), "BASE_URL": tyto.url, "IMAGES_DIR": str(images)}
    walked = subprocess.run([shutil.which("node"), ROOT / "ui" / "e2e" / script], env=variables, capture_output=True, text=True, timeout=180)
    assert walked.returncode == 0 and "tried" in walked.stdout, walked.stdout + walked.stderr


def test_who_has_no_pipeline_is_shown_one(tmp_path):
    with Tyto(tmp_path / "data") as tyto:
        send(tyto, "checkout-api", [(f"order {number} of ann@example.com", {}) for number in range(25)])
        walk(tyto, "first-pipeline.mjs", tmp_path)


def test_the_pages_try_drafts(tmp_path):
    folder = catalogue(tmp_path / "catalogue", """name: payments
about: Probes are dropped, secrets are hidden.
match: {business_service: payments}
stages:
  - drop: {when: 'contains(.body, "/health")', reason: health_check}
  - mask: secrets
""")
    (folder / "omd.yaml").write_text(OMD.replace("    services:", "    contract: payments\n    services:"))
    (folder / "contracts").mkdir()
    (folder / "contracts" / "payments.json").write_text("""{
  "x-tyto": {"mode": "observe"},
  "type": "object",
  "required": ["method"],
  "properties": {
    "method": {"enum": ["card", "sepa"]}
  }
}
""")
    with Tyto(tmp_path / "data", "--catalog", folder) as tyto:
        send(tyto, "checkout-api", [
            ("paid with 4111 1111 1111 1111 by ann@example.com", {"method": "card", "user": "ann@example.com"}),
            ("refunded to bob@example.com", {"api_key": "abc123"}),
            ("GET /health 200", {}),
            ("GET /live 200", {}),
            ("waiting for the bank", {}),
            ("the bank answered", {}),
        ])
        send(tyto, "ledger", [("booked", {"method": "sepa"}), ("GET /health 200", {})])
        walk(tyto, "drafts.mjs", tmp_path)
        assert tyto.one("SELECT count(*) FROM logs") == 6, "trials store nothing"
        assert tyto.get("/api/tyto/v1/pipelines")["pipelines"][0]["records"] == 8, "and count nothing"


def test_a_pipeline_that_does_not_compile_never_replaces_one_that_does(tmp_path):
    folder = catalogue(tmp_path / "catalogue", "name: one\nmatch: {business_service: payments}\nstages: [{mask: card}]\n")
    with Tyto(tmp_path / "data", "--catalog", folder) as tyto:
        catalogue(folder, "name: one\nmatch: {business_service: payments}\nstages: [{vrl: '.body = nonsense('}]\n")
        refused = requests.post(tyto.url + "/-/reload", timeout=10)
        assert refused.status_code >= 400 and "payments.yaml:3:" in refused.text
        send(tyto, "checkout-api", [("4111 1111 1111 1111", {})])
        assert tyto.sql("SELECT body FROM logs") == [("[masked:card]",)]
