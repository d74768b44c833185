"""The receiver that people write today, as a good engineer writes it: one file, each library for what it is known for.

Flask, ``hmac``, marshmallow, ``phonenumbers``, the GrowthBook SDK with local features and a tracking callback, templates
in Flask's own Jinja environment, and an SQLAlchemy session with a commit a request. It has none of Pickup's promises: it
waits for the database as long as that takes, and knows neither duplicates nor budgets.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import phonenumbers
from flask import Flask, Response, abort, jsonify, request
from growthbook import GrowthBook
from jinja2 import ChoiceLoader, FileSystemLoader
from marshmallow import EXCLUDE, Schema, ValidationError, fields
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

ROOT = Path(__file__).parents[1]
SECRET = os.environ["PICKUP_WEBHOOK_SECRET"].encode()
PEPPER = os.environ["PICKUP_CALLER_SECRET"].encode()
TOLERANCE = float(os.environ.get("PICKUP_SIGNATURE_TOLERANCE", "300"))

app = Flask(__name__)
app.jinja_env.loader = ChoiceLoader([FileSystemLoader(ROOT)])
app.jinja_env.autoescape = False

OVERRIDE = json.loads((ROOT / "greetings/override.flireo.json").read_text("utf-8"))
FEATURES = {
    "opening": {
        "defaultValue": "control",
        "rules": [{"key": "warm-opening", "variations": ["control", "warm"], "coverage": 1, "hashAttribute": "id"}],
    }
}
FILES = {
    "control": ("greetings/first_message.j2", "greetings/system_prompt.j2"),
    "warm": ("experiments/warm-opening/warm/first_message.j2", "experiments/warm-opening/warm/system_prompt.j2"),
}


class Base(DeclarativeBase):
    """The tables' metadata."""


class Call(Base):
    """A call."""

    __tablename__ = "calls"

    call_id: Mapped[str] = mapped_column(primary_key=True)
    caller: Mapped[str | None]
    line: Mapped[str | None]
    at: Mapped[datetime]


class Assignment(Base):
    """The arm of a call."""

    __tablename__ = "assignments"

    call_id: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str] = mapped_column(primary_key=True)
    arm: Mapped[str]
    at: Mapped[datetime]


engine = create_engine(os.environ["PICKUP_DATABASE_URL"])
if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        """Use the same journal and the same durability as Pickup."""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")


Base.metadata.create_all(engine, checkfirst=True)
Sessions = sessionmaker(engine)


class NumberSchema(Schema):
    """A number within a message."""

    class Meta:
        """Leave out what is not known."""

        unknown = EXCLUDE

    number = fields.String(allow_none=True, load_default=None)
    name = fields.String(allow_none=True, load_default=None)


class CallSchema(Schema):
    """The call within a message."""

    class Meta:
        """Leave out what is not known."""

        unknown = EXCLUDE

    id = fields.String(required=True)
    type = fields.String(load_default=None)
    status = fields.String(load_default=None)


class MessageSchema(Schema):
    """An assistant-request's message."""

    class Meta:
        """Leave out what is not known."""

        unknown = EXCLUDE

    type = fields.String(required=True)
    timestamp = fields.String(load_default=None)
    call = fields.Nested(CallSchema, required=True)
    phone_number = fields.Nested(NumberSchema, load_default=dict)
    customer = fields.Nested(NumberSchema, load_default=dict)


class PayloadSchema(Schema):
    """The request's body."""

    class Meta:
        """Leave out what is not known."""

        unknown = EXCLUDE

    message = fields.Nested(MessageSchema, required=True)


PAYLOAD = PayloadSchema()


def verify() -> None:
    """Refuse what is not signed."""
    stamp = request.headers.get("X-Webhook-Timestamp", "")
    given = request.headers.get("X-Webhook-Signature", "").removeprefix("sha256=")
    wanted = hmac.new(SECRET, stamp.encode() + b"." + request.get_data(), hashlib.sha256).hexdigest()
    if not stamp.isdigit() or not hmac.compare_digest(given, wanted) or abs(time.time() - int(stamp)) > TOLERANCE:
        abort(401)


def key_of(number: str | None) -> str | None:
    """Return the caller's pseudonym."""
    try:
        parsed = phonenumbers.parse(number or "", "NL")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return hmac.new(PEPPER, e164.encode(), hashlib.sha256).hexdigest()[:32]


def track(session: Session, call_id: str, *, experiment: Any, result: Any, **_: Any) -> None:
    """Keep what the SDK says was seen."""
    session.add(Assignment(call_id=call_id, experiment=experiment.key, arm=result.value, at=datetime.now(UTC)))


def fill(value: Any, names: dict[str, Any]) -> Any:
    """Render each string of the override."""
    if isinstance(value, str):
        return app.jinja_env.from_string(value).render(names) if "{{ language" in value else value
    if isinstance(value, dict):
        return {key: fill(child, names) for key, child in value.items()}
    return [fill(child, names) for child in value] if isinstance(value, list) else value


@app.post("/webhook")
def webhook() -> Response:
    """Answer with the caller's opening, and record it."""
    verify()
    try:
        message = PAYLOAD.load(request.get_json())["message"]
    except ValidationError:
        abort(400)
    if message["type"] != "assistant-request":
        return jsonify({})
    key, call_id = key_of(message["customer"]["number"]), message["call"]["id"]
    with Sessions() as session:
        session.merge(Call(call_id=call_id, caller=key, line=message["phone_number"]["number"], at=datetime.now(UTC)))
        book = GrowthBook(
            attributes={"id": key},
            features=FEATURES,
            on_experiment_viewed=partial(track, session, call_id),
        )
        arm = book.get_feature_value("opening", "control") if key else "control"
        book.destroy()
        session.commit()
    names = {"language": "nl", "customer": {}, "open": True}
    opening, prompt = (app.jinja_env.get_template(file).render(names) for file in FILES[arm])
    answer = fill(deepcopy(OVERRIDE), names)
    answer["assistant"]["first_message"] = opening
    answer["assistant"]["llm_config"]["messages"] = [{"role": "system", "content": prompt}]
    return jsonify(answer)
