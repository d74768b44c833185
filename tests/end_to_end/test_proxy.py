"""nginx in front of ``app.py``, as the repository ships it and as the documentation shows it."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest

from checkouts import ROOT, Server, borrow_packages, copy_checkout, free_port, serving
from conftest import CALLER
from elevens import OPTIONS
from faulty import eventually
from proxies import SHIPPED, needs_nginx, nginx

pytestmark = [pytest.mark.slow, needs_nginx]

TOKEN = "a-token-of-the-dashboard"
KINDS = ("plain", "behind TLS", "with TLS")
"""The shipped configuration, the same behind a load balancer that ends TLS, and the documented one."""


def documented(page: str) -> str:
    """Return a page's configuration."""
    [found] = re.findall(
        r"^```nginx\n(.*?)^```", (ROOT / f"docs/{page}.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(found)


DOCUMENTED = documented("hosts").rstrip().removesuffix("}") + documented("platforms/elevenlabs") + "}\n"


@dataclass
class Proxy:
    """A running nginx."""

    kind: str
    folder: Path
    port: int

    @property
    def scheme(self) -> str:
        """How visitors come."""
        return "http" if self.kind == "plain" else "https"

    def ask(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> tuple[int, Mapping[str, str]]:
        """Send a request, with a form as its body; return the status and the headers of the answer."""
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        method, body = ("GET", None) if form is None else ("POST", urlencode(form))
        return self.send(method, path, body, headers)

    def send(
        self, method: str, path: str, body: str | bytes | Iterable[bytes] | None, headers: dict[str, str]
    ) -> tuple[int, Mapping[str, str]]:
        """Send any request; return the status and the headers of the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        if self.kind == "with TLS":
            # The certificate is made for the test.
            unverified = ssl._create_unverified_context()  # noqa: SLF001
            connection = HTTPSConnection("127.0.0.1", self.port, timeout=20, context=unverified)
        if self.kind == "behind TLS":
            headers["X-Forwarded-Proto"] = "https"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        connection.close()
        return response.status, dict(response.headers)

    def logged(self) -> str:
        """Return what it logged."""
        return "".join(path.read_text("utf-8") for path in self.folder.glob("*.log"))


@contextmanager
def proxied(kind: str, folder: Path, behind: str) -> Iterator[Proxy]:
    """Run nginx in front of a port."""
    configuration, listen = (DOCUMENTED, "443") if kind == "with TLS" else (SHIPPED, "80")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout pickup.key -out pickup.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    configuration = configuration.replace("/etc/ssl/", f"{folder}/")
    with nginx(folder / "nginx", configuration, int(behind), listen) as port:
        yield Proxy(kind, folder / "nginx", port)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running ``scripts/serve``."""
    checkout = copy_checkout(tmp_path_factory.mktemp("proxied") / "pickup")
    borrow_packages(checkout)
    with serving(checkout, PICKUP_DASHBOARD_TOKEN=TOKEN, PICKUP_WEBHOOK_SECRET=TOKEN, **OPTIONS) as server:
        yield server


@pytest.fixture(scope="module", params=KINDS)
def proxy(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in front of it, of each kind in turn."""
    with proxied(request.param, tmp_path_factory.mktemp("proxy"), server.variables["PORT"]) as proxy:
        yield proxy


def test_token_opens_the_dashboard_for_one_scheme(proxy: Proxy) -> None:
    """The cookie is for TLS alone where the visitor came by it; the address of the redirect has no token."""
    status, headers = proxy.ask(f"/pickup/calls?token={TOKEN}")
    assert (status, headers["Location"]) == (302, "/pickup/calls")
    assert ("Secure" in headers["Set-Cookie"]) is (proxy.scheme == "https")


def test_redirect_to_the_dashboard_keeps_scheme_and_port(proxy: Proxy) -> None:
    """The address without its last slash leads to the one with it, as the visitor came; nginx itself answers it."""
    status, headers = proxy.ask(f"/pickup?token={TOKEN}")
    assert (status, headers["Location"]) == (301, f"/pickup/?token={TOKEN}")


@pytest.mark.parametrize("host", ["127.0.0.1", "pickup.example.org"])
def test_preview_is_answered_on_another_port(proxy: Proxy, host: str) -> None:
    """A browser that sends only ``Origin`` with a form is answered on any port; another site's form is refused."""
    cookie = proxy.ask(f"/pickup/?token={TOKEN}")[1]["Set-Cookie"].partition(";")[0]
    form, address = {"number": CALLER}, f"{host}:{proxy.port}"
    asked = {"Cookie": cookie, "Host": address}
    assert proxy.ask("/pickup/preview", form, Origin=f"{proxy.scheme}://{address}", **asked)[0] == 200
    assert proxy.ask("/pickup/preview", form, Origin=f"{proxy.scheme}://{host}:1", **asked)[0] == 403


def test_no_log_has_the_token(proxy: Proxy) -> None:
    """An address with the token, right or not, and a page that was reached from it, are logged without the query."""
    proxy.ask(f"/pickup/?token={TOKEN}")
    proxy.ask(f"/pickup/calls?token={TOKEN}x", Referer=f"{proxy.scheme}://pickup.example.org/pickup/?token={TOKEN}")
    eventually(lambda: '"GET /pickup/calls" 403' in proxy.logged())
    assert TOKEN not in proxy.logged()


@pytest.mark.parametrize("kind", KINDS)
def test_no_log_has_the_token_while_nothing_serves(kind: str, tmp_path: Path) -> None:
    """The errors of a proxy whose server is away don't quote it either."""
    with proxied(kind, tmp_path, free_port()) as proxy:
        assert proxy.ask(f"/pickup/?token={TOKEN}")[0] == 502
        eventually(lambda: '"GET /pickup/" 502' in proxy.logged())
        assert TOKEN not in proxy.logged()


@pytest.mark.parametrize("path", ["/pickup/metrics", "/pickup/health", "/pickup//health", "/pickup/x/../%68ealth"])
def test_shipped_proxy_hides_internal_pages(proxy: Proxy, path: str) -> None:
    """Metrics and health are for the internal network alone."""
    if proxy.kind != "with TLS":
        assert proxy.ask(path)[0] == 404


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kilobytes", [1500, 3000])
def test_large_body_is_acknowledged_for_elevenlabs_alone(proxy: Proxy, kilobytes: int, chunked: bool) -> None:  # noqa: FBT001
    """A call's audio gets a 200 whether Pickup's limit or the proxy's is smaller; other platforms' URLs refuse it."""
    # The proxy may still be sending when the server refuses and closes: the sender then gets the proxy's 502.
    for path, statuses in {"/pickup/elevenlabs": {200}, "/pickup/webhook": {413, 502}}.items():
        body = (b"x" * 1000 for _ in range(kilobytes)) if chunked else b"x" * 1000 * kilobytes
        assert proxy.send("POST", path, body, {})[0] in statuses
