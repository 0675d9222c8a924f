"""How the arrays of a model move with design variables: the model's side of a gradient.

A user's function builds a model from variables. Differenced once, on one topology, it says how nodal
coordinates, thicknesses, densities, loads and supports move with each variable; what answers to them is in
``results.sensitivity``. Places are linear or nearly so in the variables, so that central differences leave a
share of the step squared.

Source: Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), sec. 7.2 (semi-analytical).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse

from designtwin.assembly.cells import (
    CellBlock,
    PointTables,
    axes_at,
    conductivity_tensors,
    elastic_tensors,
    thermal_strain,
)
from designtwin.assembly.constraints import connected
from designtwin.assembly.heat import heat_map, heat_put_in
from designtwin.assembly.topology import Topology
from designtwin.assembly.unknowns import AffineMap, DofMap, static_map
from designtwin.errors import ModelError, TopologyError
from designtwin.model.connections import linked_nodes
from designtwin.model.domains import said
from designtwin.model.model import LoadCase, Model
from designtwin.model.sections import Truss
from designtwin.model.supports import InertiaRelief
from designtwin.typing import BoolArray, FloatArray, SparseMatrix


@dataclass(frozen=True, eq=False)
class Pair:
    """Two designs beside the one looked at, that differ from it in one variable alone.

    Parameters
    ----------
    plus, minus : Model
    step : float
        From minus to plus, in the unit of the variable; at a bound one of them is the design itself.
    """

    plus: Model
    minus: Model
    step: float


@dataclass(frozen=True, eq=False)
class Directions:
    """How a model moves with each of k variables.

    Made by `Directions.of` from neighboring models, or by `Directions.given` from arrays.

    Parameters
    ----------
    model : Model
        The design looked at.
    names : tuple of str
        Of the variables.
    points : CSR [k, 3 n_points]
        Coordinates, m per unit of the variable.
    scale : CSR [k, n_cells]
        Thickness of plane cells (m), area of bars (m^2).
    density : CSR [k, n_cells]
        kg/m^3; nothing where the model states none.
    stiffness, conductivity : CSR [k, n_cells]
        A factor on the elastic tensor, or the conductivity, of each cell; 1 is the model's own.
    given_forces, given_motions : mapping of load case to CSR [k, 3 n_points]
        Nodal forces, N, and prescribed displacements, m, that were given as arrays.
    given_heat : mapping of load case to CSR [k, n_points]
        Heat into the nodes, W, that was given as an array.
    pairs : tuple of Pair
        Empty for given arrays.
    """

    model: Model
    names: tuple[str, ...]
    points: SparseMatrix
    scale: SparseMatrix
    density: SparseMatrix
    stiffness: SparseMatrix
    conductivity: SparseMatrix
    given_forces: Mapping[str, SparseMatrix] = field(default_factory=dict)
    given_motions: Mapping[str, SparseMatrix] = field(default_factory=dict)
    given_heat: Mapping[str, SparseMatrix] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    _kept: dict[Hashable, list[Any]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(
        cls,
        model: Model,
        neighbors: Sequence[tuple[Model, Model, float]],
        *,
        names: Sequence[str] | None = None,
    ) -> Directions:
        """From two neighbors per variable on the same topology.

        Parameters
        ----------
        model : Model
        neighbors : sequence of (model plus, model minus, step between the two)
            One for each variable.
        names : sequence of str, optional
            For messages.

        Raises
        ------
        TopologyError
            If a neighbor has other cells, parts, places or cases; says which variable, and what differs.
        """
        _check_model(model)
        if not isinstance(neighbors, Sequence):
            raise ModelError(f"neighbors are {neighbors!r}; a list with one for each variable is wanted")
        for one in neighbors:
            if not (
                isinstance(one, tuple | list)
                and len(one) == 3
                and all(isinstance(m, Model) for m in one[:2])
                and _is_number(one[2])
            ):
                raise ModelError(
                    f"a neighbor is {one!r}; (model plus, model minus, step between the two) is wanted"
                )
        pairs = tuple(Pair(*one) for one in neighbors)
        names = _names(names, len(pairs))
        for name, pair in zip(names, pairs, strict=True):
            if not 0.0 < pair.step < np.inf:
                raise ModelError(
                    f"{name}: the step between its two neighbors is {pair.step}; "
                    "above zero and finite is wanted"
                )
            for other in (pair.plus, pair.minus):
                if other is not model:
                    _same_topology(model, other, name)
        has_density = all(part.section.material.magnitude("density") is not None for part in model.parts)

        def rows(of: Callable[[Model], FloatArray]) -> SparseMatrix:
            return _stacked([(of(p.plus) - of(p.minus)).ravel() / p.step for p in pairs], of(model).size)

        n = model.mesh.n_cells
        nothing = sparse.csr_array((len(pairs), n))
        return cls(
            model, names, rows(lambda m: m.mesh.points), rows(lambda m: m.cell_scale()),
            rows(lambda m: m.cell_density(needed_by="a gradient")) if has_density else nothing,
            nothing, nothing, pairs=pairs,
        )  # fmt: skip

    @classmethod
    def given(
        cls,
        model: Model,
        *,
        points: Any = None,
        scale: Any = None,
        density: Any = None,
        stiffness: Any = None,
        conductivity: Any = None,
        forces: Mapping[str, Any] | None = None,
        motions: Mapping[str, Any] | None = None,
        heat: Mapping[str, Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> Directions:
        """From arrays, each with one row for each of k variables; any of them may be left out.

        What is not given stays: forces of pressure and of weight, springs and films of faces that move too.
        `Directions.of` differences all of these.

        Sparse ones cost what they hold, so that ten thousand variables that touch a node each are no burden.

        Parameters
        ----------
        points : float64[k, n_points, 3], or sparse [k, 3 n_points]
            Coordinates per variable.
        scale, density, stiffness, conductivity : float64[k, n_cells] or sparse
            See `Directions`.
        forces, motions : mapping of load case to float64[k, n_points, 3] or sparse [k, 3 n_points]
            Nodal forces; prescribed displacements.
        heat : mapping of load case to float64[k, n_points] or sparse
            Heat into the nodes.

        Raises
        ------
        ModelError
            If shapes do not fit the model or each other.
        """
        _check_model(model)
        n_points, n_cells = model.mesh.n_points, model.mesh.n_cells
        fields = {
            "points": (points, 3 * n_points), "scale": (scale, n_cells), "density": (density, n_cells),
            "stiffness": (stiffness, n_cells), "conductivity": (conductivity, n_cells),
        }  # fmt: skip
        found = {name: _rows(name, one, size) for name, (one, size) in fields.items() if one is not None}
        of_case = {}
        for what, by_case, size in (
            ("forces", {} if forces is None else forces, 3 * n_points),
            ("motions", {} if motions is None else motions, 3 * n_points),
            ("heat", {} if heat is None else heat, n_points),
        ):  # fmt: skip
            if not isinstance(by_case, Mapping):
                raise ModelError(f"{what} go by load case, such as {what}={{'lift': array}}; got {by_case!r}")
            unknown = [case for case in by_case if case not in model.cases]
            if unknown:
                raise ModelError(
                    f"{what} are given for a load case {unknown[0]!r}; the model has {', '.join(model.cases)}"
                )
            of_case[what] = {case: _rows(what, one, size) for case, one in by_case.items()}
        every = [*found.values(), *(one for by_case in of_case.values() for one in by_case.values())]
        if not every:
            raise ModelError("Directions.given wants at least one array, such as scale=np.eye(n_cells)")
        sizes = {one.shape[0] for one in every}
        if len(sizes) > 1:
            raise ModelError(f"arrays have {sorted(sizes)} rows; each has one row for each variable")
        k = sizes.pop()
        for name, (_, size) in fields.items():
            found.setdefault(name, sparse.csr_array((k, size)))
        return cls(
            model, _names(names, k), found["points"], found["scale"], found["density"], found["stiffness"],
            found["conductivity"], of_case["forces"], of_case["motions"], of_case["heat"],
        )  # fmt: skip

    def difference(self, of: Callable[[Model], float]) -> FloatArray:
        """Slope of a number of the model over each variable, float64[k]; 0 where arrays alone were given.

        Raises
        ------
        ModelError
            If what is given is no function of a model.
        """
        if not callable(of):
            raise ModelError(f"what is differenced is a function of a Model; got {of!r}")
        if not self.pairs:
            return np.zeros(len(self))
        return np.array([(of(pair.plus) - of(pair.minus)) / pair.step for pair in self.pairs])

    def forces(self, case: str) -> SparseMatrix:
        """Nodal forces of the loads of a case, CSR [k, 3 n_points], N per unit of the variable."""
        if not self.pairs:
            none = sparse.csr_array(self.points.shape)
            return self.given_forces.get(case, none)

        def of(model: Model) -> FloatArray:
            out = np.zeros((model.mesh.n_points, 3))
            for load in self._case_of(model, case).loads:
                out += load.nodal_forces(model)
            return out

        def rows() -> list[SparseMatrix]:
            slopes = [(of(pair.plus) - of(pair.minus)).ravel() / pair.step for pair in self.pairs]
            return [_stacked(slopes, self.points.shape[1])]

        return self._once(("forces", case), rows)[0]

    def supports(self, case: str) -> list[tuple[SparseMatrix | None, FloatArray | None]]:
        """How the map u = T q + u0 of supports and connections moves, in the mesh's order of nodes.

        Returns
        -------
        list of (CSR [n_dof, n_dof] or None, float64[n_dof] or None)
            dT and du0 per variable; None where nothing moves.

        Raises
        ------
        TopologyError
            If a neighbor holds other unknowns.
        """
        if not self.pairs:
            c = self.model.dimension
            moves = self.given_motions.get(case)
            if moves is None:
                return [(None, None)] * len(self)
            dense = [moves[[i]].toarray().reshape(-1, 3)[:, :c].ravel() for i in range(len(self))]
            return [(None, row if row.any() else None) for row in dense]

        held = (*self.model.supports, *self._case_of(self.model, case).supports)
        if not self.model.connections and all(isinstance(one, InertiaRelief) for one in held):
            # what floats is pinned at nodes of our choice, which move nothing but the part as a whole
            return [(None, None)] * len(self)
        return self._maps(("supports", case), case, lambda model: map_of(model, self._case_of(model, case)))

    def _case_of(self, model: Model, name: str) -> LoadCase:
        return model.cases.get(name, LoadCase(name))

    def sections_move(self, block: CellBlock) -> BoolArray:
        """Per variable, whether what a block's cells are made of, or its axes, may move with it, bool[k]."""
        turns = self._once(
            ("turns", block.part),
            lambda: [axes_at(self.model, block.take(np.arange(1)), _one_point(block)) is not None],
        )[0]

        def moves(pair: Pair) -> bool:
            plus, minus = (one.parts[block.part].section for one in (pair.plus, pair.minus))
            if plus is not minus and plus.content_key() != minus.content_key():
                return True
            return turns and not np.array_equal(pair.plus.mesh.points, pair.minus.mesh.points)

        found = self._once(("sections", block.part), lambda: [moves(pair) for pair in self.pairs])
        return np.array(found, bool)

    def _temperature_moves(self, case: LoadCase, *, solved: bool) -> BoolArray:
        """Per variable, whether the stated temperature of a case, or its reference, moves, bool[k]."""
        if case.temperature is None:
            return np.zeros(len(self.pairs), bool)

        def moves(pair: Pair) -> bool:
            def told(model: Model) -> FloatArray:
                state = _beside(case, model.cases.get(case.name, case), solved=solved).temperature
                assert state is not None
                return np.concatenate([state.at_nodes(model), state.references(model)])

            return not np.array_equal(told(pair.plus), told(pair.minus))

        key = ("temperature", case.name, id(case.temperature), solved)
        found = self._once(key, lambda: [case.temperature, [moves(pair) for pair in self.pairs]])
        return np.array(found[1], bool)

    def stress(
        self, case: LoadCase, block: CellBlock, at: PointTables, strain: FloatArray, left: FloatArray,
        *, solved: bool = False,
    ) -> FloatArray:  # fmt: skip
        """How the stress at points of a block's cells moves with material, temperature and axes, summed.

        The strain stays: the slope of the sum of left . stress, float64[k].

        Parameters
        ----------
        strain, left : float64[n_cells, p, 6]
        solved : bool
            Whether the temperature of the case is an answer, which does not move with the model by itself.
        """
        out = np.zeros(len(self))
        total: FloatArray | None = None
        moving = np.logical_or(self.sections_move(block), self._temperature_moves(case, solved=solved))
        for i in np.flatnonzero(moving):
            pair, ends = self.pairs[i], []
            for model in (pair.plus, pair.minus):
                own = replace(block, section=model.parts[block.part].section)
                of = _beside(case, model.cases.get(case.name, case), solved=solved)
                warm = None if of.temperature is None else of.temperature.at_nodes(model)
                # how bars turn is in the slope over coordinates already
                placed = self.model if isinstance(block.section, Truss) else model
                tensor, which = elastic_tensors(placed, own, at, warm)
                free = thermal_strain(model, own, at, of)
                if len(tensor) == 1 and free is None:
                    if total is None:
                        total = _contracted(left, strain)
                    ends.append(float((tensor[0] * total).sum()))
                else:
                    elastic = strain if free is None else strain - free
                    ends.append(_work(left, tensor, which, elastic))
            out[i] = (ends[0] - ends[1]) / pair.step
        return out

    def flux(
        self,
        block: CellBlock,
        at: PointTables,
        temperature: FloatArray,
        gradient: FloatArray,
        left: FloatArray,
    ) -> FloatArray:
        """How conduction at points of a block's cells moves with material and axes, summed, float64[k].

        Parameters
        ----------
        temperature : float64[n_points]
            K; it stays.
        gradient, left : float64[n_cells, p, 3]
            Of the temperature, which stays; the slope is that of the sum of left . k gradient.
        """
        out = np.zeros(len(self))
        for i in np.flatnonzero(self.sections_move(block)):
            pair, ends = self.pairs[i], []
            for model in (pair.plus, pair.minus):
                own = replace(block, section=model.parts[block.part].section)
                ends.append(_work(left, *conductivity_tensors(model, own, at, temperature), gradient))
            out[i] = (ends[0] - ends[1]) / pair.step
        return out

    def heat(
        self, case: LoadCase, topology: Topology, u: FloatArray, time: float | None = None
    ) -> FloatArray:
        """How the heat that loads and joints put into the nodes moves at a temperature, float64[k, n_dof], W.

        Parameters
        ----------
        topology, u : as in `heat_put_in`
        """

        def rows() -> list[Any]:
            def of(model: Model) -> FloatArray:
                return heat_put_in(model, model.cases.get(case.name, case), topology, u, time)

            return [(of(pair.plus) - of(pair.minus)) / pair.step for pair in self.pairs]

        kept = self._kept.get(("heat", case.name))
        if kept is None or kept[0] is not u or kept[1] != time:
            self._kept["heat", case.name] = kept = [u, time, rows()]
        return (
            np.array(kept[2]).reshape(len(self.pairs), len(u))
            if self.pairs
            else np.zeros((len(self), len(u)))
        )

    def heat_supports(
        self, case: LoadCase, time: float | None = None
    ) -> list[tuple[SparseMatrix | None, FloatArray | None]]:
        """How the map of prescribed temperatures moves; as `supports`. Of times, s, the last is kept."""
        if not self.pairs:
            return [(None, None)] * len(self)

        def of(model: Model) -> AffineMap:
            return heat_map(model, model.cases.get(case.name, case), DofMap(model.mesh.n_points, 1), time)

        key = ("heat supports", case.name, time is None)
        if time is not None:
            self._kept.pop(key, None)
        return self._maps(key, case.name, of)

    def _maps(
        self, key: Hashable, case: str, of: Callable[[Model], AffineMap]
    ) -> list[tuple[SparseMatrix | None, FloatArray | None]]:
        def moved() -> list[Any]:
            own = of(self.model)
            return [
                _map_slope(f"{name}, case {case!r}", pair, own, of(pair.plus), of(pair.minus))
                for name, pair in zip(self.names, self.pairs, strict=True)
            ]

        return self._once(key, moved)

    def _once(self, key: Hashable, make: Callable[[], list[Any]]) -> list[Any]:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def _is_number(given: object) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)


