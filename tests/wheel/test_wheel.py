"""The wheel, installed outside the checkout: every command and page finds its files in it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.collector.process import binary
from tests.processes import UP, running

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("clickhouse", "collector", "grafana/dashboards", "grafana/provisioning", "grafana/RUNBOOK.md")
SITE = {
    "manage.py": """
import os
import sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """
from pathlib import Path
SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
ROOT_URLCONF = "site_urls"
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).with_name("site.sqlite3")}}
INSTALLED_APPS = [f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "staticfiles")]
INSTALLED_APPS += ["otel_intel"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
    "context_processors": ["django.template.context_processors.request"]}}]
OTEL_INTEL = {"ENGINE_VERSION": "1", "QUERY_TIMEOUT": 20.0}
""",
    "site_urls.py": """
from django.urls import include, path
urlpatterns = [path("accounts/", include("django.contrib.auth.urls")), path("telemetry/", include("otel_intel.urls"))]
""",
    "pages.py": """
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
client = Client()
client.force_login(User.objects.create_user("viewer", is_staff=True))
for name in ("telemetry-dashboard", "recommendation-events", "outcome-snapshots", "view-telemetry"):
    response = client.get(reverse(name))
    print(name, response.status_code, b"Skip to content" in response.content)
""",
}


@dataclass
class Installed:
    """A virtual environment with the wheel, and an empty folder to work in."""

    wheel: Path
    bin: Path
    folder: Path
    environment: dict[str, str]

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment, check that it succeeds, and return its output."""
        command = [str(self.bin / program), *arguments]
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel and install it, with the packages that it needs taken from this environment."""
    directory = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Without isolation: the build's only requirement is installed with the test group, so no index is needed.
    build = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(directory), str(ROOT)]
    subprocess.run([*pip, *build], check=True, timeout=90)
    [wheel] = directory.glob("*.whl")
    environment = directory / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=90)
    python = environment / "bin" / "python"
    install = ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True, timeout=90)
    [packages] = environment.glob("lib/python*/site-packages")
    # .pth files of that folder are not read, so the one that leads to the checkout has no effect.
    others = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "others.pth").write_text("".join(f"{path}\n" for path in others))
    folder = directory / "folder"
    folder.mkdir()
    names = ("HOME", "LANG", "PATH", "XDG_CACHE_HOME")
    return Installed(wheel, python.parent, folder, {name: os.environ[name] for name in names if name in os.environ})


@pytest.fixture(scope="module")
def served(installed: Installed) -> Iterator[Installed]:
    """The same with a server, and its variables in the environment."""
    file = installed.folder / "env"
    command = [str(installed.bin / "otel-intel"), *UP, "--env-file", str(file)]
    with running(command, cwd=installed.folder, env=installed.environment) as up:
        assert up.stderr
        assert any("Ctrl-C stops it" in line for line in up.stderr)
        lines = shlex.split(file.read_text())
        variables = dict(line.split("=", 1) for line in lines)
        yield Installed(installed.wheel, installed.bin, installed.folder, {**installed.environment, **variables})


@pytest.fixture(scope="module")
def site(served: Installed) -> Installed:
    """The same with a tiny Django site in the folder."""
    for name, text in SITE.items():
        (served.folder / name).write_text(text)
    served.run("python", "manage.py", "migrate", "--verbosity=0")
    return served


def test_the_package_is_imported_from_the_wheel(installed: Installed) -> None:
    found = Path(installed.run("python", "-c", "import otel_intel; print(otel_intel.__file__)").strip())
    assert found.is_relative_to(installed.bin.parent)
    assert not found.is_relative_to(ROOT)


def test_all_files_of_the_package_and_its_data_are_in_the_wheel(installed: Installed) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "otel_intel", *SHIPPED]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("NOT TESTED: this is no checkout of git, which lists the files")
    files = {
        name if name.startswith("otel_intel/") else f"otel_intel/_data/{name}"
        for name in listed.stdout.splitlines()
        if (ROOT / name).exists()
    }
    packed = {name for name in zipfile.ZipFile(installed.wheel).namelist() if ".dist-info/" not in name}
    assert len(files) > 100
    assert packed == files


def test_a_sites_check_finds_nothing(site: Installed) -> None:
    site.run("python", "manage.py", "check", "--fail-level", "WARNING")


def test_pages_of_staff_are_shown(site: Installed) -> None:
    shown = site.run("python", "manage.py", "shell", "--verbosity=0", "-c", SITE["pages.py"])
    names = ("telemetry-dashboard", "recommendation-events", "outcome-snapshots", "view-telemetry")
    assert shown.splitlines() == [f"{name} 200 True" for name in names]


def test_static_files_are_found(site: Installed) -> None:
    for name in ("otel_intel/otel_intel.js", "otel_intel/pages.css"):
        assert str(site.bin.parent) in site.run("python", "manage.py", "findstatic", name)


def test_doctor_finds_a_healthy_pipeline(site: Installed) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(site.environment, "DJANGO_SETTINGS_MODULE", "site_settings")
        patch.setitem(site.environment, "OTEL_SERVICE_NAME", "shop")
        patch.setitem(site.environment, "PYTHONPATH", str(site.folder))
        patch.setitem(site.environment, "OTEL_SERVICE_NAME", "shop")
        hops = site.run("otel-intel", "doctor").splitlines()
    assert all(hop.startswith("✓") for hop in hops), hops


@pytest.mark.parametrize("command", [("status",), ("export", "decisions"), ("env",)], ids=" ".join)
def test_commands_about_the_server_work(served: Installed, command: tuple[str, ...]) -> None:
    assert served.run("otel-intel", *command)


def test_schema_can_be_applied(served: Installed) -> None:
    url = served.run("otel-intel", "env", "--role", "admin").strip()
    assert served.run("otel-intel", "migrate", "--plan", "--url", url) == "-- then the views, as always\n"
    served.run("otel-intel", "migrate", "--url", url)
    served.run("otel-intel", "rebuild", "--url", url)


def test_dashboards_and_alerts_are_written(installed: Installed) -> None:
    installed.run("otel-intel", "grafana", "--out", "my-grafana")
    written = installed.folder / "my-grafana"
    assert {path.name for path in (written / "dashboards").glob("*.json")} == {
        path.name for path in (ROOT / "grafana" / "dashboards").glob("*.json")
    }
    assert list(written.glob("provisioning/alerting/*.yaml"))
    assert (written / "RUNBOOK.md").read_text().startswith("# ")


def test_collector_runs_with_the_wheels_configuration(installed: Installed) -> None:
    binary()
    data = ("--data", "with-collector")
    command = [str(installed.bin / "otel-intel"), *UP, *data, "--collector"]
    with running(command, cwd=installed.folder, env=installed.environment) as up:
        assert up.stderr
        assert any("a Collector in front" in line for line in up.stderr)
        assert "OTEL_EXPORTER_OTLP_ENDPOINT=" in installed.run("otel-intel", "env", *data)
