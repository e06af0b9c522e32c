from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from unittest.mock import MagicMock

import numpy
import pytest
from django.contrib.auth.models import User
from django.db import models
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from otel_intel import values


class Number(models.IntegerChoices):
    SEVEN = 7


@pytest.mark.parametrize(
    "text",
    [
        "Expire\u00a0: bient\u00f4t",  # no-break space
        "Expire\u202f: bient\u00f4t",  # narrow no-break space
        "\u0645\u06cc\u200c\u0634\u0648\u062f",  # zero-width non-joiner
        "\u0915\u094d\u200d\u0937",  # zero-width joiner
        "\u671f\u9650\u3000\u5207\u308c",  # ideographic space
        "Ablauf\u00addatum",  # soft hyphen
        "\U0001f469\u200d\U0001f4bb",  # an emoji made of two
        "\u200f\u05e9\u05dc\u05d5\u05dd",  # right-to-left mark
    ],
)
def test_text_of_any_script_is_taken_as_it_is(text: str) -> None:
    assert values.text(text) == text


@pytest.mark.parametrize(
    "bad", ["a\nb", "a\x00", "\x7f", "a\x85b", "\u2028", "a\ud800", " ", "\u3000", "\u200d", "\u00ad"]
)
def test_control_characters_and_text_that_nobody_can_see_are_refused(bad: str) -> None:
    assert not values.is_text(bad)
    with pytest.raises(ValueError, match="must not be empty or contain control characters"):
        values.text(bad)


def test_text_has_a_longest_length() -> None:
    assert values.text("x" * 200)
    with pytest.raises(ValueError, match="longer than 200"):
        values.text("x" * 201)


@pytest.mark.parametrize("text", [lazystr("expired"), gettext_lazy("expired"), mark_safe("expired")])
def test_text_loses_its_class(text: object) -> None:
    assert type(values.text(text)) is str
    assert values.text(text) == values.few_texts(text) == "expired"


@pytest.mark.parametrize("number", [7, Number.SEVEN, numpy.int64(7), numpy.uint8(7)], ids=repr)
def test_whatever_is_a_whole_number_is_an_id_and_milliseconds(number: object) -> None:
    assert values.identifier(number) == "7"
    assert values.milliseconds(number) == 7


def test_an_id_has_a_longest_number() -> None:
    assert values.identifier(2**128 - 1) == str(2**128 - 1)
    for bad in (2**128, -(2**128), 10**4000):
        with pytest.raises(ValueError, match="beyond 128 bits"):
            values.identifier(bad)


@pytest.mark.parametrize("bad", [True, numpy.True_, 7.0, Decimal(7), b"7", None, [7]])
def test_nothing_else_is_an_id(bad: object) -> None:
    with pytest.raises(ValueError, match="must be a whole number, a UUID or a string"):
        values.identifier(bad)


@pytest.mark.parametrize("given", [450.4, Decimal("449.6"), numpy.float32(450), Fraction(900, 2)])
def test_real_milliseconds_are_rounded(given: object) -> None:
    assert values.milliseconds(given) == 450


@pytest.mark.parametrize("given", [24.5, Decimal("24.5"), numpy.float32(24.5), Fraction(49, 2)])
def test_hours_are_any_real_number(given: object) -> None:
    assert values.hours(given) == 24.5
    assert type(values.hours(given)) is float


def test_hours_may_be_a_whole_number() -> None:
    assert values.hours(numpy.int64(3)) == 3.0


@pytest.mark.parametrize(
    "bad", ["24", b"24", True, numpy.True_, None, 1j, Decimal("NaN"), Decimal("Infinity"), -0.01], ids=repr
)
def test_nothing_else_is_a_duration(bad: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        values.hours(bad)
    if bad != -0.01:
        with pytest.raises(ValueError, match="must be"):
            values.milliseconds(bad)


def test_clocks_that_differ_a_little_make_no_negative_duration() -> None:
    assert values.hours(-0.0001) == 0
    assert values.milliseconds(-5000) == values.milliseconds(-0.4) == 0
    with pytest.raises(ValueError, match="negative"):
        values.milliseconds(-5001)
    with pytest.raises(ValueError, match="negative"):
        values.hours(-0.0014)


@pytest.mark.parametrize("given", ["HIGH", "High", "high", " high ", lazystr("high")])
def test_words_of_a_closed_set_come_in_any_case(given: object) -> None:
    assert values.one_of(("HIGH", "LOW"))(given) == "HIGH"


@pytest.mark.parametrize("mock", [MagicMock(), MagicMock().pk])
def test_a_mock_is_no_value(mock: object) -> None:
    for clean in (values.identifier, values.text, values.milliseconds, values.hours):
        with pytest.raises(ValueError, match="not MagicMock"):
            clean(mock)


@pytest.mark.parametrize("given", [" 7", "7\u00a0", "\u30007 "])
def test_blanks_around_a_text_are_no_part_of_it(given: str) -> None:
    assert values.identifier(given) == values.text(given) == "7"


@pytest.mark.parametrize(
    ("wrong", "named"), [("x" * 100, "'" + "x" * 60 + "'"), (User.objects.none(), "QuerySet"), (None, "NoneType")]
)
def test_a_wrong_word_is_named_without_asking_it_much(wrong: object, named: str) -> None:
    with pytest.raises(ValueError, match=f"must be one of HIGH, LOW, not {named}$"):
        values.one_of(("HIGH", "LOW"))(wrong)
