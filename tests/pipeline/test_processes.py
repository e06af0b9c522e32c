"""Events in forked, exiting and killed processes, with real processes and a real endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.sink import Sink, attributes_of, run_sink

HEAD = """
import json, os, sys, threading, time
from otel_intel import get_telemetry
telemetry = get_telemetry()
def emit(count, admin=1):
    for signal in range(count):
        telemetry.track_signal_detail_open(admin, signal)
def tell():
    print(json.dumps(telemetry.status()), flush=True)
"""


def environment(endpoint: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "DJANGO_"))}
    return {
        **kept,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_INTEL_ENGINE_VERSION": "1",
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_INTEL_EXIT_TIMEOUT": "15",  # the machine may be busy with other tests
        **more,
    }


def run(script: str, endpoint: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + script],
        env=environment(endpoint, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def ids(sink: Sink) -> list[object]:
    return [attributes_of(record)["log.record.uid"] for record in sink.events]


def admins(sink: Sink) -> dict[object, int]:
    found = [attributes_of(record)["intel.admin.id"] for record in sink.events]
    return {admin: found.count(admin) for admin in found}


def reported(sink: Sink) -> dict[str, int]:
    """Return the sums of the last reports of all processes."""
    last: dict[object, dict[str, object]] = {}
    for record in sink.records:
        if record.event_name == "intel.pipeline.reported":
            report = attributes_of(record)
            last[report["intel.pipeline.process.id"]] = report
    names = ("emitted", "delivered", "queued")
    return {name: sum(int(str(report[f"intel.pipeline.{name}"])) for report in last.values()) for name in names}


def test_exit_delivers_waiting_events(sink: Sink) -> None:
    run("emit(300)", sink.url)
    assert len(set(ids(sink))) == 300
    assert reported(sink) == {"emitted": 300, "delivered": 300, "queued": 0}


def test_import_and_configuration_start_no_thread(sink: Sink) -> None:
    result = run("telemetry.status(); print(threading.active_count())", sink.url)
    assert result.stdout.strip() == "1"


def test_forked_children_deliver_their_own_and_the_parent_its_own(sink: Sink) -> None:
    run(
        """
emit(50, admin="parent")
telemetry.flush()                   # the connection is open when the children start
emit(25, admin="parent")
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        emit(100, admin=f"child-{number}")
        status = telemetry.status()
        assert status["emitted"] == 100, status
        sys.exit(0)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0, 0]
""",
        sink.url,
    )
    assert admins(sink) == {"parent": 75, **{f"child-{number}": 100 for number in range(4)}}
    assert len(set(ids(sink))) == len(ids(sink))


def test_a_fork_while_locks_are_held_does_not_block_the_child(sink: Sink) -> None:
    run(
        """
import contextlib
locks, make = [], threading.RLock
def make_known():
    lock = make()
    if sys._getframe(1).f_globals["__name__"].startswith("otel_intel."):
        locks.append(lock)
    return lock
threading.RLock = make_known
emit(1)
threading.RLock = make
assert locks
with contextlib.ExitStack() as stack:
    for lock in locks:
        stack.enter_context(lock)
    pid = os.fork()
    if pid == 0:
        worker = threading.Thread(target=lambda: (emit(10, admin="child"), telemetry.flush()))
        worker.start(); worker.join(20)
        os._exit(0 if telemetry.status()["delivered"] == 10 else 1)
assert os.waitpid(pid, 0)[1] == 0
""",
        sink.url,
    )
    assert admins(sink) == {"1": 1, "child": 10}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver(method: str, sink: Sink, tmp_path: os.PathLike[str]) -> None:
    # A file, because spawn imports the main module.
    script = os.path.join(tmp_path, "parent.py")
    with open(script, "w") as file:
        file.write(
            HEAD
            + f"""
import multiprocessing
if __name__ == "__main__":
    emit(1, admin="parent")
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=emit, args=(50, f"child-{{number}}")) for number in range(2)]
    for child in children: child.start()
    for child in children: child.join()
