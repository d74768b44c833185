"""Who sees the dashboard: nobody, unless somebody opens it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import redirect
from flask_login import LoginManager, UserMixin, login_user

from conftest import DASHBOARD_TOKEN as TOKEN
from conftest import NOW, MakePhone, Phone
from flask_pickup import Pickup

RECIPE = re.findall(
    r"^```python\n(.*?)^```",
    (Path(__file__).parents[2] / "docs/dashboard.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)
PAGES = (
    "/",
    "/calls",
    "/calls/call",
    "/experiments/warm-opening",
    "/definitions/x",
    "/plan",
    "/preview",
    "/download/calls.csv",
    "/overview.csv",
)
STYLE = "/assets/pickup.css"


@pytest.fixture
def opened(make_phone: MakePhone) -> Phone:
    """An app whose dashboard has a token, and a browser that has shown it."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    return phone


def test_every_page_is_closed(make_phone: MakePhone) -> None:
    """Without a token and the host's own login there is no dashboard; with a token, no page without it."""
    without, with_one = make_phone().client, make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN).client
    assert {without.get(f"/pickup{page}").status_code for page in (*PAGES, STYLE)} == {404}
    assert {with_one.get(f"/pickup{page}").status_code for page in PAGES} == {401}


@pytest.mark.parametrize(("language", "says"), [("en", "Access required"), ("nl", "Toegang nodig")])
def test_closed_page_says_how_to_get_in(make_phone: MakePhone, language: str, says: str) -> None:
    """A visitor without access gets a page in their language, with its style and without the navigation."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    text = phone.client.get("/pickup/calls", headers={"Accept-Language": language}).text
    assert says in text
    assert "PICKUP_DASHBOARD_TOKEN" in text
    assert "<nav" not in text
    for asset in re.findall(r'"(/pickup/assets/[^"]+)"', text):
        with phone.client.get(asset) as response:
            assert response.status_code == 200


def test_token_opens_once_and_leaves_the_address(make_phone: MakePhone) -> None:
    """The token is shown once: the answer is a clean address and a cookie that scripts and other sites do not get."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    response = phone.client.get(f"/pickup/calls?before=x&token={TOKEN}")
    assert (response.status_code, response.headers["Location"]) == (302, "/pickup/calls?before=x")
    cookie = response.headers["Set-Cookie"]
    assert [each for each in ("HttpOnly", "SameSite=Lax", "Path=/pickup/") if each not in cookie] == []
    assert TOKEN not in cookie
    assert phone.client.get("/pickup/calls").status_code == 200


@pytest.mark.parametrize("wrong", ["", "guessed", TOKEN[:-1], TOKEN + "x", "é"])
def test_wrong_token_is_refused_and_logged(make_phone: MakePhone, caplog: pytest.LogCaptureFixture, wrong: str) -> None:
    """A wrong token is refused, and the log says that somebody tried, without what they tried."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    response = phone.client.get("/pickup/", query_string={"token": wrong})
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers
    assert "wrong token" in caplog.text
    assert not wrong or wrong not in caplog.text


def test_another_token_ends_all_sessions(make_phone: MakePhone, opened: Phone) -> None:
    """A cookie that another token signed opens nothing."""
    cookie = opened.client.get_cookie("pickup_dashboard", path="/pickup/")
    assert cookie
    other = make_phone(PICKUP_DASHBOARD_TOKEN="another-token-of-at-least-128-bits")
    other.client.set_cookie("pickup_dashboard", cookie.value, path="/pickup/")
    assert other.client.get("/pickup/").status_code == 401


@pytest.mark.parametrize(
    ("answer", "status"), [(True, 200), (False, 404), (None, 404), (redirect("/login"), 302), (("", 401), 401)]
)
def test_host_decides(make_phone: MakePhone, answer: Any, status: int) -> None:
    """With dashboard_access the host's function decides; anything but True, False and None is the response."""
    pickup = Pickup(clock=lambda: NOW)
    pickup.dashboard_access(lambda: answer)
    client = make_phone(pickup=pickup).client
    for page in ("/calls", STYLE):
        with client.get(f"/pickup{page}") as response:
            assert response.status_code == status
            assert "PICKUP_DASHBOARD_TOKEN" not in response.get_data(as_text=True)


class User(UserMixin):  # type: ignore[misc]
    """Somebody who can log in."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.is_colleague = name == "colleague"


@pytest.mark.parametrize(("visitor", "status"), [("", 302), ("stranger", 404), ("colleague", 200)])
def test_flask_login_decides(make_phone: MakePhone, visitor: str, status: int) -> None:
    """The recipe of docs/dashboard.md: strangers go to the login page or find nothing, a colleague reads."""
    names: dict[str, Pickup] = {}
    exec(RECIPE[0], names)
    phone = make_phone(pickup=names["pickup"], SECRET_KEY="a-host's-own", PICKUP_DASHBOARD_TOKEN=TOKEN)
    manager = LoginManager(phone.app)
    manager.user_loader(User)
    manager.unauthorized_handler(lambda: redirect("/login"))
    phone.app.add_url_rule("/login/<name>", view_func=lambda name: str(login_user(User(name))))
    if visitor:
        phone.client.get(f"/login/{visitor}")
    response = phone.client.get(f"/pickup/calls?token={TOKEN}")
    assert (response.status_code, response.headers.get("Location")) == (status, "/login" if status == 302 else None)


@pytest.mark.parametrize("page", ["/", "/calls", "/plan", "/preview", "/experiments/unknown"])
def test_pages_keep_to_themselves(opened: Phone, page: str) -> None:
    """No page is cached, framed, or loads anything from elsewhere or inline; none tells others where it was."""
    headers = opened.client.get(f"/pickup{page}").headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {}])
def test_forms_of_other_sites_are_refused(opened: Phone, headers: dict[str, str]) -> None:
    """A form that another site sends is not answered."""
    assert opened.client.post("/pickup/preview", data={"number": "+31612345678"}, headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}])
def test_own_forms_are_answered(opened: Phone, headers: dict[str, str]) -> None:
    """The page's own form is answered with the words that the caller would hear, and leaves no row."""
    response = opened.client.post("/pickup/preview", data={"number": "+31612345678"}, headers=headers)
    assert response.status_code == 200
    assert "first_message" in response.text
    assert opened.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]
