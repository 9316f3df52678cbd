"""The page for people: every route shows the fields of its body and answer, and the examples are taken."""

import pytest

from couponpress.gateway import control_document
from couponpress.gateway.app import application
from couponpress.gateway.document import document_of, page_of
from couponpress.gateway.schema_page import example_of, model_of, shown_model
from couponpress.spec import TaskSpec


@pytest.fixture(scope="module")
def document():
    return document_of(application(None, None, None, None, None, None))


@pytest.fixture(scope="module")
def schemas(document):
    return document["components"]["schemas"]


@pytest.mark.parametrize("name", ["WhyBody", "PauseBody", "RedriveBody", "LimitBody", "SelectionBody"])
def test_the_example_of_a_body_is_taken(schemas, name):
    model = getattr(control_document, name)
    example = example_of(schemas[name], schemas)
    assert example
    assert model.model_validate(example).model_dump(by_alias=True, exclude_unset=True) == example


def test_the_example_of_a_spec_is_taken(schemas):
    spec, _ = TaskSpec.parse(example_of(schemas["TaskSpec"], schemas), strict=True)
    assert spec.task_id == "cut-out-000001"


def test_a_field_has_its_type_rules_and_meaning(schemas):
    shown = shown_model(schemas["PauseBody"], schemas)
    assert "<td><code>for</code></td><td>string or null</td><td>at most 40 characters</td><td>How long" in shown
    spec = shown_model(schemas["TaskSpec"], schemas)
    assert "<code>brand_id</code></td><td>string</td><td>required; at most 64 characters; matches ^" in spec
    assert "<code>combine_image.normal_coupon.threshold</code>" in spec
    assert "<code>errors[].rule</code>" in shown_model(schemas["ProblemDocument"], schemas)


def test_every_route_shows_its_models(document, schemas):
    page = page_of(document)
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = [one for status, one in operation["responses"].items() if int(status) < 400]
            for part in (operation.get("requestBody", {}), *answers):
                for content in part.get("content", {}).values():
                    model = model_of(content["schema"], schemas)
                    assert model is None or shown_model(model, schemas) in page
    assert page.count("<details>") > 30
