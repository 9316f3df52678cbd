"""Files that change are told once, when all of them are in place."""

import os

import pytest

from couponpress.watched_files import WatchedFiles


@pytest.fixture
def paths(tmp_path):
    """One file that is there, and one that is not."""
    (tmp_path / "there").write_text("a")
    return tmp_path / "there", tmp_path / "missing"


def looks(watched, count=3):
    return [watched.changed() for _ in range(count)]


def test_a_change_is_told_once_after_two_equal_looks(paths):
    watched = WatchedFiles(lambda: paths)
    assert looks(watched) == [False] * 3
    paths[0].write_text("ab")
    assert looks(watched) == [False, True, False]
    paths[1].write_text("new")
    assert looks(watched) == [False, True, False]
    paths[0].unlink()
    assert looks(watched) == [False, True, False]


def test_a_file_that_is_still_written_is_waited_for(paths):
    watched = WatchedFiles(lambda: paths)
    for size in range(3, 7):
        paths[0].write_text("x" * size)
        assert not watched.changed()
    assert watched.changed()


def test_other_rights_and_a_replaced_file_are_changes(paths, tmp_path):
    watched = WatchedFiles(lambda: paths)
    paths[0].chmod(0o400)
    assert looks(watched) == [False, True, False]
    before = paths[0].stat()
    (tmp_path / "next").write_text("b")
    os.utime(tmp_path / "next", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "next").replace(paths[0])
    assert looks(watched) == [False, True, False]


def test_the_files_to_watch_may_change_with_what_they_hold(paths):
    watched = WatchedFiles(lambda: paths if paths[0].read_text() == "both" else paths[:1])
    paths[1].write_text("not watched")
    assert looks(watched) == [False] * 3
    paths[0].write_text("both")
    assert looks(watched) == [False, True, False]
