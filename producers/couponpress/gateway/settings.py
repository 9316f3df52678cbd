"""What the gateway needs to know on top of a producer's settings. `deploy/README.md` holds the table."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from couponpress.settings import ProducerSettings


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
