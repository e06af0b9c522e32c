"""The form of filters: it reads a query string, notes the invalid parts, and shows the filters in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.timezone import localdate

from otel_intel.reading.days import first_day
from otel_intel.values import MAX_TEXT, is_text

from .filters import DEFAULT_DAYS, Cursor, Filters
from .format import words
from .logs import Column, Log

_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2149, 6, 5)  # the day before the last one that ClickHouse's Date can store


class _Choice(forms.ChoiceField):
    def validate(self, value: object) -> None:
        if value and not self.valid_value(str(value)):
            name = str(self.label).lower()
            raise ValidationError(f"There is no {name} “{str(value)[:40]}”: the filter was left out.")


class _Text(forms.CharField):
    def to_python(self, value: object) -> str:
        text = str(value or "").strip()
        if text and not is_text(text):
            raise ValidationError(f"No {str(self.label).lower()} can be that text: the filter was left out.")
        return text

    # to_python checks the text; Django's own validators would add a second message in other words.
    def run_validators(self, value: object) -> None:
        """Run no further validators."""


class _Day(forms.DateField):
    def to_python(self, value: object) -> date | None:
        text = str(value or "").strip()
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = date.min
        if not _FIRST <= day <= _LAST:
            raise ValidationError(f"“{text[:40]}” is not a day such as {localdate()}: the filter was left out.")
        return day


class FilterForm(forms.Form):
    """The fields of a log's filters and of the range.

    Args:
        columns: The filters, one field each.
        data: A query string to read.
        initial: The values in use, to show.
        suggestions: Values to choose from in a field that takes any text, by the filter's name.
    """

    def __init__(
        self,
        columns: Sequence[Column] = (),
        data: Mapping[str, str] | None = None,
        initial: Mapping[str, object] | None = None,
        suggestions: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}), auto_id="filter-%s", label_suffix="")
        for column in columns:
            self.fields[column.name] = _field(column)
        self.fields["from"] = _Day(
            label="From", required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
        )
        self.fields["to"] = _Day(
            label="To", required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
        )
        self.suggestions = {name: values for name, values in (suggestions or {}).items() if values}
        for name in self.suggestions.keys() & self.fields.keys():
            self.fields[name].widget.attrs["list"] = f"choices-{name}"


def _field(column: Column) -> forms.Field:
    label = column.name.capitalize()
    if column.choices:
        choices = [("", "all"), *((value, words(value)) for value in column.choices)]
        return _Choice(label=label, required=False, choices=choices)
    attributes = {"maxlength": str(MAX_TEXT), "autocomplete": "off"}
    return _Text(label=label, required=False, widget=forms.TextInput(attributes))


def read_filters(query: Mapping[str, str], log: Log | None = None) -> Filters:
    """Read a query string.

    Args:
        query: ``request.GET``.
        log: The log of the page; the query string may use its filters and orders.
    """
    columns, orders = (log.filters, ("time", *log.orders)) if log else ([], ("time",))
    form = FilterForm(columns, query)
    form.is_valid()
    notes = [str(message) for messages in form.errors.values() for message in messages]
    cleaned = form.cleaned_data
    last = cleaned.get("to") or localdate()
    first = cleaned.get("from") or max(_FIRST, first_day(DEFAULT_DAYS, last))
    if first > last:
        first, last = last, first
        notes.append("The first day was after the last: they were swapped.")
    sort = query.get("sort", "") or "-time"
    if sort.lstrip("-") not in orders or sort.startswith("--"):
        notes.append("The log cannot be sorted by that: it is sorted by time.")
        sort = "-time"
    cursor = None
    for name, backwards in (("after", False), ("before", True)):
        if query.get(name):
            cursor = Cursor.decode(query[name], backwards=backwards)
            if cursor is None:
                notes.append("The link to that page is damaged: this is the first page.")
    equal = {column.name: value for column in columns if (value := cleaned.get(column.name))}
    return Filters(first, last, equal, sort.lstrip("-"), sort.startswith("-"), cursor, tuple(notes))
