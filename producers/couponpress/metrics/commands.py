"""`couponpress metrics`: the service for Prometheus. Imports what it needs when it is called.

The libraries come with the extra `metrics`.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from typing import Annotated

import typer

from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.partner_option import PartnerOption


def metrics(
    host: Annotated[
        str,
        typer.Option(help=gettext_noop("The address to listen on; 0.0.0.0 inside a container, :: for IPv6 and IPv4.")),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help=gettext_noop("The port to listen on; 0: a free one."))
    ] = 9464,
    _: PartnerOption = None,
) -> None:
    """Tell Prometheus of the whole fleet, at /metrics: one such service is enough. See docs/operations.md."""
    try:
        from couponpress.metrics import service
        from couponpress.settings import ProducerSettings
    except ModuleNotFoundError as error:
        raise InputError(
            gettext("the metrics service needs %(name)s, which is not installed: pip install 'couponpress[metrics]'.")
            % {"name": error.name}
        ) from None
    service.serve(ProducerSettings.load(), host=host, port=port)
