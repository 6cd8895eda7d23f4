"""The local servers as a developer meets them: side by side, private, restartable, and gone without a trace."""

import contextlib
import io
import ipaddress
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import minio
import psutil
import pytest
from sqlalchemy import text

from infra import db
from infra.stack import Program, Stack, StackError, endpoints, termination
from infra.stack.endpoints import Endpoints
from infra.stack.ports import HOST, Port
from infra.stack.server import Server
from tests.system import PATIENCE, until

ROOT = Path(__file__).parents[2]
#: A process that starts a stack and holds it until it is killed.
STARTER = "import sys, pathlib, infra.stack; infra.stack.Stack(pathlib.Path(sys.argv[1])).start(); sys.stdin.read()"
CONTENT = b"content" * 1000


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    """Two stacks started in the same moment, data in the first; the other has a blank in its path."""
    stacks = Stack(tmp_path_factory.mktemp("one")), Stack(tmp_path_factory.mktemp("the other"))
    with ThreadPoolExecutor() as pool:
        list(pool.map(Stack.start, stacks))
    _leave_data(stacks[0])
    yield stacks
    for stack in stacks:
        stack.stop()


@pytest.fixture
def stack(pair: tuple[Stack, Stack]) -> Stack:
    return pair[0]


def _objects(at: Endpoints) -> minio.Minio:
    address = urlsplit(at.s3.endpoint).netloc
    return minio.Minio(address, access_key=at.s3.access_key, secret_key=at.s3.secret_key, secure=False)


def _leave_data(stack: Stack) -> None:
    """A table, an object and a virtual host called `kept`."""
    engine = db.connect(stack.endpoints.database)
    with engine.begin() as connection:
        connection.execute(text("create table kept ()"))
    engine.dispose()
    store = _objects(stack.endpoints)
    store.make_bucket("kept")
    store.put_object("kept", "object", io.BytesIO(CONTENT), len(CONTENT))
    stack.rabbitmqctl("add_vhost", "kept")


def _has_data(stack: Stack) -> tuple[bool, bool, bool]:
    engine = db.connect(stack.endpoints.database)
    with engine.connect() as connection:
        table = connection.execute(text("select to_regclass('kept') is not null")).scalar_one()
    engine.dispose()
    store = _objects(stack.endpoints)
    stored = store.bucket_exists("kept") and store.get_object("kept", "object").read() == CONTENT
    return bool(table), stored, "kept" in stack.rabbitmqctl("list_vhosts").split()


