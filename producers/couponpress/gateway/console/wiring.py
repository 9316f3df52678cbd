"""What the pages and the acts of one console work with: its partner's connections, tokens, logins and paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import redis

from couponpress.client import Client
from couponpress.gateway.console.live import Live
from couponpress.gateway.console.session import Session, Sessions
from couponpress.gateway.console.specs import SpecReader
from couponpress.gateway.console.uploads import Uploads
from couponpress.gateway.control import Control
from couponpress.gateway.denials import Denials
from couponpress.gateway.selections import Selections
from couponpress.gateway.settings import GatewaySettings
from couponpress.gateway.tokens import TokensFile
from couponpress.gateway.visibility import Visibility
from couponpress.keys import Keys
from couponpress.ledger.progress import ReadingLedger
from couponpress.overview.sharing import SharedOverview

#: Where a gateway serves its console.
PATH = "/console/"


@dataclass(frozen=True)
class Console:
    """What the pages and the acts work with.

    Attributes:
        prefix: what stands before every path of this gateway; empty for a gateway of one partner.
        others: returns which partners, of a gateway of several, a login is for: their ids and their consoles' paths.
    """

    settings: GatewaySettings
    tokens: TokensFile
    client: Client
    redis: redis.Redis
    keys: Keys
    sessions: Sessions
    visibility: Visibility
    control: Control
    selections: Selections
    denials: Denials
    uploads: Uploads
    overview: SharedOverview
    live: Live = field(default_factory=Live)
    prefix: str = ""
    others: Callable[[Session], Mapping[str, str]] = lambda _: {}

    @property
    def home(self) -> str:
        """The path of the first page, as a browser asks for it."""
        return self.prefix + PATH

    @property
    def cookie_path(self) -> str:
        """Where a login is sent: to the consoles of all partners, each of which looks whether it has such a token."""
        return f"{self.prefix.rpartition('/')[0]}/" if self.prefix else PATH

    def session(self, cookie: str | None) -> Session | None:
        """Return the login that a cookie stands for; None when there is none, or its token is no longer in force."""
        session = self.sessions.read(cookie)
        return session if session is not None and self.knows(session) else None

    def knows(self, session: Session) -> bool:
        """Say whether a login is by a token of this partner."""
        token = self.tokens.tokens().named(session.name)
        return token is not None and token.role != "app" and session.is_of(token.digest)

    @property
    def reading(self) -> ReadingLedger:
        """The questions to the ledger."""
        return ReadingLedger(self.redis, self.keys)

    @property
    def specs(self) -> SpecReader:
        """The specs of a run, page by page."""
        return SpecReader(self.redis, self.keys)
