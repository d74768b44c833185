"""A host: an app of its own that mounts Pickup. ``gunicorn app:app`` serves it, and so does ``scripts/serve``."""

import logging
import os
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

import crm
from flask_pickup import Caller, Pickup

# A line for each call; it holds no phone number.
logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
logging.getLogger("flask_pickup").setLevel(logging.INFO)

pickup = Pickup()


@pickup.customer
def from_crm(caller: Caller) -> dict[str, Any] | None:
    """Look up who calls: what this returns is ``customer`` in every template."""
    return crm.find(caller.number)


def environment() -> dict[str, str | None]:
    """Return the ``PICKUP_`` variables of the environment and of ``.env`` beside this file; the environment's win."""
    found = {**dotenv_values(Path(__file__).with_name(".env")), **os.environ}
    return {name: value for name, value in found.items() if name.startswith("PICKUP_")}


def create_app() -> Flask:
    """Make the app; its options are the ``PICKUP_`` variables."""
    app = Flask(__name__)
    app.config.from_mapping(environment())
    app.register_blueprint(pickup, url_prefix="/pickup")
    # The proxy says whether a visitor came by TLS: the dashboard's cookie is then for TLS alone.
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


app = create_app()
