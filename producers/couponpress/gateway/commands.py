"""The commands of `couponpress gateway`: the service and its tokens. They import what they need when they are called.

The web framework comes with an extra, so a producer that needs no gateway does not install it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from typing import Annotated

import typer

from couponpress.errors import InputError, SettingsError
from couponpress.language import gettext, gettext_noop
from couponpress.partner_option import PartnerOption

gateway = typer.Typer(
    help=gettext_noop("HTTP for other apps: enqueue specs, read results. See docs/protocol.md."),
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@gateway.callback()
def serve(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Option(help=gettext_noop("The address to listen on; 0.0.0.0 inside a container, :: for IPv6 and IPv4.")),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help=gettext_noop("The port to listen on; 0: a free one."))
    ] = 8700,
    _: PartnerOption = None,
) -> None:
    """Take specs over HTTP from apps that hold a token, and answer what became of them. See docs/protocol.md."""
    if context.invoked_subcommand is not None:
        return
    try:
        from couponpress.gateway import serving
        from couponpress.gateway.settings import GatewaySettings
        from couponpress.partners_watch import watch_partners
    except ModuleNotFoundError as error:
        raise InputError(
            gettext("the gateway needs %(name)s, which is not installed: pip install 'couponpress[gateway]'.")
            % {"name": error.name}
        ) from None
    watch = watch_partners(GatewaySettings.load_all)
    serving.serve(GatewaySettings.load_all(), host=host, port=port, watch=watch)


@gateway.command()
def token(
    name: Annotated[str, typer.Argument(help=gettext_noop("Who it is for: digits, letters, _ or -."))],
    brand: Annotated[list[str] | None, typer.Option(help=gettext_noop("A brand that it is for; repeatable."))] = None,
    all_brands: Annotated[bool, typer.Option("--all-brands", help=gettext_noop("It is for every brand."))] = False,
    quota: Annotated[
        int | None,
        typer.Option(min=1, help=gettext_noop("Specs per day, from midnight in China; without it no bound.")),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            help=gettext_noop(
                "Whose runs it sees, shared by tokens of the same; '*': every run. Default: its name; '*' for a "
                "person with --all-brands."
            )
        ),
    ] = None,
    role: Annotated[
        str, typer.Option(help=gettext_noop("What it may do: app, viewer, operator or admin; see docs/protocol.md."))
    ] = "app",
    _: PartnerOption = None,
) -> None:
    """Make a token, print it once, and write its digest to COUPONPRESS_GATEWAY_TOKENS_FILE."""
    from couponpress.gateway.settings import GatewaySettings
    from couponpress.gateway.tokens import add_token

    if bool(brand) == all_brands:
        raise InputError(gettext("say which brands the token is for: --brand ID, as often as needed, or --all-brands."))
    path = GatewaySettings.load().gateway_tokens_file
    if path is None:
        raise SettingsError(
            gettext("missing settings: COUPONPRESS_GATEWAY_TOKENS_FILE. Name the file that holds the tokens.")
        )
    made = add_token(
        path,
        name,
        brands=brand,
        quota=quota,
        namespace=namespace or ("*" if all_brands and role != "app" else None),
        role=role,
    )
    typer.echo(made)
    typer.echo(
        gettext("its digest is in %(path)s; the token itself is shown only now. A running gateway takes it at once.")
        % {"path": path},
        err=True,
    )
