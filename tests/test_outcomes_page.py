"""docs/outcomes.md: its settings make outcomes appear, its end reasons are read, and its examples run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from conftest import CALLER, CONTENT, EXPERIMENT, MakePhone, Phone
from contracts import ALL
from flask_pickup import Pickup
from flask_pickup.cli import pickup
from flask_pickup.platforms import REGISTRY
from flask_pickup.testing import PickupClient

PAGE = (Path(__file__).parents[1] / "docs/outcomes.md").read_text("utf-8")
KEY = "appointment_booked"
SCHEMA = {"type": "object", "properties": {KEY: {"type": "boolean"}}}
FOUND = {KEY: "true"}
SET_AT: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "structured_data_plan.schema": (SCHEMA, {"analysis": FOUND}),
    "structuredDataPlan.schema": (SCHEMA, {"analysis": {"structuredData": FOUND}}),
    "artifactPlan.structuredOutputs": (
        [{"name": "booking", "schema": SCHEMA}],
        {"artifact": {"structuredOutputs": {"an-id": {"name": "booking", "result": FOUND}}}},
    ),
    "post_call_analysis_data": (
        [{"name": KEY, "type": "boolean", "description": "Whether the caller booked."}],
        {"call_analysis": {"custom_analysis_data": FOUND}},
    ),
}
"""How a path of the page ends, to what stands there and the report that an analysis like this brings."""
AT_VENDOR: Mapping[str, Mapping[str, Any]] = {
    "elevenlabs": {
        "analysis": {"data_collection_results": {KEY: {"value": "true", "json_schema": {"type": "boolean"}}}}
    },
    "telnyx": {"results": [{"insight_id": "<id>", "result": json.dumps({KEY: True})}]},
}
"""Reports of analyses that are set at the vendor."""


def section(heading: str) -> str:
    return PAGE.split(f"\n{heading}\n")[1].split("\n#")[0]


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a section's table."""
    _, _, *found = (line for line in section(heading).splitlines() if line.startswith("|"))
    yield from (line.strip("| ").split(" | ") for line in found)


def settings() -> Iterator[tuple[str, str | None]]:
    """Yield each platform of the table with each path of an override; None where the vendor has it."""
    for name, text in rows("### The analysis"):
        paths = re.findall(r"`((?:\w+\.)+\w+)`", text)
        yield from ((name.lower(), path) for path in paths or [None])


def outcomes(phone: Phone) -> dict[str, float]:
    return dict(phone.rows("SELECT name, value FROM pickup_outcomes"))


@pytest.mark.parametrize(("name", "path"), list(settings()))
def test_setting_makes_the_analysis_appear(make_phone: MakePhone, name: str, path: str | None) -> None:
    """With the page's setting a platform's report brings ``analysis.…``, read by its schema."""
    content = {key: text for key, text in CONTENT.items() if not key.endswith(".json")}
    report: Mapping[str, Any]
    if path:
        value, report = next(each for end, each in SET_AT.items() if path.endswith(end))
        override = reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value)
        content[f"greetings/override.{name}.json"] = override
    else:
        report = AT_VENDOR[name]
    [insights] = re.findall(r"`(PICKUP_TELNYX_INSIGHTS)=(.+?)`", PAGE)
    phone = make_phone(content, **ALL, **dict([insights]))
    client = PickupClient(phone.app, platform=name)
    client.post_call("call-1")
    assert client.post_report("call-1", **report).status_code == 200
    assert outcomes(phone)[f"analysis.{KEY}"] == 1


def test_every_platform_is_in_the_table() -> None:
    """The table says it of each platform."""
    assert {name for name, _ in settings()} == set(REGISTRY)


def endings() -> Iterator[tuple[str, str]]:
    for line in section("### How a call ended").splitlines():
        if line.startswith("- "):
            outcome, _, reasons = line[2:].partition(": ")
            yield from ((outcome.strip("`"), reason) for reason in re.findall(r"`([^`]+)`", reasons))


@pytest.mark.parametrize(("outcome", "reason"), list(endings()))
def test_end_reasons_are_read(make_phone: MakePhone, outcome: str, reason: str) -> None:
    """Each end reason of the page makes the outcome that it stands beside 1, and the others 0."""
    phone = make_phone()
    phone.report(end_reason=reason)
    names = ("completed", "transferred", "voicemail", "silence", "error")
    assert {name: outcomes(phone)[name] for name in names} == {name: float(name == outcome) for name in names}


def test_examples_of_your_own_outcomes_run(make_phone: MakePhone, tmp_path: Path) -> None:
    """The lines in Python record both outcomes, and a file with the page's columns is imported."""
    phone = make_phone()
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    [call_id] = re.findall(r'call_id="(.+)"', code)
    phone.ring(call_id)
    with phone.app.app_context():
        exec(code, {"pickup": Pickup()})
    assert outcomes(phone) == {"sale": 49.9, "complaint": 1}
    columns = re.findall(r"^- `(\w+)`", section("## Your own"), re.MULTILINE)
    assert columns == ["outcome", "at", "caller", "value"]
    file = tmp_path / "sales.csv"
    file.write_text(f"{','.join(columns)}\nvisit,2025-12-13,{CALLER},yes\n")
    found = phone.app.test_cli_runner().invoke(pickup, ["outcomes", "import", str(file)])
    assert found.exit_code == 0, found.output


def test_metrics_of_the_page_load(make_phone: MakePhone) -> None:
    """The page's TOML is a valid experiment, and what it calls defaults are the defaults."""
    [toml] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    head, _, tables = toml.partition("\n")
    arms = '\nstatus = "running"\n[arms]\ncontrol = 1\nwarm = 1\n'
    files = {**CONTENT, "experiments/warm-opening/experiment.toml": head + arms + tables}
    catalog = make_phone(files).app.extensions["pickup"].catalog
    [written] = catalog.experiments
    [usual] = (
        make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": EXPERIMENT})
        .app.extensions["pickup"]
        .catalog.experiments
    )
    assert written.decision == usual.decision
    revenue = written.metric("revenue")
    assert revenue
    assert (revenue.per, revenue.missing, revenue.within, revenue.cap) == ("caller", "zero", 7, 0.99)
