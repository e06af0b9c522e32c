"""Runs of tests that fail, hang, leave a process behind, or are killed: no process that they started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.process import binary
from tests.processes import running
from tests.waiting import poll_until
from tests.watch import processes_of

ROOT = Path(__file__).resolve().parents[2]

# A test that starts everything that tests can start; then it runs the statement that a case puts in.
EVERYTHING = """
import subprocess
import time
from pathlib import Path

import pytest

from tests.collector.process import Collector
from tests.processes import UP, otel_intel, run_otel_intel, running

@pytest.fixture
def collector(clickhouse, tmp_path):
    with Collector(tmp_path / "collector", clickhouse.server) as collector:
        yield collector.start()


def test_it(clickhouse, collector, data, tmp_path):
    assert run_otel_intel(data, *UP, "--detach").returncode == 0
    with running(otel_intel(tmp_path / "other", *UP)) as up:
        assert any("Ctrl-C stops it" in line for line in up.stderr)
        Path(READY).touch()
        END
"""


class Run:
    """A run of tests in a separate folder."""

    def __init__(self, directory: Path) -> None:
        self.started = directory / "started"
        self._ready = directory / "ready"
        self._file = directory / "test_it.py"
        self._log = directory / "log"
        (directory / "pytest.ini").write_text("[pytest]\n")
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        plugins = ("tests.leftovers", "tests.servers", "no:randomly", "no:django", "no:cacheprovider")
        options = [f"--basetemp={self.started}", *(f"-p{plugin}" for plugin in plugins)]
        self.command = [sys.executable, "-m", "pytest", *options, str(self._file)]

    def write(self, text: str, end: str = "") -> None:
        """Write the only test of the run."""
        self._file.write_text(text.replace("READY", repr(str(self._ready))).replace("END", end))

    def is_ready(self) -> bool:
        """Tell whether everything has been started."""
        return self._ready.exists()

    def finish(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        command = [*self.command, *options]
        return subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
        )

    def left(self) -> dict[int, str]:
        """Return the processes that are still left after a while."""
        poll_until(lambda: not processes_of(str(self.started)), 20)
        return processes_of(str(self.started))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in the test's directory."""
    binary()
    return Run(tmp_path)


def test_failing_test_leaves_nothing(run: Run) -> None:
    run.write(EVERYTHING, "raise RuntimeError('as a bug does')")
    result = run.finish()
    assert "1 failed in" in result.stdout, result.stdout  # no error: no process had to be killed at the end
    assert run.is_ready()
    assert run.left() == {}


def test_hanging_test_fails_and_leaves_nothing(run: Run) -> None:
    run.write("""
import time
from tests.processes import running
def test_it():
    with running(["sleep", "1000"]):
        time.sleep(90)
""")
    result = run.finish("--timeout=2", "--timeout-method=signal")
    assert "Timeout (>2.0s) from pytest-timeout" in result.stdout
    assert "1 failed in" in result.stdout, result.stdout
    assert run.left() == {}


def test_every_test_here_has_a_timeout(request: pytest.FixtureRequest) -> None:
    assert 0 < float(request.config.getini("timeout")) <= 120
    assert request.config.getini("timeout_method") == "signal"


@pytest.mark.parametrize(("received", "workers"), [(signal.SIGTERM, "0"), (signal.SIGKILL, "0"), (signal.SIGKILL, "1")])
def test_killed_run_leaves_nothing(run: Run, received: signal.Signals, workers: str) -> None:
    run.write(EVERYTHING, "time.sleep(90)")
    with running([*run.command, "-n", workers], env=run.environment, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        assert poll_until(run.is_ready, 60)
        assert len(processes_of(str(run.started))) >= 6
        process.send_signal(received)
        assert process.wait(60) == (-received if received is signal.SIGKILL else pytest.ExitCode.INTERRUPTED)
    assert run.left() == {}


def test_leftover_process_fails_the_run_and_is_killed(run: Run) -> None:
    run.write(
        """
import subprocess
def test_it():
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    process.returncode = 0  # so that nothing waits for it
""",
        "",
    )
    result = run.finish()
    assert "1 passed, 1 error in" in result.stdout, result.stdout
    assert "Processes are left" in result.stdout
    assert "sleep 1000" in result.stdout
    assert run.left() == {}
