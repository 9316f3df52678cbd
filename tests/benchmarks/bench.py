"""What every figure is handed, and what it hands back: a line of the table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress_worker.demo.fleet import sample_catalog


@dataclass
class Bench:
    """One run of the bench.

    Attributes:
        directory: for everything that is thrown away afterwards.
        quick: shorter windows, fewer repetitions.
        seed: of catalogs and faults.
        waiting: bulk specs that wait while urgent ones are timed.
        backlog: the large backlog, specs.
        lateness_ms: the lateness budget J that the fleet is set to.
        say: shows a line of progress.
        arrivals: for the picture: seconds of each arrival after the first, by what sent them.
    """

    directory: Path
    quick: bool
    seed: int
    waiting: int
    backlog: int
    lateness_ms: int
    say: Callable[[str], None]
    arrivals: dict[str, list[float]] = field(default_factory=dict)

    @property
    def windows(self) -> int:
        """How often a steady state is measured."""
        return 3 if self.quick else 5

    @property
    def window_seconds(self) -> float:
        """How long each of these windows is."""
        return 4.0

    def catalog(self, rows: int) -> Path:
        """Return a catalog of so many good rows; the same seed gives the same bytes."""
        path = self.directory / f"{rows}-rows.csv"
        if not path.exists():
            sample_catalog.write(path, rows=rows, seed=self.seed, broken=0)
        return path

    def specs(self, rows: int):
        """Return the specs of such a catalog, read as `couponpress submit` reads them."""
        return CatalogUpload([str(self.catalog(rows))]).specs()

    def bodies(self, rows: int, run: str):
        """Return the request bodies of such a catalog in a run, for senders other than the fleet."""
        return (spec.identified(run).body() for spec in self.specs(rows))


@dataclass
class Line:
    """One line of the table.

    Attributes:
        figure: which figure it belongs to.
        name: what was measured.
        unit: of the values.
        values: one per repetition.
        goal: None when the line only reports.
        at_most: whether the goal is a ceiling, else it is a floor.
        note: what a reader must know to judge it.
    """

    figure: str
    name: str
    unit: str
    values: list[float]
    goal: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the repetitions."""
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median as a share of the goal; None when there is none, or it is nothing at all."""
        return self.median / self.goal if self.goal else None

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or empty when there is no goal."""
        if self.goal is None:
            return ""
        return "met" if (self.median <= self.goal if self.at_most else self.median >= self.goal) else "missed"
