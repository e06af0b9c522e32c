"""Export a view of ``metrics`` from ClickHouse into a file, as a stream."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from clickhouse_connect.driver.client import Client

FORMATS: Final = {"csv": "CSVWithNames", "jsonl": "JSONEachRow", "parquet": "Parquet"}
VIEWS: Final = {
    "recommendation_events": "timestamp",
    "signal_outcomes": "timestamp",
    "admin_views": "timestamp",
    "decisions": "timestamp",
    "rejected_events": "timestamp",
    "spans": "timestamp",
    "recommendations_daily": "day",
    "decision_times_daily": "day",
    "outcomes_daily": "day",
    "engagement_daily": "day",
}
"""The views that can be exported, and the column with the time of each."""

_TIME_ZONE: Final = "(SELECT time_zone FROM metrics.last_refresh)"


@contextlib.contextmanager
def whole_file(path: Path | None) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when it is complete; None is standard output."""
    if path is None:
        yield sys.stdout.buffer
        return
    given, path = path, path.resolve()  # replace a symbolic link's target, not the link
    if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(path.name + ".part")
    try:
        file = part.open("wb")
    except OSError as error:  # of a name that the user did not choose
        raise type(error)(error.errno, error.strerror, str(given)) from error
    try:
        with file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def export(client: Client, view: str, file_format: str, days: int | None, out: IO[bytes]) -> None:
    """Write a view's rows, oldest first.

    Args:
        client: Connected as a user who may read ``metrics``.
        view: One of VIEWS.
        file_format: One of FORMATS.
        days: Today and the days before it, so many in all; None for everything.
        out: Where to write to.
    """
    when = VIEWS[view]
    day = "day" if when == "day" else f"toDate({when}, {_TIME_ZONE})"
    where = "" if days is None else f"WHERE {day} > toDate(now(), {_TIME_ZONE}) - {{days:UInt16}}"
    stream = client.raw_stream(
        f"SELECT * FROM metrics.{view} {where} ORDER BY {when}",
        parameters={"days": days},
        fmt=FORMATS[file_format],
        # Without this, an error in the middle would become the file's last lines.
        settings={"wait_end_of_query": 1},
    )
    with contextlib.closing(cast(IO[bytes], stream)) as source:
        shutil.copyfileobj(source, out)
