"""What applications may pass as a value of an event, and how it is written on the wire."""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from numbers import Integral, Real
from typing import Final
from uuid import UUID

MAX_TEXT: Final = 200
"""Longest id, version or type in characters: it limits the memory of one event."""

CLOCK_SKEW: Final = 5.0
"""Seconds: a duration that is negative by less is 0, because two hosts' clocks differ a little."""

_MAX_INT64: Final = 2**63 - 1

# Control characters, line and paragraph separators, lone surrogates. Not str.isprintable(): it also refuses the
# no-break spaces, joiners and soft hyphens that French, Japanese, Persian, Hindi and German are written with.
_REFUSED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Tell whether a string can be an id, a version or a type: 1 to 200 characters, at least one of them visible."""
    if len(value) > MAX_TEXT:
        return False
    if value.isprintable():
        return bool(value.strip())
    return not has_control_characters(value) and any(letter.isprintable() and not letter.isspace() for letter in value)


def has_control_characters(value: str) -> bool:
    """Tell whether a string holds what neither OTLP nor a line of text can carry."""
    return _REFUSED.search(value) is not None


def text(value: object) -> str:
    """Return a string as a plain str; raise ValueError if it cannot be a value."""
    if type(value) is not str:
        value = _plain(value)
    if not is_text(value):
        if len(value) > MAX_TEXT:
            raise ValueError(f"must not be longer than {MAX_TEXT} characters")
        raise ValueError("must not be empty or contain control characters")
    return value.strip()


def _plain(value: object) -> str:
    """Return the value of a StrEnum, TextChoices, SafeString or lazy translation without its class."""
    if isinstance(value, str):
        return str.__str__(value)
    django = sys.modules.get("django.utils.functional")  # without Django there is no lazy translation
    if django is not None and isinstance(value, django.Promise):
        return str.__str__(str(value))
    raise ValueError(f"must be a string, not {type(value).__name__}")


# There are few types and versions: to look one up takes a third of the time of a check. An unhashable value raises
# TypeError.
few_texts = lru_cache(maxsize=256, typed=True)(text)


def identifier(value: object) -> str:
    """Return an id as text: a whole number (numpy's, too), a UUID or a string."""
    kind = type(value)
    if kind is int and -_MAX_INT64 <= value <= _MAX_INT64:  # type: ignore[operator]
        return str(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        return text(value)
    whole = _whole(value)
    if whole is None:
        raise ValueError(f"must be a whole number, a UUID or a string, not {kind.__name__}")
    if abs(whole) >= 2**128:
        raise ValueError("must not be beyond 128 bits")
    return str(whole)


def one_of(allowed: Sequence[str]) -> Callable[[object], str]:
    """Return a function that takes one of some words, in capitals or not."""
    members = {name: name for name in allowed}

    def clean(value: object) -> str:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            try:
                member = members.get(text(value).upper())
            except ValueError:
                member = None
        if member is None:
            # Not any value's repr(): that of a QuerySet asks the database.
            given = repr(value[:60]) if isinstance(value, str) else type(value).__name__
            raise ValueError(f"must be one of {', '.join(allowed)}, not {given}")
        return member

    return clean


def milliseconds(value: object) -> int:
    """Return a duration in whole milliseconds; a real number is rounded."""
    whole = _whole(value)
    if whole is None:
        whole = round(_duration(value, "milliseconds", CLOCK_SKEW * 1000))
    if -CLOCK_SKEW * 1000 <= whole < 0:
        return 0
    if not 0 <= whole <= _MAX_INT64:
        raise ValueError("must not be negative or beyond 64 bits")
    return whole


def hours(value: object) -> float:
    """Return a duration in hours."""
    return _duration(value, "hours", CLOCK_SKEW / 3600)


def _whole(value: object) -> int | None:
    """Return what is a whole number (an int, an IntegerChoices, numpy's), but True and False."""
    if type(value) is int:
        return value
    # By its class: a MagicMock has every method, __index__ and __float__ as well.
    return operator.index(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def _duration(value: object, unit: str, skew: float) -> float:
    """Return a real number (a float, a Decimal, a Fraction, numpy's) that is finite and not negative."""
    if not isinstance(value, Real | Decimal) or isinstance(value, bool):
        raise ValueError(f"must be a number of {unit}, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if -skew <= number < 0:
        return 0.0
    if not 0 <= number < math.inf:
        raise ValueError("must be finite and not negative")
    return number
