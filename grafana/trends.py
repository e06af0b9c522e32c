"""Graphs that are on more than one dashboard."""

from __future__ import annotations

from grafana import limits, look
from grafana.panels import About, Panel, lines


def shares(id: int, sql: str, filters: str, next: tuple[str, str] | None = None) -> Panel:
    """Return acceptance share and override rate of each day; ``filters`` says which variables filter them."""
    about = About(
        id,
        "Acceptance share and override rate",
        f"""The share of the day's decisions that accepted and that overrode, per day; the rest, up to 100 %, was
        ignored. Days without decisions have no point. The dashed line is where the override rate is too high. {filters}
        Source: metrics.recommendations_daily.""",
        width=12,
        unit=look.RATE,
        empty="No decisions",
        next=next,
    )
    return lines(about, sql, look.SHARES, limit=look.limit_line(limits.OVERRIDE_RATE_HIGH))


def decision_times(id: int, sql: str, filters: str, next: tuple[str, str] | None = None) -> Panel:
    """Return average, p50 and p90 of each day's decision times."""
    about = About(
        id,
        "Decision time",
        f"""Minutes from the first view of a recommendation to the decision, of each day's decisions that have a
        time: the average, the median (p50), and the time within which nine of ten were made (p90). {filters} Source:
        metrics.decision_times_daily.""",
        width=12,
        unit=look.MINUTES,
        empty="No timed decisions",
        next=next,
    )
    return lines(about, sql, look.TIMES)
