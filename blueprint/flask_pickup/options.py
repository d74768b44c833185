"""Options: config keys of the host's app, checked when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import phonenumbers
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from flask_pickup.engines import DATABASES
from flask_pickup.errors import ConfigurationError

SHORTEST_SECRET = 16
"""Characters of a secret or a token; shorter ones can be guessed."""

_GENERATOR = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


@dataclass(frozen=True)
class Options:
    """The options of one mounted Pickup. Times are in seconds, sizes in bytes; ``docs/config.md`` explains each."""

    experiments: Path
    greetings: Path
    caller_secrets: Sequence[str] = field(repr=False)
    database_url: str = field(repr=False)
    region: str
    max_body: int
    customer_wait: float
    commit_wait: float
    spool: Path
    transcripts: bool
    retention: float | None
    dashboard_token: str | None = field(repr=False)
    metrics_token: str | None = field(repr=False)

    @property
    def caller_secret(self) -> str:
        """The secret in use; the others are known to ``forget`` alone."""
        return self.caller_secrets[0]


Folder = str | os.PathLike[str]
Secrets = str | Sequence[str]
"""One, or several in order to rotate them."""


class PickupOptions(TypedDict, total=False):
    """The options of :class:`.Pickup`; config keys are these names in upper case behind ``PICKUP_``."""

    experiments: Folder
    greetings: Folder
    caller_secret: Secrets
    database_url: str
    region: str
    max_body: int
    signature_tolerance: float
    customer_wait: float
    commit_wait: float
    spool: Folder
    transcripts: bool
    retention: float | None
    dashboard_token: str | None
    metrics_token: str | None
    webhook_secret: Secrets
    allow_unsigned: bool
    vapi_secret: Secrets
    vapi_assistant: str
    retell_api_key: Secrets
    elevenlabs_token: Secrets
    elevenlabs_secret: Secrets
    telnyx_public_key: Secrets
    telnyx_insights: str | Mapping[str, str]
    telnyx_rehearsal_key: str


OPTION_NAMES = frozenset(PickupOptions.__annotations__)


def read_options(read: ConfigReader, *, root: str, instance: str) -> Options:
    """Return the options of an app.

    :param root: the app's root path; the content folders are relative to it.
    :param instance: the app's instance path, the default place of SQLite's file and the spool.
    :raises ConfigurationError: if an option is missing or invalid.
    """
    return Options(
        experiments=Path(root, read.get("experiments", "experiments")),
        greetings=Path(root, read.get("greetings", "greetings")),
        caller_secrets=read.secrets("caller_secret", "a long random text that never changes", needed=True),
        database_url=read.database_url(instance),
        region=read.region("NL"),
        max_body=int(read.number("max_body", 1024 * 1024)),
        customer_wait=read.number("customer_wait", 1.5),
        commit_wait=read.number("commit_wait", 1),
        spool=Path(root, read.get("spool", Path(instance, "spool"))),
        transcripts=read.boolean("transcripts", default=False),
        retention=read.optional_number("retention"),
        dashboard_token=read.token("dashboard_token"),
        metrics_token=read.token("metrics_token"),
    )


def _check_driver(url: URL) -> None:
    """Raise ``ConfigurationError`` at start, instead of failing on the first call."""
    if url.get_backend_name() not in DATABASES:
        raise _invalid("database_url", f"names {url.get_backend_name()!r}; Pickup knows SQLite and PostgreSQL.")
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (ImportError, NoSuchModuleError) as error:
        remedy = "For PostgreSQL: pip install 'Flask-Pickup[postgresql]'."
        raise _invalid("database_url", f"needs {url.drivername!r}, which is not installed. {remedy}") from error
    if dialect.is_async:
        raise _invalid("database_url", f"names {url.drivername!r}, which is asynchronous; leave the driver out.")


class ConfigReader:
    """Reads one option at a time: a config key wins over an argument, which wins over the default.

    Each method raises :class:`.ConfigurationError` for an invalid value.
    """

    def __init__(self, config: Mapping[str, Any], arguments: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._arguments = arguments or {}

    def get(self, name: str, default: Any = None) -> Any:
        """Return an option as it is set; an empty text counts as not set."""
        given = (self._config.get(config_key(name)), self._arguments.get(name), default)
        return next((value for value in given if value is not None and value != ""), None)

    def given(self) -> dict[str, Any]:
        """Return the options that are set, by name."""
        return {name: value for name in OPTION_NAMES if (value := self.get(name)) is not None}

    def number(self, name: str, default: float) -> float:
        """Return a number above 0."""
        value = self.get(name, default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1
        if not 0 < number < float("inf"):
            raise _invalid(name, f"is {value!r}; set a number above 0.")
        return number

    def optional_number(self, name: str) -> float | None:
        """Return a number above 0; ``None`` if it is not set."""
        return None if self.get(name) is None else self.number(name, 0)

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = str(self.get(name, default)).lower()
        if value not in {"true", "1", "yes", "on", "false", "0", "no", "off"}:
            raise _invalid(name, f"is {value!r}; set true or false.")
        return value in {"true", "1", "yes", "on"}

    def secrets(self, name: str, what: str, *, needed: bool) -> tuple[str, ...]:
        """Return a secret or several, from a list or a text with commas.

        :param what: what to set it to, for the error.
        """
        return tuple(_strong(name, part) for part in self.texts(name, what, needed=needed))

    def texts(self, name: str, what: str, *, needed: bool) -> tuple[str, ...]:
        """Return a text or several, from a list or a text with commas; as of :meth:`secrets`, one may be too short."""
        # Not get(): an empty secret is an error, because it would verify everybody's requests.
        given = (self._config.get(config_key(name)), self._arguments.get(name))
        value = next((each for each in given if each is not None), None)
        if value is None and not needed:
            return ()
        if value is None:
            raise _invalid(name, f"is not set. Set it to {what}.")
        found = value.split(",") if isinstance(value, str) else value
        if not (found and isinstance(found, list | tuple) and all(isinstance(part, str) for part in found)):
            raise _invalid(name, f"is neither a text nor a list of texts. Set it to {what}.")
        return tuple(part.strip() for part in found)

    def text(self, name: str, what: str) -> str:
        """Return a text that has to be set.

        :param what: what to set it to, for the error.
        """
        value = self.get(name)
        if not isinstance(value, str) or not value.strip():
            raise _invalid(name, f"is not set. Set it to {what}.")
        return value.strip()

    def token(self, name: str) -> str | None:
        """Return a random text; ``None`` if it is not set."""
        value = self.get(name)
        return None if value is None else _strong(name, str(value))

    def database_url(self, instance: str | os.PathLike[str]) -> str:
        """Return the database's URL, whose driver is installed.

        :param instance: the app's instance path, the default place of SQLite's file.
        """
        # The URL can hold a password: no message repeats it, and the parser's own exception, which does, is not its cause.
        with suppress(ArgumentError, ValueError):
            url = make_url(self.get("database_url", f"sqlite:///{Path(instance, 'pickup.db')}"))
            if url.drivername in {"postgres", "postgresql"}:
                url = url.set(drivername="postgresql+psycopg")
            _check_driver(url)
            return url.render_as_string(hide_password=False)
        raise _invalid("database_url", "is not an SQLAlchemy URL; set one such as 'sqlite:////var/lib/pickup.db'.")

    def invalid(self, name: str, why: str) -> ConfigurationError:
        """Return the error about an invalid option; ``why`` goes on after the option's name."""
        return _invalid(name, why)

    def region(self, default: str) -> str:
        """Return a country's two letters."""
        value = str(self.get("region", default)).upper()
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise _invalid("region", f"is {value!r}; set a country's two letters, such as 'NL'.")
        return value


def _strong(name: str, secret: str) -> str:
    if len(secret.strip()) < SHORTEST_SECRET:
        raise _invalid(name, f"has a secret of fewer than {SHORTEST_SECRET} characters. Make one: {_GENERATOR}")
    return secret.strip()


def _invalid(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"'{config_key(name)}' {why}")


def config_key(name: str) -> str:
    """Return an option's config key, which is its name in the environment too: "PICKUP_REGION" of "region"."""
    return f"PICKUP_{name.upper()}"
