"""What each service may do in Redis, and the same as rules of Redis's ACL.

One table names who reads and who writes each key, another one who gives which command. `users_acl` makes the ACL file
of a partner out of them, and `rules` the rules of one role. What the tables mean:

- Only workers take slots of the submit limit.
- The callback receiver cannot enqueue: it writes into no queue, no run's number and no index.
- A producer sees nothing beyond its partner's prefix. Redis cannot tell one brand's rows from another's there; the
  gateway's tokens can.
- Keys that a script is given must be readable and writable for who calls it, whatever the script does with them.

Pure: nothing is asked and nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from couponpress.keys import Keys

Role = Literal["producer", "worker", "scheduler", "callback", "gateway", "metrics", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
#: In the file that is delivered, every password begins so.
PLACEHOLDER: Final = "CHANGE-ME"
#: The user of people who look after the server itself.
SERVER_USER: Final = "server-admin"

_ALL: Final = frozenset(ROLES)
_FLEET: Final = frozenset[Role]({"worker", "scheduler"})
_ENQUEUES: Final = frozenset[Role]({"producer", "scheduler", "gateway", "admin"})
_ACTS: Final = frozenset[Role]({"gateway", "admin"})
_NIGHTS: Final = frozenset[Role]({"scheduler", "gateway", "admin"})
_NONE: Final = frozenset[Role]()
_WRITES: Final = _ALL - {"metrics"}


@dataclass(frozen=True, slots=True)
class Name:
    """Names in Redis, and who uses them.

    Attributes:
        attribute: of `Keys`.
        both: who reads and writes them.
        reads: who only reads them.
        writes: who only writes them.
        arguments: what the attribute is called with, if it is a method.
        more: `*` where names begin with what the attribute returns.
        channel: whether it is a channel.
    """

    attribute: str
    both: frozenset[Role] = _NONE
    reads: frozenset[Role] = _NONE
    writes: frozenset[Role] = _NONE
    arguments: tuple[str, ...] = ("*",)
    more: str = ""
    channel: bool = False

    def pattern(self, keys: Keys) -> str:
        """Return the pattern that fits these names of a partner."""
        found = getattr(keys, self.attribute)
        return f"{found(*self.arguments) if callable(found) else found}{self.more}"

    def sample(self, keys: Keys) -> str:
        """Return a name that fits the pattern and that nothing is stored under."""
        return self.pattern(keys).replace("*", "~rights")


NAMES: Final = (
    Name("queue", both=_FLEET, writes=_ENQUEUES - _FLEET),
    Name("unacked", both=frozenset({"worker"}), more="*"),
    Name("task_results", both=frozenset({"worker"}), more="*"),
    Name("task_results", both=frozenset({"worker"}), more="*", channel=True),
    Name("bucket", arguments=("submit",), both=frozenset({"worker"}), reads=_ALL - {"worker", "callback"}),
    Name("bucket", arguments=("query",), both=_FLEET, reads=_ALL - _FLEET - {"callback"}),
    Name("bucket", arguments=("upload",), both=_ENQUEUES, reads=frozenset({"metrics"})),
    Name("pace", both=_ALL - {"callback", "metrics"}, reads=frozenset({"metrics"})),
    Name("runs", both=_ENQUEUES | _FLEET, reads=frozenset({"metrics"})),
    Name("run_numbers", both=_ENQUEUES | _FLEET, reads=frozenset({"metrics"})),
    Name("run", both=_WRITES, reads=frozenset({"metrics"})),
    Name("reasons", both=_WRITES, reads=frozenset({"metrics"})),
    Name("reasons_seen", both=_WRITES, reads=frozenset({"metrics"})),
    Name("counts", both=_WRITES, reads=frozenset({"metrics"})),
    Name("totals", both=_WRITES, reads=frozenset({"metrics"})),
    Name("waiting_since", both=_WRITES, reads=frozenset({"metrics"})),
    Name("brands", both=_ENQUEUES | _FLEET),
    Name("staged", both=_ENQUEUES | _FLEET),
    Name("upload_lock", both=_ENQUEUES | _FLEET),
    Name("chunk", both=_WRITES),
    Name("history", both=_WRITES),
    Name("open", both=_WRITES, reads=frozenset({"metrics"})),
    Name("flows", both=_WRITES),  # with everything that stands below it: `flows_left`, `flow_runs`, `ready` and so on
    Name("shares", both=_FLEET | _ACTS, reads=frozenset({"producer"})),
    Name("share_rests", both=_FLEET | _ACTS),
    Name("suspect", both=_FLEET),
    Name("dead_letters", both=_WRITES, reads=frozenset({"metrics"})),
    Name("dead_letter_messages", both=_FLEET, reads=_ALL - _FLEET - {"callback"}),
    Name("retries", both=_WRITES, reads=frozenset({"metrics"})),
    Name("looks", both=_WRITES, reads=frozenset({"metrics"})),
    Name("pauses", both=_WRITES),
    Name("awaiting", both=_WRITES, reads=frozenset({"metrics"})),
    Name("finished", both=_WRITES, reads=frozenset({"metrics"})),
    Name("hooks", both=_WRITES),
    Name("schedule", both=_NIGHTS, reads=frozenset({"worker"})),
    Name(
        "schedule_successes",
        both=_NIGHTS,
        reads=frozenset({"metrics", "producer"}),
    ),
    Name("night", both=_NIGHTS, reads=frozenset({"worker"})),
    Name("open_nights", both=_NIGHTS, reads=frozenset({"worker"})),
    Name("night_changes", both=_NIGHTS, reads=frozenset({"worker"})),
    Name("row_fingerprints", arguments=("*", "*"), both=_NIGHTS, more="*"),
    Name("beat", both=frozenset({"scheduler"}), more="*"),
    Name("index", both=_ENQUEUES | _FLEET, reads=frozenset({"callback"}), more="*"),
    Name("holds", both=_WRITES, reads=frozenset({"metrics"})),
    Name("holds_changed", both=_FLEET | _ACTS, channel=True),
    Name("holds_changed", both=_FLEET | _ACTS),  # scripts are given it like a key
    Name("audit", both=_FLEET | _ACTS),
    Name("acts", both=_FLEET | _ACTS, reads=frozenset({"metrics"})),
    Name("outage", both=_FLEET, reads=_ALL - _FLEET - {"callback"}),
    Name("present", both=_WRITES, reads=frozenset({"metrics"})),
    Name("left", both=_WRITES),
    *(Name(f"notify_{name}", both=_FLEET) for name in ("leader", "seen", "claim", "queue", "call", "rest")),
    Name("events", both=frozenset({"callback"}), reads=_ALL - {"callback"}),
    Name("echo", both=frozenset({"callback"}), reads=frozenset({"admin", "worker"})),
    Name("passed_on", both=frozenset({"callback"})),
    Name("doctor", both=_WRITES),
    Name("doctor", both=_FLEET | _ACTS, channel=True),
    Name("quota", both=frozenset({"gateway"})),
    Name("idempotency", both=frozenset({"gateway"})),
    *(Name(f"selection{name}", both=frozenset({"gateway"})) for name in ("s", "", "_places")),
    Name("picture", both=_ENQUEUES),
    Name("leader", both=_FLEET),
    Name("flight", both=_FLEET, reads=_ALL - _FLEET - {"callback"}),
    Name("request_durations", both=_FLEET, reads=_ALL - _FLEET - {"callback"}),
)

#: Command -> who may give it. The commands of one line belong to the same roles.
_GIVEN: Final = (
    ("ping info time multi exec discard client|setinfo acl|whoami select exists hget hgetall hmget hlen", _ALL),
    ("zcard zrange", _ALL),
    ("get xlen xrange xrevrange zcount zdiff zrevrange", _ALL - {"callback"}),
    ("evalsha script|load script|exists set expire hset hdel hincrby zadd zrem zremrangebyscore zscore", _WRITES),
    ("lrange ltrim rpush", _WRITES),
    ("lindex llen pttl smembers ttl zrangebyscore", _WRITES - {"callback"}),
    ("del expireat pexpire hexists hsetnx rpop sadd xadd", _WRITES - {"callback"}),
    ("lpush", _ENQUEUES | _FLEET),
    ("publish subscribe unsubscribe", _FLEET | _ACTS),
    ("lpop", _FLEET),
    ("brpop watch unwatch", frozenset({"worker"})),
    ("hscan", frozenset({"gateway"})),
    ("config|get", frozenset({"admin"})),
)
COMMANDS: Final = {command: roles for words, roles in _GIVEN for command in words.split()}


def user_of(keys: Keys, role: Role) -> str:
    """Return the name of a role's user in the file that `users_acl` makes."""
    return f"couponpress-{keys.mchid}-{role}"


