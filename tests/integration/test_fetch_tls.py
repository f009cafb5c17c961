"""TLS: the connection goes to a vetted address, the certificate is still checked against the name."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from listener.domain import Accept, Checkpoint, Page, Request
from listener.errors import FetchError
from listener.fetch import Fetcher, FetchPolicy
from listener.fetch.addresses import IPAddress
from tests.misbehaving import Misbehaving, misbehaving
from tests.services import require

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
POLICY = FetchPolicy(
    user_agent="listener/test",
    host_interval_secs=0.0,
    allow_private_hosts=frozenset({"site.test", "other.test", "127.0.0.1"}),
    retry_budget_secs=0.0,
)


async def loopback(_host: str, _port: int) -> list[IPAddress]:
    """Every name is this machine."""
    return [ip_address("127.0.0.1")]


async def fetch(url: str, **policy: Any) -> Page:
    """One poll with a client of its own."""
    async with Fetcher(replace(POLICY, **policy), resolve=loopback) as fetcher:
        return await fetcher.for_source("blog", Checkpoint(), now=NOW)(Request(url=url, accept=Accept.FEED))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for site.test with its key, in one file."""
    require(shutil.which("openssl"), "the openssl command")
    path = tmp_path_factory.mktemp("tls") / "site.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=site.test "
        f"-addext subjectAltName=DNS:site.test -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
async def server(certificate: Path) -> AsyncIterator[Misbehaving]:
    """The misbehaving server behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with misbehaving(tls=context) as running:
        yield running


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator whose own authority is named by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
async def test_the_name_goes_into_the_handshake(server: Misbehaving) -> None:
    """The address is only what we connect to."""
    server.serve("/good", b"ok")
    assert (await fetch(server.url("/good", host="site.test"))).body == b"ok"
    assert server.requests[0].headers["host"] == f"site.test:{server.port}"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_refused(server: Misbehaving, host: str) -> None:
    """Before anything is sent."""
    with pytest.raises(FetchError, match=rf"{host}: the TLS certificate is not valid: .*mismatch"):
        await fetch(server.url("/good", host=host))
    assert server.requests == []


async def test_a_certificate_of_nobody_is_refused(server: Misbehaving) -> None:
    """The error says why."""
    with pytest.raises(FetchError, match=r"site\.test: the TLS certificate is not valid: self.signed"):
        await fetch(server.url("/good", host="site.test"))


@pytest.mark.usefixtures("trusted")
async def test_https_does_not_fall_back_to_http(server: Misbehaving) -> None:
    """Not even where a redirect says so."""
    with pytest.raises(FetchError, match="from https to http"):
        await fetch(server.url(f"/redirect?to=http://site.test:{server.port}/", host="site.test"))


async def test_a_server_without_tls() -> None:
    """Talking plain text where TLS was asked for."""

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as plain:
        with pytest.raises(FetchError, match=r"site\.test: TLS failed \(WRONG_VERSION_NUMBER\)"):
            await fetch(f"https://site.test:{plain.sockets[0].getsockname()[1]}/")


async def test_a_handshake_that_hangs() -> None:
    """Counts as no connection."""
    async with misbehaving() as silent:
        with pytest.raises(FetchError, match=r"site\.test: no connection within 0\.2 s"):
            await fetch(f"https://site.test:{silent.port}/", connect_secs=0.2)
