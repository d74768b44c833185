"""Host apps as they are: their hooks, handlers, extensions and ways of mounting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Blueprint, Flask, Response, abort, g, got_request_exception, request, url_for
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from conftest import CALLER, CALLER_SECRET, CONTENT, NOW, WEBHOOK_SECRET, write
from flask_pickup import ConfigurationError, Pickup, migrating
from flask_pickup.platforms import CallEnded
from flask_pickup.testing import PickupClient

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Make a host's app, not yet with Pickup in it; what it mounts is closed at the end."""
    made: list[Flask] = []
    write(tmp_path, CONTENT)

    def make(name: str = "host", **config: Any) -> Flask:
        options: dict[str, Any] = {key: config.pop(key) for key in ("host_matching", "static_host") if key in config}
        app = Flask(name, root_path=str(tmp_path), instance_path=str(tmp_path / name), **options)
        app.config.update(PICKUP_WEBHOOK_SECRET=WEBHOOK_SECRET, PICKUP_CALLER_SECRET=CALLER_SECRET, SECRET_KEY="s")
        app.config.update(config)
        made.append(app)
        return app

    yield make
    for app in made:
        if "pickup" in app.extensions:
            app.extensions["pickup"].close()


def mounted(app: Flask, pickup: Pickup | None = None, **options: Any) -> PickupClient:
    app.register_blueprint(pickup or Pickup(clock=lambda: NOW), **options)
    migrating.upgrade(app.extensions["pickup"].engine)
    return PickupClient(app)


def is_answered(client: PickupClient) -> bool:
    """Ring, and say whether the caller hears their arm."""
    response = client.post_call()
    return response.mimetype == "application/json" and "pickup" in response.get_json()["assistant"]["metadata"]


# --- mounting ---------------------------------------------------------------------------------------------------------


def test_one_pickup_in_several_apps(make_app: MakeApp) -> None:
    """Apps that share a Pickup share no setting, and an app has one Pickup: a second is refused."""
    pickup = Pickup(clock=lambda: NOW)
    dutch = mounted(make_app("dutch"), pickup, url_prefix="/a")
    belgian = mounted(
        make_app("belgian", PICKUP_WEBHOOK_SECRET="another-webhook-secret", PICKUP_REGION="BE"), pickup, url_prefix="/b"
    )
    with pytest.raises(ConfigurationError, match="has a Pickup already"):
        dutch.application.register_blueprint(Pickup("second"), url_prefix="/two")
    assert is_answered(dutch)
    assert is_answered(belgian)
    assert (dutch.webhook_url, belgian.webhook_url) == ("/a/webhook", "/b/webhook")
    assert dutch.pickup.options.region == "NL"
    body = b'{"message": {"type": "assistant-request", "call": {"id": "c"}}}'
    stolen = belgian.post_signed(body)
    assert stolen.status_code == 200
    assert dutch.post(dutch.webhook_url, data=body, headers=dict(stolen.request.headers)).status_code == 401


def test_nested_blueprints(make_app: MakeApp) -> None:
    """A Pickup inside a blueprint inside a blueprint answers at all three prefixes together."""
    inner, outer = Blueprint("inner", __name__, url_prefix="/inner"), Blueprint("outer", __name__, url_prefix="/outer")
    pickup = Pickup(clock=lambda: NOW, url_prefix="/pickup")
    inner.register_blueprint(pickup)
    outer.register_blueprint(inner)
    app = make_app()
    app.register_blueprint(outer)
    migrating.upgrade(app.extensions["pickup"].engine)
    client = PickupClient(app)
    assert client.webhook_url == "/outer/inner/pickup/webhook"
    assert is_answered(client)
    assert client.get("/outer/inner/pickup/health").get_json()["status"] == "ok"
    assert client.get("/outer/inner/pickup/webhook").status_code == 405


