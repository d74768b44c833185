"""The pages for operators say what the code does: defaults, waits, metrics, ``/health``, the log, tests of a host."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from conftest import CONTENT, MakePhone
from flask_pickup import Pickup
from flask_pickup.blueprint import State
from flask_pickup.ledger.spool import Spool
from flask_pickup.options import OPTION_NAMES, Options
from flask_pickup.platforms.flireo import Flireo
from flask_pickup.waits import Waits

DOCS = Path(__file__).parents[1] / "docs"
SECRETS = {"PICKUP_WEBHOOK_SECRET": "webhook-secret-of-16", "PICKUP_CALLER_SECRET": "caller-secret-of-16"}
TOKEN = "a-long-and-random-token"


def section(page: str, title: str) -> str:
    """Return what a page says below a heading."""
    text = (DOCS / f"{page}.md").read_text("utf-8").partition(f"# {title}\n")[2]
    return re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / f"{page}.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def as_shown(value: object) -> str:
    """Return a default as the page writes it."""
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return f"{value:.12g}" if isinstance(value, int | float) else str(value)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """What an app keeps that sets the secrets alone."""
    app = Flask("host", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.config.update(SECRETS)
    app.register_blueprint(Pickup())
    found: State = app.extensions["pickup"]
    return found


def test_page_of_options_has_the_defaults(state: State) -> None:
    """Each default on the page is what the option is where it is not set."""
    flireo = state.platforms["flireo"]
    assert isinstance(flireo, Flireo)
    values = {name: getattr(state.options, name) for name in OPTION_NAMES & Options.__dataclass_fields__.keys()}
    values |= {"signature_tolerance": flireo.tolerance, "allow_unsigned": flireo.allow_unsigned}
    page = (DOCS / "config.md").read_text("utf-8")
    for headings, told in re.findall(r"^### (.+)\n\nDefault: (.+)\.$", page, re.MULTILINE):
        names = [heading.removeprefix("PICKUP_").lower() for heading in headings.split(", ")]
        for name, default in zip(names, re.findall(r"`(.+?)`", told) or [told] * len(names), strict=True):
            assert as_shown(values.pop(name, None)).endswith(default), name
    assert values == {}


@pytest.mark.parametrize("deadline", [5.0, 1.5])
def test_page_says_how_long_a_call_waits(state: State, deadline: float) -> None:
    """The waits of a platform with such a deadline are in the sentence about it."""
    waits = Waits.of(deadline, state.options)
    text = section("reliability", "How long a call waits").replace("\n", " ")
    words = f"{waits.customer:g}, {waits.commit:g} and {waits.spool:g} s"
    assert re.search(rf"With {deadline:g} s[^:]*: {re.escape(words)}", text)


def test_page_has_each_metric(make_phone: MakePhone) -> None:
    """The page lists the metrics with their labels, and no other."""
    phone = make_phone(PICKUP_METRICS_TOKEN=TOKEN)
    phone.ring()
    served = phone.client.get("/pickup/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    families = {each.name for each in text_string_to_metric_families(served)}
    families -= {name for name in families if name.endswith("_created")}
    told = re.findall(r"^- `(\w+)", section("operations", "Metrics"), re.MULTILINE)
    assert sorted(name.removesuffix("_total") for name in told) == sorted(families)


def test_page_has_each_key_of_health(make_phone: MakePhone) -> None:
    """The page says what each key of /health is."""
    health = make_phone().client.get("/pickup/health").get_json()
    lines = re.findall(r"^- (.+?):", section("reliability", "Health"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(lines))) == sorted(health)


def test_dead_letters_are_replayed_by_the_statement_on_the_page(tmp_path: Path) -> None:
    """The statement moves dead letters back into the spool."""
    spool = Spool(tmp_path)
    spool.append(["{}"])
    spool.replay(lambda entries: entries)
    [statements] = re.findall(r"`(INSERT INTO spool .+?)`", section("reliability", "Health"))
    with closing(sqlite3.connect(tmp_path / "spool.db")) as database:
        database.executescript(statements)
    assert spool.find(["{"]) == {"spool": ["{}"], "dead_letter": []}


def test_page_shows_the_log_of_calls(make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """The lines on the page switch it on, and a line's facts are those that the page names."""
    text = section("operations", "The log")
    [switched_on] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    logger = logging.getLogger("flask_pickup")
    level = logger.level
    try:
        exec(switched_on, {"logging": logging})
        make_phone().ring()
    finally:
        logger.setLevel(level)
    facts = caplog.records[-1].pickup  # type: ignore[attr-defined]
    assert re.findall(r"`(\w+)`", text.partition("programs:")[2]) == list(facts)


def test_hosts_tests_on_the_page_pass(make_phone: MakePhone) -> None:
    """The tests that the page shows pass in an app that greets by name."""
    named = "Hello {{ customer.first_name }}."
    files = {
        **CONTENT,
        "greetings/first_message.j2": named,
        "experiments/warm-opening/warm/first_message.j2": named,
    }
    pickup = Pickup()
    pickup.customer(lambda _: {"first_name": "Ada"})
    phone = make_phone(files, pickup=pickup)
    found: dict[str, Any] = {}
    exec(blocks("testing", "python")[1], found)
    tests = [test for name, test in found.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test(phone.client)
