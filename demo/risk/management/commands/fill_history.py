"""Fill the site with agreements and signals, and ClickHouse with what staff would have done about them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import click
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from demo.risk.assist import DecisionAssistService
from demo.risk.models import Agreement, Note, RiskSignal
from otel_intel import get_telemetry

FORMER_VERSION = "1.4"
CURRENT_SINCE = 24  # days

TEAMS = ("Facilities", "Fleet", "Finance", "Licensing", "Logistics", "Procurement", "Research", "Retail")
SUBJECTS = ("Lease", "Maintenance", "Software licence", "Supply", "Cleaning", "Consulting", "Hosting", "Insurance")
STAFF = ("north", "south", "east", "west", "night")


@dataclass(frozen=True)
class Habits:
    """How staff treat one version's recommendations: shares of decisions and outcomes, median seconds to decide."""

    decisions: tuple[float, float, float]
    outcomes: tuple[float, float, float, float]
    seconds: float


HABITS = {
    FORMER_VERSION: Habits((0.55, 0.26, 0.19), (0.55, 0.14, 0.13, 0.18), 150),
    DecisionAssistService.EXPLANATION_ENGINE_VERSION: Habits((0.68, 0.19, 0.13), (0.62, 0.12, 0.15, 0.11), 95),
}


class Command(BaseCommand):
    """Fill in 60 days of plausible history, using only the public helpers."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the number of days."""
        parser.add_argument("--days", type=int, default=60)

    def handle(self, *args: object, **options: int) -> None:
        """Create the data, then send the events with a progress bar."""
        if RiskSignal.objects.exists():
            raise CommandError("There are signals already: a second run would add the history twice.")
        history = History(random.Random(7), options["days"], timezone.now())  # noqa: S311
        with transaction.atomic():
            history.create_data()
        # Outside the transaction: inside, all decisions would wait for its commit.
        try:
            self._send(sorted(history.events(), key=lambda event: event[0]))
        except KeyboardInterrupt:
            raise CommandError("Interrupted.") from None

    def _send(self, events: list[tuple[datetime, Callable[[], None]]]) -> None:
        telemetry = get_telemetry()
        with click.progressbar(events, label="▸ Sending history", show_pos=True) as bar:
            for number, (_, send) in enumerate(bar):
                send()
                if number % 1000 == 0:  # the queue of a process has a limit
                    telemetry.flush(60)
        if not telemetry.flush(60):
            raise CommandError(f"Not all events were delivered: {telemetry.status()}")


