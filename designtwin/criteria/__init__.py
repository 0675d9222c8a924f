"""Criteria: utilization, failure zones, the verdict."""

from designtwin.criteria.utilization import Utilization, utilization
from designtwin.criteria.verdict import Verdict
from designtwin.criteria.zones import FailureZone, failure_zones

__all__ = ["FailureZone", "Utilization", "Verdict", "failure_zones", "utilization"]
