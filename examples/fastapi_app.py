"""A web app that asks for pictures and tells how they stand, without ever keeping its event loop waiting.

Run it where COUPONPRESS_REDIS_URL and COUPONPRESS_MCHID are set: uvicorn --app-dir examples fastapi_app:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from couponpress import AsyncClient, InputError, Receipt, RedisUnavailableError, UnknownRunError

RUN = "shop"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client for the whole app; its end waits for the calls that have begun."""
    async with AsyncClient() as client:
        app.state.couponpress = client
        yield


app = FastAPI(lifespan=lifespan)


def client_of(request: Request) -> AsyncClient:
    """Return the app's client."""
    client: AsyncClient = request.app.state.couponpress
    return client


Couponpress = Annotated[AsyncClient, Depends(client_of)]


class Offer(BaseModel):
    """Spend so many cents, get so many off."""

    offer_id: str
    brand_id: str
    threshold: int
    discount_amount: int


@app.post("/pictures", status_code=202)
async def ask_for_picture(offer: Offer, couponpress: Couponpress) -> Receipt:
    """Enqueue one spec; posting the same offer again is the same work, so a client that got no answer repeats it."""
    rule = {"threshold": offer.threshold, "discount_amount": offer.discount_amount}
    combine = {"scope": "ALL", "type": "NORMAL", "usage_mode": "SINGLE", "normal_coupon": rule}
    body = {"row_id": offer.offer_id, "brand_id": offer.brand_id, "image_generation_type": "COMBINE_IMAGE"}
    return await couponpress.enqueue(body | {"combine_image": combine}, run=RUN)


@app.get("/pictures")
async def progress(couponpress: Couponpress) -> dict[str, Any]:
    """Tell how many specs are in which state."""
    return asdict(await couponpress.run(RUN))


@app.get("/pictures/{offer_id}")
async def picture(offer_id: str, couponpress: Couponpress) -> dict[str, str]:
    """Tell what became of one offer. Reads the run for it; a shop would keep the URLs in its own database."""
    async for outcome in couponpress.outcomes(RUN):
        if outcome.row_id == offer_id:
            return {"outcome": outcome.outcome or "open", "image_url": outcome.image_url, "message": outcome.message}
    raise HTTPException(404, "no such offer")


@app.exception_handler(InputError)
async def refused(_: Request, error: Exception) -> JSONResponse:
    """A broken rule, or an offer that was changed under its old id: the sentence says which."""
    return JSONResponse({"detail": str(error)}, 422)


@app.exception_handler(UnknownRunError)
async def unknown(_: Request, error: Exception) -> JSONResponse:
    """Nothing was asked for yet."""
    return JSONResponse({"detail": str(error)}, 404)


@app.exception_handler(RedisUnavailableError)
async def unavailable(_: Request, __: Exception) -> JSONResponse:
    """Nothing was confirmed; the same request again is safe."""
    return JSONResponse({"detail": "try again in a moment"}, 503, headers={"Retry-After": "2"})
