"""The programmer's way in for asyncio: the loop goes on, and whatever is cancelled leaves nothing half done."""

import asyncio
import inspect
import logging
import socket
import threading
import time
from contextlib import aclosing

import pytest

from couponpress import AsyncClient, Client, ConflictError, InputError, Receipt, SpecError, UnknownRunError
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress_worker.runtime.redis_server import free_port
from tests.builders import (
    KEYS,
    bring_to,
    chunk_ids,
    cut_out_body,
    hints,
    moved,
    producer_settings,
    spec,
    stored,
)
from tests.waiting import until

#: What `Client` offers that is not a verb of programs: what commands show, and what this client is made of.
ONLY_SYNC = {
    "acting_as",
    "note",
    "upload",
    "looks",
    "outage",
    "present",
    "flight_record",
    "acts_noted",
    "knows_brand",
    "request_durations",
    "dead_letter_chunks",
    "dead_letter_messages",
}


@pytest.fixture
def server(server):
    yield server
    server.client_unpause()


def use(url, act, **options):
    """Run `await act(client)` with a client, and close it; none of its threads may stay."""

    async def run():
        async with AsyncClient(producer_settings(url), **options) as client:
            return await act(client)

    try:
        return asyncio.run(run())
    finally:
        assert threads_of_clients() == []


def threads_of_clients():
    return [one for one in threading.enumerate() if one.name.startswith("couponpress")]


def specs(numbers):
    return (spec(number) for number in numbers)


async def arriving(numbers):
    for number in numbers:
        await asyncio.sleep(0)
        yield spec(number)


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def is_with_redis(server):
    """Whether a call has begun: its write waits in a server that is paused."""
    return server.info("clients")["blocked_clients"] == 1


def left_behind(server):
    """Whatever a cancelled call must not leave."""
    return [key for key in server.keys(KEYS.prefix + "*") if key.decode() != KEYS.run_numbers]


# --- the verbs --------------------------------------------------------------------------------------------------------


def test_it_has_the_verbs_of_the_client_under_the_same_names_and_with_the_same_options():
    def verbs(kind):
        return {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}

    of_both, sync = verbs(AsyncClient), verbs(Client)
    assert sync.keys() - ONLY_SYNC == of_both.keys()
    for name, verb in of_both.items():
        ours, theirs = (inspect.signature(one).parameters for one in (verb, sync[name]))
        assert [(one.name, one.kind, one.default) for one in ours.values()] == [
            (one.name, one.kind, one.default) for one in theirs.values()
        ], name


def test_one_spec_is_stored_and_announced(redis_url, server):
    async def act(client):
        await client.ping()
        return [await client.enqueue(spec(1), run="may") for _ in range(2)]

    assert use(redis_url, act) == [Receipt("may", new=1, known=0), Receipt("may", new=0, known=1)]
    assert chunk_ids(server) == ["u1.1"]
    assert len(hints(server, KEYS.queue("urgent"))) == 1


@pytest.mark.parametrize("source", [specs, arriving], ids=["iterable", "async iterable"])
@pytest.mark.parametrize("all_or_none", [True, False])
def test_many_specs_from_either_kind_of_iterable(redis_url, server, source, all_or_none):
    seen = []

    async def act(client):
        options = {"all_or_none": all_or_none, "on_progress": lambda count: seen.append((count, in_loop()))}
        receipt = await client.enqueue_many(source(range(250)), run="may", **options)
        return receipt, [one.row_id async for one in client.outcomes("may")]

    receipt, rows = use(redis_url, act)
    assert receipt == Receipt("may", new=250, known=0)
    assert rows == [f"row {number}" for number in range(250)]
    assert seen == [(100, True), (200, True), (250, True)]
    assert len(hints(server, KEYS.queue("bulk"))) == 3


def in_loop():
    try:
        return asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


@pytest.mark.parametrize("nothing", [[], arriving([])], ids=["iterable", "async iterable"])
def test_an_upload_of_nothing_leaves_nothing(redis_url, server, nothing):
    assert use(redis_url, lambda client: client.enqueue_many(nothing, run="may")) == Receipt("may", 0, 0)
    assert left_behind(server) == []


def test_a_run_is_held_cancelled_and_sent_again(redis_url):
    seen = []

    async def act(client):
        await client.enqueue_many(specs(range(3)), run="may")
        assert [one.run for one in await client.runs()] == ["may"]
        assert [one.status.run for one in (await client.overview()).runs] == ["may"]
        assert (await client.pause("may"), await client.pause("may", why="again")) == (True, False)
        assert [hold.scope for hold in await client.holds()] == ["may"]
        assert (await client.resume("may"), await client.resume("may")) == (True, False)
        assert await client.cancel("may", on_progress=lambda count: seen.append((count, in_loop()))) == 3
        assert (await client.run("may")).cancelled == 3
        assert await client.redrive("may", outcome="cancelled") == 3
        assert (await client.run("may")).waiting == 3
        assert await client.reasons("may") == {}

    use(redis_url, act)
    assert seen[-1] == (3, True)


