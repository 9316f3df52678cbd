"""What people who look at the console cost: the gateway's CPU by viewer, a page's weight, the first paint, a scrape."""

import http.client
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median
from typing import NamedTuple, Self

from couponpress.gateway.tokens import add_token
from couponpress_worker.runtime.redis_server import free_port
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.overview import GOAL_SCRAPE_MS, scrapes
from tests.benchmarks.processes import cpu_seconds, cpu_seconds_of
from tests.benchmarks.stage import Stage, stage

SMALL = 1_000
VIEWERS = 50
SECONDS = 8.0
GOAL_RATIO = 1.10
GOAL_CORE = 0.10
#: A fleet that is watched sends as fast, and as cheaply, as one that is not, within what two windows differ by.
GOAL_FLEET_RATIO = 1.05
FLEET_RATE = 500
GOAL_KB = 150.0
GOAL_PAINT_MS = 1000.0
_FORM_TOKEN = re.compile(r'name="form_token" value="(\w+)"')


def measure(bench: Bench) -> list[Line]:
    """Let 50 viewers look at the first page, of a small run and of a large one in turns; then load the page once."""
    with stage(bench, "console-small", tls=False) as small, stage(bench, "console-large", tls=False) as large:
        small.enqueue(bench, SMALL)
        large.enqueue(bench, bench.backlog)
        few, many = Site(small), Site(large)
        idle, loads = [], {few: [], many: []}
        for window in range(bench.windows):
            bench.say(f"  viewers, window {window + 1} of {bench.windows}")
            idle.append(many.core(0))
            for one in (few, many) if window % 2 else (many, few):  # what drifts meets both
                loads[one].append(one.core(VIEWERS))
        kilobytes = many.page_kilobytes()
        paint = [many.paint_ms() for _ in range(bench.windows)] if CHROMIUM else []
        scraped = scrapes(large, bench)
    rested = median(idle)
    each = {one: [(core - rested) / VIEWERS * 1000 for core in loads[one]] for one in (few, many)}
    alone, watched = beside_a_fleet(bench)
    line = partial(Line, "console")
    return [
        line("CPU of the gateway while nobody looks", "core", idle),
        line(f"the same with {VIEWERS} viewers, a run of {SMALL}", "core", loads[few]),
        line(f"the same with {VIEWERS} viewers, a run of {bench.backlog}", "core", loads[many], GOAL_CORE),
        line(f"CPU for each viewer and second, a run of {SMALL}", "ms", each[few]),
        line(f"CPU for each viewer and second, a run of {bench.backlog}", "ms", each[many]),
        line("large by small", "ratio", _by_pairs(loads[many], loads[few]), GOAL_RATIO),
        line(
            f"the fleet's submissions per second, unwatched by watched by {VIEWERS}",
            "ratio",
            _by_pairs([one.rate for one in alone], [one.rate for one in watched]),
            GOAL_FLEET_RATIO,
        ),
        line(
            f"its CPU per submission, watched by {VIEWERS} by unwatched",
            "ratio",
            _by_pairs([one.cpu for one in watched], [one.cpu for one in alone]),
            GOAL_FLEET_RATIO,
        ),
        line("weight of the first page with all that it loads", "kB", [kilobytes], GOAL_KB, note="not compressed"),
        line(f"a scrape of the metrics, a run of {bench.backlog}", "ms", scraped, GOAL_SCRAPE_MS),
        *([line(f"first paint, a run of {bench.backlog}", "ms", paint, GOAL_PAINT_MS)] if paint else []),
    ]


def _by_pairs(ones: list[float], others: list[float]) -> list[float]:
    """Return one by the other of each window, in which both were measured right after each other."""
    return [one / other for one, other in zip(ones, others, strict=True)]


class Pace(NamedTuple):
    """How fast a fleet sends: accepted submissions per second, and its workers' CPU seconds for each."""

    rate: float
    cpu: float


def beside_a_fleet(bench: Bench) -> tuple[list[Pace], list[Pace]]:
    """Return how a fleet sends while nobody looks and while 50 do, in turns, with the gateway always beside it."""
    alone: list[Pace] = []
    watched: list[Pace] = []
    with stage(bench, "console-fleet", tls=False) as one:
        one.enqueue(bench, int(FLEET_RATE * (2 * bench.windows * (SECONDS + 3) + 30)))
        site = Site(one)
        workers = one.start_workers(1)
        one.wait_for_sending(15.0)  # until it sends evenly
        for window in range(bench.windows):
            bench.say(f"  beside a fleet, window {window + 1} of {bench.windows}")
            turns = [(0, alone), (VIEWERS, watched)]
            for viewers, found in turns if window % 2 else reversed(turns):  # what drifts meets both
                with site.watched(viewers):
                    found.append(_pace(one, [worker.pid for worker in workers]))
    return alone, watched


