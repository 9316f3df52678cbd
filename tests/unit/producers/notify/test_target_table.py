"""Whatever is wrong in a table is one sentence with its cure, and no secret is shown."""

import pytest

from couponpress.notify.target_table import TargetTable
from tests.unit.producers.notify.test_kinds import GOOD


def read(**table):
    return TargetTable.read(table)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "dingtlak"}, "kind: 'dingtlak' is no kind of target; did you mean dingtalk?"),
        ({"kind": None}, "kind: is required"),
        ({"evnets": []}, "'evnets' is not a key of a target; did you mean events?"),
        ({"events": ["run.finnished"]}, "events: 'run.finnished' is no event; did you mean run.finished?"),
        ({"events": []}, "events: must be a list of events; there are run.finished, "),
        ({"language": "de"}, "language: 'de' is no language; there are en, zh_CN"),
        ({"name": "night shift"}, "name: must be 1 to 40 letters"),
        ({"brands": [120344]}, "brands: must be a text, or a list of them"),
        ({"url_file": None}, "needs its URL by exactly one of url_file and url_env"),
        ({"url_env": "ROBOT"}, "needs its URL by exactly one of url_file and url_env"),
        ({"url_file": None, "url_env": "COUPONPRESS_ROBOT"}, "url_env: must not begin with COUPONPRESS_"),
        ({"url_file": None, "url_env": "https://x"}, "url_env: must be the name of a variable"),
        ({"url_file": None, "url": GOOD["wecom"]}, "url: holds the robot's token, so it must not stand in this file"),
        ({"secret": "SEC1"}, "secret: must not stand in this file"),
        ({"secret_file": "s"}, "secret_file: robots of the kind wecom sign nothing; leave it out"),
        ({"kind": "dingtalk", "secret_file": "s", "secret_env": "S"}, "names its secret twice"),
        ({"kind": "webhook"}, "needs a secret to sign with"),
        ({"base_url": "https://gateway.example"}, "base_url: must be a scheme and a host of this machine"),
        ({"base_url": "http://127.0.0.1.evil.example"}, "base_url: must be a scheme and a host of this machine"),
        ({"console_url": "couponpress.example"}, "console_url: must be where the gateway is"),
    ],
)
def test_a_wrong_table_is_told_in_words(changes, told):
    table = {"kind": "wecom", "url_file": "robot"} | changes
    found = read(**{key: value for key, value in table.items() if value is not None})
    assert isinstance(found, list)
    assert any(one.startswith(told) for one in found), found
    assert not any("693a91f6" in one for one in found)
