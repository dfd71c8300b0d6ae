"""The configurations of deploy/agents/: read strictly, and executed as far as the agent, or the language of its filters, can be had here. What
was sent so is found once, under the identity that the files stamp."""

import datetime
import json
import os
import pathlib
import re
import subprocess
import time

import lupa.luajit21
import msgpack
import pytest

import agents
from server import Tyto
from test_fluent import TEN, answers, connect, event_time

IDENTITY = "business_service, service, component, environment, team"
HERE = pathlib.Path(__file__).resolve().parent
SALES = ("sales", "shop", "shop-api", "production", "shop")
# What a pod says of itself: every agent reads the same.
ANNOTATIONS = {"resource.opentelemetry.io/omd.business_service": "sales", "resource.opentelemetry.io/omd.service": "shop",
               "resource.opentelemetry.io/omd.component": "shop-api", "resource.opentelemetry.io/omd.team": "shop"}
CATALOGUE = """
business_services:
  - name: payments
    owners: [{team: money}]
    services:
      - name: billing
        components:
          - {name: billing-api, match: [{service.name: billing-api}]}
"""
BILLING = ("payments", "billing", "billing-api", "production", "money")


@pytest.fixture
def fluent(tmp_path):
    (tmp_path / "omd.yaml").write_text(CATALOGUE)
    with Tyto(tmp_path / "data", "--fluent", "127.0.0.1:0", "--catalog", tmp_path / "omd.yaml") as server:
        yield server


def forward(server, tag, records, since=TEN * 10**9):
    """As the outputs of both Fluents do: records of a chunk that is acknowledged."""
    entries = [[event_time(since + number), record] for number, record in enumerate(records)]
    with connect(server) as connection:
        connection.sendall(msgpack.packb([tag, entries, {"chunk": tag, "size": len(entries)}]))
        assert answers(connection, 1) == [{"ack": tag}]


def stored(server):
    return server.sql(f"select body, service_name, {IDENTITY} from logs order by time_unix_nano")


# Fluent Bit: not to be had here. Its Lua is.


class Lua:
    """The Lua of a filter, in the LuaJIT that Fluent Bit has, on records."""

    def __init__(self, options, environment):
        self.runtime = lupa.luajit21.LuaRuntime(unpack_returned_tuples=True)
        self.runtime.globals().os.getenv = environment.get
        self.runtime.execute(options["code"])
        self.call = self.runtime.globals()[options["call"]]
        assert options["time_as_table"] in (True, "On"), "else nanoseconds are lost"

    def __call__(self, tag, record):
        to_lua = lambda value: self.runtime.table_from({name: to_lua(inner) for name, inner in value.items()}) if isinstance(value, dict) else value
        to_python = lambda value: {name: to_python(inner) for name, inner in value.items()} if lupa.luajit21.lua_type(value) == "table" else value
        code, _, changed = self.call(tag, None, to_lua(record))
        assert code == 2, "2 keeps the time"
        return to_python(changed)


def test_fluent_bit_in_kubernetes(fluent):
    path = agents.FOLDER / "fluent-bit" / "kubernetes.yaml"
    service, pipeline = agents.fluent_bit_yaml(path)
    [tail], [kubernetes, identify], [output] = pipeline["inputs"], pipeline["filters"], pipeline["outputs"]
    # Tail's tag is the path with points for slashes, behind its prefix; the filter takes the same off.
    assert kubernetes["kube_tag_prefix"] == tail["tag"].replace("*", "var.log.containers.")
    check_fluent_bit_buffers(service, pipeline)
    check_manifest(agents.FOLDER / "fluent-bit" / "daemonset.yaml", path)

    lua = Lua(identify, {"TYTO_ENVIRONMENT": "production"})
    # As `cri` of tail and the filter `kubernetes` make them.
    record = lambda line, annotations, **labels: {
        "time": "2026-11-22T10:00:00.123456789Z", "stream": "stderr", "_p": "F", "log": line,
        "kubernetes": {"pod_name": "p-1", "namespace_name": "shop", "host": "n1", "container_name": "app", "labels": labels, "annotations": annotations}}
    records = [record("said", {**ANNOTATIONS, "kubectl.kubernetes.io/restartedAt": "today"}),
               record("its own environment", {**ANNOTATIONS, "resource.opentelemetry.io/deployment.environment.name": "staging"}),
               record("by the catalogue", {}, app="billing-api"), record("unknown", {}, app="other")]
    forward(fluent, "kube.var.log.containers.p-1_shop_app-0123.log", [lua("kube.x", found) for found in records])
    assert stored(fluent) == [("said", "app", *SALES), ("its own environment", "app", *SALES[:3], "staging", "shop"),
                              ("by the catalogue", "billing-api", *BILLING), ("unknown", "other", "unassigned", None, None, "production", None)]
    assert fluent.sql("select distinct attributes['log.iostream'], attributes['stream'], attributes['_p'], resource_attributes['k8s.pod.name'] from logs") == [("stderr", None, None, "p-1")]
    assert fluent.one("select count(*) from logs where array_to_string(map_keys(resource_attributes), ' ') like '%annotation%'") == 0