def _check_model(model: object) -> None:
    if not isinstance(model, Model):
        raise ModelError(f"directions are of a Model, got {model!r}")


def _names(given: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Of variables, numbered where none were given."""
    if given is not None and (isinstance(given, str) or not isinstance(given, Sequence)):
        raise ModelError(f"names={given!r}: a list with one name for each variable is wanted")
    names = tuple(f"variable {i + 1}" for i in range(count)) if given is None else tuple(given)
    if len(names) != count:
        raise ModelError(f"{len(names)} names are given for {count} variables")
    return names


def _map_slope(
    who: str, pair: Pair, own: AffineMap, plus: AffineMap, minus: AffineMap
) -> tuple[SparseMatrix | None, FloatArray | None]:
    for one in (plus, minus):
        if not np.array_equal(one.fixed, own.fixed):
            raise TopologyError(
                f"{who}: the neighboring design holds other unknowns than this one; supports that name a "
                "place by its position catch other nodes there: name a group"
            )
    zero = np.zeros(len(own.fixed))
    offset = (plus.expand(zero) - minus.expand(zero)) / pair.step
    change = None
    if plus.transform is not None and minus.transform is not None:
        change = ((_aligned(plus, own) - _aligned(minus, own)) / pair.step).tocsr()
        change.data[np.abs(change.data) < 1e-12] = 0.0
        change.eliminate_zeros()
    return (change if change is not None and change.nnz else None), (offset if offset.any() else None)


def _aligned(map_: AffineMap, own: AffineMap) -> SparseMatrix:
    """T of a neighbor with the free axes of its skew supports turned to those of this design.

    Which axes span what a skew support leaves free is anybody's choice; they must not jump from design to
    design. The nearest are found by the polar factor (Golub and Van Loan, Matrix Computations, sec. 6.4.1).
    """
    assert map_.transform is not None
    if map_.turn is None or own.turn is None:
        return map_.transform
    ours, theirs = sparse.bsr_array(own.turn), sparse.bsr_array(map_.turn)
    c = ours.blocksize[0]
    held = own.fixed if own.constraints is None else own.constraints.held
    turn = np.tile(np.eye(c), (len(ours.data), 1, 1))
    for node in np.flatnonzero((ours.data != np.eye(c)).any(axis=(1, 2))):
        free = ~held[c * node : c * node + c]
        if free.any():
            u, _, v = np.linalg.svd(theirs.data[node][:, free].T @ ours.data[node][:, free])
            turn[node][np.ix_(free, free)] = u @ v
    mixed = sparse.bsr_array((turn, np.arange(len(turn)), np.arange(len(turn) + 1)), shape=ours.shape)
    return (map_.transform.tocsr() @ mixed.tocsr()).tocsr()


def map_of(model: Model, case: LoadCase) -> AffineMap:
    """Supports and connections of a static case as a map, in the mesh's own order of nodes."""
    dofs = DofMap(model.mesh.n_points, model.dimension)
    return connected(model, dofs, static_map(model, case, dofs, linked_nodes(model)))


def _contracted(left: FloatArray, right: FloatArray) -> FloatArray:
    """The sum of left x right over all points, float64[6, 6]; not by BLAS, whose digits depend on threads."""
    a, b = left.reshape(-1, left.shape[-1]), right.reshape(-1, right.shape[-1])
    return np.array(
        [[float((a[:, i] * b[:, j]).sum()) for j in range(b.shape[1])] for i in range(a.shape[1])]
    )


def _work(left: FloatArray, tensor: FloatArray, which: Any, right: FloatArray) -> float:
    """The sum of left . tensor right over all points."""
    if len(tensor) == 1:
        return float((tensor[0] * _contracted(left, right)).sum())
    return float(np.einsum("cqi,cqij,cqj->c", left, tensor[which], right).sum())


def _beside(case: LoadCase, other: LoadCase, *, solved: bool) -> LoadCase:
    """The neighbor's case as warm as it is; as warm as this one where the temperature is an answer."""
    if (case.temperature is None) != (other.temperature is None):
        raise TopologyError(
            f"case {case.name!r} states a temperature in one of two neighboring designs and none in the other"
        )
    if not solved or case.temperature is None:
        return other
    assert other.temperature is not None
    return replace(other, temperature=replace(other.temperature, value=case.temperature.value))


def _one_point(block: CellBlock) -> PointTables:
    center = block.element.center
    shape, gradient = block.element.shape(center), block.element.gradient(center)
    return PointTables(center, shape, gradient, block.modes(center), np.ones(1))


def _stacked(rows: Sequence[FloatArray], size: int) -> SparseMatrix:
    """Dense rows as CSR [k, size]."""
    if not rows:
        return sparse.csr_array((0, size))
    return sparse.vstack([sparse.csr_array(row[None]) for row in rows], format="csr")


def _rows(name: str, given: Any, size: int) -> SparseMatrix:
    """An array with one row per variable as CSR [k, size]."""
    try:
        if np.iscomplexobj(given):
            raise TypeError("complex numbers")
        if sparse.issparse(given):
            out = sparse.csr_array(given, dtype=np.float64)
        else:
            dense = np.atleast_2d(np.asarray(given, np.float64))
            out = sparse.csr_array(dense.reshape(len(dense), dense[0].size))
    except (TypeError, ValueError, IndexError) as error:
        raise ModelError(
            f"{name} is {given!r}; an array with one row of numbers for each variable is wanted"
        ) from error
    if out.shape[1] != size:
        raise ModelError(f"{name} has {out.shape[1]:,} numbers per variable; the model has {size:,}")
    if not np.isfinite(out.data).all():
        raise ModelError(f"{name} holds numbers that are not finite")
    return out


def _same_topology(model: Model, other: Model, name: str) -> None:
    """Raise TopologyError unless two models are the same cells, parts, places and cases."""
    mesh, near = model.mesh, other.mesh
    if mesh is not near:
        if mesh.n_points != near.n_points:
            raise _differs(name, f"{near.n_points:,} nodes; this one has {mesh.n_points:,}")
        if list(mesh.cells) != list(near.cells) or not all(
            one is near.cells[kind] or np.array_equal(one, near.cells[kind])
            for kind, one in mesh.cells.items()
        ):
            raise _differs(name, "other cells")
    if len(model.parts) != len(other.parts) or not np.array_equal(model.part_of_cell, other.part_of_cell):
        raise _differs(name, "its materials on other cells")
    if list(model.cases) != list(other.cases):
        raise _differs(name, f"the load cases {list(other.cases)}; this one has {list(model.cases)}")
    if model.combinations != other.combinations:
        raise _differs(name, "other factors in its combinations of load cases")
    if len(model.supports) != len(other.supports) or len(model.connections) != len(other.connections):
        raise _differs(name, "another number of supports or connections")
    for case, there in zip(model.cases.values(), other.cases.values(), strict=True):
        if len(case.items) != len(there.items):
            raise _differs(
                name, f"{len(there.items)} loads and supports in case {case.name!r}, not {len(case.items)}"
            )
    if mesh is near or np.array_equal(mesh.points, near.points):
        return
    every: list[tuple[Sequence[Any], Sequence[Any]]] = [(model.supports, other.supports)]
    every += [(model.cases[case].items, other.cases[case].items) for case in model.cases]
    for ours, theirs in every:
        for one, same in zip(ours, theirs, strict=True):
            _same_place(model, other, one, same, name)


def _same_place(model: Model, other: Model, one: Any, same: Any, name: str) -> None:
    on, there = getattr(one, "on", None), getattr(same, "on", None)
    if on is None or there is None:
        return
    region, beside = model.region(on), other.region(there)
    if not (np.array_equal(region.nodes, beside.nodes) and np.array_equal(region.facets, beside.facets)):
        raise _differs(
            name,
            f"{said(on)}, where {type(one).__name__} acts, on other nodes: a place given by its position "
            "catches others as the part changes; name a group",
        )


def _differs(name: str, what: str) -> TopologyError:
    return TopologyError(
        f"{name}: the neighboring design has {what}; a gradient needs both on one mesh, moved and not made "
        "anew: differences of whole analyses will do (gradients='differences')"
    )
