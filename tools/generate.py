"""Write all files that are derived from the catalogue of events (otel_intel/events.py), and the dashboards.

`make generate` writes them and lists the changed ones. `make generate-check` (`--check`) changes nothing: it lists the
files that are out of date, and fails if there are any.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from grafana.build import generated as grafana_files
from otel_intel import presentation
from otel_intel.events import (
    CATALOGUE,
    CONFIDENCES,
    DROP_REASONS,
    ENGINE_VERSION,
    EVENT_ID_KEY,
    OUTCOME_STATUSES,
    PIPELINE_PROBED,
    PIPELINE_REPORTED,
    PROBE_ID_KEY,
    PROCESS_ID_KEY,
    REPORT_KEYS,
    RESOURCE_KEYS,
    RISK_SIGNAL_ID,
    SCHEMA_URL,
    SCHEMA_VERSION_KEY,
    SPAN_KEYS,
    Attribute,
    Kind,
    allowed_keys,
    of_kind,
)

ROOT: Final = Path(__file__).resolve().parents[1]
Lines: TypeAlias = Iterable[str]
ACTIONS: Final = [event.column for event in of_kind("recommendation")]
STATUSES: Final = [status.lower() for status in OUTCOME_STATUSES]

# The Collector's exporter writes the event's name into this attribute.
RECORD_KEYS: Final = ("otel.event.name", *allowed_keys())


def quoted(values: Iterable[str]) -> str:
    """Return values as a comma-separated list of SQL or YAML strings."""
    return ", ".join(f"'{value}'" for value in values)


def _listed(items: Iterable[str]) -> Lines:
    """Yield each item on its own line, with commas between."""
    return ",\n".join(items).split("\n")


def kind_of_event(alias: str, unknown: str) -> Callable[[], Lines]:
    """Return a function that yields the SQL for the kind of an event; ``unknown`` is the kind of unknown names."""

    def lines() -> Lines:
        yield "multiIf("
        for kind in ("recommendation", "outcome", "view", "internal"):
            if kind != unknown:
                yield f"    EventName IN ({quoted(event.name for event in of_kind(kind))}), '{kind}',"
        yield f"    '{unknown}') AS {alias},"

    return lines


def without_signal() -> Lines:
    """Yield the SQL that tells whether an event has no risk signal."""
    names = quoted(
        event.name
        for event in CATALOGUE.values()
        if event.kind != "internal" and RISK_SIGNAL_ID not in event.attributes
    )
    yield f"EventName IN ({names}) AS has_no_signal,"


def closed_sets() -> Lines:
    """Yield the SQL that tells whether values are members of their closed sets."""
    yield f"LogAttributes['intel.recommendation.confidence'] IN ({quoted(CONFIDENCES)}) AS is_confidence,"
    yield f"LogAttributes['intel.outcome.status'] IN ({quoted(OUTCOME_STATUSES)}) AS is_outcome_status,"


def deciding() -> str:
    """Return the actions that decide, as a list of SQL."""
    return quoted(event.value for event in of_kind("recommendation") if event.is_decision)


def decisions() -> Lines:
    """Yield the SQL for the rank of a decision among decisions in the same millisecond; 0 if it is no decision."""
    yield f"indexOf([{deciding()}], action) AS rank,"


def no_decisions() -> Lines:
    """Yield the condition that an event is no decision."""
    yield f"action NOT IN ({deciding()})"


def is_decision() -> Lines:
    """Yield the condition that an event is a decision."""
    yield f"action IN ({deciding()})"


def counts_of_action(action: str, events: str) -> Callable[[], Lines]:
    """Return a function that yields the SQL that counts an action by its own name, and a decision also as one."""
    counted = f"map(lower({action}), {events}, 'decisions', if({action} IN ({deciding()}), {events}, 0))"
    return lambda: [f"sumMap({counted}) AS counts,"]


def counts_of_actions() -> Lines:
    """Yield a column for each action, and the decisions among them."""
    return [f"counts['{name}'] AS {name}," for name in (*ACTIONS, "decisions")]


def counts_of_outcomes() -> Lines:
    """Yield a column for each status, and their sum."""
    return [f"counts['{name}'] AS {name}," for name in (*STATUSES, "outcomes")]


def shares_of_outcomes() -> Lines:
    """Yield a column for each status and for its share, and the sum."""
    *statuses, total = counts_of_outcomes()
    yield from statuses
    yield from (f"{column} / nullIf(outcomes, 0) AS {column}_share," for column in STATUSES)
    yield total


def counts_of_views() -> Lines:
    """Yield a column for each kind of view, and their sum."""
    events = of_kind("view")
    yield from (f"sumIf(events, view_kind = '{event.value}') AS {event.column}," for event in events)
    yield f"{' + '.join(event.column for event in events)} AS total,"


def views_of_an_admin() -> Lines:
    """Yield the sums of the columns of ``counts_of_views``."""
    yield from (f"sum(d.{event.column}) AS {event.column}," for event in of_kind("view"))
    yield "sum(d.total) AS total"


def reported_drops() -> Lines:
    """Yield a report's drop reasons as columns."""
    return _listed(
        f"toUInt64OrZero(attributes['intel.pipeline.dropped.{reason}']) AS dropped_{reason}" for reason in DROP_REASONS
    )


