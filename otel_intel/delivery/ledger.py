"""Count the events of one process: ``emitted == delivered + sum(dropped.values()) + queued`` always holds."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import NamedTuple, TypedDict

from opentelemetry.context import Context

from otel_intel.events import DROP_REASONS, AttributeValue, Event, Kind, Reason


class QueuedEvent(NamedTuple):
    """One valid event, as small as possible: it is made in the caller's time."""

    event: Event
    time_ns: int
    context: Context
    engine_version: str
    values: tuple[AttributeValue | None, ...]

    def attributes(self) -> dict[str, AttributeValue]:
        """Return the present attributes by their keys on the wire."""
        pairs = zip(self.event.attributes, self.values, strict=True)
        return {attribute.key: value for attribute, value in pairs if value is not None}


class PipelineStatus(TypedDict):
    """Count the events of this process: ``emitted == delivered + sum(dropped.values()) + queued``.

    ``invalid_optional`` counts events among them that lost an optional value because it was wrong.
    """

    emitted: int
    delivered: int
    dropped: dict[Reason, int]
    queued: int
    invalid_optional: int


class Ledger:
    """Count events by kind and result; ``emitted == delivered + sum(dropped.values()) + queued`` at any moment.

    Safe to use from any thread. After a fork, the child needs a new one.

    Args:
        queue: The events that wait. The caller appends to it without a lock; ``settle`` is the only way out.
    """

    def __init__(self, queue: deque[QueuedEvent]) -> None:
        self._queue = queue
        # Re-entrant: while a thread holds it, garbage collection may run a __del__ in that thread that tracks an event.
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._delivered: Counter[Kind] = Counter()
        self._dropped: Counter[tuple[Kind, Reason]] = Counter()
        self._invalid_optional: Counter[Kind] = Counter()
        self._settled = 0  # events that left the queue, for whatever reason
        self._lost_before_flush = 0
        self._is_closed = False

    def drop(self, kind: Kind, reason: Reason) -> None:
        """Count an event that never got into the queue."""
        with self._changed:
            self._dropped[kind, reason] += 1

    def note_invalid_optional(self, kind: Kind) -> None:
        """Count an event that goes on without an optional value, which was wrong."""
        with self._changed:
            self._invalid_optional[kind] += 1

    def settle(self, count: int, reason: Reason | None = None) -> bool:
        """Take the oldest events out of the queue as delivered, or as dropped for a reason; False once closed."""
        with self._changed:
            if self._is_closed:
                return False
            for _ in range(count):
                kind = self._queue.popleft().event.kind
                if reason is None:
                    self._delivered[kind] += 1
                else:
                    self._dropped[kind, reason] += 1
            self._settled += count
            self._changed.notify_all()
            return True

    def postpone(self) -> None:
        """Move the oldest event to the end of the queue."""
        with self._changed:
            if not self._is_closed:
                self._queue.append(self._queue.popleft())

    def close(self) -> int:
        """Drop the events that still wait, count nothing from now on, and return how many were dropped."""
        with self._changed:
            left = len(self._queue)
            self.settle(left, "exit_deadline")
            self._is_closed = True
            return left

    @property
    def is_closed(self) -> bool:
        """True after ``close``."""
        return self._is_closed

    def goal(self) -> int:
        """Return the goal for ``wait``: all events emitted so far have left the queue."""
        with self._changed:
            return self._settled + len(self._queue)

    def wait(self, goal: int, deadline: float) -> bool:
        """Wait for a goal until the deadline (``time.monotonic``).

        Returns:
            True if the goal was reached and no event was lost since the last call.
        """
        with self._changed:
            while self._settled < goal:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            lost = sum(self._dropped.values())
            nothing_lost = lost == self._lost_before_flush
            self._lost_before_flush = lost
            return nothing_lost and self._settled >= goal

    def status(self) -> PipelineStatus:
        """Return all counts; events in flight count as queued."""
        with self._changed:
            return self._status(self._counted(), len(self._queue))

    def by_kind(self) -> dict[Kind, PipelineStatus]:
        """Return the counts of each kind that has events."""
        with self._changed:
            queued = Counter(item.event.kind for item in self._queue.copy())
            kinds = sorted({*self._counted(), *queued})
            return {kind: self._status({kind}, queued[kind]) for kind in kinds}

    def _counted(self) -> set[Kind]:
        return {*self._delivered, *self._invalid_optional, *(kind for kind, _ in self._dropped)}

    def _status(self, kinds: set[Kind], queued: int) -> PipelineStatus:
        delivered = sum(self._delivered[kind] for kind in kinds)
        dropped = {reason: sum(self._dropped[kind, reason] for kind in kinds) for reason in DROP_REASONS}
        emitted = delivered + sum(dropped.values()) + queued
        return {
            "emitted": emitted,
            "delivered": delivered,
            "dropped": dropped,
            "queued": queued,
            "invalid_optional": sum(self._invalid_optional[kind] for kind in kinds),
        }
