"""Sends a test message to targets, for `couponpress notify test`: each answer in words, with its cure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from couponpress.language import Language
from couponpress.notify.target import Target
from couponpress.transport.proxy import ProxyRule
from couponpress_worker.notify.answer import Answer
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.sender import Sender


@dataclass(frozen=True, slots=True)
class Tried:
    """What a target answered to a test message."""

    target: Target
    answer: Answer

    @property
    def good(self) -> bool:
        """Whether it took the message."""
        return self.answer.verdict == "taken"


def send_tests(targets: Sequence[Target], mchid: str, language: Language, rule: ProxyRule) -> list[Tried]:
    """Send a test message to each target, once and at once; nothing is tried again."""
    return asyncio.run(_send_all(targets, mchid, language, rule))


async def _send_all(targets: Sequence[Target], mchid: str, language: Language, rule: ProxyRule) -> list[Tried]:
    sender, now = Sender(mchid, language, rule=rule), time.time()
    try:
        tests = [Occurrence(f"test:{now:.3f}", "test", now, {"events": ", ".join(one.events)}) for one in targets]
        answers = await asyncio.gather(*(sender.send(one, [test]) for one, test in zip(targets, tests, strict=True)))
    finally:
        await sender.aclose()
    return [Tried(*one) for one in zip(targets, answers, strict=True)]
