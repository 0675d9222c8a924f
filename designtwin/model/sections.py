"""Sections: how a material fills its cells: as a solid, a sheet, a slice, a ring, a bar.

A bare material is short for `Solid(material)`. A section answers in the one stress order of the
house, xx yy zz xy yz xz, so that a kernel sees a 6x6 tangent whatever the section: a plane stress
section returns the condensed tangent, whose zz, yz and xz rows are zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from designtwin.errors import ModelError
from designtwin.model.coordinates import (
    CoordinateSystem,
    rotate_stiffness,
    rotate_strain,
    rotate_tensor,
)
from designtwin.model.magnitude import Magnitude, MagnitudeLike
from designtwin.model.materials import Material
from designtwin.plain import Plain
from designtwin.typing import FloatArray

Formulation = Literal["auto", "full", "b-bar", "incompatible"]
_FORMULATIONS = ("auto", "full", "b-bar", "incompatible")
_IN_PLANE = np.array([0, 1, 3])  # xx yy xy
_OUT_OF_PLANE = np.array([2, 4, 5])  # zz yz xz


@dataclass(frozen=True, kw_only=True, eq=False)
class Section(Plain):
    """What every section has: a material, and its answers in global axes."""

    material: Material = field(kw_only=False)

    kinematics: ClassVar[Literal["solid", "plane_stress", "plane_strain", "axisymmetric", "truss"]]
    dimension: ClassVar[int]
    """Of the cells it may fill: 3 solid, 2 plane, 1 bar."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.material, Material):
            raise ModelError(
                f"{name} wants a material, such as material('S355') or LinearElastic(...), "
                f"got {self.material!r}"
            )

    def axes(self, points: FloatArray) -> FloatArray | None:
        """Material axes at points, float64[..., 3, 3] with axes as rows; None where they are global.

        Parameters
        ----------
        points : float64[..., 3]
            m.
        """
        return None

    def stiffness(
        self, temperature: FloatArray | float | None = None, axes: FloatArray | None = None
    ) -> FloatArray:
        """Tangent in global axes.

        Parameters
        ----------
        temperature : float or float64[...], optional
            K; needed where the material is tabulated.
        axes : float64[..., 3, 3], optional
            From `axes`; None for global axes.

        Returns
        -------
        float64[..., 6, 6]
            Pa, order xx yy zz xy yz xz, engineering shear; leading axes of both arguments.
        """
        local = self.material.stiffness(temperature)
        return local if axes is None else rotate_stiffness(local, axes)

    def scale(self, points: FloatArray) -> FloatArray:
        """What turns a cell's measure into a volume, float64[n] at points float64[n, 3].

        Thickness (m) of a plane section, area (m^2) of a bar, 1 of a solid; 1 in axisymmetric models
        too, whose circumference 2 pi x belongs to the integral.
        """
        return np.ones(len(points))

    def expansion_vector(
        self,
        temperature: FloatArray | float | None = None,
        axes: FloatArray | None = None,
        *,
        needed_by: str = "thermal strain",
    ) -> FloatArray:
        """Secant expansion in global axes, float64[..., 6], 1/K; see `Material.expansion_vector`."""
        local = self.material.expansion_vector(temperature, needed_by=needed_by)
        return local if axes is None else rotate_strain(local, axes)

    def thermal_strain(
        self,
        temperature: FloatArray | float,
        reference: float,
        axes: FloatArray | None = None,
        *,
        needed_by: str = "thermal strain",
    ) -> FloatArray:
        """Free thermal strain in global axes, float64[..., 6]; see `Material.thermal_strain`.

        In plane stress it goes with the condensed `stiffness` as it stands; in plane strain the
        out-of-plane component stays, and is held.
        """
        local = self.material.thermal_strain(temperature, reference, needed_by=needed_by)
        return local if axes is None else rotate_strain(local, axes)

    def conductivity_tensor(
        self, temperature: FloatArray | float | None = None, axes: FloatArray | None = None
    ) -> FloatArray:
        """Thermal conductivity in global axes, float64[..., 3, 3], W/(m K)."""
        local = self.material.conductivity_tensor(temperature)
        return local if axes is None else rotate_tensor(local, axes)

    def conductivity_slope(
        self, temperature: FloatArray | float, axes: FloatArray | None = None
    ) -> FloatArray:
        """Derivative of `conductivity_tensor` over temperature in global axes, float64[..., 3, 3]."""
        local = self.material.conductivity_slope(temperature)
        return local if axes is None else rotate_tensor(local, axes)

    def enthalpy(self, temperature: FloatArray | float) -> FloatArray:
        """Heat stored per volume above 0 degC, float64[...], J/m^3; see `Material.enthalpy`."""
        return self.material.enthalpy(temperature)

    def heat_capacity(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """Heat stored per volume and kelvin, float64[...], J/(m^3 K); see `Material.heat_capacity`."""
        return self.material.heat_capacity(temperature)

    def full_strain(
        self,
        strain: FloatArray,
        *,
        temperature: FloatArray | float | None = None,
        axes: FloatArray | None = None,
        thermal: FloatArray | None = None,
    ) -> FloatArray:
        """The strain with the components the kinematics leave out.

        Parameters
        ----------
        strain : float64[..., 6]
            From the displacement.
        temperature, axes
            As for `stiffness`.
        thermal : float64[..., 6], optional
            Free thermal strain.

        Returns
        -------
        float64[..., 6]
            In plane stress with the thinning zz that follows from zero stress; else as given.
        """
        return strain


@dataclass(frozen=True, kw_only=True, eq=False)
class _Continuum(Section):
    """Sections with axes and a choice of element formulation.

    `formulation`: "auto" takes B-bar or incompatible modes where a first-order element would lock,
    "full" none, "b-bar" and "incompatible" the one named.
    """

    formulation: Formulation = "auto"
    orientation: CoordinateSystem | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.formulation not in _FORMULATIONS:
            raise ModelError(
                f"{name}: formulation is {self.formulation!r}; it may be "
                f"{', '.join(map(repr, _FORMULATIONS))}"
            )
        if self.orientation is not None and not isinstance(self.orientation, CoordinateSystem):
            raise ModelError(
                f"{name}: orientation is {self.orientation!r}; Cartesian(x=, xy=) or Cylindrical(axis=) "
                "is wanted"
            )

    def axes(self, points: FloatArray) -> FloatArray | None:
        """See `Section.axes`."""
        return None if self.orientation is None else self.orientation.axes(points)


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid(_Continuum):
    """Solid cells in three dimensions.

    Parameters
    ----------
    material : Material
    formulation : "auto", "full", "b-bar" or "incompatible"
        Locking control of first-order hexahedra; "auto" chooses.
    orientation : CoordinateSystem, optional
        Axes of the material; those of the mesh where none is given.
    """

    kinematics = "solid"
    dimension = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneStress(_Continuum):
    """A sheet in the xy plane, free of stress through its thickness.

    Parameters
    ----------
    material, formulation, orientation
        See `Solid`.
    thickness : "5 mm"
    """

    thickness: MagnitudeLike

    kinematics = "plane_stress"
    dimension = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "thickness", _positive(self.thickness, "length", "PlaneStress thickness"))

    def scale(self, points: FloatArray) -> FloatArray:
        """See `Section.scale`."""
        return _at(self.thickness, points)

    def stiffness(
        self, temperature: FloatArray | float | None = None, axes: FloatArray | None = None
    ) -> FloatArray:
        """The tangent condensed for zero stress zz, yz, xz, whose rows and columns are zero."""
        full = super().stiffness(temperature, axes)
        _, condensed = _condense(full)
        out = np.zeros_like(full)
        out[..., _IN_PLANE[:, None], _IN_PLANE] = condensed
        return out

    def full_strain(
        self,
        strain: FloatArray,
        *,
        temperature: FloatArray | float | None = None,
        axes: FloatArray | None = None,
        thermal: FloatArray | None = None,
    ) -> FloatArray:
        """See `Section.full_strain`."""
        follow, _ = _condense(super().stiffness(temperature, axes))
        free = np.zeros_like(strain) if thermal is None else thermal
        elastic = (strain - free)[..., _IN_PLANE]
        out = np.array(np.broadcast_to(strain, np.broadcast_shapes(strain.shape, free.shape)))
        out[..., _OUT_OF_PLANE] = np.einsum("...ij,...j->...i", follow, elastic) + free[..., _OUT_OF_PLANE]
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneStrain(_Continuum):
    """A slice in the xy plane of a body that is long and held in z.

    Parameters
    ----------
    material, formulation, orientation
        See `Solid`.
    thickness : "1 m"
        Of the slice that carries the stated forces.
    """

    thickness: MagnitudeLike = "1 m"

    kinematics = "plane_strain"
    dimension = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "thickness", _positive(self.thickness, "length", "PlaneStrain thickness"))

    def scale(self, points: FloatArray) -> FloatArray:
        """See `Section.scale`."""
        return _at(self.thickness, points)


