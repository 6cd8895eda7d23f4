"""The bulk producer on a real broker: every job has a fate whatever happens to connections, and memory is bounded."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest

from infra.producer import Lost, Producer, Refused, Returned
from infra.settings import Settings
from infra.stack import Stack
from infra.topology import JOBS, queue_of
from schemas.registry import Consumer
from schemas.wire import LARGEST_BODY, PackedJob, decode_packed, decode_params, is_packed
from tests.broker import Broker, declare
from tests.system import PATIENCE, until

QUEUE = queue_of(Consumer.DISPATCHER)
NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture
def url(settings: Settings) -> str:
    return settings.amqp_url.get_secret_value()


@pytest.fixture
def broker(settings: Settings, url: str) -> Iterator[Broker]:
    declare(settings)
    with Broker(settings) as broker:
        yield broker


def taken(broker: Broker) -> list[tuple[UUID, dict[str, Any]]]:
    """The jobs that lie in the queue."""
    found: list[tuple[UUID, dict[str, Any]]] = []
    for _, properties, body in broker.take_all(QUEUE):
        if is_packed(properties.content_type):
            found += [(job.id, job.params) for _, job in decode_packed(body) if isinstance(job, PackedJob)]
        else:
            found.append((UUID(properties.message_id), decode_params(body)))
    return found


def results(futures: list["Future[UUID]"]) -> list[UUID]:
    return [future.result(timeout=PATIENCE) for future in futures]


@pytest.mark.parametrize("pack", [False, True])
def test_every_job_arrives_in_its_order_and_its_future_has_the_id(url: str, broker: Broker, pack: bool) -> None:
    with Producer(url, window=300, pack=pack) as producer:
        ids = results([producer.send("probe.echo", {"text": str(n)}) for n in range(2000)])
        assert broker.depth(QUEUE) <= (300 if pack else 2000)
    assert taken(broker) == [(job_id, {"text": str(n)}) for n, job_id in enumerate(ids)]


def test_a_message_says_what_a_job_needs(url: str, broker: Broker) -> None:
    mine, trace = uuid4(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with Producer(url, pack=True) as producer:
        assert producer.send("analyze.sleep", {"time": 1}, id=mine, priority=3, traceparent=trace).result() == mine
    _, properties, body = broker.take(queue_of(Consumer.ANALYZER))  # type: ignore[misc]  # leased jobs never share one
    assert (properties.message_id, properties.type, properties.priority) == (str(mine), "analyze.sleep", 7)
    assert (properties.delivery_mode, properties.headers["traceparent"], body) == (2, trace, b'{"time":1}')


@pytest.mark.row("X-04")
def test_connections_that_are_cut_lose_nothing(url: str, broker: Broker, settings: Settings, stack: Stack) -> None:
    vhost = url.rpartition("/")[2]
    futures: list[Future[UUID]] = []
    cut = threading.Event()
    # Packed, so that there are few messages to look at afterwards.
    with Producer(url, window=300, pack=True) as producer:

        def send() -> None:
            while not cut.is_set():
                futures.append(producer.send("probe.echo", {"text": str(len(futures))}))

        sending = threading.Thread(target=send)
        sending.start()
        for _ in range(2):
            before = len(futures)
            until(lambda before=before: len(futures) > before + 1000, "jobs flow")  # type: ignore[misc]
            stack.rabbitmqctl("close_all_connections", "--vhost", vhost, "a test cuts it")
        cut.set()
        sending.join()
        ids = results(futures)
    with Broker(settings) as after:
        arrived = {job_id for job_id, _ in taken(after)}
    assert len(set(ids)) == len(futures)
    assert arrived == set(ids)


def test_a_full_queue_refuses_and_every_job_is_accounted_for(url: str, broker: Broker) -> None:
    broker.delete(QUEUE)
    broker.queue(QUEUE, JOBS, "probe.echo", x_max_length=10, x_overflow="reject-publish")
    with Producer(url, window=50) as producer:
        futures = [producer.send("probe.echo", {"text": str(n)}) for n in range(500)]
        producer.flush()
        refused = [future for future in futures if future.exception() is not None]
    assert {type(future.exception()) for future in refused} == {Refused}
    assert len(taken(broker)) == 500 - len(refused) < 500


def test_what_no_queue_is_bound_for_comes_back(url: str, broker: Broker) -> None:
    broker.delete_exchange(JOBS)
    broker.delete(QUEUE)
    broker.exchange(JOBS)
    broker.queue(QUEUE, JOBS, "probe.echo")
    with Producer(url) as producer:
        twice = uuid4()  # equal ids on purpose: each comes back on its own
        futures = [producer.send(kind, id=twice) for kind in ("no.such", "no.such", "probe.echo")]
        assert [type(future.exception(timeout=PATIENCE)) for future in futures] == [Returned, Returned, type(None)]


def test_memory_is_bounded_while_the_broker_is_away_and_closing_says_what_is_lost() -> None:
    producer = Producer(NOWHERE, window=10, timeout=0.2)
    futures = [producer.send("probe.echo") for _ in range(10)]

    def complaint() -> str:
        with pytest.raises(TimeoutError, match="10 jobs") as error:
            producer.send("probe.echo")
        return str(error.value)

    until(lambda: "broken" in complaint(), "the broker was asked, and is not there")
    with pytest.raises(TimeoutError, match="10 jobs"):
        producer.flush()
    assert futures[0].cancel()
    producer.close(timeout=0)
    assert [type(future.exception()) for future in futures[1:]] == [Lost] * 9
    with pytest.raises(Lost):
        producer.send("probe.echo")
    producer.close()


def test_closing_while_it_connects_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # takes the only place: the next one waits
            producer = Producer(f"amqp://guest:guest@127.0.0.1:{port}/")
            until(lambda: asking(port), "a connection is asked for")
            producer.close(timeout=0)
            assert not asking(port)


def asking(port: int) -> bool:
    """Whether this process waits for an answer from a port."""
    found = psutil.Process().net_connections("tcp4")
    return any(c.status == psutil.CONN_SYN_SENT and c.raddr.port == port for c in found)


def test_what_no_consumer_takes_is_not_sent(url: str, broker: Broker) -> None:
    with Producer(url) as producer:
        with pytest.raises(ValueError, match="bytes"):
            producer.send("probe.echo", {"text": "x" * LARGEST_BODY})
        with pytest.raises(ValueError, match="priority"):
            producer.send("probe.echo", priority=10)
        with pytest.raises(TypeError):
            producer.send("probe.echo", {"text": object()})
    with pytest.raises(ValueError, match="amqp"):
        Producer("http://127.0.0.1/")
    assert taken(broker) == []


def test_a_callback_may_send_although_the_window_is_full(url: str, broker: Broker) -> None:
    with Producer(url, window=1) as producer:
        again: list[Future[UUID]] = []
        first = producer.send("probe.echo", {"text": "first"})
        first.add_done_callback(lambda _: again.append(producer.send("probe.echo", {"text": "again"})))
        first.result(timeout=PATIENCE)
        until(lambda: again, "the callback has sent")
        again[0].result(timeout=PATIENCE)
    assert [params["text"] for _, params in taken(broker)] == ["first", "again"]
