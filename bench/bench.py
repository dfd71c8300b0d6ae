"""What Tyto costs beside the stores that engineers know, on the same records, durability on.

usage: bench.py BINARY [--quick] [--rounds 3] [--only metrics,series,million,logs,growth,governance,spans] [--output RESULTS.md]

What must hold is in goals.py. Stores are run in turn, round after round, each time over a fresh folder; a figure is the least of its rounds. Answers are
compared by value first. Wall time is not quoted: machines are shared.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import chart
import company
import goals
import questions
import report
import traces
import work
from stores import ClickHouse, Prometheus, Tyto, TytoFromFiles, TytoGoverned, TytoUndeclared, TytoUnruled, TytoUnwatched, VictoriaMetrics

# CPU seconds a question is asked for at least, and at most so often: the kernel counts in hundredths of a second.
ASK_SECONDS, ASK_TIMES = 0.3, 400


class Figures:
    """The least value seen of each figure of each store."""

    def __init__(self):
        self.areas = collections.OrderedDict()
        self.notes = []

    def add(self, area, figure, store, value):
        held = self.areas.setdefault(area, collections.OrderedDict()).setdefault(figure, {})
        held[store] = min(value, held.get(store, value))

    def differ(self, text):
        if text not in self.notes:
            self.notes.append(text)
            print("DIFFERENT:", text, flush=True)


def cost(store, ask):
    """CPU milliseconds of one answer, and the answer."""
    answer = ask()
    before, times = store.cpu_seconds(), 0
    while times < ASK_TIMES and (times == 0 or store.cpu_seconds() - before < ASK_SECONDS):
        ask()
        times += 1
    return (store.cpu_seconds() - before) / times * 1000, answer


def ingest(figures, area, unit, count, store, name, feed, size):
    """Feeds a store and takes what that cost."""
    before, million = store.cpu_seconds(), count / 1e6
    feed()
    figures.add(area, f"ingest, CPU s per M {unit}s", name, (store.cpu_seconds() - before) / million)
    store.settle()
    figures.add(area, f"with flush, CPU s per M {unit}s", name, (store.cpu_seconds() - before) / million)
    figures.add(area, f"disk, bytes per {unit}", name, size() / count)
    figures.add(area, "peak memory, MiB", name, store.memory_bytes("VmHWM") / 2**20)


def ask_sql(figures, area, store, asked, answers):
    """Asks ClickHouse, and compares with what Tyto answered."""
    for name, _, text in asked:
        if not answers[name]:
            figures.differ(f"{name}: there is nothing to find")
        milliseconds, answer = cost(store, lambda: questions.ask_clickhouse(store, text))
        figures.add(area, name, store.name, milliseconds)
        if not questions.same(answers[name], answer):
            figures.differ(f"{name}: tyto and {store.name}: {questions.difference(answers[name], answer)}")


def metrics(figures, options):
    series = work.node_exporters(scrapes=48 if options.quick else 240)
    bodies, million = list(series.requests()), series.samples / 1e6
    area = f"metrics: 10,000 series of 10 node_exporters, {million:.2g} M samples"
    asked = questions.prometheus_questions(work.START_S + (len(series.values) - 1) * work.STEP_S)
    answers = {}
    for kind in (Tyto, TytoFromFiles, VictoriaMetrics, Prometheus):
        with kind() as store:
            if kind is TytoFromFiles:
                store.remote_write(bodies)
                store.settle()
            else:
                size = (lambda: store.lake_bytes("samples")) if kind is Tyto else store.sample_bytes
                ingest(figures, area, "sample", series.samples, store, store.name, lambda: store.remote_write(bodies), size)
            for name, alike, path, parameters in asked:
                milliseconds, data = cost(store, lambda: store.promql(path, **parameters))
                figures.add("PromQL, CPU ms", name, store.name, milliseconds)
                answers.setdefault(name, {})[store.name] = (alike, questions.prometheus_answer(data))
    for name, given in answers.items():
        for store, (alike, answer) in given.items():
            if (alike or store in ("prometheus", TytoFromFiles.name)) and not questions.same(given["tyto"][1], answer):
                figures.differ(f"{name}: tyto and {store}: {questions.difference(given['tyto'][1], answer)}")


def series(figures, options):
    many_series(figures, 20_000 if options.quick else 200_000, scrapes=10)


def million(figures, options):
    many_series(figures, 100_000 if options.quick else 1_000_000, scrapes=3)


def many_series(figures, count, scrapes):
    many = work.many_series(count, scrapes)
    bodies = list(many.requests())
    first = len(bodies) // scrapes
    area = f"many series: {count:,} series, {scrapes} scrapes"
    asked, answers = questions.many_series_questions(scrapes), {}
    for kind in (Tyto, VictoriaMetrics, Prometheus):
        with kind() as store:
            rest, before = store.memory_bytes(), store.cpu_seconds()
            store.remote_write(bodies[:first])
            once = store.cpu_seconds() - before
            store.remote_write(bodies[first:])
            again = (store.cpu_seconds() - before - once) / (scrapes - 1)
            # Not their difference: where a new series costs hardly more than a known one, it is noise.
            figures.add(area, "first scrape, all series new, CPU us each", store.name, once / count * 1e6)
            figures.add(area, "later scrapes, CPU us per sample", store.name, again / count * 1e6)
            figures.add(area, "memory per active series, KiB", store.name, (store.memory_bytes() - rest) / 1024 / count)
            store.settle()
            for name, path, parameters in asked:
                milliseconds, data = cost(store, lambda: store.promql(path, **parameters))
                figures.add(area, f"{name}, CPU ms", store.name, milliseconds)
                answers.setdefault(name, {})[store.name] = questions.prometheus_answer(data)
    for name, given in answers.items():
        for store, answer in given.items():
            if not questions.same(given["tyto"], answer):
                figures.differ(f"{area}: {name}: tyto and {store}: {questions.difference(given['tyto'], answer)}")


def logs(figures, options):
    lines = work.logs(100_000 if options.quick else 1_000_000)
    area = f"logs: {lines.count:,} lines of 315 bytes"
    sample = lines.trace_id[lines.count // 2]
    asked = questions.log_questions(sample)
    answers, otlp = {}, list(lines.otlp_requests())
    for kind in (Tyto, TytoUndeclared):
        with kind() as store:
            ingest(figures, area, "line", lines.count, store, store.name, lambda: store.otlp("logs", otlp), lambda: store.lake_bytes("logs"))
            for name, ask, _ in questions.log_questions(sample, kind.declares):
                milliseconds, answer = cost(store, lambda: questions.ask_tyto(store, ask))
                figures.add("log queries, CPU ms", name, store.name, milliseconds)
                if not questions.same(answers.setdefault(name, answer), answer):
                    figures.differ(f"{name}: tyto and {store.name}: {questions.difference(answers[name], answer)}")
    with Tyto() as store:
        bodies = list(lines.loki_requests())
        ingest(figures, area, "line", lines.count, store, "tyto (Loki push)", lambda: store.loki(bodies), lambda: store.lake_bytes("logs"))
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "logs.ndjson"
        for order in ("time", "service, time"):
            with ClickHouse(order) as store:
                create_logs(store)
                insert = insert_logs(lines, file)
                ingest(figures, area, "line", lines.count, store, store.name, lambda: store.sql(insert), store.table_bytes)
                ask_sql(figures, "log queries, CPU ms", store, asked, answers)


def create_logs(store):
    store.table = "logs"
    store.sql(f"""CREATE TABLE logs (time DateTime64(9, 'UTC') CODEC(Delta, ZSTD), level LowCardinality(String), service LowCardinality(String),
        pod LowCardinality(String), host LowCardinality(String), trace_id String, span_id String, message String CODEC(ZSTD), duration Float64 CODEC(ZSTD),
        INDEX words message TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1, INDEX traces trace_id TYPE bloom_filter(0.01) GRANULARITY 1)
        ENGINE = MergeTree ORDER BY ({store.order})""")


def insert_logs(lines, file):
    """Writes the lines as JSON, and says how ClickHouse reads them."""
    with file.open("w") as sink:
        sink.writelines(line + "\n" for line in lines.json_lines())
    return f"INSERT INTO logs SELECT * FROM file('{file}', JSONEachRow) SETTINGS date_time_input_format = 'best_effort'"


# Hours of a million lines each, after which it is measured.
GROWN = (1, 3, 10)


def growth(figures, options):
    """How figures grow with the lines that are there already: an hour of them follows the other."""
    count = 100_000 if options.quick else 1_000_000
    sample = work.logs(count).trace_id[count // 2]
    answers = {hours: {} for hours in GROWN}
    for store in (Tyto(), ClickHouse("time")):
        with store, tempfile.TemporaryDirectory() as folder:
            own, costs, fed = isinstance(store, Tyto), {}, 0.0
            if not own:
                create_logs(store)
            for hour in range(GROWN[-1]):
                lines = work.logs(count, hour)
                bodies = list(lines.otlp_requests()) if own else insert_logs(lines, pathlib.Path(folder) / "logs.ndjson")
                before = store.cpu_seconds()
                store.otlp("logs", bodies) if own else store.sql(bodies)
                fed += store.cpu_seconds() - before
                hours = hour + 1
                if hours not in GROWN:
                    continue
                store.settle()
                millions = hours * count / 1e6
                taken = [
                    ("ingest so far, CPU s per M lines", fed / millions),
                    ("disk, bytes per line", (store.lake_bytes("logs") if own else store.table_bytes()) / millions / 1e6),
                    ("memory at rest, MiB", store.memory_bytes() / 2**20),
                ]
                for name, question, text in questions.log_questions(sample, hours=hours):
                    ask = (lambda: questions.ask_tyto(store, question)) if own else (lambda: questions.ask_clickhouse(store, text))
                    milliseconds, answer = cost(store, ask)
                    taken.append((f"{name.split(',')[0]}, CPU ms", milliseconds))
                    if not questions.same(answers[hours].setdefault(name, answer), answer):
                        figures.differ(f"{name}, {hours} hours: tyto and {store.name}: {questions.difference(answers[hours][name], answer)}")
                for name, value in taken:
                    costs.setdefault(name, {})[hours] = value
            area, size = "growth: hour after hour of logs", lambda hours: f"{hours * count / 1e6:g} M"
            for name, values in costs.items():
                for hours, value in values.items():
                    figures.add(area, f"{name}, of {size(hours)}", store.name, value)
                figures.add(area, f"{name}, of {size(GROWN[-1])} over {size(GROWN[0])}", store.name, values[GROWN[-1]] / values[GROWN[0]])


def governance(figures, options):
    """What it costs to know whose each line is, to hold it against contracts, and to hide secrets. The store without comes first and
    last: it is what the ratio hangs on."""
    lines = work.logs(100_000 if options.quick else 1_000_000)
    area = "governance: 500 components claimed by rules, core and extension contract, masking"
    too_long = sum(duration > company.DURATION_MAX for duration in lines.duration)
    otlp = list(lines.otlp_requests())
    for store in (
        TytoUnruled(),
        TytoGoverned("tyto (rules)", components=500),
        TytoGoverned("tyto (rules and contracts)", components=500, contracts=len(work.SERVICES)),
        TytoGoverned(components=500, contracts=len(work.SERVICES), masks=True),
        TytoUnruled(),
    ):
        with store:
            name = store.name
            ingest(figures, area, "line", lines.count, store, name, lambda: store.otlp("logs", otlp), lambda: store.lake_bytes("logs"))
            aside = too_long if store.catalogue.get("contracts") else 0
            owned = lines.count - aside if store.catalogue else 0
            found = [store.sql(f"SELECT count(*) FROM {rows}")[0][0] for rows in ("logs", "quarantine", "logs WHERE business_service LIKE 'business-%'")]
            if store.catalogue.get("masks"):
                pipelines = json.loads(store.request("GET", "/api/tyto/v1/pipelines"))["pipelines"]
                if [pipeline["records"] for pipeline in pipelines] != [lines.count]:
                    figures.differ(f"{name}: not all lines went through the mask: {pipelines}")
            if found != [lines.count - aside, aside, owned]:
                figures.differ(f"{name}: stored, set aside and claimed are {found}, and should be {[lines.count - aside, aside, owned]}")
    for store in (TytoUnruled(), TytoGoverned(components=5000, contracts=2000)):
        with store:
            figures.add("catalogue: 5,000 components, 2,000 contracts", "server's start, CPU s", store.name, store.cpu_seconds())


def spans(figures, options):
    work_spans = work.spans(20_000 if options.quick else 200_000)
    area = f"spans: {work_spans.traces:,} traces of 8"
    asked = traces.questions(work_spans.rows[work_spans.count // 2][2])
    answers = {}
    for kind in (Tyto, TytoUnwatched):
        with kind() as store:
            bodies = list(work_spans.otlp_requests())
            ingest(figures, area, "span", work_spans.count, store, store.name, lambda: store.otlp("traces", bodies), lambda: store.lake_bytes("spans"))
            for question in asked if kind is Tyto else ():
                milliseconds, answer = cost(store, lambda: traces.ask_tyto(store, question.tyto))
                figures.add("trace queries, CPU ms", question.name, store.name, milliseconds)
                answers[question.name] = traces.rows_of_tyto(question.tyto, answer)
    for table in traces.TABLES:
        with tempfile.TemporaryDirectory() as folder, ClickHouse(table.order, table.name) as store:
            file = pathlib.Path(folder) / "spans.ndjson"
            with file.open("w") as sink:
                sink.writelines(line + "\n" for line in table.lines(work_spans))
            store.table = "spans"
            store.sql(table.create)
            insert = f"INSERT INTO spans SELECT * FROM file('{file}', JSONEachRow)"
            ingest(figures, area, "span", work_spans.count, store, store.name, lambda: store.sql(insert), store.table_bytes)
            for question in asked:
                milliseconds, rows = cost(store, lambda: store.sql(question.sql(table)))
                figures.add("trace queries, CPU ms", question.name, store.name, milliseconds)
                found = traces.rows_of_sql(question.tyto, rows)
                if not found:
                    figures.differ(f"{question.name}: there is nothing to find")
                difference = traces.differs(answers[question.name], found, question.near)
                if difference:
                    figures.differ(f"{question.name}: tyto and {store.name}: {difference}")


AREAS = {"metrics": metrics, "series": series, "million": million, "logs": logs, "growth": growth, "governance": governance, "spans": spans}
# What takes so long that the noise of the machine does not count.
ONCE = {"million", "growth"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(AREAS))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent / "RESULTS.md")
    options = parser.parse_args()
    Tyto.binary = pathlib.Path(options.binary).resolve()
    figures, started = Figures(), time.monotonic()
    rounds = 1 if options.quick else options.rounds
    for number in range(rounds):
        for name in options.only.split(","):
            if number > 0 and name in ONCE:
                continue
            AREAS[name](figures, options)
            print(f"round {number + 1} of {rounds}: {name}, {time.monotonic() - started:.0f} s", flush=True)
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=pathlib.Path(__file__).parent).stdout.strip()
    reached, picture = goals.reached(figures.areas), options.output.with_suffix(".svg")
    text = report.write(figures, revision, rounds, options.quick, reached, picture.name)
    options.output.write_text(text)
    picture.write_text(chart.draw(reached))
    print(text)
    sys.exit(1 if figures.notes else 0)


if __name__ == "__main__":
    main()