def latest_drops() -> Lines:
    """Yield the same columns for a process's latest report."""
    return _listed(f"argMax(r.dropped_{reason}, place) AS dropped_{reason}" for reason in DROP_REASONS)


def keys(names: Iterable[str]) -> Callable[[], Lines]:
    """Return a function that yields attribute keys as SQL strings."""
    return lambda: _listed(f"'{name}'" for name in names)


def tones(*, dark: bool) -> Lines:
    """Yield the colours of the staff pages as CSS properties."""
    named = {**presentation.ACTIONS, "time": presentation.TIME, "outcome": presentation.TIME, **presentation.LOOKS}
    yield from (
        f"--tone-{name.replace('_', '-')}: {look.dark if dark else look.light};" for name, look in named.items()
    )


def columns_of(kind: Kind) -> Callable[[], Lines]:
    """Return a function that yields the dictionary's rows for the columns that count events of a kind."""
    return lambda: [f"`{event.column}` | UInt64 | {_lower(event.brief)}" for event in of_kind(kind)]


def columns_of_outcomes() -> Lines:
    """Yield the dictionary's rows for the columns that count outcomes."""
    return [f"`{status.lower()}` | UInt64 | signals whose first outcome is {status}" for status in OUTCOME_STATUSES]


def columns_of_shares() -> Lines:
    """Yield the dictionary's rows for the columns of shares of outcomes."""
    return [f"`{column}_share` | Nullable(Float64) | {column} / outcomes" for column in STATUSES]


def columns_of_drops() -> Lines:
    """Yield the dictionary's rows for the columns that count dropped events."""
    return [f"`dropped_{reason}` | UInt64 | {meaning}" for reason, meaning in DROP_REASONS.items()]


def _lower(sentence: str) -> str:
    return (sentence[0].lower() + sentence[1:]).removesuffix(".")


def allowed_in_collector() -> str:
    """Return the Collector's allow-list as a configuration that is merged into collector/config.yaml."""
    processors: dict[str, object] = {}
    for signal, of_item, keys in (
        ("logs", "log.attributes", RECORD_KEYS),
        ("traces", "span.attributes", SPAN_KEYS),
    ):
        statements = [_scalar("resource.attributes", key) for key in RESOURCE_KEYS]
        statements += [_scalar(of_item, key) for key in keys]
        processors[f"transform/scalars_of_{signal}"] = {
            "error_mode": "ignore",
            f"{signal.removesuffix('s')}_statements": statements,
        }
        processors[f"redaction/{signal}"] = {"allow_all_keys": False, "allowed_keys": [*RESOURCE_KEYS, *keys]}
    return (
        "# The allow-list, merged into config.yaml. Generated from otel_intel/events.py: `make generate`.\n"
        "# scalars: the exporter would turn a list, a map or bytes into text that looks like a valid id. Such values\n"
        "# become empty, and the event is rejected. redaction deletes every key that is not listed, from records,\n"
        "# resources and scopes.\n" + yaml.safe_dump({"processors": processors}, sort_keys=False, width=1000)
    )


