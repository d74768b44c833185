"""Options: config keys of the host's app, checked when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import phonenumbers
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from flask_pickup.errors import ConfigurationError
from flask_pickup.models import DATABASES

T = TypeVar("T")

PREFIX = "PICKUP_"

_SHORTEST_TOKEN = 22
"""Characters of an alphabet of 64 that hold 128 bits."""


@dataclass(frozen=True)
class Options:
    """The options of one mounted Pickup. Times are in seconds, sizes in bytes; ``docs/config.md`` explains each."""

    experiments: Path
    greetings: Path
    webhook_secrets: Sequence[str] = field(repr=False)
    allow_unsigned: bool
    caller_secrets: Sequence[str] = field(repr=False)
    database_url: str = field(repr=False)
    region: str
    signature_tolerance: float
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


NAMES = frozenset(
    {
        "experiments", "greetings", "webhook_secret", "allow_unsigned", "caller_secret", "database_url", "region",
        "signature_tolerance", "max_body", "customer_wait", "commit_wait", "spool", "transcripts", "retention",
        "dashboard_token", "metrics_token",
    }
)  # fmt: skip
"""The options' names: a config key in upper case behind ``PICKUP_``, or an argument of ``Pickup``."""


def read_options(config: Mapping[str, Any], arguments: Mapping[str, Any], *, root: str, instance: str) -> Options:
    """Return the options of an app. A config key wins over an argument, which wins over the default.

    :param root: the app's root path; the content folders are relative to it.
    :param instance: the app's instance path, where SQLite and the spool lie unless told otherwise.
    :raises ConfigurationError: if an option is missing or makes no sense.
    """
    read = _Reader(config, arguments)
    allow_unsigned = read.boolean("allow_unsigned", default=False)
    return Options(
        experiments=Path(root, read.get("experiments", "experiments")),
        greetings=Path(root, read.get("greetings", "greetings")),
        webhook_secrets=read.secrets("webhook_secret", "the webhook_secret of your agent", needed=not allow_unsigned),
        allow_unsigned=allow_unsigned,
        caller_secrets=read.secrets("caller_secret", "a long random text that never changes", needed=True),
        database_url=read.database_url(f"sqlite:///{Path(instance, 'pickup.db')}"),
        region=read.region("NL"),
        signature_tolerance=read.number("signature_tolerance", 300),
        max_body=int(read.number("max_body", 1024 * 1024)),
        customer_wait=read.number("customer_wait", 1.5),
        commit_wait=read.number("commit_wait", 1),
        spool=Path(root, read.get("spool", str(Path(instance, "spool")))),
        transcripts=read.boolean("transcripts", default=False),
        retention=read.number("retention", 0) if read.get("retention", None) is not None else None,
        dashboard_token=read.token("dashboard_token"),
        metrics_token=read.token("metrics_token"),
    )


def read_database_url(config: Mapping[str, Any], *, instance: str | os.PathLike[str]) -> str:
    """Return the URL of the database that an app with these options uses, without the app.

    :raises ConfigurationError: if it makes no sense.
    """
    return _Reader(config, {}).database_url(f"sqlite:///{Path(instance, 'pickup.db')}")


class _Reader:
    def __init__(self, config: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        self._config = config
        self._arguments = arguments

    def get(self, name: str, default: T) -> T:
        value = self._config.get(_key(name))
        if value is None or value == "":
            value = self._arguments.get(name)
        return default if value is None else value

    def number(self, name: str, default: float) -> float:
        value = self.get(name, default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1
        if not 0 < number < float("inf"):
            raise ConfigurationError(f"'{_key(name)}' is {value!r}; set a number above 0.")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        value = str(self.get(name, default)).lower()
        if value not in {"true", "1", "yes", "on", "false", "0", "no", "off"}:
            raise ConfigurationError(f"'{_key(name)}' is {value!r}; set true or false.")
        return value in {"true", "1", "yes", "on"}

    def secrets(self, name: str, what: str, *, needed: bool) -> tuple[str, ...]:
        value = self._config.get(_key(name))
        if value is None:
            value = self._arguments.get(name)
        if value is None and not needed:
            return ()
        if value is None:
            raise ConfigurationError(f"'{_key(name)}' is not set. Set it to {what}.")
        found = value.split(",") if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or not all(isinstance(part, str) for part in found):
            raise ConfigurationError(f"'{_key(name)}' is neither a text nor a list of texts. Set it to {what}.")
        # An empty secret is looked for, not skipped: it would sign everybody's requests.
        if not found or not all(part.strip() for part in found):
            raise ConfigurationError(f"'{_key(name)}' has an empty secret in it. Set it to {what}.")
        return tuple(part.strip() for part in found)

    def token(self, name: str) -> str | None:
        value = self.get(name, None)
        if value is not None and len(str(value)) < _SHORTEST_TOKEN:
            raise ConfigurationError(
                f"'{_key(name)}' is too short to be a secret; set {_SHORTEST_TOKEN} random characters or more."
            )
        return None if value is None else str(value)

    def region(self, default: str) -> str:
        value = str(self.get("region", default)).upper()
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ConfigurationError(f"'{_key('region')}' is {value!r}; set a country's two letters, such as 'NL'.")
        return value

    def database_url(self, default: str) -> str:
        url = _parsed_url(self.get("database_url", default))
        # The URL may hold a password: no message repeats it, nor carries the parser's own, which does.
        if url is None:
            raise ConfigurationError(
                f"'{_key('database_url')}' is no SQLAlchemy URL; set one such as 'sqlite:////var/lib/pickup.db'."
            )
        if url.drivername in {"postgres", "postgresql"}:
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() not in DATABASES:
            raise ConfigurationError(
                f"'{_key('database_url')}' names {url.get_backend_name()!r}; Pickup knows SQLite and PostgreSQL."
            )
        _check_driver(url)
        return url.render_as_string(hide_password=False)


def _parsed_url(value: Any) -> URL | None:
    try:
        return make_url(value)
    except (ArgumentError, ValueError):
        return None


def _check_driver(url: URL) -> None:
    """Find out at start that a driver is missing: the first call is too late."""
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"'{_key('database_url')}' needs {url.drivername!r}, which is not installed. For PostgreSQL: "
            "pip install 'Flask-Pickup[postgresql]'."
        ) from error
    if dialect.is_async:
        raise ConfigurationError(
            f"'{_key('database_url')}' names {url.drivername!r}, which is asynchronous; leave the driver out."
        )


def _key(name: str) -> str:
    return PREFIX + name.upper()