@dataclass(frozen=True, kw_only=True, eq=False)
class Axisymmetric(_Continuum):
    """A body of revolution: x is the radius, y the axis, z the hoop direction.

    Forces and heat are totals over the full circle.

    Parameters
    ----------
    material, formulation, orientation
        See `Solid`.
    """

    kinematics = "axisymmetric"
    dimension = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Truss(Section):
    """Bars that carry axial force only.

    Parameters
    ----------
    material : Material
    area : "20 mm2"
        Of the cross-section.
    """

    area: MagnitudeLike

    kinematics = "truss"
    dimension = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "area", _positive(self.area, "area", "Truss area"))

    def scale(self, points: FloatArray) -> FloatArray:
        """See `Section.scale`."""
        return _at(self.area, points)

    def axial_modulus(self, temperature: FloatArray | float | None = None) -> FloatArray:
        """Young's modulus along the bar, float64[...], Pa."""
        return self.material.axial_modulus(temperature)

    def stiffness(
        self, temperature: FloatArray | float | None = None, axes: FloatArray | None = None
    ) -> FloatArray:
        """Young's modulus in the xx place of the bar's axes, whose first row is its direction."""
        modulus = self.axial_modulus(temperature)
        local = np.zeros((*modulus.shape, 6, 6))
        local[..., 0, 0] = modulus
        return local if axes is None else rotate_stiffness(local, axes)


