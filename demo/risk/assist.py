"""The decision-assist engine: it recommends an action for a risk signal, with a confidence and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from .models import Agreement, RiskSignal


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding: a text for people, and the points that it adds to the recommendation (negative: takes away)."""

    text: str
    points: int


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the engine recommends for a signal."""

    type: str
    action: str
    confidence: str
    reasons: tuple[Reason, ...]

    @property
    def points(self) -> int:
        """The sum of the points, from which the confidence follows."""
        return sum(reason.points for reason in self.reasons)


class DecisionAssistService:
    """Recommend an action for a signal from its agreement's data."""

    EXPLANATION_ENGINE_VERSION: Final = "2.0"

    HIGH_FROM: Final = 60
    MEDIUM_FROM: Final = 35

    ACTIONS: Final = {
        RiskSignal.Type.EXPIRING_SOON: "Send the renewal offer today",
        RiskSignal.Type.LONG_PENDING: "Remind both parties and set a deadline",
        RiskSignal.Type.REPEATED_FORCE_EXPIRE: "Freeze the agreement and review its terms",
        RiskSignal.Type.REPEATED_REGENERATION: "Correct the template before the next draft",
        RiskSignal.Type.INACTIVE_OWNER: "Hand the agreement over to another team",
        RiskSignal.Type.FAILED_ACCEPTANCE: "Call the counterparty about the failed acceptance",
    }

    def recommend(self, signal: RiskSignal, today: date) -> Recommendation:
        """Recommend the signal's action; more points give a higher confidence."""
        agreement = signal.agreement
        reasons = [
            *self._about_the_signal(RiskSignal.Type(signal.type), agreement, today),
            *self._about_the_agreement(agreement, today),
        ]
        points = sum(reason.points for reason in reasons)
        confidence = "HIGH" if points >= self.HIGH_FROM else "MEDIUM" if points >= self.MEDIUM_FROM else "LOW"
        return Recommendation(signal.type, self.ACTIONS[RiskSignal.Type(signal.type)], confidence, tuple(reasons))

    def _about_the_signal(self, type: RiskSignal.Type, agreement: Agreement, today: date) -> list[Reason]:
        """Measure what raised the signal."""
        match type:
            case RiskSignal.Type.EXPIRING_SOON if agreement.expires_on:
                days = (agreement.expires_on - today).days
                if days < 0:
                    return [Reason(f"It expired {-days} days ago.", 60)]
                return [Reason(f"It expires in {days} days.", max(0, 60 - 2 * days))]
            case RiskSignal.Type.LONG_PENDING if agreement.pending_since:
                days = (today - agreement.pending_since).days
                return [Reason(f"It has been pending for {days} days.", min(60, days))]
            case RiskSignal.Type.REPEATED_FORCE_EXPIRE:
                return [
                    Reason(f"It was force-expired {agreement.forced_expiries} times.", 15 * agreement.forced_expiries)
                ]
            case RiskSignal.Type.REPEATED_REGENERATION:
                return [
                    Reason(
                        f"Its document was regenerated {agreement.regenerations} times.", 9 * agreement.regenerations
                    )
                ]
            case RiskSignal.Type.FAILED_ACCEPTANCE:
                return [
                    Reason(
                        f"{agreement.failed_acceptances} attempts to accept it failed.",
                        18 * agreement.failed_acceptances,
                    )
                ]
            case RiskSignal.Type.INACTIVE_OWNER if agreement.owner_last_seen:
                days = (today - agreement.owner_last_seen).days
                return [Reason(f"Its owners were last seen {days} days ago.", min(60, days))]
            case _:
                return [Reason("The data that raised the signal is no longer there.", 0)]

    def _about_the_agreement(self, agreement: Agreement, today: date) -> list[Reason]:
        """Return reasons that do not depend on the signal's type."""
        reasons = []
        if agreement.value >= 50_000:
            reasons.append(Reason(f"It is worth {agreement.value:,} a year.", 20))
        elif agreement.value < 5_000:
            reasons.append(Reason(f"It is worth only {agreement.value:,} a year.", -10))
        if agreement.owner_last_seen and (today - agreement.owner_last_seen).days <= 3:
            reasons.append(Reason("Its owners were active in the last three days and may act by themselves.", -15))
        if agreement.forced_expiries and agreement.failed_acceptances:
            reasons.append(Reason("It failed in more than one way.", 15))
        return reasons
