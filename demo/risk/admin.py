"""Let superusers look at the data."""

from __future__ import annotations

from django.contrib import admin

from .models import Agreement, Note, RiskSignal

admin.site.register((Agreement, RiskSignal, Note))
