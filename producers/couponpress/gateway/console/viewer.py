"""Who looks at the console, and what that person may see and do (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from couponpress.gateway.control import Caller
from couponpress.gateway.rights import Token
from couponpress.ledger.attribution import Actor

PersonRole = Literal["viewer", "operator", "admin"]
#: What a person may do; each role may do what the one before it may. An app's token is no person's.
ROLES: Final[tuple[PersonRole, ...]] = ("viewer", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person who is logged in.

    Attributes:
        token: what the person logged in with; its role is one of ROLES.
        address: where the request came from, for the audit log.
    """

    token: Token
    address: str = ""

    @property
    def name(self) -> str:
        """The token's name."""
        return self.token.name

    @property
    def role(self) -> str:
        """What the person may do."""
        return self.token.role

    @property
    def actor(self) -> Actor:
        """The person as holds and the audit log name it."""
        return self.caller.actor

    @property
    def caller(self) -> Caller:
        """The person as the gateway's own routes know it."""
        return Caller(self.token, self.address, "console")

    def name_of(self, stored: str) -> str:
        """Return the name by which the person's token knows a stored run; the stored one when it knows it by none."""
        shown = self.token.shown_name(stored)
        return stored if shown is None else shown

    def may(self, role: PersonRole) -> bool:
        """Say whether the person has a role or a higher one."""
        return self.token.role != "app" and ROLES.index(self.token.role) >= ROLES.index(role)

    @property
    def sees_all(self) -> bool:
        """Whether every brand and every run is the person's; only then the fleet as a whole is shown."""
        return self.token.sees_everything

    def sees_brand(self, brand_id: str) -> bool:
        """Say whether a brand's data may be shown."""
        return self.token.may_use(brand_id)