def test_fluent_bit_on_a_host(fluent):
    path = agents.FOLDER / "fluent-bit" / "host.yaml"
    service, pipeline = agents.fluent_bit_yaml(path)
    assert [options["tag"] for options in pipeline["inputs"]] == ["journal", "files"]
    check_fluent_bit_buffers(service, pipeline)
    [journal, identify] = pipeline["filters"]
    assert (journal["match"], identify["match"]) == ("journal", "*")
    said = {"OMD_BUSINESS_SERVICE": "sales", "OMD_SERVICE": "shop", "OMD_COMPONENT": "shop-api", "OMD_TEAM": "shop", "OMD_ENVIRONMENT": "production"}
    entry = {"MESSAGE": "started", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "shopd", "_HOSTNAME": "web-1", "_MACHINE_ID": "abc", "_PID": "7",
             "_SYSTEMD_UNIT": "shop.service", "_BOOT_ID": "noise", "__CURSOR": "noise", "ORDER": "7"}
    both = Lua(journal, said), Lua(identify, said)
    forward(fluent, "journal", [both[1]("journal", both[0]("journal", entry))])
    forward(fluent, "files", [both[1]("files", {"log": "ERROR gone", "log.file.path": "/var/log/shop/a.log"})])
    # A host of several owners says its environment only.
    quiet = Lua(identify, {"OMD_ENVIRONMENT": "production", "OMD_TEAM": ""})
    forward(fluent, "journal", [quiet("journal", Lua(journal, {})("journal", {**entry, "SYSLOG_IDENTIFIER": "billing-api"}))])
    expected = [("started", "shopd", *SALES), ("ERROR gone", None, *SALES), ("started", "billing-api", *BILLING)]
    assert sorted(stored(fluent), key=str) == sorted(expected, key=str)
    assert set(fluent.sql("select severity_number, resource_attributes['host.name'], attributes['log.file.path'], attributes['ORDER'], attributes['_BOOT_ID'] from logs")) == {
        (13, "web-1", None, "7", None), (17, None, "/var/log/shop/a.log", None, None)}


def test_firelens(fluent):
    path = agents.FOLDER / "fluent-bit" / "firelens.conf"
    service, pipeline = agents.fluent_bit_classic(path)
    [modifier, component], [output] = pipeline["filters"], pipeline["outputs"]
    assert output["require_ack_response"] == "On" and 1 < int(output["retry_limit"])
    assert set(pipeline) == {"filters", "outputs"}, "inputs are FireLens's own"
    task = json.loads((agents.FOLDER / "fluent-bit" / "firelens-task.json").read_text())
    router, app = task["containerDefinitions"]
    given = {entry["name"]: entry["value"] for entry in router["environment"]}
    assert agents.variables(path.read_text()) == set(given) | {entry["name"] for entry in router["secrets"]}
    assert int(service["grace"]) < router["stopTimeout"]
    assert app["logConfiguration"]["logDriver"] == "awsfirelens" and "Name" not in app["logConfiguration"]["options"]

    # `Record name value`, its variables replaced; the tag is as FireLens makes it.
    record = {"log": "sold 1", "source": "stdout", "container_id": "0123", "container_name": "/ecs-shop-7-shop-api", "ecs_cluster": "prod",
              "ecs_task_arn": "arn:aws:ecs:eu-west-1:123456789012:task/prod/0a1b", "ecs_task_definition": "shop:7"}
    for entry in modifier["record"]:
        name, value = entry.split(" ", 1)
        record[name] = re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], value)
    tag = f"{app['name']}-firelens-0a1b"
    forward(fluent, tag, [Lua(component, {})(tag, record)])
    assert stored(fluent) == [("sold 1", "shop", *SALES)]
    assert fluent.sql("select resource_attributes['aws.ecs.cluster.name'], region from logs") == [("prod", "eu-west-1")]


