"""Cells of one load case, and how what they do changes with the places of their nodes.

The work of internal forces on an adjoint displacement psi, W = psi . (K u - f_thermal), is the integral
of strain(psi) : stress(u). Its slope over nodal coordinates follows from three integrals, which are in
``kernels.contraction``: the stress of u on the strain of psi, that of psi on the strain of u, and the work
over the volume.
Incompatible modes count as unknowns of their cell: with their amplitudes in psi too, nothing else is needed.

Source: Choi and Kim, Structural Sensitivity Analysis and Optimization 1 (2005), ch. 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from designtwin import parallel
from designtwin.assembly.cells import (
    CellBlock,
    PointTables,
    applied,
    conductivity_tensors,
    elastic_tensors,
    tables,
    thermal_strain,
)
from designtwin.kernels import contraction, volume
from designtwin.model.magnitude import nodal as nodal_field
from designtwin.model.model import LoadCase, Model
from designtwin.model.sections import Truss
from designtwin.typing import FloatArray, IntArray

_GRAIN = 256
_KELVIN = 1e-3
"""Half the step over which properties that depend on temperature are differenced."""
_DOUBLE_SHEAR = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


@dataclass(frozen=True, eq=False)
class Strained:
    """A displacement of the cells of one block: of the nodes, and of their incompatible modes.

    Parameters
    ----------
    nodal : float64[n_points, 3]
        m.
    amplitude : float64[n_cells, m, 3]
        m; m = 0 where there are no modes.
    """

    nodal: FloatArray
    amplitude: FloatArray
    memory: dict[str, FloatArray] = field(default_factory=dict, repr=False)
    """Strain and stress at the points of the rule, where they were asked for."""


@dataclass(frozen=True, eq=False)
class CaseCells:
    """The cells of one block in one load case: strain, stress, forces, and their slopes over coordinates.

    Parameters
    ----------
    model : Model
    case : LoadCase
        At one instant; its temperature counts.
    block : CellBlock
    solved : bool
        Whether that temperature is the answer of a thermal analysis.
    """

    model: Model
    case: LoadCase
    block: CellBlock
    solved: bool = False

    @cached_property
    def rule(self) -> PointTables:
        """Points of the stiffness rule."""
        return tables(self.block)

    @cached_property
    def _temperature(self) -> FloatArray | None:
        return None if self.case.temperature is None else self.case.temperature.at_nodes(self.model)

    def law(self, at: PointTables) -> tuple[FloatArray, IntArray, FloatArray | None]:
        """Elastic tensors [k, 6, 6], which holds where [n_cells, p], and the free thermal strain there."""
        tensor, which = elastic_tensors(self.model, self.block, at, self._temperature)
        return tensor, which, thermal_strain(self.model, self.block, at, self.case)

    def stress_over_temperature(self, at: PointTables, strain: FloatArray) -> FloatArray:
        """How stress changes with the temperature at points, strain fixed, float64[n_cells, p, 6], Pa/K.

        By differences: tables are linear between their knots, and constants have none.
        """
        assert self._temperature is not None
        ends = []
        for by in (_KELVIN, -_KELVIN):
            assert self.case.temperature is not None
            state = replace(self.case.temperature, value=nodal_field(self._temperature + by))
            beside = replace(self, case=replace(self.case, temperature=state))
            tensor, which, free = beside.law(at)
            assert free is not None
            ends.append(applied(tensor, which, strain - free))
        return np.asarray((ends[0] - ends[1]) / (2.0 * _KELVIN))

    @cached_property
    def _law(self) -> tuple[FloatArray, IntArray, FloatArray | None]:
        return self.law(self.rule)

    @cached_property
    def measure(self) -> FloatArray:
        """Volume each point of the rule stands for, float64[n_cells, q], m^3."""
        return self.measured(self.rule)

    def measured(self, at: PointTables) -> FloatArray:
        """Volume each point stands for, float64[n_cells, p], m^3."""
        out, block = np.empty((len(self.block.conn), len(at.xi))), self.block

        def cells(start: int, stop: int) -> None:
            volume.measures(
                self.model.mesh.points, block.conn[start:stop], at.shape, at.gradient, at.weight,
                block.kind, block.scale[start:stop], out[start:stop],
            )  # fmt: skip

        parallel.run(cells, len(out), grain=_GRAIN)
        return out

    @cached_property
    def _center(self) -> FloatArray:
        return np.asarray(self.block.element.gradient(self.block.element.center)[0])

    @cached_property
    def _direction(self) -> FloatArray:
        """Of bars: what takes their axial strain from a strain, float64[n_cells, 6]."""
        t = self.model.mesh.points[self.block.conn[:, 1]] - self.model.mesh.points[self.block.conn[:, 0]]
        x, y, z = (t / np.linalg.norm(t, axis=1)[:, None]).T
        return np.stack([x * x, y * y, z * z, x * y, y * z, x * z], axis=1)

    @property
    def _is_bar(self) -> bool:
        return isinstance(self.block.section, Truss)

    @property
    def no_modes(self) -> FloatArray:
        """Amplitudes of zero."""
        return np.zeros((len(self.block.conn), self.rule.modes.shape[1], 3))

    # Displacements

    def displaced(
        self, nodal: FloatArray, *, warmed: bool = False, mode_load: FloatArray | None = None
    ) -> Strained:
        """Nodal displacements with the amplitudes of modes that balance them.

        Parameters
        ----------
        nodal : float64[n_points, 3]
        warmed : bool
            Whether the case's thermal strain moves the modes too.
        mode_load : float64[n_cells, m, 3], optional
            Forces on the modes.
        """
        amplitude = self.no_modes
        if not amplitude.size:
            return Strained(nodal, amplitude)
        tensor, which, free = self._law
        strain = self.strain(self.rule, Strained(nodal, amplitude))
        if warmed and free is not None:
            strain = strain - free
        load = np.zeros_like(amplitude) if mode_load is None else mode_load
        self._solve_modes(applied(tensor, which, strain), load, amplitude)
        return Strained(nodal, amplitude)

    def condensed(self, forces: FloatArray, mode_forces: FloatArray) -> FloatArray:
        """Forces on the nodes [n_cells, n, 3] together with those that modes pass on to them."""
        if not mode_forces.size:
            return forces
        tensor, which, _ = self._law
        amplitude = self.no_modes
        none = np.zeros((*self.measure.shape, 6))
        self._solve_modes(none, mode_forces, amplitude)
        nothing = np.zeros_like(self.model.mesh.points)
        stress = applied(tensor, which, self.strain(self.rule, Strained(nothing, amplitude)))
        passed, _ = self.forces(self.rule, stress * self.measure[..., None])
        return np.asarray(forces - passed)

    def _solve_modes(self, stress: FloatArray, load: FloatArray, out: FloatArray) -> None:
        tensor, which, _ = self._law
        block, rule = self.block, self.rule

        def cells(start: int, stop: int) -> None:
            contraction.mode_amplitudes(
                start, stop, self.model.mesh.points, block.conn, rule.gradient, rule.weight, rule.modes,
                self._center, block.scale, tensor, which, stress, load, out,
            )  # fmt: skip

        parallel.run(cells, len(out), grain=_GRAIN)

    # Strain, its transpose and its slope

    def _tables(self, at: PointTables) -> tuple[FloatArray, ...]:
        return at.shape, at.gradient, at.modes

    @cached_property
    def _arguments(self) -> tuple[object, ...]:
        block, rule = self.block, self.rule
        return (
            self.model.mesh.points, block.conn, rule.shape, rule.gradient, rule.weight, rule.modes,
            self._center, block.kind, block.bbar,
        )  # fmt: skip

    def strain(self, at: PointTables, of: Strained) -> FloatArray:
        """Strain at points, float64[n_cells, p, 6]; of bars what is along them alone."""
        out = np.empty((len(self.block.conn), len(at.xi), 6))
        parallel.run(
            contraction.strains, len(out), *self._arguments, *self._tables(at), _c(of.nodal), of.amplitude,
            out, grain=_GRAIN,
        )  # fmt: skip
        if self._is_bar:
            axial = np.einsum("cqi,ci->cq", out, self._direction)
            out = axial[..., None] * (self._direction * _DOUBLE_SHEAR)[:, None]
        return out

    def strained(self, of: Strained, *, warmed: bool = False) -> tuple[FloatArray, FloatArray]:
        """Strain and stress at the points of the rule, float64[n_cells, q, 6] each.

        Parameters
        ----------
        warmed : bool
            Whether the case's thermal strain counts.
        """
        stress = "stress, warmed" if warmed else "stress"
        if "strain" not in of.memory:
            of.memory["strain"] = self.strain(self.rule, of)
        strain = of.memory["strain"]
        if stress not in of.memory:
            tensor, which, free = self._law
            elastic = strain - free if warmed and free is not None else strain
            of.memory[stress] = applied(tensor, which, elastic)
        return strain, of.memory[stress]

    def forces(self, at: PointTables, stress: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Forces of a stress (weights in it) on nodes [n_cells, n, 3] and modes [n_cells, m, 3].

        The transpose of ``strain``.
        """
        if self._is_bar:
            axial = np.einsum("cqi,ci->cq", stress, self._direction * _DOUBLE_SHEAR)
            stress = axial[..., None] * self._direction[:, None]
        out, modes = np.empty((*self.block.conn.shape, 3)), self.no_modes
        parallel.run(
            contraction.strain_forces, len(out), *self._arguments, *self._tables(at), _c(stress), out, modes,
            grain=_GRAIN,
        )  # fmt: skip
        return out, modes

    def strain_slope(self, at: PointTables, stress: FloatArray, of: Strained) -> FloatArray:
        """How the sum of stress : strain over points changes with coordinates, float64[n_cells, n, 3]."""
        return self._slope(at, [(stress, of)], np.zeros(stress.shape[:2]))

    def work_slope(self, psi: Strained, u: Strained) -> tuple[FloatArray, FloatArray]:
        """Work that the stress of u, warmth included, does on psi at each point, float64[n_cells, q], J, and
        how it changes with coordinates, both displacements fixed, float64[n_cells, n, 3], N."""
        (_, stress), (strain, other) = self.strained(u, warmed=True), self.strained(psi)
        dv = self.measure[..., None]
        work = (stress * strain).sum(axis=2) * self.measure
        return work, self._slope(self.rule, [(stress * dv, psi), (other * dv, u)], work)

    def _slope(
        self, at: PointTables, pairs: Sequence[tuple[FloatArray, Strained]], work: FloatArray
    ) -> FloatArray:
        """Sums of stress : strain, and of what changes as the volume does, in one turn over the cells."""
        out = np.zeros((*self.block.conn.shape, 3))
        if self._is_bar:
            for stress, of in pairs:
                axial = np.einsum("cqi,ci->cq", stress, self._direction * _DOUBLE_SHEAR)
                self._bar_slope(at, axial, of, out)
            pairs = [(np.zeros((*work.shape, 6)), pairs[0][1])]
        parallel.run(
            contraction.strain_slope, len(out), *self._arguments, *self._tables(at),
            np.stack([stress for stress, _ in pairs]), np.stack([of.nodal for _, of in pairs]),
            np.stack([of.amplitude for _, of in pairs]), work, out, grain=_GRAIN,
        )  # fmt: skip
        return out

    def _bar_slope(self, at: PointTables, axial: FloatArray, of: Strained, out: FloatArray) -> None:
        """Of bars: strain = (e . du)(e . t) / t^2, e along the chord, t and du over natural length."""
        x, u = self.model.mesh.points[self.block.conn], of.nodal[self.block.conn]
        chord = x[:, 1] - x[:, 0]
        length = np.linalg.norm(chord, axis=1)[:, None]
        e = chord / length
        for q in range(len(at.xi)):
            dn = at.gradient[q, :, 0]
            t, du = np.einsum("a,cai->ci", dn, x), np.einsum("a,cai->ci", dn, u)
            square = (t * t).sum(axis=1)[:, None]
            along_u, along_t = (e * du).sum(axis=1)[:, None], (e * t).sum(axis=1)[:, None]
            work = axial[:, q][:, None]
            by_t = work * along_u * (e / square - 2.0 * along_t * t / square**2)
            by_e = work * (du * along_t + along_u * t) / square
            by_chord = (by_e - (by_e * e).sum(axis=1)[:, None] * e) / length
            out += dn[None, :, None] * by_t[:, None, :]
            out[:, 1] += by_chord
            out[:, 0] -= by_chord

    def turn_slope(self, left: FloatArray, stress: FloatArray) -> FloatArray | None:
        """Of bars, how left . stress changes as they turn, summed over points, float64[n_cells, n, 3]."""
        if not self._is_bar:
            return None
        x = self.model.mesh.points[self.block.conn]
        chord = x[:, 1] - x[:, 0]
        length = np.linalg.norm(chord, axis=1)[:, None]
        e = chord / length
        axial = np.einsum("cpi,ci->cp", stress, self._direction * _DOUBLE_SHEAR)
        form = tensors(np.einsum("cp,cpi->ci", axial, left), shear=0.5)
        by_e = 2.0 * np.einsum("cij,cj->ci", form, e)
        by_chord = (by_e - (by_e * e).sum(axis=1)[:, None] * e) / length
        out = np.zeros((*self.block.conn.shape, 3))
        out[:, 1], out[:, 0] = by_chord, -by_chord
        return out

    def volume_slope(self, at: PointTables, density: FloatArray) -> FloatArray:
        """How the integral of a density [n_cells, p] changes with coordinates, float64[n_cells, n, 3]."""
        out, block = np.zeros((*self.block.conn.shape, 3)), self.block
        parallel.run(
            contraction.volume_slope, len(out), self.model.mesh.points, block.conn, at.shape, at.gradient,
            at.weight, block.kind, block.scale, _c(density), out, grain=_GRAIN,
        )  # fmt: skip
        return out

    # Heat

    def gradient(self, at: PointTables, nodal: FloatArray) -> FloatArray:
        """Gradient of a nodal scalar at points, float64[n_cells, p, 3]."""
        out, block = np.empty((len(self.block.conn), len(at.xi), 3)), self.block

        def cells(start: int, stop: int) -> None:
            volume.scalar_gradient(
                self.model.mesh.points, block.conn[start:stop], at.gradient, nodal, out[start:stop]
            )

        parallel.run(cells, len(out), grain=_GRAIN)
        return out

    def flux_slope(self, at: PointTables, flux: FloatArray, nodal: FloatArray) -> FloatArray:
        """How the sum of flux . gradient over points changes with coordinates, float64[n_cells, n, 3]."""
        out, none = np.zeros((*self.block.conn.shape, 3)), np.zeros((len(self.block.conn), 0, 3))
        block, d = self.block, self.block.element.dimension
        no_modes = np.zeros((len(at.xi), 0, d))
        parallel.run(
            contraction.strain_slope, len(out), self.model.mesh.points, block.conn, at.shape, at.gradient,
            at.weight, no_modes, self._center, 0, False, at.shape, at.gradient, no_modes,
            flux_as_stress(flux)[None], scalar(nodal)[None], none[None], np.zeros(flux.shape[:2]), out,
            grain=_GRAIN,
        )  # fmt: skip
        return out

    def add_conducted(
        self, one: FloatArray, other: FloatArray, work: FloatArray, conducted: FloatArray
    ) -> None:
        """Add what heat that flows by temperatures ``other`` does on the gradient of ``one``, at the points
        of the rule: see ``kernels.contraction.conducted_work``.

        Parameters
        ----------
        one, other : float64[n_points, t]
            At instants of one conductivity: that of the first.
        """
        tensor, which = conductivity_tensors(self.model, self.block, self.rule, other[:, 0])
        parallel.run(
            contraction.conducted_work, len(work), self.model.mesh.points, self.block.conn,
            self.rule.gradient, tensor, which, one, other, work, conducted, grain=_GRAIN,
        )  # fmt: skip

    def gradient_slope(self, at: PointTables, work: FloatArray) -> FloatArray:
        """How products of gradients at points change with coordinates, float64[n_cells, n, 3]: minus the sum
        of work [n_cells, p, 3, 3] : gradient of the nodes' motion."""
        out, block = np.zeros((*self.block.conn.shape, 3)), self.block
        parallel.run(
            contraction.gradient_slope, len(out), self.model.mesh.points, block.conn, at.gradient, _c(work),
            out, grain=_GRAIN,
        )  # fmt: skip
        return out

    def add_up(self, values: FloatArray, out: FloatArray) -> None:
        """Add values at the nodes of cells [n_cells, n, 3] to nodal ones [n_points, 3]."""
        contraction.add_up(self.block.conn, values, out)


def tensors(components: FloatArray, *, shear: float) -> FloatArray:
    """Symmetric tensors float64[n, 3, 3] of components [n, 6], shear times a factor."""
    xx, yy, zz, xy, yz, xz = (components * [1.0, 1.0, 1.0, shear, shear, shear]).T
    return np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=1).reshape(-1, 3, 3)


def scalar(nodal: FloatArray) -> FloatArray:
    """A nodal scalar as the first component of a vector, so that its gradient is a row of a tensor."""
    out = np.zeros((len(nodal), 3))
    out[:, 0] = nodal
    return out


def flux_as_stress(flux: FloatArray) -> FloatArray:
    """A flux [..., 3] as the stress that does its work on the gradient of a `scalar`, [..., 6]."""
    out = np.zeros((*flux.shape[:-1], 6))
    out[..., [0, 3, 5]] = flux
    return out


def _c(array: FloatArray) -> FloatArray:
    return np.ascontiguousarray(array)
