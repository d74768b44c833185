"""Options: a config key over an argument over a default, checked at start, with nothing secret in a message."""

from __future__ import annotations

import subprocess
import traceback
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_pickup import ConfigurationError, Pickup
from flask_pickup.errors import BadSignature
from flask_pickup.options import OPTION_NAMES, ConfigReader, Options, read_options
from flask_pickup.platforms import Delivery, enabled_platforms

SECRETS = {"PICKUP_WEBHOOK_SECRET": "whs-hunter2-and-more", "PICKUP_CALLER_SECRET": "cs-hunter3-and-more"}
NEW, OLD = "the-newer-secret", "the-older-secret"

KNOWN: dict[str, tuple[str, Any, Any, Any]] = {
    # the option's attribute, as a config key gives it and as it is read, and the default
    "experiments": ("experiments", "ab", Path("/app/ab"), Path("/app/experiments")),
    "greetings": ("greetings", "/etc/greetings", Path("/etc/greetings"), Path("/app/greetings")),
    "caller_secret": ("caller_secrets", [NEW, OLD], (NEW, OLD), (SECRETS["PICKUP_CALLER_SECRET"],)),
    "database_url": (
        "database_url", "postgres://ann:pw@db/x", "postgresql+psycopg://ann:pw@db/x", "sqlite:////app/instance/pickup.db",
    ),
    "region": ("region", "be", "BE", "NL"),
    "max_body": ("max_body", "2048", 2048, 1024 * 1024),
    "customer_wait": ("customer_wait", 0.25, 0.25, 1.5),
    "commit_wait": ("commit_wait", "0.5", 0.5, 1.0),
    "spool": ("spool", "/var/spool/pickup", Path("/var/spool/pickup"), Path("/app/instance/spool")),
    "transcripts": ("transcripts", "on", True, False),
    "retention": ("retention", "90", 90.0, None),
    "metrics_token": ("metrics_token", "another-long-and-random-token", "another-long-and-random-token", None),
    "dashboard_token": ("dashboard_token", "a-long-and-random-token", "a-long-and-random-token", None),
}  # fmt: skip


def read(arguments: dict[str, Any] | None = None, **config: Any) -> Options:
    return read_all({**SECRETS, **config}, arguments or {})


def read_all(config: dict[str, Any], arguments: dict[str, Any] | None = None) -> Options:
    reader = ConfigReader(config, arguments)
    enabled_platforms(reader)
    return read_options(reader, root="/app", instance="/app/instance")


OF_PLATFORMS = {
    *("webhook_secret", "allow_unsigned", "signature_tolerance"),
    "retell_api_key",
    *("telnyx_public_key", "telnyx_insights", "telnyx_rehearsal_key"),
    *("elevenlabs_token", "elevenlabs_secret"),
    *("vapi_secret", "vapi_assistant"),
}


def key(name: str) -> str:
    return f"PICKUP_{name.upper()}"


def refusal(**config: Any) -> tuple[str, str]:
    """Return what the error says, and all that a log would show of it."""
    with pytest.raises(ConfigurationError) as caught:
        read(**config)
    return str(caught.value), "".join(traceback.format_exception(caught.value))


def test_each_option_has_a_row_above() -> None:
    """The table of this test knows all options but those of the platforms, under the names that they are set by."""
    assert KNOWN.keys() == OPTION_NAMES - OF_PLATFORMS
    assert {attribute for attribute, *_ in KNOWN.values()} == {field.name for field in fields(Options)}


@pytest.mark.parametrize("name", KNOWN)
def test_config_key_wins_over_argument_wins_over_default(name: str) -> None:
    """A config key sets its option, as text or as a value; without it Pickup's argument counts, then the default."""
    attribute, given, expected, default = KNOWN[name]
    assert getattr(read(), attribute) == default
    assert getattr(read({name: default}, **{key(name): given}), attribute) == expected
    for nothing in ({}, {key(name): None}):
        config = {**{k: v for k, v in SECRETS.items() if k != key(name)}, **nothing}
        options = read_all(config, {name: given})
        assert getattr(options, attribute) == expected


def test_argument_of_pickup_reaches_the_app(tmp_path: Path) -> None:
    """Options in code are arguments of Pickup in lower case; Flask's own arguments go on to the Blueprint."""
    app = Flask(__name__, instance_path=str(tmp_path))
    app.config.update(SECRETS)
    pickup = Pickup(region="BE", max_body=99, subdomain="calls")
    app.register_blueprint(pickup)
    options = app.extensions["pickup"].options
    assert (options.region, options.max_body, pickup.subdomain) == ("BE", 99, "calls")


