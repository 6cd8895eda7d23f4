"""Two stacks never listen on the same port."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from infra.stack.ports import HOST, SIZE, Block, Port, claim


@pytest.fixture
def block() -> Iterator[Block]:
    taken = claim()
    yield taken
    taken.release()


def test_two_blocks_do_not_touch(block: Block) -> None:
    other = claim()
    try:
        assert abs(other.base - block.base) >= SIZE
    finally:
        other.release()


def test_a_taken_block_is_not_given_again_although_its_owner_asks_for_it(block: Block) -> None:
    other = claim(preferred=block.base)
    try:
        assert other.base != block.base
    finally:
        other.release()


def test_a_free_block_is_given_back_to_the_one_who_had_it(block: Block) -> None:
    block.release()
    again = claim(preferred=block.base)
    again.release()
    assert again.base == block.base


def test_a_block_with_one_foreign_listener_is_left_alone(block: Block) -> None:
    block.release()
    with closing(socket.create_server((HOST, block[Port.S3]))):
        other = claim(preferred=block.base)
        other.release()
    assert other.base != block.base


def test_all_ports_are_below_those_of_outgoing_connections(block: Block) -> None:
    assert block.base > 1024
    assert max(block.metrics) < 32768


def test_every_listener_has_a_port_of_its_own(block: Block) -> None:
    numbers = [block[port] for port in Port if port is not Port.METRICS] + list(block.metrics)
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(block.base, block.base + SIZE))
