"""Prometheus's text format, version 0.0.4 (pure).

The format is a few lines to write: a name, its help and type, then a sample a line. So no library is needed, and
Prometheus, VictoriaMetrics, Grafana Agent and Datadog all read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value: the end of its name, behind the family's, its labels, and the number."""

    suffix: str
    labels: Mapping[str, str]
    value: float


@dataclass(slots=True)
class Family:
    """All values of one name.

    Attributes:
        name: without the `_total` that a counter's samples end in.
        kind: its type.
        help_text: what it tells, for people.
        samples: its values.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help_text: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> Family:
        """Add a value of a gauge or a counter; returns the family."""
        self.samples.append(Sample("_total" if self.kind == "counter" else "", labels, value))
        return self

    def add_histogram(self, bounds: Iterable[str], counts: Iterable[int], total: float, **labels: str) -> Family:
        """Add a histogram; returns the family.

        Args:
            bounds: the upper ends of the buckets, `+Inf` for the last.
            counts: how many observations lie in each bucket, and in none below it.
            total: the sum of all observations.
            labels: as of the others; `le` is added.
        """
        below = 0
        for bound, count in zip(bounds, counts, strict=True):
            below += count
            self.samples.append(Sample("_bucket", {**labels, "le": bound}, below))
        self.samples.append(Sample("_sum", labels, total))
        self.samples.append(Sample("_count", labels, below))
        return self


def text_of(families: Iterable[Family]) -> str:
    """Return the families as text."""
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    name = f"{family.name}_total" if family.kind == "counter" else family.name
    help_text = family.help_text.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {family.kind}"
    for sample in family.samples:
        labels = ",".join(f'{label}="{_escaped(text)}"' for label, text in sample.labels.items())
        yield f"{family.name}{sample.suffix}{'{' + labels + '}' if labels else ''} {_number(sample.value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    """Return a number without an end of `.0`: counts are whole.

    >>> _number(3.0), _number(True), _number(0.25)
    ('3', '1', '0.25')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
