"""The command `share`: shows and sets how much of a lane a brand has while others wait."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from couponpress.cli.console import JsonOption, WhyOption
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.ledger.attribution import this_user
from couponpress.ledger.shares import Share
from couponpress.partner_option import PartnerOption


def share(
    brand: Annotated[
        str | None, typer.Argument(help=gettext_noop("The brand whose share is set."), show_default=False)
    ] = None,
    weight: Annotated[
        int | None,
        typer.Option(help=gettext_noop("How many specs it sends for each one of another brand."), show_default=False),
    ] = None,
    per_second: Annotated[
        int | None,
        typer.Option(help=gettext_noop("The most specs that it sends in a second, on average."), show_default=False),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help=gettext_noop("Take its share back: weight 1, no limit of its own."))
    ] = False,
    why: WhyOption = "",
    as_json: JsonOption = False,
    _: PartnerOption = None,
) -> None:
    """Show the shares of brands, or set one: at once, for all workers, without a restart.

    Brands that wait in the same lane take turns, so that one with ten rows does not wait for one with a million. Of
    two brands, one with --weight 3 sends three specs for each one of the other. A brand with --per-second rests when
    it has sent as much, and the others go on. A share that is set replaces the brand's share before.
    """
    if brand is None and (weight is not None or per_second is not None or default):
        raise InputError(gettext("a share is a brand's: give the brand as well."))
    if brand is not None and default == (weight is not None or per_second is not None):
        raise InputError(gettext("give --weight, --per-second or both, or --default alone."))
    with Client(actor=this_user("cli")) as client:
        if brand is not None:
            client.set_share(Share(brand, 1 if weight is None else weight, per_second), why=why)
        shares = client.shares()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in shares]))
        return
    for one in shares:
        line = gettext("brand %(brand)s: weight %(weight)s") % {"brand": one.brand, "weight": one.weight}
        if one.per_second is not None:
            line += gettext(", at most %(most)s a second") % {"most": one.per_second}
        typer.echo(line)
    typer.echo(gettext("every other brand: weight 1") if shares else gettext("every brand: weight 1"))
