"""Whatever arrives in whatever order, and whatever dies meanwhile: all numbers equal the slow reference."""

from __future__ import annotations

import contextlib
import os
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from otel_intel.schema.connection import connect
from otel_intel.schema.rebuild import rebuild
from otel_intel.schema.refresh import recompute_all, refresh, set_time_zone
from tests.otlp import Record, deliver
from tests.servers import ClickHouse
from tests.sql.reference import Reference
from tests.sql.streams import conflicting, make_event, make_time
from tests.sql.test_refresh import assert_equal, dying_after

seeds = st.integers(0, 2**32)


class Deliveries(RuleBasedStateMachine):
    """Deliver new, late, repeated and contradicting events; kill, recompute, rebuild; change the time zone."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        super().__init__()
        clickhouse.empty()
        self.clickhouse = clickhouse
        self.delivered: list[Record] = []
        self.zone = "UTC"
        set_time_zone([clickhouse.client("admin")], self.zone)

    def _deliver(self, records: list[Record]) -> None:
        if records:
            deliver(self.clickhouse, *records)
            self.delivered += records

    def _new_events(self, rng: random.Random, count: int) -> list[Record]:
        times = [record.time_ns for record in self.delivered]
        return [make_event(rng, make_time(rng, times)) for _ in range(count)]

    @rule(seed=seeds, count=st.integers(1, 12))
    def deliver_new_events(self, seed: int, count: int) -> None:
        self._deliver(self._new_events(random.Random(seed), count))

    @rule(seed=seeds)
    def deliver_again(self, seed: int) -> None:
        self._deliver(random.Random(seed).choices(self.delivered, k=5) if self.delivered else [])

    @rule(seed=seeds)
    def deliver_a_contradicting_copy(self, seed: int) -> None:
        rng, times = random.Random(seed), [record.time_ns for record in self.delivered]
        self._deliver([conflicting(rng, rng.choice(self.delivered), times)] if times else [])

    @rule(seed=seeds, count=st.integers(1, 12), statements=st.integers(0, 10))
    def kill_a_refresh(self, seed: int, count: int, statements: int) -> None:
        self._deliver(self._new_events(random.Random(seed), count))
        with (
            connect(self.clickhouse.url("admin")) as client,
            pytest.MonkeyPatch.context() as patch,
            dying_after(client, statements, patch),
            contextlib.suppress(KeyboardInterrupt),
        ):
            refresh([client])

    @rule()
    def recompute(self) -> None:
        recompute_all([self.clickhouse.client("admin")], lambda line: None)

    @rule()
    def rebuild(self) -> None:
        rebuild([self.clickhouse.client("admin")], lambda line: None)

    @rule(zone=st.sampled_from(["America/Los_Angeles", "Asia/Kathmandu", "UTC"]))
    def change_the_time_zone(self, zone: str) -> None:
        self.zone = zone
        set_time_zone([self.clickhouse.client("admin")], zone)

    @invariant()
    def numbers_are_right(self) -> None:
        self.clickhouse.refresh()
        assert_equal(self.clickhouse, Reference(self.delivered, ZoneInfo(self.zone)))


def test_numbers_are_right_after_every_step(clickhouse: ClickHouse) -> None:
    class OnThisServer(Deliveries):
        def __init__(self) -> None:
            super().__init__(clickhouse)

    # Always the same ones in the gate; others, and more, with EXAMPLES=100.
    examples = os.environ.get("EXAMPLES")
    found = settings(
        max_examples=int(examples or 2), derandomize=not examples, stateful_step_count=8, deadline=None, database=None
    )
    run_state_machine_as_test(OnThisServer, settings=settings(found, suppress_health_check=[HealthCheck.too_slow]))
