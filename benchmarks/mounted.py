"""Pickup with the sample content and all protections on; options from the environment."""

import os
from pathlib import Path

from flask import Flask

from flask_pickup import Pickup

app = Flask(__name__, root_path=str(Path(__file__).parents[1]))
app.config.from_mapping({k: v for k, v in os.environ.items() if k.startswith("PICKUP_")})
app.register_blueprint(Pickup())
