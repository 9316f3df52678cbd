"""The OpenAPI document and its page: honest about refusals, and in need of no other server."""

import json
import re

import pytest

from couponpress.gateway.app import application
from couponpress.gateway.document import document_of, page_of
from couponpress.gateway.problems import KINDS


@pytest.fixture(scope="module")
def document():
    return document_of(application(None, None, None, None, None, None))


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_refusal_is_a_problem_document(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (name, status)
        assert {"500", "503"} <= operation["responses"].keys(), name
        assert ("401" in operation["responses"]) == bool(operation.get("security")) == ("health" not in name), name


def test_every_kind_of_refusal_belongs_to_a_path(document):
    text = json.dumps(document["paths"])
    everywhere = {"no-such-path", "wrong-method"}
    assert {name for name in KINDS if f"`{name}`" not in text} <= everywhere


def test_every_reference_leads_somewhere(document):
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]
    assert r"\\z" not in json.dumps(document)


def test_the_page_has_everything_and_loads_nothing(document):
    page = page_of(document)
    for path in document["paths"]:
        assert path in page
    for name in KINDS:
        assert f'id="{name}"' in page
    assert not re.search(r"<script|<link|<img|src=|href=\"(?!/openapi\.json)", page)