def check_fluent_bit_buffers(service, pipeline):
    """A disk with limits, acknowledged, tried again but not for ever, back-pressure."""
    size = lambda text: int(text[:-1]) * {"M": 10**6, "G": 10**9}[text[-1]]
    for options in pipeline["inputs"]:
        assert options["storage.type"] == "filesystem" and options["storage.pause_on_chunks_overlimit"] is True
        assert options["db"].startswith(str(pathlib.Path(service["storage.path"]).parent))
    [output] = pipeline["outputs"]
    assert output["require_ack_response"] is True and output["compress"] == "gzip" and output["tls.verify"] is True
    assert 100 < output["retry_limit"] < 10_000 and service["storage.keep.rejected"] is True and service["storage.rejected.limit"]
    # Chunks of 2 MB that are up never fill the output's queue, whose oldest would be thrown away.
    assert 2 * size(output["storage.total_limit_size"]) > 3 * service["storage.max_chunks_up"] * 2_000_000


# Fluentd: not to be had here. Its Ruby is.


def fluentd_run(section, records, environment, parse=None, lines=()):
    [record] = section.all("record")
    remove = [key.strip() for key in section.options.get("remove_keys", "").split(",") if key.strip()]
    job = {"record": list(record.options.items()), "remove_keys": remove, "records": records, "lines": list(lines),
           "expression": parse.options["expression"][1:-1] if parse else "", "time_format": parse.options["time_format"] if parse else ""}
    done = subprocess.run(["ruby", HERE / "clients" / "fluentd_filters.rb"], input=json.dumps(job), capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], **environment})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["records"], answer["lines"]


def check_fluentd_buffers(output):
    buffer = output.one("buffer", "file").options
    assert buffer["overflow_action"] == "block" and buffer["total_limit_size"] == "1g" and buffer["retry_timeout"] == "24h"
    assert output.options["require_ack_response"] == "true" and output.options["compress"] == "gzip"
    output.one("secondary", "secondary_file")


def test_fluentd_in_kubernetes(fluent):
    path = agents.FOLDER / "fluentd" / "kubernetes.conf"
    read = agents.fluentd(path)
    [label] = [section for section in read.all("label") if section.argument == read.one("match", "relabel").options["@label"]]
    check_fluentd_buffers(label.one("match", "forward"))
    check_manifest(agents.FOLDER / "fluentd" / "daemonset.yaml", path)

    parse = read.one("source", "tail").one("parse")
    lines = ["2026-11-22T10:00:00.123456789Z stderr F said", "2026-11-22T11:00:00.5+01:00 stdout P half", "2026-11-22T10:00:00.0Z stdout F", "no line of a runtime"]
    # As the filters `concat` and `kubernetes_metadata` hand records on.
    record = lambda line, annotations, **labels: {
        "log": line, "stream": "stderr", "logtag": "F", "docker": {"container_id": "0123"},
        "kubernetes": {"pod_name": "p-1", "namespace_name": "shop", "host": "n1", "container_name": "app", "labels": labels, **annotations}}
    records = [record("said", {"annotations": ANNOTATIONS}),
               record("its own environment", {"annotations": {**ANNOTATIONS, "resource.opentelemetry.io/deployment.environment.name": "staging"}}),
               record("by the catalogue", {}, app="billing-api"), record("unknown", {}, app="other")]
    changed, parsed = fluentd_run(label.one("filter", "record_modifier"), records, {"TYTO_ENVIRONMENT": "production"}, parse, lines)
    nanos = int(datetime.datetime(2026, 11, 22, 10, tzinfo=datetime.UTC).timestamp()) * 10**9
    assert parsed == [{"time": nanos + 123_456_789, "stream": "stderr", "logtag": "F", "log": "said"},
                      {"time": nanos + 500_000_000, "stream": "stdout", "logtag": "P", "log": "half"},
                      {"time": nanos, "stream": "stdout", "logtag": "F", "log": None}, None]
    assert not {"stream", "logtag", "docker", "_annotations", "_environment"} & {name for found in changed for name in found}
    forward(fluent, "kubernetes.var.log.containers.p-1", changed)
    assert stored(fluent) == [("said", "app", *SALES), ("its own environment", "app", *SALES[:3], "staging", "shop"),
                              ("by the catalogue", "billing-api", *BILLING), ("unknown", "other", "unassigned", None, None, "production", None)]
    assert fluent.sql("select distinct attributes['log.iostream'], resource_attributes['container.id'], resource_attributes['k8s.pod.name'] from logs") == [("stderr", "0123", "p-1")]


