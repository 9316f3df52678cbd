"""How Celery's consumer waits for Redis, as far as that needs no Redis."""

from couponpress_worker.submission import celery_consumer
from couponpress_worker.submission.celery_consumer import RETRY_SECONDS, UnhurriedRestarts


def test_many_restarts_within_a_second_are_followed_by_a_rest_and_by_no_outcry(monkeypatch):
    rests = []
    monkeypatch.setattr(celery_consumer.time, "sleep", rests.append)
    restarts = UnhurriedRestarts(maxR=5, maxT=1)
    for _ in range(13):
        restarts.step(now=100.0)
    assert rests == [RETRY_SECONDS] * 2
    restarts.step(now=105.0)
    assert len(rests) == 2
