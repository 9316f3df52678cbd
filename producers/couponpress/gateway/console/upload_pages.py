"""The pages of an upload: choose a catalog, see what was read of it, submit it."""

from __future__ import annotations

import shutil
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, RedirectResponse, Response

from couponpress.errors import InputError
from couponpress.gateway.console.context import Looking, RefusedError, TheConsole, TheForm, render, require
from couponpress.gateway.console.uploads import Upload
from couponpress.gateway.console.viewer import Viewer
from couponpress.gateway.console.wiring import Console
from couponpress.keys import Lane
from couponpress.language import current, gettext
from couponpress.ledger.rate import per_second
from couponpress.plurals import span
from couponpress.settings import configured_rate

router = APIRouter()


@router.get("/upload")
def show_form(request: Request, console: TheConsole, viewer: Looking) -> Response:
    """Show the form that takes a catalog; beside several gateways it says that the catalog stays on one of them."""
    require(viewer, "operator", whole=False)
    gateways = sum(one.role == "gateway" for one in console.client.present())
    return render(request, "upload.html", page="upload", gateways=gateways)


@router.post("/upload")
def take(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Take a catalog and begin to check it."""
    require(viewer, "operator", whole=False)
    given = form.get("catalog")
    if not isinstance(given, UploadFile):
        raise InputError(gettext("Choose a file."))
    lane: Lane = "urgent" if form.get("lane") == "urgent" else "bulk"
    run = str(form.get("run", "")).strip()
    name = given.filename or ""
    upload = console.uploads.make(viewer.name, viewer.token.brands, name, run, lane, current())
    upload.run = viewer.token.stored_name(upload.run)
    with upload.path.open("wb") as kept:
        shutil.copyfileobj(given.file, kept, 1 << 20)
    console.uploads.check(upload)
    return RedirectResponse(f"{console.home}upload/{upload.number}", 303)


def _the_upload(console: Console, viewer: Viewer, number: str) -> Upload:
    require(viewer, "operator", whole=False)
    if not console.uploads.took(number):
        raise RefusedError(
            404,
            gettext("This gateway does not have this upload"),
            gettext("Another gateway took it, or this one was started again since."),
            gettext(
                "Reload the page: the balancer may lead you to the gateway that has it. Otherwise upload the file once "
                "more; what was enqueued before is not sent twice."
            ),
        )
    upload = console.uploads.find(viewer.name, number)
    if upload is None:
        raise RefusedError(
            404,
            gettext("This upload is gone"),
            gettext("It was left for too long."),
            gettext("Upload the file once more: what was enqueued before is not sent twice."),
        )
    return upload


@router.get("/upload/{number}")
def show_upload(request: Request, console: TheConsole, viewer: Looking, number: str) -> Response:
    """Show how far an upload is, and what was read."""
    upload = _the_upload(console, viewer, number)
    return render(request, "uploaded.html", page="upload", **_values(console, upload))


def _values(console: Console, upload: Upload) -> dict[str, Any]:
    rate = console.client.rate().effective_per_second or per_second(configured_rate(console.settings.mchid))
    takes = span(max(1, round(upload.good / rate)))
    return {"upload": upload, "takes": takes, "rate": rate}


@router.post("/upload/{number}/submit")
def submit(console: TheConsole, viewer: Looking, form: TheForm, number: str) -> Response:
    """Enqueue the good rows of a catalog that was checked."""
    del form
    upload = _the_upload(console, viewer, number)
    if upload.foreign:
        raise RefusedError(
            403,
            gettext("You may not do this"),
            gettext("The catalog has rows of brands that are not yours."),
            kind="brand-not-allowed",
        )
    if upload.phase == "checked" and upload.good:
        console.uploads.submit(upload)
    return RedirectResponse(f"{console.home}upload/{upload.number}", 303)


@router.get("/upload/{number}/errors")
def download_errors(console: TheConsole, viewer: Looking, number: str) -> Response:
    """Send the file of broken rows with their reasons."""
    upload = _the_upload(console, viewer, number)
    if upload.error_file is None or not upload.error_file.exists():
        raise RefusedError(404, gettext("There is nothing here"), gettext("No row was broken."))
    return FileResponse(upload.error_file, filename=upload.error_file.name)
