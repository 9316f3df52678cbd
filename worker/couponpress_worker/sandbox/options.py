"""The options of a sandbox, and those of them that can be changed while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from couponpress.errors import InputError
from couponpress_worker.sandbox.faults import Faults, sentence_of

PerSecond = Annotated[int, Field(ge=0, le=1_000_000)]


class Behaviour(BaseModel):
    """How the platform behaves; `POST /sandbox/control` changes it while it runs.

    Attributes:
        limit: submit requests admitted in any window of one second; 0 means no limit. The platform's pages print 500
            (2026-02) and 10 (2026-01).
        query_limit: the same for queries; 20 is printed.
        upload_limit: the same for picture uploads; 20 is printed.
        latency_ms: how long every answer of the platform takes at least, milliseconds.
        picture_seconds: a picture is made within this time after its request was taken, seconds.
        notify_url: where callbacks go; None sends none.
        callback_interval_seconds: how long until a callback that was not answered 200 or 204 is sent again.
        callback_repeats: how often it is sent again at most. The platform's pages say every 60 s, 11 times.
        certificates: how many platform certificates are listed; callbacks are signed with the last of them. 0 is a
            merchant that has the platform's public key only; one more is a certificate that follows another.
        unauthorized_brands: brands that did not authorise the partner: 403 NO_AUTH.
        faults: what goes wrong on request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: PerSecond = 500
    query_limit: PerSecond = 20
    upload_limit: PerSecond = 20
    latency_ms: Annotated[float, Field(ge=0, le=60_000)] = 0
    picture_seconds: Annotated[float, Field(ge=0, le=86_400)] = 1.0
    notify_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+[^?#\s]*\z", max_length=256)] | None = None
    callback_interval_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    callback_repeats: Annotated[int, Field(ge=0, le=1000)] = 11
    certificates: Annotated[int, Field(ge=0, le=4)] = 0
    unauthorized_brands: tuple[str, ...] = ()
    faults: Faults = Faults()

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return this behaviour with some values changed; inside `faults` too, only what is named changes.

        Raises:
            InputError: an unknown name or a value out of range; the sentence names each.
        """
        values = self.model_dump() | dict(changes)
        faults = changes.get("faults")
        if isinstance(faults, Mapping):
            values["faults"] = self.faults.model_dump() | dict(faults)
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            raise InputError(sentence_of(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """What a sandbox is started with.

    Attributes:
        directory: where the throw-away keys and the file `env` are kept; used again when they are there.
        host: the address to listen on.
        port: the port to listen on; 0 takes any free one.
        more_ports: further ports to listen on. The record of calls says by which one each came, so that whoever gives
            each sender a port of its own can tell them apart.
        tls: speak TLS, with a throw-away authority written to `ca.pem` in the directory.
        public_url: how clients reach it, when that is not scheme, host and port as above (in a container, say).
        brand: stand in for the platform as a brand merchant sees it, in place of a partner.
        strict: refuse objects that a request's type does not use, which the platform's own samples carry.
        seed: the same seed hits the same tasks and the same requests with the same faults.
        behaviour: limits, latency, callbacks and faults: what can be changed while it runs.
    """

    directory: Path
    host: str = "127.0.0.1"
    port: int = 8900
    more_ports: tuple[int, ...] = ()
    tls: bool = False
    public_url: str | None = None
    brand: bool = False
    strict: bool = False
    seed: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)
