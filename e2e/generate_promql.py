"""PromQL queries by a grammar, over the series that are there: each well typed, most with something to find.

Prometheus 2.42 and 3 differ here and there, by their documents or because 2.42 was wrong. The grammar stays where they do not, which is why an
expression carries facts about its values:

- Since 3.0 ranges and lookback are open to the left. `World` finds a unit of time and a remainder such that no sample lies on the edge of
  any range: every duration is a multiple of the unit, every time of evaluation has the remainder, and subqueries are evaluated at multiples.
- Since 3.0 `rate` and `increase` take a counter's distance from zero otherwise into account. It matters to a series that begins within the
  range near zero but not at it: they are asked of counters that begin at zero or far from it (`Metric.counts`).
- `sum` and `avg` add up in another way since 3.0, and in an order that nobody promises. The last digits of a sum are
  therefore nobody's (`Grain.NOISY`): what would make them the first ones, or a yes or no, is asked of exact values only. Sums of values
  without rounding (`Grain.DYADIC`) are exact in any order. Noise is a few times 2^-53 for each term added, so that sums of the thousand
  series here are within 1e-12 of each other, and a few operations on them well within 1e-9.
- Since 3.0 `stddev` and `stdvar` of an infinity are NaN; and of numbers that lie close together but far from zero only the first digits are
  certain: they, and regressions, are asked of finite values that lie apart (`Metric.apart`).
- `topk` and `bottomk` choose among equals as they like: they are asked of unequal values, or for more than there are.
- Go leaves dates of what is no time that fits an integer to the processor.
- `holt_winters` is `double_exponential_smoothing` since 3.0: `for_tyto` renames it.
- 3.0 takes numbers for durations and durations for numbers, takes `offset 0s`, lets dots match line ends, and knows functions that 2.42 does
  not: none of it is written. `histogram_fraction` reads classic buckets, too: it is asked of no buckets.
- `atan2` kept the metric's name before 2.47 (prometheus#12595): its left side has none. `predict_linear` of a range at a fixed time slid that
  range along before 2.50 (prometheus#13559): it is asked of none.
- `count_values by` lost a label in range queries when Go's slice of labels had room for one more: it is not asked by 3 or 5 to 7 of them.
- `timestamp` of a selector with both `@` and `offset` forgets the offset, in 3 too, though not when the series are read: it has one of them.
"""

import dataclasses
import enum
import itertools
import math
import random
import re

NAME = "__name__"


class Grain(enum.IntEnum):
    NOISY = 0
    EXACT = 1
    # Also in sums: infinities, NaN, and multiples of 2^-20 below 2^32.
    DYADIC = 2


def grain_of(values):
    fits = all(not math.isfinite(value) or abs(value) < 2**32 and (value * 2**20).is_integer() for value in values)
    return Grain.DYADIC if fits else Grain.EXACT


def whole_life(samples, first_ms, last_ms, pace_ms):
    return samples[0][0] < first_ms + 2 * pace_ms and samples[-1][0] > last_ms - 2 * pace_ms


