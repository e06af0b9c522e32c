"""Bring events from the caller to the exporter: a bounded queue and one daemon thread per process, without Django.

The caller only appends; encoding, sending, retrying and reporting happen in the thread.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import uuid
import weakref
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_intel.events import DROP_REASONS, PIPELINE_REPORTED, AttributeValue, Kind, Reason

# Import it here, not at the first event: a process that is about to exit can no longer import it.
from . import endings
from .exporter import Delivery, Exporter
from .ledger import Ledger, PipelineStatus, QueuedEvent

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord

logger = logging.getLogger("otel_intel")

VIEW_SHARE: Final = 0.8  # views may fill this much of the queue; the rest is kept for decisions and outcomes
REPORT_INTERVAL: Final = 60.0  # seconds
MAX_BACKOFF: Final = 30.0  # seconds
MAX_DELAY: Final = 3600.0  # seconds

# Smaller than OpenTelemetry's 512: to encode 512 events holds the GIL for 10-17 ms, which would slow down a page.
DEFAULT_BATCH_SIZE: Final = 128
LARGE_BATCH_SIZE: Final = 512
MAX_BATCH_SIZE: Final = 2048
DEFAULT_DELAY_MS: Final = 1000

MAX_LOGGED: Final = 16  # different messages of a reason; the rest is counted
MAX_REFUSED_IN_A_ROW: Final = 8  # then the endpoint is asked again later


def _env_int(name: str, default: int) -> int:
    try:
        value = int(os.environ.get(name, ""))
    except ValueError:
        return default
    return value if value > 0 else default


_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()


class Pipeline:
    """Queue events and deliver them in the background.

    Safe to use from any thread, from async code and after a fork. A child process starts with an empty queue
    and its own thread, connection and counters; the parent delivers what waited before the fork.

    Args:
        queue_size: The largest number of events that wait (if set, OTEL_BLRP_MAX_QUEUE_SIZE replaces it). Views
            are refused at 80 %, all events at 100 %.
        exit_timeout: Seconds that the exit of the process may wait for delivery.
        admin_id_hash_key: If set, admin ids are sent as keyed hashes.
    """

    def __init__(self, queue_size: int = 8192, exit_timeout: float = 2.0, admin_id_hash_key: str = "") -> None:
        self._limit = _env_int("OTEL_BLRP_MAX_QUEUE_SIZE", queue_size)
        self._view_limit = max(1, int(self._limit * VIEW_SHARE))
        self._exit_timeout = exit_timeout
        self._hash_key = admin_id_hash_key
        self._batch_size = _env_int("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", DEFAULT_BATCH_SIZE)
        self._largest_batch = _env_int("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", MAX_BATCH_SIZE)
        self._delay = min(MAX_DELAY, _env_int("OTEL_BLRP_SCHEDULE_DELAY", DEFAULT_DELAY_MS) / 1000)
        self._reset()
        _pipelines.add(self)
        endings.deliverers.add(self)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._queue: deque[QueuedEvent] = deque()
        self._records: deque[ReadableLogRecord] = deque()  # of the oldest events in the queue, ids included
        self._ledger = Ledger(self._queue)
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._worker: threading.Thread | None = None
        self._exporter: Exporter | None = None
        self._closing = endings.is_exiting()
        self._in_a_hurry = False
        self._deadline = float("inf")
        self._failures = 0
        self._refused_in_a_row = 0
        self._witnesses: dict[Kind, ReadableLogRecord] = {}  # the last record of each kind that was delivered
        self._logged: set[str] = set()
        self._report_soon = False  # the first loss of a reason is reported at once
        self._process_id = str(uuid.uuid4())
        self._started_at_ns = time.time_ns()

    # -- the caller's side ---------------------------------------------------------------------------------

    def put(self, item: QueuedEvent) -> None:
        """Queue one event; takes no lock, never blocks and never raises."""
        # uWSGI forks in C and may not run Python's hooks:
        # https://github.com/open-telemetry/opentelemetry-python/issues/2266
        if self._pid != os.getpid():
            self._reset()
        queue = self._queue
        size = len(queue)
        if size >= self._view_limit and (size >= self._limit or not item.event.state_change):
            self.refuse(item.event.kind, "queue_full")
            return
        if self._closing:
            self.refuse(item.event.kind, "after_shutdown")
            return
        queue.append(item)
        if self._worker is None:
            self._start()
        elif (size >= self._batch_size or self._in_a_hurry) and self._wake.empty():
            self._wake.put(None)

    def refuse(self, kind: Kind, reason: Reason, why: object = None) -> None:
        """Count an event that never got into the queue, and log why: each text once, MAX_LOGGED at most."""
        self._ledger.drop(kind, reason)
        if self._worker is None and not self._closing:
            self._start()  # a process that only loses events must report its counters, too
        text = _text_of(why) or DROP_REASONS[reason]
        self._log_once(f"{reason}: {text}", "Event dropped (%s): %s.", reason, text)

    def note_invalid_optional(self, kind: Kind, why: object) -> None:
        """Count an event that goes on without an optional value, and log why: each text once, MAX_LOGGED at most."""
        self._ledger.note_invalid_optional(kind)
        text = _text_of(why)
        self._log_once(f"invalid_optional: {text}", "Optional value left out: %s.", text)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was emitted so far has been delivered.

        Args:
            timeout: Seconds to wait at most. Do not call it in a request.

        Returns:
            True if it was all delivered; False if the time ran out or an event was lost since the last flush.
        """
        deadline = time.monotonic() + timeout
        if self._pid != os.getpid():
            self._reset()
        goal = self._ledger.goal()
        if self._queue and not self._closing:
            self._start()
            self._failures = 0
            self._wake.put(None)
        return self._ledger.wait(goal, deadline)

    def hurry(self) -> None:
        """Deliver what waits now, and each event at once from here on; never waits."""
        self._in_a_hurry = True
        self._wake.put(None)

    def status(self) -> PipelineStatus:
        """Return the counters of this process; events in flight count as queued."""
        return self._ledger.status()

    def begin_shutdown(self, timeout: float | None = None) -> None:
        """Take no more events, and deliver those that wait as soon as possible; arguments as in ``shutdown``."""
        if not self._closing and self._pid == os.getpid():
            self._deadline = time.monotonic() + (self._exit_timeout if timeout is None else timeout)
            self._closing = True
            self._wake.put(None)

    def shutdown(self, timeout: float | None = None) -> None:
        """Deliver the events that wait, count those that could not be delivered in time, and accept no more.

        Args:
            timeout: Seconds to wait at most; the exit timeout by default.
        """
        if self._ledger.is_closed or self._pid != os.getpid():
            return
        self.begin_shutdown(timeout)
        worker = self._worker
        if worker is not None and worker.is_alive():
            worker.join(max(0.0, self._deadline - time.monotonic()))
        elif self._queue:
            # No thread could be started, so deliver here:
            # https://github.com/open-telemetry/opentelemetry-python/issues/4752
            self._run()
        if lost := self._ledger.close():
            self._log_lost(lost, "exit_deadline")

    # -- the worker's side ---------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._ledger.lock:  # the pipeline's only lock: a second one could cause a deadlock
            if self._worker is not None and self._worker.is_alive():
                return
            worker = threading.Thread(target=self._run, name="otel_intel", daemon=True)
            try:
                worker.start()
            except RuntimeError:  # the interpreter is shutting down; shutdown() delivers without a thread
                return
            self._worker = worker
            endings.follow()

    def _run(self) -> None:
        reported = time.monotonic()
        with suppress_instrumentation():
            while not self._closing:
                try:
                    self._wait(self._pause())
                    self._deliver()
                    if self._report_soon or time.monotonic() - reported >= REPORT_INTERVAL:
                        self._report_soon = False
                        reported = time.monotonic()
                        self._report()
                except Exception:  # noqa: BLE001 (the thread must survive an unexpected error)
                    self._unexpected()
            try:
                while self._queue and time.monotonic() < self._deadline:
                    if not self._deliver():
                        time.sleep(0.1)
                if time.monotonic() < self._deadline and not self._ledger.is_closed:
                    self._report()
            except Exception:  # noqa: BLE001 (as above)
                self._unexpected()

    def _unexpected(self) -> None:
        if self._ledger.is_closed:  # the time was up during a request, and took the queue away
            return
        self._failures += 1
        if "worker" not in self._logged:
            self._logged.add("worker")
            logger.exception("The delivery of events failed; trying again")

    def _pause(self) -> float:
        if not self._failures:
            return self._delay
        doubled = self._delay * 2.0 ** min(self._failures, 60)
        # Do not use random's shared generator: the application may have seeded it and rely on its sequence.
        return min(MAX_BACKOFF, doubled) * random.SystemRandom().uniform(0.8, 1.2)

    def _wait(self, seconds: float) -> None:
        """Sleep until the time is up, or until somebody flushes, exits or has filled a batch."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self._wake.get(timeout=left)
            except Empty:
                return
            if not self._failures or self._closing:
                return

    def _deliver(self) -> bool:
        """Send all events that wait, batch by batch; return False if the endpoint did not take one."""
        # Read the length once: new events would keep this loop running for ever.
        left, self._refused_in_a_row = len(self._queue), 0
        while left > 0:
            count = min(left, self._slice(left))
            if not self._send(count) or self._refused_in_a_row:
                self._failures += 1
                return False
            left -= count
            self._failures = 0
        return True

    def _slice(self, waiting: int) -> int:
        """Return how many events go into one request: more when many wait, most when the process ends.

        A request has a price of its own, 40 to 150 ms for an insert of ClickHouse. But encoding holds the GIL.
        """
        if self._closing:
            return self._largest_batch
        return self._batch_size if waiting < MAX_BATCH_SIZE else min(self._largest_batch, LARGE_BATCH_SIZE)

    def _send(self, count: int) -> bool:
        """Send the oldest events; split a refused batch in halves until the bad event is alone, and drop only that."""
        exporter = self._connected()
        if exporter is None:
            return False
        while len(self._records) < count:
            item = self._queue[len(self._records)]
            record = exporter.record(item.event, item.time_ns, item.context, item.engine_version, item.attributes())
            self._records.append(record)
        delivery = exporter.export([self._records[position] for position in range(count)])
        if delivery is Delivery.DELIVERED:
            self._witnesses[self._queue[0].event.kind] = self._records[0]
            self._settle(count)
            self._refused_in_a_row = 0
            return True
        if delivery is not Delivery.FAILED and count > 1:
            half = count // 2
            return self._send(half) and self._send(count - half)
        if delivery is Delivery.UNREADABLE:
            self._settle(1, "rejected", exporter.last_error)
            return True
        if delivery is Delivery.REFUSED and self._judge(exporter):
            return True
        self._log_once("failed", "Events cannot be delivered, trying again: %s", exporter.last_error)
        return False

    def _judge(self, exporter: Exporter) -> bool:
        """Decide on the oldest event, which was refused alone; return False if the endpoint is out of order.

        It may be, as with a full disk, and refuse whatever it gets. So send it an event of the same kind again that it
        took before, which counts once all the same. Without one, let the other events go first.
        """
        why = exporter.last_error
        if witness := self._witnesses.get(self._queue[0].event.kind):
            if exporter.export([witness]) is Delivery.DELIVERED:
                self._settle(1, "rejected", why)
                return True
            return False
        self._records.popleft()
        self._ledger.postpone()
        self._refused_in_a_row += 1
        return self._refused_in_a_row < MAX_REFUSED_IN_A_ROW

    def _connected(self) -> Exporter | None:
        if self._exporter is None:
            try:
                self._exporter = Exporter(self._hash_key, self._process_id)
            except Exception as error:  # noqa: BLE001 (a bad variable must not end the thread; it is logged once)
                self._log_once("failed", "Events cannot be delivered: %s", error)
        return self._exporter

    def _settle(self, count: int, reason: Reason | None = None, why: str = "") -> None:
        if self._ledger.settle(count, reason):
            for _ in range(count):
                self._records.popleft()
            if reason is not None:
                self._log_lost(count, reason, why)

    def _report(self) -> None:
        """Send the counters of each kind; they are cumulative, so a lost report does no harm."""
        exporter = self._connected()
        if exporter is None:
            return
        prefix, records = "intel.pipeline.", []
        for kind, counts in self._ledger.by_kind().items():
            attributes: dict[str, AttributeValue] = {
                f"{prefix}process.pid": self._pid,
                f"{prefix}process.started_at": self._started_at_ns,
                f"{prefix}kind": kind,
                f"{prefix}emitted": counts["emitted"],
                f"{prefix}delivered": counts["delivered"],
                f"{prefix}queued": counts["queued"],
                f"{prefix}invalid_optional": counts["invalid_optional"],
                **{f"{prefix}dropped.{reason}": count for reason, count in counts["dropped"].items()},
            }
            records.append(exporter.record(PIPELINE_REPORTED, time.time_ns(), None, "", attributes))
        if records:
            exporter.export(records)

    def _log_lost(self, count: int, reason: Reason, why: str = "") -> None:
        self._log_once(reason, "%d event(s) dropped (%s): %s.", count, reason, why or DROP_REASONS[reason])

    def _log_once(self, key: str, message: str, *arguments: object) -> None:
        kind = key.partition(":")[0]
        if key in self._logged or sum(logged.startswith(kind) for logged in self._logged) >= MAX_LOGGED:
            return
        self._logged.add(key)
        # A filter or handler of the application may raise, and this may be in its page.
        with suppress(Exception):
            logger.warning(f"{message} (said once per process; see status())", *arguments)
        if key != "failed":  # then the report would not arrive, either
            self._report_soon = True
            self._wake.put(None)


def _text_of(why: object) -> str:
    """Return what is wrong in words; whose text raises is named by its type."""
    try:
        return "" if why is None else str(why)[:300]
    except Exception:  # noqa: BLE001 (an object of the application)
        return type(why).__name__


def _reset_after_fork() -> None:
    for pipeline in list(_pipelines):
        pipeline._reset()


os.register_at_fork(after_in_child=_reset_after_fork)
