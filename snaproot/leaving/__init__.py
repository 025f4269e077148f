"""Leaving: the machine goes back to the distribution's own boot setup, with what it holds now."""

from snaproot.leaving.execution import execute, held
from snaproot.leaving.plan import plan
from snaproot.leaving.shape import LeavingPlan, Way
from snaproot.leaving.survey import survey

__all__ = ["LeavingPlan", "Way", "execute", "held", "plan", "survey"]
