"""The command `top`: the whole fleet in a terminal, once a second, with keys to pause, resume and change the limit."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.text import Text

from couponpress.cli.connection import client_of_person
from couponpress.cli.console import JsonOption
from couponpress.cli.keyboard import Keyboard
from couponpress.cli.overview_lines import screen
from couponpress.cli.top_prompt import Act, Prompt
from couponpress.client import Client
from couponpress.errors import CouponpressError, InputError, RedisUnavailableError
from couponpress.language import gettext, gettext_noop, speaking
from couponpress.overview.snapshot import Overview
from couponpress.partner_option import PartnerOption

#: How often the fleet is asked. A key is answered at once.
ASK_EVERY_SECONDS = 1.0
#: How long it is shown what an act did.
_TOLD_SECONDS = 10.0


def top(
    once: Annotated[bool, typer.Option("--once", help=gettext_noop("Print one picture and end."))] = False,
    as_json: JsonOption = False,
    _: PartnerOption = None,
) -> None:
    """Show the whole fleet live: rate, limits, lanes, workers, runs, and what the fleet is bound by.

    Keys: p pauses everything, r resumes, l changes the limit, q quits; each act is confirmed first. Looking costs the
    fleet nothing that grows with a run, and nothing at all when nobody looks.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    with client_of_person() as client:
        if as_json:
            with speaking("en"):
                typer.echo(json.dumps(client.overview().as_json(), ensure_ascii=False))
        elif once:
            console.print(screen(client.overview()))
        elif not (console.is_terminal and sys.stdin.isatty()):
            raise InputError(gettext("top needs a terminal; elsewhere use `couponpress top --once` or `--json`."))
        else:
            _Screen(client, console).run()


class _Screen:
    """The live screen, from its first picture to `q`."""

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console
        self._prompt = Prompt()
        self._seen: Overview | None = None
        self._trouble = ""
        self._told = ""
        self._told_until = 0.0

    def run(self) -> None:
        """Show until the person quits."""
        with Keyboard() as keyboard, Live(console=self._console, screen=True, auto_refresh=False) as live:
            ask_at = 0.0
            while True:
                if (now := time.monotonic()) >= ask_at:
                    self._ask()
                    ask_at = now + ASK_EVERY_SECONDS
                self._show(live)
                act = self._prompt.press(keyboard.key(max(ask_at - time.monotonic(), 0.0)))
                if act is not None:
                    if act.name == "quit":
                        return
                    self._do(act)
                    ask_at = 0.0

    def _ask(self) -> None:
        try:
            self._seen, self._trouble = self._client.overview(), ""
        except RedisUnavailableError as error:  # what was seen last stays, with its moment
            self._trouble = str(error)

    def _show(self, live: Live) -> None:
        foot = [self._prompt.line]
        if time.monotonic() < self._told_until:
            foot.insert(0, self._told)
        if self._trouble:
            foot.insert(0, self._trouble)
        body: RenderableType = ""
        if self._seen is not None:
            body = screen(self._seen)
            seen_at = time.strftime("%H:%M:%S", time.localtime(self._seen.at))
            told = {"redis_url": self._client.redis_url_shown, "moment": seen_at}
            foot.insert(0, gettext("%(redis_url)s, as of %(moment)s") % told)
        # What is asked stands at the foot of however small a terminal; the rest of the screen is cut there.
        lines = Text("\n".join(foot), style="bold")
        shown = Layout()
        shown.split_column(Layout(body), Layout(lines, size=len(lines.wrap(self._console, self._console.width))))
        live.update(shown, refresh=True)

    def _do(self, act: Act) -> None:
        try:
            self._told = self._done(act)
        except CouponpressError as error:
            self._told = str(error)
        self._told_until = time.monotonic() + _TOLD_SECONDS

    def _done(self, act: Act) -> str:
        if act.name == "pause":
            return (
                gettext("paused") if self._client.pause() else gettext("it was held already; the reason stands above")
            )
        if act.name == "resume":
            return gettext("goes on") if self._client.resume() else gettext("nothing was held as a whole")
        self._client.set_rate(act.rate)
        return gettext("the limit is %(rate)s now") % {"rate": act.rate or gettext("the configured one")}
