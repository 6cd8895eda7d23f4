"""Which addresses belong to the public Internet."""

import asyncio

import pytest

from infra.addresses import Unreachable, is_public, resolve


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_these_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "224.0.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",
    ],
)
def test_these_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "::1", "0"])
def test_a_name_for_ourselves_is_found_out(host: str) -> None:
    with pytest.raises(Unreachable) as refusal:
        asyncio.run(resolve(host, 80, private=False))
    assert refusal.value.code == "private_address"
    assert asyncio.run(resolve("127.0.0.1", 80, private=True)) == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 300, "a..b"])
def test_a_name_that_leads_nowhere(host: str) -> None:
    with pytest.raises(Unreachable) as refusal:
        asyncio.run(resolve(host, 80, private=True))
    assert refusal.value.code == "unknown_host"
