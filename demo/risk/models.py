"""Agreements, the risk signals raised about them, and what staff did."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Agreement(models.Model):
    """Something that can go wrong: what the engine looks at."""

    title = models.CharField(max_length=100)
    owner = models.CharField("owning team", max_length=60)
    expires_on = models.DateField(null=True, blank=True)
    pending_since = models.DateField(null=True, blank=True)
    forced_expiries = models.PositiveIntegerField(default=0)
    regenerations = models.PositiveIntegerField(default=0)
    failed_acceptances = models.PositiveIntegerField(default=0)
    owner_last_seen = models.DateField(null=True, blank=True)
    value = models.PositiveIntegerField("yearly value", default=0)

    def __str__(self) -> str:
        return self.title


class RiskSignal(models.Model):
    """A risk that was noticed about an agreement, with the decision on it and its outcome."""

    class Type(models.TextChoices):
        """What was noticed; also the type of the recommendation."""

        EXPIRING_SOON = "EXPIRING_SOON", "Expiring soon"
        LONG_PENDING = "LONG_PENDING", "Long pending"
        REPEATED_FORCE_EXPIRE = "REPEATED_FORCE_EXPIRE", "Repeatedly force-expired"
        REPEATED_REGENERATION = "REPEATED_REGENERATION", "Repeatedly regenerated"
        INACTIVE_OWNER = "INACTIVE_OWNER", "Inactive owner"
        FAILED_ACCEPTANCE = "FAILED_ACCEPTANCE", "Failed acceptance"

    class Decision(models.TextChoices):
        """What staff did with the recommendation."""

        ACCEPTED = "ACCEPTED", "Accepted"
        IGNORED = "IGNORED", "Ignored"
        OVERRIDDEN = "OVERRIDDEN", "Overridden"

    class Outcome(models.TextChoices):
        """How it ended."""

        RESOLVED = "RESOLVED", "Resolved"
        ESCALATED = "ESCALATED", "Escalated"
        NO_ACTION = "NO_ACTION", "No action needed"
        FALSE_POSITIVE = "FALSE_POSITIVE", "False positive"

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="signals")
    type = models.CharField(max_length=30, choices=Type)
    raised_at = models.DateTimeField()
    # The engine's version at the time of the decision: the outcome counts for this version, not for the version
    # that is deployed when the signal ends.
    engine_version = models.CharField(max_length=20, blank=True)
    decision = models.CharField(max_length=20, choices=Decision, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    decided_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first."""

        ordering = ("-raised_at", "-pk")

    def __str__(self) -> str:
        return f"{self.get_type_display()}: {self.agreement}"


class Note(models.Model):
    """What staff wrote about a signal."""

    signal = models.ForeignKey(RiskSignal, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Oldest first."""

        ordering = ("created_at",)

    def __str__(self) -> str:
        return f"Note {self.pk}"