def section_of(given: Any) -> Section:
    """The section meant by a section or a bare material.

    Raises
    ------
    ModelError
        If it is neither.
    """
    if isinstance(given, Section):
        return given
    if isinstance(given, Material):
        return Solid(given)
    raise ModelError(
        f"a material or a section is wanted, such as material('S355') or PlaneStress(..., thickness='5 mm'); "
        f"got {given!r}"
    )


def _positive(value: MagnitudeLike, dimension: str, name: str) -> Magnitude:
    magnitude = Magnitude.of(value, dimension, name=name)
    if magnitude.kind not in ("constant", "field", "function"):
        raise ModelError(f"{name} is {magnitude}; it may be a constant or a field in space")
    if magnitude.values is not None and magnitude.values.min() <= 0.0:
        raise ModelError(f"{name} is {magnitude}; it must be positive")
    return magnitude


def _at(magnitude: MagnitudeLike, points: FloatArray) -> FloatArray:
    assert isinstance(magnitude, Magnitude)  # the constructor made it one
    return magnitude.at(points=points)


def _condense(full: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Out-of-plane elastic strain per in-plane strain, and the in-plane tangent."""
    aa = full[..., _IN_PLANE[:, None], _IN_PLANE]
    ab = full[..., _IN_PLANE[:, None], _OUT_OF_PLANE]
    bb = full[..., _OUT_OF_PLANE[:, None], _OUT_OF_PLANE]
    follow: FloatArray = -np.asarray(np.linalg.solve(bb, np.swapaxes(ab, -1, -2)), dtype=np.float64)
    return follow, aa + ab @ follow
