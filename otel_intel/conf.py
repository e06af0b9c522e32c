"""Settings: ``settings.OTEL_INTEL`` in Django, else ``OTEL_INTEL_<KEY>`` in the environment.

The target of the export is not a setting here: the standard ``OTEL_*`` variables name it.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from .exceptions import ConfigurationError

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off", "")
_DOTTED_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of otel_intel.

    Args:
        ENGINE_VERSION: The version of the decision engine, or the dotted path of a variable that holds it.
        CLICKHOUSE_URL: Where metrics are read, ``http(s)://user:password@host:port``, as a reader.
        ENABLED: False turns every helper and decorator into a no-op.
        SEND_IN_TESTS: True sends events under pytest and ``manage.py test`` too.
        TRACES: True traces Django's requests with opentelemetry-instrumentation-django.
        ADMIN_ID_HASH_KEY: A secret; admin ids leave the process as keyed hashes (HMAC-SHA256) when it is set.
        QUEUE_SIZE: The largest number of events that wait in one process.
        EXIT_TIMEOUT: Seconds that the exit of a process may wait for delivery.
        QUERY_TIMEOUT: Seconds that one ``get_*`` call may take in all.
        VIEW_PERMISSION: A permission that the staff pages require besides ``is_staff``, as "app.codename".
    """

    ENGINE_VERSION: str = ""
    CLICKHOUSE_URL: str = ""
    ENABLED: bool = True
    SEND_IN_TESTS: bool = False
    TRACES: bool = False
    ADMIN_ID_HASH_KEY: str = ""
    QUEUE_SIZE: int = 8192
    EXIT_TIMEOUT: float = 2.0
    QUERY_TIMEOUT: float = 3.0
    VIEW_PERMISSION: str = ""


KEYS = tuple(field.name for field in fields(Settings))


def _django_settings() -> Mapping[str, object]:
    named = "DJANGO_SETTINGS_MODULE" in os.environ
    if not named and "django.conf" not in sys.modules:
        return {}
    # Import it even if sys.modules holds it: another thread may still be importing it, and this call waits for that.
    settings = importlib.import_module("django.conf").settings
    if not (named or settings.configured):
        return {}
    try:
        value = getattr(settings, "OTEL_INTEL", {})
    except ImportError as error:
        name = os.environ.get("DJANGO_SETTINGS_MODULE")
        raise ConfigurationError(f"DJANGO_SETTINGS_MODULE={name}: {error}.") from error
    if not isinstance(value, Mapping):
        raise ConfigurationError("OTEL_INTEL must be a dict, such as OTEL_INTEL = {'ENGINE_VERSION': '1.0'}.")
    return value


def _convert(source: str, value: object, default: object) -> object:
    """Return a setting's value in its default's type; strings (the environment) are parsed."""
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
            return value.lower() in _TRUE
        raise ConfigurationError(f"{source} must be true or false, not {value!r}.")
    if isinstance(default, int | float):
        try:
            if isinstance(value, int | float | str) and not isinstance(value, bool):
                number = type(default)(value)
                if number > 0 and (isinstance(value, str) or number == value):
                    return number
        except (ValueError, OverflowError):
            pass
        raise ConfigurationError(f"{source} must be a number above 0, not {value!r}.")
    if not isinstance(value, str):
        raise ConfigurationError(f"{source} must be a string, not {type(value).__name__}.")
    return value


def get_settings() -> Settings:
    """Read the settings in force now.

    Raises:
        ConfigurationError: If a value has the wrong type; the message names the key.
    """
    in_django = _django_settings()
    values: dict[str, object] = {}
    for field in fields(Settings):
        if field.name in in_django:
            source = f"OTEL_INTEL[{field.name!r}]"
            values[field.name] = _convert(source, in_django[field.name], field.default)
        elif (variable := f"OTEL_INTEL_{field.name}") in os.environ:
            values[field.name] = _convert(variable, os.environ[variable], field.default)
    return Settings(**values)  # type: ignore[arg-type]


def unknown_keys() -> list[str]:
    """Return the keys of ``settings.OTEL_INTEL`` that otel_intel does not know."""
    return [str(key) for key in _django_settings() if key not in KEYS]


def resolve_engine_version(setting: str) -> Callable[[], object]:
    """Return a function that reads the engine version which the setting names.

    A setting made of identifiers and dots whose first part can be imported is the path of a variable,
    read at each call; anything else, such as "2.1.0", is the version itself.

    Raises:
        ConfigurationError: If the path's module can be imported but the variable is not there.
    """
    if not _DOTTED_PATH.fullmatch(setting) or not _is_module(setting.partition(".")[0]):
        return lambda: setting
    parts = setting.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        try:
            target: object = importlib.import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".rstrip(".")
            text = f"OTEL_INTEL['ENGINE_VERSION'] = {setting!r} cannot be imported: {reason}."
            raise ConfigurationError(text) from error
        try:
            for name in parts[depth:-1]:
                target = getattr(target, name)
            getattr(target, parts[-1])
        except AttributeError as error:
            raise ConfigurationError(f"OTEL_INTEL['ENGINE_VERSION'] = {setting!r}: {error}.") from None
        return partial(getattr, target, parts[-1])
    raise ConfigurationError(f"OTEL_INTEL['ENGINE_VERSION'] = {setting!r} cannot be imported.")


def _is_module(name: str) -> bool:
    try:
        return name in sys.modules or find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def parse_url(url: str) -> SplitResult:
    """Return the parts of a ClickHouse URL, ``http(s)://user:password@host:port``; raise ValueError if it is none."""
    encoded = "in a password, write / ? # @ as %2F %3F %23 %40"
    try:
        address = urlsplit(url)
        is_url = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # its message may quote a part of the password
        is_url = False
    if not is_url:
        raise ValueError(f"is not an HTTP URL; {encoded}")
    if address.path not in ("", "/") or address.query or address.fragment:
        # It would be left out, and the password sent to the root of what may be a gateway.
        raise ValueError(f"has something behind the port; {encoded}")
    return address


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this one: no proxy leads there, and no password leaves it."""
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def env_flag(name: str) -> bool:
    """Tell whether a standard OTEL_* variable is "true"."""
    return os.environ.get(name, "").strip().lower() == "true"


def is_under_test() -> bool:
    """Tell whether pytest or ``manage.py test`` runs this process."""
    program, *arguments = sys.argv or [""]
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    is_django = os.path.basename(program) in ("manage.py", "django-admin", "__main__.py")
    return "PYTEST_VERSION" in os.environ or (is_django and command == "test")
