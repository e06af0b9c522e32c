"""What staff see and do. Everything about telemetry is a decorator above a view or one call inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from otel_intel import (
    Recommendation,
    get_telemetry,
    track_admin_note_create,
    track_dashboard_open,
    track_recommendation_view,
    track_signal_detail_open,
)

from .assist import DecisionAssistService
from .models import Note, RiskSignal

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

service = DecisionAssistService()


def staff_only(view: View) -> View:
    """Send others to this site's log-in page instead of the admin's."""
    return staff_member_required(view, login_url="login")


class FilterForm(forms.Form):
    """Choose which signals are listed."""

    type = forms.ChoiceField(choices=[("", "All types"), *RiskSignal.Type.choices], required=False)
    state = forms.ChoiceField(
        choices=[("", "Undecided"), ("decided", "Decided, still open"), ("closed", "Closed")], required=False
    )


class NoteForm(forms.ModelForm):  # type: ignore[type-arg]
    """Write a note."""

    class Meta:
        """Only the text of a note is entered by the user."""

        model = Note
        fields = ("text",)
        widgets = {"text": forms.Textarea(attrs={"rows": 3})}  # noqa: RUF012


def _signals() -> QuerySet[RiskSignal]:
    return RiskSignal.objects.select_related("agreement", "decided_by")


def _recommendation(request: HttpRequest, response: HttpResponseBase) -> Recommendation | None:
    """Tell the decorators what the page recommends, and which version made it."""
    return getattr(request, "recommendation", None)


def _undecided(request: HttpRequest, response: HttpResponseBase) -> Recommendation | None:
    """Tell the decorator what the page asks to decide on; None if the signal is already decided."""
    return getattr(request, "undecided", None)


def _version(signal: RiskSignal) -> str:
    return signal.engine_version or service.EXPLANATION_ENGINE_VERSION


@staff_only
@track_dashboard_open
def signal_list(request: HttpRequest) -> HttpResponse:
    """List the signals that wait for somebody."""
    form = FilterForm(request.GET)
    signals = _signals()
    if form.is_valid():
        if form.cleaned_data["type"]:
            signals = signals.filter(type=form.cleaned_data["type"])
        match form.cleaned_data["state"]:
            case "closed":
                signals = signals.exclude(outcome="")
            case "decided":
                signals = signals.exclude(decision="").filter(outcome="")
            case _:
                signals = signals.filter(decision="", outcome="")
    page = Paginator(signals, 25).get_page(request.GET.get("page"))
    today = timezone.localdate()
    rows = [(signal, service.recommend(signal, today)) for signal in page]
    return render(request, "risk/signal_list.html", {"form": form, "page": page, "rows": rows})


@staff_only
@track_signal_detail_open(recommendation=_recommendation)
@track_recommendation_view(recommendation=_undecided)
def signal_detail(request: HttpRequest, signal_id: int) -> HttpResponse:
    """Show one signal with its recommendation."""
    return _detail(request, get_object_or_404(_signals(), pk=signal_id), NoteForm())


def _detail(request: HttpRequest, signal: RiskSignal, note_form: NoteForm, status: int = 200) -> HttpResponse:
    recommendation = service.recommend(signal, timezone.localdate())
    shown = Recommendation(recommendation.type, recommendation.confidence, _version(signal))
    request.recommendation = shown  # type: ignore[attr-defined]
    request.undecided = None if signal.decision else shown  # type: ignore[attr-defined]
    context = {
        "signal": signal,
        "recommendation": recommendation,
        "engine_version": _version(signal),
        "note_form": note_form,
        "decisions": RiskSignal.Decision.choices,
        "outcomes": RiskSignal.Outcome.choices,
    }
    return render(request, "risk/signal_detail.html", context, status=status)


@staff_only
def explanation(request: HttpRequest, signal_id: int) -> HttpResponse:
    """Serve the explanation for htmx; the button that asks for it carries {% track_explanation_expand %}."""
    signal = get_object_or_404(_signals(), pk=signal_id)
    recommendation = service.recommend(signal, timezone.localdate())
    return render(request, "risk/explanation.html", {"recommendation": recommendation, "service": service})


@staff_only
@require_POST
def decide(request: HttpRequest, signal_id: int) -> HttpResponse:
    """Accept, ignore or override the recommendation. The event goes out when the transaction commits."""
    signal = get_object_or_404(_signals().select_for_update(), pk=signal_id)
    decision = request.POST.get("decision", "")
    if decision not in RiskSignal.Decision or signal.decision:
        messages.error(request, "This signal has been decided already." if signal.decision else "Choose a decision.")
        return redirect("signal-detail", signal_id)
    recommendation = service.recommend(signal, timezone.localdate())
    signal.decision = decision
    signal.decided_by = cast("User", request.user)
    signal.decided_at = timezone.now()
    signal.engine_version = _version(signal)
    signal.save()
    telemetry = get_telemetry()
    track = {
        RiskSignal.Decision.ACCEPTED: telemetry.track_recommendation_accept,
        RiskSignal.Decision.IGNORED: telemetry.track_recommendation_ignore,
        RiskSignal.Decision.OVERRIDDEN: telemetry.track_recommendation_override,
    }[RiskSignal.Decision(decision)]
    # No decision_time_ms: the time since this admin first saw the recommendation is worked out from the events.
    track(
        signal.pk,
        signal.decided_by.pk,
        recommendation.type,
        recommendation.confidence,
        engine_version=signal.engine_version,
    )
    messages.success(request, f"Recommendation {signal.get_decision_display().lower()}.")
    return redirect("signal-detail", signal_id)


@staff_only
@require_POST
@track_admin_note_create
def add_note(request: HttpRequest, signal_id: int) -> HttpResponse:
    """Add a note; its text stays in this database."""
    signal = get_object_or_404(_signals(), pk=signal_id)
    form = NoteForm(request.POST, instance=Note(signal=signal, author=cast("User", request.user)))
    if not form.is_valid():
        return _detail(request, signal, form, status=422)
    form.save()
    messages.success(request, "Note added.")
    return redirect("signal-detail", signal_id)


@staff_only
@require_POST
def resolve(request: HttpRequest, signal_id: int) -> HttpResponse:
    """Close a signal with its outcome."""
    signal = get_object_or_404(_signals(), pk=signal_id)
    if request.POST.get("outcome") not in RiskSignal.Outcome or signal.outcome:
        messages.error(request, "This signal is closed already." if signal.outcome else "Choose an outcome.")
        return redirect("signal-detail", signal_id)
    signal.outcome = request.POST["outcome"]
    signal.closed_at = timezone.now()
    signal.save()
    note = signal.notes.last()
    get_telemetry().track_signal_outcome(
        signal.pk,
        signal.outcome,
        resolution_time_hours=(signal.closed_at - signal.raised_at).total_seconds() / 3600,
        admin_note_id=note.pk if note else None,
        admin_user_id=request.user.pk,
        engine_version=_version(signal),
    )
    messages.success(request, f"Signal closed: {signal.get_outcome_display().lower()}.")
    return redirect("signal-detail", signal_id)
