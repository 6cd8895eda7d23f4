"""A home belongs to one process at a time, and what it tells is for its owner only."""

import stat
from pathlib import Path

import pytest

from infra.stack import Stack, StackError, endpoints, private, rabbitmq
from infra.stack.endpoints import BrokerNode, Endpoints, ObjectStore
from infra.stack.home import Home

SOMEWHERE = Endpoints(
    database="postgresql://u:p@127.0.0.1:1/d",
    amqp="amqp://u:p@127.0.0.1:2/v",
    s3=ObjectStore(endpoint="http://127.0.0.1:3", access_key="a", secret_key="s"),
    rabbitmq=BrokerNode(name="n@localhost", home="/h", epmd_port=4),
    metrics={"rabbitmq": "http://127.0.0.1:5/metrics"},
)


def test_a_held_home_is_refused_with_one_sentence_that_names_the_holder(tmp_path: Path) -> None:
    first, second = Home(tmp_path), Home(tmp_path)
    first.hold()
    try:
        with pytest.raises(StackError, match=r"in use by process \d+: stop that one, or set REELMILL_HOME") as refusal:
            second.hold()
        assert "\n" not in str(refusal.value)
    finally:
        first.let_go()
    second.hold()
    second.let_go()


def test_a_home_keeps_its_identity_and_two_homes_share_none_of_it(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    for home in (one, other):
        home.hold()
        home.let_go()
    assert one.identity() == Home(one.path).identity()
    mine, theirs = one.identity().model_dump(exclude={"ports"}), other.identity().model_dump(exclude={"ports"})
    assert not set(mine.values()) & set(theirs.values())


def test_private_files_are_replaced_whole_and_open_to_the_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o644)
    private.write(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_endpoints_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert endpoints.read(tmp_path) is None
    told = SOMEWHERE.with_application("http://127.0.0.1:6", "token", {"gateway": "http://127.0.0.1:7/metrics"})
    told.write(tmp_path)
    assert endpoints.read(tmp_path) == told
    assert set(told.metrics) == {"rabbitmq", "gateway"}
    endpoints.remove(tmp_path)
    endpoints.remove(tmp_path)
    assert endpoints.read(tmp_path) is None


def test_a_missing_broker_is_named_with_the_package_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "SCRIPTS", tmp_path / "nothing")
    with pytest.raises(StackError, match="RabbitMQ is not installed: install the system package rabbitmq-server"):
        Stack(tmp_path / "home").start()
    assert not (tmp_path / "home").exists()
