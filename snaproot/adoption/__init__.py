"""Adopt a root that is not running: survey what is there, plan, and do it beside the original."""

from snaproot.adoption.execution import execute, findings
from snaproot.adoption.plan import plan
from snaproot.adoption.shape import AdoptionPlan
from snaproot.adoption.survey import survey

__all__ = ["AdoptionPlan", "execute", "findings", "plan", "survey"]
