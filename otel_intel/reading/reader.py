"""Queries to ClickHouse as the reader, each within one total deadline."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import date
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from urllib.parse import SplitResult, unquote

from otel_intel.conf import get_settings, parse_url
from otel_intel.exceptions import TelemetryUnavailable

# The client takes a while to import, and many processes only send events: it is imported for the first query.
if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# The driver logs what is raised anyway.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

Parameter: TypeAlias = str | int | date
Row = TypeVar("Row")

MAX_STUCK: Final = 8
"""Queries past their deadline that may linger in a process before further ones fail at once."""

_EXAMPLE: Final = "such as http://intel_reader:password@127.0.0.1:8123"
_ADVICE: Final = {
    60: "run `otel-intel migrate`",  # UNKNOWN_TABLE
    81: "run `otel-intel migrate`",  # UNKNOWN_DATABASE
    497: "OTEL_INTEL['CLICKHOUSE_URL'] must name a user who may read metrics.*",  # ACCESS_DENIED
    516: "check the user and the password in OTEL_INTEL['CLICKHOUSE_URL']",  # AUTHENTICATION_FAILED
}
_clients: Final[dict[tuple[int, str], Client]] = {}
_stuck: Final[list[Thread]] = []


class Reader:
    """Answer queries within one deadline: make one for each call or page.

    Args:
        seconds: Time for all queries together, OTEL_INTEL['QUERY_TIMEOUT'] by default; the clock starts here.
        url: A reader's ClickHouse URL, OTEL_INTEL['CLICKHOUSE_URL'] by default.

    Raises:
        TelemetryUnavailable: If no usable CLICKHOUSE_URL is set.
    """

    def __init__(self, seconds: float | None = None, url: str = "") -> None:
        import clickhouse_connect.driver  # noqa: F401 (before the clock starts)

        settings = get_settings()
        self._seconds = settings.QUERY_TIMEOUT if seconds is None else seconds
        self._until = time.monotonic() + self._seconds
        url = url or settings.CLICKHOUSE_URL
        self._key = (os.getpid(), url)
        self._address = _address(url)
        self._port = self._address.port or (8443 if self._address.scheme == "https" else 8123)

    def rows(self, into: Callable[..., Row], sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Row]:
        """Return ``into(**row)`` for each row.

        Args:
            into: Takes the query's columns by name: a TypedDict, a NamedTuple, dict, …
            sql: With server-side parameters, as ``{name:Type}``.
            parameters: Their values.

        Raises:
            TelemetryUnavailable: On any failure, at the deadline at the latest.
        """
        return self.start(into, sql, parameters)()

    def start(
        self, into: Callable[..., Row], sql: str, parameters: Mapping[str, Parameter] | None = None
    ) -> Callable[[], list[Row]]:
        """Start a query beside others; the function returned waits for it and does what ``rows`` does."""
        _stuck[:] = [thread for thread in _stuck if thread.is_alive()]
        if len(_stuck) >= MAX_STUCK:
            raise self._unavailable(f"has not answered {MAX_STUCK} earlier queries")
        answers: SimpleQueue[tuple[list[dict[str, object]], Exception | None]] = SimpleQueue()

        def work() -> None:
            try:
                result = self._client().query(sql, dict(parameters or {}))
                answers.put(([dict(row) for row in result.named_results()], None))
            except Exception as error:  # noqa: BLE001 (whatever it is, the caller raises it)
                answers.put(([], error))

        def answer() -> list[Row]:
            try:
                rows, error = answers.get(timeout=max(0.0, self._until - time.monotonic()))
            except Empty:
                _stuck.append(thread)
                if client := _clients.pop(self._key, None):
                    client.close()
                raise self._unavailable(f"did not answer within {self._seconds:g} s") from None
            if error is not None:
                raise self._unavailable(_reason(error)) from error
            return [into(**row) for row in rows]

        # A socket's timeout is per read: a server that answers byte by byte would hold the caller for ever.
        thread = Thread(target=work, name="otel-intel-query", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread to be had, or the interpreter is on its way out
            raise self._unavailable(f"was not asked: {error}") from error
        return answer

    def _client(self) -> Client:
        from clickhouse_connect import get_client

        client = _clients.get(self._key)
        if client is None:
            seconds = max(1, math.ceil(self._seconds))
            client = get_client(
                interface=self._address.scheme,
                host=self._address.hostname,
                port=self._port,
                username=unquote(self._address.username or "default"),
                password=unquote(self._address.password or ""),
                connect_timeout=seconds,
                send_receive_timeout=seconds,
                client_name="otel-intel",
                # One session would refuse a second thread's query.
                autogenerate_session_id=False,
                dedicated_pool=True,
            )
            # setdefault is atomic: of two threads that connect at once, both use the first's client.
            client = _clients.setdefault(self._key, client)
        return client

    def _unavailable(self, reason: str) -> TelemetryUnavailable:
        return TelemetryUnavailable(f"ClickHouse at {self._address.hostname}:{self._port} {reason}.")


def _address(url: str) -> SplitResult:
    if not url:
        raise TelemetryUnavailable(
            f"OTEL_INTEL['CLICKHOUSE_URL'] is not set: give the reader's URL, {_EXAMPLE} (`otel-intel env`)."
        )
    try:
        return parse_url(url)
    except ValueError:
        # The value is not repeated: it holds a password.
        raise TelemetryUnavailable(f"OTEL_INTEL['CLICKHOUSE_URL'] is not a URL {_EXAMPLE}.") from None


def _reason(error: Exception) -> str:
    from clickhouse_connect.driver.exceptions import DatabaseError

    if isinstance(error, DatabaseError) and error.code:
        advice = _ADVICE.get(error.code, str(error).partition("server response: ")[2][:300] or str(error)[:300])
        return f"refused the query ({error.name or error.code}): {advice.rstrip('.')}"
    cause: BaseException = error
    while cause.__cause__:
        cause = cause.__cause__
    return f"cannot be reached: {str(cause)[:300].rstrip('.')}"
