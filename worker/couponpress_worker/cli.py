"""The fleet's commands and their options; the entry-point group `couponpress.commands` joins them to `couponpress`."""

# ruff: noqa: PLC0415 - each imports what it needs when it is called, so that every command starts quickly

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from couponpress.cli.console import DONE, ENDED_BADLY, confirmed
from couponpress.language import gettext, gettext_noop, serve_in_english, speaking
from couponpress.partner_option import PartnerOption
from couponpress.picture_files import PictureChoices, Settled, join_upload
from couponpress.redis_rights import Role as ServiceRole
from couponpress_worker.notify.commands import app as notify
from couponpress_worker.up.command import up

if TYPE_CHECKING:
    from couponpress.ledger.presence import Role
    from couponpress_worker.settings import Settings

Port = Annotated[int, typer.Option(min=0, max=65535, help=gettext_noop("The port to listen on; 0: a free one."))]
Host = Annotated[
    str, typer.Option(help=gettext_noop("The address to listen on; 0.0.0.0 inside a container, :: for IPv6 and IPv4."))
]


def register(app: typer.Typer) -> None:
    """Add the fleet's commands to the `couponpress` command, and the upload of pictures to its `submit`."""
    join_upload(_upload_pictures)
    for command in (worker, scheduler, callback, callback_url, sandbox, redis, doctor, health, demo, up):
        app.command()(command)
    app.add_typer(notify, name="notify")


def _upload_pictures(sources: Iterable[str], choices: PictureChoices, on_settled: Callable[[Settled], None]) -> None:
    from couponpress_worker.pictures.upload import upload_pictures

    upload_pictures(sources, choices, on_settled)


def worker(
    concurrency: Annotated[
        int, typer.Option(min=1, help=gettext_noop("Chunks of up to 100 specs in hand at a time."))
    ] = 8,
    _: PartnerOption = None,
) -> None:
    """Run a Celery worker that submits specs; start as many as you like, they share one limit."""
    from couponpress_worker.app import app as celery_app

    settings = _checked_settings(starting="worker")
    # An output that cannot be written fails here, and not in Celery's banner, where it would be a traceback.
    if settings.log == "text":
        is_partner = settings.signs_as == "partner"
        told = gettext("worker of partner %(mchid)s") if is_partner else gettext("worker of brand %(mchid)s")
        typer.echo(told % {"mchid": settings.mchid})
    serve_in_english()
    words = ["worker", "--pool=threads", f"--concurrency={concurrency}", "--loglevel=INFO", "--without-mingle"]
    words += ["--without-gossip", f"--hostname=couponpress-{os.getpid()}@%h"]
    celery_app.worker_main(words)


def scheduler(_: PartnerOption = None) -> None:
    """Recover what crashes left behind and query late specs, for fleets whose workers may scale to none."""
    from couponpress_worker.app import app
    from couponpress_worker.runtime.services import run_scheduler

    run_scheduler(_checked_settings(starting="scheduler"), app)


def callback(host: Host = "127.0.0.1", port: Port = 8800, _: PartnerOption = None) -> None:
    """Receive the platform's callbacks on /wechatpay/callback; of several partners on /wechatpay/callback/ID."""
    from couponpress.partners_watch import watch_partners
    from couponpress_worker.runtime.services import serve_callbacks
    from couponpress_worker.settings import Settings

    watch = watch_partners(Settings.load_all)
    partners = Settings.load_all()
    if watch is None:
        _check(partners[0], starting="callback")
    serve_callbacks(partners, host=host, port=port, watch=watch)