def _pace(one: Stage, workers: list[int]) -> Pace:
    began, accepted, used = time.monotonic(), one.sandbox.statistics()["accepted"], cpu_seconds(workers)
    time.sleep(SECONDS)
    specs = one.sandbox.statistics()["accepted"] - accepted
    if not specs:
        raise RuntimeError(f"the fleet sent nothing for {SECONDS:g} s: other work takes the cores")
    return Pace(specs / (time.monotonic() - began), (cpu_seconds(workers) - used) / specs)


CHROMIUM = shutil.which("chromium")


class Site:
    """A gateway over a stage, with a viewer's login."""

    def __init__(self, one: Stage) -> None:
        path = one.directory / "tokens.toml"
        self._port = free_port()
        token = add_token(path, "ops", brands=None, quota=None, namespace="*", role="viewer")
        words = [sys.executable, "-m", "couponpress", "gateway", "--port", str(self._port)]
        (self._process,) = one.start(words, 1, "taking requests", COUPONPRESS_GATEWAY_TOKENS_FILE=str(path))
        page, _ = self._get("/console/login")
        form = f"token={token}&form_token={_FORM_TOKEN.search(page.decode())[1]}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/console/login", form, headers)
        self._cookie = connection.getresponse().getheader("Set-Cookie").partition(";")[0]
        connection.close()

    def _get(self, path: str) -> tuple[bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Accept": "text/html", "Cookie": getattr(self, "_cookie", "")}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return body, answer.getheader("Content-Type", "")

    @contextmanager
    def watched(self, viewers: int) -> Iterator[None]:
        """Let so many look at the first page until the block ends."""
        with ExitStack() as streams:
            for _ in range(viewers):
                streams.enter_context(_Stream(self._port, self._cookie))
            time.sleep(2.0)  # each is given the whole page first
            yield

    def core(self, viewers: int) -> float:
        """Return the share of a core that the gateway takes while so many look, for a few seconds."""
        with self.watched(viewers):
            began, before = time.monotonic(), cpu_seconds_of(self._process.pid)
            time.sleep(SECONDS)
            return (cpu_seconds_of(self._process.pid) - before) / (time.monotonic() - began)

    def page_kilobytes(self) -> float:
        """Return the size of the first page and of every file that it names."""
        page, _ = self._get("/console/")
        files = set(re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.decode()))
        return (len(page) + sum(len(self._get(one)[0]) for one in files)) / 1000

    def paint_ms(self) -> float:
        """Return when the first page was painted first, in a browser that has nothing of it."""
        script = (
            "import sys\n"
            "from playwright.sync_api import sync_playwright\n"
            "url, name, value, chromium = sys.argv[1:]\n"
            "with sync_playwright() as play:\n"
            "    flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking']\n"
            "    browser = play.chromium.launch(executable_path=chromium, args=flags)\n"
            "    context = browser.new_context()\n"
            "    context.add_cookies([{'name': name, 'value': value, 'url': url}])\n"
            "    page = context.new_page()\n"
            "    page.set_default_timeout(100_000)\n"
            "    page.goto(url)\n"
            "    look = 'performance.getEntriesByName(\"first-contentful-paint\")[0]?.startTime'\n"
            "    page.wait_for_function(look)\n"  # it is told some time after the page is loaded
            "    print(page.evaluate(look))\n"
        )
        name, _, value = self._cookie.partition("=")
        url = f"http://127.0.0.1:{self._port}/console/"
        told = subprocess.run(
            [sys.executable, "-c", script, url, name, value, CHROMIUM], check=True, capture_output=True, timeout=120
        )
        return float(told.stdout)


class _Stream:
    """One viewer: reads its stream in a thread until the block ends."""

    def __init__(self, port: int, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._cookie = cookie

    def __enter__(self) -> Self:
        self._connection.request("GET", "/console/live?part=now&part=fleet", headers={"Cookie": self._cookie})
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def _read(self) -> None:
        try:
            while self._answer.readline():
                pass
        except (OSError, ValueError, AttributeError):  # the block has ended
            return

    def __exit__(self, *_: object) -> None:
        self._connection.sock.shutdown(2)
        self._thread.join(5)
        self._connection.close()
