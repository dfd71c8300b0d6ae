"""A company's catalogue as files: what the records of the bench are governed by."""

import json

import work

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# Of the lines' durations, one in twenty thousand is longer.
DURATION_MAX = 400

CORE = {
    "$schema": DRAFT, "title": "What everybody logs", "type": "object", "x-tyto": {"mode": "quarantine", "version": "1.0.0"},
    "required": ["time_unix_nano", "severity_text", "body", "trace_id"],
    "properties": {
        "severity_text": {"enum": ["DEBUG", "INFO", "WARN", "ERROR"]},
        "severity_number": {"minimum": 1, "maximum": 24},
        "body": {"type": "string", "minLength": 1, "maxLength": 8192},
        "trace_id": {"pattern": "^[0-9a-f]{32}$"},
        "span_id": {"pattern": "^[0-9a-f]{16}$"},
        "resource_attributes": {"required": ["service.name", "host.name"], "properties": {"service.name": {"type": "string", "maxLength": 64}}},
    },
}
EXTENSION = {
    "$schema": DRAFT, "title": "What one business service adds", "type": "object", "x-tyto": {"mode": "quarantine", "version": "1.0.0"},
    "allOf": [{"$ref": "core.json"}], "required": ["duration"],
    "properties": {
        "duration": {"type": "number", "minimum": 0, "maximum": DURATION_MAX},
        "user.plan": {"type": "string", "enum": ["basic", "family"]},
        "retry.count": {"type": "integer", "minimum": 0},
    },
}
# A typed column for the lines' attribute, whatever is enforced.
COLUMNS = {"$schema": DRAFT, "title": "What the lines have", "type": "object", "properties": {"duration": {"type": "number"}}}
MASKING = "name: hide\nmatch: {when: 'true'}\nstages:\n  - mask: {kinds: [secrets, card, email, phone, iban], with: pseudonym}\n"


def write(folder, components, contracts=0, masks=False):
    """`components` of as many business services as there are senders, each claimed by a rule; of them one a sender's."""
    folder.mkdir()
    each = components // len(work.SERVICES)
    for number, sender in enumerate(work.SERVICES):
        lines = ["business_services:", f"  - name: business-{number}", f"    owners: [{{team: team-{number}, email: team-{number}@example.com}}]"]
        if contracts:
            lines.append(f"    contract: business-{number}")
        lines += ["    services:", f"      - name: service-{number}", "        components:"]
        for at in range(each):
            rule = sender if at == 0 else f"'{sender}-{at}-*'" if at % 5 == 4 else f"{{regex: '{sender}-{at}-(blue|green)'}}" if at % 5 == 3 else f"{sender}-{at}"
            also = ", k8s.namespace.name: production" if at % 5 == 2 else ""
            own = f", contract: business-{number + at * len(work.SERVICES)}" if at * len(work.SERVICES) + number < contracts else ""
            lines.append(f"          - {{name: component-{number}-{at}, match: [{{service.name: {rule}{also}}}]{own}}}")
        (folder / f"{number}.omd.yaml").write_text("\n".join(lines) + "\n")
    (folder / "contracts").mkdir()
    (folder / "contracts" / "columns.json").write_text(json.dumps(COLUMNS))
    if contracts:
        (folder / "contracts" / "core.json").write_text(json.dumps(CORE))
        for number in range(contracts):
            (folder / "contracts" / f"business-{number}.json").write_text(json.dumps(EXTENSION, indent=2))
    if masks:
        (folder / "pipelines").mkdir()
        (folder / "pipelines" / "hide.yaml").write_text(MASKING)
