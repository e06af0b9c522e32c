"""The deadline for all queries, tested with real sockets that misbehave."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from threading import enumerate as enumerate_threads

import pytest
from pytest_django import Settings

from otel_intel.exceptions import TelemetryUnavailable
from otel_intel.reading import reader
from otel_intel.reading.reader import Reader
from tests.waiting import poll_until

TIMEOUT = 0.4
PASSWORD = "p%40ss-word"


@contextmanager
def listening(serve: Callable[[socket.socket, Event], None]) -> Iterator[int]:
    """Listen on a free port; each connection is served in a thread until the test is over."""
    done = Event()
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threads.append(Thread(target=_serve, args=(serve, connection, done)))
                threads[-1].start()

        acceptor = Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()
            assert poll_until(lambda: not any(thread.name == "otel-intel-query" for thread in enumerate_threads()))


def _serve(serve: Callable[[socket.socket, Event], None], connection: socket.socket, done: Event) -> None:
    with connection, suppress(OSError):
        serve(connection, done)


def black_hole(connection: socket.socket, done: Event) -> None:
    done.wait()


def drip(connection: socket.socket, done: Event) -> None:
    """Answer byte by byte, so that no single read times out."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Never-Ending: ")
    while not done.wait(0.02):
        connection.sendall(b"x")


def babble(connection: socket.socket, done: Event) -> None:
    connection.recv(65536)
    connection.sendall(b"220 mail.example ESMTP\r\n\r\n")


@pytest.fixture
def url(settings: Settings) -> Callable[[int], None]:
    def use(port: int) -> None:
        settings.OTEL_INTEL = {
            "CLICKHOUSE_URL": f"http://someone:{PASSWORD}@127.0.0.1:{port}",
            "QUERY_TIMEOUT": TIMEOUT,
        }

    return use


def _fail() -> tuple[str, float]:
    started = time.monotonic()
    with pytest.raises(TelemetryUnavailable) as caught:
        Reader().rows(dict, "SELECT 1")
    return str(caught.value), time.monotonic() - started


def test_a_missing_url_names_the_setting(settings: Settings) -> None:
    settings.OTEL_INTEL = {}
    with pytest.raises(TelemetryUnavailable, match=r"OTEL_INTEL\['CLICKHOUSE_URL'\] is not set.*otel-intel env"):
        Reader()


@pytest.mark.parametrize(
    "bad",
    ["127.0.0.1:8123", "clickhouse://u:secret@host:9000", "http://", "http://u:secret@host:none", "http://[u:secret"],
)
def test_a_url_that_cannot_work_is_named_without_its_password(settings: Settings, bad: str) -> None:
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": bad}
    with pytest.raises(TelemetryUnavailable, match=r"OTEL_INTEL\['CLICKHOUSE_URL'\] is not an HTTP URL") as caught:
        Reader()
    assert "secret" not in str(caught.value)


def test_a_closed_port_is_reported_at_once(url: Callable[[int], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url(port)
    message, _ = _fail()
    assert f"127.0.0.1:{port} cannot be reached" in message
    assert "refused" in message


@pytest.mark.parametrize("serve", [black_hole, drip])
def test_a_server_that_does_not_finish_is_given_up_at_the_deadline(
    url: Callable[[int], None], serve: Callable[[socket.socket, Event], None]
) -> None:
    with listening(serve) as port:
        url(port)
        message, took = _fail()
    assert "did not answer within 0.4 s" in message
    assert TIMEOUT <= took < TIMEOUT + 0.6


def test_the_deadline_is_for_all_queries_of_a_reader(url: Callable[[int], None]) -> None:
    with listening(black_hole) as port:
        url(port)
        started = time.monotonic()
        shared = Reader()
        for _ in range(3):
            with pytest.raises(TelemetryUnavailable):
                shared.rows(dict, "SELECT 1")
        assert time.monotonic() - started < TIMEOUT + 0.6


def test_an_answer_that_is_not_http_is_reported(url: Callable[[int], None]) -> None:
    with listening(babble) as port:
        url(port)
        message, _ = _fail()
    assert "cannot be reached" in message


@pytest.mark.parametrize("serve", [black_hole, babble])
def test_no_message_holds_the_password(
    url: Callable[[int], None], serve: Callable[[socket.socket, Event], None]
) -> None:
    with listening(serve) as port:
        url(port)
        message, _ = _fail()
    assert "ss-word" not in message


def test_queries_fail_at_once_when_too_many_hang(url: Callable[[int], None]) -> None:
    with listening(drip) as port:
        url(port)
        shared = Reader()
        answers: list[Callable[[], object]] = [shared.start(dict, "SELECT 1") for _ in range(reader.MAX_STUCK)]
        for answer in answers:
            with pytest.raises(TelemetryUnavailable, match="did not answer"):
                answer()
        message, took = _fail()
    assert f"has not answered {reader.MAX_STUCK} earlier queries" in message
    assert took < TIMEOUT / 2


@pytest.mark.parametrize(("given", "port"), [("http://db", 8123), ("https://db", 8443), ("https://db:1", 1)])
def test_a_url_without_a_port_means_clickhouses_own(given: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)
    with pytest.raises(TelemetryUnavailable, match=f"ClickHouse at db:{port} was not asked"):
        Reader(url=given).rows(dict, "SELECT 1")


def test_clickhouse_sees_who_asks(url: Callable[[int], None]) -> None:
    asked: list[bytes] = []

    def note(connection: socket.socket, done: Event) -> None:
        asked.append(connection.recv(65536))

    with listening(note) as port:
        url(port)
        _fail()
    assert b"otel-intel" in asked[0]


def test_without_a_thread_there_is_no_answer(url: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    url(1)
    monkeypatch.setattr(Thread, "start", start)
    with pytest.raises(TelemetryUnavailable, match="was not asked: can't start new thread"):
        Reader().rows(dict, "SELECT 1")


def test_processes_that_only_send_do_not_import_the_client() -> None:
    code = "import otel_intel, sys; print([name for name in sys.modules if name.startswith('clickhouse_connect')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
