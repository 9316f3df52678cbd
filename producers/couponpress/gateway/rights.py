"""What a token is, and what its role allows (pure). A role never widens which brands and runs a token sees.

| role | what it may do |
|---|---|
| `app` | enqueue; read its runs; pause, resume and cancel them |
| `viewer` | read runs, holds, limits |
| `operator` | all of that; send specs again; act on brands, on everything and on the limit |
| `admin` | all of that; read the audit log |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Role = Literal["app", "viewer", "operator", "admin"]
#: `read` runs and specs · `enqueue` · `control`: pause, resume, cancel runs · `watch` the fleet: holds, limits ·
#: `operate`: redrive, brands, everything, the limit · `audit`: read the audit log.
Right = Literal["read", "enqueue", "control", "watch", "operate", "audit"]

_OPERATOR: Final[frozenset[Right]] = frozenset({"read", "enqueue", "control", "watch", "operate"})
RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    "app": frozenset({"read", "enqueue", "control"}),
    "viewer": frozenset({"read", "watch"}),
    "operator": _OPERATOR,
    "admin": _OPERATOR | {"audit"},
}
#: The namespace of a token that sees every run.
ALL_RUNS = "*"


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        name: who it was given to.
        digest: SHA-256 of the whole token.
        brands: the brands it may enqueue for and read; None for all.
        quota: specs that it may enqueue per day; None for no bound.
        namespace: whose runs it sees; `*` for every run.
        role: what it may do to them.
    """

    name: str
    digest: bytes = field(repr=False)
    brands: frozenset[str] | None
    quota: int | None
    namespace: str
    role: Role = "app"

    def may(self, right: Right) -> bool:
        """Say whether the token's role has a right."""
        return right in RIGHTS[self.role]

    @property
    def sees_all_runs(self) -> bool:
        """Whether it sees every run, also those that came in by other ways."""
        return self.namespace == ALL_RUNS

    @property
    def sees_everything(self) -> bool:
        """Whether it is for all brands and all runs."""
        return self.sees_all_runs and self.brands is None

    def may_use(self, brand_id: str) -> bool:
        """Say whether this token may enqueue for a brand and read what became of it."""
        return self.brands is None or brand_id in self.brands

    @property
    def prefix(self) -> str:
        """What the stored names of its runs begin with."""
        return "" if self.sees_all_runs else f"{self.namespace}/"

    def stored_name(self, run: str) -> str:
        """Return the name under which a run of this token is stored."""
        return self.prefix + run

    def shown_name(self, stored: str) -> str | None:
        """Return the name by which this token knows a stored run; None when it does not see it."""
        return stored.removeprefix(self.prefix) if stored.startswith(self.prefix) else None
