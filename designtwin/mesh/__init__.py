"""Mesh: points, cells, named groups; selections as rules; quality; morphing."""

from designtwin.mesh.mesh import FacetBlock, Group, MassProperties, Mesh
from designtwin.mesh.selections import (
    Region,
    Selection,
    box,
    cylinder,
    everything,
    exterior,
    faces,
    feature,
    group,
    ids,
    near,
    nearest,
    plane,
    select,
    sphere,
)

__all__ = [
    "FacetBlock",
    "Group",
    "MassProperties",
    "Mesh",
    "Region",
    "Selection",
    "box",
    "cylinder",
    "everything",
    "exterior",
    "faces",
    "feature",
    "group",
    "ids",
    "near",
    "nearest",
    "plane",
    "select",
    "sphere",
]