def _processes(stack: Stack) -> list[psutil.Process]:
    """All that the stack started, and all below it."""
    found = {below for process in stack.site.processes.running() for below in process.popen.children(recursive=True)}
    return [*(psutil.Process(process.pid) for process in stack.site.processes.running()), *found]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def _about(home: Path) -> dict[str, psutil.Process]:
    """Live processes that have this home in their environment or command line, or work in it; one of each name."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if str(home) in f"{process.environ()} {process.cmdline()} {process.cwd()}" and termination.alive(process):
                found[process.name()] = process
    return found


def test_two_stacks_side_by_side_share_nothing(pair: tuple[Stack, Stack]) -> None:
    one, other = pair
    assert _has_data(one) == (True, True, True)
    assert _has_data(other) == (False, False, False)


def test_they_listen_on_loopback_only(stack: Stack) -> None:
    listening = [
        connection.laddr
        for process in _processes(stack)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.port for address in listening} >= {
        stack.ports[port] for port in (Port.POSTGRES, Port.AMQP, Port.S3)
    }
    assert {address.port for address in listening} <= set(range(stack.ports.base, stack.ports.metrics.start))
    assert all(ipaddress.ip_address(address.ip).is_loopback for address in listening)


def test_nobody_gets_an_object_without_a_key(stack: Stack) -> None:
    for port in (Port.S3, Port.FILER, Port.VOLUME):
        for path in ("kept/object", "buckets/kept/object"):
            with pytest.raises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(f"http://{HOST}:{stack.ports[port]}/{path}")
            refusal.value.close()
            assert refusal.value.code in {401, 403, 404}


def test_nobody_gets_into_the_database_without_the_password(pair: tuple[Stack, Stack]) -> None:
    one, other = pair
    engine = db.connect(one.endpoints.database.replace(one.site.identity.database_password, "guess"))
    with pytest.raises(db.AWAY, match="password authentication failed"):
        engine.connect()
    assert one.site.identity.database_password != other.site.identity.database_password


def test_the_home_is_closed_to_others_and_tells_its_owner_where_everything_is(stack: Stack) -> None:
    assert not stack.home.stat().st_mode & (stat.S_IRWXO | stat.S_IRGRP | stat.S_IWGRP)
    file = stack.home / "endpoints.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert endpoints.read(stack.home) == stack.endpoints
    assert stack.environment()["REELMILL_DATABASE_URL"] == stack.endpoints.database
    with urllib.request.urlopen(stack.endpoints.metrics["rabbitmq"]) as answer:
        assert b"rabbitmq_build_info" in answer.read()


def test_a_second_start_on_the_same_home_is_refused_and_harms_nobody(stack: Stack) -> None:
    second = Stack(stack.home)
    with pytest.raises(StackError, match="in use by process"):
        second.start()
    second.stop()
    assert all(server.answers() for server in (stack.postgres, stack.objects, stack.rabbitmq))
    assert endpoints.read(stack.home) == stack.endpoints


@pytest.mark.parametrize("name", ["postgres", "objects", "rabbitmq"])
def test_each_server_can_be_killed_and_started_where_it_was(stack: Stack, name: str) -> None:
    before = stack.endpoints
    server: Server = getattr(stack, name)
    server.kill()
    assert not server.running
    assert not server.answers()
    server.start()
    assert stack.endpoints == before
    assert _has_data(stack) == (True, True, True)


def test_a_killed_database_starts_again_although_a_zombie_bears_its_number(stack: Stack) -> None:
    lock = stack.home / "postgres" / "postmaster.pid"
    stack.postgres.kill()
    zombie = subprocess.Popen(["/bin/true"], user=lock.stat().st_uid)
    termination.await_end([psutil.Process(zombie.pid)], seconds=PATIENCE)
    lock.write_text("\n".join([str(zombie.pid), *lock.read_text().splitlines()[1:]]) + "\n")
    stack.postgres.start()
    zombie.wait()
    assert _has_data(stack) == (True, True, True)


def test_a_command_that_the_broker_refuses_raises_its_words(stack: Stack) -> None:
    with pytest.raises(StackError, match="does not exist"):
        stack.rabbitmqctl("delete_user", "nobody")


def test_erlang_is_evaluated_on_the_broker_or_its_words_are_raised(stack: Stack) -> None:
    assert stack.evaluate("erlang:length([a, b])") == "2"
    for wrong in ("nobody:does()", "1 +", "throw(away)"):
        with pytest.raises(StackError, match="did not evaluate"):
            stack.evaluate(wrong)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(stack: Stack) -> None:
    version = stack.home / "postgres" / "PG_VERSION"
    stack.postgres.stop()
    version.write_text("9\n")
    try:
        with pytest.raises(StackError, match=r"postgres ended while starting[\s\S]*incompatible with server"):
            stack.postgres.start()
    finally:
        version.write_text("18\n")
        stack.postgres.start()


def test_a_program_runs_on_the_stack_and_ends_when_asked(stack: Stack) -> None:
    argv = [sys.executable, "-c", "import os, time; print(os.environ['REELMILL_HOME'], flush=True); time.sleep(600)"]
    program = stack.spawn(Program("program", argv, stack.environment(), grace=PATIENCE))
    assert until(program.tail, "the program speaks") == str(stack.home)
    assert program in stack.site.processes.running()
    program.stop()
    assert program.exit_code() == -15


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A home whose holder was killed in full run, and whose database server was killed after it."""
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE)
    at = until(lambda: endpoints.read(tmp_path), "the stack is up")
    store = _objects(at)
    store.make_bucket("kept")
    store.put_object("kept", "object", io.BytesIO(CONTENT), len(CONTENT))
    starter.kill()
    starter.communicate()
    assert {"postgres", "weed", "beam.smp", "epmd"} <= set(_about(tmp_path))
    postmaster = psutil.Process(int((tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
    # It may stay a zombie for as long as init likes, which must not be taken for a running server.
    postmaster.kill()
    return tmp_path


def test_after_a_crash_the_next_start_takes_over_and_its_stop_leaves_nothing(crashed: Path, stack: Stack) -> None:
    before, left = endpoints.read(crashed), _about(crashed).values()
    with Stack(crashed) as restarted:
        assert not any(termination.alive(process) for process in left)
        assert restarted.endpoints == before
        assert _objects(restarted.endpoints).get_object("kept", "object").read() == CONTENT
        ports = {str(restarted.ports[port]) for port in Port}
        program = restarted.spawn(Program("program", ["/bin/sleep", "600"], {}))
    assert program.exit_code() is not None
    assert _about(crashed) == {}
    assert not [port for port in ports if _listens(int(port))]
    assert not [path for path in Path("/tmp").glob("seaweedfs-*.sock") if path.stem.rpartition("-")[2] in ports]
    assert endpoints.read(crashed) is None
    assert all(server.answers() for server in (stack.postgres, stack.objects, stack.rabbitmq))
