"""What ``scripts/serve`` does before it serves, in one process, because starting one takes most of a second.

Makes the secrets that are missing, checks the content, brings the database up to date. The exit status is 0; 3 if the
database does not answer, without which calls can be answered; 1 if something has to be fixed first.
"""

import os
import secrets
import sys
from pathlib import Path
from threading import Timer

from dotenv import dotenv_values, load_dotenv, set_key
from flask.cli import ScriptInfo

from flask_pickup.cli import pickup
from flask_pickup.cli.group import USAGE_ERROR

SECRETS = ("PICKUP_CALLER_SECRET", "PICKUP_DASHBOARD_TOKEN")
DEFAULT_PLATFORM = "PICKUP_WEBHOOK_SECRET"
"""Made where no platform is configured."""
OTHER_PLATFORMS = ("PICKUP_VAPI_", "PICKUP_RETELL_", "PICKUP_ELEVENLABS_", "PICKUP_TELNYX_")
"""How the names of the other platforms' options begin."""
FILE = ".env"
DATABASE_IS_NOT_THERE = 3
PATIENCE = 15.0
"""Seconds for bringing the database up to date; it is tried again, with more patience, beside the running server."""


def make_secrets() -> None:
    """Make the secrets that the environment does not give, once; ``flask`` and ``app.py`` read them from the file."""
    Path("instance").mkdir(mode=0o700, exist_ok=True)
    known = {**dotenv_values(FILE), **os.environ}
    wanted = SECRETS if any(name.startswith(OTHER_PLATFORMS) for name in known) else (DEFAULT_PLATFORM, *SECRETS)
    missing = [name for name in wanted if name not in known]
    if missing:
        Path(FILE).touch(mode=0o600)
        Path(FILE).chmod(0o600)
    for name in missing:
        set_key(FILE, name, secrets.token_urlsafe(32), quote_mode="never")
    if missing:
        print(f"Made {', '.join(missing)} in {FILE}.")
    load_dotenv(FILE)


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
        sys.exit("Fix the errors above and start again.")
    print("Bringing the database up to date …")
    # A database that hangs must not keep the server from answering. An upgrade that is given up leaves nothing behind.
    watch = Timer(PATIENCE, give_up)
    watch.daemon = True
    watch.start()
    status = run("db", "upgrade")
    watch.cancel()
    if status == USAGE_ERROR:
        sys.exit("Fix the setting above and start again.")
    return DATABASE_IS_NOT_THERE if status else 0


if __name__ == "__main__":
    sys.exit(main())
