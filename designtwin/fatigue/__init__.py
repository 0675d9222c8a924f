"""Fatigue of a single point: cycles of a history, curves of a material, damage; knows no mesh and no model."""
