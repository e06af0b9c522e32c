"""Reading over https://: a proxy with a certificate of one's own CA stands for ClickHouse's https_port.

The embedded server itself listens for HTTP only.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_intel.schema.connection import ClickHouseUnreachable, connect
from tests.certificates import make_certificates
from tests.servers import ClickHouse


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(connection: socket.socket, context: ssl.SSLContext, port: int) -> None:
    # A client that does not trust the certificate ends the handshake.
    with (
        connection,
        contextlib.suppress(OSError),
        context.wrap_socket(connection, server_side=True) as plain,
        socket.create_connection(("127.0.0.1", port)) as upstream,
    ):
        answers = threading.Thread(target=pump, args=(upstream, plain))
        answers.start()
        pump(plain, upstream)
        answers.join()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def https(clickhouse: ClickHouse, certificates: Path) -> Iterator[int]:
    """The port of a proxy with TLS in front of the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        connections: list[threading.Thread] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    stack.callback(connection.close)
                    connections.append(
                        threading.Thread(target=serve, args=(connection, context, clickhouse.server.http_port))
                    )
                    connections[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for thread in connections:
            thread.join()


def command(https: int, clickhouse: ClickHouse, certificates: Path, ca: str, *arguments: str) -> tuple[int, str]:
    """Run a command that reads over TLS and trusts a CA; return its exit code and what it printed."""
    urls = {
        role: f"https://intel_{role}:{clickhouse.server.passwords[role]}@localhost:{https}"
        for role in ("reader", "admin")
    }
    done = subprocess.run(
        [sys.executable, "-m", "otel_intel", *arguments],
        env=os.environ
        | {"OTEL_INTEL_CLICKHOUSE_URL": urls["reader"], "CLICKHOUSE_URL": urls["admin"]}
        | ({"SSL_CERT_FILE": str(certificates / ca)} if ca else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["export", "decisions", "--out", "-"], ["migrate", "--plan"]])
def test_own_ca_is_trusted_by_ssl_cert_file(
    arguments: list[str], https: int, clickhouse: ClickHouse, certificates: Path
) -> None:
    code, said = command(https, clickhouse, certificates, "ca.pem", *arguments)
    assert code == 0, said
    for other in ("", "other.pem"):
        code, said = command(https, clickhouse, certificates, other, *arguments)
        assert code == 1
        assert "CERTIFICATE_VERIFY_FAILED" in said
        assert "Traceback" not in said


def test_a_password_for_https_never_goes_out_in_plain_text(clickhouse: ClickHouse) -> None:
    url = clickhouse.url("admin").replace("http://", "https://")
    with pytest.raises(ClickHouseUnreachable, match="SSL"), connect(url):
        pass
