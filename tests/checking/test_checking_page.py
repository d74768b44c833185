"""The page about ``check`` shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import run
from complaints import BASE, DRAFT
from conftest import write

PAGE = (Path(__file__).parents[2] / "docs/check.md").read_text("utf-8")


@pytest.mark.usefixtures("checks_here")
def test_page_shows_what_is_said(tmp_path: Path) -> None:
    """The files on the page, taken together, give each line that stands below them."""
    files = dict(re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    names = {path.split("/")[1] for path in files}
    hours = {"greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n'}
    write(tmp_path, {**BASE, **hours, **{f"experiments/{name}/experiment.toml": DRAFT for name in names}, **files})
    said = run("check", str(tmp_path)).stdout.replace(f"{tmp_path}/", "").splitlines()
    shown = "".join(re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).splitlines()
    assert len(shown) > 4
    assert [line for line in shown if line not in said] == []
