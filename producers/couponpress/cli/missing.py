"""Says what a run waits for that nobody does: which service is missing, and the command that starts it (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from couponpress.language import gettext
from couponpress.ledger.outage import PlatformDown
from couponpress.ledger.presence import Present
from couponpress.outcome import RunStatus
from couponpress.stored_sentences import in_words

#: Workers also look after retries, recovery and late specs, as a scheduler does.
_SUBMITTING = {"worker"}


def missing(
    runs: Collection[RunStatus], present: Sequence[Present], outage: PlatformDown | None, redis_url: str
) -> list[str]:
    """Return a sentence with its cure for each thing that open runs wait for in vain.

    Args:
        runs: the runs that somebody asks about.
        present: the processes that run.
        outage: what the fleet knows of an outage of the platform.
        redis_url: the address of this Redis, without its password.
    """
    roles = {one.role for one in present}
    told = []
    if any(run.waiting + run.retrying + run.looking for run in runs) and not roles & _SUBMITTING:
        told.append(gettext("no worker runs, so nothing is submitted: start one with `couponpress worker`"))
        if not present:
            told.append(
                gettext(
                    "nobody is heard on %(redis_url)s: if a fleet does run, it has another "
                    "COUPONPRESS_REDIS_URL, or another COUPONPRESS_MCHID"
                )
                % {"redis_url": redis_url}
            )
    if any(run.accepted for run in runs) and "callback" not in roles:
        told.append(
            gettext(
                "no callback receiver runs here, so pictures are found by queries alone, after "
                "COUPONPRESS_CALLBACK_SPAN: start one with `couponpress callback`"
            )
        )
    if outage is not None:
        told.append(
            gettext("the platform seems to be down: %(reason)s; the fleet tries again by itself")
            % {"reason": in_words(outage.reason)}
        )
    return told
