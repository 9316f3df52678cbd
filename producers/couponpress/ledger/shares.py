"""Reads and sets the shares of brands: how much of a lane a brand has while others wait, and how fast it may go.

Brands with work in a lane share it by their weights; without a share a brand has weight 1 and no cap. A share is in
force for every worker from the next chunk on, across restarts, until it is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis

from couponpress.errors import InputError
from couponpress.keys import LANES, Keys, brand_scope
from couponpress.language import gettext
from couponpress.ledger.attribution import Attribution, this_user
from couponpress.ledger.audit import Act, AuditLog
from couponpress.ledger.scripts import ALLOW_OOM, script

#: The largest weight: more would leave the others nothing.
MOST_WEIGHT = 1000
#: The highest cap; more than the platform grants is none.
MOST_PER_SECOND = 100_000


@dataclass(frozen=True, slots=True)
class Share:
    """A brand's share.

    Attributes:
        brand: its id.
        weight: how many specs it may send for each one of a brand with weight 1, while both wait in a lane.
        per_second: the most specs that it may send in a second, on average; None: no cap of its own.
    """

    brand: str
    weight: int = 1
    per_second: int | None = None


class ShareLedger:
    """The shares of brands, over a blocking client that answers in bytes."""

    def __init__(self, client: redis.Redis, keys: Keys, audit: AuditLog | None = None) -> None:
        self._client = client
        self._keys = keys
        self._audit = audit or AuditLog(client, keys)
        self._share = client.register_script(ALLOW_OOM + script("share"))

    def shares(self) -> list[Share]:
        """Return the shares that were set, by brand."""
        stored = cast(dict[bytes, bytes], self._client.hgetall(self._keys.shares))
        found = []
        for flow, text in stored.items():
            if flow:
                weight, cap = map(int, text.split())
                found.append(Share(flow.decode().removeprefix(brand_scope("")), weight, cap or None))
        return sorted(found, key=lambda share: share.brand)

    def set_share(self, share: Share, by: Attribution | None = None) -> None:
        """Set a brand's share; weight 1 without a cap takes it back.

        Raises:
            InputError: the weight or the cap is out of bounds.
        """
        if not 1 <= share.weight <= MOST_WEIGHT:
            raise InputError(gettext("a weight is a whole number from 1 to %(most)s.") % {"most": MOST_WEIGHT})
        if share.per_second is not None and not 1 <= share.per_second <= MOST_PER_SECOND:
            raise InputError(
                gettext("the most specs in a second are a whole number from 1 to %(most)s.") % {"most": MOST_PER_SECOND}
            )
        default = share == Share(share.brand)
        cap = "" if share.per_second is None else f", at most {share.per_second}/second"
        detail = "default" if default else f"weight {share.weight}{cap}"
        act = Act("share", by or Attribution(this_user("client")), brand=share.brand, detail=detail)
        names, values = self._audit.arguments(act)
        keys = [self._keys.shares, self._keys.share_rests, *(self._keys.flows(lane) for lane in LANES)]
        told = "" if default else f"{share.weight} {share.per_second or 0}"
        self._share([*keys, *names], [brand_scope(share.brand), told, *values])
