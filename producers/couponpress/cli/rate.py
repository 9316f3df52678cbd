"""The command `limit`: shows and sets the rate of the running fleet, and writes the proof of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from couponpress.cli.connection import client_of_person
from couponpress.cli.console import ForOption, JsonOption, UntilOption, WhyOption, open_output, stderr
from couponpress.cli.run_lines import rate_lines
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.ledger.moments import read_end
from couponpress.ledger.rate import PLATFORM_PER_SECOND, per_second
from couponpress.ledger.send_log import write_proof
from couponpress.partner_option import PartnerOption
from couponpress.plurals import counted


def limit(
    rate: Annotated[
        str | None,
        typer.Argument(
            help=gettext_noop("The new rate, such as 300/second or 600/minute; `default` for the configured one."),
            show_default=False,
        ),
    ] = None,
    until: UntilOption = None,
    lasting: ForOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
    proof: Annotated[
        Path | None,
        typer.Option(
            help=gettext_noop("Write a CSV file of when each request of the last ten minutes was sent."),
            show_default=False,
        ),
    ] = None,
    _: PartnerOption = None,
) -> None:
    """Show the rate of the running fleet, or set it by hand: at once, for all workers, without a restart.

    COUPONPRESS_RATE of the workers is the ceiling, unless a rate is set by hand: that one may be lower or higher, and
    stays until `couponpress limit default`, or as long as --until or --for says. Either way what was learned from the
    platform's refusals is forgotten.
    When the platform refuses at the rate in force, the fleet finds the limit that is really there by itself, stays
    below it, and climbs back when it is lifted.
    """
    end = read_end(until, lasting, datetime.now().astimezone())
    if end is not None and rate in {None, "default"}:
        raise InputError(gettext("only a rate that is set by hand ends by itself: give the rate as well."))
    with client_of_person() as client:
        if rate is not None:
            client.set_rate(None if rate == "default" else rate, until=end, why=why)
            if rate != "default" and per_second(rate) > PLATFORM_PER_SECOND:
                stderr().print(
                    gettext(
                        "%(rate)s is above the %(most)s a second that the platform grants by its "
                        "manual: it refuses more with 429, and the fleet then slows down by itself. `couponpress "
                        "limit default` takes it back"
                    )
                    % {"rate": rate, "most": PLATFORM_PER_SECOND}
                )
        if proof is not None:
            sent = client.flight_record()
            with open_output(proof) as stream:
                most = write_proof(sent, stream)
            stderr().print(
                gettext("%(sent)s, at most %(most)s in any 1 s window: %(proof)s")
                % {"sent": counted(len(sent), "request"), "most": most, "proof": proof},
                markup=False,
            )
        told = client.rate()
        if as_json:
            typer.echo(json.dumps({**asdict(told), "in_force": told.in_force, "why": told.why}))
            return
        for line in rate_lines(told):
            typer.echo(line)
