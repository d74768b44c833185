"""The spool: what was written durably is replayed in its order, whatever happens to the processes or the database."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_pickup.ledger import spool as spool_module
from flask_pickup.ledger.spool import Spool


class Database(list[str]):
    """Takes entries until it is away."""

    away_after: int | None = None

    def __call__(self, entries: Sequence[str]) -> list[str]:
        """Commit a batch."""
        if self.away_after is not None:
            if not self.away_after:
                raise OSError("the database is away")
            self.away_after -= 1
        self.extend(entries)
        return []


def replayed(folder: Path) -> list[str]:
    """Return what another process finds."""
    database = Database()
    Spool(folder).replay(database)
    return database


def traces(folder: Path, text: str) -> list[str]:
    return [path.name for path in folder.iterdir() if text.encode() in path.read_bytes()]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 7), st.sampled_from(["away", "crash", "replay"])), max_size=12))
def test_replays_in_order_and_at_least_once(steps: list[int | str]) -> None:
    """Whatever the order of writes, replays, failures of the database and crashes, no entry is lost or overtakes another."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(spool_module, "_BATCH", 3)
        spool, database, written = Spool(Path(folder)), Database(), 0
        for step in [*steps, "replay"]:
            if isinstance(step, int):
                spool.append([str(written + index) for index in range(step)])
                written += step
            elif step == "crash":
                # The next process opens the file as the last one left it.
                spool = Spool(Path(folder))
            else:
                database.away_after = 1 if step == "away" else None
                try:
                    spool.replay(database)
                except OSError:
                    assert spool.rows
        assert list(dict.fromkeys(database)) == [str(index) for index in range(written)]
        assert spool.rows == 0
        spool.close()


WRITE = """\
import sys
from pathlib import Path
from flask_pickup.ledger.spool import Spool
spool = Spool(Path(sys.argv[1]))
for index in range(100_000):
    spool.append([f"{sys.argv[2]}-{index}", f"{sys.argv[2]}-{index}-second"])
    print(index, flush=True)
"""


def test_killed_processes_lose_nothing(tmp_path: Path) -> None:
    """Two processes write to one spool and are killed at any moment: every entry whose write had ended is replayed."""
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITE, tmp_path, name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "other")
    ]
    written: list[str] = []
    for name, process in zip(("one", "other"), processes, strict=True):
        assert process.stdout
        while (line := process.stdout.readline()).strip() != "20":
            assert line
        process.kill()
        last = int([line.strip(), *process.stdout.read().split()][-1])
        process.wait()
        process.stdout.close()
        written += [f"{name}-{index}{second}" for index in range(last + 1) for second in ("", "-second")]
    found = replayed(tmp_path)
    assert set(written) <= set(found)
    for name in ("one", "other"):
        mine = [entry for entry in found if entry.startswith(name)]
        assert len(mine) % 2 == 0
        assert mine == [f"{name}-{index}{second}" for index in range(len(mine) // 2) for second in ("", "-second")]


def test_processes_replay_while_others_write(tmp_path: Path) -> None:
    """Several processes write and replay one spool at once: each entry is replayed, and none stays."""
    databases = [Database() for _ in range(3)]

    def work(number: int) -> None:
        spool = Spool(tmp_path)
        for index in range(15):
            spool.append([f"{number}-{index}"])
            if index % 3 == 0:
                spool.replay(databases[number])
        spool.replay(databases[number])
        spool.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert {entry for database in databases for entry in database} == {f"{n}-{i}" for n in range(3) for i in range(15)}
    assert replayed(tmp_path) == []


def test_replay_pauses_for_what_is_more_urgent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay stops after a batch if calls are waiting; the rest comes next time."""
    monkeypatch.setattr(spool_module, "_BATCH", 2)
    spool, database = Spool(tmp_path), Database()
    spool.append(["1", "2", "3"])
    spool.replay(database, pause=lambda: True)
    assert (list(database), spool.rows) == (["1", "2"], 1)
    spool.replay(database)
    assert (list(database), spool.rows) == (["1", "2", "3"], 0)
    spool.close()


def test_replayed_entries_leave_no_trace(tmp_path: Path) -> None:
    """No file of the spool holds the bytes of an entry that was replayed or erased, and the space is given back."""
    spool = Spool(tmp_path)
    spool.append([f"{name} {'x' * 1000}" for name in ("Whiskerson", "Tom") for _ in range(300)])
    assert traces(tmp_path, "Whiskerson")
    full = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert spool.erase(["Whiskerson"])
    assert traces(tmp_path, "Whiskerson") == []
    assert len(replayed(tmp_path)) == 300
    assert traces(tmp_path, "Tom") == []
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < full / 4


def test_deleted_file_is_opened_anew(tmp_path: Path) -> None:
    """Entries are not written to a file that somebody has deleted."""
    spool = Spool(tmp_path)
    spool.append(["lost with its file"])
    for path in tmp_path.glob("spool.db*"):
        path.unlink()
    spool.append(["kept"])
    assert replayed(tmp_path) == ["kept"]
    spool.close()
