"""Explains why Redis does not answer or refuses a command, with the cure.

redis-py raises a dozen classes for this, and some cases differ only in the server's message. Errors that are not listed
here are bugs of couponpress and keep their trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis.exceptions as redis_errors

from couponpress.errors import RedisFullError, RedisRefusedError, RedisSilentError, RedisUnavailableError
from couponpress.language import gettext, gettext_noop
from couponpress.stored_sentences import in_words

_PASSWORD = gettext_noop("set user and password in COUPONPRESS_REDIS_URL: redis://USER:PASSWORD@host:6379/0")
_CLIENT_CERTIFICATE = gettext_noop(
    "if it wants a client certificate, name one: ?ssl_certfile=FILE&ssl_keyfile=FILE in COUPONPRESS_REDIS_URL"
)
_PRIMARY = gettext_noop("name the primary in COUPONPRESS_REDIS_URL, or the Sentinels that know it")
_COMMAND: Final = re.compile(r"[Uu]ser (?P<user>\S+) has no permissions to run the '(?P<command>[^']+)' command")
#: What an answer holds, in lower case, and the cure; the first that fits.
_CURES: Final = (
    ("noauth", _PASSWORD),
    ("authentication required", _PASSWORD),
    ("already authenticated", _PASSWORD),  # what HELLO says to who gave no password
    ("wrongpass", _PASSWORD),
    ("invalid username-password", _PASSWORD),
    ("invalid password", _PASSWORD),
    (
        "without any password configured",
        gettext_noop("take the password out of COUPONPRESS_REDIS_URL: the server has none"),
    ),
    ("wrong number of arguments for 'auth'", _PASSWORD),
    ("max number of clients", gettext_noop("raise its maxclients, or end clients that are not needed")),
    ("loading", gettext_noop("it reads its data from disk: wait until it has")),
    ("misconf", gettext_noop("it cannot write to its disk: make room there; its log says more")),
    ("readonly", _PRIMARY),
    ("read only replica", _PRIMARY),
    ("noreplicas", gettext_noop("start the replicas that it asks for (min-replicas-to-write)")),
    ("masterdown", _PRIMARY),
    ("unblocked", _PRIMARY),
    (
        "db index",
        gettext_noop("it has no database of that number: correct the end of COUPONPRESS_REDIS_URL, such as /0"),
    ),
    ("select is not allowed", gettext_noop("use a single server: no Redis Cluster")),
    ("cluster support", gettext_noop("use a single server: no Redis Cluster")),
    ("clusterdown", gettext_noop("use a single server: no Redis Cluster")),
    ("moved ", gettext_noop("use a single server: no Redis Cluster")),
    ("crossslot", gettext_noop("use a single server: no Redis Cluster")),
    ("busy redis is busy", gettext_noop("another program's script keeps it busy: end that (SCRIPT KILL)")),
    ("unknown command 'hello'", gettext_noop("take protocol=3 out of COUPONPRESS_REDIS_URL: it speaks RESP2 alone")),
    ("unknown command", gettext_noop("use Redis 7 or newer, or Valkey, with its commands not renamed")),
    (
        "certificate has expired",
        gettext_noop("renew its certificate; if that is still valid, set this machine's clock"),
    ),
    (
        "mismatch, certificate is not valid for",
        gettext_noop("name the server in COUPONPRESS_REDIS_URL as its certificate does"),
    ),
    (
        "certificate verify failed",
        gettext_noop("name the authority that signed its certificate: ?ssl_ca_certs=FILE in COUPONPRESS_REDIS_URL"),
    ),
    ("certificate required", _CLIENT_CERTIFICATE),
    # The end of the connection is often seen before the alert that says why.
    ("eof occurred in violation of protocol", _CLIENT_CERTIFICATE),
    (
        "denied redis is running in protected mode",
        gettext_noop("set a password on the server, and in COUPONPRESS_REDIS_URL"),
    ),
)


def redis_unavailable(url: str, error: redis_errors.RedisError) -> RedisUnavailableError | None:
    """Return the error with its cure, or None for an unforeseen answer.

    Args:
        url: the address, without its password.
        error: what redis-py raised.
    """
    if isinstance(error, redis_errors.OutOfMemoryError):
        return RedisFullError(url)
    words = str(error).lower()
    if _lacks_right(words):
        return RedisRefusedError(url, error, rights_cure(error))
    cure = next((cure for part, cure in _CURES if part in words), None)
    if cure is not None and not isinstance(error, redis_errors.TimeoutError):
        return RedisRefusedError(url, error, gettext(cure))
    if isinstance(error, redis_errors.TimeoutError) and "reading" in words:
        return RedisSilentError(url, in_words(str(error)))
    if isinstance(error, redis_errors.ConnectionError | redis_errors.TimeoutError | redis_errors.InvalidResponse):
        return RedisUnavailableError(url, in_words(str(error)))
    return None


def rights_cure(refusal: object) -> str:
    """Return what to do when Redis lets a user do too little: the line that grants a command, where Redis names it."""
    if found := _COMMAND.search(str(refusal)):
        return gettext("give it that right: %(line)s") % {"line": f"ACL SETUSER {found['user']} +{found['command']}"}
    return gettext(
        "give its user the names that its service uses, as deploy/redis/users.acl has them; `couponpress doctor --role "
        "ROLE` says which are missing"
    )


def _lacks_right(words: str) -> bool:
    return any(part in words for part in ("noperm", "no permissions", "acl failure"))


@contextmanager
def redis_errors_told(url: str) -> Iterator[None]:
    """Turn redis-py's errors inside a block into errors with a cure.

    Raises:
        RedisUnavailableError, RedisSilentError, RedisRefusedError, RedisFullError: see `redis_unavailable`.
    """
    try:
        yield
    except redis_errors.RedisError as error:
        told = redis_unavailable(url, error)
        if told is None:
            raise
        raise told from error