def _scalar(attributes: str, key: str) -> str:
    path = f'{attributes}["{key}"]'
    kinds = " or ".join(f"{kind}({path})" for kind in ("IsString", "IsInt", "IsDouble", "IsBool"))
    return f'set({path}, "") where {path} != nil and not ({kinds})'


def manifest() -> str:
    """Return the manifest of the semantic-convention registry."""
    version = "1.40.0"
    return _yaml(
        {
            "schema_url": SCHEMA_URL,
            "description": "Events of staff decisions about recommendations, as otel_intel sends them.",
            "stability": "development",
            "dependencies": [
                {
                    "schema_url": f"https://opentelemetry.io/schemas/{version}",
                    "registry_path": "https://github.com/open-telemetry/semantic-conventions/archive/refs/tags/"
                    f"v{version}.zip[model]",
                }
            ],
        }
    )


def registry() -> str:
    """Return the registry's attributes and events, in weaver's syntax (definition/2)."""
    used = {attribute.key: attribute for event in CATALOGUE.values() for attribute in event.attributes}
    own = [_attribute(attribute) for attribute in used.values()]
    own += [
        {**_attribute(ENGINE_VERSION), "examples": ["2.1.0"]},
        _plain(SCHEMA_VERSION_KEY, "string", "The version of the catalogue of events.", ["1"]),
        _plain(PROBE_ID_KEY, "string", "The probe of one run of `otel-intel doctor`."),
        _plain(PROCESS_ID_KEY, "string", "The sending process; a process after a fork is another one."),
        _plain("intel.pipeline.process.pid", "int", "The process's number at its system."),
        _plain("intel.pipeline.process.started_at", "int", "When the process began to count, in ns since 1970."),
        _plain("intel.pipeline.kind", "string", "The kind of event that the counters are of.", ["recommendation"]),
        _plain("intel.pipeline.emitted", "int", "Events that were emitted since the process started."),
        _plain("intel.pipeline.delivered", "int", "Of these, events that the endpoint acknowledged."),
        _plain("intel.pipeline.queued", "int", "Of these, events that wait."),
        _plain("intel.pipeline.invalid_optional", "int", "Of these, events that lost a wrong optional value."),
    ]
    own += [
        _plain(f"intel.pipeline.dropped.{reason}", "int", f"Of these, events that were dropped: {meaning}.")
        for reason, meaning in DROP_REASONS.items()
    ]
    declared = {str(attribute["key"]) for attribute in own}
    if missing := set(allowed_keys()) - declared - {EVENT_ID_KEY}:
        sys.exit(f"tools/generate.py describes no {', '.join(sorted(missing))}")
    internal = {
        PIPELINE_REPORTED.name: [key for key in REPORT_KEYS if key != PROCESS_ID_KEY],
        PIPELINE_PROBED.name: [PROBE_ID_KEY],
    }
    events = [
        {
            "name": event.name,
            "brief": event.brief,
            "stability": "development",
            "attributes": [
                *(_ref(attribute.key, "required") for attribute in event.required),
                *(_ref(attribute.key, "recommended") for attribute in event.optional),
                *(_ref(key, "required") for key in internal.get(event.name, [ENGINE_VERSION.key])),
                _ref(SCHEMA_VERSION_KEY, "required"),
                # Reports and probes carry it, too: it identifies the process that sent them.
                _ref(PROCESS_ID_KEY, "recommended"),
                _ref(EVENT_ID_KEY, "required"),
            ],
        }
        for event in CATALOGUE.values()
    ]
    return _yaml({"file_format": "definition/2", "attributes": own, "events": events})


