"""``check`` names the difference that a running experiment can detect."""

from __future__ import annotations

from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner

from conftest import BOOKED, CONTENT, MakePhone, Phone, write
from flask_pickup import Pickup
from flask_pickup.cli import pickup as commands

FILES = {**CONTENT, "experiments/warm-opening/experiment.toml": f'{BOOKED}per = "caller"\n'}


def checked(root: Path, url: str) -> str:
    environment = {"PICKUP_DATABASE_URL": url, "PICKUP_CALLER_SECRET": "a-caller-secret-41879"}
    return CliRunner().invoke(commands, ["check", str(root)], env=environment).stdout


def ring_often(phone: Phone, callers: int) -> None:
    for index in range(callers):
        phone.ring(f"call-{chr(97 + index // 10)}{chr(97 + index % 10)}", caller=f"+120155501{index:02}")
        phone.report(
            f"call-{chr(97 + index // 10)}{chr(97 + index % 10)}",
            caller=f"+120155501{index:02}",
            analysis={"booked": index % 3 == 0},
        )


def test_says_what_twelve_weeks_can_find(
    make_phone: MakePhone, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough callers in the database, check names the difference that twelve weeks can detect; with few, none."""
    monkeypatch.setattr("flask_pickup.checking.recorded._TIMEOUT", 60)
    phone = make_phone(FILES, url=database_url, pickup=Pickup())
    phone.now = time()
    content = write(tmp_path / "content", FILES)
    ring_often(phone, 3)
    phone.app.extensions["pickup"].close()
    assert "in 12 weeks" not in checked(content, database_url)
    phone = make_phone(FILES, url=database_url, pickup=Pickup())
    phone.now = time()
    ring_often(phone, 40)
    phone.app.extensions["pickup"].close()
    assert "warm-opening: in 12 weeks, at " in (text := checked(content, database_url))
    assert "it can detect a difference of " in text
