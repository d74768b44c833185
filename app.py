"""A host: an app of its own that mounts Pickup. ``gunicorn app:app`` serves it, and so does ``scripts/serve``."""

from flask import Flask

from flask_pickup import Pickup, environment

pickup = Pickup()


def create_app() -> Flask:
    """Make the app; its options are the environment's ``PICKUP_`` variables, beneath them ``instance/pickup.env``."""
    app = Flask(__name__)
    app.config.from_mapping(environment(app.instance_path))
    app.register_blueprint(pickup, url_prefix="/pickup")
    return app


app = create_app()