class Metric:
    """What is known of all series of a name."""

    def __init__(self, name, series, world):
        self.name, self.series = name, series
        self.labels = sorted(set().union(*(labels for labels, _ in series)) - {NAME})
        self.job = series[0][0]["job"]
        by_series = [[value for _, value in samples] for _, samples in series]
        values = list(itertools.chain(*by_series))
        finite = [value for value in values if math.isfinite(value)]
        self.typical = sorted(finite)[len(finite) // 2] if finite else 0.0
        self.grain = grain_of(values)
        self.positive = all(value >= 0 or value != value for value in values)
        # Also when made an integer.
        self.tame = len(finite) == len(values) and max(map(abs, values)) < 2**40
        self.distinct = sum(len(set(map(repr, found))) for found in by_series) == len(set(map(repr, values)))
        spread = sorted(set(values))
        gaps = [after - before for before, after in itertools.pairwise(spread)]
        self.apart = self.tame and bool(gaps) and max(map(abs, values)) < 1000 * min(gaps)
        self.whole = all(whole_life(samples, world.first_ms, world.last_ms, world.pace_ms) for _, samples in series)
        self.is_counter = name.endswith(("_total", "_count", "_sum", "_bucket"))
        self.counts = self.is_counter and self.tame and all(map(self.begins_harmlessly, by_series))
        self.is_bucket = name.endswith("_bucket") and "le" in self.labels

    def begins_harmlessly(self, values):
        """Whether a range that begins anywhere, or before the series, gives the same rate by the old rule and the new one."""
        drops = any(after < before for before, after in itertools.pairwise(values))
        grown = values[-1] - values[0]
        # Of history every counter begins at zero, on the beat.
        return self.job == "past" or not drops and (grown == 0 or values[0] > 1.2 * grown)


class World:
    """Series that live over the same time: {labels: [(ms, value)]}, with labels as sorted pairs."""

    def __init__(self, series, pace_ms, unit_ms, ranges):
        self.pace_ms, self.ranges = pace_ms, ranges
        times = {at for samples in series.values() for at, _ in samples}
        self.first_ms, self.last_ms = min(times), max(times)
        self.unit_ms, self.remainder_ms = apart_from(times, unit_ms)
        by_name = {}
        for labels, samples in series.items():
            labels = dict(labels)
            by_name.setdefault(labels[NAME], []).append((labels, samples))
        self.metrics = [Metric(name, found, self) for name, found in sorted(by_name.items()) if len(found) <= 80]

    def time(self, part):
        """A time of evaluation, by where between the first sample and the last it lies."""
        at = int(self.first_ms + part * (self.last_ms - self.first_ms))
        return at - at % self.unit_ms + self.remainder_ms


def apart_from(times, wanted_ms):
    """A unit near the one wanted of which no time is a multiple, and the remainder that is farthest from the remainders of all times."""
    for unit in sorted(range(wanted_ms - 20, wanted_ms + 20), key=lambda unit: abs(unit - wanted_ms)):
        taken = sorted({time % unit for time in times} | {0})
        if not any(time % unit == 0 for time in times):
            gap, before = max((after - before, before) for before, after in itertools.pairwise([*taken, unit]))
            if gap > 1:
                return unit, before + gap // 2
    raise AssertionError("samples lie at every millisecond")


@dataclasses.dataclass(frozen=True)
class Vector:
    """An expression for an instant vector, and what is known of its values."""

    text: str
    metric: Metric
    # Those that tell its series apart.
    labels: frozenset
    grain: Grain
    positive: bool = False
    tame: bool = False
    # Samples of the metric as they are.
    bare: bool = False
    # One order of its series is the right one.
    ordered: bool = False
    typical: float = 1.0
    # Several series may be alike but for the name.
    mixed: bool = False
    # No parentheses are needed around it.
    closed: bool = True

    def operand(self):
        return self.text if self.closed else f"({self.text})"

    def now(self, text, **changes):
        """What it is within a function: only what is said of its values still holds."""
        facts = {"typical": 1.0, "bare": False, "ordered": False, "tame": False, "positive": False, "closed": True, **changes}
        return dataclasses.replace(self, text=text, **facts)

    def as_it_is(self, text, **changes):
        """The same values otherwise written."""
        return dataclasses.replace(self, text=text, **{"closed": True, "ordered": False, **changes})

    @property
    def counts(self):
        return self.bare and self.metric.counts

    @property
    def apart(self):
        return self.bare and self.metric.apart

    @property
    def distinct(self):
        return self.bare and self.metric.distinct


@dataclasses.dataclass(frozen=True)
class Scalar:
    text: str
    grain: Grain = Grain.EXACT
    closed: bool = True

    def operand(self):
        return self.text if self.closed else f"({self.text})"


MATH = {
    # To values that keep their grain; the others are computed in libraries that differ in the last digit.
    "same": ["abs", "sqrt", "deg", "rad"],
    "steps": ["ceil", "floor", "round", "sgn"],
    "rounded": ["exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"],
    "dates": ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"],
}
CLAMPS = ["clamp", "clamp_min", "clamp_max"]
NATIVE = ["histogram_count", "histogram_sum", "histogram_fraction"]
OVER_TIME = [
    "avg_over_time", "changes", "count_over_time", "delta", "deriv", "holt_winters", "idelta", "increase", "irate", "last_over_time", "max_over_time",
    "min_over_time", "predict_linear", "present_over_time", "quantile_over_time", "rate", "resets", "stddev_over_time", "stdvar_over_time", "sum_over_time",
]
OTHER = ["absent", "absent_over_time", "histogram_quantile", "label_join", "label_replace", "pi", "scalar", "sort", "sort_desc", "time", "timestamp", "vector"]
FUNCTIONS = [*itertools.chain(*MATH.values()), *CLAMPS, *NATIVE, *OVER_TIME, *OTHER]
# What a function of a range, or an aggregation, asks of the values; nothing when it is not here.
EXACT = dict.fromkeys(["changes", "delta", "idelta", "irate", "resets", "count_values"], lambda it: it.grain > Grain.NOISY)
APART = dict.fromkeys(["deriv", "predict_linear", "stddev", "stddev_over_time", "stdvar", "stdvar_over_time"], lambda it: it.apart)
ADDED = dict.fromkeys(["sum", "sum_over_time"], lambda it: it.positive or it.grain == Grain.DYADIC)
MEANT = dict.fromkeys(["avg", "avg_over_time"], lambda it: it.positive)
COUNTED = dict.fromkeys(["rate", "increase"], lambda it: it.counts)
NEEDS = {**EXACT, **APART, **ADDED, **MEANT, **COUNTED, "holt_winters": lambda it: it.tame and it.grain > Grain.NOISY}
AGGREGATIONS = ["avg", "bottomk", "count", "count_values", "group", "max", "min", "quantile", "stddev", "stdvar", "sum", "topk"]
ARITHMETIC, COMPARISONS, SETS = ["+", "-", "*", "/", "%", "^", "atan2"], ["==", "!=", ">", "<", ">=", "<="], ["and", "or", "unless"]
MATCHERS = ["=", "!=", "=~", "!~"]
MODIFIERS = ["offset", "offset -", "@", "@ start()", "@ end()", "subquery", "subquery @", "subquery offset", "subquery default step", "bool", "on",
             "ignoring", "group_left", "group_right", "group_left()", "group_right()", "by", "without", "by after", "many names", "chain", "minus"]
CONSTRUCTS = {*FUNCTIONS, *AGGREGATIONS, *ARITHMETIC, *COMPARISONS, *SETS, *MATCHERS, *MODIFIERS}
# Of native histograms: there are none here, and so no answer.
ANSWERLESS = {*NATIVE}


def for_tyto(query):
    return query.replace("holt_winters(", "double_exponential_smoothing(")


def duration(ms):
    parts, rest = "", ms
    for unit, size in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]:
        if rest >= size:
            parts, rest = parts + f"{rest // size}{unit}", rest % size
    return parts or "0s"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A query; those for vectors and scalars may be asked over a range of time."""

    text: str
    kind: str
    constructs: set
    ordered: bool = False


class Grammar:
    """Draws queries. What there is of a kind is drawn like cards, so that none is left out for long."""

    DEPTH = 4

    def __init__(self, world, dice):
        self.world, self.dice = world, dice
        self.decks = {}
        self.used = set()

    # Dice

    def draw(self, cards, fits=lambda card: True):
        """One of the cards that fit, of which none comes twice before all have come."""
        key = tuple(cards)
        deck = self.decks.setdefault(key, [])
        for _ in range(2):
            for index, card in enumerate(deck):
                if fits(card):
                    return deck.pop(index)
            deck += self.dice.sample(cards, len(cards))
        return None

    def chance(self, percent):
        return self.dice.random() * 100 < percent

    def use(self, *constructs):
        self.used.update(constructs)

    def length(self, shortest, longest):
        """A duration of so many units."""
        return duration(self.dice.randint(shortest, longest) * self.world.unit_ms)

    # Queries

    def query(self):
        """An expression for an instant vector mostly; with the type of its answer and the constructs that it is made of."""
        self.used = set()
        roll = self.dice.random()
        if roll < 0.02:
            return Drawn(self.dice.choice(['"text"', "'single'", r'"a\nb\u00e9"', r"`raw\n`"]), "string", self.used)
        if roll < 0.07:
            return Drawn(self.scalar(2).text, "scalar", self.used)
        if roll < 0.13:
            return Drawn(self.range_vector(self.metric()).text, "matrix", self.used)
        vector = self.vector(self.dice.randint(1, self.DEPTH))
        return Drawn(vector.text, "vector", self.used, vector.ordered)

    def metric(self, fits=lambda metric: True):
        return self.draw(self.world.metrics, fits)

    # Selectors

    def matchers(self, metric):
        """Matchers that leave at least one of the metric's series."""
        left, texts = [labels for labels, _ in metric.series], []
        for _ in range(self.dice.choice([0, 0, 1, 1, 2])):
            op, label = self.draw(MATCHERS), self.dice.choice([*metric.labels, "absent_label"])
            value, others = self.pattern(op, label, left)
            keeps = {"=": lambda text: text == value, "!=": lambda text: text != value, "=~": lambda text: re.fullmatch(value, text),
                     "!~": lambda text: not re.fullmatch(value, text)}[op]
            kept = [labels for labels in left if keeps(labels.get(label, ""))]
            if kept:
                left = kept
                texts.append(f"{label}{op}{quoted(value, self.dice)}")
                self.use(op)
        return texts

    def pattern(self, op, label, series):
        """What to match a label with, and another value of it."""
        here = self.dice.choice(series).get(label, "")
        others = sorted({labels.get(label, "") for labels in series} - {here}) or ["none"]
        other = self.dice.choice(others)
        if op in ("=", "!="):
            return (here if op == "=" else other), other
        wanted = here if op == "=~" else other
        plain = re.escape(wanted).replace("\\-", "-").replace("\\/", "/")
        forms = [plain, f"{plain}|nothing", f"({plain})", f"{plain[:-1]}." if wanted[-1:].isalnum() else plain,
                 f".*{re.escape(wanted[-2:])}", f"{re.escape(wanted[:2])}.*", f"(?i:{wanted.upper()})" if wanted.isascii() and wanted.isalpha() else plain]
        if op == "=~":
            forms += [".*", ".+|", "[^|]*"]
        return self.dice.choice(forms), other

    def selector(self, metric):
        texts = self.matchers(metric)
        if metric.name in REPORTS:
            texts.append('job=~"node|tyto|shop"')
        if self.chance(8):
            texts.insert(0, f'{NAME}="{metric.name}"')
            text = "{" + ",".join(texts) + "}"
        else:
            text = metric.name + ("{" + ",".join(texts) + "}" if texts or self.chance(3) else "")
        return text

    def modifiers(self, prefix="", pinned=True, both=True):
        """` offset`, ` @` if it may be, both in any order, or nothing."""
        texts = []
        if self.chance(25):
            back = self.length(1, self.world.ranges[1] // 2)
            if self.chance(25):
                texts.append(f" offset -{back}")
                self.use(prefix + ("offset" if prefix else "offset -"))
            else:
                texts.append(f" offset {back}")
                self.use(prefix + "offset")
        if pinned and (both or not texts) and self.chance(18):
            at = self.draw(["@", "@ start()", "@ end()"])
            texts.append(f" {at}" if at != "@" else f" @ {self.world.time(self.dice.uniform(0.4, 1)) / 1000:.3f}")
            self.use(prefix + "@" if prefix else at)
        self.dice.shuffle(texts)
        return "".join(texts)

    def of_metric(self, metric, text):
        """Its samples."""
        return Vector(text, metric, frozenset(metric.labels), metric.grain, metric.positive, metric.tame, bare=True, typical=metric.typical)

    def leaf(self, fits=lambda metric: True, both=True):
        metric = self.metric(fits)
        return self.of_metric(metric, self.selector(metric) + self.modifiers(both=both))

    def several_names(self):
        """A selector of two metrics, whose series are told apart by their names too."""
        one = self.metric()
        two = self.metric(lambda metric: metric.job == one.job and metric is not one) or one
        self.use("many names")
        job = f'job="{one.job}"'
        names = self.dice.choice([f"{one.name}|{two.name}", f"({two.name}|{one.name})", f"{one.name}|{two.name[:-1]}{two.name[-1]}"])
        text = f'{{{NAME}=~"{names}",{job}}}{self.modifiers()}'
        return Vector(text, one, frozenset([*one.labels, NAME]), min(one.grain, two.grain), one.positive and two.positive, mixed=True)

    # Ranges

    def range_vector(self, metric, function=""):
        """A range of a metric's samples, or of a subquery over an expression of it that the function makes sense for."""
        window = self.length(*self.world.ranges)
        pinned = function != "predict_linear"
        # A subquery sees the beginning of a counter from any side.
        if self.chance(30) and not (function in COUNTED and metric.job == "past"):
            inner = self.chain_of(metric, self.dice.randint(0, 1))
            if NEEDS.get(function, lambda it: True)(inner):
                return inner.as_it_is(f"{inner.operand()}{self.steps(window, pinned)}")
        return self.of_metric(metric, f"{self.selector(metric)}[{window}]{self.modifiers(pinned=pinned)}")

    def steps(self, window, pinned):
        self.use("subquery")
        step = self.length(1, max(2, self.world.ranges[0] // 2))
        if 60_000 % self.world.unit_ms == 0 and self.world.ranges[1] > 60 and self.chance(25):
            step = ""
            self.use("subquery default step")
        return f"[{window}:{step}]{self.modifiers('subquery ', pinned)}"

    def chain_of(self, metric, depth):
        """The metric itself in some functions; its labels stay."""
        vector = self.of_metric(metric, self.selector(metric) + self.modifiers())
        for _ in range(depth):
            vector = self.elementwise(vector)
        return vector

    def over_time(self):
        function = self.draw(OVER_TIME)
        self.use(function)
        needs = NEEDS.get(function, lambda it: True)
        metric = self.metric(lambda metric: needs(self.of_metric(metric, "")) and (function != "irate" or metric.is_counter))
        return self.of_range(function, self.range_vector(metric, function))

    def of_range(self, function, inner):
        text = inner.text
        noisy = dict(grain=Grain.NOISY, tame=inner.tame)
        if function in ("min_over_time", "max_over_time", "last_over_time"):
            return inner.now(f"{function}({text})", positive=inner.positive, tame=inner.tame)
        if function in ("count_over_time", "present_over_time", "changes", "resets"):
            return inner.now(f"{function}({text})", grain=Grain.DYADIC, positive=True, tame=True)
        if function == "sum_over_time":
            return inner.now(f"{function}({text})", grain=Grain.DYADIC if inner.grain == Grain.DYADIC else Grain.NOISY, positive=inner.positive)
        if function == "quantile_over_time":
            return inner.now(f"{function}({self.part()}, {text})", **noisy)
        if function == "predict_linear":
            return inner.now(f"{function}({text}, {self.dice.choice([-10, 0, 60, 3600, 0.5])})", **noisy)
        if function == "holt_winters":
            return inner.now(f"{function}({text}, {self.dice.uniform(0.05, 0.95):.2f}, {self.dice.uniform(0.05, 0.95):.2f})", **noisy)
        if function == "idelta":
            return inner.now(f"{function}({text})", grain=min(inner.grain, Grain.EXACT))
        positive = function in ("rate", "increase", "stddev_over_time", "stdvar_over_time", "avg_over_time")
        return inner.now(f"{function}({text})", positive=positive, **noisy)

    def part(self):
        """A quantile that lies on no edge."""
        return self.dice.choice(["0", "1", "-0.5", "1.5", "NaN"]) if self.chance(15) else f"{self.dice.uniform(0.02, 0.98):.4f}"

    # Scalars

    def literal(self):
        return self.dice.choice(["0", "1", "2", "3.5", "-1", "0.1", "1e3", "0x1F", "010", ".5", "1E-2", "+2", "Inf", "-inf", "NaN", "1024", "7", "100"])

    def scalar(self, depth):
        form = self.draw(["literal", "literal", "time", "pi", "scalar", "binary", "minus"])
        if depth <= 0 or form == "literal":
            return Scalar(self.literal(), Grain.EXACT)
        if form in ("time", "pi"):
            self.use(form)
            return Scalar(f"{form}()")
        if form == "scalar":
            self.use("scalar")
            inner = self.vector(depth - 1)
            if self.chance(70) and inner.grain > Grain.NOISY:
                inner = self.aggregated(inner, "max", frozenset())
            return Scalar(f"scalar({inner.text})", inner.grain)
        if form == "minus":
            inner = self.scalar(depth - 1)
            self.use("minus")
            return Scalar(f"-{inner.operand()}", inner.grain, closed=False)
        left, right = self.scalar(depth - 1), self.scalar(depth - 1)
        grain = min(left.grain, right.grain)
        op = self.draw([*ARITHMETIC, *COMPARISONS], lambda op: grain > Grain.NOISY or op in "*/")
        self.use(op)
        if op in COMPARISONS:
            self.use("bool")
            op += " bool"
        noisy = op in ("^", "atan2")
        return Scalar(f"{left.operand()} {op} {right.operand()}", Grain.NOISY if noisy else grain, closed=False)

    # Vectors

    FORMS = ["elementwise"] * 4 + ["over time"] * 6 + ["aggregation"] * 7 + ["binary"] * 6 + ["labels"] * 2 + ["absent", "histogram"] * 1 + [
        "histogram", "timestamp", "sort", "vector", "several names", "native", "dates", "minus", "chain", "mistake"]

    def vector(self, depth):
        if depth <= 0:
            return self.leaf()
        form = self.draw(self.FORMS)
        return {
            "elementwise": lambda: self.elementwise(self.vector(depth - 1)),
            "over time": self.over_time,
            "aggregation": lambda: self.aggregation(depth),
            "binary": lambda: self.binary(depth),
            "labels": lambda: self.relabelled(self.vector(depth - 1)),
            "absent": lambda: self.absent(depth),
            "histogram": self.quantile_of_buckets,
            "timestamp": self.timestamp,
            "sort": lambda: self.sorted(depth),
            "vector": lambda: self.vector_of_scalar(depth),
            "several names": self.several_names,
            "native": self.native,
            "dates": self.date,
            "minus": lambda: self.negative(self.vector(depth - 1)),
            "chain": self.chain,
            "mistake": self.mistake,
        }[form]()

    def elementwise(self, vector):
        if vector.mixed:
            return self.aggregation_of(vector)
        exact = vector.grain > Grain.NOISY
        names = MATH["same"] + (MATH["steps"] + MATH["rounded"] if exact else []) + CLAMPS
        function = self.draw([*MATH["same"], *MATH["steps"], *MATH["rounded"], *CLAMPS], lambda name: name in names)
        self.use(function)
        text = f"{function}({vector.text})"
        if function == "abs":
            return vector.now(text, positive=True, tame=vector.tame)
        if function == "sqrt":
            return vector.now(text, grain=min(vector.grain, Grain.EXACT), positive=vector.positive, tame=vector.tame and vector.positive)
        if function in ("deg", "rad"):
            return vector.now(text, grain=min(vector.grain, Grain.NOISY), positive=vector.positive, tame=vector.tame)
        if function == "round" and self.chance(60):
            text = f"round({vector.text}, {self.dice.choice(['5', '0.5', '10', '0.1', '3'])})"
            return vector.now(text, grain=Grain.EXACT, positive=vector.positive, tame=vector.tame)
        if function in MATH["steps"]:
            return vector.now(text, positive=vector.positive, tame=vector.tame, grain=Grain.DYADIC if function == "sgn" else vector.grain)
        if function in CLAMPS:
            low = round(vector.typical - abs(vector.typical) * self.dice.random() - 1, 2)
            high = round(vector.typical + abs(vector.typical) * self.dice.random() + 1, 2)
            limits = {"clamp": f"{low}, {high}", "clamp_min": f"{low}", "clamp_max": f"{high}"}[function]
            return vector.now(f"{function}({vector.text}, {limits})", grain=min(vector.grain, Grain.EXACT), tame=vector.tame, positive=vector.positive and low >= 0)
        return vector.now(text, grain=Grain.NOISY)

    def date(self):
        function = self.draw(MATH["dates"])
        self.use(function)
        if self.chance(15):
            return Vector(f"{function}()", self.metric(), frozenset(), Grain.DYADIC, True, True)
        vector = self.leaf(lambda metric: metric.tame)
        if self.chance(50):
            vector = self.timestamp()
        return vector.now(f"{function}({vector.text})", grain=Grain.DYADIC, positive=True, tame=True)

    def timestamp(self):
        vector = self.leaf(both=False)
        if self.chance(30):
            vector = self.elementwise(vector)
        self.use("timestamp")
        return vector.now(f"timestamp({vector.text})", grain=Grain.EXACT, positive=True, tame=True, typical=self.world.time(0.8) / 1000)

    def negative(self, vector):
        if vector.mixed:
            return vector
        self.use("minus")
        return vector.now(f"-{vector.operand()}", tame=vector.tame, closed=False)

    def native(self):
        function = self.draw(NATIVE)
        self.use(function)
        vector = self.leaf(lambda metric: not metric.is_bucket)
        return vector.now(f"{function}({'0, 1, ' if function.endswith('fraction') else ''}{vector.text})")

    def absent(self, depth):
        function = self.draw(["absent", "absent_over_time"])
        self.use(function)
        metric = self.metric()
        missing = f'{metric.name}{{job="{metric.job}",kind="none",absent_label=~"x|y"}}'
        if self.chance(25):
            missing = self.selector(metric)
        if function == "absent_over_time":
            missing += f"[{self.length(*self.world.ranges)}]"
        return Vector(f"{function}({missing}{self.modifiers()})", metric, frozenset(["job", "kind"]), Grain.DYADIC, True, True)

    def sorted(self, depth):
        function = self.draw(["sort", "sort_desc"])
        self.use(function)
        inner = self.leaf(lambda metric: metric.distinct) if self.chance(70) else self.vector(depth - 1)
        return inner.as_it_is(f"{function}({inner.text})", ordered=inner.distinct)

    def vector_of_scalar(self, depth):
        self.use("vector")
        scalar = self.scalar(depth - 1)
        return Vector(f"vector({scalar.text})", self.metric(), frozenset(), scalar.grain)

    def quantile_of_buckets(self):
        """Of buckets as they are, of rates of them, of either grouped."""
        self.use("histogram_quantile")
        metric = self.metric(lambda metric: metric.is_bucket and metric.job in ("shop", "past"))
        buckets = f"{metric.name}{self.modifiers()}"
        if self.chance(60):
            function = self.draw(["rate", "increase"])
            self.use(function)
            buckets = f"{function}({metric.name}[{self.length(*self.world.ranges)}]{self.modifiers()})"
        groups = frozenset(metric.labels) - {"le"}
        if self.chance(60):
            self.use("sum", "by")
            groups = frozenset(label for label in groups if self.chance(50))
            buckets = f"sum by ({', '.join(sorted([*groups, 'le']))}) ({buckets})"
        # Ranks on the edge of a bucket are nobody's when rates have rounding in them.
        quantile = self.dice.choice(["-1", "2"]) if self.chance(10) else f"{self.dice.uniform(0.02, 0.98):.4f}"
        return Vector(f"histogram_quantile({quantile}, {buckets})", metric, groups, Grain.NOISY, positive=not quantile.startswith("-"))

    def relabelled(self, vector):
        if vector.mixed or not vector.labels:
            return vector
        function = self.draw(["label_replace", "label_join"])
        self.use(function)
        source = self.dice.choice(sorted(vector.labels))
        if function == "label_join":
            sources = "".join(f', "{label}"' for label in self.dice.sample(sorted(vector.labels), self.dice.randint(0, min(3, len(vector.labels)))))
            text = f'label_join({vector.text}, "joined", "{self.dice.choice(["-", "", ", "])}"{sources})'
            return vector.as_it_is(text)
        pattern, replacement = self.dice.choice([("(.*)", "$1"), ("(.).*", "x-$1"), ("(?P<first>[a-z]+).*", "${first}_"), ("none", "never"), ("(.*)", ""), (".*", "all")])
        text = f'label_replace({vector.text}, "copied", "{replacement}", "{source}", "{pattern}")'
        return vector.as_it_is(text)

    # Aggregations

    def aggregation(self, depth):
        return self.aggregation_of(self.vector(depth - 1))

    def aggregation_of(self, vector):
        labels = sorted(vector.labels)
        chosen = frozenset(label for label in labels if self.chance(35))
        return self.aggregated(vector, self.draw(AGGREGATIONS, lambda name: self.may(name, vector)), chosen)

    def may(self, aggregation, vector):
        """Whether the answer is the same whatever the order."""
        return NEEDS.get(aggregation, lambda it: True)(vector)

    def aggregated(self, vector, aggregation, labels):
        """Grouped by just these of its labels, however that is said."""
        self.use(aggregation)
        parameter, changes = "", dict(grain=vector.grain, positive=vector.positive, tame=vector.tame)
        if aggregation in ("topk", "bottomk"):
            few = vector.distinct and vector.grain > Grain.NOISY
            parameter = f"{self.dice.randint(1, 4) if few else 5000}, "
        elif aggregation == "quantile":
            parameter, changes["grain"], changes["positive"] = f"{self.part()}, ", Grain.NOISY, False
        elif aggregation == "count_values":
            parameter = '"counted", '
        if aggregation in ("count", "group", "count_values"):
            changes = dict(grain=Grain.DYADIC, positive=True, tame=True)
        if aggregation in ("avg", "stddev", "stdvar") or aggregation == "sum" and vector.grain < Grain.DYADIC:
            changes["grain"] = Grain.NOISY
        if aggregation in ("stddev", "stdvar"):
            changes["positive"] = True

        clause = ""
        if labels or self.chance(20):
            if self.chance(40) or aggregation == "count_values" and len(labels) in (3, 5, 6, 7):
                self.use("without")
                clause = f"without ({', '.join(sorted(vector.labels - labels - {NAME}))})"
            else:
                self.use("by")
                clause = f"by ({', '.join(sorted(labels))})"
        if clause and self.chance(25):
            self.use("by after")
            text = f"{aggregation}({parameter}{vector.text}) {clause}"
        else:
            text = f"{aggregation}{clause and ' ' + clause + ' '}({parameter}{vector.text})"
        if aggregation in ("topk", "bottomk"):
            return vector.as_it_is(text, ordered=vector.distinct and not clause)
        left = labels - {NAME} | ({"counted"} if aggregation == "count_values" else set())
        return vector.now(text, labels=frozenset(left), mixed=NAME in labels and "by (" in clause, **changes)

    # Operators

    def binary(self, depth):
        left = self.vector(depth - 1)
        if left.mixed:
            left = self.aggregation_of(left)
        kind = self.draw(["with scalar", "same labels", "same labels", "groups", "groups", "sets"])
        if kind != "with scalar" and not left.mixed:
            right = self.sibling(left.metric, left.labels, depth - 1)
            if right:
                return {"same labels": self.matched, "groups": self.grouped, "sets": self.set_of}[kind](left, right)
        return self.with_scalar(left, depth)

    def operator(self, left, right):
        """The left side, an operator that asks nothing of digits that are nobody's, with `bool` perhaps, and the facts of what it gives."""
        grain = min(left.grain, right.grain)
        positive = getattr(left, "positive", False) and getattr(right, "positive", False)

        def fits(op):
            if grain > Grain.NOISY:
                return True
            return op in ("*", "/") or op == "+" and positive

        op = self.draw([*ARITHMETIC, *COMPARISONS], fits)
        self.use(op)
        if op in COMPARISONS:
            if self.chance(55):
                self.use("bool")
                return left, f"{op} bool", dict(grain=Grain.DYADIC, positive=True, tame=True)
            return left, op, None
        if op == "atan2":
            left = left.now(f"({left.operand()} * 1)")
        if op in ("^", "atan2"):
            return left, op, dict(grain=Grain.NOISY)
        dyadic = grain == Grain.DYADIC and op in ("+", "-")
        return left, op, dict(grain=Grain.DYADIC if dyadic else min(grain, Grain.EXACT), positive=positive and op in ("+", "*", "/"))

    def with_scalar(self, left, depth):
        scalar = self.scalar(min(depth - 1, 1)) if self.chance(70) else Scalar(f"{left.typical:.6g}")
        left, op, facts = self.operator(left, scalar)
        sides = [left.operand(), scalar.operand()]
        if self.chance(35):
            sides.reverse()
        return self.result(left, f"{sides[0]} {op} {sides[1]}", facts)

    def result(self, left, text, facts):
        if facts is None:
            return left.as_it_is(text, closed=False)
        return left.now(text, closed=False, **facts)

    def sibling(self, metric, labels, depth):
        """A vector that has just these labels, of the same job; none when there are no such."""
        alike = [other for other in self.world.metrics if other.job == metric.job and set(other.labels) == labels]
        wider = [other for other in self.world.metrics if other.job == metric.job and set(other.labels) > labels]
        if alike and (not wider or self.chance(70)):
            vector = self.chain_of(self.dice.choice(alike), self.dice.randint(0, min(depth, 1)))
            return vector if vector.labels == labels else None
        if wider:
            vector = self.chain_of(self.dice.choice(wider), self.dice.randint(0, min(max(depth, 0), 1)))
            if vector.labels > labels:
                fits = lambda name: name not in ("topk", "bottomk", "count_values") and self.may(name, vector)
                return self.aggregated(vector, self.draw(AGGREGATIONS, fits), frozenset(labels))
        return None

    def matched(self, left, right):
        left, op, facts = self.operator(left, right)
        matching = ""
        if self.chance(25):
            matching = f" on({', '.join(sorted(left.labels))})"
            self.use("on")
        elif self.chance(25):
            matching = " ignoring(absent_label)"
            self.use("ignoring")
        # What is left of a comparison on labels has lost its name in 2.42 and in 3 alike.
        return self.result(left, f"{left.operand()} {op}{matching} {right.operand()}", facts)

    def grouped(self, left, right):
        """Many of one side to one of the other, which is grouped by some of the labels."""
        some = frozenset(label for label in left.labels if self.chance(60))
        aggregation = self.draw(AGGREGATIONS, lambda name: name not in ("topk", "bottomk", "count_values") and self.may(name, right))
        one = self.aggregated(right, aggregation, some)
        side = self.draw(["group_left", "group_right"])
        left, op, facts = self.operator(left, one)
        if self.chance(60):
            matching = f"on({', '.join(sorted(some))})"
            self.use("on")
        else:
            matching = f"ignoring({', '.join(sorted(left.labels - some))})"
            self.use("ignoring")
        copied = ""
        if self.chance(40):
            self.use(side)
            # From the one side: a label that it does not have goes from the many.
            copied = self.dice.choice(["absent_label", *sorted(some)]) if matching.startswith("ignoring") else "absent_label"
        else:
            self.use(f"{side}()")
        many, single = left.operand(), one.operand()
        first, second = (many, single) if side == "group_left" else (single, many)
        text = f"{first} {op} {matching} {side}({copied}) {second}"
        return self.result(left, text, facts)

    def set_of(self, left, right):
        op = self.draw(SETS)
        self.use(op)
        matching = ""
        if self.chance(40) and left.labels:
            some = [label for label in sorted(left.labels) if self.chance(60)]
            keyword = self.draw(["on", "ignoring"])
            self.use(keyword)
            matching = f" {keyword}({', '.join(some)})"
        if op == "unless" and self.chance(60):
            right = right.now(f"{right.operand()} > {right.typical:.6g}", closed=False) if right.grain > Grain.NOISY else right
        facts = dict(grain=min(left.grain, right.grain), positive=left.positive and right.positive, tame=left.tame and right.tame, closed=False,
                     mixed=op == "or")
        return left.now(f"{left.operand()} {op}{matching} {right.operand()}", **facts)

    def chain(self):
        """Operators without parentheses: precedence and associativity."""
        metric = self.metric()
        self.use("chain")
        parts = [self.selector(metric)]
        for _ in range(self.dice.randint(2, 4)):
            op = self.draw([*ARITHMETIC, *COMPARISONS], lambda op: op != "atan2")
            self.use(op)
            if op in COMPARISONS:
                self.use("bool")
                op += " bool"
            parts += [op, self.dice.choice([self.selector(metric), self.literal().lstrip("+"), f"-{self.literal().lstrip('+-')}"])]
        return self.of_metric(metric, "").now(" ".join(parts), grain=Grain.NOISY, closed=False)

    def mistake(self):
        """What is refused only while it is computed."""
        form = self.draw(["alike", "many to many", "name"])
        if form == "alike":
            one = self.metric()
            two = self.metric(lambda other: other.job == one.job and set(other.labels) == set(one.labels) and other is not one) or one
            return self.of_metric(one, f'abs({{{NAME}=~"{one.name}|{two.name}",job="{one.job}"}})')
        metric = self.metric(lambda metric: len(metric.series) > 1)
        if form == "many to many":
            return self.of_metric(metric, f"{metric.name} + on(job) {metric.name}")
        return self.of_metric(metric, f'label_replace({metric.name}, "{self.dice.choice(["job", "1x"])}", "same", "instance", "{self.dice.choice([".*", "(", "x"])}")')


# What is said of each scrape, by everybody who scrapes: of the jobs that both hold alike.
REPORTS = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"}


def quoted(text, dice):
    escaped = text.replace("\\", "\\\\")
    mark = dice.choice(['"', "'"])
    return f"{mark}{escaped}{mark}"