def test_outcomes_are_followed_as_they_come(redis_url):
    chunk = stored(redis_url, 3)

    async def act(client):
        told = []
        async with aclosing(client.outcomes("may", follow=True, look_every_seconds=0.01)) as outcomes:
            await asyncio.to_thread(bring_to, redis_url, chunk, [State.REJECTED])
            async for outcome in outcomes:
                told.append(outcome.row_id)
                rest = [Move(position, "reject") for position in (1, 2)]
                if len(told) == 1:
                    await asyncio.to_thread(moved, redis_url, chunk, *rest)
        return told

    assert use(redis_url, act, threads=1) == ["row 1", "row 2", "row 3"]


def test_whoever_follows_keeps_no_thread(redis_url):
    """One thread for everybody, and a run that does not end."""

    async def act(client):
        await client.enqueue(spec(1), run="may")
        following = [asyncio.create_task(anext(client.outcomes("may", follow=True))) for _ in range(5)]
        await asyncio.sleep(0)
        assert (await client.enqueue(spec(2), run="may")).new == 1
        for task in following:
            await cancelled(task)

    use(redis_url, act, threads=1)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_errors_are_those_of_the_client(redis_url, server):
    async def act(client):
        with pytest.raises(UnknownRunError):
            await client.run("june")
        with pytest.raises(UnknownRunError):
            await anext(client.outcomes("june"))
        with pytest.raises(UnknownRunError):
            await anext(client.outcomes("june", follow=True))
        with pytest.raises(SpecError):
            await client.enqueue(cut_out_body(1, task_id="x"), run="may")
        with pytest.raises(InputError, match="a run's name"):
            await client.enqueue_many(specs([1]), run="")

    use(redis_url, act)
    assert left_behind(server) == []


@pytest.mark.parametrize("source", [specs, arriving], ids=["iterable", "async iterable"])
def test_an_error_in_the_middle_leaves_nothing_behind(redis_url, server, source):
    async def then_fails():
        async for one in arriving(range(150)):
            yield one
        raise OSError("the catalog's server is gone")

    async def act(client):
        await client.enqueue(spec(140), run="may")
        before = set(server.keys())
        with pytest.raises(ConflictError):
            await client.enqueue_many((spec(number, brand_id="other") for number in range(141)), run="june")
        with pytest.raises(OSError, match="is gone"):
            await client.enqueue_many(then_fails(), run="june")
        assert set(server.keys()) == before

    use(redis_url, act)


def test_a_closed_client_says_so(redis_url):
    async def act(client):
        await client.close()
        with pytest.raises(RuntimeError, match="after shutdown"):
            await client.ping()

    use(redis_url, act)


# --- the event loop goes on -------------------------------------------------------------------------------------------


