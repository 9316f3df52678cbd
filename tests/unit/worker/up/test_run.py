import pytest

from couponpress_worker.errors import ServiceError
from couponpress_worker.up.run import run_up


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match=r"cannot be used \(Not a directory\); choose another folder"):
        run_up(tmp_path / "file" / "up", print, configured={})