@pytest.mark.parametrize(
    ("config", "options", "url"),
    [
        ({}, {}, "/webhook"),
        ({"APPLICATION_ROOT": "/app"}, {"url_prefix": "/pickup"}, "/pickup/webhook"),
        ({"SERVER_NAME": "example.com"}, {"url_prefix": "/pickup"}, "/pickup/webhook"),
        ({}, {"url_prefix": "/<tenant>/pickup", "url_defaults": {"tenant": "one"}}, "/one/pickup/webhook"),
        ({"SERVER_NAME": "example.com"}, {"subdomain": "voice"}, "http://voice.example.com/webhook"),
    ],
    ids=["no prefix", "application root", "server name", "value in the prefix", "subdomain"],
)
def test_wherever_it_is_mounted(make_app: MakeApp, config: Any, options: Any, url: str) -> None:
    """The webhook is where the host mounted it: at the root, below an application's root, on a subdomain."""
    app = make_app(**config)
    app.subdomain_matching = "subdomain" in options
    if app.subdomain_matching:
        app.url_map.subdomain_matching = True  # type: ignore[attr-defined]
        app.url_map.default_subdomain = ""
    client = mounted(app, **options)
    assert client.webhook_url == url
    assert is_answered(client)


def test_behind_a_proxy_with_a_prefix(make_app: MakeApp) -> None:
    """Behind ProxyFix, with the proxy's prefix cut off, the webhook answers and knows its outer address."""
    app = make_app()
    client = mounted(app, url_prefix="/pickup")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    outer: list[str] = []
    app.before_request(lambda: outer.append(url_for("pickup.webhook", _external=True)))
    proxied = {"X-Forwarded-Prefix": "/voice", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}
    client.environ_base.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in proxied.items()})
    assert is_answered(client)
    assert outer == ["https://example.com/voice/pickup/webhook"]


def test_blueprints_own_options_take_effect(make_app: MakeApp, tmp_path: Path) -> None:
    """Pickup takes the arguments of Flask's Blueprint and passes them on."""
    write(tmp_path, {"assets/a.txt": "an asset", "pages/page.html": "a page"})
    folders: dict[str, Any] = {"root_path": str(tmp_path), "static_folder": "assets", "template_folder": "pages"}
    pickup = Pickup(
        "voice", __name__, clock=lambda: NOW, static_url_path="/assets", url_prefix="/v", cli_group="voice", **folders
    )
    pickup.cli.command("hello")(lambda: click.echo("hello from the blueprint"))
    app = make_app()
    client = mounted(app, pickup)
    with client.get("/v/assets/a.txt") as asset:
        assert asset.data == b"an asset"
    assert app.jinja_env.get_template("page.html").render() == "a page"
    assert "hello from the blueprint" in app.test_cli_runner().invoke(args=["voice", "hello"]).output
    assert "voice.webhook" in app.view_functions


# --- hooks and handlers -----------------------------------------------------------------------------------------------


def test_csrf_protection_with_the_exemption(make_app: MakeApp) -> None:
    """With CSRFProtect on, the documented line lets the platform in; other forms stay protected."""
    app = make_app()
    pickup = Pickup(clock=lambda: NOW)
    csrf = CSRFProtect(app)
    app.add_url_rule("/form", "form", lambda: "done", methods=["POST"])
    client = mounted(app, pickup, url_prefix="/pickup")
    assert client.post_call().status_code == 400
    csrf.exempt(pickup)
    assert is_answered(client)
    assert client.post("/form").status_code == 400


def test_hosts_error_pages_are_for_people(make_app: MakeApp) -> None:
    """Pickup's refusals are JSON, though the host turns every error into a page."""
    app = make_app()
    for error in (HTTPException, Exception, 400, 401, 404, 405, 500):
        app.register_error_handler(error, lambda _: ("<h1>Oops</h1>", 418))
    client = mounted(app, url_prefix="/pickup")
    refused = [
        client.post("/pickup/webhook", data=b"{}"),
        client.get("/pickup/webhook"),
        client.post_signed(b"no JSON", CallEnded),
    ]
    assert [response.status_code for response in refused] == [401, 405, 400]
    assert all(response.get_json()["detail"] for response in refused)
    assert client.get("/elsewhere").status_code == 418


