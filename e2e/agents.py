"""Reads the configurations of deploy/agents/ as their agents would, more strictly: what is unknown, repeated or out of its place is an error."""

import pathlib
import re

import yaml

import agent_options as known

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "deploy" / "agents"


class Strict(yaml.SafeLoader):
    """YAML, but of two equal keys none is dropped unseen."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}{node.start_mark}"
        return super().construct_mapping(node, deep)


def read_yaml(path):
    return yaml.load(path.read_text(), Strict)


def documents(path):
    return list(yaml.load_all(path.read_text(), Strict))


# Fluent Bit


def check_fluent_bit(service, pipeline):
    """Sections as lists of (option, value), names in lower case."""
    unknown = {name for name, _ in service} - known.FLUENT_BIT_SERVICE
    assert not unknown, f"service: {unknown}"
    assert set(pipeline) <= {"inputs", "filters", "outputs"}
    for kind, plugins in pipeline.items():
        for options in plugins:
            names = [name for name, _ in options]
            plugin = dict(options)["name"]
            unknown = set(names) - known.FLUENT_BIT_EVERY[kind] - known.FLUENT_BIT[kind][plugin]
            assert not unknown, f"{kind}, {plugin}: {unknown}"
            twice = {name for name in names if names.count(name) > 1} - known.FLUENT_BIT_LISTS
            assert not twice, f"{kind}, {plugin}: twice {twice}"
            assert "match" in names or kind == "inputs", f"{plugin} matches nothing"
    return dict(service), {kind: [dict(options) for options in plugins] for kind, plugins in pipeline.items()}


def fluent_bit_yaml(path):
    read = read_yaml(path)
    assert set(read) == {"service", "pipeline"}, set(read)
    pairs = lambda options: [(name.lower(), value) for name, value in options.items()]
    return check_fluent_bit(pairs(read["service"]), {kind: [pairs(options) for options in plugins] for kind, plugins in read["pipeline"].items()})


def fluent_bit_classic(path):
    """The classic format: [SECTION], then indented `Key value` lines with one depth of indentation."""
    service, pipeline, section, indent = [], {}, None, None
    for line in path.read_text().splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        if header := re.fullmatch(r"\[([A-Z]+)\]", line):
            indent = None
            match header[1]:
                case "SERVICE":
                    assert not service, "SERVICE stands twice"
                    section = service
                case "INPUT" | "FILTER" | "OUTPUT" as kind:
                    section = []
                    pipeline.setdefault(kind.lower() + "s", []).append(section)
                case other:
                    raise AssertionError(f"no such section: {other}")
            continue
        entry = re.fullmatch(r"( +)(\S+) +(\S.*)", line)
        assert entry and section is not None, f"neither a section nor an entry of one: {line!r}"
        assert indent in (None, entry[1]), f"another indentation: {line!r}"
        indent = entry[1]
        section.append((entry[2].lower(), entry[3].rstrip()))
    records = [[value for name, value in options if name == "record"] for options in pipeline.get("filters", [])]
    read, plugins = check_fluent_bit(service, pipeline)
    for options, found in zip(plugins.get("filters", []), records):
        if found:
            options["record"] = found
    return read, plugins


# Fluentd


class Section:
    def __init__(self, name, argument):
        self.name, self.argument, self.options, self.sections = name, argument, {}, []

    def all(self, name, kind=None):
        return [section for section in self.sections if section.name == name and kind in (None, section.options.get("@type"))]

    def one(self, name, kind=None):
        [section] = self.all(name, kind)
        return section


def fluentd(path):
    """Version 1's format: sections, `key value` lines, comments."""
    stack = [Section("", "")]
    for line in map(str.strip, path.read_text().splitlines()):
        if not line or line.startswith("#"):
            continue
        if opens := re.fullmatch(r"<([a-z_]+)(?: ([^<>]+))?>", line):
            section = Section(opens[1], opens[2] or "")
            stack[-1].sections.append(section)
            stack.append(section)
        elif closes := re.fullmatch(r"</([a-z_]+)>", line):
            assert len(stack) > 1 and stack[-1].name == closes[1], f"closes nothing: {line}"
            stack.pop()
        else:
            key, _, value = line.partition(" ")
            assert len(stack) > 1 and re.fullmatch(r"[@\w.]+", key) and value, f"neither a section nor an option of one: {line}"
            assert key not in stack[-1].options, f"stands twice: {line}"
            assert not value.startswith('"') or value.endswith('"'), f"is not closed: {line}"
            assert value.startswith(('"', "'", "/", "$", "[", "{")) or " #" not in value, f"a comment behind a value: {line}"
            stack[-1].options[key] = value
    assert len(stack) == 1, f"is not closed: <{stack[-1].name}>"
    check_fluentd(stack[0])
    return stack[0]