def sandbox(
    host: Host = "127.0.0.1",
    port: Port = 8900,
    directory: Annotated[
        Path, typer.Option("--dir", help=gettext_noop("Where its throw-away keys and the file env for its clients go."))
    ] = Path("sandbox"),
    tls: Annotated[bool, typer.Option(help=gettext_noop("Speak TLS, with a throw-away authority."))] = False,
    public_url: Annotated[
        str | None, typer.Option(help=gettext_noop("How clients reach it, when not by host and port."))
    ] = None,
    brand: Annotated[
        bool, typer.Option("--brand", help=gettext_noop("Stand in for what a brand merchant sees, not a partner."))
    ] = False,
    strict: Annotated[
        bool, typer.Option(help=gettext_noop("Refuse objects that a request's type does not use."))
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, help=gettext_noop("Submits admitted in any 1 s window; 0: no limit."))
    ] = 500,
    query_limit: Annotated[int, typer.Option(min=0, help=gettext_noop("The same for queries."))] = 20,
    upload_limit: Annotated[int, typer.Option(min=0, help=gettext_noop("The same for uploads."))] = 20,
    latency_ms: Annotated[
        float, typer.Option(min=0, help=gettext_noop("How long every answer takes at least, ms."))
    ] = 0,
    picture_seconds: Annotated[
        float, typer.Option(min=0, help=gettext_noop("A picture is made within so long."))
    ] = 1.0,
    notify_url: Annotated[
        str | None, typer.Option(help=gettext_noop("Where callbacks go; none are sent without it."))
    ] = None,
    callback_interval: Annotated[
        float, typer.Option(help=gettext_noop("Until an unanswered callback is repeated, s."))
    ] = 60.0,
    unauthorized_brand: Annotated[
        list[str] | None, typer.Option(help=gettext_noop("A brand to answer with 403; repeatable."))
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=PERCENT",
            help=gettext_noop("What goes wrong, e.g. errors=5; repeatable; see docs/sandbox.md."),
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help=gettext_noop("The same seed hits the same requests with the same faults."))
    ] = 0,
) -> None:
    """Run a stand-in for the platform, as strict as it, that shows how often it was called."""
    from couponpress_worker.sandbox.faults import Faults
    from couponpress_worker.sandbox.options import Behaviour, SandboxOptions
    from couponpress_worker.sandbox.serve import run

    behaviour = Behaviour().changed(
        {
            "limit": limit,
            "query_limit": query_limit,
            "upload_limit": upload_limit,
            "latency_ms": latency_ms,
            "picture_seconds": picture_seconds,
            "notify_url": notify_url,
            "callback_interval_seconds": callback_interval,
            "unauthorized_brands": tuple(unauthorized_brand or ()),
            "faults": Faults.parse(fault or ()).model_dump(),
        }
    )
    run(
        SandboxOptions(
            directory=directory,
            host=host,
            port=port,
            tls=tls,
            public_url=public_url,
            brand=brand,
            strict=strict,
            seed=seed,
            behaviour=behaviour,
        )
    )


def redis(
    port: Port = 6379,
    directory: Annotated[Path, typer.Option("--dir", help=gettext_noop("Where its data lives."))] = Path("redis-data"),
) -> None:
    """Run a Redis server for a first try: the one on PATH, else the embedded one."""
    from couponpress_worker.runtime import redis_server

    words = redis_server.prepare(directory, port)
    os.execv(words[0], words)  # noqa: S606 - this process becomes the server, so signals reach it


def doctor(
    live: Annotated[
        bool, typer.Option("--live", help=gettext_noop("Also make the platform's test call and wait for its callback."))
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--callback-url", metavar="URL", help=gettext_noop("Where that callback goes, if not where all others go.")
        ),
    ] = None,
    role: Annotated[
        ServiceRole, typer.Option(help=gettext_noop("The service whose rights the user of Redis is to have."))
    ] = "worker",
    as_json: Annotated[bool, typer.Option("--json", help=gettext_noop("One JSON list, for scripts."))] = False,
    _: PartnerOption = None,
) -> None:
    """Check settings, keys, Redis, limits, clock and platform; every failure comes with its cure."""
    from couponpress_worker.doctor import examine

    with speaking("en") if as_json else nullcontext():
        found = []
        for finding in examine(live=live, callback_url=url, role=role):
            found.append(finding)
            if not as_json:
                typer.echo(finding.shown)
    if as_json:
        told = [{name: value for name, value in asdict(one).items() if name != "partner" or value} for one in found]
        typer.echo(json.dumps(told, ensure_ascii=False))
    raise typer.Exit(DONE if all(finding.good for finding in found) else ENDED_BADLY)


