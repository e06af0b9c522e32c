"""Settings of the demo site. What telemetry needs is at the end; the rest is any Django site."""

from __future__ import annotations

import os
from pathlib import Path

STATE = Path(os.environ.get("DEMO_STATE", Path(__file__).resolve().parent.parent / ".demo"))

SECRET_KEY = "a demo on loopback has no secrets"  # noqa: S105
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "demo.urls"
WSGI_APPLICATION = "demo.wsgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "signal-list"
LOGOUT_REDIRECT_URL = "login"
STATIC_URL = "/static/"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": STATE / "site.sqlite3",
        "ATOMIC_REQUESTS": True,
        # Let readers work beside a writer, and let a writer wait for its turn instead of failing.
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "IMMEDIATE"},
    }
}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "demo.risk",  # before otel_intel, whose base template it extends
    "otel_intel",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "demo.csp.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# The environment says where to send events and read metrics: `otel-intel up` prints the variables.
OTEL_INTEL = {
    "ENGINE_VERSION": "demo.risk.assist.DecisionAssistService.EXPLANATION_ENGINE_VERSION",
    "TRACES": True,
}
