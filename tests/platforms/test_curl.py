"""The platforms' pages show how a request is signed: what they show calls a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import CALLER, CONTENT, MakePhone
from contracts import ALL, SECRETS
from dashboards import served
from flask_pickup import Pickup
from flask_pickup.caller import REHEARSAL

PAGES = Path(__file__).parents[2] / "docs/platforms"


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
@pytest.mark.parametrize("platform", sorted({*SECRETS} - {"bell"}))
def test_page_calls_with_curl(platform: str, make_phone: MakePhone, tmp_path: Path) -> None:
    """The page's lines, with the secrets of the app, make a call of a rehearsal; with others they are refused."""
    phone = make_phone({"greetings/first_message.j2": CONTENT["greetings/first_message.j2"]}, pickup=Pickup(), **ALL)
    [block] = re.findall(
        r"```sh\n((?:(?!```).)*\bcurl .*?)```", (PAGES / f"{platform}.md").read_text("utf-8"), re.DOTALL
    )

    def call(server: str, secrets: dict[str, str]) -> str:
        script = block.replace("https://your.host", f"{server}/app").replace("curl ", "curl --silent --show-error ")
        shell = ["sh", "-euc", script]
        ended = subprocess.run(
            shell, env=os.environ | secrets, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    with served({"app": phone.app}) as server:
        assert "Good day." in call(server, ALL)
        others = {
            name: value[::-1] if platform != "telnyx" else ALL["PICKUP_TELNYX_PUBLIC_KEY"]
            for name, value in ALL.items()
        }
        assert json.loads(call(server, others)).keys() == {"detail"}
        found = phone.rows("SELECT call_id, platform, country FROM pickup_calls")
    assert [(call_id.startswith(REHEARSAL), *rest) for call_id, *rest in found] == [(True, platform, "NL")]
    assert CALLER in block
    assert not [*tmp_path.glob("*.der"), *tmp_path.glob("signed*")]
