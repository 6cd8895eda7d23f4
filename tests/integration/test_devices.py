"""A device has one holder at a time, and the next one only when all of the one before is gone."""

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from consumers.runtime.devices import Place
from infra.refusals import CannotStart
from tests.system import until


def work(place: int, pipe: Connection) -> None:
    """A child: it has inherited the place, and works until its end is asked for."""
    pipe.send(place)
    pipe.recv()


@pytest.mark.row("S1-13")
def test_a_place_is_free_when_its_holder_and_his_child_are_gone(tmp_path: Path) -> None:
    one, two = (Place(tmp_path / "device", name) for name in ("one", "two"))
    asked: list[str] = []
    assert one.take(lambda _: False), "nobody had it before"
    assert not two.take(lambda _: True)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=work, args=(one, theirs))
    child.start()
    assert isinstance(ours.recv(), int)
    one.close()
    assert not two.take(lambda _: True), "the child still works"
    child.kill()
    child.join()

    def unsettled(before: str) -> bool:
        asked.append(before)
        return False

    until(lambda: two.take(unsettled) or asked, "the lock is free")
    assert asked == ["one"]
    assert not two.held, "what the one before had claimed is not settled"
    assert two.take(lambda _: True)
    two.close()


def test_a_folder_that_is_not_there_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="REELMILL_DEVICE_LOCKS"):
        Place(tmp_path / "nowhere" / "device", "one")
