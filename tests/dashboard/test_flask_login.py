"""The recipe of docs/dashboard.md: Flask-Login decides who sees the dashboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import redirect
from flask_login import LoginManager, UserMixin, login_user

from conftest import MakePhone, Phone
from flask_pickup import Pickup

RECIPE = re.findall(
    r"^```python\n(.*?)^```",
    (Path(__file__).parents[2] / "docs/dashboard.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)


class User(UserMixin):  # type: ignore[misc]
    """Somebody who can log in."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.is_colleague = name == "colleague"


@pytest.fixture
def host(make_phone: MakePhone) -> Phone:
    """A host with a login of its own, and the recipe's function."""
    names: dict[str, Pickup] = {}
    exec(RECIPE[0], names)
    phone = make_phone(
        pickup=names["pickup"], SECRET_KEY="a-host's-own", PICKUP_DASHBOARD_TOKEN="a-token-of-128-bits-at-least"
    )
    manager = LoginManager(phone.app)
    manager.user_loader(User)
    manager.unauthorized_handler(lambda: redirect("/login"))

    @phone.app.get("/login/<name>")
    def login(name: str) -> str:
        login_user(User(name))
        return "in"

    return phone


@pytest.mark.parametrize(("visitor", "status"), [("", 302), ("stranger", 404), ("colleague", 200)])
def test_login_decides(host: Phone, visitor: str, status: int) -> None:
    """Who is not logged in goes to the login page, who is nobody's colleague finds nothing, a colleague reads."""
    if visitor:
        host.client.get(f"/login/{visitor}")
    response = host.client.get("/pickup/calls?token=a-token-of-128-bits-at-least")
    assert response.status_code == status
    assert response.headers.get("Location") == ("/login" if status == 302 else None)