def commands_of(role: Role) -> list[str]:
    """Return the commands that a role may give, in order."""
    return sorted(command for command, roles in COMMANDS.items() if role in roles)


def key_rule(name: Name, keys: Keys, role: Role) -> str | None:
    """Return the rule for keys that a role may use, or None if it may not."""
    for roles, mark in ((name.both, "~"), (name.reads, "%R~"), (name.writes, "%W~")):
        if role in roles:
            return f"{mark}{name.pattern(keys)}"
    return None


def channel_rule(name: Name, keys: Keys, role: Role) -> str | None:
    """Return the rule for a channel that a role may use, or None if it may not."""
    return f"&{name.pattern(keys)}" if role in name.both else None


def patterns_of(keys: Keys, role: Role) -> list[str]:
    """Return the rules for the names that a role may use, in order."""
    found = (channel_rule(name, keys, role) if name.channel else key_rule(name, keys, role) for name in NAMES)
    return sorted(rule for rule in found if rule is not None)


def rules(keys: Keys, role: Role) -> list[str]:
    """Return everything that a role may do, as rules of ACL SETUSER."""
    return [*patterns_of(keys, role), *(f"+{command}" for command in commands_of(role))]


def users_acl(keys: Keys) -> str:
    """Return an ACL file: a user for each role, one for people who look after the server, and nobody else."""
    lines = ["user default off", f"user {SERVER_USER} on >{PLACEHOLDER}-{SERVER_USER} ~* &* +@all"]
    for role in ROLES:
        known = " ".join(rules(keys, role))
        lines.append(f"user {user_of(keys, role)} on >{PLACEHOLDER}-{role} resetchannels -@all {known}")
    return "".join(f"{line}\n" for line in lines)
