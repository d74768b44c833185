"""``check`` warns of what a running experiment has too few callers for."""

from __future__ import annotations

from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner

from conftest import BOOKED, CONTENT, MakePhone, Phone, write
from flask_pickup import Pickup
from flask_pickup.cli import pickup as commands

GUARDRAIL = """\
[metrics.early_hang_up]
goal = "decrease"
guardrail = true
margin = 0.03
"""
FILES = {**CONTENT, "experiments/warm-opening/experiment.toml": f'{BOOKED}per = "caller"\n{GUARDRAIL}'}
FOUND = BOOKED.replace("smallest = 0.05", "smallest = 0.5")
"""A difference that forty callers a week show by week 12."""


def checked(root: Path, url: str) -> str:
    environment = {"PICKUP_DATABASE_URL": url, "PICKUP_CALLER_SECRET": "a-caller-secret-41879"}
    return CliRunner().invoke(commands, ["check", str(root)], env=environment).stdout


def ring_often(phone: Phone, callers: int) -> None:
    for index in range(callers):
        call, caller = f"call-{chr(97 + index // 10)}{chr(97 + index % 10)}", f"+120155501{index:02}"
        phone.ring(call, caller=caller)
        phone.report(call, caller=caller, analysis={"booked": index % 3 == 0})


@pytest.mark.usefixtures("checks_here")
def test_warns_of_what_the_horizon_cannot_find(
    make_phone: MakePhone, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough callers in the database, check warns of what they are too few for; with few callers it says nothing."""
    monkeypatch.setattr("flask_pickup.checking.recorded._TIMEOUT", 60)
    phone = make_phone(FILES, url=database_url, pickup=Pickup())
    phone.now = time()
    content = write(tmp_path / "content", FILES)
    ring_often(phone, 3)
    phone.app.extensions["pickup"].close()
    assert "maximum_weeks" not in checked(content, database_url)
    phone = make_phone(FILES, url=database_url, pickup=Pickup())
    phone.now = time()
    ring_often(phone, 40)
    phone.app.extensions["pickup"].close()
    text = " ".join(checked(content, database_url).split())
    few = "by week 12 (maximum_weeks) at 40 new callers a week"
    assert f"warm-opening/experiment.toml:1: warning: +5.0 pp on booked will probably not be found {few}" in text
    assert f"warning: guardrail early_hang_up (now 2.4 %, margin 3 pp) will probably not be called safe {few}" in text
    assert "each of these makes it 80 %: maximum_weeks = 42, 140 new callers a week" in text
    assert "3 warnings" in text
    found = write(tmp_path / "content", {"experiments/warm-opening/experiment.toml": FOUND})
    assert "maximum_weeks" not in checked(found, database_url)
