"""What ``scripts/serve`` does before it serves, in one process, because starting one takes most of a second.

Makes the secrets that are missing, checks the content, brings the database up to date. The exit status is 0; 3 if the
database does not answer, without which calls can be answered; 1 if there is something to mend first.
"""

import os
import secrets
import sys
from pathlib import Path
from threading import Timer

from flask.cli import ScriptInfo

from flask_pickup.cli import pickup
from flask_pickup.cli.group import ASKED_WRONGLY

SECRETS = ("PICKUP_WEBHOOK_SECRET", "PICKUP_CALLER_SECRET", "PICKUP_DASHBOARD_TOKEN")
PLACE = Path("instance/pickup.env")
DATABASE_IS_NOT_THERE = 3
PATIENCE = 15.0
"""Seconds for bringing the database up to date; it is tried again, with more patience, beside the running server."""


def make_secrets() -> None:
    """Make the secrets that the environment does not give, once; every shell of this checkout reads them there."""
    PLACE.parent.mkdir(mode=0o700, exist_ok=True)
    lines = PLACE.read_text("utf-8").splitlines() if PLACE.exists() else []
    kept = {line.partition("=")[0].strip() for line in lines}
    missing = [name for name in SECRETS if name not in os.environ and name not in kept]
    if missing:
        write(lines + [f"{name}={secrets.token_urlsafe(32)}" for name in missing])
        print(f"Made {', '.join(missing)} in {PLACE}.")


def write(lines: list[str]) -> None:
    """Write the file for this user alone, whole or not at all."""
    new = PLACE.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    new.replace(PLACE)


def run(*arguments: str) -> int:
    """Run ``flask pickup …`` in this process, and return its exit status."""
    sys.stdout.flush()
    return pickup.main(arguments, "flask pickup", standalone_mode=False, obj=ScriptInfo("app:app")) or 0


def give_up() -> None:
    """End this process, from a thread beside one that does not come back."""
    print("The database does not answer.", flush=True)
    os._exit(DATABASE_IS_NOT_THERE)


def main() -> int:
    """Return the exit status."""
    make_secrets()
    print("Checking the content …")
    if run("check"):
        sys.exit("Mend the errors above, then start again.")
    print("Bringing the database up to date …")
    # A database that hangs must not keep the server from answering. An upgrade that is given up leaves nothing behind.
    watch = Timer(PATIENCE, give_up)
    watch.daemon = True
    watch.start()
    status = run("db", "upgrade")
    watch.cancel()
    if status == ASKED_WRONGLY:
        sys.exit("Mend the setting above, then start again.")
    return DATABASE_IS_NOT_THERE if status else 0


if __name__ == "__main__":
    sys.exit(main())
