"""Criteria: utilization, failure zones, the verdict."""

from designtwin.criteria.envelope import Envelope, envelope
from designtwin.criteria.utilization import Utilization, utilization
from designtwin.criteria.verdict import Verdict
from designtwin.criteria.zones import FailureZone, failure_zones

__all__ = ["Envelope", "FailureZone", "Utilization", "Verdict", "envelope", "failure_zones", "utilization"]
