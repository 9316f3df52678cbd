"""The rate over time as a receiver sees it: how many requests came in the second before each moment."""

from bisect import bisect_right
from itertools import zip_longest
from math import ceil
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

LIMIT_PER_SECOND = 500
STEP_SECONDS = 0.02
COLUMNS = 2
MOST_SECONDS = 30.0


def draw(path: Path, arrivals: dict[str, list[float]]) -> bool:
    """Draw one panel per sender; returns True once the picture is written."""
    mpl.use("Agg")  # no screen is needed
    rows = ceil(len(arrivals) / COLUMNS)
    figure, panels = plt.subplots(
        rows, COLUMNS, sharex=True, sharey=True, squeeze=False, figsize=(11, 1 + 1.8 * rows), layout="constrained"
    )
    for axes, (name, offsets) in zip_longest(panels.flat, arrivals.items(), fillvalue=("", [])):
        axes.set_visible(bool(offsets))
        moments, counts = in_the_second_before(offsets)
        axes.plot(moments, counts, color="#4c78a8", linewidth=1)
        axes.axhline(LIMIT_PER_SECOND, color="#e45756", linestyle="--", linewidth=1)
        axes.set_title(name, size="small")
    panels[0, 0].set_ylim(0, LIMIT_PER_SECOND * 1.2)
    figure.supylabel("requests in the last second", size="small")
    figure.supxlabel("seconds since the first request; dashed: the limit of 500", size="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def in_the_second_before(offsets: list[float]) -> tuple[list[float], list[int]]:
    """Return moments, and how many arrived in the second that ends at each."""
    steps = round(min(offsets[-1], MOST_SECONDS) / STEP_SECONDS) if offsets else 0
    moments = [step * STEP_SECONDS for step in range(1, steps + 1)]
    return moments, [bisect_right(offsets, at) - bisect_right(offsets, at - 1) for at in moments]
