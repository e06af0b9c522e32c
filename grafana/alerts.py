"""The alert rules, as a provisioning document; ``python -m grafana.build`` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grafana import limits, names
from grafana.queries import alerts as queries
from otel_intel.commands.grafana_files import RUNBOOK

DAY = 86400
HOUR = 3600
MINUTE = 60

# The state of a rule without rows, or when the query fails. If ClickHouse is down, only the rule `silence` reports it:
# one alert instead of ten. The other rules keep their state, because the outage does not mean that they are resolved.
State = Literal["OK", "Error", "KeepLast"]


@dataclass(frozen=True)
class Rule:
    """One rule: it fires if the query's number for a service or disk stays above a limit.

    Args:
        uid: The rule's uid without the common prefix; also the name of its section in the runbook.
        seconds: The length of the query's time range, which ends at the evaluation.
        limit: The rule fires above this value, not at it.
        pending: How long the number must be above the limit, as a Prometheus duration.
        no_data: The state if the query returns no row.
        panel: The dashboard's uid and the panel's id to look at first.
    """

    uid: str
    title: str
    severity: Literal["critical", "warning"]
    sql: str
    seconds: int
    limit: float
    pending: str
    summary: str
    description: str
    panel: tuple[str, int]
    no_data: State = "OK"
    exec_err: State = "KeepLast"

    def document(self) -> dict[str, object]:
        """Return the rule as Grafana's provisioning reads it."""
        dashboard, panel = self.panel
        return {
            "uid": f"{names.TAG}-{self.uid}",
            "title": self.title,
            "condition": "B",
            "data": [_query(self.sql, self.seconds), _above(self.limit)],
            "noDataState": self.no_data,
            "execErrState": self.exec_err,
            "for": self.pending,
            "dashboardUid": dashboard,
            "panelId": panel,
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOK}#{self.uid}",
            },
            "labels": {"severity": self.severity, "source": names.TAG},
        }


def _query(sql: str, seconds: int) -> dict[str, object]:
    source = {"type": names.DATASOURCE_TYPE, "uid": names.DATASOURCE_UID}
    return {
        "refId": "A",
        "relativeTimeRange": {"from": seconds, "to": 0},
        "datasourceUid": names.DATASOURCE_UID,
        "model": {
            "refId": "A",
            "datasource": source,
            "editorType": "sql",
            "queryType": "table",
            "format": 1,
            "pluginVersion": names.PLUGIN_VERSION,
            "rawSql": sql.strip(),
        },
    }


def _above(limit: float) -> dict[str, object]:
    return {
        "refId": "B",
        "datasourceUid": "__expr__",
        "model": {
            "refId": "B",
            "datasource": {"type": "__expr__", "uid": "__expr__"},
            "type": "threshold",
            "expression": "A",
            "conditions": [{"evaluator": {"type": "gt", "params": [limit]}}],
        },
    }


DECISIONS = (
    Rule(
        uid="acceptance-share-drop",
        title="Acceptance share dropped",
        severity="warning",
        sql=queries.ACCEPTANCE_SHARE_DROP,
        seconds=(limits.RECENT_DAYS + limits.BASE_DAYS) * DAY,
        limit=limits.ACCEPTANCE_SHARE_DROP,
        pending="1h",
        summary="{{ $labels.service_name }}: acceptance share down by {{ humanizePercentage $values.A.Value }}",
        description=(
            f"The share of the decisions of the last {limits.RECENT_DAYS} days that accepted, compared with the"
            f" {limits.BASE_DAYS} days before. Only with {limits.MINIMUM_DECISIONS} decisions or more in the last days"
            f" and {limits.MINIMUM_BASE_DECISIONS} or more before."
        ),
        panel=(names.OVERVIEW, 1),
        # No rows means too few decisions, which is not an incident.
        no_data="OK",
    ),
    Rule(
        uid="override-rate-high",
        title="Override rate is high",
        severity="warning",
        sql=queries.OVERRIDE_RATE,
        seconds=limits.RECENT_DAYS * DAY,
        limit=limits.OVERRIDE_RATE_HIGH,
        pending="1h",
        summary="{{ $labels.service_name }}: {{ humanizePercentage $values.A.Value }} of the decisions are overrides",
        description=(
            f"The share of overrides among the decisions of the last {limits.RECENT_DAYS} days."
            f" Only with {limits.MINIMUM_DECISIONS} decisions or more."
        ),
        panel=(names.OVERVIEW, 3),
        # As above.
        no_data="OK",
    ),
)

