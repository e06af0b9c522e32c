"""The counters of one process: emitted is always delivered + dropped + queued."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context

from otel_intel.delivery.ledger import Ledger, QueuedEvent
from otel_intel.events import DASHBOARD_OPENED, DROP_REASONS, OUTCOME_RECORDED, Event, Reason


def queued(event: Event = DASHBOARD_OPENED) -> QueuedEvent:
    return QueuedEvent(event, time.time_ns(), Context(), "2.0", ("1",) * len(event.attributes))


@pytest.fixture
def queue() -> deque[QueuedEvent]:
    return deque()


@pytest.fixture
def ledger(queue: deque[QueuedEvent]) -> Ledger:
    return Ledger(queue)


steps = st.one_of(
    st.sampled_from([DASHBOARD_OPENED, OUTCOME_RECORDED]),
    st.tuples(st.just("settle"), st.integers(0, 3), st.sampled_from([None, *DROP_REASONS])),
    st.tuples(st.just("drop"), st.sampled_from(list(DROP_REASONS))),
)


@given(st.lists(steps))
def test_emitted_is_delivered_and_dropped_and_queued(taken: list[object]) -> None:
    queue: deque[QueuedEvent] = deque()
    ledger, emitted = Ledger(queue), 0
    for step in taken:
        match step:
            case Event():
                queue.append(queued(step))
                emitted += 1
            case ("settle", int(count), reason):
                ledger.settle(min(count, len(queue)), reason)  # type: ignore[arg-type]
            case ("drop", str(reason)):
                ledger.drop("view", reason)  # type: ignore[arg-type]
                emitted += 1
        status = ledger.status()
        assert status["emitted"] == emitted
        assert emitted == status["delivered"] + sum(status["dropped"].values()) + status["queued"]
        by_kind = ledger.by_kind().values()
        assert sum(counts["emitted"] for counts in by_kind) == emitted
        assert all(
            counts["emitted"] == counts["delivered"] + sum(counts["dropped"].values()) + counts["queued"]
            for counts in by_kind
        )


def test_counts_are_by_kind_and_reason(queue: deque[QueuedEvent], ledger: Ledger) -> None:
    queue.extend([queued(), queued(OUTCOME_RECORDED), queued(OUTCOME_RECORDED), queued()])
    ledger.settle(1)
    ledger.settle(1, "rejected")
    ledger.drop("recommendation", "invalid")
    nothing: dict[Reason, int] = dict.fromkeys(DROP_REASONS, 0)
    assert ledger.by_kind() == {
        "outcome": {
            "emitted": 2,
            "delivered": 0,
            "dropped": nothing | {"rejected": 1},
            "queued": 1,
            "invalid_optional": 0,
        },
        "recommendation": {
            "emitted": 1,
            "delivered": 0,
            "dropped": nothing | {"invalid": 1},
            "queued": 0,
            "invalid_optional": 0,
        },
        "view": {"emitted": 2, "delivered": 1, "dropped": nothing, "queued": 1, "invalid_optional": 0},
    }


def test_close_drops_waiting_events_and_counts_no_more(queue: deque[QueuedEvent], ledger: Ledger) -> None:
    queue.extend([queued(), queued()])
    assert ledger.close() == 2
    assert ledger.is_closed
    queue.append(queued())
    assert not ledger.settle(1)
    assert ledger.status()["dropped"]["exit_deadline"] == 2
    assert ledger.status()["delivered"] == 0


def test_wait_ends_when_the_last_event_has_left(queue: deque[QueuedEvent], ledger: Ledger) -> None:
    queue.extend([queued(), queued()])
    goal = ledger.goal()
    ledger.settle(1)
    worker = threading.Thread(target=ledger.settle, args=(1,))
    worker.start()
    assert ledger.wait(goal, time.monotonic() + 10)
    worker.join()


def test_wait_ends_at_the_deadline(queue: deque[QueuedEvent], ledger: Ledger) -> None:
    queue.append(queued())
    assert not ledger.wait(ledger.goal(), time.monotonic() + 0.01)


def test_wait_reports_a_loss_once(queue: deque[QueuedEvent], ledger: Ledger) -> None:
    ledger.drop("view", "queue_full")
    assert not ledger.wait(ledger.goal(), time.monotonic())
    assert ledger.wait(ledger.goal(), time.monotonic())


def test_a_lost_optional_value_is_no_lost_event() -> None:
    ledger = Ledger(deque())
    ledger.note_invalid_optional("view")
    assert (ledger.status()["emitted"], ledger.status()["invalid_optional"]) == (0, 1)
    assert ledger.by_kind()["view"]["invalid_optional"] == 1
