"""A host: an app of its own that mounts Pickup. ``gunicorn app:app`` serves it, and so does ``scripts/serve``."""

from typing import Any

from flask import Flask

import crm
from flask_pickup import Caller, Pickup, environment

pickup = Pickup()


@pickup.customer
def from_crm(caller: Caller) -> dict[str, Any] | None:
    """Look up who calls: what this returns is ``customer`` in every template."""
    return crm.find(caller.number)


def create_app() -> Flask:
    """Make the app; its options are the environment's ``PICKUP_`` variables, beneath them ``instance/pickup.env``."""
    app = Flask(__name__)
    app.config.from_mapping(environment(app.instance_path))
    app.register_blueprint(pickup, url_prefix="/pickup")
    return app


app = create_app()
