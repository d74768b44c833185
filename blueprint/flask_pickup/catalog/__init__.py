"""Reading ``experiments/`` and ``greetings/`` into frozen objects, and every complaint about them."""

from flask_pickup.catalog.catalog import Catalog
from flask_pickup.catalog.complaints import Complaint
from flask_pickup.catalog.definition import CONTROL, Experiment
from flask_pickup.catalog.experiment import Arm
from flask_pickup.catalog.loading import load, with_folder
from flask_pickup.catalog.plan import AnswerPlan, Texts
from flask_pickup.catalog.settings import Line

__all__ = ["CONTROL", "AnswerPlan", "Arm", "Catalog", "Complaint", "Experiment", "Line", "Texts", "load", "with_folder"]
