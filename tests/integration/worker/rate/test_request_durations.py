"""The fleet's histogram of calls, on a real server."""

import asyncio

import pytest
import redis.asyncio
import redis.exceptions

from couponpress.client import Client
from couponpress_worker.events import Answered
from couponpress_worker.rate.request_durations import DurationRecorder
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer
from tests.builders import KEYS, producer_settings


def answered(kind="submit", status=200, seconds=0.06):
    return Answered(kind, Answer(status, {}, b""), None, seconds)


def histograms(url):
    with Client(producer_settings(url)) as client:
        return client.request_durations()


def test_what_several_processes_sent_is_added_up(redis_url):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            for process in range(3):
                recorder = DurationRecorder(client, KEYS)
                recorder.answered(answered(seconds=0.06 + process))
                recorder.answered(Answered("query", NoAnswer("open", "reset"), None, 3.0))
                await recorder.write()
                await recorder.write()

    asyncio.run(main())
    query, submit = histograms(redis_url)
    assert (submit.operation, submit.status, sum(submit.counts)) == ("submit", "200", 3)
    assert submit.sum_seconds == pytest.approx(3.18)
    assert (query.operation, query.error, sum(query.counts)) == ("query", "open", 3)


def test_what_cannot_be_written_is_kept_for_the_next_time(redis_url):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            recorder = DurationRecorder(client, KEYS)
            recorder.answered(answered())
            await client.set(KEYS.request_durations, "no hash")
            with pytest.raises(redis.exceptions.ResponseError):
                await recorder.write()
            await client.delete(KEYS.request_durations)
            recorder.answered(answered())
            await recorder.write()

    asyncio.run(main())
    (submit,) = histograms(redis_url)
    assert sum(submit.counts) == 2


def test_a_process_that_stops_writes_what_it_has(redis_url):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            recorder, stopped = DurationRecorder(client, KEYS), asyncio.Event()
            running = asyncio.create_task(recorder.run(stopped))
            await asyncio.sleep(0)
            recorder.answered(answered())
            stopped.set()
            await running

    asyncio.run(main())
    assert sum(histograms(redis_url)[0].counts) == 1
