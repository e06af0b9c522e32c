from __future__ import annotations

from pathlib import Path

import pytest

from otel_intel.server.processes import Lock, keep_last, last_lines


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("a\nb\nc\nd\ne\nf\n", "b\nc\nd\ne\nf"),
        ("x\n Code: 1. DB::Exception: Permission denied: /store\n0. stack @ 0x1\n1. more @ 0x2\n",
         "Code: 1. DB::Exception: Permission denied: /store"),
        ("", "it ended without a message"),
    ],
    ids=["lines", "exception", "nothing"],
)  # fmt: skip
def test_last_lines_are_what_it_ended_with(log: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(log)
    assert last_lines(file) == said


def test_one_log_of_an_earlier_start_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text in ("first", "second", "third"):
        keep_last(log)
        log.write_text(text)
    assert sorted((path.name, path.read_text()) for path in tmp_path.iterdir()) == [
        ("log", "third"),
        ("log.1", "second"),
    ]


def test_a_lock_can_be_looked_at_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert Lock.holder(path) is None
    lock = Lock(path)
    lock.write("42")
    path.chmod(0o400)
    assert Lock.holder(path) == 42
    lock.close()
    assert Lock.holder(path) is None
