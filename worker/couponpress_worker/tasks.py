"""The Celery tasks: thin, for the ledger decides."""

from __future__ import annotations

from typing import Any

from couponpress.keys import SUBMIT_TASK
from couponpress_worker.app import app, this_process


@app.task(name=SUBMIT_TASK)
def submit_chunk(chunk_id: str) -> dict[str, Any]:
    """Submit what waits in a chunk; returns a small summary, kept by Celery's result backend."""
    return this_process().submit_chunk(chunk_id).as_dict()
