"""Holds the partner or a brand when the platform refuses all of its requests because of a mistake on our side.

A refusal comes with its reason and its cure. When several brands are refused one after the other, the partner is
held.
"""

from __future__ import annotations

import logging
import time

from couponpress.keys import PARTNER_SCOPE, brand_scope
from couponpress.ledger.fleet_holds import FleetHolds
from couponpress.ledger.fleet_queries import FleetQueries
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress_worker.events import Held, Tell, unheard
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.store.recorder import Recorder
from couponpress_worker.wechatpay.judgement import Accepted, Hold, Judgement, QueryFirst

log = logging.getLogger(__name__)

#: So many brands refused in a row, with nothing taken in between, mean that the partner lacks the permission. The error
#: page says "the partner, or the brand"; nobody has so many brands that never authorised them, one after the other.
BRANDS_IN_A_ROW = 10
#: What the fleet accepted within so long shows that the partner has the permission, whatever this process met.
PERMITTED_SECONDS = 60.0


class Fault:
    """Holds what the platform refuses as a whole; one per process."""

    def __init__(
        self, holds: FleetHolds, queries: FleetQueries, recorder: Recorder, halt: Halt, tell: Tell = unheard
    ) -> None:
        self._holds = holds
        self._queries = queries
        self._recorder = recorder
        self._halt = halt
        self._tell = tell
        self._refused: set[str] = set()

    def answered(self, judgement: Judgement) -> None:
        """Hear what an answer meant: a task that was taken shows that the partner has the permission."""
        if isinstance(judgement, Accepted | QueryFirst):
            self._refused.clear()

    async def hold(self, stop: Hold, brand_id: str) -> None:
        """Hold what a refusal is about: this process stops at once, the others when they hear of it."""
        reason = f"{stop.code}: {stop.message}" + (f" (Request-ID {stop.request_id})" if stop.request_id else "")
        if stop.scope == "partner":
            await self._hold(PARTNER_SCOPE, reason, stop.cure)
            return
        cure = f"{stop.cure} Then `couponpress resume --brand {brand_id}`."
        await self._hold(brand_scope(brand_id), reason, cure)
        self._refused.add(brand_id)
        if len(self._refused) >= BRANDS_IN_A_ROW and not await self._permitted():
            count = len(self._refused)
            self._refused.clear()
            await self._hold(
                PARTNER_SCOPE,
                f"the platform refused {count} brands one after the other and took nothing; the last one: {reason}",
                "The partner must have the permission for product coupons on the merchant platform: have it granted, "
                "`couponpress resume`, and then `couponpress resume --brand ID` for each brand that is held. If only "
                "these brands did not authorise the partner: `couponpress resume`, the others go on.",
            )

    async def _permitted(self) -> bool:
        await self._recorder.flush()  # what this process heard before is known to the ledger
        try:
            return await self._queries.accepted_within(PERMITTED_SECONDS)
        except REDIS_AWAY:
            return True  # nothing is sent meanwhile, and the next refusal asks again

    async def _hold(self, scope: str, reason: str, cure: str) -> None:
        if self._halt.holds(scope):
            return
        self._halt.settling |= {scope}
        try:
            first = await self._holds.hold(scope, reason, cure, time.time())
            self._halt.held |= {scope}
        except REDIS_AWAY as error:
            log.warning("submitting should be held (%s), but Redis does not take the hold: %s", reason, error)
        else:
            self._tell(Held(scope, scope.replace(":", " "), reason, cure, ours=first))
        finally:
            self._halt.settling -= {scope}