def check_fluentd(around, top=True):
    labels = {section.argument for section in around.sections if section.name == "label"}
    for section in around.sections:
        match section.name:
            case "system":
                assert top and set(section.options) <= known.FLUENTD_SYSTEM and not section.sections, section.options
            case "label":
                assert top and section.argument.startswith("@") and not section.options
                check_fluentd(section, top=False)
            case "source" | "filter" | "match":
                check_fluentd_plugin(section)
                wanted = {section.options[name] for name in ("@label", "timeout_label") if name in section.options}
                assert not wanted or wanted <= labels, f"no such label: {wanted}"
            case other:
                raise AssertionError(f"no such section: {other}")


def check_fluentd_plugin(section):
    kind = section.options["@type"]
    options, sections = known.FLUENTD[section.name, kind]
    unknown = set(section.options) - known.FLUENTD_PLUGIN - options
    assert not unknown, f"{section.name}, {kind}: {unknown}"
    assert section.argument or section.name == "source", f"{kind} matches nothing"
    for inner in section.sections:
        inner_kinds = sections[inner.name]
        inner_options = inner_kinds[inner.options.get("@type")]
        unknown = set() if inner_options is None else set(inner.options) - {"@type"} - inner_options
        assert not unknown and not inner.sections, f"{kind}, {inner.name}: {unknown}"


# The Collector


def collector(path):
    read = read_yaml(path)
    assert set(read) == set(known.COLLECTOR), set(read)
    for kind in ["extensions", "receivers", "processors", "exporters"]:
        for name, options in read[kind].items():
            check_collector(options, known.COLLECTOR[kind][name.split("/")[0]], f"{kind}.{name}")
    check_collector(read["service"], known.COLLECTOR["service"], "service")
    for name, receiver in read["receivers"].items():
        check_operators(receiver.get("operators", []))
    assert set(read.get("processors", {}).get("k8sattributes", {}).get("extract", {}).get("metadata", [])) <= known.COLLECTOR_METADATA
    # What is used is there, and what is there is used.
    pipelines = read["service"]["pipelines"].values()
    for kind in ["receivers", "processors", "exporters"]:
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(read[kind]), kind
    assert set(read["service"]["extensions"]) == set(read["extensions"])
    stores = [receiver["storage"] for receiver in read["receivers"].values() if "storage" in receiver]
    stores += [exporter["sending_queue"]["storage"] for exporter in read["exporters"].values()]
    assert set(stores) <= set(read["extensions"])
    for pipeline in pipelines:
        assert pipeline["processors"][0] == "memory_limiter"
    return read


def check_collector(found, shape, where):
    if shape is None or found is None:
        return
    if isinstance(shape, list):
        for index, each in enumerate(found):
            check_collector(each, shape[0], f"{where}[{index}]")
        return
    unknown = set(found) - set(shape)
    assert not unknown, f"{where}: {unknown}"
    for name, value in found.items():
        check_collector(value, shape[name], f"{where}.{name}")


def check_operators(operators):
    ids = [operator["id"] for operator in operators]
    assert len(ids) == len(set(ids)), ids
    for operator in operators:
        unknown = set(operator) - known.COLLECTOR_OPERATORS[operator["type"]]
        assert not unknown, f"{operator['type']}: {unknown}"
        assert set(operator.get("mapping", {})) <= known.COLLECTOR_SEVERITIES


# What a file wants of its environment


def variables(text):
    """Names in ${NAME}, ${env:NAME}, ENV['NAME'], ENV["NAME"], os.getenv("NAME"), and of a list that os.getenv looks through."""
    named = re.findall(r"\$\{(?:env:)?([A-Z][A-Z0-9_]*)\}|ENV\[['\"]([A-Z0-9_]+)['\"]\]|os\.getenv\(\"([A-Z0-9_]+)\"\)|node_from_env_var: (\w+)", text)
    return {name for names in named for name in names if name} | set(re.findall(r"\b(OMD_[A-Z_]+) = ", text))
