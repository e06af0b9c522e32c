"""The staff pages: ``path("telemetry/", include("otel_intel.urls"))``."""

from __future__ import annotations

from django.urls import path

from . import clicks
from .pages import views

urlpatterns = [
    path("", views.dashboard, name="telemetry-dashboard"),
    path("events/", views.recommendation_events, name="recommendation-events"),
    path("outcomes/", views.outcome_snapshots, name="outcome-snapshots"),
    path("activity/", views.view_telemetry, name="view-telemetry"),
    path("traces/<str:trace_id>/", views.trace, name="telemetry-trace"),
    path("click/", clicks.track_click, name="telemetry-click"),
]
