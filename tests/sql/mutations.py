"""Plausible mistakes in the SQL of views and of the refresh: short rules, each made at every place that it fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from otel_intel.resources import folder
from otel_intel.schema.migrate import read_steps

GENERATED = "90_comment_columns.sql"  # has no queries


class Mutation(NamedTuple):
    """A mistake in one view or one statement that fills a table: lines ``old`` become ``new``, ``right`` ``wrong``."""

    file: str
    view: str
    old: str
    new: str
    right: str
    wrong: str


# What is no code, or makes no difference to a query: the head, comments, comment texts, types.
_NO_CODE = re.compile(
    r"\A.*?\n(?:AS\n|(?=SELECT\n|WITH ))|--[^\n]*|\nCOMMENT '[^\n]*|'(?:Array\(Tuple|Array\(Int64)[^']*'"
    r"|'Tuple\((?:\\'|[^'])*'",
    re.DOTALL,
)
_BETWEEN = r" BETWEEN (?!UNBOUNDED)(?P<low>\(SELECT [^\n]*\)|[^\n(]+?)\s+AND (?P<high>\(SELECT [^\n]*\)|[^\n,)]+)"
_OPERAND = r"(?:NOT )?[\w.]+(?:\([^()]*\))?(?: (?:=|!=|>=|<=|>|<) (?:'[^']*'|[\w.]+))?"

# A zone in which it is another day now.
ELSEWHERE = "Pacific/Kiritimati" if datetime.now(UTC).hour >= 11 else "Etc/GMT+12"

# A pattern and what it becomes. Where the same text fits several rules, each is one mistake.
RULES: tuple[tuple[str, str], ...] = (
    # Limits
    (r" >= ", " > "),
    (r" > ", " >= "),
    (r" < ", " <= "),
    (r" <= ", " < "),
    (_BETWEEN, r" >= \g<low>"),
    (_BETWEEN, r" <= \g<high>"),
    (_BETWEEN, r" BETWEEN \g<low> + 1 AND \g<high>"),
    (_BETWEEN, r" BETWEEN \g<low> AND \g<high> - 1"),
    (r" [+-] 1\b(?=[,)\n])", ""),
    (r"\bleast\(", "greatest("),
    (r"\bgreatest\(", "least("),
    # Conditions
    (r" = (?='[A-Za-z]|[1-9])", " != "),
    (r" = ''(?!, \w+ = |\))", " != ''"),
    (r" != ''", " = ''"),
    (r" AND ", " OR "),
    (r" OR ", " AND "),
    (rf" AND {_OPERAND}(?=[,)\n]|$| AS)", ""),
    (r"\n +AND [^\n]+", ""),
    (r"\n *WHERE [^\n]+(?!\n +AND)(?=\n)", ""),
    (r"WHERE [^\n]+\n +AND ", "WHERE "),
    (r"\n *HAVING [^\n]+", ""),
    (r"\bNOT (?=\w)", ""),
    (r"\bIN \((?=')", "NOT IN ("),
    (r"(?<=IN \()'[^']+', ", ""),
    (r"\bIN \((?P<first>'[^()]+), '[^']+'\)", r"IN (\g<first>)"),
    (r"\bisNotNull\(", "isNull("),
    (r"\bisNull\(", "isNotNull("),
    # Guards
    (r"\bif\((?P<test>[^,\n]+), NULL, (?P<value>[^\n]+)\)(?=,?\n| AS )", r"\g<value>"),
    (r"\b(?:nullIf|ifNull)\((?P<value>[\w.\[\]']+), (?:0|'')\)", r"\g<value>"),
    (r"\n +[^\n]+, '(?:unknown|missing|invalid|timestamp)[^\n]*',(?=\n)", ""),
    # What is counted
    (r" FINAL\b", ""),
    (r"\bsum\(", "max("),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bargMax\(", "argMin("),
    (r"\bsumIf\(", "maxIf("),
    (r"\bsumForEach\(", "maxForEach("),
    (r"\bsumMap\(", "maxMap("),
    (r"\bcount\(\)", "toUInt64(1)"),
    (r"\bcount\([\w.]+\)", "count()"),
    (r"\buniqExact\(\w+\(\w+\)\)", "count()"),
    (r"\btoInt128\(", "toInt64("),
    (r"quantileExactWeighted\(([\d.]+)\)\(([\w.]+), \w+\)", r"quantile(\1)(\2)"),
    (r"\(0\.5\)", "(0.6)"),
    (r"\(0\.9\)", "(0.8)"),
    (r"\(0\.99\)", "(0.9)"),
    # Order, and the choice of a row
    (r" DESC\b", ""),
    (r"ORDER BY ([\w.]+), ([\w.]+)", r"ORDER BY \1"),
    (r"ORDER BY ([\w.]+), ([\w.]+)", r"ORDER BY \2"),
    (r"ORDER BY ([\w.]+)(?=[\n, ])", r"ORDER BY \1 DESC"),
    (r"LIMIT 1 BY", "LIMIT 2 BY"),
    (r"\barraySort\(", "arrayReverseSort("),
    (r"\barrayFirst\(", "arrayLast("),
    (r"\[-1\]", "[1]"),
    (r"arrayReverseSplit", "arraySplit"),
    (r"\(r\.reported_at, r\.event_id\) AS place", "r.event_id AS place"),
    (r"\(r\.reported_at, r\.event_id\) AS place", "r.reported_at AS place"),
    # Rows that are joined
    (r"\bLEFT JOIN\b", "INNER JOIN"),
    (r"\bUNION ALL\b", "UNION DISTINCT"),
    (r"\n +UNION ALL\n(?:(?!UNION ALL|\n *\)).)*", ""),
    (r"\n +SELECT event_id, 'recommendation'[^\n]*\n +UNION ALL", ""),
    # Arithmetic
    (r"\b([\w.]+) / ([\w.]+)\b(?!\()", r"\2 / \1"),
    (r" - (?=[a-z])", " + "),
    (r"(?<=\w) \+ \w+(?= AS|\n| \+)(?<!\d)", ""),
    (r"(?<=[a-z\d]) \+ (?=[a-z\d])", " - "),
    (r"\bsqrt\(", "("),
    (r"\babs\(", "("),
    (r"\berfc\(", "erf("),
    (r"1\.959963984540054", "1.6448536269514722"),
    (r"\bfirst\.ms\b", "decision.ms"),
    (r"\b1e6\b", "1e3"),
    (r"/ 1000\b", "/ 1000000"),
    (r"\* 1000\b", "* 100"),
    (r"\bINTERVAL (\d+) DAY", r"INTERVAL \g<1> * 2 DAY"),
    (r"\b59\b", "58"),
    (r"(?<=[* ])7 ", "8 "),
    (r"\b24(?=,)", "25"),
    (r"\b24 \*", "23 *"),
    (r"\b255\b", "127"),
    (r"'millisecond'", "'second'"),
    (r"9223372036854775807", "4611686018427387903"),
    (r"\{1,19\}", "{1,18}"),
    (r"\b500\b", "50"),
    (r"\b1\.015\b", "1.05"),
    (r"\btoStartOfMillisecond\(([^()]*\([^()]*\)[^()]*)\)", r"\1"),
    (r"\b0, 0, 0\n", "1, 1, 1\n"),
    # Another zone
    (r"\b(toDate|toHour)\((\w+), 'UTC'\)", r"\1(\2, 'Asia/Tokyo')"),
    (r"\(SELECT time_zone FROM metrics\.last_refresh\)", f"'{ELSEWHERE}'"),
    (r"\btoDate\(timestamp, \{time_zone:String\}\)", "toDate(timestamp, 'Asia/Tokyo')"),
    # The neighbour's column
    (r"\baccepted / ", "overridden / "),
    (r" / nullIf\(decisions\b", " / nullIf(viewed"),
    (r" / nullIf\(viewed\b", " / nullIf(decisions"),
    (r"kind = '\w+'", "kind != ''"),
    (r"\bsum\(d\.(?:dashboard_opened|signal_detail_opened|explanation_expanded|note_created)\)", "sum(d.total)"),
    (r"\bsum\(d\.total\)", "sum(d.note_created)"),
    (r"\bcounts\['(?:viewed|ignored|accepted|overridden)'\]", "counts['decisions']"),
    (r"\bcounts\['decisions'\]", "counts['viewed']"),
    (r"\bcounts\['(?!outcomes)[ren_fs]\w+'\]", "counts['outcomes']"),
    (r"\bcounts\['outcomes'\]", "counts['resolved']"),
    (r"(?<=argMax\(r\.)(?!queued)\w+", "queued"),
    (r"(?<=argMax\(r\.)queued", "emitted"),
    (r"(?<=toUInt64OrZero\(attributes\[')(?!intel.pipeline.queued)[\w.]+", "intel.pipeline.queued"),
    (r"(?<=toUInt64OrZero\(attributes\[')intel.pipeline.queued", "intel.pipeline.emitted"),
    (r"\['(\w+)', '(\w+)'", r"['\2', '\1'"),
    (r"\{version_a:String\}", "{version_b:String}"),
    (r"\bTraceId AS", "SpanId AS"),
    (r"\bSpanId AS", "TraceId AS"),
    (r"\b([ls])\.trace_id\b", r"\1.span_id"),
    (r"\b([ls])\.(?:parent_)?span_id\b", r"\1.trace_id"),
    (r"\bTimestamp AS", "IngestedAt AS"),
    (r"\bIngestedAt AS", "Timestamp AS"),
    (r"\bscope\.name\b", "scope.version"),
    (r"\bscope\.version\b", "scope.name"),
    (r"\['service\.name'\]", "['service.namespace']"),
    (r"\b(?:observed_time_unix_nano)\b", "time_unix_nano"),
    (r"\bdisk_free_bytes\b|\bfree_space\b(?=\))", "disk_total_bytes"),
    # What is left out, or let through
    (r"\n +'[a-z_.]+'(?:,(?=\n)|(?=\n))", ""),
    (r"\ba\.key IN \(", "a.key NOT IN ("),
    (r"\n +toString\(tupleElement\(v, 'double_value'\)\), ", "\n        "),
    (r"(?<= )toString\(tupleElement\(v, '(?:int|bool)_value'\)\), ", ""),
    (r", toString\(tupleElement\(v, 'int_value'\)\)", ""),
    (r"\b(?:lower|upper)\(", "("),
    (r"replaceRegexpOne\((?P<value>[^,\n]+), '\^0\+\$', ''\)", r"\g<value>"),
    (r"\bstartsWith\(EventName, 'intel\.'\)", "startsWith(EventName, 'intel.recommendation')"),
    (r"mapFilter\(\(k, v\) -> [^,]+, LogAttributes\)", "LogAttributes"),
    (r"coalesce\(nullIf\((?P<first>[^,]+), ''\), nullIf\((?P<second>[^,]+), ''\)\)", r"nullIf(\g<first>, '')"),
    (r"coalesce\(nullIf\((?P<first>[^,]+), ''\), nullIf\((?P<second>[^,]+), ''\)\)", r"nullIf(\g<second>, '')"),
    (r"engine_version = ''(?=[,)])", "engine_version = 'v1'"),
    (r"(recommendation_type|admin_id) = ''(?=[,)])", r"\1 = 'EXPIRING_SOON'"),
)


def mutations(files: set[str]) -> list[Mutation]:
    """Return the mistakes in these files, or in all."""
    found: dict[str, Mutation] = {}
    for step in (step for name in ("views", "refresh") for step in read_steps(folder("clickhouse") / name)):
        if step.title.startswith("DROP"):
            continue
        if step.file != GENERATED and (not files or step.file in files):
            for mutation in _mistakes(step.file, step.statement):
                found.setdefault(mutation.wrong, mutation)
    return list(found.values())


def _mistakes(file: str, right: str) -> Iterator[Mutation]:
    # Same length, so that places in it are places in the statement; a newline keeps its place.
    code = _NO_CODE.sub(lambda match: re.sub(r"[^\n]", "\0", match[0]), right)
    view = re.search(r"(?:VIEW|INSERT INTO) (?:IF NOT EXISTS )?(\S+)", right)
    assert view
    ranges = [match.span() for match in re.finditer(_BETWEEN, code)]
    for pattern, replacement in RULES:
        for match in re.finditer(pattern, code, re.DOTALL):
            start, end = match.span()
            is_limit = any(low < start and end < high for low, high in ranges)
            if "\0" in match[0] or (is_limit and match[0].strip() in ("AND", "OR")):
                continue
            new = match.expand(replacement)
            wrong = right[:start] + new + right[end:]
            first = right.rfind("\n", 0, start + (match[0][0] == "\n")) + 1
            last = (right + "\n").find("\n", end)
            old = right[first:last]
            yield Mutation(
                file, view[1], _one_line(old), _one_line(right[first:start] + new + right[end:last]), right, wrong
            )


def _one_line(text: str) -> str:
    return " ".join(text.split())
