"""Displacement, stress, reactions and their errors of static load cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from designtwin.assembly import CellBlock, PointTables, elastic_tensors, strain_at, tables
from designtwin.elements import ELEMENTS, ReferenceElement, sampling
from designtwin.errors import DesignTwinError
from designtwin.model.model import LoadCase, Model
from designtwin.results import stress as tensor
from designtwin.results.common import CaseResult, Field, SolveInfo
from designtwin.results.recovery import Recovery
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.mesh.selections import Selection

STRAIGHT = 1e-9
"""Share of its edge by which a mid-side node may be off the middle of a straight one."""
_FACTORS = {
    "triangle": (0.0, 0.0, 0.13, 1.2, 0.0, 0.44),
    "tetra": (0.0, -0.1, 0.36, 0.62, 0.15, 0.1),
    "wedge": (0.0, -0.15, 0.16, 1.2, 0.33, 0.13),  # and pyramids
    "quad": (0.25, -0.6, 1.6, 0.05, 0.15, 1.2),
    "hexahedron": (0.35, -0.95, 0.05, 1.1, 0.1, 0.8),
    "plane": (-0.3, -0.25, 0.1, 0.31, 0.1, 1.4),  # quadratic
    "solid": (-0.47, -0.2, 0.4, 0.23, 0.0, 1.4),
    "solid wedge": (-0.47, -0.2, 0.95, 0.55, 0.0, 3.4),  # and pyramids
}
"""What the two estimates of the error (against the cells' own stress, against the neighbors) add to the
center of expected stress, and to its radius; last what they add times their share in the stress."""
_FROM_AFAR = 0.3
"""What errors elsewhere in the part add to the radius."""
_PLACES = "'points', 'recovered', 'averaged', 'cell_points', 'samples'"


@dataclass(frozen=True, eq=False, repr=False)
class StaticCase(CaseResult):
    """Answer of one load case.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    displacement : float64[n_points, 3]
        m.
    reactions : float64[n_points, 3]
        Forces of supports, springs and foundations on the part, N.
    applied, applied_moment : float64[3]
        Resultant of the loads, N, and its moment about the origin, N m.
    residual : float
        Unbalanced force over applied force at free unknowns.
    imbalance : float
        Sum of loads and reactions over the largest force involved.
    info : SolveInfo
    case : LoadCase, optional
        What was solved; None for a combination.
    parts : tuple of (factor, StaticCase)
        What a combination superposes.
    time : float, optional
        The instant of a history, s.
    """

    name: str
    model: Model
    recovery: Recovery
    displacement: FloatArray
    reactions: FloatArray
    applied: FloatArray
    applied_moment: FloatArray
    residual: float
    imbalance: float
    info: SolveInfo
    case: LoadCase | None = None
    parts: tuple[tuple[float, StaticCase], ...] = field(default=())
    time: float | None = None

    @classmethod
    def superposed(
        cls, name: str, model: Model, parts: Sequence[tuple[float, StaticCase]], *, time: float | None = None
    ) -> StaticCase:
        """A linear combination of cases; costs no solve."""
        return StaticCase(
            name=name,
            model=model,
            recovery=parts[0][1].recovery,
            displacement=np.asarray(sum(f * c.displacement for f, c in parts)),
            reactions=np.asarray(sum(f * c.reactions for f, c in parts)),
            applied=np.asarray(sum(f * c.applied for f, c in parts)),
            applied_moment=np.asarray(sum(f * c.applied_moment for f, c in parts)),
            residual=max(c.residual for _, c in parts),
            imbalance=max(c.imbalance for _, c in parts),
            info=parts[0][1].info,
            parts=tuple(parts),
            time=time,
        )

    def _sampled(self, *, strain: bool = False) -> FloatArray:
        """Stress (or strain) at all sampling points, float64[s, 6]; not kept, as it is the largest field."""
        if self.parts:
            return np.asarray(sum(factor * case._sampled(strain=strain) for factor, case in self.parts))

        def values(block: CellBlock, at: PointTables) -> FloatArray:
            return self._at_tables(block, at)[0 if strain else 1]

        return self.recovery.sampled(values, 6)

    def _at_tables(self, block: CellBlock, at: PointTables) -> tuple[FloatArray, FloatArray]:
        """Strain and stress of cells at table points, float64[n, q, 6] each."""
        assert self.case is not None
        return strain_at(self.model, self.case, block, at, self.displacement)

    def stress_at(self, block: CellBlock, at: PointTables) -> FloatArray:
        """Cauchy stress of cells at table points, float64[n_cells, q, 6], Pa; of combinations too."""
        if self.parts:
            return np.asarray(sum(factor * case.stress_at(block, at) for factor, case in self.parts))
        return self._at_tables(block, at)[1]

    def _linear_inside(self, block: CellBlock, at: PointTables, *, uniform: bool) -> FloatArray:
        """Stress of cells at table points, float64[n, q, 6]; in straight simplices read from their samples.

        There it is linear as long as the material is uniform and nothing warms it, and their samples are
        fewer than the points of a rule that is exact for its square.
        """
        element = block.element
        if not uniform or block.kind or self.case is None or self.case.temperature is not None:
            return self._at_tables(block, at)[1]
        if element.linear not in ("triangle", "tetra"):
            return self._at_tables(block, at)[1]
        rule, extrapolation = sampling(element.name)
        to_points = ELEMENTS[element.linear].shape(at.xi) @ extrapolation[: element.corners]
        stress = to_points @ self._at_tables(block, tables(block, rule))[1]
        x = self.mesh.points[block.conn]
        bent = np.zeros(len(x), bool)
        for i, (a, b) in enumerate(element.edges):
            off = np.abs(x[:, element.corners + i] - 0.5 * (x[:, a] + x[:, b])).max(axis=1)
            bent |= off > STRAIGHT * np.abs(x[:, a] - x[:, b]).max(axis=1)
        if bent.any():
            some = replace(block, cells=block.cells[bent], conn=block.conn[bent], scale=block.scale[bent])
            stress[bent] = self._at_tables(some, at)[1]
        return stress

    @cached_property
    def _recovered(self) -> FloatArray:
        return self.recovery.recovered(self._sampled())

    @cached_property
    def _averaged(self) -> FloatArray:
        return self.recovery.mean(self._sampled())

    @cached_property
    def _nodal(self) -> FloatArray:
        return self._recovered_to_nodes()

    def _recovered_to_nodes(self) -> FloatArray:
        return self.recovery.nodal(self._sampled())

    def stress(self, at: str = "points") -> FloatArray | Sequence[FloatArray]:
        """Cauchy stress xx yy zz xy yz xz, Pa.

        Parameters
        ----------
        at : str
            ``"points"``: at the rows of ``points``, float64[k, 6]; see ``Recovery.nodal``;
            ``"recovered"``: the polynomials of the patches at each row, float64[k, 6];
            ``"averaged"``: mean over the cells of a part at each row, float64[k, 6];
            ``"cell_points"``: each cell's own at its nodes, one float64[n_cells, n_nodes, 6] per block;
            ``"samples"``: at the sampling points, one float64[n_cells, s, 6] per block.
        """
        if at == "points":
            return self._nodal
        if at == "recovered":
            return self._recovered
        if at == "averaged":
            return self._averaged
        return self._read(self._sampled(), at, "stress")

    def strain(self, at: str = "points") -> FloatArray | Sequence[FloatArray]:
        """Total strain, engineering shear; ``at`` as in ``stress``."""
        return self._read(self._sampled(strain=True), at, "strain")

    def _read(self, samples: FloatArray, at: str, name: str) -> FloatArray | Sequence[FloatArray]:
        if at == "points":
            return self.recovery.nodal(samples)
        if at == "recovered":
            return self.recovery.recovered(samples)
        if at == "averaged":
            return self.recovery.mean(samples)
        if at == "cell_points":
            return self.recovery.at_cell_nodes(samples)
        if at in ("samples", "integration_points"):
            return self.recovery.split(samples)
        raise DesignTwinError(f"{name} at {at!r}? Say one of {_PLACES}")

    def von_mises(self) -> FloatArray:
        """Von Mises stress at the rows of ``points``, float64[k], Pa."""
        return tensor.von_mises(self._nodal)

    def tresca(self) -> FloatArray:
        """Tresca stress at the rows of ``points``, float64[k], Pa."""
        return tensor.tresca(self._nodal)

    def principal(self) -> FloatArray:
        """Principal stresses at the rows of ``points``, largest first, float64[k, 3], Pa."""
        return tensor.principal(self._nodal)

    def jump(self) -> FloatArray:
        """Largest disagreement of the cells around each row in any stress component, float64[k], Pa."""
        _, low, high = self.recovery.averaged(self._sampled())
        return np.asarray((high - low).max(axis=1))

    @cached_property
    def _expected(self) -> tuple[FloatArray, FloatArray]:
        """See ``expected_stress``; the center is kept as what it adds to the stress at ``points``.

        Two estimates of the error are at hand. The stress of the cells themselves, averaged, differs from the
        recovered one; and the recovered stress at a node differs from what its neighbors lead one to expect
        (``Recovery.against_neighbors``), because a polynomial fitted to a patch blunts what is sharper. Their
        parts with a sign move the center, which sharpens the stress again (twicing: Tukey, Exploratory Data
        Analysis (1977), ch. 16); their norms, root mean squares over the worst cell around as both may vanish
        at a node by chance, make the radius. To it adds what errors elsewhere in the part do here
        (pollution: Babuska, Strouboulis et al., IJNME 38 (1995) 4207-4235): the error of each cell times its
        share in the stress there, over the distance to the power of the dimension, as stress falls off from a
        pair of forces.

        Sharpening may go the wrong way, so the radius holds the stress as it was recovered, by as much on its
        other side for quadratic cells; it grows with the stretch of the cells, along which patches see less.

        The factors (``_FACTORS``) were fitted to NAFEMS LE1, LE10, Kirsch's plate and Lame's sphere
        (``tests/verification/intervals.py``) and widened by what other problems asked for (``elsewhere.py``
        there, which tells how many of these are held). A mesh that does not see a notch does not see its
        error either.
        """
        recovered = self._recovered
        off = recovered - self.recovery.mean(self._sampled())
        bend = self.recovery.against_neighbors(recovered)
        factors, quadratic = np.empty((len(off), 6)), np.zeros(len(off), bool)
        for block, (_, _, rows) in zip(self.recovery.blocks, self.points.cells, strict=True):
            factors[rows] = _factors(block.element)
            quadratic[rows] = block.element.degree > 1
        by_off, by_bend, of_off, of_bend, of_steep_off, of_steep_bend = factors.T
        sharper = by_off[:, None] * off + by_bend[:, None] * bend
        distance, bent, level = tensor.norm(off), tensor.norm(bend), tensor.norm(recovered)
        per_cell = self.recovery.over_cells(np.stack([distance, level], axis=1))
        afar = self.recovery.from_afar(per_cell[:, 0] * _share(per_cell[:, 0], per_cell[:, 1]))
        around, level = self.recovery.largest_around(per_cell)[:, :2].T
        bent_around = self.recovery.over_cells(np.stack([bent, bent], axis=1))
        bent = np.maximum(bent, self.recovery.largest_around(bent_around)[:, 0])
        distance = np.maximum(distance, around)
        radius = of_off * distance + of_steep_off * distance * _share(distance, level)
        radius += of_bend * bent + of_steep_bend * bent * _share(bent, level)
        radius += _FROM_AFAR * afar + np.where(quadratic, 1.0, 0.5) * tensor.norm(sharper)
        return sharper, np.asarray(radius * self.recovery.stretch)

    def expected_stress(self) -> tuple[FloatArray, FloatArray]:
        """Where the exact stress tensor is expected: within a radius (Frobenius norm) about a center.

        Returns
        -------
        center : float64[k, 6]
            At the rows of ``points``, Pa; sharper than ``stress`` where the mesh is coarse.
        radius : float64[k]
            Pa. A component, a principal stress, the von Mises (times sqrt 1.5) and the Tresca stress (times
            sqrt 2) are off from those of the center by this at most.
        """
        sharper, radius = self._expected
        return self._nodal + sharper, radius

    @cached_property
    def _tensor_error(self) -> FloatArray:
        sharper, radius = self._expected
        return np.asarray(radius + tensor.norm(sharper))

    def stress_tensor_error(self) -> FloatArray:
        """Half-width of the stress tensor at the rows of ``points``, float64[k], Pa: the Frobenius norm of
        what it may be off by, which bounds its components and its principal stresses."""
        return self._tensor_error

    def _interval(
        self, of: Callable[[FloatArray], FloatArray], times: float = 1.0
    ) -> Callable[[], tuple[FloatArray, FloatArray]]:
        """What gives the ends of the interval of a number that tells of a tensor, and changes no faster than
        so many times the tensor."""

        def ends() -> tuple[FloatArray, FloatArray]:
            center, radius = self.expected_stress()
            value = of(center)
            return value - times * radius, value + times * radius

        return ends

    def stress_error(self) -> FloatArray:
        """Half-width of the von Mises stress at the rows of ``points``, float64[k], Pa."""
        # A tensor off by d (Frobenius) is off by at most this in von Mises stress, sqrt(2) d in Tresca's.
        return np.asarray(np.sqrt(1.5) * self._tensor_error)

    @cached_property
    def energy_error(self) -> float:
        """Estimated error in the energy norm over the energy norm of the solution.

        Source: Zienkiewicz and Zhu, IJNME 24 (1987) 337-357, with the recovered stress.
        """
        if self.parts:
            # The energy of a combination is no sum; its cases bound it.
            return max(case.energy_error for _, case in self.parts)
        assert self.case is not None
        temperature = None if self.case.temperature is None else self.case.temperature.at_nodes(self.model)

        def own(block: CellBlock, at: PointTables) -> tuple[FloatArray, FloatArray, IntArray]:
            elastic, elastic_of = elastic_tensors(self.model, block, at, temperature)
            stress = self._linear_inside(block, at, uniform=len(elastic) == 1)
            return stress, np.asarray(np.linalg.pinv(elastic), np.float64), elastic_of

        error, energy = self.recovery.energies(self._recovered, own)
        return float(np.sqrt(error / energy)) if energy > 0.0 else 0.0

    def yield_strength(self) -> FloatArray:
        """Yield strength at the rows of ``points``, float64[k], Pa; temperature of the case respected.

        Raises
        ------
        MissingPropertyError
            If a part's material does not state it.
        """
        return self._strength("yield_strength")

    def _strength(self, name: str) -> FloatArray:
        if self.parts:
            return np.asarray(np.min([case._strength(name) for _, case in self.parts], axis=0))
        out = np.empty(len(self.points))
        temperature = None
        if self.case is not None and self.case.temperature is not None:
            temperature = self.case.temperature.at_nodes(self.model)[self.points.node]
        for index, part in enumerate(self.model.parts):
            rows = self.points.part == index
            if rows.any():
                local = None if temperature is None else temperature[rows]
                out[rows] = part.section.material.at(name, local, test="the yield margin")
        return out

    def safety_factor(self) -> FloatArray:
        """Yield strength over von Mises stress at the rows of ``points``, float64[k]; inf without stress."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.yield_strength() / self.von_mises())

    def reaction(self, on: str | Selection) -> FloatArray:
        """Force of the supports on the part over a selection, float64[3], N."""
        return np.asarray(self.reactions[self.model.region(on).nodes].sum(axis=0))

    def _equivalent(self, name: str) -> Callable[[], tuple[FloatArray, FloatArray]]:
        """What gives the ends of the interval of the von Mises or the Tresca stress, never negative."""
        of, times = {"von_mises": (tensor.von_mises, 1.5), "tresca": (tensor.tresca, 2.0)}[name]

        def ends() -> tuple[FloatArray, FloatArray]:
            low, high = self._interval(of, np.sqrt(times))()
            return np.maximum(low, 0.0), high

        return ends

    @property
    def field_names(self) -> tuple[str, ...]:
        names = ["displacement", "ux", "uy", "uz", "von_mises", "tresca"]
        names += [f"principal_{i}" for i in (1, 2, 3)]
        names += [f"stress_{c}" for c in tensor.COMPONENTS] + [f"strain_{c}" for c in tensor.COMPONENTS]
        if all(part.section.material.magnitude("yield_strength") is not None for part in self.model.parts):
            names.append("safety_factor")
        if self.case is not None and self.case.temperature is not None:
            names.append("temperature")
        return tuple(names)

    def field(self, name: str) -> Field:
        """A field by name: displacement, ux, uy, uz, von_mises, tresca, principal_1..3, safety_factor,
        stress_xx .. stress_xz, strain_xx .. strain_xz, temperature."""
        if name in ("displacement", "ux", "uy", "uz"):
            if name == "displacement":
                values = self.displacement
                title = "Displacement"
            else:
                values = self.displacement[:, "xyz".index(name[1])]
                title = f"Displacement {name[1]}"
            return Field(name, title, values, "length", "points", lambda: self.displacement_error)
        if name == "von_mises":
            return Field(
                name, "Von Mises stress", self.von_mises(), "pressure", interval=self._equivalent(name)
            )
        if name == "tresca":
            return Field(name, "Tresca stress", self.tresca(), "pressure", interval=self._equivalent(name))
        if name.startswith("principal_") and name[10:] in ("1", "2", "3"):
            i = int(name[10:])
            values = self.principal()[:, i - 1]
            of = self._interval(lambda stress: tensor.principal(stress)[:, i - 1])
            return Field(name, f"Principal stress {i}", values, "pressure", interval=of)
        if name.startswith("stress_") and name[7:] in tensor.COMPONENTS:
            i = tensor.COMPONENTS.index(name[7:])
            of = self._interval(lambda stress: stress[:, i], 1.0 if i < 3 else np.sqrt(0.5))
            return Field(name, f"Stress {name[7:]}", self._nodal[:, i], "pressure", interval=of)
        if name.startswith("strain_") and name[7:] in tensor.COMPONENTS:
            i = tensor.COMPONENTS.index(name[7:])
            strain = self.strain()
            assert isinstance(strain, np.ndarray)
            return Field(name, f"Strain {name[7:]}", strain[:, i], "strain")
        if name == "safety_factor":
            strength, value = self.yield_strength(), self.von_mises()
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = strength / value

            def ends() -> tuple[FloatArray, FloatArray]:
                low, high = self._equivalent("von_mises")()
                with np.errstate(divide="ignore"):
                    return strength / high, strength / low

            return Field(name, "Safety factor to yield", factor, "dimensionless", interval=ends)
        if name == "temperature" and self.case is not None and self.case.temperature is not None:
            values = self.case.temperature.at_nodes(self.model)
            return Field(name, "Temperature", values, "temperature", "points")
        raise DesignTwinError(f"there is no field {name!r}; there are: {', '.join(self.field_names)}")

    @cached_property
    def displacement_error(self) -> FloatArray:
        """Half-width of the displacement at the mesh points, float64[n_points], m.

        It bounds the length of the error vector, hence each component and the magnitude.
        What the whole part adds goes with the energy error squared (three times that, of the largest
        displacement). What the cells around a node add is 4.8 times the error of their strain over their size
        (a corner where loads meet a free side asks for that), times 2.3 times the root of its share in the
        strain, one at most: smooth fields are much more accurate at nodes than within cells.
        """
        largest = float(np.linalg.norm(self.displacement, axis=1).max())
        out = np.zeros(self.mesh.n_points)
        strain = self._sampled(strain=True)
        recovered = self.recovery.recovered(strain) * tensor.ENGINEERING
        distance = tensor.norm(recovered - self.recovery.mean(strain) * tensor.ENGINEERING)
        per_cell = self.recovery.over_cells(np.stack([distance, tensor.norm(recovered)], axis=1))
        own = (
            4.8 * per_cell[:, 2] * per_cell[:, 3] * np.minimum(2.3 * np.sqrt(_share(*per_cell[:, :2].T)), 1.0)
        )
        np.maximum.at(out, self.points.node, self.recovery.largest_around(own[:, None])[:, 0])
        return out + 3.0 * self.energy_error**2 * largest


def _factors(element: ReferenceElement) -> tuple[float, ...]:
    if element.degree > 1:
        slanted = element.linear in ("wedge", "pyramid")
        return _FACTORS["plane" if element.dimension == 2 else "solid wedge" if slanted else "solid"]
    return _FACTORS.get(element.linear, _FACTORS["wedge"])


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Part over whole, 1 at most; 0 where there is nothing."""
    return np.divide(part, np.maximum(whole, part), out=np.zeros_like(part), where=part > 0.0)
