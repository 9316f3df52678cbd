"""The table of rights: it names every key and every command that is used, and nothing else; the file is made of it."""

import inspect
import re
from pathlib import Path

import pytest

from couponpress.keys import Keys
from couponpress.redis_rights import COMMANDS, NAMES, PLACEHOLDER, ROLES, commands_of, patterns_of, user_of, users_acl

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT / "producers" / "couponpress", ROOT / "worker" / "couponpress_worker"]
KEYS = Keys("1900000000")
#: What libraries send that our own code does not name: redis-py's connections, pipelines and locks, kombu's transport.
OF_LIBRARIES = {
    "multi": "pipelines",
    "exec": "pipelines",
    "discard": "the check of rights",
    "watch": "kombu puts hints back",
    "unwatch": "kombu puts hints back",
    "client|setinfo": "connections",
    "select": "connections to another database than 0",
    "evalsha": "scripts",
    "script|exists": "scripts in pipelines",
    "pttl": "redis-py's lock, which redbeat uses",
    "brpop": "kombu",
    "unsubscribe": "the end of a subscription",
    "acl|whoami": "the line that grants a right",
}


def in_scripts():
    """Every command of every script, by its file."""
    for folder in SOURCES:
        for path in folder.rglob("*.lua"):
            code = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
            for command in re.findall(r"redis\.p?call\(\s*'(\w+)'", code):
                yield path.name, command.lower()


def in_python():
    """Every name that is called on something, in all modules."""
    text = "".join(path.read_text(encoding="utf-8") for folder in SOURCES for path in folder.rglob("*.py"))
    return {name.removesuffix("_iter") for name in re.findall(r"\.(\w+)\(", text)}


def test_every_command_of_a_script_may_be_given_by_who_writes():
    lacking = {(name, command) for name, command in in_scripts() if command not in COMMANDS}
    assert not lacking


def test_no_command_is_allowed_that_nobody_gives():
    scripts, called = {command for _, command in in_scripts()}, in_python()
    unused = {
        command
        for command in COMMANDS.keys() - OF_LIBRARIES.keys()
        if command not in scripts and command.replace("|", "_").replace("del", "delete") not in called
    }
    assert unused == set()
    assert OF_LIBRARIES.keys() <= COMMANDS.keys()


def test_every_name_stands_in_the_table():
    known = {name for name, one in inspect.getmembers(Keys) if not name.startswith("_")}
    shared = {"queue_again": "queue", **dict.fromkeys(["flows_left", "flows_resting", "flow_runs", "ready"], "flows")}
    assert {name.attribute for name in NAMES} == known - {"prefix", "queues", "mchid", *shared}
    for attribute, other in shared.items():  # names that begin alike share a pattern
        name = getattr(KEYS, attribute)
        if callable(name):
            name = name(*["b1"] * len(inspect.signature(name).parameters))
        assert name.startswith(getattr(KEYS, other)("*").rstrip("*")), attribute


@pytest.mark.parametrize("role", ROLES)
def test_nobody_leaves_the_partner_s_prefix(role):
    for pattern in patterns_of(KEYS, role):
        assert re.fullmatch(r"(~|%R~|%W~|&)couponpress:1900000000:[\w:*-]+", pattern), pattern


def rules_of(role, name):
    return [one for one in patterns_of(KEYS, role) if one.endswith(f":{name}")]


def test_only_workers_take_slots_of_the_submit_limit():
    for role in ROLES:
        allowed = rules_of(role, "bucket:submit")
        assert (allowed == ["~couponpress:1900000000:bucket:submit"]) == (role == "worker")


def test_a_callback_receiver_cannot_enqueue():
    for name in ("queue:*", "run-numbers", "runs", "staged:*", "brands:*", "bucket:submit"):
        assert rules_of("callback", name) == []
    assert rules_of("callback", "index:*") == ["%R~couponpress:1900000000:index:*"]
    assert "lpush" not in commands_of("callback")


def test_a_producer_acts_on_nobody_s_holds_and_reads_no_queue():
    assert rules_of("producer", "audit") == []  # every act of a person is noted there by the script that does it
    assert rules_of("producer", "queue:*") == ["%W~couponpress:1900000000:queue:*"]
    assert "publish" not in commands_of("producer")


def test_who_tells_metrics_only_reads():
    assert {one[:3] for one in patterns_of(KEYS, "metrics")} == {"%R~"}
    assert not {"evalsha", "set", "del", "hset", "xadd", "publish"} & set(commands_of("metrics"))


@pytest.mark.parametrize("command", ["keys", "flushdb", "flushall", "shutdown", "acl|setuser", "config|set", "debug"])
def test_nobody_gives_a_command_that_harms_other_partners(command):
    assert command not in COMMANDS


def test_the_delivered_file_is_made_of_the_table():
    delivered = (ROOT / "deploy" / "redis" / "users.acl").read_text(encoding="utf-8")
    assert delivered == users_acl(KEYS), "run `make users-acl`"
    assert delivered.count(PLACEHOLDER) == len(ROLES) + 1
    assert delivered.startswith("user default off\n")
    assert all(f"user {user_of(KEYS, role)} on " in delivered for role in ROLES)
