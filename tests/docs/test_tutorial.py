"""Do the tutorial as a new user does: run its commands in one shell, write its files, do its clicks over HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sysconfig import get_paths

import pytest
import requests

from tests.docs.markdown import ROOT, Block, blocks, read
from tests.processes import free_port
from tests.waiting import poll_until

SERVER = "python manage.py runserver"


class Terminal:
    """A shell that keeps its directory and variables from one block to the next."""

    def __init__(self, directory: Path, variables: dict[str, str]) -> None:
        self.directory = directory
        self.variables = variables

    def run(self, block: Block) -> str:
        """Run a block unchanged and return its output."""
        after = self.directory.parent / "variables"
        script = f"set -e\n{block.code}\nenv -0 > {after}"
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=self.directory,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, f"line {block.line}: {block.code}{ran.stdout}{ran.stderr}"
        pairs = after.read_text().split("\0")
        self.variables = dict(pair.split("=", 1) for pair in pairs if pair)
        return ran.stdout

    @contextmanager
    def running(self, block: Block) -> Iterator[None]:
        """Run a block in the background, then stop it with Ctrl-C."""
        with (self.directory / "output").open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", block.code],
                cwd=self.directory,
                env=self.variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                yield
            finally:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)


def look_and_decide(site: str) -> None:
    """Do the steps that the text describes for a browser."""
    browser = requests.Session()
    assert poll_until(lambda: _answers(site), timeout=30)
    log_in = browser.get(f"{site}/signals/1/")
    form = {"username": "demo", "password": "demo", "csrfmiddlewaretoken": _token(log_in.text)}
    page = browser.post(log_in.url, form)
    assert "extend the contract?" in page.text
    assert browser.post(f"{page.url}accept/", {"csrfmiddlewaretoken": _token(page.text)}).text == "Accepted."
    assert poll_until(lambda: re.search(r"\b100(\.0)?\s%", browser.get(f"{site}/telemetry/").text))
    browser.close()


def _answers(site: str) -> bool:
    with socket.socket() as probe:
        host, _, port = site.removeprefix("http://").partition(":")
        return probe.connect_ex((host, int(port))) == 0


def _token(html: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert found, html
    return found[1]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A shell in an empty directory; a server that still runs there is stopped at the end."""
    directory = tmp_path / "site"
    directory.mkdir()
    # pip finds this environment's packages, so it needs no index; only the package itself is built and installed.
    terminal = Terminal(
        directory,
        {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "CHECKOUT": str(ROOT),
            "PORT": str(free_port()),
            "PYTHONPATH": get_paths()["purelib"],
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "false",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
    )
    yield terminal
    if (directory / ".otel-intel").exists():
        subprocess.run(["otel-intel", "down"], cwd=directory, env=terminal.variables, check=False, timeout=90)


def test_every_step_of_the_tutorial(terminal: Terminal) -> None:
    printed, looked = "", False
    steps = list(blocks(read("docs/tutorial.md")))
    assert steps[-1].code == "otel-intel down\n"
    for block in steps:
        if block.language == "text":
            assert printed.strip() == block.code.strip(), f"line {block.line}"
        elif block.caption:
            name, _, at_the_end = block.caption.partition(" ")
            with (terminal.directory / name).open("a" if at_the_end else "w", encoding="utf-8") as file:
                file.write(block.code)
        elif block.code.startswith(SERVER):
            with terminal.running(block):
                look_and_decide(f"http://127.0.0.1:{terminal.variables['PORT']}")
            looked = True
        else:
            printed = terminal.run(block)
    assert looked
