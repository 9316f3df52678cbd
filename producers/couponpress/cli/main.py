"""The `couponpress` command: it joins the commands of every group, and turns errors into a sentence and an exit code.

Every error of the tree in `errors` is one sentence on standard error and exit code 2. The fleet's commands join; see
`joining`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from couponpress.cli.console import BAD_INPUT, stderr
from couponpress.cli.entry import INTERRUPTED, importing
from couponpress.cli.joining import join_others
from couponpress.cli.lazy_group import lazy_group, show_whole_sentences
from couponpress.cli.output import shows_chinese, written_output
from couponpress.cli.spoken_help import spoken_errors
from couponpress.errors import CouponpressError
from couponpress.language import Language, gettext, gettext_noop, speak

#: Where each command stands; it is imported when it is called.
PLACES = {
    "submit": "couponpress.cli.submission:submit",
    "status": "couponpress.cli.status:status",
    "top": "couponpress.cli.top:top",
    "watch": "couponpress.cli.status:watch",
    "show": "couponpress.cli.show:show",
    "results": "couponpress.cli.results:results",
    "pause": "couponpress.cli.control:pause",
    "resume": "couponpress.cli.control:resume",
    "cancel": "couponpress.cli.control:cancel",
    "redrive": "couponpress.cli.control:redrive",
    "dead-letters": "couponpress.cli.dead_letters:dead_letters",
    "limit": "couponpress.cli.rate:limit",
    "share": "couponpress.cli.share:share",
    "audit": "couponpress.cli.audit:audit",
    "catalog": "couponpress.cli.catalog:app",
    "schedule": "couponpress.nightly.commands:app",
    "gateway": "couponpress.gateway.commands:gateway",
    "metrics": "couponpress.metrics.commands:metrics",
}

#: These commands get by without other packages, or ask for them when they need them.
_BY_THEMSELVES = PLACES.keys() - {"schedule", "gateway"}

app = typer.Typer(
    cls=lazy_group(PLACES),
    help=gettext_noop("Submits product-coupon picture tasks at just under the platform's limit."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow to load

        typer.echo(f"couponpress {version('couponpress')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=gettext_noop("Show the version."))
    ] = False,
) -> None:
    """Take the options that every command shares, and set the time zone."""
    with importing():
        from couponpress.settings import set_time_zone  # noqa: PLC0415 - slow to load
    set_time_zone()


def _configured_language() -> Language:
    with importing():
        from couponpress.settings import configured_language  # noqa: PLC0415 - slow to load
    return configured_language() if shows_chinese() else "en"


def main() -> None:
    """Run the command; every error that couponpress raises on purpose is one sentence and exit code 2."""
    speak(_configured_language)
    try:
        with written_output(), spoken_errors():
            if not _BY_THEMSELVES.intersection(sys.argv[1:2]):
                join_others(app)
            show_whole_sentences(app)
            code = app(standalone_mode=False)
    except CouponpressError as error:
        stderr().print(f"couponpress: {error}")
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        stderr().print(gettext("couponpress: interrupted"))
        sys.exit(INTERRUPTED)
    sys.exit(code or 0)
