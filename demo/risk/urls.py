"""URLs of the risk signals."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.signal_list, name="signal-list"),
    path("signals/<int:signal_id>/", views.signal_detail, name="signal-detail"),
    path("signals/<int:signal_id>/explanation/", views.explanation, name="signal-explanation"),
    path("signals/<int:signal_id>/decide/", views.decide, name="signal-decide"),
    path("signals/<int:signal_id>/note/", views.add_note, name="signal-note"),
    path("signals/<int:signal_id>/resolve/", views.resolve, name="signal-resolve"),
]
