"""What people who look at the console cost: the gateway's CPU by viewer, a page's weight, the first paint, a scrape.

With 1,000,000 specs it takes some six minutes: one to store them, two for the viewers of a small and a large run, and
three beside a fleet.
"""

import http.client
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from statistics import median
from typing import NamedTuple, Self

from couponpress.gateway.tokens import add_token
from couponpress_worker.runtime.redis_server import free_port
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.overview import GOAL_SCRAPE_MS, scrapes
from tests.benchmarks.processes import exact_cpu_seconds_of
from tests.benchmarks.stage import Stage, stage

SMALL = 1_000
VIEWERS = 50
SECONDS = 8.0
#: Beside a fleet, windows are short and alternate, so that what the machine does meets both; each value is the median
#: of so many pairs.
PAIRS = 4
PAIR_SECONDS = 2.5
#: A window without any submission is measured again, so many times.
PACE_TRIES = 5
GOAL_RATIO = 1.10
GOAL_CORE = 0.10
#: A fleet that is watched sends as fast, and as cheaply, as one that is not.
GOAL_FLEET_RATIO = 1.05
FLEET_RATE = 500
GOAL_KB = 150.0
GOAL_PAINT_MS = 1000.0
_FORM_TOKEN = re.compile(r'name="form_token" value="(\w+)"')


def measure(bench: Bench) -> list[Line]:
    """Let 50 viewers look at the first page of a small run, and 50 at that of a large one; then load the page once."""
    with stage(bench, "console-small", tls=False) as small, stage(bench, "console-large", tls=False) as large:
        small.enqueue(bench, SMALL)
        large.enqueue(bench, bench.backlog)
        few, many = Site(small), Site(large)
        idle, loads = [], {few: [], many: []}
        for window in range(bench.windows):
            bench.say(f"  viewers, window {window + 1} of {bench.windows}")
            idle += cores([many])
            both = [few, many] if window % 2 else [many, few]
            # At once: whatever the machine does meets both.
            with both[0].watched(VIEWERS), both[1].watched(VIEWERS):
                for one, core in zip(both, cores(both), strict=True):
                    loads[one].append(core)
        kilobytes = many.page_kilobytes()
        paint = [many.paint_ms() for _ in range(bench.windows)] if CHROMIUM else []
        scraped = scrapes(large, bench)
    rested = median(idle)
    each = {one: [(core - rested) / VIEWERS * 1000 for core in loads[one]] for one in (few, many)}
    rates, cpu = beside_a_fleet(bench)
    line = partial(Line, "console")
    note = f"each value is the median of {PAIRS} pairs of windows of {PAIR_SECONDS:g} s, which alternate"
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
            rates,
            GOAL_FLEET_RATIO,
            note=note,
        ),
        line(
            f"its CPU per submission, watched by {VIEWERS} by unwatched",
            "ratio",
            cpu,
            GOAL_FLEET_RATIO,
            note=note,
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


def beside_a_fleet(bench: Bench) -> tuple[list[float], list[float]]:
    """Return what 50 viewers change of a fleet's pace: its rate without them by that with them, its CPU the other way.

    The gateway is always beside it.
    """
    rates, cpu = [], []
    with stage(bench, "console-fleet", tls=False) as one:
        seconds = 2 * PAIRS * PAIR_SECONDS + 4 * PAIRS  # with what it takes the viewers to come
        one.enqueue(bench, int(FLEET_RATE * (bench.windows * seconds + 30)))
        site = Site(one)
        (worker,) = one.start_workers(1)
        one.wait_for_sending(15.0)  # until it sends evenly
        for window in range(bench.windows):
            bench.say(f"  beside a fleet, window {window + 1} of {bench.windows}")
            alone: list[Pace] = []
            watched: list[Pace] = []
            for turn in range(PAIRS + 1):  # one alone, two watched, two alone, two watched, one alone
                found = watched if turn % 2 else alone
                with site.watched(VIEWERS) if turn % 2 else nullcontext():
                    for _ in range(1 if turn in (0, PAIRS) else 2):
                        found.append(_pace(one, worker.pid))
            rates.append(median(_by_pairs([each.rate for each in alone], [each.rate for each in watched])))
            cpu.append(median(_by_pairs([each.cpu for each in watched], [each.cpu for each in alone])))
    return rates, cpu


def _pace(one: Stage, worker: int) -> Pace:
    for _ in range(PACE_TRIES):
        began, accepted, used = time.monotonic(), one.sandbox.statistics()["accepted"], exact_cpu_seconds_of(worker)
        time.sleep(PAIR_SECONDS)
        specs = one.sandbox.statistics()["accepted"] - accepted
        if specs:
            return Pace(specs / (time.monotonic() - began), (exact_cpu_seconds_of(worker) - used) / specs)
    raise RuntimeError(f"the fleet sent nothing for {PACE_TRIES} windows: other work takes the cores")


CHROMIUM = shutil.which("chromium")


class Site:
    """A gateway over a stage, with a viewer's login."""

    def __init__(self, one: Stage) -> None:
        path = one.directory / "tokens.toml"
        self._port = free_port()
        token = add_token(path, "ops", brands=None, quota=None, namespace="*", role="viewer")
        words = [sys.executable, "-m", "couponpress", "gateway", "--port", str(self._port)]
        (self.process,) = one.start(words, 1, "taking requests", COUPONPRESS_GATEWAY_TOKENS_FILE=str(path))
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
        """Let so many look at the first page until the block ends; fails when one of them was cut off before."""
        with ExitStack() as stack:
            streams = [stack.enter_context(_Stream(self._port, self._cookie)) for _ in range(viewers)]
            time.sleep(2.0)  # each is given the whole page first
            yield
            if not all(stream.runs for stream in streams):
                raise RuntimeError("the gateway cut a viewer off")

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


def cores(sites: list[Site]) -> list[float]:
    """Return the share of a core that each gateway takes, over the same few seconds."""
    began, before = time.monotonic(), [exact_cpu_seconds_of(one.process.pid) for one in sites]
    time.sleep(SECONDS)
    used = [exact_cpu_seconds_of(one.process.pid) - cpu for one, cpu in zip(sites, before, strict=True)]
    return [cpu / (time.monotonic() - began) for cpu in used]


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

    @property
    def runs(self) -> bool:
        """Whether the gateway still sends to this viewer."""
        return self._thread.is_alive()

    def _read(self) -> None:
        try:
            while self._answer.readline():
                pass
        except (OSError, ValueError, AttributeError):  # the block has ended
            return

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the gateway has closed it
            self._connection.sock.shutdown(2)
        self._thread.join(5)
        self._connection.close()
