"""The list of mistakes that `make mutants-sql` makes follows the views."""

from __future__ import annotations

import re

import pytest

from otel_intel.resources import folder
from tests.sql.mutants import equivalent
from tests.sql.mutations import RULES, mutations

SQL = "\n".join(
    path.read_text("utf-8")
    for name in ("views", "refresh")
    for path in sorted((folder("clickhouse") / name).glob("[1-8]*.sql"))
)


@pytest.mark.parametrize("pattern", dict.fromkeys(pattern for pattern, _ in RULES))
def test_rule_fits_somewhere(pattern: str) -> None:
    assert re.search(pattern, SQL, re.DOTALL)


def test_what_is_named_equivalent_is_a_mistake_that_is_made() -> None:
    assert equivalent().keys() <= {(one.view, one.old, one.new) for one in mutations(set())}


def test_mistakes_are_in_code_alone() -> None:
    for mutation in mutations(set()):
        right, wrong = (re.findall(r"--.*|COMMENT '.*", text) for text in (mutation.right, mutation.wrong))
        # A branch or a line that is left out takes its comment with it.
        assert set(wrong) <= set(right)
        if "\nAS\n" in mutation.right:
            assert mutation.right.partition("\nAS\n")[0] == mutation.wrong.partition("\nAS\n")[0]
