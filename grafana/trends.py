"""Graphs that stand on more than one dashboard."""

from __future__ import annotations

from grafana import limits, look
from grafana.panels import About, Panel, lines


def shares(id: int, sql: str, obeys: str, next: tuple[str, str] | None = None) -> Panel:
    """Return acceptance share and override rate of each day; ``obeys`` says which choices they follow."""
    about = About(
        id,
        "Acceptance share and override rate",
        f"""Accepted and overridden decisions / all decisions, per UTC day; what is missing to 100 % was ignored. Days
        without decisions have no point. Dashed: the override rate that is too high. {obeys}
        Source: metrics.recommendations_daily.""",
        width=12,
        unit=look.RATE,
        empty="No decisions",
        next=next,
    )
    return lines(about, sql, look.SHARES, limit=look.limit_line(limits.OVERRIDE_RATE_HIGH))


def decision_times(id: int, sql: str, obeys: str, next: tuple[str, str] | None = None) -> Panel:
    """Return average, p50 and p90 of each day's decision times."""
    about = About(
        id,
        "Decision time",
        f"""From the first view of a recommendation to the decision: minutes, as average, p50 and p90 by nearest
        rank of each UTC day's decisions that have a time. {obeys} Source: metrics.decisions_between.""",
        width=12,
        unit=look.MINUTES,
        empty="No timed decisions",
        next=next,
    )
    return lines(about, sql, look.TIMES)
