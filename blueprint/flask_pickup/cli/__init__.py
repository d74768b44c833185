"""``flask pickup …``: thin commands over the modules below."""

from flask_pickup.cli.content import check_command, new_command
from flask_pickup.cli.database import db
from flask_pickup.cli.demo import demo_command
from flask_pickup.cli.digest import digest_command
from flask_pickup.cli.group import pickup
from flask_pickup.cli.init import init_command
from flask_pickup.cli.outcomes import assign_command, outcomes_group
from flask_pickup.cli.planning import plan_command
from flask_pickup.cli.previewing import preview_command
from flask_pickup.cli.privacy import disclose_command, forget_command, purge_command
from flask_pickup.cli.rehearsing import rehearse_command
from flask_pickup.cli.results import export_command, results_command
from flask_pickup.cli.simulating import simulate_command
from flask_pickup.cli.status import status_command

__all__ = ["pickup"]

for command in (
    *(init_command, demo_command, check_command, new_command, preview_command, rehearse_command),
    *(plan_command, simulate_command),
    *(status_command, digest_command, results_command, assign_command, outcomes_group, export_command, db),
    *(disclose_command, forget_command, purge_command),
):
    pickup.add_command(command)
