"""Pickup with the sample content and all protections on; options from the environment."""

from pathlib import Path

from flask import Flask

from flask_pickup import Pickup, environment

app = Flask(__name__, root_path=str(Path(__file__).parents[1]))
app.config.from_mapping(environment(app.instance_path))
app.register_blueprint(Pickup())