def _attribute(attribute: Attribute) -> dict[str, object]:
    if not attribute.members:
        return _plain(attribute.key, attribute.type, attribute.brief)
    members = [{"id": name.lower(), "value": name, "stability": "development"} for name in attribute.members]
    return {**_plain(attribute.key, "", attribute.brief), "type": {"members": members}}


def _plain(key: str, kind: str, brief: str, examples: list[str] | None = None) -> dict[str, object]:
    defined: dict[str, object] = {"key": key, "type": kind, "brief": brief, "stability": "development"}
    return {**defined, "examples": examples} if examples else defined


def _ref(key: str, level: str) -> dict[str, str]:
    return {"ref": key, "requirement_level": level}


def _yaml(content: object) -> str:
    head = "# Generated from otel_intel/events.py: `make generate`. docs/ says how to use it.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)


BLOCKS: Final[Mapping[str, Mapping[str, Callable[[], Lines]]]] = {
    "clickhouse/views/20_typed_events.sql": {
        "kind of each event": kind_of_event("known_kind", unknown=""),
        "events about no signal": without_signal,
        "closed sets": closed_sets,
    },
    "clickhouse/views/30_ingest.sql": {
        "resource attributes of logs": keys(RESOURCE_KEYS),
        "attributes of logs": keys(allowed_keys()),
        "resource attributes of spans": keys(RESOURCE_KEYS),
        "attributes of spans": keys(SPAN_KEYS),
    },
    "clickhouse/refresh/20_pair_decisions.sql": {"decisions": decisions},
    "clickhouse/refresh/25_add_recommendations_to_signals.sql": {"decisions": is_decision},
    "clickhouse/views/40_logs.sql": {
        "no decisions": no_decisions,
    },
    "clickhouse/refresh/60_count_recommendations.sql": {
        "counts of an action": counts_of_action("r.action", "r.events")
    },
    "clickhouse/refresh/65_count_recommendations_of_admins.sql": {
        "counts of an event": counts_of_action("toString(action)", "toUInt64(1)")
    },
    "clickhouse/views/60_daily.sql": {
        "counts of actions": lambda: [
            line.removesuffix(",") if "decisions" in line else line for line in counts_of_actions()
        ],
        "counts of outcomes": counts_of_outcomes,
        "counts of views": counts_of_views,
    },
    "clickhouse/views/70_numbers.sql": {
        "counts of actions": counts_of_actions,
        "statuses": lambda: [f"ARRAY JOIN [{quoted(OUTCOME_STATUSES)}] AS outcome_status"],
    },
    "clickhouse/views/75_overviews.sql": {
        "actions of the overview": counts_of_actions,
        "outcomes of the overview": shares_of_outcomes,
        "statuses": lambda: [f"SELECT arrayJoin([{quoted(OUTCOME_STATUSES)}]) AS outcome_status"],
        "views of an admin": views_of_an_admin,
    },
    "clickhouse/views/76_trends.sql": {
        "actions of the trend": counts_of_actions,
        "outcomes of the trend": shares_of_outcomes,
        "actions of the trend of admins": counts_of_actions,
    },
    "clickhouse/views/80_health.sql": {
        "drop reasons of a report": reported_drops,
        "drop reasons": lambda: [f"dropped_{reason}," for reason in DROP_REASONS],
        "drop reasons of the latest report": latest_drops,
        # An event that only newer senders know is most likely a view.
        "kind of each landed event": kind_of_event("kind", unknown="view"),
    },
    "otel_intel/static/otel_intel/pages.css": {
        "colours": lambda: tones(dark=False),
        "colours on dark ground": lambda: tones(dark=True),
    },
}
"""Lines between `generated: NAME` and `/generated`, by file and name, in the comment syntax of the file."""

