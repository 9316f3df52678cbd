"""The sample catalog: plausible, the same every time, and broken exactly where it says."""

import csv
from collections import Counter

import pytest

from couponpress import catalog
from couponpress_worker.demo.fleet import sample_catalog


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "catalog.csv"
    sample_catalog.write(path, rows=2000)
    return path


def rows_of(path):
    with catalog.read(path) as rows:
        found = list(rows)
    return rows, found


def test_the_same_arguments_give_the_same_bytes(sample, tmp_path):
    sample_catalog.write(tmp_path / "again.csv", rows=2000)
    assert (tmp_path / "again.csv").read_bytes() == sample.read_bytes()
    sample_catalog.write(tmp_path / "other.csv", rows=2000, seed=2)
    assert (tmp_path / "other.csv").read_bytes() != sample.read_bytes()


def test_it_is_written_as_excel_would(sample):
    assert sample.read_bytes().startswith(b"\xef\xbb\xbf")
    with sample.open(encoding="utf-8-sig", newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header) == sample_catalog.HEADER
    assert len(lines) == 2000
    assert {len(line) for line in lines} == {len(header)}
    assert len({line[0] for line in lines}) == 2000


def test_every_kind_of_picture_coupon_scope_and_brand_is_in_it(sample):
    rows, found = rows_of(sample)
    specs = [row.spec for row in found if isinstance(row, catalog.Row)]
    offers = [spec.combine_image for spec in specs if spec.combine_image]
    assert (rows.good, rows.broken) == (1988, 12)
    assert {spec.image_generation_type for spec in specs} == {"COMBINE_IMAGE", "CUT_OUT"}
    assert {offer.type for offer in offers} == {"NORMAL", "DISCOUNT", "EXCHANGE"}
    assert {offer.scope for offer in offers} == {"ALL", "SINGLE", "CATEGORY"}
    assert {offer.background_color is None for offer in offers} == {True, False}
    assert {spec.brand_id for spec in specs} == {brand_id for _, brand_id, _ in sample_catalog.BRANDS}
    assert rows.unused_columns == ("商品名称", "库存", "开始日期")


def test_every_mistake_is_found_as_a_mistake_of_its_own(sample):
    _, found = rows_of(sample)
    broken = [row for row in found if isinstance(row, catalog.BrokenRow)]
    assert len(sample_catalog.MISTAKES) == 12
    assert Counter(len(row.problems) for row in broken) == {1: 12}
    assert len({(row.problems[0].field, row.problems[0].rule) for row in broken}) == 12


@pytest.mark.parametrize(("rows", "broken"), [(1, 0), (1, 1), (30, 30), (200, 0)])
def test_as_many_rows_are_broken_as_were_asked_for(tmp_path, rows, broken):
    path = tmp_path / "catalog.csv"
    sample_catalog.write(path, rows=rows, broken=broken)
    found, _ = rows_of(path)
    assert (found.good, found.broken) == (rows - broken, broken)
