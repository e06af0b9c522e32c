"""Query ClickHouse as the reader role, within one deadline for all queries of a call or page."""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import date
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from urllib.parse import SplitResult, unquote

from otel_intel.conf import get_settings, parse_url
from otel_intel.exceptions import TelemetryUnavailable

# The client is slow to import, and many processes only send events: import it at the first query.
if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# The driver also logs each error that it raises; the exception is enough.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

Parameter: TypeAlias = str | int | date
Row = TypeVar("Row")

MAX_STUCK: Final = 8
"""How many queries past their deadline may still run in a process; with more, new queries fail at once."""

_EXAMPLE: Final = "such as http://intel_reader:password@127.0.0.1:8123"
_FULL_DISK: Final = "free space on its disk, then it goes on by itself"
ADVICE: Final = {
    60: "run `otel-intel migrate`",  # UNKNOWN_TABLE
    74: _FULL_DISK,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
    75: _FULL_DISK,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
    76: _FULL_DISK,  # CANNOT_OPEN_FILE
    81: "run `otel-intel migrate`",  # UNKNOWN_DATABASE
    159: "it took longer than the server allows (max_execution_time): ask for fewer days",  # TIMEOUT_EXCEEDED
    164: "this user may only read: use the URL of the role that the command asks for",  # READONLY
    202: "it runs as many queries as it may: wait, or raise max_concurrent_queries",  # TOO_MANY_SIMULTANEOUS_QUERIES
    241: "its memory does not suffice: give it more, or ask for fewer days",  # MEMORY_LIMIT_EXCEEDED
    242: "the table is read-only: see ClickHouse's log for what it waits for",  # TABLE_IS_READ_ONLY
    243: _FULL_DISK,  # NOT_ENOUGH_SPACE
    252: "it merges more slowly than it is sent to: send through a Collector, in large batches",  # TOO_MANY_PARTS
    497: "OTEL_INTEL['CLICKHOUSE_URL'] must name a user who may read metrics.*",  # ACCESS_DENIED
    516: "check the user and the password in OTEL_INTEL['CLICKHOUSE_URL']",  # AUTHENTICATION_FAILED
}
"""What to do about an error of ClickHouse, by its code."""

_EXCEPTION: Final = re.compile(r"Code: (?P<code>\d+)\. (?P<text>DB::Exception: .*)", re.DOTALL)
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
        import clickhouse_connect.driver  # noqa: F401 (its import must not count against the deadline)

        settings = get_settings()
        self._seconds = settings.QUERY_TIMEOUT if seconds is None else seconds
        self._until = time.monotonic() + self._seconds
        url = url or settings.CLICKHOUSE_URL
        self._key = (os.getpid(), url)
        self._address = _address(url)
        self._port = self._address.port or (8443 if self._address.scheme == "https" else 8123)

    def rows(
        self,
        into: Callable[..., Row],
        sql: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        never_empty: bool = False,
    ) -> list[Row]:
        """Return ``into(**row)`` for each row.

        Args:
            into: Takes the query's columns by name: a TypedDict, a NamedTuple, dict, …
            sql: The query, with server-side parameters such as ``{name:Type}``.
            parameters: The values of the parameters.
            never_empty: The query has a row at least: without one, the answer is no answer.

        Raises:
            TelemetryUnavailable: If the query fails, or has no answer at the deadline.
        """
        return self.start(into, sql, parameters, never_empty=never_empty)()

    def start(
        self,
        into: Callable[..., Row],
        sql: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        never_empty: bool = False,
    ) -> Callable[[], list[Row]]:
        """Start a query in the background; the returned function waits for it and returns what ``rows`` returns."""
        _stuck[:] = [thread for thread in _stuck if thread.is_alive()]
        if len(_stuck) >= MAX_STUCK:
            raise self._unavailable(f"has not answered {MAX_STUCK} earlier queries")
        answers: SimpleQueue[tuple[list[dict[str, object]], Exception | None]] = SimpleQueue()

        def work() -> None:
            try:
                from otel_intel.schema.connection import AT_ONCE

                result = self._client().query(sql, dict(parameters or {}), AT_ONCE)
                answers.put(([dict(row) for row in result.named_results()], None))
            except Exception as error:  # noqa: BLE001 (the caller raises it)
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
            if never_empty and not rows:
                raise self._unavailable("sent an empty answer: is its disk full?")
            return [into(**row) for row in rows]

        # A socket's timeout is per read: a server that answers byte by byte would block the caller for ever.
        thread = Thread(target=work, name="otel-intel-query", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads are possible, or the interpreter is shutting down
            raise self._unavailable(f"was not asked: {error}") from error
        return answer

    def _client(self) -> Client:
        from clickhouse_connect import get_client

        from otel_intel.schema.connection import direct_pool

        client = _clients.get(self._key)
        if client is None:
            direct = direct_pool(self._address.hostname)
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
                # In a shared session, ClickHouse refuses a second query at the same time.
                autogenerate_session_id=False,
                pool_mgr=direct,
                dedicated_pool=direct is None,
            )
            # setdefault is atomic: if two threads connect at once, both use the client of the first.
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
    except ValueError as error:
        # Do not show the value: it contains a password.
        raise TelemetryUnavailable(f"OTEL_INTEL['CLICKHOUSE_URL'] {error}: it must be a URL {_EXAMPLE}.") from None


def _reason(error: Exception) -> str:
    from clickhouse_connect.driver.exceptions import Error as ClickHouseError

    if isinstance(error, ClickHouseError) and (found := _EXCEPTION.search(str(error))):
        code, text = int(found["code"]), found["text"].partition("\n")[0].strip()[:300]
        name = getattr(error, "name", None) or f"code {code}"
        return f"refused the query ({name}): {ADVICE.get(code, text).rstrip('.')}"
    cause: BaseException = error
    while cause.__cause__:
        cause = cause.__cause__
    return f"cannot be reached: {str(cause)[:300].rstrip('.')}"
