"""numpy and scipy are for those who compute results, and for nobody else."""

from __future__ import annotations

import subprocess
import sys

ANSWERS = """
import sys
from flask import Flask
from flask_pickup import Pickup

app = Flask("answers")
app.config.update(PICKUP_WEBHOOK_SECRET="a", PICKUP_CALLER_SECRET="b", PICKUP_ALLOW_UNSIGNED=True)
app.register_blueprint(Pickup(), url_prefix="/pickup")
message = {"type": "assistant-request", "call": {"id": "x"}, "customer": {"number": "+31612345678"}}
assert app.test_client().post("/pickup/webhook", json={"message": message}).status_code == 200
app.extensions["pickup"].close()
import flask_pickup.cli
print(*({"numpy", "scipy"} & sys.modules.keys()))
"""


def test_answering_a_call_loads_neither(tmp_path: object) -> None:
    """A worker that answers calls, and a command that computes nothing, pay for neither of them."""
    run = subprocess.run([sys.executable, "-c", ANSWERS], cwd=str(tmp_path), capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