PIPELINE = (
    Rule(
        uid="silence",
        title="No events arrive",
        severity="critical",
        sql=queries.SILENCE,
        seconds=limits.SILENCE_LOOKBACK_DAYS * DAY,
        limit=limits.SILENCE_HOURS,
        pending="0s",
        summary='{{ $labels.service_name }}: no event for {{ printf "%.1f" $values.A.Value }} hours of working time',
        description=(
            f"Hours of working time (Monday to Friday, {limits.WORK_STARTS_HOUR} to {limits.WORK_ENDS_HOUR} UTC) since"
            f" the last event arrived, of services that sent on {limits.SILENCE_REGULAR_DAYS} of the last"
            f" {limits.SILENCE_LOOKBACK_DAYS} days."
        ),
        panel=(names.PIPELINE_HEALTH, 2),
        # No rows: if no service has sent events yet, the rule stays normal; after a long silence it keeps firing.
        no_data="KeepLast",
        # The only rule that reports a failed query.
        exec_err="Error",
    ),
    Rule(
        uid="reports-stopped",
        title="Processes no longer report",
        severity="warning",
        sql=queries.REPORTS_STOPPED,
        # The last report, and the day before it.
        seconds=2 * DAY,
        limit=limits.REPORTS_STOPPED_MINUTES,
        pending="0s",
        summary='{{ $labels.service_name }}: no report for {{ printf "%.0f" $values.A.Value }} minutes',
        description=(
            "Minutes since the last report of any process arrived, by day or night, of services with reports in"
            f" {limits.AROUND_THE_CLOCK_HOURS} different hours of the day before it."
        ),
        panel=(names.PIPELINE_HEALTH, 8),
        # No rows: no service runs around the clock.
        no_data="OK",
    ),
    Rule(
        uid="not-ours",
        title="Events are rejected or quarantined",
        severity="warning",
        sql=queries.NOT_OURS,
        seconds=HOUR,
        limit=0,
        pending="0s",
        summary="{{ $labels.service_name }}: {{ $values.A.Value }} records in the last hour, {{ $labels.problem }}",
        description=(
            "Events of ours that do not fit the catalogue, or log records of something else. No metric counts them."
        ),
        panel=(names.PIPELINE_HEALTH, 7),
        # No rows is the normal state.
        no_data="OK",
    ),
    Rule(
        uid="dropped",
        title="Events are dropped before they are sent",
        severity="warning",
        sql=queries.DROPPED,
        seconds=DAY,
        limit=0,
        pending="0s",
        summary="{{ $labels.service_name }}: {{ $values.A.Value }} events dropped, {{ $labels.reason }}",
        description="Events that the sending processes dropped in the last hour, by their own count.",
        panel=(names.PIPELINE_HEALTH, 5),
        # No rows is the normal state.
        no_data="OK",
    ),
    Rule(
        uid="undelivered",
        title="Processes report, but their events do not arrive",
        severity="critical",
        sql=queries.UNDELIVERED,
        seconds=limits.UNDELIVERED_MINUTES * MINUTE,
        limit=0,
        # One more evaluation: a process that has just started has two reports after two minutes.
        pending="5m",
        summary="{{ $labels.service_name }}: {{ $values.A.Value }} events wait, and none is taken",
        description=(
            f"Events that wait in processes of which every report of the last {limits.UNDELIVERED_MINUTES} minutes"
            " names waiting events and the same number of delivered ones, by kind of event. Only with"
            f" {limits.UNDELIVERED_REPORTS} reports or more."
        ),
        panel=(names.PIPELINE_HEALTH, 8),
        # No rows is the normal state.
        no_data="OK",
    ),
    Rule(
        uid="missing",
        title="Delivered events do not arrive",
        severity="critical",
        sql=queries.MISSING,
        seconds=DAY,
        limit=0,
        pending=f"{limits.MISSING_MINUTES}m",
        summary="{{ $labels.service_name }}: {{ $values.A.Value }} events were acknowledged and are not in ClickHouse",
        description=(
            "The sending processes count more events as delivered than are in ClickHouse. For"
            f" {limits.MISSING_MINUTES} minutes they may be on their way."
        ),
        panel=(names.PIPELINE_HEALTH, 8),
        # No process has reported: the rule `silence` covers that.
        no_data="OK",
    ),
    Rule(
        uid="landing-delay",
        title="Events arrive late",
        severity="warning",
        sql=queries.LANDING_DELAY,
        seconds=HOUR,
        limit=limits.LANDING_DELAY_MS,
        pending="10m",
        summary='{{ $labels.service_name }}: events take up to {{ printf "%.0f" $values.A.Value }} ms to arrive',
        description=(
            "The time between an event and its arrival, which 99 in 100 of the last hour's arrivals do not exceed. Only"
            f" with {limits.MINIMUM_ARRIVALS} arrivals or more. An event that arrives before its own time counts as"
            " late: its sender's clock is ahead. Events that are more than a day late are imported history and do not"
            " count."
        ),
        panel=(names.PIPELINE_HEALTH, 3),
        # No rows means too few arrivals to judge.
        no_data="OK",
    ),
    Rule(
        uid="numbers-late",
        title="The numbers do not move",
        severity="critical",
        sql=queries.NUMBERS_LATE,
        # The query is about the present; Grafana wants a range all the same.
        seconds=HOUR,
        limit=limits.NUMBERS_LATE_SECONDS,
        pending="5m",
        summary="{{ $labels.node }}: events wait for the numbers for {{ humanizeDuration $values.A.Value }}",
        description=(
            f"Events have arrived and are not in the facts and the numbers after {limits.NUMBERS_LATE_SECONDS} s."
            " They are kept and are taken in later."
        ),
        panel=(names.PIPELINE_HEALTH, 9),
        # No rows is the normal state.
        no_data="OK",
    ),
    Rule(
        uid="clickhouse-disk",
        title="A disk of ClickHouse is nearly full",
        severity="critical",
        sql=queries.CLICKHOUSE_DISK,
        # The query is about the present; Grafana wants a range all the same.
        seconds=HOUR,
        limit=0,
        pending="0s",
        summary=(
            "{{ $labels.node }}: disk {{ $labels.disk }} is {{ humanizePercentage $values.A.Value }} full, or will be"
            f" within {limits.DISK_DAYS_LOW} days"
        ),
        description=(
            f"Less than {limits.DISK_FREE_LOW:.0%} of the disk is free, or as much arrives as fills it in fewer than"
            f" {limits.DISK_DAYS_LOW} days. Inserts are refused once it is full."
        ),
        panel=(names.PIPELINE_HEALTH, 9),
        # No rows is the normal state.
        no_data="OK",
    ),
)

RULES = (*DECISIONS, *PIPELINE)


def document() -> dict[str, object]:
    """Return the content of provisioning/alerting/otel_intel.yaml."""
    groups = (("Decisions", "10m", DECISIONS), ("Pipeline", "5m", PIPELINE))
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": name,
                "folder": names.FOLDER,
                "interval": interval,
                "rules": [rule.document() for rule in rules],
            }
            for name, interval, rules in groups
        ],
    }
