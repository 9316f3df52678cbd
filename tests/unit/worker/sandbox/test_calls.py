from couponpress_worker.sandbox.calls import Calls, Life, body_digest


def test_an_entry_has_a_value_in_every_column():
    calls, life = Calls(), Life(11, port=8900)
    calls.arrived(life, None)
    calls.arrived(None, "resets_before")
    calls.read(0, b"{}")
    calls.taken(0, "new")
    calls.answered(0, 17)
    life.lost_us = 23
    assert calls.told() == {
        "bodies": [body_digest(b"{}"), ""],
        "meanings": ["new", ""],
        "faults": ["", "resets_before"],
        "answered_us": [17, 0],
        "ports": [8900, 0],
        "opened_us": [11, 0],
        "lost_us": [23, 0],
    }


def test_a_digest_tells_bodies_apart():
    assert body_digest(b"{}") == body_digest(b"{}") != body_digest(b"{ }")
    assert len(body_digest(b"")) == 16
