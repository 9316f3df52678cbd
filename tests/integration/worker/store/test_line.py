"""One connection for the commands of many callers, against a real server: order, refusals, breaks and silence."""

import asyncio

import hiredis
import pytest
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.store.client import FleetRedis, fleet_redis, limiter_redis
from couponpress_worker.store.line import SharedLine, packed, takeable

BOTH = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


def on(url, act, client_of=fleet_redis, run=asyncio.run):
    """Run `await act(client)`."""

    async def main():
        async with client_of(RedisAddress.parse(url)) as client:
            return await act(client)

    return run(main())


#: The connections that other tests of the process have left open.
OTHERS = set()


@pytest.fixture(autouse=True)
def others(client):
    """Note which connections there are before a test."""
    OTHERS.clear()
    OTHERS.update(one["id"] for one in client.client_list())


async def connections(client):
    """The ids of the connections that a test has opened, other than those of the tests' own client."""
    found = {one["id"] for one in await client.client_list() if one["lib-name"] == "couponpress"}
    return found - OTHERS


@BOTH
def test_many_callers_share_one_connection_and_each_gets_its_own_reply(redis_url, client, run):
    async def act(fleet):
        await asyncio.gather(*(fleet.set(f"one:{number}", number) for number in range(200)))
        pipeline = fleet.pipeline(transaction=False)
        for number in range(100):
            pipeline.get(f"one:{number}")
        singles = [fleet.get(f"one:{number}") for number in range(100, 200)]
        piped, *single = await asyncio.gather(pipeline.execute(), *singles)
        assert [int(value) for value in (*piped, *single)] == list(range(200))
        assert await fleet.pipeline(transaction=False).execute() == []
        assert len(await connections(fleet)) == 1
        assert await fleet.hgetall("none") == {}
        assert await fleet.zrange("none", 0, -1, withscores=True) == []
        assert await fleet.set("one:1", 1, nx=True) is None

    on(redis_url, act, run=run)


@BOTH
def test_a_line_that_broke_before_it_is_first_used_is_opened_anew(redis_url, client, monkeypatch, run):
    """The server goes away in the moment between the opening of a line and its first command."""
    real, opened = SharedLine._usable, []

    async def broken_first(self):
        line = await real(self)
        opened.append(line)
        if len(opened) == 1:
            line._stream.transport.abort()
            await line.closed
        return line

    monkeypatch.setattr(SharedLine, "_usable", broken_first)

    async def act(fleet):
        assert await fleet.set("one", 1)
        assert len(opened) == 2

    on(redis_url, act, run=run)


def test_the_third_protocol_and_scripts_are_understood(redis_url, client):
    async def act(fleet):
        await fleet.hset("h", mapping={"a": "1"})
        assert await fleet.hgetall("h") == {b"a": b"1"}
        script = fleet.register_script("return {KEYS[1], ARGV[1], 7}")
        await fleet.script_flush()
        assert await script(["k"], ["v"]) == [b"k", b"v", 7]
        with pytest.raises(NoScriptError):
            await fleet.evalsha("0" * 40, 0)

    for url in (redis_url, f"{redis_url}?protocol=3"):
        on(url, act)


def test_a_refusal_is_of_its_command_alone(redis_url, client):
    async def act(fleet):
        await fleet.set("text", "x")
        wrong, right = await asyncio.gather(fleet.hget("text", "a"), fleet.get("text"), return_exceptions=True)
        assert isinstance(wrong, ResponseError)
        assert right == b"x"
        pipeline = fleet.pipeline(transaction=False)
        pipeline.get("text").hget("text", "a").get("text")
        told = await pipeline.execute(raise_on_error=False)
        assert (told[0], told[2]) == (b"x", b"x")
        assert isinstance(told[1], ResponseError)
        with pytest.raises(ResponseError):
            await fleet.pipeline(transaction=False).hget("text", "a").execute()
        with pytest.raises(DataError):
            await fleet.set("text", object())
        assert len(await connections(fleet)) == 1

    on(redis_url, act)


