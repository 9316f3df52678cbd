"""Runs the whole fleet on one machine with sample data: Redis, sandbox, callback receiver and a worker.

Each is a real process and is stopped at the end, also on Ctrl-C. The results and a plot of the rate stay in the
directory.
"""

from __future__ import annotations

import signal
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from couponpress.catalog import BrokenRow
from couponpress.cli.run_lines import summary
from couponpress.cli.run_progress import watch
from couponpress.client import Client
from couponpress.language import gettext
from couponpress.outcome import Outcome, RunStatus
from couponpress.plurals import counted
from couponpress.results import BYTE_ORDER_MARK, write_results
from couponpress.settings import ProducerSettings
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.demo import sample_catalog
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import Services
from couponpress_worker.sandbox.credentials import ENV_FILE, read_env

RUN = "demo"
LIMIT_PER_SECOND = 500
#: On one machine the platform, the fleet and Redis compete for the cores, so requests are later than usual. So the
#: lateness budget is larger than the default, which costs some rate.
LATENESS_MS = 100
#: All calls here are plain HTTP. Without this, each call would first load the system's certificate authorities.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def fleet(
    directory: Path, *sandbox_options: str, redis_url: str | None = None, workers: int = 1
) -> Iterator[tuple[Services, dict[str, str]]]:
    """Run sandbox, callback receiver and workers; yields the services and a client's environment.

    Without a `redis_url` a Redis is started as well.
    """
    services = Services(directory)
    redis_port, callback_port = redis_server.free_port(), redis_server.free_port()
    env = {
        "COUPONPRESS_REDIS_URL": redis_url or f"redis://127.0.0.1:{redis_port}/0",
        "COUPONPRESS_LATENESS_MS": str(LATENESS_MS),
    }
    try:
        if redis_url is None:
            services.start("redis", "--port", str(redis_port), "--dir", str(directory / "redis"), env=env)
        env |= start_sandbox(services, directory, callback_port, *sandbox_options, env=env)
        services.start("callback", "--port", str(callback_port), env=env)
        for _ in range(workers):
            services.start("worker", env=env)
        called = f"http://127.0.0.1:{callback_port}/"
        services.wait_for(lambda: httpx.get(called, verify=NO_TLS), gettext("callback receiver"))
        yield services, env
    finally:
        services.stop()


def start_sandbox(
    services: Services, directory: Path, callback_port: int, *options: str, env: dict[str, str]
) -> dict[str, str]:
    """Start a sandbox below a directory, whose callbacks go to a port; returns a client's settings once it answers.

    Among these is the Redis that `env` names.
    """
    port, home = redis_server.free_port(), directory / "sandbox"
    notify_url = f"http://127.0.0.1:{callback_port}{CALLBACK_PATH}"
    services.start("sandbox", "--port", str(port), "--dir", str(home), "--notify-url", notify_url, *options, env=env)
    services.wait_for((home / ENV_FILE).read_text, "sandbox")
    services.wait_for(lambda: statistics(f"http://127.0.0.1:{port}"), "sandbox")
    return read_env(home / ENV_FILE)


def run_demo(directory: Path, rows: int, console: Console) -> bool:
    """Run the demo; returns whether every row reached its outcome and the limit was kept."""
    clear(directory)
    with _term_as_interrupt(), fleet(directory) as (services, env):
        console.print(
            gettext("redis, sandbox, callback receiver and a worker are up; their logs are in %(directory)s/")
            % {"directory": directory}
        )
        catalog = directory / "catalog.csv"
        sample_catalog.write(catalog, rows=rows)
        broken: list[BrokenRow] = []
        upload = CatalogUpload([str(catalog)], on_broken=broken.append)
        values = {"redis_url": env["COUPONPRESS_REDIS_URL"], "mchid": env["COUPONPRESS_MCHID"]}
        with Client(ProducerSettings.load(values)) as client, closing(upload.specs()) as specs:
            receipt = client.enqueue_many(specs, run=RUN)
            enqueued = gettext("%(specs)s enqueued") % {"specs": counted(receipt.new, "spec")}
            console.print(f"{catalog}: {counted(rows, 'row')}\n{upload.report()}\n{enqueued}")

            def ask() -> RunStatus:
                services.check()
                return client.run(RUN)

            last = watch(ask, console, limit_per_second=LIMIT_PER_SECOND)
            results = directory / "results.csv"
            with results.open("w", encoding="utf-8", newline="") as stream:
                stream.write(BYTE_ORDER_MARK)
                lines = write_results(chain(client.outcomes(RUN), map(_as_outcome, broken)), stream, "csv")
            console.print(summary(last, client.reasons(RUN)))
        seen = statistics(env["COUPONPRESS_BASE_URL"])
        picture = directory / "rate.png"
        draw_rate(picture, seen["per_second"], LIMIT_PER_SECOND)
        console.print(
            gettext(
                "the sandbox saw at most %(requests)s in any 1 s window (limit %(limit_per_second)s) and answered "
                "%(throttled)s with 429\nresults, one line per catalog row (%(lines)s): %(results)s\nbroken rows: "
                "%(broken)s\nrequests per second against the limit: %(picture)s"
            )
            % {
                "requests": counted(seen["most_in_any_second"], "request"),
                "limit_per_second": LIMIT_PER_SECOND,
                "throttled": seen["throttled"],
                "lines": lines,
                "results": results,
                "broken": upload.error_files[0] if upload.error_files else gettext("none"),
                "picture": picture,
            }
        )
    kept = seen["most_in_any_second"] <= LIMIT_PER_SECOND and not seen["throttled"]
    return kept and last.finished and lines == rows


def clear(directory: Path) -> None:
    """Remove what an earlier demo left, and nothing else."""
    directory.mkdir(parents=True, exist_ok=True)
    made = ["catalog.csv", "catalog.errors.csv", "results.csv", "rate.png", "redis", "sandbox"]
    made += [f"{name}.log" for name in ("redis", "sandbox", "callback", "worker")]
    for name in made:
        path = directory / name
        if path.is_dir():
            for inner in sorted(path.rglob("*"), reverse=True):
                inner.rmdir() if inner.is_dir() else inner.unlink()
        else:
            path.unlink(missing_ok=True)


def statistics(base_url: str) -> dict[str, Any]:
    """Return what the sandbox counted."""
    answer = httpx.get(f"{base_url}/sandbox/statistics", timeout=10, verify=NO_TLS)
    counted: dict[str, Any] = answer.raise_for_status().json()
    return counted


def draw_rate(path: Path, per_second: list[int], limit_per_second: int) -> None:
    """Draw requests per second against the limit."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to load, and of the demo extra

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(per_second)), per_second, width=0.9, color="#4c78a8", label="requests received")
    axes.axhline(limit_per_second, color="#e45756", linestyle="--", label=f"limit {limit_per_second}/s")
    axes.set(
        xlabel="seconds",
        ylabel="requests in the second",
        title="What the platform received, second by second",
    )
    axes.set_ylim(0, limit_per_second * 1.15)
    axes.legend(loc="lower center", ncols=2)
    figure.savefig(path, dpi=120)


def _as_outcome(row: BrokenRow) -> Outcome:
    reason = f"line {row.line}: " + "; ".join(map(str, row.problems))
    return Outcome(row.default_row_id, "", "", "rejected", code="BROKEN_ROW", message=reason)


@contextmanager
def _term_as_interrupt() -> Iterator[None]:
    """Let TERM end the demo as Ctrl-C does, so that nothing stays behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
