"""A fixture for pytest: ``pytest_plugins = ["flask_pickup.testing.fixtures"]`` in your ``conftest.py``.

It needs your own fixture ``app``, as Flask's documentation has it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from flask_pickup import migrating
from flask_pickup.testing import PickupClient

__all__ = [
    "pickup_client",
]


@pytest.fixture
def pickup_client(app: Flask) -> Iterator[PickupClient]:
    """A :class:`PickupClient` of ``app``, with tables; closes the ledger at the end."""
    client = PickupClient(app, app.response_class)
    migrating.upgrade(client.pickup.engine)
    yield client
    client.pickup.close()