@BOTH
def test_a_line_that_was_cut_is_opened_anew_and_what_was_under_way_is_sent_again(redis_url, client, run):
    async def act(fleet):
        await fleet.set("one", 1)
        (line,) = await connections(fleet)
        client.client_kill_filter(_id=line)
        assert await asyncio.gather(*(fleet.get("one") for _ in range(5))) == [b"1"] * 5
        (other,) = await connections(fleet)
        assert other != line

    on(redis_url, act, run=run)


@pytest.mark.parametrize(("client_of", "times"), [(fleet_redis, 2), (limiter_redis, 1)], ids=["fleet", "limiter"])
def test_only_a_client_that_may_repeat_sends_a_command_again_when_its_line_broke(client_of, times):
    """A server that says yes to everything, and hangs up when it is asked to count."""
    arrived, served = [], []

    async def serve(reader, writer):
        served.append(asyncio.current_task())
        commands = hiredis.Reader()
        try:
            while (data := await reader.read(65536)) and b"INCRBY" not in data:
                commands.feed(data)
                while commands.gets():
                    writer.write(b"+OK\r\n")
            arrived.append(data)
        finally:
            writer.transport.abort()

    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
            async with client_of(RedisAddress.parse(url)) as client:
                with pytest.raises(RedisConnectionError):
                    await client.incr("one")
            await asyncio.gather(*served)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert sum(b"INCRBY" in data for data in arrived) == times


def test_silence_ends_in_time_and_closes_the_line(redis_url, client):
    def impatient(address):
        retry = Retry(NoBackoff(), 0)
        return address.async_client(FleetRedis, takeable, socket_timeout=0.8, socket_connect_timeout=5, retry=retry)

    async def act(fleet):
        await fleet.set("one", 1)
        client.client_pause(2000, all=True)
        told = await asyncio.gather(*(fleet.get("one") for _ in range(3)), return_exceptions=True)
        assert any(isinstance(one, RedisTimeoutError) for one in told)
        assert all(isinstance(one, RedisTimeoutError | RedisConnectionError) for one in told)
        await asyncio.to_thread(client.ping)  # until the pause is over
        assert await fleet.get("one") == b"1"

    on(redis_url, act, impatient)


def test_whoever_is_cancelled_leaves_the_replies_of_others_in_order(redis_url, client):
    async def act(fleet):
        await fleet.mset({f"one:{number}": number for number in range(10)})
        asked = [asyncio.create_task(fleet.get(f"one:{number}")) for number in range(10)]
        await asyncio.sleep(0)
        asked[3].cancel()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(told[3], asyncio.CancelledError)
        assert [int(one) for number, one in enumerate(told) if number != 3] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert len(await connections(fleet)) == 1

    on(redis_url, act)


def test_a_line_that_was_idle_is_checked_before_it_is_used(redis_url, client):
    def checking(address):
        retry = Retry(NoBackoff(), 0)
        options = {"socket_timeout": 1, "socket_connect_timeout": 1, "health_check_interval": 0.01, "retry": retry}
        return address.async_client(FleetRedis, takeable, **options)

    async def act(fleet):
        await fleet.set("one", 1)
        before = client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
        await asyncio.sleep(0.05)
        assert await fleet.get("one") == b"1"
        assert client.info("commandstats")["cmdstat_ping"]["calls"] == before + 1

    on(redis_url, act, checking)


def test_a_server_that_is_not_there_is_told_to_everybody_who_asks():
    async def act(fleet):
        told = await asyncio.gather(*(fleet.get("one") for _ in range(5)), return_exceptions=True)
        assert all(isinstance(one, RedisConnectionError) for one in told)

    on("redis://127.0.0.1:1/0", act)


def test_a_command_is_packed_as_redis_reads_it():
    assert packed(("SCRIPT LOAD", "x", 1, b"\x00")) == (
        b"*5\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$1\r\nx\r\n$1\r\n1\r\n$1\r\n\x00\r\n"
    )
    with pytest.raises(DataError):
        packed(("SET", "x", None))
