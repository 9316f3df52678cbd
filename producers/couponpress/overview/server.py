"""What Redis says of itself, and what of it endangers the work (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: From this share of its memory on, a server counts as nearly full.
_NEARLY_FULL: Final = 0.9


@dataclass(frozen=True, slots=True)
class RedisState:
    """The server.

    Attributes:
        kind: `redis` or `valkey`.
        version: its version.
        run_id: another one after every restart.
        uptime_seconds: since its start.
        clients: connections to it.
        memory_used: bytes.
        memory_max: bytes that it may use; 0 when it has no bound of its own.
        policy: what it does when it is full; `noeviction` is right.
        appends: whether it writes every change to its append-only file.
        saved_at: when it last wrote a whole copy to disk, seconds since 1970.
        troubles: what is wrong with it, each a sentence with its cure.
    """

    kind: str
    version: str
    run_id: str
    uptime_seconds: int
    clients: int
    memory_used: int
    memory_max: int
    policy: str
    appends: bool
    saved_at: float
    troubles: tuple[str, ...]


def redis_state(info: Mapping[str, object]) -> RedisState:
    """Return the state from the fields of INFO; a field that a managed server hides counts as empty."""

    def number(name: str) -> int:
        return int(str(info.get(name) or 0))

    used, most, policy = number("used_memory"), number("maxmemory"), str(info.get("maxmemory_policy") or "")
    appends = number("aof_enabled") == 1
    kind = str(info.get("server_name") or "redis")
    troubles = []
    if policy not in {"", "noeviction"}:
        troubles.append(f"it deletes keys when it is full ({policy}): set maxmemory-policy noeviction")
    if most and used >= _NEARLY_FULL * most:
        troubles.append(f"{used / most:.0%} of its memory is used: raise maxmemory, or cancel what is not needed")
    if not appends:
        troubles.append("it may forget the last writes when it restarts: set appendonly yes")
    if info.get("aof_last_write_status", "ok") != "ok":
        troubles.append("it could not write its append-only file: look at its disk and its log")
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        troubles.append("it could not write its snapshot: look at its disk and its log")
    return RedisState(
        kind=kind,
        version=str(info.get(f"{kind}_version") or info.get("redis_version") or ""),
        run_id=str(info.get("run_id") or ""),
        uptime_seconds=number("uptime_in_seconds"),
        clients=number("connected_clients"),
        memory_used=used,
        memory_max=most,
        policy=policy,
        appends=appends,
        saved_at=float(number("rdb_last_save_time")),
        troubles=tuple(troubles),
    )
