"""The commands that change a run: `pause`, `resume`, `cancel` and `redrive`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from couponpress.cli.connection import client_of_person
from couponpress.cli.console import BrandOption, ForOption, RunArgument, UntilOption, WhyOption, confirmed, stderr
from couponpress.cli.counters import row_counter
from couponpress.cli.selecting import (
    CodeOption,
    DryRunOption,
    LaneOption,
    OlderOption,
    OnlyBrandOption,
    StateOption,
    YesOption,
    act_on_all,
    chooses,
    filter_of,
)
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import argument, gettext, gettext_noop, ngettext, quoted
from couponpress.ledger.moments import read_end
from couponpress.ledger.redrive import KNOWN_TO_PLATFORM, RedrivenOutcome
from couponpress.partner_option import PartnerOption
from couponpress.plurals import counted


def pause(
    run: RunArgument = None,
    brand: BrandOption = None,
    until: UntilOption = None,
    lasting: ForOption = None,
    state: StateOption = None,
    code: CodeOption = None,
    lane: LaneOption = None,
    older_than: OlderOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    why: WhyOption = "",
    _: PartnerOption = None,
) -> None:
    """Stop submitting a run, a brand, everything, or all that match; requests in flight end, nothing is lost.

    With an option that chooses specs, exactly those that match now are taken out of what waits, until
    `couponpress resume --state paused` or the same options let them go on. With --until or --for, what is paused goes
    on by itself.
    """
    end = read_end(until, lasting, datetime.now().astimezone())
    with client_of_person() as client:
        if chooses(run, brand, state, code, lane, older_than, dry_run=dry_run):
            selection = filter_of(run, brand, state, code, lane, older_than)
            act_on_all(client, "pause", selection, dry_run=dry_run, yes=yes, why=why, end=end)
            return
        held = client.pause(run, brand=brand, until=end, why=why)
        stderr().print(gettext("paused") if held else gettext("it was held already; `couponpress status` says why"))
        if brand is not None and not client.knows_brand(brand):
            stderr().print(
                gettext(
                    "no spec so far names the brand %(brand)s: if it is misspelled, nothing else is held. "
                    "`couponpress resume --brand %(id)s` takes it back"
                )
                % {"brand": quoted(brand), "id": brand}
            )


def resume(
    run: RunArgument = None,
    brand: BrandOption = None,
    state: StateOption = None,
    code: CodeOption = None,
    lane: LaneOption = None,
    older_than: OlderOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    why: WhyOption = "",
    _: PartnerOption = None,
) -> None:
    """Let a run, a brand, everything, or all that match and are paused, go on from where it stopped."""
    with client_of_person() as client:
        if chooses(run, brand, state, code, lane, older_than, dry_run=dry_run):
            selection = filter_of(run, brand, state, code, lane, older_than)
            act_on_all(client, "resume", selection, dry_run=dry_run, yes=yes, why=why)
            return
        released = client.resume(run, brand=brand, why=why)
        stderr().print(
            gettext("goes on") if released else gettext("nothing was held there; `couponpress status` shows holds")
        )
        paused = client.run(run).paused if run is not None else 0
        if paused:
            stderr().print(
                gettext("%(specs)s of it are paused; `couponpress resume %(run)s --state paused` lets them go on")
                % {"specs": counted(paused, "spec"), "run": argument(run or "")}
            )


def cancel(
    run: RunArgument = None,
    brand: OnlyBrandOption = None,
    state: StateOption = None,
    code: CodeOption = None,
    lane: LaneOption = None,
    older_than: OlderOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    why: WhyOption = "",
    _: PartnerOption = None,
) -> None:
    """Take back what the platform has not accepted, of a run, of every run, or of all that match; the rest goes on.

    Without an option that chooses specs the run is held meanwhile, so that nothing of it is sent any more. With one,
    exactly the specs that match now are taken back.
    """
    with client_of_person() as client:
        if dry_run or any(one is not None for one in (brand, code, lane, older_than)) or state:
            selection = filter_of(run, brand, state, code, lane, older_than)
            act_on_all(client, "cancel", selection, dry_run=dry_run, yes=yes, why=why)
            return
        if run is None and not (yes or _confirmed(client)):
            stderr().print(gettext("nothing was cancelled"))
            return
        with row_counter(stderr()) as on_progress:
            cancelled = client.cancel(run, why=why, on_progress=on_progress)
    stderr().print(
        gettext("%(cancelled)s cancelled; what was accepted before goes on to completion")
        % {"cancelled": counted(cancelled, "spec")}
    )


def redrive(
    run: RunArgument = None,
    code: CodeOption = None,
    outcome: Annotated[
        RedrivenOutcome | None,
        typer.Option(help=gettext_noop("Only specs that ended so; default: all that ended badly, except failed ones.")),
    ] = None,
    brand: OnlyBrandOption = None,
    lane: LaneOption = None,
    older_than: OlderOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    why: WhyOption = "",
    _: PartnerOption = None,
) -> None:
    """Send ended specs again, of a run or all that match: same task_id and bytes; failed ones only when asked for.

    It helps where the cause lay outside the row and is gone: an outage, a permission, a dead-letter chunk. A row
    that is wrong, and a picture that the platform could not make, need a new task_id: submit them under a new run name.
    """
    if run is None or dry_run or any(one is not None for one in (brand, lane, older_than)):
        with client_of_person() as client:
            selection = filter_of(run, brand, None if outcome is None else [outcome], code, lane, older_than)
            act_on_all(client, "redrive", selection, dry_run=dry_run, yes=yes, why=why)
        return
    with client_of_person() as client:
        before = client.run(run)
        with row_counter(stderr()) as on_progress:
            again = client.redrive(run, outcome=outcome, code=code, why=why, on_progress=on_progress)
    more = (
        gettext("`couponpress watch %(run)s` shows its progress.") % {"run": argument(run)}
        if again
        else gettext("`couponpress status %(run)s` says why.") % {"run": argument(run)}
    )
    stderr().print(
        ngettext("run %(run)s: %(again)s goes again. %(more)s", "run %(run)s: %(again)s go again. %(more)s", again)
        % {"run": run, "again": counted(again, "spec"), "more": more}
    )
    if again and (outcome in KNOWN_TO_PLATFORM or (outcome is None and before.expired)):
        stderr().print(
            gettext(
                "The platform may not call back again for what it accepted before: what became of those "
                "specs is known when they are queried, COUPONPRESS_CALLBACK_SPAN (13 minutes unless set) "
                "after it accepts them again."
            )
        )
    if outcome is None and before.failed:
        left_out = counted(before.failed, "failed spec")
        stderr().print(
            ngettext(
                "%(left_out)s was left out, for the platform most likely keeps them failed; ask "
                "for them with `couponpress redrive %(run)s --outcome failed`",
                "%(left_out)s were left out, for the platform most likely keeps them failed; ask "
                "for them with `couponpress redrive %(run)s --outcome failed`",
                before.failed,
            )
            % {"left_out": left_out, "run": argument(run)}
        )


def _confirmed(client: Client) -> bool:
    open_runs = [one for one in client.runs() if not one.finished]
    specs = sum(one.waiting + one.retrying + one.looking + one.paused for one in open_runs)
    what = gettext("%(specs)s of %(runs)s") % {
        "specs": counted(specs, "spec"),
        "runs": counted(len(open_runs), "run"),
    }
    if not sys.stdin.isatty():
        raise InputError(gettext("that would cancel %(what)s; name one run, or give --yes.") % {"what": what})
    return confirmed(gettext("Cancel %(what)s?") % {"what": what})