def test_the_loop_goes_on_while_redis_is_silent(server):
    """A server that takes connections and never answers: the client's own patience is 30 s."""
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def act(client):
            loop = asyncio.get_running_loop()
            began = loop.time()
            calls = [client.ping(), client.run("may"), client.enqueue(spec(1), run="may"), client.ping()]
            for call in calls:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(call, 0.05)
            assert loop.time() - began < 10
            silent.close()

        use(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", act, threads=2)


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_a_call_that_no_thread_took_up_never_happens(redis_url, server):
    async def act(client):
        server.client_pause(30_000, all=False)
        busy = asyncio.create_task(client.enqueue(spec(2), run="june"))
        await until(lambda: is_with_redis(server))
        waiting = asyncio.create_task(client.enqueue(spec(1), run="may"))
        await asyncio.sleep(0)  # it asks for a thread
        await cancelled(waiting)
        server.client_unpause()
        await busy
        return [one.run for one in await client.runs()]

    assert use(redis_url, act, threads=1) == ["june"]


def test_a_call_that_had_begun_ends_whole(redis_url, server):
    async def act(client):
        await client.ping()
        server.client_pause(30_000, all=False)
        enqueuing = asyncio.create_task(client.enqueue(spec(1), run="may"))
        await until(lambda: is_with_redis(server))
        await cancelled(enqueuing)  # at once, although Redis does not answer
        server.client_unpause()

    use(redis_url, act)
    assert chunk_ids(server) == ["u1.1"]
    assert len(hints(server, KEYS.queue("urgent"))) == 1


def test_an_upload_that_is_cancelled_between_two_specs_is_taken_out_again(redis_url, server):
    async def then_nothing_comes():
        async for one in arriving(range(150)):
            yield one
        await asyncio.Event().wait()

    async def act(client):
        uploading = asyncio.create_task(client.enqueue_many(then_nothing_comes(), run="may"))
        await until(lambda: chunk_ids(server))
        await cancelled(uploading)
        assert left_behind(server) == []
        return await client.enqueue_many(specs(range(150)), run="may")

    assert use(redis_url, act).new == 150


def test_an_upload_is_taken_out_even_if_it_is_cancelled_again_while_that_waits_for_a_thread(redis_url, server):
    async def then_nothing_comes():
        async for one in arriving(range(150)):
            yield one
        await asyncio.Event().wait()

    async def act(client):
        uploading = asyncio.create_task(client.enqueue_many(then_nothing_comes(), run="may"))
        await until(lambda: chunk_ids(server))
        server.client_pause(30_000, all=False)
        busy = asyncio.create_task(client.enqueue(spec(200), run="june"))
        await until(lambda: is_with_redis(server))
        for _ in range(3):
            uploading.cancel()
            await asyncio.sleep(0.01)
        server.client_unpause()
        with pytest.raises(asyncio.CancelledError):
            await uploading
        await busy
        assert [one.run for one in await client.runs()] == ["june"]

    use(redis_url, act, threads=1)


@pytest.mark.parametrize("stored_first", [0, 3])
def test_an_upload_that_is_cancelled_in_the_middle_of_a_step_is_taken_out_again(redis_url, server, stored_first):
    def pausing():
        for number in range(1000):
            if number == stored_first * 100:
                server.client_pause(30_000, all=False)
            yield spec(number)

    async def act(client):
        uploading = asyncio.create_task(client.enqueue_many(pausing(), run="may"))
        await until(lambda: len(chunk_ids(server)) == stored_first and is_with_redis(server))
        uploading.cancel()
        await asyncio.sleep(0.05)
        assert not uploading.done()
        uploading.cancel()  # however often
        server.client_unpause()
        with pytest.raises(asyncio.CancelledError):
            await uploading
        assert left_behind(server) == []

    use(redis_url, act)


def test_an_upload_that_redis_forsakes_and_somebody_cancels_is_cancelled(redis_url, server, caplog):
    """A timeout around the call must see its own cancellation, not Redis's trouble, and the log says what is left."""
    caplog.set_level(logging.WARNING)

    async def act(client):
        stored_one = asyncio.Event()

        async def then_nothing_comes():
            async for one in arriving(range(150)):
                yield one
            stored_one.set()
            await asyncio.Event().wait()

        uploading = asyncio.create_task(client.enqueue_many(then_nothing_comes(), run="may"))
        await stored_one.wait()
        pool = client._client._redis.connection_pool
        pool.disconnect()
        pool._available_connections.clear()
        pool.connection_kwargs["port"] = free_port()
        await cancelled(uploading)

    use(redis_url, act)
    assert "could not be taken out" in caplog.text
    assert use(redis_url, lambda client: client.enqueue_many(specs(range(150)), run="may")).new == 50


def test_cancelling_a_cancel_stops_it_after_a_step_and_the_next_goes_on(redis_url, server):
    async def act(client):
        await client.enqueue_many(specs(range(3000)), run="may")
        first_step = asyncio.Event()
        cancelling = asyncio.create_task(client.cancel("may", on_progress=lambda _: first_step.set()))
        await first_step.wait()
        await cancelled(cancelling)

    use(redis_url, act)
    assert b"being cancelled" in b"".join(server.hvals(KEYS.holds))
    left = use(redis_url, lambda client: client.cancel("may"))
    assert 0 < left < 3000


def test_an_iterable_that_asks_the_same_client_is_no_deadlock(redis_url):
    async def act(client):
        await client.enqueue_many(specs(range(120)), run="may")

        async def copied():
            async for outcome in client.outcomes("may"):
                await client.run("may")
                yield cut_out_body(1, task_id=f"{outcome.task_id}-b")

        return await client.enqueue_many(copied(), run="june")

    assert use(redis_url, act, threads=1).new == 120


def test_threads_and_connections_are_bounded_and_none_stays(redis_url, server):
    others = len(server.client_list())

    async def act(client):
        await asyncio.gather(*(client.enqueue(spec(number), run="may") for number in range(50)))
        for task in [asyncio.create_task(client.enqueue(spec(number), run="june")) for number in range(50)]:
            await asyncio.sleep(0)
            task.cancel()
        assert len(threads_of_clients()) <= 3
        # Each thread: one for the ledger, one for the hint, one that kombu keeps besides.
        assert len(server.client_list()) - others <= 9

    use(redis_url, act, threads=3)
    deadline = time.monotonic() + 10
    while len(server.client_list()) > others:  # the server hears of it a moment later
        assert time.monotonic() < deadline, server.client_list()