ROWS: Final[Mapping[str, Mapping[str, Callable[[], Lines]]]] = {
    "clickhouse/README.md": {
        "of each action": columns_of("recommendation"),
        "of each status": columns_of_outcomes,
        "of each share": columns_of_shares,
        "of each view": columns_of("view"),
        "of each drop reason": columns_of_drops,
    },
}
"""Rows of Markdown tables; each ends in a comment with the name, because a comment between rows would end the table."""


def comments_of_columns() -> str:
    """Return the SQL that gives each column of ``metrics`` its comment: the dictionary's."""
    text = with_rows("clickhouse/README.md", (ROOT / "clickhouse/README.md").read_text(encoding="utf-8"))
    statements = ["-- Generated from clickhouse/README.md: make generate. A view with parameters has no columns yet."]
    for view, section in re.findall(r"^### `metrics\.(\w+)`\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| `(\w+)` \| .+? \| (.+?)(?: <!--.*-->)? \|$", section, re.MULTILINE)
        comments = [f"    COMMENT COLUMN {name} {_sql_string(meaning.replace('`', ''))}" for name, meaning in rows]
        statements.append(f"ALTER TABLE metrics.{view}\n" + ",\n".join(comments) + ";")
    return "\n\n".join(statements) + "\n"


def _sql_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


FILES: Final[Mapping[str, Callable[[], str]]] = {
    "clickhouse/views/90_comment_columns.sql": comments_of_columns,
    "collector/allowed.yaml": allowed_in_collector,
    "semconv/manifest.yaml": manifest,
    "semconv/intel.yaml": registry,
}
"""Files that are generated as a whole."""


def with_blocks(path: str, text: str) -> str:
    """Return a file's text with up-to-date generated blocks."""
    for name, lines in BLOCKS[path].items():
        start = rf"^(?P<indent> *)(?P<start>\S+ generated: {re.escape(name)}(?: \S+)?\n)"
        if (opened := len(re.findall(start, text, re.MULTILINE))) != 1:
            sys.exit(f"{path} holds {opened} blocks 'generated: {name}' instead of one.")
        # Without its closing line a block would swallow the next one.
        inner = r"(?:(?!^ *\S+ generated: ).)*?"
        match = re.search(rf"{start}{inner}^ *(?P<end>\S+ /generated(?: \S+)?)$", text, re.MULTILINE | re.DOTALL)
        if match is None:
            sys.exit(f"{path}: the closing line '/generated' of 'generated: {name}' is missing.")
        indent = match["indent"]
        body = "".join(f"{indent}{line}\n" for line in lines())
        text = f"{text[: match.start()]}{indent}{match['start']}{body}{indent}{match['end']}{text[match.end() :]}"
    return text


def with_rows(path: str, text: str) -> str:
    """Return a Markdown file's text with up-to-date generated table rows."""
    for name, rows in ROWS[path].items():
        mark = f"<!-- {name} -->"
        body = "".join(f"| {row} {mark} |\n" for row in rows())
        text, found = re.subn(rf"(?:^\|.* {re.escape(mark)} \|\n)+", lambda _: body, text, flags=re.MULTILINE)  # noqa: B023
        if not found:
            sys.exit(f"{path} holds no table rows that end in '{mark}'.")
    return text


def outputs() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with the text that it should have."""
    for name in BLOCKS:
        yield ROOT / name, with_blocks(name, (ROOT / name).read_text(encoding="utf-8"))
    for name in ROWS:
        yield ROOT / name, with_rows(name, (ROOT / name).read_text(encoding="utf-8"))
    for name, content in FILES.items():
        yield ROOT / name, content()
    for name, text in grafana_files().items():
        yield ROOT / "grafana" / name, text


def main() -> None:
    """Write the files that are out of date; with --check only list them and exit with 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="change nothing; list the files that are out of date")
    check: bool = parser.parse_args().check
    stale = [(path, text) for path, text in outputs() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        print(f"{'stale' if check else 'written'} {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.exit("Run `make generate`: generated files are out of date.")
    if not stale:
        print("All generated files are up to date.")


if __name__ == "__main__":
    main()
