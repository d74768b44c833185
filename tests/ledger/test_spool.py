"""The spool: what was written durably comes back, whatever a crash or a bad disk did to what lies beside it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pickup.ledger.spool import Spool, SpoolFull, find_frames

SMALL = 4096
frames_of_any_bytes = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8)


def append_to_file(folder: Path, frames: Sequence[bytes]) -> Path:
    """Have a process that then dies write frames; return its file."""
    spool = Spool(folder, SMALL)
    spool.append(frames)
    [path] = folder.glob("*.spool")
    os.close(spool._file)  # noqa: SLF001 (a death without a goodbye)
    return path


def replayed(folder: Path) -> list[bytes]:
    """Return what another process finds."""
    found: list[bytes] = []
    spool = Spool(folder, SMALL)
    spool.replay(lambda frames: found.extend(frames) or [])  # type: ignore[func-returns-value]
    return found


def whole(data: bytes) -> list[bytes]:
    return [frame for frame, is_whole, _ in find_frames(data) if is_whole]


def image(frames: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Return what a spool's file holds, and where each frame begins in it."""
    with tempfile.TemporaryDirectory() as folder:
        data = append_to_file(Path(folder), frames).read_bytes()
    begins = [0]
    for frame in frames:
        begins.append(begins[-1] + 8 + len(frame))
    return data, begins


@given(frames_of_any_bytes)
def test_what_was_written_comes_back(frames: list[bytes]) -> None:
    """Frames of any bytes come back as they are, in their order."""
    assert whole(image(frames)[0]) == frames


@given(frames_of_any_bytes, st.data())
def test_torn_frame_costs_no_other(frames: list[bytes], data: st.DataObject) -> None:
    """At whatever byte a frame is cut off, those before it come back, and what is left of it is no frame."""
    file, begins = image(frames)
    index = data.draw(st.integers(0, len(frames) - 1))
    cut = data.draw(st.integers(begins[index], begins[index + 1] - 1))
    torn = file[:cut] + bytes(len(file) - cut)
    survivors = [*frames[:index]]
    if not any(file[cut : begins[index + 1]]):
        # What was cut off were zeros: nothing is missing.
        survivors.append(frames[index])
    assert whole(torn) == survivors


@given(frames_of_any_bytes, st.data(), st.integers(1, 255))
def test_garbled_byte_costs_one_frame(frames: list[bytes], data: st.DataObject, change: int) -> None:
    """Whatever byte the disk garbles, in a length, a checksum or a row, costs that row and none before or behind it."""
    file, begins = image(frames)
    at = data.draw(st.integers(0, begins[-1] - 1))
    garbled = bytearray(file)
    garbled[at] ^= change
    index = next(index for index in range(len(frames)) if at < begins[index + 1])
    assert whole(bytes(garbled)) == frames[:index] + frames[index + 1 :]


def test_scraps_are_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is left of a torn frame is put aside and shouted about; its neighbours are replayed."""
    path = append_to_file(tmp_path, [b"first", b"second", b"third"])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"second", b"sXcond"))
    assert replayed(tmp_path) == [b"first", b"third"]
    assert b"sXcond" in (tmp_path / "aside.jsonl").read_bytes()
    assert "put aside" in caplog.text
    assert not list(tmp_path.glob("*.spool"))


def test_scraps_are_put_aside_once(tmp_path: Path) -> None:
    """While the database is away a torn frame is not put aside again and again."""
    path = append_to_file(tmp_path, [b"first", b"second"])
    path.write_bytes(path.read_bytes().replace(b"first", b"fXrst"))
    spool = Spool(tmp_path, SMALL)

    def away(_: Sequence[bytes]) -> Sequence[bytes]:
        raise OSError("the database is away")

    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            spool.replay(away)
    spool.replay(lambda _: [])
    assert (tmp_path / "aside.jsonl").read_bytes().count(b"\n") == 1


def test_nothing_is_forgotten_that_cannot_be_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a refused row cannot be put aside either, it waits on, and the others are not held up by it."""
    (tmp_path / "aside.jsonl").mkdir()
    spool = Spool(tmp_path, SMALL)
    spool.append([b"good", b"bad"])
    taken: list[bytes] = []
    spool.replay(lambda frames: taken.extend(frames) or [b"bad"])  # type: ignore[func-returns-value]
    assert (taken, spool.is_empty) == ([b"good", b"bad"], False)
    assert "waits in the spool" in caplog.text


