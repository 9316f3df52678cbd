"""The settings file and the schedule file: every mistake of the tables at once, and no target of one name twice."""

import pytest

from couponpress.errors import InputError
from couponpress.nightly.schedule_file import read_schedules
from couponpress.notify.target_file import chosen, fleet_targets, read_targets
from tests.unit.producers.notify.test_kinds import GOOD

ENVIRONMENT = {"WECOM": GOOD["wecom"], "DING": GOOD["dingtalk"]}
TABLES = (
    '[[notify]]\nkind = "wecom"\nurl_env = "WECOM"\n[[notify]]\nname = "ding"\nkind = "dingtalk"\nurl_env = "DING"\n'
)
SCHEDULE = '[schedule.prices]\ncron = "0 2 * * *"\ntime_zone = "Asia/Shanghai"\nsource = "*.csv"\n'


@pytest.fixture
def written(tmp_path):
    def write(text, name="notify.toml"):
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    return write


def names(targets):
    return [one.name for one in targets]


def test_targets_of_both_files_are_told(written):
    notify, schedules = (
        written(TABLES),
        written(
            SCHEDULE + TABLES.replace('"ding"', '"d2"').replace('"wecom"\nurl', '"wecom"\nname = "w2"\nurl'), "s.toml"
        ),
    )
    assert names(fleet_targets(notify, schedules, ENVIRONMENT.get)) == ["wecom", "ding", "w2", "d2"]
    assert names(fleet_targets(None, schedules, ENVIRONMENT.get)) == ["w2", "d2"]
    assert fleet_targets(None, None, ENVIRONMENT.get) == ()
    assert list(read_schedules(schedules).schedules) == ["prices"]


def test_a_schedule_file_that_is_elsewhere_names_nobody_here(written, tmp_path):
    assert fleet_targets(None, tmp_path / "none.toml", ENVIRONMENT.get) == ()
    assert fleet_targets(None, written(SCHEDULE), ENVIRONMENT.get) == ()


def test_a_name_stands_once(written):
    with pytest.raises(InputError, match="there are two targets 'wecom'"):
        fleet_targets(written(TABLES), written(SCHEDULE + TABLES, "s.toml"), ENVIRONMENT.get)
    with pytest.raises(InputError, match="there are two targets 'wecom'"):
        read_targets(written(TABLES.partition("[[notify]]\nname")[0] * 2), ENVIRONMENT.get)


def test_every_mistake_of_a_file_is_told_at_once(written):
    path = written('x = 1\n[[notify]]\nkind = "wecom"\n[[notify]]\nname = "d"\nkind = "slack"\n[[notfy]]\n')
    with pytest.raises(InputError) as error:
        read_targets(path, ENVIRONMENT.get)
    told = str(error.value)
    assert "[[notify]] wecom: needs its URL" in told
    assert "[[notify]] d: kind: 'slack' is no kind of target" in told
    assert "'notfy' is not a part of this file; did you mean notify?" in told
    assert "'x' is not a part of this file" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it holds no target"),
        ("[notify]\nkind = 'wecom'\n", "each target is a table"),
        ("notify = [1]\n", "each target is a table"),
        ("[[notify]", "is no TOML"),
    ],
)
def test_a_file_without_targets_is_told_in_words(written, text, told):
    with pytest.raises(InputError, match=told):
        read_targets(written(text), ENVIRONMENT.get)


def test_a_file_that_is_not_there_is_told_in_words(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read .* COUPONPRESS_NOTIFY_FILE"):
        fleet_targets(tmp_path / "none.toml", None, ENVIRONMENT.get)


def test_a_schedule_file_tells_of_its_targets_without_their_secrets(written):
    assert read_schedules(written(SCHEDULE + TABLES)).schedules
    with pytest.raises(
        InputError, match=r"\[\[notify\]\] wecom: 'evnts' is not a key of a target; did you mean events"
    ):
        read_schedules(written(SCHEDULE + TABLES.replace("url_env", 'evnts = "x"\nurl_env', 1)))


def test_a_target_is_chosen_by_its_name(written):
    targets = read_targets(written(TABLES), ENVIRONMENT.get)
    assert names(chosen(targets, None)) == ["wecom", "ding"]
    assert names(chosen(targets, "ding")) == ["ding"]
    with pytest.raises(InputError, match="there is no target 'dng'; did you mean ding"):
        chosen(targets, "dng")
