"""The option `--partner` of every command that has to do with a partner."""

from __future__ import annotations

from typing import Annotated

import typer

from couponpress.language import gettext_noop


def _choose_partner(mchid: str | None) -> str | None:
    from couponpress.settings import choose_partner  # noqa: PLC0415 - slow to load

    choose_partner(mchid)
    return mchid


PartnerOption = Annotated[
    str | None,
    typer.Option(
        "--partner",
        metavar="ID",
        help=gettext_noop("A partner of COUPONPRESS_PARTNERS; else COUPONPRESS_MCHID chooses it."),
        callback=_choose_partner,
        show_default=False,
    ),
]