def callback_url(
    url: Annotated[
        str | None,
        typer.Option("--set", metavar="URL", help=gettext_noop("Send callbacks there from now on, all of them.")),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=gettext_noop("Do not ask; for scripts."))] = False,
    _: PartnerOption = None,
) -> None:
    """Show where the platform sends the partner's callbacks; with --set, change it after asking."""
    from couponpress_worker.doctor.callback_url import affected, checked, set_url, shown
    from couponpress_worker.settings import Secrets, Settings

    settings = Settings.load()
    keys = Secrets.read(settings)
    now = shown(settings, keys)
    if url is None:
        typer.echo(now or gettext("none is set"))
        return
    if checked(url, settings.base_urls[0]) == now:
        typer.echo(gettext("%(now)s is set already") % {"now": now})
        return
    typer.echo(affected(settings.mchid, now, url, of_brand=settings.signs_as == "brand"), err=True)
    if not (yes or confirmed(gettext("Change it?"))):
        raise typer.Abort
    typer.echo(set_url(settings, keys, url))


def health(
    as_json: Annotated[bool, typer.Option("--json", help=gettext_noop("Print JSON, for scripts."))] = False,
    pid: Annotated[int | None, typer.Option(help=gettext_noop("Only this process."), show_default=False)] = None,
    _: PartnerOption = None,
) -> None:
    """Say whether this machine's workers, schedulers and callback receivers get on.

    The exit code is 1 when one of them does not, or when no worker or scheduler runs.

    Reads the sign of life that each of them leaves in a file every second; asks neither Redis nor the platform.
    """
    from couponpress.settings import ProducerSettings
    from couponpress_worker.runtime import heartbeat

    settings = ProducerSettings.load()
    with speaking("en") if as_json else nullcontext():
        found = heartbeat.health(heartbeat.directory(), heartbeat.fleet_prefix(settings), pid=pid)
        told = [json.dumps(asdict(found))] if as_json else found.lines
        for line in told:
            typer.echo(line)
    raise typer.Exit(DONE if found.healthy else ENDED_BADLY)


def demo(
    rows: Annotated[int, typer.Option(min=20, max=200_000, help=gettext_noop("Rows of the sample catalog."))] = 5000,
    directory: Annotated[
        Path, typer.Option("--dir", help=gettext_noop("Where catalog, results, plot and logs go."))
    ] = Path("demo"),
) -> None:
    """Run everything on this machine: sample rows through a real worker against the sandbox."""
    from rich.console import Console

    from couponpress_worker.demo.fleet import run_demo

    kept = run_demo(directory, rows, Console(soft_wrap=True, highlight=False))
    raise typer.Exit(DONE if kept else ENDED_BADLY)


def _checked_settings(starting: Role) -> Settings:
    """Return the settings once all of them, the key files and Redis have proved usable: better now than at night.

    People who ask are told from then on that such a process starts.
    """
    from couponpress_worker.settings import Settings

    settings = Settings.load()
    _check(settings, starting)
    return settings


def _check(settings: Settings, starting: Role) -> None:
    from couponpress.keys import Keys
    from couponpress.notify.target_file import fleet_targets
    from couponpress.settings import environment_variable
    from couponpress.transport.announcer import announce_start
    from couponpress.transport.server_check import check_server
    from couponpress_worker.settings import Secrets

    Secrets.read(settings)
    fleet_targets(settings.notify_file, settings.schedule_file, environment_variable)
    check_server(settings.redis_address, settings.redis_url_shown, Keys(settings.mchid), starting)
    if starting != "callback":  # a receiver announces itself when it listens
        announce_start(settings.redis_address, Keys(settings.mchid), starting)
