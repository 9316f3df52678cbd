"""The fleet's Redis client: its writes go through on a full server as well, so that the fleet drains what is stored.

All writes of the fleet may exceed `maxmemory`, and none of a producer's. An outcome takes some 140 bytes more than a
waiting spec, so a server that is full of waiting specs grows beyond its `maxmemory` while they end. This needs Redis 7
or Valkey: older servers know no flags of scripts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from couponpress.ledger.scripts import ALLOW_OOM, PASSING_REFUSALS
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.store.line import SharedLine, packed, takeable

T = TypeVar("T")


async def _answer(answer: Awaitable[T]) -> T:
    """Wait for an answer; a server that refuses every write for now counts as one that does not answer."""
    try:
        return await answer
    except ResponseError as error:
        if str(error).startswith(PASSING_REFUSALS):
            raise RedisConnectionError(str(error)) from error
        raise


class _FleetPipeline(Pipeline):
    def __init__(self, fleet: FleetRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(fleet.connection_pool, fleet.response_callbacks, transaction, shard_hint)
        self._fleet = fleet

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        sent = list(self.command_stack)
        if self.is_transaction or self.explicit_transaction or self.watching or self.scripts:
            replies: list[Any] = await super().execute(raise_on_error=False)
        else:
            replies = await self._fleet.ask(sent)
            await self.reset()  # type: ignore[no-untyped-call]
        for number, reply in enumerate(replies):
            if isinstance(reply, OutOfMemoryError):
                replies[number] = await self._fleet.execute_command(*sent[number][0])
        failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if raise_on_error and failed is not None:
            raise failed
        return replies

    async def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base
        return await _answer(super().parse_response(connection, command_name, **options))


class FleetRedis(Redis):
    """An asyncio client whose scripts and single writes a full server does not refuse.

    Commands, and pipelines that are no transaction, share one line (`line`). What blocks, watches or subscribes has a
    connection of redis-py's pool.
    """

    _line: SharedLine | None = None

    async def ask(self, commands: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[Any]:
        """Send commands, each with redis-py's options for its reply; returns the replies, refusals among them.

        Raises:
            redis.ConnectionError: Redis does not answer, or refuses every write for now.
            redis.TimeoutError: it did not answer in time.
        """
        if not commands:
            return []
        if self._line is None:
            self._line = SharedLine(self.connection_pool)
        whole = b"".join([packed(args) for args, _ in commands])
        replies = await self._line.ask(whole, len(commands), self._refused)
        return [self._read(args, options, reply) for (args, options), reply in zip(commands, replies, strict=True)]

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the line, and redis-py's connections."""
        if self._line is not None:
            await self._line.aclose()
        await super().aclose(close_connection_pool)

    def _refused(self, reply: Any) -> Exception | None:  # noqa: ANN401 - whatever Redis says
        """Return why a server takes no writes for now: it counts as one that does not answer."""
        if not isinstance(reply, ResponseError):
            return None
        demoted = isinstance(reply, ReadOnlyError) and isinstance(self.connection_pool, SentinelConnectionPool)
        if demoted or str(reply).startswith(PASSING_REFUSALS):
            refusal = RedisConnectionError(str(reply))
            refusal.__cause__ = reply
            return refusal
        return None

    def _read(self, args: Sequence[Any], options: Mapping[str, Any], reply: Any) -> Any:  # noqa: ANN401 - as redis-py
        if isinstance(reply, Exception) or args[0] not in self.response_callbacks:
            return reply
        return self.response_callbacks[args[0]](
            reply, **{name: value for name, value in options.items() if name != "keys"}
        )

    async def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base
        """Read an answer; see `_answer`."""
        return await _answer(super().parse_response(connection, command_name, **options))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Return a pipeline that reads answers as this client does."""
        return _FleetPipeline(self, transaction, shard_hint)

    def register_script(self, script: str) -> AsyncScript:  # type: ignore[override] # the base serves blocking ones too
        """Register a script that may run while `maxmemory` is exceeded."""
        return AsyncScript(self, ALLOW_OOM + script)

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base has it
        """Send a command; one that a full server refused is made by a script that may."""
        (reply,) = await self.ask([(args, options)])
        if isinstance(reply, OutOfMemoryError) and not str(args[0]).startswith("EVAL"):
            command, key, *rest = args
            (reply,) = await self.ask([(("EVAL", ALLOW_OOM + _anyway(), 1, key, command, *rest), {})])
        if isinstance(reply, Exception):
            raise reply
        return reply


def fleet_redis(address: RedisAddress) -> FleetRedis:
    """Return the asyncio client of a process; it connects when first used, and at once anew when its line was cut."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return address.async_client(
        FleetRedis, takeable, socket_timeout=5, socket_connect_timeout=5, health_check_interval=15, retry=retry
    )


def limiter_redis(address: RedisAddress) -> FleetRedis:
    """Return the client that asks for slots: it fails fast and repeats nothing, for a late answer is a lost slot."""
    return address.async_client(
        FleetRedis, takeable, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )


def callback_redis(address: RedisAddress) -> FleetRedis:
    """Return the client of the callback receiver: it says within the platform's 5 s that Redis is away."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return address.async_client(FleetRedis, takeable, socket_timeout=2, socket_connect_timeout=1, retry=retry)


@cache
def _anyway() -> str:
    return files("couponpress_worker.store").joinpath("allow_oom.lua").read_text(encoding="utf-8")