def test_fluentd_on_a_host(fluent):
    read = agents.fluentd(agents.FOLDER / "fluentd" / "host.conf")
    check_fluentd_buffers(read.one("match", "forward"))
    # The journal's entries, their fields renamed.
    names = json.loads(read.one("source", "systemd").one("entry").options["field_map"])
    entry = {"MESSAGE": "started", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "shopd", "_HOSTNAME": "web-1", "_BOOT_ID": "noise", "ORDER": "7"}
    renamed = {names.get(name, name): value for name, value in entry.items()}
    said = {"OMD_BUSINESS_SERVICE": "sales", "OMD_SERVICE": "shop", "OMD_COMPONENT": "shop-api", "OMD_TEAM": "shop", "OMD_ENVIRONMENT": "production"}
    changed, _ = fluentd_run(read.one("filter", "record_transformer"), [renamed, {"log": "ERROR gone", "log.file.path": "/var/log/shop/a.log"}], said)
    forward(fluent, "journal", changed)
    assert stored(fluent) == [("started", "shopd", *SALES), ("ERROR gone", None, *SALES)]
    asked = "select severity_number, resource_attributes['host.name'], attributes['ORDER'], attributes['_BOOT_ID'] from logs order by time_unix_nano"
    assert fluent.sql(asked) == [(13, "web-1", "7", None), (17, None, None, None)]


# The Collector: not to be had here.


def check_queue(read):
    exporter = read["exporters"]["otlp"]
    assert exporter["sending_queue"]["storage"] in read["extensions"] and exporter["sending_queue"]["block_on_overflow"] is True
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0
    batch = exporter["sending_queue"]["batch"]
    assert batch["min_size"] <= batch["max_size"] <= exporter["sending_queue"]["queue_size"] == 10**9
    for name in set(read["receivers"]) & {"filelog", "journald"}:
        receiver = read["receivers"][name]
        assert receiver["storage"] in read["extensions"] and receiver["retry_on_failure"]["enabled"] is True and receiver["start_at"] == "beginning"


def test_collector_in_kubernetes():
    path = agents.FOLDER / "otel-collector" / "kubernetes.yaml"
    read = agents.collector(path)
    check_queue(read)
    check_manifest(agents.FOLDER / "otel-collector" / "daemonset.yaml", path)
    assert read["processors"]["k8sattributes"]["extract"]["otel_annotations"] is True
    # `insert` leaves what a pod says of itself.
    assert [entry["action"] for entry in read["processors"]["resource"]["attributes"]] == ["insert"]
    for pipeline in read["service"]["pipelines"].values():
        assert pipeline["processors"].index("k8sattributes") < pipeline["processors"].index("resource")


def test_collector_on_a_host():
    read = agents.collector(agents.FOLDER / "otel-collector" / "host.yaml")
    check_queue(read)
    assert read["processors"]["resourcedetection"]["detectors"][0] == "env" and read["processors"]["resourcedetection"]["override"] is False
    # The message takes the body's place last, and nothing is asked of the body once it has moved.
    first, *others = read["receivers"]["journald"]["operators"]
    assert first["from"] == "body" and all(first["to"] in operator["if"] for operator in others) and others[-1]["to"] == "body"


# The readers refuse what an agent would refuse, or pass over in silence.


