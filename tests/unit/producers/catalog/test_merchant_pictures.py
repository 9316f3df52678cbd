"""Cells that name pictures of the merchant's own: found, gathered, settled, in both formats."""

import io
import json

import pytest

from couponpress import catalog
from couponpress.catalog import NOT_UPLOADED_YET, MerchantPictures
from couponpress.errors import MerchantPictureFoundError
from couponpress.picture_files import Settled
from couponpress.uploads.catalog_upload import CatalogUpload
from tests.builders import cut_out_body

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"
NEW_URL = "https://wxpaylogo.qpic.cn/wxpaylogo/new.png"


def csv_file(path, *cells, header="brand_id,image_url"):
    path.write_text("\n".join([header, *(f"120344,{cell}" for cell in cells)]) + "\n", encoding="utf-8")
    return str(path)


def jsonl_file(path, *cells):
    bodies = [cut_out_body(number, cut_out={"image_url": cell}) for number, cell in enumerate(cells)]
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return str(path)


WRITERS = {"csv": csv_file, "jsonl": jsonl_file}


@pytest.fixture(params=sorted(WRITERS))
def written(request, tmp_path):
    """Write a catalog of cut-outs, in one format or the other."""

    def write(*cells):
        return WRITERS[request.param](tmp_path / f"shop.{request.param}", *cells)

    return write


def urls(upload):
    return [spec.spec().cut_out.image_url for spec in upload.specs()]


def test_without_a_way_to_upload_such_a_row_is_broken(written):
    with catalog.read(written(URL, "a.png")) as found:
        rows = list(found)
    assert [type(row).__name__ for row in rows] == ["Row", "BrokenRow"]
    assert "must be a picture stored on https://wxpaylogo.qpic.cn/" in "; ".join(map(str, rows[1].problems))


def test_a_catalog_without_such_a_cell_is_read_as_ever(written):
    upload = CatalogUpload([written(URL, URL)], pictures=MerchantPictures())
    assert urls(upload) == [URL, URL]


def test_the_first_such_cell_stops_the_reading(written):
    upload = CatalogUpload([written(URL, "a.png")], pictures=MerchantPictures())
    with pytest.raises(MerchantPictureFoundError, match=r"'a\.png' is not at the platform yet"):
        list(upload.specs())


def test_what_good_rows_name_is_gathered_once_each_in_order(written, tmp_path):
    pictures = MerchantPictures()
    pictures.phase = "gather"
    upload = CatalogUpload([written("b.png", URL, "https://a.example/1", "b.png", "/c.png")], pictures=pictures)
    assert urls(upload) == [NOT_UPLOADED_YET, URL, *[NOT_UPLOADED_YET] * 3]
    assert list(pictures.sources) == [str(tmp_path / "b.png"), "https://a.example/1", "/c.png"]


def test_pictures_of_broken_rows_and_of_head_pictures_are_not_gathered(tmp_path):
    header = "brand_id,image_generation_type,scope,type,threshold,discount_amount,image_url"
    lines = [
        "no brand,CUT_OUT,,,,,broken.png",
        "1,COMBINE_IMAGE,ALL,NORMAL,100,10,stray.png",
        "1,COMBINE_IMAGE,ALL,NORMAL,100,10,stray.png",
        "1,CUT_OUT,,,,,good.png",
    ]
    path = tmp_path / "shop.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    pictures = MerchantPictures()
    pictures.phase = "gather"
    upload = CatalogUpload([str(path)], pictures=pictures)
    assert len(list(upload.specs())) == 3
    assert list(pictures.sources) == [str(tmp_path / "good.png")]


def test_settled_pictures_stand_in_the_bodies_and_refused_ones_break_their_rows(written, tmp_path):
    pictures = MerchantPictures()
    upload = CatalogUpload([path := written(URL, "a.png", "b.png", "a.png", "late.png")], pictures=pictures)
    pictures.settle(Settled(str(tmp_path / "a.png"), NEW_URL))
    pictures.settle(Settled(str(tmp_path / "b.png"), reason="is no picture"))
    pictures.phase = "settled"
    assert urls(upload) == [URL, NEW_URL, NEW_URL]
    assert (upload.good, upload.broken) == (3, 2)
    told = upload.error_files[0].read_text(encoding="utf-8")
    assert "image_url: is no picture (got 'b.png')" in told
    assert "image_url: was not there when the catalog was first read (got 'late.png')" in told
    # The body is what the platform gets; the mended file must hold what the merchant wrote.
    assert NEW_URL not in told
    assert path


def test_a_second_reading_counts_anew(written):
    upload = CatalogUpload([written(URL, "nonsense://x")], pictures=MerchantPictures())
    for _ in range(2):
        assert urls(upload) == [URL]
        assert (upload.good, upload.broken, len(upload.error_files)) == (1, 1, 1)


def test_a_catalog_from_a_stream_names_files_of_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = MerchantPictures()
    pictures.phase = "gather"
    stream = io.BytesIO(b"brand_id,image_url\n1,a.png\n")
    for row in catalog.read(stream, format="csv", pictures=pictures):
        pictures.note_row(good=isinstance(row, catalog.Row))
    assert list(pictures.sources) == [str(tmp_path / "a.png")]
