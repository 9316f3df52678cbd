"""Producers: each submits the pieces of one run with the command that people use, and repeats what was not confirmed.

A piece is confirmed when its command ended with 0. What was confirmed shortly before Redis lost something is submitted
again, as docs/operations.md says; that is the whole cure.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from couponpress_worker.runtime.subprocesses import Services
from tests.chaos.audit import Span
from tests.chaos.plan import Piece

_TOLD = re.compile(r"run \S+: (\d+) enqueued(?:, (\d+) known before)?")
_AGAIN_SECONDS = 1.0
#: A command that takes longer hangs: it is a fault of its own.
_COMMAND_SECONDS = 120.0


@dataclass
class Submitted:
    """One piece's way in.

    Attributes:
        piece: which.
        began: when its first command began; 0 before.
        confirmed: when the last command that did so ended with 0; None before.
        failed: commands that did not.
        killed: whether a producer was killed in mid-upload, and left a run that said so.
        healed: specs that were confirmed, forgotten by Redis, and enqueued again by a repeated submit.
    """

    piece: Piece
    began: float = 0.0
    confirmed: float | None = None
    failed: list[str] = field(default_factory=list)
    killed: bool = False
    healed: int = 0


class Producer(threading.Thread):
    """Submits one run's pieces in order; ends once all are confirmed and `over` says that nothing is repeated."""

    def __init__(
        self,
        lines: list[str],
        pieces: list[Piece],
        *,
        env: dict[str, str],
        directory: Path,
        began: float,
        uploading: Callable[[str], int],
        over: threading.Event,
        give_up_at: float,
    ) -> None:
        super().__init__(name=f"producer of {pieces[0].run}", daemon=True)
        self.submitted = [Submitted(piece) for piece in pieces]
        self._lines = lines
        self._env = env
        self._directory = directory
        self._began = began
        self._uploading = uploading
        self._over = over
        self._give_up_at = give_up_at
        self._again: deque[Submitted] = deque()
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a piece is not confirmed yet, or is to be repeated."""
        return bool(self._again) or any(one.confirmed is None for one in self.submitted)

    def repeat(self, forgotten: Span) -> None:
        """Submit again what was confirmed while Redis lost what it was told; the rest is repeated in any case."""
        with self._lock:
            self._again += [
                one
                for one in self.submitted
                if one.confirmed and one.confirmed >= forgotten.began and one.began <= forgotten.ended
            ]

    def run(self) -> None:
        """Submit everything."""
        for one in self.submitted:
            while time.monotonic() < self._began + one.piece.at and not self._over.is_set():
                self._repeat_one()
                time.sleep(0.05)
            if one.piece.killed_after_rows:
                one.killed = self._be_killed(one.piece)
            self._until_confirmed(one)
        while not self._over.is_set():
            self._repeat_one()
            time.sleep(0.05)

    def _repeat_one(self) -> None:
        if self._again:
            one = self._again[0]
            new, _ = self._until_confirmed(one)
            one.healed += new
            with self._lock:
                self._again.popleft()

    def _until_confirmed(self, one: Submitted) -> tuple[int, int]:
        while time.monotonic() < self._give_up_at:
            began = time.monotonic()
            one.began = one.began or began
            code, told = self._submit(one.piece)
            if code == 0 and (found := _TOLD.search(told)):
                with self._lock:
                    one.confirmed = time.monotonic()
                return int(found[1]), int(found[2] or 0)
            one.failed.append(f"exit code {code}: {told[-300:]}")
            time.sleep(_AGAIN_SECONDS)
        return 0, 0

    def _submit(self, piece: Piece) -> tuple[int, str]:
        process = self._command(piece, subprocess.PIPE)
        try:
            told, _ = process.communicate(self._text(piece, piece.rows), _COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return -1, f"the command took longer than {_COMMAND_SECONDS:g} s"
        return process.returncode, told.decode(errors="replace")

    def _be_killed(self, piece: Piece) -> bool:
        """Begin the upload, and end the producer without a word once some of it is stored."""
        process = self._command(piece, subprocess.DEVNULL)
        try:
            process.stdin.write(self._text(piece, piece.killed_after_rows))
            process.stdin.flush()
            deadline = time.monotonic() + 20
            while not self._uploading(piece.run):
                if process.poll() is not None or time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
        except BrokenPipeError:
            return False
        finally:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()
        return self._uploading(piece.run) > 0

    def _command(self, piece: Piece, output: int) -> subprocess.Popen[bytes]:
        submit = [sys.executable, "-m", "couponpress", "submit", "-", "--format", "csv", "--run", piece.run]
        return Services.launch(
            [*submit, "--encoding", "utf-8"],  # else it waits for 64 KB before it is sure
            cwd=self._directory,
            env=os.environ | self._env,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def _text(self, piece: Piece, rows: int) -> bytes:
        header, lines = self._lines[0], self._lines[1:]
        return "".join([header, *lines[piece.first : piece.first + rows]]).encode()
