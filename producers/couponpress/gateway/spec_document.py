"""What the route of one spec answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from couponpress.gateway.document import Shown


class EventShown(Shown):
    """Something that happened to a spec."""

    at: float = Field(description="Seconds since 1970.")
    event: str = Field(description="A state that the spec came to; or enqueued, asked, redriven.")
    by: str = Field(description="Who learned or did it: producer, submit, callback, query, person or fleet.")
    code: str
    request_id: str = Field(description="The platform's id of the answer.")
    notice_id: str = Field(description="The id of the callback; its last digits behind … where all went plainly.")


class SpecShown(Shown):
    """Where one spec is, and how it ended."""

    run: str
    state: str
    row_id: str
    task_id: str
    brand_id: str
    outcome: str = Field(description="Empty while the spec is open.")
    image_url: str
    code: str
    message: str
    attempts: int
    request_id: str = Field(
        description="The platform's id of the call that the reason comes from; of an accepted spec, of that answer."
    )
    body: dict[str, Any] = Field(description="The request's body, as it is signed and sent.")
    due: float | None = Field(description="When it is sent or asked for again, seconds since 1970.")
    paused_until: float | None = Field(description="When its pause ends by itself, seconds since 1970.")
    events: list[EventShown] = Field(description="What happened to it, the oldest first; the last 20 are kept.")
    older_events: int = Field(description="How many happened before those.")