@pytest.mark.parametrize("reader, file, there, instead", [
    (agents.fluent_bit_yaml, "fluent-bit/host.yaml", "      retry_limit: 2500", "      retry_limits: 2500"),
    (agents.fluent_bit_yaml, "fluent-bit/host.yaml", "      retry_limit: 2500", "      retry_limit: 2500\n      retry_limit: 1"),
    (agents.fluent_bit_yaml, "fluent-bit/host.yaml", "    - name: forward", "    - name: forwards"),
    (agents.fluent_bit_classic, "fluent-bit/firelens.conf", "    Retry_Limit  ", "    Retry_Limits "),
    (agents.fluent_bit_classic, "fluent-bit/firelens.conf", "[OUTPUT]", "[OUTPUTS]"),
    (agents.fluent_bit_classic, "fluent-bit/firelens.conf", "    Retry_Limit  ", "  Retry_Limit    "),
    (agents.fluentd, "fluentd/host.conf", "  </buffer>", "  </buffers>"),
    (agents.fluentd, "fluentd/host.conf", "    retry_timeout 24h", "    retry_timeouts 24h"),
    (agents.fluentd, "fluentd/host.conf", "  @type systemd", "  @type journald"),
    (agents.fluentd, "fluentd/kubernetes.conf", "  timeout_label @IDENTIFIED", "  timeout_label @NOWHERE"),
    (agents.collector, "otel-collector/host.yaml", "      block_on_overflow: true", "      block_on_overflows: true"),
    (agents.collector, "otel-collector/host.yaml", "      exporters: [otlp]\n  telemetry", "      exporters: [otlp, debug]\n  telemetry"),
    (agents.collector, "otel-collector/host.yaml", "        id: priority", "        id: service"),
])
def test_mistakes_are_found(reader, file, there, instead, tmp_path):
    text = (agents.FOLDER / file).read_text()
    assert text.count(there) == 1
    mistaken = tmp_path / pathlib.Path(file).name
    mistaken.write_text(text.replace(there, instead))
    with pytest.raises((AssertionError, KeyError)):
        reader(mistaken)


# What the READMEs say to ask Tyto


def test_readmes_ask_what_tyto_answers(fluent):
    forward(fluent, "now", [{"log": "x", "omd.business_service": "sales"}], time.time_ns())
    asked = [re.findall(r"^tyto sql \"(.*)\"$", readme.read_text(), re.M) for readme in agents.FOLDER.glob("*/README.md")]
    assert sorted(map(len, asked)) == [0, 1, 1, 1]
    for [text] in filter(None, asked):
        assert fluent.sql(text) == [("sales", None, None, None, 1)]


# Manifests


def check_manifest(path, config):
    """What the configuration wants of its environment is given, no secret stands there, and nothing is without limits."""
    documents = {document["kind"]: document for document in agents.documents(path)}
    spec = documents["DaemonSet"]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    given = {entry["name"] for entry in container["env"]}
    wanted = agents.variables(config.read_text())
    assert wanted <= given and given - wanted <= {"GOMEMLIMIT", "FLUENTD_CONF"}, (wanted, given)
    for entry in container["env"]:
        secret = re.search("KEY|TOKEN", entry["name"])
        assert not secret or "secretKeyRef" in entry["valueFrom"], entry
    assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True and container["securityContext"]["allowPrivilegeEscalation"] is False
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in spec["volumes"]}
    # What it keeps lies on the node, in the one place that it may write to.
    assert mounts["state"]["mountPath"] == "/var/lib/tyto-agent" and not mounts["state"].get("readOnly")
    kept = set(re.findall(r"/var/lib/[\w-]+", config.read_text()))
    assert kept == {"/var/lib/tyto-agent"}, kept
    # The configuration comes from a ConfigMap, under the name that the first lines of the manifest make it.
    [key] = re.findall(rf"--from-file=([\w.-]+)={config.name}", path.read_text())
    named = [*container.get("args", []), *(f"/fluentd/etc/{entry['value']}" for entry in container["env"] if entry["name"] == "FLUENTD_CONF")]
    assert any(f"{mounts['config']['mountPath']}/{key}" in argument for argument in named), named
    assert documents["ClusterRoleBinding"]["subjects"][0]["name"] == spec["serviceAccountName"] == documents["ServiceAccount"]["metadata"]["name"]
