"""The file of partners changes under a running service: real files, looked at again and again."""

import asyncio

import pytest

from couponpress.errors import InputError
from couponpress.partners_watch import PartnersWatch
from couponpress.settings import ProducerSettings


def table(mchid, **values):
    return f'[[partner]]\nid = "{mchid}"\n' + "".join(f'{name} = "{value}"\n' for name, value in values.items())


class Service:
    """Writes down which partners begin and end, and refuses some."""

    def __init__(self, refused=()):
        self.acts, self.refused = [], refused

    async def begin(self, settings):
        if settings.mchid in self.refused:
            raise InputError("it has no tokens file.")
        self.acts.append(("begin", settings.mchid, settings.result_ttl))

    async def end(self, mchid):
        self.acts.append(("end", mchid))


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "partners.toml"
    path.write_text(table("1") + table("2"))
    monkeypatch.setenv("COUPONPRESS_PARTNERS", str(path))
    return path


def follow(file, *changes, service=None):
    """Make each change, look three times after it; returns what began and ended."""
    service = service or Service()

    async def run():
        watch = PartnersWatch(file, ProducerSettings.load_all)
        known = {one.mchid: one for one in ProducerSettings.load_all()}
        for change in changes:
            change()
            for _ in range(3):
                await watch.look(known, service.begin, service.end)

    asyncio.run(run())
    return service.acts


def written(path, *tables):
    return lambda: path.write_text("".join(tables))


def test_a_file_that_stays_changes_nothing(file, caplog):
    caplog.set_level("INFO")
    assert follow(file, lambda: None, written(file, table("1"), table("2"), "# a comment\n")) == []
    assert caplog.messages == []


def test_partners_begin_end_and_begin_anew(file):
    changed = table("2", result_ttl="99")
    acts = follow(file, written(file, table("1"), changed, table("3")), written(file, changed, table("3")))
    assert acts == [("begin", "2", 99), ("begin", "3", 604800), ("end", "1")]


def test_a_broken_file_is_told_with_its_cure_and_the_partners_stay(file, caplog):
    acts = follow(
        file,
        written(file, table("1"), table("2", resultttl="9"), table("1")),
        written(file, "[[partner"),
        written(file, ""),
        file.unlink,
        written(file, table("1"), table("2"), table("3")),
    )
    assert acts == [("begin", "3", 604800)]
    told = [one for one in caplog.messages if "the partners that were read before are served" in one]
    assert [one.partition("cannot be used: ")[2] != "" for one in told] == [True] * 4
    assert "'resultttl' is no setting of a partner; did you mean result_ttl?" in told[0]
    assert "there are two partners '1'; keep one of the tables" in told[0]
    assert "is no TOML" in told[1]


def test_an_address_that_comes_to_be_is_taken_up_without_a_change_of_the_file(file, tmp_path, caplog):
    acts = follow(
        file,
        written(file, table("1"), table("2"), table("3", redis_url_file="3.url")),
        lambda: (tmp_path / "3.url").write_text("redis://:secret@127.0.0.1:6379/3"),
    )
    assert acts == [("begin", "3", 604800)]
    assert "redis_url_file" in caplog.text
    assert "secret" not in caplog.text


def test_one_that_cannot_be_served_keeps_no_other(file, caplog):
    three_and_four = written(file, table("1"), table("2"), table("3"), table("4"))
    assert follow(file, three_and_four, service=Service(refused={"3"})) == [("begin", "4", 604800)]
    assert "partner 3 is not served" in caplog.text
    assert "it has no tokens file." in caplog.text


def test_what_nobody_foresaw_ends_no_watch(file, caplog):
    """It runs until the process is stopped."""

    async def run():
        stopped, seen = asyncio.Event(), asyncio.Event()

        async def begin(_):
            seen.set()
            raise ZeroDivisionError

        watch = PartnersWatch(file, ProducerSettings.load_all)
        file.write_text(table("1") + table("2") + table("3"))
        watch._files.changed = lambda: True  # at once, and again and again
        task = asyncio.create_task(watch.run(stopped, {}, begin, Service().end))
        async with asyncio.timeout(10):
            await seen.wait()
        assert not task.done()
        stopped.set()
        await task

    asyncio.run(run())
    assert "not all changes of" in caplog.text
