"""Adversarial streams of events: a few hundred records with many rare cases."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from otel_intel.events import CATALOGUE
from tests.otlp import Record, event

DAY = 86_400 * 10**9
HORIZON = 7 * DAY
FIRST_DAY = date(2024, 2, 20)  # the stream includes 2024-02-29
DAYS = 24
TYPES = ("EXPIRING_SOON", "LONG_PENDING")
VERSIONS = ("v1", "v2", "v3")


@dataclass(frozen=True)
class Stream:
    """A stream: batches in the order of their delivery."""

    batches: list[list[Record]]

    @property
    def deliveries(self) -> list[Record]:
        """All records in the order of their arrival."""
        return [record for batch in self.batches for record in batch]


def midnight(day: int) -> int:
    """Return the start of a day of the stream (UTC), by its number, in nanoseconds."""
    start = datetime.combine(FIRST_DAY + timedelta(days=day), datetime.min.time(), UTC)
    return int(start.timestamp()) * 10**9


def make_stream(seed: int, events: int = 260) -> Stream:
    """Return a stream: duplicates, conflicting copies, ties, repeated decisions, second outcomes, late and shuffled."""
    rng = random.Random(seed)
    times: list[int] = []
    originals = []
    for _ in range(events):
        times.append(make_time(rng, times))
        originals.append(make_event(rng, times[-1]))
    deliveries = list(originals)
    for original in originals:
        deliveries += [original] * rng.choice([0, 0, 0, 1, 1, 2])
        if rng.random() < 0.1:
            deliveries.append(conflicting(rng, original, times))
    rng.shuffle(deliveries)
    batches = []
    while deliveries:
        size = rng.choice([1, 2, 10, 60])
        batches.append(deliveries[:size])
        deliveries = deliveries[size:]
    # Repeat the same request, as after a lost answer.
    batches.append(batches[0])
    return Stream(batches)


def make_time(rng: random.Random, earlier: list[int]) -> int:
    """Return a time in nanoseconds; often one that is hard because of an earlier one."""
    kind = rng.random()
    if earlier and kind < 0.15:
        return rng.choice(earlier)  # the same nanosecond
    if earlier and kind < 0.3:
        return rng.choice(earlier) // 10**6 * 10**6 + rng.randrange(10**6)  # the same millisecond
    if earlier and kind < 0.4:
        return rng.choice(earlier) + HORIZON + rng.choice([-(10**6), -1, 0, 1, 10**6])  # the limit of the pairing
    if kind < 0.55:
        return midnight(rng.randrange(DAYS)) + rng.choice([-(10**6), -1, 0, 1])
    return midnight(0) + rng.randrange(DAYS * DAY)


def _uid(rng: random.Random, time_ns: int) -> str:
    if rng.random() < 0.3:  # out of order
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    bits = (time_ns // 10**6) << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    return str(uuid.UUID(int=bits))


def make_event(rng: random.Random, time_ns: int) -> Record:
    """Return an event of any kind, about a few signals and admins."""
    name = rng.choices(
        [
            "recommendation.viewed",
            "recommendation.accepted",
            "recommendation.ignored",
            "recommendation.overridden",
            "signal.outcome_recorded",
            "dashboard.opened",
            "signal.detail_opened",
            "explanation.expanded",
            "note.created",
        ],
        weights=[30, 12, 8, 6, 16, 5, 8, 6, 4],
    )[0]
    attributes: dict[str, object] = {
        "intel.admin.id": rng.choice(["a1", "a2", "a10", "ä"]),
        "intel.engine.version": rng.choice(VERSIONS),
    }
    if name != "dashboard.opened":
        attributes["intel.risk_signal.id"] = rng.choice(["s1", "s2", "s3", "s'4", "5"])
    if name.startswith("recommendation."):
        attributes["intel.recommendation.type"] = rng.choice(TYPES)
        attributes["intel.recommendation.confidence"] = rng.choice(["HIGH", "MEDIUM", "LOW"])
        if not name.endswith("viewed"):
            attributes["intel.decision.time_ms"] = rng.choice([None, None, None, 0, 7, 90_000])
    if name.startswith("signal.outcome"):
        attributes["intel.outcome.status"] = rng.choice(["RESOLVED", "ESCALATED", "NO_ACTION", "FALSE_POSITIVE"])
        attributes["intel.outcome.resolution_time_hours"] = rng.choice([None, 0.0, 0.25, 48.5])
        attributes["intel.admin.id"] = rng.choice([None, "a1"])
        attributes["intel.risk_signal.id"] = f"s{rng.randrange(25)}"
    resource = {"service.name": rng.choice(["shop", "billing"])}
    return replace(event(name, time_ns, _uid(rng, time_ns), **attributes), resource=resource)


def conflicting(rng: random.Random, original: Record, times: list[int]) -> Record:
    """Return another event of the same kind under the same uid."""
    kind = CATALOGUE[original.name].kind
    while CATALOGUE[(other := make_event(rng, make_time(rng, times))).name].kind != kind:
        continue
    return replace(other, attributes={**other.attributes, "log.record.uid": original.attributes["log.record.uid"]})
