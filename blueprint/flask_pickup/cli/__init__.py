"""``flask pickup …``: thin; every command calls a room below."""

from flask_pickup.cli.content import check, new
from flask_pickup.cli.database import db
from flask_pickup.cli.group import pickup
from flask_pickup.cli.outcomes import assign, outcomes
from flask_pickup.cli.planning import plan
from flask_pickup.cli.previewing import preview
from flask_pickup.cli.privacy import disclose, forget, purge
from flask_pickup.cli.rehearsing import rehearse
from flask_pickup.cli.results import export, results
from flask_pickup.cli.simulating import simulate

__all__ = ["pickup"]

for command in (
    check,
    new,
    preview,
    rehearse,
    plan,
    simulate,
    results,
    assign,
    outcomes,
    export,
    db,
    disclose,
    forget,
    purge,
):
    pickup.add_command(command)
