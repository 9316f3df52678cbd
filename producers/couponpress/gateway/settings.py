"""What the gateway needs to know on top of a producer's settings. `deploy/README.md` holds the table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from couponpress.language import gettext, quoted
from couponpress.settings import ProducerSettings


def _hosts(names: str) -> str:
    wrong = [name for name in names.split(",") if name and not re.fullmatch(r"[0-9A-Za-z.-]+", name.strip())]
    if wrong:
        raise ValueError(
            gettext("must be host names with commas between, without a scheme or a port; got %(wrong)s")
            % {"wrong": quoted(wrong[0])}
        )
    return names


class GatewaySettings(ProducerSettings):
    """The gateway's settings; every field is described where it is declared."""

    gateway_tokens_file: Path | None = Field(
        None, description="TOML file with the gateway's tokens, as digests; `couponpress gateway token` writes it."
    )
    gateway_backlog: int = Field(
        1_000_000, ge=1, description="Specs that may wait in all runs before the gateway answers 429."
    )
    gateway_stream_limit: int = Field(
        1 << 30, ge=1024, description="Bytes that one JSONL stream through the gateway may have."
    )
    console_secret_file: Path | None = Field(
        None,
        repr=False,
        description="File with 32 bytes or more that sign the console's logins; without it they end with the gateway.",
    )
    console_picture_hosts: Annotated[str, AfterValidator(_hosts)] | None = Field(
        None,
        description="Hosts, with commas between, from which a browser may fetch pictures for the console's gallery.",
    )
    console_upload_limit: int = Field(
        200 << 20, ge=1024, description="Bytes that a catalog may have that is uploaded by the console."
    )

    @property
    def picture_hosts(self) -> frozenset[str]:
        """The hosts that pictures may be fetched from."""
        return frozenset(name.strip().lower() for name in (self.console_picture_hosts or "").split(",") if name.strip())
