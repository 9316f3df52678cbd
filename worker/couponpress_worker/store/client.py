"""The fleet's Redis client: its writes go through on a full server as well, so that the fleet drains what is stored.

Decides which writes may exceed `maxmemory`: all of the fleet's, none of a producer's. An outcome takes some 140 bytes
more than a waiting spec, so a server that is full of waiting specs grows beyond its `maxmemory` while they end.
Needs Redis 7 or Valkey, for older ones know no flags of scripts.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError

from couponpress.ledger.scripts import ALLOW_OOM, PASSING_REFUSALS
from couponpress.transport.redis_address import RedisAddress

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
        replies: list[Any] = await super().execute(raise_on_error=False)
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
    """An asyncio client whose scripts and single writes a full server does not refuse."""

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
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except OutOfMemoryError:
            if str(args[0]).startswith("EVAL"):
                raise
            command, key, *rest = args
            anyway = ("EVAL", ALLOW_OOM + _anyway(), 1, key, command, *rest)
            return await super().execute_command(*anyway)  # type: ignore[no-untyped-call]


def fleet_redis(address: RedisAddress) -> FleetRedis:
    """Return the asyncio client of a process; it connects when first used, and at once anew when its line was cut."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return address.async_client(
        FleetRedis, socket_timeout=5, socket_connect_timeout=5, health_check_interval=15, retry=retry
    )


def limiter_redis(address: RedisAddress) -> FleetRedis:
    """Return the client that asks for slots: it fails fast and repeats nothing, for a late answer is a lost slot."""
    return address.async_client(FleetRedis, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))


def callback_redis(address: RedisAddress) -> FleetRedis:
    """Return the client of the callback receiver: it says within the platform's 5 s that Redis is away."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return address.async_client(FleetRedis, socket_timeout=2, socket_connect_timeout=1, retry=retry)


@cache
def _anyway() -> str:
    return files("couponpress_worker.store").joinpath("allow_oom.lua").read_text(encoding="utf-8")