@pytest.mark.parametrize("read", ["get_data", "get_json", "form", "values"])
def test_host_reads_the_body_first(make_app: MakeApp, read: str) -> None:
    """A hook that reads each request's body leaves Pickup what it verifies, and a body that is too large is refused."""
    app = make_app(PICKUP_MAX_BODY=1000)

    @app.before_request
    def look() -> None:
        looked = getattr(request, read)
        g.seen = looked() if callable(looked) else looked

    client = mounted(app, url_prefix="/pickup")
    assert is_answered(client)
    assert client.post_signed(b"{}" + b" " * 2000).status_code == 413


def test_hosts_limits_headers_and_login_are_its_own(make_app: MakeApp) -> None:
    """A host's small body limit, its headers and cookies, and its login leave the answer as it is."""
    app = make_app(MAX_CONTENT_LENGTH=100)

    @app.before_request
    def log_in() -> None:
        if request.blueprint != "pickup":
            abort(403)

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = "default-src 'none'"
        response.set_cookie("seen", "1")
        return response

    client = mounted(app, url_prefix="/pickup")
    assert is_answered(client)
    assert client.post_call().headers["Content-Security-Policy"] == "default-src 'none'"
    assert client.get("/").status_code == 403


@pytest.mark.parametrize("config", [{"PROPAGATE_EXCEPTIONS": True}, {"DEBUG": True}, {}])
def test_no_exception_leaves(
    make_app: MakeApp, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the host treats exceptions, a caller is answered, and nothing reaches the host's error tracker."""
    write(tmp_path, {"greetings/first_message.j2": "{{ 1 / 0 }}"})
    app = make_app(**config)
    pickup = Pickup(clock=lambda: NOW)
    pickup.customer(lambda who: {"name": 1 / 0} if who.number else None)
    caught: list[Any] = []
    with got_request_exception.connected_to(lambda *_, **payload: caught.append(payload), app):
        client = mounted(app, pickup, url_prefix="/pickup")
        assert client.post_call().status_code == 200
        with monkeypatch.context() as broken:
            broken.setattr(client.pickup, "lookups", None)
            assert client.post_call().get_json() == {}
        client.post_signed(b"no JSON")
    assert caught == []


def test_log_records_carry_no_exception_and_no_number(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A log record has neither a number nor a traceback, whose frames could hold one."""
    caplog.set_level(logging.DEBUG, "flask_pickup")
    write(
        tmp_path, {"greetings/first_message.j2": "{{ 1 / 0 }}", "greetings/system_prompt.j2": "{{ caller.number / 2 }}"}
    )
    app = make_app(PICKUP_SPOOL="/proc/nowhere")
    pickup = Pickup(clock=lambda: NOW)

    @pickup.customer
    def find(who: Any) -> None:
        raise LookupError(who.number)

    app.register_blueprint(pickup)
    client = PickupClient(app)
    assert client.post_call().status_code == 200
    assert client.post_report().status_code == 503
    client.post_signed(f'{{"message": {{"type": "{CALLER}"}}}}'.encode())
    assert caplog.records
    assert not [record for record in caplog.records if record.exc_info or record.stack_info]
    assert CALLER not in caplog.text
    assert CALLER.removeprefix("+") not in caplog.text


def test_asynchronous_host(make_app: MakeApp) -> None:
    """A host with asynchronous views and an asynchronous customer hook has a Pickup like any other."""
    app = make_app()
    pickup = Pickup(clock=lambda: NOW)

    @app.get("/async")
    async def view() -> str:
        return "awaited"

    @pickup.customer
    async def find(_: Any) -> dict[str, str]:
        return {"first_name": "Ada"}

    client = mounted(app, pickup, url_prefix="/pickup")
    assert client.get("/async").text == "awaited"
    assert is_answered(client)
    assert client.pickup.lookups["flireo"].faults == 0
