"""What the kernel says of a process and of all that it started: CPU and memory. Linux only."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
#: Of the words after the name in /proc/PID/stat: session, then utime, stime, cutime, cstime.
_PARENT, _SESSION, _TIMES = 1, 3, slice(11, 15)
#: Of the words of the first line of /proc/stat: idle and iowait are not busy; steal is what the host kept back.
_IDLE, _STEAL = slice(3, 5), 7


def cpu_seconds(leaders: Iterable[int]) -> float:
    """Return the CPU that sessions used, user and system, children that ended included; whole ticks of 10 ms."""
    wanted = set(leaders)
    ticks = 0
    for _, words in _stats():
        if int(words[_SESSION]) in wanted:
            ticks += sum(map(int, words[_TIMES]))
    return ticks / _TICKS


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU that one process used."""
    return sum(map(int, _words(Path(f"/proc/{pid}/stat"))[_TIMES])) / _TICKS


def keep_on(cores: Iterable[int], *pids: int) -> None:
    """Keep processes, with all their threads, on these cores."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def exact_cpu_seconds_of(pid: int) -> float:
    """Return the CPU that one process used, without its children: exact enough for a window of two seconds.

    The number of its clock is made as `clock_getcpuclockid` makes it, which Python does not offer.
    """
    return time.clock_gettime(~pid << 3 | 2)


def resident_mb(pid: int) -> float:
    """Return what a process holds of memory now, MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} has no memory any more")


def resident_mb_of_session(leader: int) -> float:
    """Return what a process and those of its session hold of memory now, MB; 0 when they have ended."""
    pids = [leader, *(pid for pid, words in _stats() if int(words[_SESSION]) == leader and pid != leader)]
    total = 0.0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError, LookupError):  # ended meanwhile
            total += resident_mb(pid)
    return total


class Others:
    """How many cores the rest of the machine took while something was measured: the first reason for a slow line."""

    def __init__(self) -> None:
        self._began = self._look()

    def cores(self) -> tuple[float, float]:
        """Return the cores that other processes used since the beginning, and those that the host kept back."""
        (at, busy, own, steal), (at_now, busy_now, own_now, steal_now) = self._began, self._look()
        wall = at_now - at
        return max(busy_now - busy - (own_now - own), 0.0) / wall, (steal_now - steal) / wall

    def __str__(self) -> str:
        used, stolen = self.cores()
        return f"others used {used:.1f} of {os.cpu_count()} cores" + (
            f", the host {stolen:.1f}" if stolen > 0.05 else ""
        )

    @staticmethod
    def _look() -> tuple[float, float, float, float]:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        words = [int(word) / _TICKS for word in line.split()[1:]]
        busy = sum(words[:_STEAL]) - sum(words[_IDLE])
        return time.monotonic(), busy, _own_seconds(), words[_STEAL]


def _own_seconds() -> float:
    """Return the CPU of this process and of everything below it, ended children included."""
    stats = dict(_stats())
    own = {os.getpid()}
    while grown := {pid for pid, words in stats.items() if int(words[_PARENT]) in own} - own:
        own |= grown
    return sum(sum(map(int, stats[pid][_TIMES])) for pid in own) / _TICKS


def _stats():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), _words(entry / "stat")
            except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
                continue


def _words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
