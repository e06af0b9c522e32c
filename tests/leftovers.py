"""No process survives a run of the tests: a leftover process fails the run, and is killed even if the run is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests import watch
from tests.waiting import poll_until


def pytest_configure() -> None:
    """Let TERM and INT run the finalizers, as Ctrl-C does, also in a script's background job, which ignores INT."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the run if processes that it started are left at its end."""
    directory = str(tmp_path_factory.getbasetemp())
    command = [sys.executable, "-S", watch.__file__, directory]
    watching = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    os.environ[watch.MARK] = directory
    yield
    # A server whose parent was killed ends by itself, but not at once.
    poll_until(lambda: not watch.processes_of(directory), 15)
    left = watch.processes_of(directory)
    watching.communicate()
    assert not left, f"Processes are left: {left}"
