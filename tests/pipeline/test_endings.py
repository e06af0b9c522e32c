"""Processes that end without exit handlers deliver first: real servers, workers and signals, and a real endpoint."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.pipeline.test_processes import environment
from tests.processes import free_port, running
from tests.sink import Sink
from tests.waiting import poll_until

SITE = """
import os
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from otel_intel import get_telemetry

def accept(request):
    get_telemetry().track_recommendation_accept(1, 2, "EXPIRING_SOON", "HIGH")
    return HttpResponse(str(os.getpid()))

async def accept_in_the_loop(request):
    return accept(request)

urlpatterns = [path("sync/", accept), path("async/", accept_in_the_loop)]
if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF="site_of_test", SECRET_KEY="only-for-tests", MIDDLEWARE=[],
        INSTALLED_APPS=["otel_intel"], OTEL_INTEL={"ENGINE_VERSION": "1.0", "TRACES": os.environ.get("TRACES", "no")},
    )
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    application, wsgi = get_asgi_application(), get_wsgi_application()
"""
DELAY = "5000"  # ms: what has not been delivered when the process ends was delivered by its ending


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_of_test.py").write_text(SITE)
    return tmp_path


def variables(sink: Sink, folder: Path, **more: str) -> dict[str, str]:
    return environment(sink.url, PYTHONPATH=str(folder), OTEL_BLRP_SCHEDULE_DELAY=DELAY, **more)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def served(sink: Sink, folder: Path, *command: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server and give it with its address, once it answers."""
    port = free_port()
    line = [sys.executable, "-m", *(part.replace("PORT", str(port)) for part in command)]
    with running(line, stdout=subprocess.DEVNULL, env=variables(sink, folder, **more), cwd=folder) as server:
        url = f"http://127.0.0.1:{port}"
        assert poll_until(lambda: answers(port), 30)
        yield server, url


def decide(url: str, path: str) -> None:
    for _ in range(20):
        assert requests.get(f"{url}/{path}/", timeout=10).status_code == 200


UVICORN = ("uvicorn", "site_of_test:application", "--port", "PORT", "--log-level", "error")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:PORT", "--log-level", "error", "--workers", "2")
ASGI = ("--worker-class", "uvicorn_worker.UvicornWorker", "site_of_test:application")
SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn-workers": (*UVICORN, "--workers", "2"),
    "gunicorn-uvicorn": (*GUNICORN, *ASGI),
    "gunicorn-uvicorn-preload": (*GUNICORN, "--preload", *ASGI),
    "gunicorn-threads": (*GUNICORN, "--threads", "4", "site_of_test:wsgi"),
    "gunicorn-preload": (*GUNICORN, "--preload", "site_of_test:wsgi"),
}


