"""Metrics for Prometheus: off until a token is set, for all processes together, without a number."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import CALLER, CALLER_SECRET, CONTENT, WEBHOOK_SECRET, MakePhone, Phone, write
from flask_pickup.caller import caller_key

TOKEN = "a-long-and-random-token"

Samples = dict[tuple[str, tuple[str, ...]], float]


def parsed(page: str) -> Samples:
    families = text_string_to_metric_families(page)
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def scrape(phone: Phone) -> Samples:
    return parsed(phone.client.get("/pickup/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text)


def test_calls_are_counted(make_phone: MakePhone) -> None:
    """The page has calls by decision, arms by experiment, the time to an answer and rows that wait."""
    phone = make_phone(PICKUP_METRICS_TOKEN=TOKEN)
    phone.ring("call-1")
    phone.ring("call-2", caller=None)
    found = scrape(phone)
    assert found["pickup_calls_total", ("arm",)] == found["pickup_calls_total", ("base",)] == 1
    assert sum(value for (name, _), value in found.items() if name == "pickup_assignments_total") == 1
    assert found["pickup_answer_seconds_count", ()] == 2
    assert found["pickup_answer_seconds_bucket", ("5.0",)] == 2
    assert found["pickup_rows_waiting", ("spool",)] == 0


def test_faults_are_counted(make_phone: MakePhone) -> None:
    """Faults are counted by kind, and so are rows in the spool."""
    phone = make_phone(migrate=False, PICKUP_METRICS_TOKEN=TOKEN)
    phone.ring()
    found = scrape(phone)
    assert found["pickup_faults_total", ("database",)] >= 1
    assert found["pickup_rows_waiting", ("spool",)] >= 1


def test_unread_values_are_counted(make_phone: MakePhone) -> None:
    """What is not read of any event is counted by kind, over all calls."""
    phone = make_phone(PICKUP_METRICS_TOKEN=TOKEN)
    phone.ring(timestamp="noon")
    phone.report(messages=["hello", "good day"], end_reason="gremlins", duration_seconds="long", analysis=[7])
    phone.report("call-2", analysis={"note": "She was friendly."})
    phone.client.post_tool_call("lookup", tool_call_list=[{"function": {"name": "x", "arguments": "order"}}])
    counted = {labels[0]: value for (name, labels), value in scrape(phone).items() if name == "pickup_unread_total"}
    ones = dict.fromkeys(("end reasons", "analysis", "text", "tool calls"), 1)
    assert counted == phone.client.get("/pickup/health").get_json()["unread"] == {**ones, "messages": 2, "times": 2}


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}])
def test_only_the_token_opens_it(make_phone: MakePhone, token: str | None, headers: dict[str, str]) -> None:
    """Without the token, or where none is set, the page does not exist."""
    assert make_phone(PICKUP_METRICS_TOKEN=token).client.get("/pickup/metrics", headers=headers).status_code == 404


@pytest.fixture
def run_beside(tmp_path: Path) -> Callable[[str], Samples]:
    """Run a process of an app that shares its folder of metrics with those that ran before, and read what it prints."""
    write(tmp_path, CONTENT)
    (tmp_path / "metrics").mkdir()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    app = APP.format(folder=str(tmp_path))

    def run(program: str) -> Samples:
        done = subprocess.run(
            [sys.executable, "-c", app + program],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return parsed(done.stdout)

    return run


APP = f"""
import time
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from flask import Flask
from flask_pickup import Pickup, migrating
from flask_pickup.testing import PickupClient
app = Flask("host", root_path={{folder!r}}, instance_path={{folder!r}})
app.config.update(PICKUP_WEBHOOK_SECRET="{WEBHOOK_SECRET}", PICKUP_CALLER_SECRET="{CALLER_SECRET}")
app.config.update(PICKUP_METRICS_TOKEN="{TOKEN}")
app.register_blueprint(Pickup())
client = PickupClient(app)
"""


def test_processes_are_told_of_together(run_beside: Callable[[str], Samples]) -> None:
    """Where a folder is shared, the page of one process has the calls of all."""
    program = f"""
migrating.upgrade(client.pickup.engine)
client.post_call()
print(client.get("/metrics", headers={{"Authorization": "Bearer {TOKEN}"}}).text)
client.pickup.close()
"""
    for expected in (1, 2):
        assert run_beside(program)["pickup_calls_total", ("arm",)] == expected


def test_page_counts_rows_of_all_processes(run_beside: Callable[[str], Samples]) -> None:
    """The page of one process has the rows that wait in the others, though their pages were never requested."""
    program = """
client.post_call()
everywhere = CollectorRegistry()
multiprocess.MultiProcessCollector(everywhere)
deadline = time.monotonic() + 20
while everywhere.get_sample_value("pickup_rows_waiting", {"where": "spool"}) in {None, 0} and time.monotonic() < deadline:
    time.sleep(0.05)
print(generate_latest(everywhere).decode())
client.pickup.close()
"""
    assert run_beside(program)["pickup_rows_waiting", ("spool",)] >= 1


def test_each_call_has_a_line_with_fields(make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line a call, with fields for a program to read, and the first digits of the caller's key alone."""
    caplog.set_level(logging.INFO, "flask_pickup")
    make_phone().ring("call-1")
    [record] = [record for record in caplog.records if hasattr(record, "pickup")]
    key = caller_key(CALLER_SECRET, CALLER)
    assert {"call": "call-1", "caller": key[:8], "decision": "arm"}.items() <= record.pickup.items()
    assert record.pickup["arms"].keys() == {"warm-opening"}
    assert record.pickup["milliseconds"] > 0
    assert record.getMessage().startswith(f"Call 'call-1', caller {key[:8]}: arm in ")
    assert key not in str(record.__dict__)
