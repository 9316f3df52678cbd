"""Starts a new partner, run or brand with a few requests, so that a wrong set-up costs few calls.

A partner, a run or a brand is on trial in a process until the platform gave it a good answer there. While one chunk
tries, other chunks of the same scope wait for its answers, which takes one round trip. For one event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from couponpress.keys import PARTNER_SCOPE, brand_scope, run_scope
from couponpress_worker.wechatpay.judgement import Accepted, Hold, Judgement, QueryFirst, Rejected

#: How many specs go at once while the partner is on trial, no two of a brand: a wrong key or clock costs so many calls
#: per process.
PARTNER_AT_ONCE = 3
#: While a run is on trial: a catalog whose every row is rejected costs the canary's count and so many per process.
RUN_AT_ONCE = 5
#: While a brand is on trial: a brand without permission costs so many calls per process.
BRAND_AT_ONCE = 3
#: After so many rejections a trial is over: the canary, which knows the answers of all processes, let the run go on.
ENOUGH = 50


@dataclass(frozen=True, slots=True)
class Part:
    """Specs that may be sent now, and the scopes that are on trial with them; no spec: others are trying just now."""

    positions: list[int]
    trying: frozenset[str]


class Trial:
    """What the platform took something of, and what is being tried; one per process."""

    def __init__(self) -> None:
        self._proven: set[str] = set()
        self._rejections: Counter[str] = Counter()
        self._trying: frozenset[str] = frozenset()
        self._part_ended = asyncio.Event()

    def begin(self, run_number: str, waiting: Sequence[tuple[int, str]]) -> Part:
        """Choose among positions and their brands, in their order; `end` must follow when the answers are recorded."""
        of_all = frozenset({PARTNER_SCOPE, run_scope(run_number)}) - self._proven
        if of_all & self._trying:
            return Part([], frozenset())
        at_once, of_brand = math.inf, BRAND_AT_ONCE
        if run_scope(run_number) in of_all:
            at_once = RUN_AT_ONCE
        if PARTNER_SCOPE in of_all:
            at_once, of_brand = PARTNER_AT_ONCE, 1
        chosen: list[int] = []
        brands: Counter[str] = Counter()
        for position, brand_id in waiting:
            scope = brand_scope(brand_id)
            if scope not in self._proven:
                if scope in self._trying or brands[scope] >= of_brand:
                    continue
                brands[scope] += 1
            chosen.append(position)
            if len(chosen) >= at_once:
                break
        part = Part(chosen, of_all.union(brands) if chosen else frozenset())
        self._trying |= part.trying
        return part

    def end(self, part: Part) -> None:
        """Note that every answer to a part is there, so that others may go on."""
        if part.trying:
            self._trying -= part.trying
            self._part_ended.set()
            self._part_ended = asyncio.Event()

    async def a_part_ended(self) -> None:
        """Wait until any part that is being tried has ended."""
        await self._part_ended.wait()

    def answered(self, run_number: str, brand_id: str, judgement: Judgement) -> None:
        """Hear what an answer meant. Throttled answers, broken ones and missing ones prove nothing."""
        run, brand = run_scope(run_number), brand_scope(brand_id)
        match judgement:
            case Accepted() | QueryFirst():
                self._proven.update((PARTNER_SCOPE, run, brand))
            case Rejected():
                self._proven.add(PARTNER_SCOPE)  # the signature was good, and the row was read
                for scope in {run, brand} - self._proven:
                    self._rejections[scope] += 1
                    if self._rejections[scope] >= ENOUGH:
                        self._proven.add(scope)
            case Hold(scope=scope):
                self.begin_anew(PARTNER_SCOPE if scope == "partner" else brand)

    def begin_anew(self, scope: str) -> None:
        """Put a scope on trial again: it was held, and nobody knows yet whether the cure helped."""
        self._proven.discard(scope)
        self._rejections.pop(scope, None)