@pytest.mark.parametrize("path", ["sync", "async"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_is_stopped_loses_nothing(server: str, path: str, sink: Sink, folder: Path) -> None:
    with served(sink, folder, *SERVERS[server]) as (process, url):
        decide(url, path)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert poll_until(lambda: len(sink.events) == 20), len(sink.events)


def test_the_spans_of_a_server_that_is_stopped_arrive_as_well(sink: Sink, folder: Path) -> None:
    more = {"TRACES": "true", "OTEL_BSP_SCHEDULE_DELAY": DELAY}
    with served(sink, folder, *UVICORN, **more) as (process, url):
        decide(url, "sync")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert poll_until(lambda: sink.spans == 20), sink.spans


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_runserver_loses_nothing(number: signal.Signals, sink: Sink, folder: Path) -> None:
    (folder / "settings_of_test.py").write_text(
        "SECRET_KEY = 'only-for-tests'\nROOT_URLCONF = 'site_of_test'\nINSTALLED_APPS = ['otel_intel']\n"
        "OTEL_INTEL = {'ENGINE_VERSION': '1.0'}\nALLOWED_HOSTS = ['*']\n"
    )
    command = ("django", "runserver", "--noreload", "127.0.0.1:PORT")
    with served(sink, folder, *command, DJANGO_SETTINGS_MODULE="settings_of_test") as (process, url):
        decide(url, "sync")
        process.send_signal(number)
        process.wait(30)
    assert poll_until(lambda: len(sink.events) == 20), len(sink.events)


SCRIPT = """
import signal, sys, threading, time
from otel_intel import get_telemetry
{before}
for number in range(20):
    get_telemetry().track_signal_outcome(number, "RESOLVED", 1.0)
print("ready", flush=True)
{after}
time.sleep(30)
"""


@contextmanager
def script(sink: Sink, folder: Path, before: str = "", after: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a script that has sent 20 events and waits."""
    command = [sys.executable, "-c", SCRIPT.format(before=before, after=after)]
    with running(command, env=variables(sink, folder)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signals_default_action_is_taken_after_the_delivery(number: signal.Signals, sink: Sink, folder: Path) -> None:
    # Under nohup a child would inherit that SIGHUP is ignored, and then it stays so.
    with script(sink, folder, before=f"signal.signal({number:d}, signal.SIG_DFL)") as process:
        process.send_signal(number)
        assert process.wait(30) == -number
    assert len(sink.events) == 20


def test_a_second_signal_ends_the_process_at_once(sink: Sink, folder: Path) -> None:
    asked: list[object] = []

    def hold(request: object) -> int:
        asked.append(request)
        sink.done.wait(30)
        return 200

    sink.answer = hold
    with script(sink, folder) as process:
        process.send_signal(signal.SIGTERM)
        assert poll_until(lambda: asked)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


def test_a_signal_of_the_application_stays_its_own(sink: Sink, folder: Path) -> None:
    handler = "signal.signal(signal.SIGTERM, lambda *_: print('stopping', flush=True))"
    with script(sink, folder, before=handler) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "stopping\n"
        assert poll_until(lambda: len(sink.events) == 20)  # long before the delay
        assert process.poll() is None
        process.kill()


def test_an_ignored_signal_stays_ignored(sink: Sink, folder: Path) -> None:
    after = "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, flush=True)"
    with script(sink, folder, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)", after=after) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        process.kill()


def test_a_full_queue_gets_through_at_the_exit(sink: Sink, folder: Path) -> None:
    """Each request takes 100 ms, as an insert does; there are 2 s for 8,192 events."""
    sink.answer = lambda request: 503 if sink.done.wait(0.1) else 200
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from otel_intel import get_telemetry\n"
            "for number in range(8192): get_telemetry().track_signal_outcome(number, 'RESOLVED', 1.0)",
        ],
        env=variables(sink, folder, OTEL_INTEL_EXIT_TIMEOUT="2"),
        check=True,
        timeout=60,
    )
    assert len(sink.events) == 8192
    assert max(len(request.resource_logs[0].scope_logs[0].log_records) for request in sink.requests) == 2048


TASKS = """
import os
from celery import Celery
from otel_intel import get_telemetry

folder = os.environ["TASKS"]
places = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": os.path.join(folder, "control")}
app = Celery("case", broker="filesystem://", broker_transport_options=places)

@app.task(name="outcome")
def outcome(number):
    get_telemetry().track_signal_outcome(str(number), "RESOLVED", 1.0)
"""


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (["--max-tasks-per-child", "1"], signal.SIGTERM),
        ([], signal.SIGTERM),
        ([], signal.SIGQUIT),
        (["--pool", "solo"], signal.SIGTERM),
        (["--pool", "threads"], signal.SIGTERM),
    ],
    ids=["recycled", "warm", "cold", "solo", "threads"],
)
def test_celery_loses_nothing(options: list[str], number: signal.Signals, sink: Sink, folder: Path) -> None:
    (folder / "tasks_of_test.py").write_text(TASKS)
    tasks = folder / "tasks"
    tasks.mkdir()
    env = variables(sink, folder, TASKS=str(tasks))
    send = "import tasks_of_test as t; [t.outcome.delay(i) for i in range(20)]"
    subprocess.run([sys.executable, "-c", send], env=env, cwd=folder, check=True, timeout=60)
    command = [sys.executable, "-m", "celery", "-A", "tasks_of_test", "worker", "-c", "2", "-l", "INFO"]
    command += ["--without-mingle", "--without-gossip", *options]
    log = folder / "log"
    with (
        log.open("wb") as output,
        running(
            [*command, "--without-mingle", "--without-gossip", *options],
            stdout=output,
            stderr=output,
            env=env,
            cwd=folder,
        ) as worker,
    ):
        assert poll_until(lambda: log.read_text().count("succeeded in") == 20, 60), log.read_text()
        worker.send_signal(number)
        worker.wait(30)
    assert poll_until(lambda: len(sink.events) == 20), len(sink.events)


@pytest.mark.skipif(shutil.which("uwsgi") is None, reason="uWSGI is missing; install it with: pip install uwsgi")
def test_uwsgi_loses_nothing(sink: Sink, folder: Path) -> None:
    port = free_port()
    command = ["uwsgi", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "site_of_test.py", "--callable", "wsgi",
               "--master", "--processes", "2", "--enable-threads", "--die-on-term", "--disable-logging"]  # fmt: skip
    with running(command, stderr=subprocess.DEVNULL, env=variables(sink, folder), cwd=folder) as process:
        assert poll_until(lambda: answers(port), 30)
        decide(f"http://127.0.0.1:{port}", "sync")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert poll_until(lambda: len(sink.events) == 20), len(sink.events)
