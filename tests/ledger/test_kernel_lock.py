"""The lock around SQLite's transactions: whoever writes stands in the kernel's line, and no call stands there for long."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from conftest import MakePhone
from faulty import PROMISED, eventually


def test_writers_stand_in_line(make_phone: MakePhone, tmp_path: Path) -> None:
    """While another process has the lock nothing is committed, the call is answered all the same, and its row follows."""
    phone = make_phone(url=f"sqlite:///{tmp_path / 'pickup.db'}", PICKUP_COMMIT_WAIT=0.3)
    with (tmp_path / "pickup.db-pickup-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = time.monotonic()
        assert "metadata" in phone.ring().get_json()["assistant"]
        assert time.monotonic() - started < PROMISED
        assert phone.rows("SELECT COUNT(*) FROM pickup_assignments") == [(0,)]
    eventually(lambda: phone.rows("SELECT COUNT(*) FROM pickup_assignments") == [(1,)])
