"""Sandboxes in processes of their own, started without the imports."""

from functools import partial

from couponpress_worker.sandbox import process
from tests import processes

running = partial(process.running, launch=processes.start)