"""
        )
    subprocess.run([sys.executable, script], env=environment(sink.url), timeout=60, check=True)
    assert admins(sink) == {"parent": 1, "child-0": 50, "child-1": 50}


def test_os_exit_needs_flush(sink: Sink) -> None:
    run("emit(100); assert telemetry.flush(); os._exit(0)", sink.url)
    assert len(set(ids(sink))) == 100


@pytest.mark.parametrize(
    "script",
    [
        "import atexit\natexit.register(emit, 5, 'late')",
        "import atexit\natexit.register(emit, 5, 'late')\nemit(1)",
        "import atexit\nemit(1)\natexit.register(emit, 5, 'late')",
        "import weakref\nclass Thing: pass\nthing = Thing()\nweakref.finalize(thing, emit, 5, 'late')",
    ],
    ids=["first", "before", "after", "finalize"],
)
def test_events_of_an_exit_handler_count_too(script: str, sink: Sink) -> None:
    run(script, sink.url)
    assert admins(sink).get("late") == 5


def test_after_the_last_exit_handler_events_are_counted_and_nothing_hangs(sink: Sink) -> None:
    result = run(
        """
class Thing:
    def __del__(self):
        emit(1)
emit(1)
thing = Thing()
thing.itself = thing  # collected when the interpreter shuts down
""",
        sink.url,
    )
    assert "after_shutdown" in result.stderr
    assert len(sink.events) == 1


def test_without_a_thread_exit_delivers(sink: Sink) -> None:
    run(
        """
def refuse(thread):
    raise RuntimeError("can't start new thread")
start, threading.Thread.start = threading.Thread.start, refuse
emit(5)
threading.Thread.start = start
""",
        sink.url,
    )
    assert admins(sink) == {"1": 5}


def test_spans_and_events_share_one_deadline(sink: Sink) -> None:
    sink.answer = lambda request: int(sink.done.wait(30)) * 200
    result = run(
        """
from opentelemetry.sdk.trace import TracerProvider
from otel_intel.delivery.spans import PerProcessBatches
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(PerProcessBatches())
provider.get_tracer("test").start_span("request").end()
emit(1)
print(time.monotonic())
""",
        sink.url,
        OTEL_INTEL_EXIT_TIMEOUT="2",
    )
    assert time.monotonic() - float(result.stdout) < 3.9


@pytest.mark.parametrize("fault", ["refused", "black hole", "error"])
def test_exit_keeps_its_deadline_and_says_what_was_lost(fault: str, sink: Sink) -> None:
    def answer(request: ExportLogsServiceRequest) -> int:
        if fault == "black hole":
            sink.done.wait(30)
        return 500

    sink.answer = answer
    endpoint = sink.url
    if fault == "refused":
        with run_sink() as gone:
            endpoint = gone.url
    result = run("emit(10)\nprint(time.monotonic())", endpoint, OTEL_INTEL_EXIT_TIMEOUT="1")
    assert time.monotonic() - float(result.stdout) < 10
    assert "10 event(s) dropped (exit_deadline)" in result.stderr


def test_the_page_never_waits_for_an_endpoint_that_never_answers(sink: Sink) -> None:
    sink.answer = lambda request: int(sink.done.wait(30)) * 200
    result = run(
        """
started = time.monotonic()
emit(20_000)
assert time.monotonic() - started < 5
tell()
""",
        sink.url,
        OTEL_INTEL_EXIT_TIMEOUT="0.2",
        OTEL_INTEL_QUEUE_SIZE="1000",
    )
    status = json.loads(result.stdout)
    assert status["emitted"] == 20_000
    assert status["queued"] == 800
    assert status["dropped"]["queue_full"] == 19_200


def test_async_code_is_tracked_from_the_loop_and_from_threads(sink: Sink) -> None:
    run(
        """
import asyncio
async def main():
    await asyncio.gather(*(asyncio.to_thread(emit, 20, f"task-{number}") for number in range(5)))
    emit(20, admin="loop")
asyncio.run(main())
""",
        sink.url,
    )
    assert admins(sink) == {"loop": 20, **{f"task-{number}": 20 for number in range(5)}}


def test_threads_that_find_django_half_imported_wait_for_it(sink: Sink) -> None:
    run(
        """
barrier = threading.Barrier(8)
def work(number):
    barrier.wait()
    emit(5, admin=f"thread-{number}")
    telemetry.track_signal_outcome(number, "RESOLVED")
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert telemetry.status()["emitted"] == 48 and not any(telemetry.status()["dropped"].values()), telemetry.status()
""",
        sink.url,
        DJANGO_SETTINGS_MODULE="tests.settings",
        PYTHONPATH=os.getcwd(),
    )
    assert len(set(ids(sink))) == 48


def test_without_django_helpers_work(sink: Sink) -> None:
    run(
        "emit(1); telemetry.track_signal_outcome(1, 'RESOLVED'); assert 'django.db' not in sys.modules, 'django'",
        sink.url,
    )
    assert len(ids(sink)) == 2
