"""Mesh: points, cells, named groups; selections as rules; quality; morphing."""

from designtwin.mesh.mesh import FacetBlock, Group, MassProperties, Mesh

__all__ = ["FacetBlock", "Group", "MassProperties", "Mesh"]