class History:
    """Agreements, signals, decisions and outcomes of some days, all made with one random generator."""

    def __init__(self, rng: random.Random, days: int, now: datetime) -> None:
        self.rng = rng
        self.now = now
        self.days = [now.date() - timedelta(days=age) for age in range(days - 1, -1, -1)]
        self.current_since = now.date() - timedelta(days=CURRENT_SINCE)
        self.service = DecisionAssistService()
        self.staff = list(User.objects.filter(username__in=STAFF))
        self.signals: list[RiskSignal] = []
        self.notes: dict[int, Note] = {}

    def create_data(self) -> None:
        """Create the rows of the site, decisions and outcomes included."""
        for day in self.days:
            for _ in range(self.rng.randint(18, 30) if day.weekday() < 5 else self.rng.randint(3, 8)):
                signal = self._signal(day)
                if signal.raised_at < self.now:
                    self.signals.append(signal)
        self.signals.sort(key=lambda signal: signal.raised_at)
        Agreement.objects.bulk_create([signal.agreement for signal in self.signals])
        RiskSignal.objects.bulk_create(self.signals)
        for signal in self.signals:
            if signal.decided_at and self.rng.random() < 0.2:
                written = signal.decided_at + timedelta(minutes=self.rng.randint(1, 20))
                if written < self.now:
                    note = Note(signal=signal, author=signal.decided_by, text="Agreed by phone.", created_at=written)
                    self.notes[signal.pk] = note
        Note.objects.bulk_create(self.notes.values())

    def events(self) -> Iterator[tuple[datetime, Callable[[], None]]]:
        """Yield the time of each event and the call that tracks it."""
        telemetry = get_telemetry()
        for day in self.days:
            for admin in self.staff:
                for _ in range(self.rng.randint(1, 4) if day.weekday() < 5 else self.rng.randint(0, 1)):
                    at = self._office_hour(day)
                    if at < self.now:
                        yield self._event(at, telemetry.track_dashboard_open, day, admin.pk)
        for signal in self.signals:
            yield from self._events_of(signal)

    def _events_of(self, signal: RiskSignal) -> Iterator[tuple[datetime, Callable[[], None]]]:
        telemetry = get_telemetry()
        if signal.decided_by is None or signal.decided_at is None:
            return
        day, admin = signal.raised_at.date(), signal.decided_by.pk
        recommendation = self.service.recommend(signal, day)
        shown = (recommendation.type, recommendation.confidence)
        version = self._version(day)
        took = timedelta(seconds=self.rng.lognormvariate(0, 0.9) * HABITS[version].seconds)
        seen = max(signal.raised_at, signal.decided_at - took)
        yield self._event(seen, telemetry.track_signal_detail_open, day, admin, signal.pk)
        yield self._event(seen, telemetry.track_recommendation_view, day, signal.pk, admin, *shown)
        if self.rng.random() < 0.25:  # a colleague looks as well
            other = self.rng.choice([one.pk for one in self.staff if one.pk != admin])
            at = signal.raised_at + timedelta(minutes=self.rng.randint(1, 60))
            yield self._event(at, telemetry.track_signal_detail_open, day, other, signal.pk)
            yield self._event(at, telemetry.track_recommendation_view, day, signal.pk, other, *shown)
        if self.rng.random() < 0.45:
            at = seen + (signal.decided_at - seen) / 3
            yield self._event(at, telemetry.track_explanation_expand, day, admin, signal.pk)
        decide = {
            RiskSignal.Decision.ACCEPTED: telemetry.track_recommendation_accept,
            RiskSignal.Decision.IGNORED: telemetry.track_recommendation_ignore,
            RiskSignal.Decision.OVERRIDDEN: telemetry.track_recommendation_override,
        }[RiskSignal.Decision(signal.decision)]
        yield self._event(signal.decided_at, decide, day, signal.pk, admin, *shown)
        note = self.notes.get(signal.pk)
        if note:
            yield self._event(note.created_at, telemetry.track_admin_note_create, day, admin, signal.pk, note.pk)
        if signal.closed_at:
            hours = (signal.closed_at - signal.raised_at).total_seconds() / 3600
            outcome = (signal.pk, signal.outcome, hours, note.pk if note else None, admin)
            yield self._event(signal.closed_at, telemetry.track_signal_outcome, day, *outcome)

    def _event(
        self, at: datetime, track: Callable[..., None], raised: date, *arguments: object
    ) -> tuple[datetime, Callable[[], None]]:
        at, version = min(at, self.now), self._version(raised)
        return at, lambda: track(*arguments, engine_version=version, timestamp=at)

    def _version(self, day: date) -> str:
        return FORMER_VERSION if day < self.current_since else DecisionAssistService.EXPLANATION_ENGINE_VERSION

    def _office_hour(self, day: date) -> datetime:
        seconds = int(self.rng.triangular(7 * 3600, 19 * 3600, 10 * 3600))
        return datetime(day.year, day.month, day.day, tzinfo=self.now.tzinfo) + timedelta(seconds=seconds)

    def _signal(self, day: date) -> RiskSignal:
        type = self.rng.choice(list(RiskSignal.Type))
        raised_at = self._office_hour(day)
        version = self._version(day)  # the one that recommends something about it, whenever somebody looks
        signal = RiskSignal(
            agreement=self._agreement(type, day), type=type, raised_at=raised_at, engine_version=version
        )
        if self.rng.random() < (0.9 if day < self.now.date() - timedelta(days=3) else 0.35):
            self._decide(signal, day)
        return signal

    def _decide(self, signal: RiskSignal, day: date) -> None:
        version = self._version(day)
        habits = HABITS[version]
        decided_at = signal.raised_at + timedelta(minutes=self.rng.expovariate(1 / 180) + 5)
        if decided_at >= self.now:
            return
        signal.decision = self.rng.choices(list(RiskSignal.Decision), habits.decisions)[0]
        signal.decided_at = decided_at
        signal.decided_by = self.rng.choices(self.staff, range(len(self.staff), 0, -1))[0]
        closed_at = decided_at + timedelta(hours=self.rng.expovariate(1 / 30) + 0.5)
        if closed_at < self.now and self.rng.random() < 0.85:
            signal.outcome = self.rng.choices(list(RiskSignal.Outcome), habits.outcomes)[0]
            signal.closed_at = closed_at

    def _agreement(self, type: RiskSignal.Type, day: date) -> Agreement:
        rng = self.rng
        agreement = Agreement(
            title=f"{rng.choice(SUBJECTS)} {rng.randint(1000, 9999)}",
            owner=rng.choice(TEAMS),
            expires_on=day + timedelta(days=rng.randint(60, 400)),
            value=int(rng.lognormvariate(9.5, 1.1)),
            owner_last_seen=day - timedelta(days=rng.randint(0, 20)),
        )
        match type:
            case RiskSignal.Type.EXPIRING_SOON:
                agreement.expires_on = day + timedelta(days=rng.randint(0, 30))
            case RiskSignal.Type.LONG_PENDING:
                agreement.pending_since = day - timedelta(days=rng.randint(14, 90))
            case RiskSignal.Type.REPEATED_FORCE_EXPIRE:
                agreement.forced_expiries = rng.randint(2, 5)
            case RiskSignal.Type.REPEATED_REGENERATION:
                agreement.regenerations = rng.randint(3, 9)
            case RiskSignal.Type.FAILED_ACCEPTANCE:
                agreement.failed_acceptances = rng.randint(2, 4)
            case RiskSignal.Type.INACTIVE_OWNER:
                agreement.owner_last_seen = day - timedelta(days=rng.randint(25, 120))
        return agreement
