"""For the tests of applications: capture the events that the code under test would have sent.

With pytest the fixture ``otel_intel_events`` gives the same list.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.trace import get_current_span

from .delivery.ledger import QueuedEvent
from .events import ENGINE_VERSION, AttributeValue
from .telemetry import get_telemetry


@dataclass(frozen=True, slots=True)
class CapturedEvent:
    """One event as it would have been sent.

    Args:
        name: Such as "intel.recommendation.accepted".
        attributes: By their keys on the wire; an optional attribute that was not given is absent.
        timestamp: The time of the call, or the one that was passed.
        trace_id: 32 hexadecimal digits, or '' outside a trace.
    """

    name: str
    attributes: dict[str, AttributeValue]
    timestamp: datetime
    trace_id: str


class CapturedEvents(list[CapturedEvent]):
    """List the captured events, oldest first."""

    def named(self, name: str) -> list[CapturedEvent]:
        """Return the events of one name."""
        return [event for event in self if event.name == name]

    def only(self, name: str) -> CapturedEvent:
        """Return the one event of a name.

        Raises:
            AssertionError: If there is none, or more than one; the message lists what there is.
        """
        found = self.named(name)
        names = ", ".join(event.name for event in self) or "nothing (decisions are captured at the commit)"
        assert len(found) == 1, f"{len(found)} events named {name!r}; captured: {names}"
        return found[0]


@contextmanager
def capture_events() -> Iterator[CapturedEvents]:
    """Capture the events of a block, in all threads; nothing is sent during the block.

    State changes are captured when their transaction commits. The transaction that TestCase wraps around a
    test does not count; for those that the code under test opens itself inside it, use
    ``captureOnCommitCallbacks(execute=True)`` or the fixture ``django_capture_on_commit_callbacks``.
    """
    telemetry = get_telemetry()
    captured = CapturedEvents()

    def capture(item: QueuedEvent) -> None:
        span_context = get_current_span(item.context).get_span_context()
        captured.append(
            CapturedEvent(
                name=item.event.name,
                attributes={**item.attributes(), ENGINE_VERSION.key: item.engine_version},
                timestamp=datetime.fromtimestamp(item.time_ns / 1e9, UTC),
                trace_id=f"{span_context.trace_id:032x}" if span_context.is_valid else "",
            )
        )

    before = telemetry.divert(capture)
    try:
        yield captured
    finally:
        telemetry.divert(before)
