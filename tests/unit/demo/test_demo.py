"""The demo's folder and arguments: what it refuses, what it deletes, and that its stop is not interrupted."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from demo.__main__ import main, stop
from demo.state import COMPLETE, MARKER, claim
from otel_intel.server import embedded
from otel_intel.server.processes import Lock


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("thesis.txt").write_text("mine")
    result = run("--state", str(tmp_path))
    assert (result.exit_code, "was not made by the demo: choose another --state" in result.output) == (1, True)
    assert names(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_new_or_an_empty_folder_is_taken(tmp_path: Path, is_new: bool) -> None:
    state = tmp_path / "a" / "state" if is_new else tmp_path
    claim(state).close()
    assert names(state) == [MARKER]


def test_what_an_interrupted_start_left_is_deleted(tmp_path: Path) -> None:
    claim(tmp_path).close()
    tmp_path.joinpath("site.sqlite3").touch()
    tmp_path.joinpath("clickhouse").mkdir()
    tmp_path.joinpath("clickhouse", "data").touch()
    claim(tmp_path).close()
    assert names(tmp_path) == [MARKER]


def test_a_complete_history_is_kept(tmp_path: Path) -> None:
    tmp_path.joinpath(COMPLETE).touch()  # by a demo from before there were markers
    tmp_path.joinpath("site.sqlite3").touch()
    claim(tmp_path).close()
    assert names(tmp_path) == [COMPLETE, MARKER, "site.sqlite3"]


def test_a_second_demo_is_refused_and_deletes_nothing(tmp_path: Path) -> None:
    with contextlib.closing(claim(tmp_path)):
        tmp_path.joinpath("site.sqlite3").touch()
        result = run("--state", str(tmp_path))
    assert (result.exit_code, "A demo is already running on" in result.output) == (1, True)
    assert names(tmp_path) == [MARKER, "site.sqlite3"]


def test_a_running_server_of_an_interrupted_start_is_not_deleted(tmp_path: Path) -> None:
    claim(tmp_path).close()
    directory = tmp_path / "clickhouse"
    directory.mkdir()
    with contextlib.closing(embedded.claim(directory)) as server:
        server.write("123")
        with pytest.raises(click.ClickException, match=r"process 123\) is running: stop it with otel-intel down"):
            claim(tmp_path)
    Lock(tmp_path / MARKER).close()  # it was released


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "is a file" in run("--state", str(file)).output
    assert f"{file / 'state'} cannot be used: Not a directory" in run("--state", str(file / "state")).output


@pytest.mark.parametrize(
    "argument", ["--port=0", "--port=-1", "--port=65536", "--days=0", "--days=-1", "--days=366", "--days=x"]
)
def test_arguments_out_of_range_are_named(tmp_path: Path, argument: str) -> None:
    result = run("--state", str(tmp_path / "state"), argument)
    assert (result.exit_code, f"Invalid value for '{argument.partition('=')[0]}'" in result.output) == (2, True)
    assert names(tmp_path) == []


@pytest.fixture
def received() -> Iterator[list[int]]:
    """The signals that reach this process."""
    numbers: list[int] = []
    stopping = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: numbers.append(number)) for number in stopping]
    yield numbers
    for number, handler in zip(stopping, before, strict=True):
        signal.signal(number, handler)


def test_a_second_signal_does_not_interrupt_the_stop(received: list[int]) -> None:
    insistent = (
        "import os, signal, sys\n"
        "def end(number, frame):\n"
        "    for number in (signal.SIGINT, signal.SIGTERM):\n"
        "        os.kill(os.getppid(), number)\n"
        "    sys.exit(3)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "print(flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", insistent], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        stop(process)
    assert (process.returncode, received) == (3, [])


@pytest.mark.parametrize(("arguments", "is_told"), [(["--days=5"], True), ([], False)])
def test_a_number_of_days_for_an_existing_history_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, received: list[int], arguments: list[str], is_told: bool
) -> None:
    def fail(*arguments: object) -> None:
        raise click.ClickException("far enough")

    monkeypatch.setattr("demo.__main__._manage", fail)
    tmp_path.joinpath(COMPLETE).touch()
    result = run("--stack", "--state", str(tmp_path), *arguments)
    assert "far enough" in result.output
    assert ("The history exists already, so --days does nothing" in result.output) == is_told