def test_misspelt_argument_is_refused() -> None:
    """An argument that neither Pickup nor Blueprint has is an error, and the type checker finds it, as it finds a wrong type."""
    with pytest.raises(TypeError, match="regoin"):
        Pickup(regoin="BE")  # type: ignore[call-arg]
    Pickup(max_body="large")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("webhook_secret", "Set the secret of yours: 'PICKUP_WEBHOOK_SECRET' for Flireo"),
        ("caller_secret", "'PICKUP_CALLER_SECRET' is not set. Set it to a long random text"),
    ],
)
def test_missing_secret_stops_the_app(tmp_path: Path, name: str, words: str) -> None:
    """Without a secret the app does not start, and the sentence says which key to set, and to what."""
    app = Flask(__name__, instance_path=str(tmp_path))
    app.config.update({k: v for k, v in SECRETS.items() if k != key(name)})
    with pytest.raises(ConfigurationError, match=words):
        app.register_blueprint(Pickup())


def test_unsigned_needs_no_webhook_secret() -> None:
    """A machine that nobody else reaches may go without a webhook secret, never without the callers'."""
    config = ConfigReader({"PICKUP_ALLOW_UNSIGNED": "true", "PICKUP_CALLER_SECRET": NEW})
    assert enabled_platforms(config)["flireo"].verify(Delivery({}, b"")) is None
    with pytest.raises(BadSignature):
        enabled_platforms(ConfigReader(SECRETS))["flireo"].verify(Delivery({}, b""))


@pytest.mark.parametrize("name", ["webhook_secret", "caller_secret"])
@pytest.mark.parametrize("value", [[], 5, b"hunter2-and-more-of-it", [NEW, 5], {"hunter2-and-more-of-it"}])
def test_odd_secret_stops_the_app(name: str, value: Any) -> None:
    """A secret that is no text is a mistake; it is not repeated."""
    message, shown = refusal(**{key(name): value})
    assert message.startswith(f"'{key(name)}' is neither a text nor a list of texts. Set it to ")
    assert "hunter" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *product(
            ("webhook_secret", "caller_secret", "dashboard_token", "metrics_token"),
            ("hunter2-fifteen", "hunter2" + 9 * " "),
        ),
        *product(
            ("webhook_secret", "caller_secret"), ("", " ", f"{NEW},", f"{NEW},hunter2", [NEW, "hunter2"], [NEW, ""])
        ),
    ],
)
def test_weak_secret_stops_the_app(name: str, value: Any) -> None:
    """A secret that can be guessed, or is empty and would sign everybody's requests, is refused, also beside a good one.

    The sentence has the command that makes one.
    """
    message, shown = refusal(**{key(name): value})
    assert message.startswith(f"'{key(name)}' has a secret of fewer than 16 characters. Make one: python3 -c ")
    assert "hunter" not in shown
    command = message.partition("Make one: ")[2]
    made = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.strip()
    assert read(PICKUP_CALLER_SECRET=made).caller_secret == made


@pytest.mark.parametrize("name", ["signature_tolerance", "max_body", "customer_wait", "commit_wait"])
@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", [], "1_000 s"])
def test_odd_number_stops_the_app(name: str, value: Any) -> None:
    """A number has to be above zero and finite; the sentence names the key and what stood there."""
    message, _ = refusal(**{key(name): value})
    assert message == f"'{key(name)}' is {value!r}; set a number above 0."


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("allow_unsigned", "maybe", "'PICKUP_ALLOW_UNSIGNED' is 'maybe'; set true or false."),
        ("transcripts", "maybe", "'PICKUP_TRANSCRIPTS' is 'maybe'; set true or false."),
        ("region", "Nederland", "'PICKUP_REGION' is 'NEDERLAND'; set a country's two letters, such as 'NL'."),
    ],
)  # fmt: skip
def test_other_invalid_values_stop_the_app(name: str, value: str, message: str) -> None:
    """A value that an option cannot have is refused at start; the sentence says what to set."""
    assert refusal(**{key(name): value})[0] == message


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("hunter2", "such as 'sqlite:///"),
        ("postgresql://ann:hunter2@db:port/x", "such as 'sqlite:///"),
        ("postgresql://ann:hunter2@db:54 32/x", "such as 'sqlite:///"),
        (5, "such as 'sqlite:///"),
        ("mysql://ann:hunter2@db/x", "Pickup knows SQLite and PostgreSQL"),
        ("postgresql+pg8000://ann:hunter2@db/x", "not installed"),
        ("postgresql+nothing://ann:hunter2@db/x", "not installed"),
        ("sqlite+aiosqlite:///x.db", "not installed"),
        ("postgresql+psycopg_async://ann:hunter2@db/x", "leave the driver out"),
    ],
)
def test_odd_database_stops_the_app(url: Any, remedy: str) -> None:
    """A database that Pickup could not reach with what is installed is found at start; no password is repeated."""
    message, shown = refusal(PICKUP_DATABASE_URL=url)
    assert message.startswith("'PICKUP_DATABASE_URL' ")
    assert remedy in message
    assert "hunter2" not in shown


def test_options_show_no_secret() -> None:
    """Whoever prints the options sees neither a secret nor the database's password."""
    assert "hunter" not in repr(read(PICKUP_DATABASE_URL="postgresql://ann:hunter4@db/x"))
