"""Which addresses may be called, as pure arithmetic: nothing here connects to anything."""

import ipaddress

import pytest

from couponpress.settings import checked_hook_url
from couponpress.transport.web_address import literal, never_called, not_public, shown_url

PUBLIC = ["8.8.8.8", "203.119.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
INSIDE = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "::1", "fc00::1", "fd12::1"]
INSIDE += ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::"]
NEVER = {
    "link-local": [
        *("169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254"),
        *(
            "::ffff:a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
        ),
        *("2001:0:a9fe:a9fe::", "2001:0:808:808:0:0:5601:5601", "febf::1"),
    ],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "fec0::1", "100::", "64:ff9b:1::a9fe:a9fe", "1234::1"],
    "metadata": ["100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "::ffff:100.100.100.200"],
}
ALL_NEVER = [(word, one) for word, addresses in NEVER.items() for one in addresses]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass_both_rules(address):
    assert never_called(ipaddress.ip_address(address)) is None
    assert not_public(ipaddress.ip_address(address)) is None


@pytest.mark.parametrize("address", INSIDE)
def test_private_networks_and_this_machine_are_for_hooks_only(address):
    assert never_called(ipaddress.ip_address(address)) is None
    assert not_public(ipaddress.ip_address(address)) == "no public address"


@pytest.mark.parametrize(("word", "address"), ALL_NEVER)
def test_other_addresses_are_never_called(word, address):
    assert word in never_called(ipaddress.ip_address(address))
    assert not_public(ipaddress.ip_address(address)) == "no public address"


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.169.254.", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518"),
        *("169.16689662", "0xa9.0xfe.0xa9.0xfe", "025177524776", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"),
        *(
            "１６９.254.169.254",
            "%31%36%39.254.169.254",
            "169。254。169。254",
            "[fe80::1%25eth0]",
            "224.1",
            "0",
            "0.0.0.0",
        ),
        *("[::]", "240.1", "100.100.100.200", "[2002:a9fe:a9fe::]", "[fd00:ec2::254]"),
    ],
)
def test_a_hook_that_names_such_an_address_is_refused_however_it_is_spelt(host):
    assert never_called(literal(host))
    with pytest.raises(ValueError, match=r"is never called"):
        checked_hook_url(f"http://{host}:8080/latest?token=hunter2")


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "127.0.0.1", "[::1]", "[fd12::1]", "localhost", "shop.example", "dead.beef", "商店.example"]
)
def test_other_hooks_are_taken(host):
    assert checked_hook_url(f"https://{host}/hook?token=1") == f"https://{host}/hook?token=1"


@pytest.mark.parametrize("url", ["http://[::1/", "http://shop.example:99999/", "http://shop.example:x/", "http://:80/"])
def test_a_hook_that_no_client_could_call_is_refused(url):
    with pytest.raises(ValueError, match="must be an http"):
        checked_hook_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.example/hook", "https://shop.example/hook"),
        ("https://shop.example?token=hunter2", "https://shop.example?***"),
        ("https://shop.example/a@b?to=x@hunter2", "https://shop.example/a@b?***"),
        ("https://me:hunter2@shop.example:1/a", "https://***@shop.example:1/a"),
        ("//me:hunter2@shop.example", "//***@shop.example"),
        ("https://shop.example/#hunter2", "https://shop.example/#***"),
        ("https://me:h@hunter2@shop.example/", "https://***@shop.example/"),
        ("shop.example", "shop.example"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert shown_url(url) == shown
