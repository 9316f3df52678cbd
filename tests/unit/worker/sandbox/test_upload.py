import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.sandbox import upload
from couponpress_worker.sandbox.exchange import Answer
from couponpress_worker.sandbox.upload import Form

PNG = b"\x89PNG\r\n\x1a\n" + b"\r\n--not the boundary\r\n" * 3
TYPE = "multipart/form-data; boundary=frontier"


def meta(content=PNG, name="图.png", **changes):
    return json.dumps({"filename": name, "sha256": hashlib.sha256(content).hexdigest()} | changes).encode()


def form(meta_part=None, content=PNG, name="图.png", meta_type="application/json", **parts):
    meta_head = f'Content-Disposition: form-data; name="meta"\r\nContent-Type: {meta_type}\r\n\r\n'
    file_head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
    meta_part = meta(content, name) if meta_part is None else meta_part
    pieces = {"meta": meta_head.encode() + meta_part, "file": file_head.encode() + content} | parts
    body = b"".join(b"--frontier\r\n" + piece + b"\r\n" for piece in pieces.values() if piece is not None)
    return body + b"--frontier--\r\n"


def test_a_right_form_is_read_byte_for_byte():
    read = upload.read_form(TYPE, form())
    assert read == Form(meta=meta(), file_name="图.png", content=PNG)
    assert upload.objection(read) is None
    assert upload.stored_url(read) == f"https://wxpaylogo.qpic.cn/wxpaylogo/{hashlib.sha256(PNG).hexdigest()}.png"


def test_the_boundary_may_be_quoted_and_the_parts_swapped():
    body = (
        b"--frontier\r\n" + form().split(b"--frontier\r\n")[2] + b"--frontier\r\n" + form().split(b"--frontier\r\n")[1]
    )
    body = body.replace(b"--frontier--\r\n", b"") + b"--frontier--\r\n"
    assert upload.read_form('multipart/form-data; boundary="frontier"', body) == upload.read_form(TYPE, form())


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form()),
        ("multipart/form-data; boundary=other", form()),
        (TYPE, b""),
        (TYPE, form().removesuffix(b"--frontier--\r\n")),
        (TYPE, form() + b"more"),
        (TYPE, b"preamble\r\n" + form()),
        (TYPE, form(meta=None)),
        (TYPE, form(file=None)),
        (TYPE, form(more=b'Content-Disposition: form-data; name="more"\r\n\r\nx')),
        (TYPE, form(meta=b'Content-Disposition: form-data; name="file"\r\n\r\n{}')),
        (TYPE, form(meta_type="text/plain")),
        (TYPE, form(meta=b"no head")),
    ],
)
def test_broken_forms(content_type, body):
    answer = upload.read_form(content_type, body)
    assert (answer.status, answer.number) == (400, 268578101)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_it_fall_over(body):
    assert isinstance(upload.read_form(TYPE, b"--frontier\r\n" + body), Answer | Form)


@pytest.mark.parametrize(
    ("meta_part", "content", "name", "field"),
    [
        (b"{", PNG, "a.png", "/"),
        (b"{}", PNG, "a.png", "/filename"),
        (meta(name="a.gif"), PNG, "a.gif", "/filename"),
        (meta(name="a.jpeg"), PNG, "a.jpeg", "/filename"),
        (meta(name="b.png"), PNG, "a.png", "/filename"),
        (meta(name="x" * 147 + ".png"), PNG, "x" * 147 + ".png", "/filename"),
        (meta(name="a.png", more=1), PNG, "a.png", "/more"),
        (meta(name="a.png", sha256="0" * 64), PNG, "a.png", "/sha256"),
        (meta(name="a.png", sha256=5), PNG, "a.png", "/sha256"),
        (meta(b"GIF89a", "a.png"), b"GIF89a", "a.png", "file"),
    ],
)
def test_pictures_that_will_not_do(meta_part, content, name, field):
    answer = upload.objection(Form(meta_part, name, content))
    assert answer.status == 400
    assert json.loads(answer.body)["detail"]["field"] == field


@pytest.mark.parametrize(
    ("size", "number"), [(upload.MAX_PICTURE_BYTES, None), (upload.MAX_PICTURE_BYTES + 1, 270087680)]
)
def test_two_megabytes_and_no_more(size, number):
    content = PNG.ljust(size, b".")
    answer = upload.objection(Form(meta(content, "a.png"), "a.png", content))
    assert (answer.number if answer else None) == number


@pytest.mark.parametrize(("beginning", "name"), [(b"\xff\xd8\xff\xe0", "a.JPG"), (b"BM....", "a.bmp"), (PNG, "a.png")])
def test_three_formats(beginning, name):
    assert upload.objection(Form(meta(beginning, name), name, beginning)) is None