def test_living_process_keeps_its_file(tmp_path: Path) -> None:
    """The file of a process that lives is its own; when it goes, the next one finds what waits there."""
    living = Spool(tmp_path, SMALL)
    living.append([b"row"])
    assert replayed(tmp_path) == []
    living.close()
    assert replayed(tmp_path) == [b"row"]


def test_two_processes_adopt_a_file_once(tmp_path: Path) -> None:
    """Of several processes that find a dead one's file together, one replays it."""
    append_to_file(tmp_path, [b"row"])
    found: list[bytes] = []
    gate = threading.Barrier(4)

    def slowly(frames: Sequence[bytes]) -> list[bytes]:
        found.extend(frames)
        threading.Event().wait(0.05)
        return []

    def adopt() -> None:
        gate.wait()
        Spool(tmp_path, SMALL).replay(slowly)

    threads = [threading.Thread(target=adopt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"row"]


def test_replay_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    """When the database goes away in the middle, what it has taken is not given to it again, and nothing is skipped."""
    spool = Spool(tmp_path)
    frames = [f"row {index}".encode() for index in range(450)]
    spool.append(frames)
    taken: list[bytes] = []

    def twice_only(batch: Sequence[bytes]) -> list[bytes]:
        if len(taken) == 400:
            raise OSError("the database is away")
        taken.extend(batch)
        return []

    with pytest.raises(OSError, match="away"):
        spool.replay(twice_only)
    spool.append([b"later"])
    spool.replay(lambda batch: taken.extend(batch) or [])  # type: ignore[func-returns-value]
    assert taken == [*frames, b"later"]
    assert spool.is_empty


def test_emptied_spool_holds_nothing(tmp_path: Path) -> None:
    """What was replayed is not found again after a crash, also where less was written since."""
    spool = Spool(tmp_path, SMALL)
    spool.append([b"a long row that is replayed", b"another"])
    spool.replay(lambda _: [])
    spool.append([b"new"])
    os.close(spool._file)  # noqa: SLF001
    assert replayed(tmp_path) == [b"new"]


def test_spool_takes_its_space_at_start(tmp_path: Path) -> None:
    """The space is there before the first row needs it, in blocks and not only in name."""
    spool = Spool(tmp_path, 1024 * 1024)
    spool.open()
    [path] = tmp_path.glob("*.spool")
    assert path.stat().st_blocks * 512 >= 1024 * 1024
    spool.close()
    assert not list(tmp_path.glob("*.spool"))


def test_spool_grows_up_to_its_bound(tmp_path: Path) -> None:
    """A long fault takes more space, up to a bound; what does not fit is refused whole, and space is given back."""
    spool = Spool(tmp_path, SMALL, most=3 * SMALL)
    rows = [bytes([65 + index]) * 3000 for index in range(4)]
    for row in rows:
        spool.append([row])
    with pytest.raises(SpoolFull):
        spool.append([b"x" * 3000])
    [path] = tmp_path.glob("*.spool")
    assert path.stat().st_size == 3 * SMALL
    taken: list[bytes] = []
    spool.replay(lambda batch: taken.extend(batch) or [])  # type: ignore[func-returns-value]
    assert taken == rows
    assert path.stat().st_size == SMALL


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row whose fsync failed was not answered for, so that no other process finds it."""
    spool = Spool(tmp_path, SMALL)
    spool.append([b"kept"])

    def fail(_: Any) -> None:
        raise OSError("I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="I/O"):
            spool.append([b"failed"])
    os.close(spool._file)  # noqa: SLF001
    assert replayed(tmp_path) == [b"kept"]


def test_child_of_a_fork_has_its_own_file(tmp_path: Path) -> None:
    """A fork shares no file with its parent, and a parent that is gone is not kept alive by its child's copy of the lock."""
    spool = Spool(tmp_path, SMALL)
    spool.append([b"the parent's"])
    told, tell = os.pipe()
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        spool.append([b"the child's"])
        os.write(tell, b"x")
        os.read(wait, 1)
        os._exit(0)
    os.read(told, 1)
    assert len(list(tmp_path.glob("*.spool"))) == 2
    spool.close()
    found = replayed(tmp_path)
    os.write(go, b"x")
    os.waitpid(child, 0)
    assert found == [b"the parent's"]
    assert replayed(tmp_path) == [b"the child's"]


def test_spool_is_for_this_user_alone(tmp_path: Path) -> None:
    """Folder, file and what is put aside can be read by the app's user alone."""
    spool = Spool(tmp_path / "spool", SMALL)
    spool.append([b"bad"])
    spool.replay(lambda frames: frames)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()}
    assert modes == {0o600}
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
