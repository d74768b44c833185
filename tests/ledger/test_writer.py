"""Batches: who waits for whom before a commit begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from threading import Barrier, Thread
from time import sleep

import pytest

from flask_pickup.ledger.writer import Writer

LONG = 30.0


class Batches(list[list[int]]):
    """Keeps what it is given to write."""

    def __call__(self, batch: Sequence[int]) -> list[None]:
        """Keep a batch."""
        self.append(list(batch))
        return [None] * len(batch)


@pytest.fixture
def batches() -> Batches:
    return Batches()


@pytest.fixture
def writer(batches: Batches) -> Iterator[Writer[int, None]]:
    with closing(Writer[int, None]("writer", batches)) as made:
        made.batch_window = LONG
        yield made


def test_calls_on_their_way_are_written_together(writer: Writer[int, None], batches: Batches) -> None:
    """A batch begins once all who are expected have handed in."""
    everybody = Barrier(4)

    def hand_in(number: int) -> None:
        with writer.announce():
            everybody.wait(LONG)
            sleep(number / 50)
            writer.submit(number).result(LONG)

    threads = [Thread(target=hand_in, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sorted(batch) for batch in batches] == [[0, 1, 2, 3]]


def test_nobody_waits_alone(writer: Writer[int, None], batches: Batches) -> None:
    """A call with no other beside it is written at once, whether it is expected or not."""
    with writer.announce():
        writer.submit(1).result(LONG / 10)
    writer.submit(2).result(LONG / 10)
    assert batches == [[1], [2]]


def test_slow_call_holds_nobody_up(writer: Writer[int, None]) -> None:
    """Whoever is expected and does not come is waited for no longer than a moment."""
    writer.batch_window = 0.003
    with writer.announce():
        done: list[None] = []
        other = Thread(target=lambda: done.append(writer.submit(1).result(LONG / 10)))
        other.start()
        other.join(LONG)
        assert done == [None]


def test_refused_request_is_expected_no_more(writer: Writer[int, None], batches: Batches) -> None:
    """A request that ends without a row, by whatever error, leaves nobody waiting for it."""

    def refuse() -> None:
        with pytest.raises(ValueError, match="refused"), writer.announce():
            raise ValueError("refused")

    refused = Thread(target=refuse)
    refused.start()
    refused.join()
    with writer.announce():
        writer.submit(1).result(LONG / 10)
    assert batches == [[1]]
