"""The Celery tasks: thin, for the ledger decides."""

from __future__ import annotations

import logging
from typing import Any

import redis.exceptions

from couponpress.keys import SUBMIT_TASK
from couponpress_worker.app import app, this_process

log = logging.getLogger(__name__)


@app.task(name=SUBMIT_TASK)
def submit_chunk(chunk_id: str) -> dict[str, Any]:
    """Submit what waits in a chunk; returns a small summary, which Celery's result backend keeps if Redis is there."""
    summary = this_process().submit_chunk(chunk_id).as_dict()
    # Kept here, and not by Celery afterwards: there a Redis that is away would make a task that did its work one that
    # failed, with a page of its log.
    try:
        submit_chunk.update_state(state="SUCCESS", meta=summary)
    except (redis.exceptions.RedisError, OSError) as error:
        log.info("the summary of chunk %s is not kept, its specs are: %s", chunk_id, error)
    submit_chunk.request.ignore_result = True
    return summary
