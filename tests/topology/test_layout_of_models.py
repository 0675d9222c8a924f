"""dtw.Topology from a model to a tested part."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import block, box, rectangle
from scipy import ndimage

import designtwin as dtw
from designtwin.errors import StudyError
from designtwin.topology import lattice
from designtwin.topology.found import Step
from designtwin.topology.interpolation import SIMP

STEEL = dtw.material("S355")


def cantilever(n=(24, 8, 6), element="hexahedron", load=("0 N", "0 N", "-10 kN")):
    mesh = box(element, n, (0.12, 0.04, 0.03))
    return dtw.Model(
        mesh,
        materials={"body": STEEL},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"down": [dtw.Force(on="xmax", value=load)]},
        name="cantilever",
    )


def plate(n=(30, 10), *, cases=("down",), thickness="5 mm", element="quad"):
    mesh = rectangle(element, n, (0.3, 0.1))
    forces = {"down": (0.0, -2e3, 0.0), "along": (2e3, 0.0, 0.0), "up": (0.0, 2e3, 0.0)}
    return dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(STEEL, thickness=thickness)},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={c: [dtw.Force(on=dtw.nearest((0.3, 0.05, 0.0)), value=forces[c])] for c in cases},
        name="plate",
    )


def mbb():
    """Half of the beam of the 88 lines (Andreassen et al. 2011)."""
    mesh = rectangle("quad", (60, 20), (60.0, 20.0))
    unit = dtw.LinearElastic(youngs_modulus=1.0, poissons_ratio=0.3)
    return dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(unit, thickness=1.0, formulation="full")},
        supports=[
            dtw.PrescribedDisplacement(on="xmin", x=0.0),
            dtw.PrescribedDisplacement(on=dtw.nearest((60.0, 0.0, 0.0)), y=0.0),
        ],
        load_cases={"load": [dtw.Force(on=dtw.nearest((0.0, 20.0, 0.0)), value=(0.0, -1.0, 0.0))]},
    )


def test_mma_on_a_model_reaches_the_optimum_of_the_beam_within_70_designs():
    topology = dtw.Topology(
        mbb(),
        minimize=dtw.compliance(),
        volume_fraction=0.5,
        filter_radius=2.4,
        projection=False,
        method="mma",
    )
    found = topology.run(max_iterations=70, live=False)
    assert found.feasible
    # Where optimality criteria end with this filter (density, 2.4 cells): 233.71.
    assert found.value == pytest.approx(233.71, rel=2e-3)
    assert len(found.history) <= 70


def test_a_run_that_was_stopped_goes_on_to_the_same_digits(tmp_path):
    def topology(store, most=12):
        return dtw.Topology(
            plate(), minimize=dtw.compliance(), volume_fraction=0.4, store=store, method="mma"
        ).run(max_iterations=most, live=False)

    whole = topology(None)
    topology(tmp_path, 5)
    parts = topology(tmp_path)
    np.testing.assert_array_equal(parts.density, whole.density)
    assert [s.value for s in parts.history] == [s.value for s in whole.history]
    again = topology(tmp_path)
    np.testing.assert_array_equal(again.density, whole.density)
    with pytest.raises(StudyError, match="another topology"):
        dtw.Topology(plate(), minimize=dtw.compliance(), volume_fraction=0.3, store=tmp_path).run()
    (tmp_path / "topology.npz").write_bytes(b"torn")
    with pytest.raises(StudyError, match="cannot be read"):
        topology(tmp_path)


# A job in the background inherits an ignored interrupt; a terminal's does not.
INTERRUPTED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from test_layout_of_models import stored

def watch(optimum):
    print(optimum.step.number, flush=True)
    time.sleep(0.1)

stored(sys.argv[1]).run(max_iterations=30, live=False, watch=watch)
"""


def stored(folder):
    return dtw.Topology(
        plate(cases=("down", "along")), minimize=dtw.compliance(), volume_fraction=0.4, store=folder
    )


def test_ctrl_c_stops_at_once_and_the_next_run_goes_on_to_the_same_digits(tmp_path):
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], text=True, env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here.parents[1],
    ) as running:  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            if int(line) >= 3:
                running.send_signal(signal.SIGINT)
                break
        _, words = running.communicate(timeout=20)
    assert running.returncode != 0
    assert "KeyboardInterrupt" in words
    with np.load(tmp_path / "topology.npz") as kept:
        done = json.loads(kept["about"].tobytes().decode())["number"]
    assert 4 <= done < 30
    seen = []
    found = stored(tmp_path).run(
        max_iterations=30, live=False, watch=lambda o: seen.append(o.history[-1].number)
    )
    assert seen[0] == done
    whole = stored(None).run(max_iterations=30, live=False)
    np.testing.assert_array_equal(found.density, whole.density)
    assert [step.value for step in found.history] == [step.value for step in whole.history]


def test_a_run_that_its_budget_ends_returns_the_best_that_met_all_limits(tmp_path):
    slow = dtw.displacement("xmax", "y") <= "3 mm"
    topology = dtw.Topology(plate(), minimize=dtw.mass(), requirements=[slow], store=tmp_path)
    found = topology.run(max_iterations=24, live=False)
    assert not found.converged
    assert found.step is not found.history[-1]
    met = [step for step in found.history if step.worst <= 1e-3]
    crisp = [step for step in met if step.sharpness == met[-1].sharpness]
    assert found.step.value == found.value == min(step.value for step in crisp)
    assert found.feasible
    fields = topology.chain.fields(found.x, found.step.sharpness)
    np.testing.assert_array_equal(fields.part, found.density)
    assert f"design {found.step.number}, the best that met all limits" in str(found)
    again = topology.run(max_iterations=24, live=False)
    np.testing.assert_array_equal(again.density, found.density)
    on = topology.run(max_iterations=25, live=False)
    assert len(on.history) == 25
    never = dtw.Topology(
        plate(), minimize=dtw.mass(), requirements=[dtw.displacement("xmax", "y") <= "0.1 um"]
    ).run(max_iterations=3, live=False)  # fmt: skip
    assert never.step is never.history[-1]
    assert "no design met all limits" in never.stopped


def test_a_solid_goes_from_densities_to_a_surface_to_a_verdict(tmp_path):
    topology = dtw.Topology(
        cantilever((18, 6, 5)), minimize=dtw.compliance(), volume_fraction=0.35, keep=["xmax"], symmetry="y"
    )
    seen = []
    found = topology.run(max_iterations=20, live=False, watch=lambda o: seen.append(o.history[-1].number))
    assert seen == list(range(20))
    assert found.volume_fraction == pytest.approx(0.35, rel=2e-3)
    density = found.density.reshape(-1)
    assert density[topology.kept].min() == 1.0
    surface = found.surface()
    assert surface.is_manifold
    assert surface.volume == pytest.approx(found.volume, rel=1e-9)
    assert surface.save(tmp_path / "part.stl").stat().st_size == 84 + 50 * len(surface.triangles)
    part = found.as_model()
    assert isinstance(part, dtw.Model)
    assert part.mesh.cell_measures().sum() == pytest.approx(found.volume, rel=1e-9)
    test = part.retest()
    (verdict,) = test.verdicts
    assert {str(row.requirement.quantity) for row in verdict.rows} == {"mass", "yield margin (von Mises)"}
    what, _, by_density, of_part = test.compared[0]
    assert what == "compliance"
    # What is still gray counts as softer than it will be.
    assert 0.5 * by_density < of_part < 1.05 * by_density
    assert bool(test) == (test.status == "PASS")
    assert "by densities" in str(test)
    assert "untested" in str(found)


def test_symmetric_demands_give_a_symmetric_part_and_extrusion_a_constant_one():
    # A load off the middle: only the demand makes it symmetric.
    model = cantilever((12, 6, 4), load=("0 N", "4 kN", "-10 kN"))
    topology = dtw.Topology(
        model, minimize=dtw.compliance(), volume_fraction=0.5, symmetry=["y"], extrusion="z"
    )
    density = topology.run(max_iterations=6, live=False).density
    centers = np.round(model.mesh.cell_centers, 9)
    by_place = {tuple(c): d for c, d in zip(centers, density, strict=True)}
    for (x, y, z), d in by_place.items():
        assert by_place[(x, round(0.04 - y, 9), z)] == pytest.approx(d, abs=1e-9)
    columns = {}
    for (x, y, _), d in by_place.items():
        columns.setdefault((x, y), []).append(d)
    assert max(np.ptp(c) for c in columns.values()) < 1e-9
    assert np.ptp(density) > 0.3


def test_printed_part_has_no_cell_on_air():
    model = plate((24, 12))
    free = dtw.Topology(model, minimize=dtw.compliance(), volume_fraction=0.45)
    printed = dtw.Topology(
        model, minimize=dtw.compliance(), volume_fraction=0.45, overhang="45 deg", build="y"
    )
    found = printed.run(max_iterations=150, live=False)
    check = found.check_overhang()
    assert check
    assert len(check.cells) == 0
    assert found.value < 3.0 * free.run(max_iterations=40, live=False).value
    # What is neither solid nor void may rest on as little; it is left out, and told.
    assert np.abs(found.printed - found.density).sum() < 0.15 * found.density.sum()
    assert "printed on air" in str(found)
    with pytest.raises(StudyError, match="overhang"):
        free.run(max_iterations=1, live=False).check_overhang()


def test_a_cast_part_leaves_the_die_with_its_draft():
    model = plate((40, 20))
    found = dtw.Topology(
        model, minimize=dtw.compliance(), volume_fraction=0.5, draw="y", draft="10 deg"
    ).run(max_iterations=90, live=False)  # fmt: skip
    check = found.check_draft()
    assert check, check
    assert "draft            no cells lie in the way" in str(found)
    assert found.history[-1].gray < 0.1
    free = dtw.Topology(model, minimize=dtw.compliance(), volume_fraction=0.5).run(
        max_iterations=2, live=False
    )
    with pytest.raises(StudyError, match="no draw="):
        free.check_draft()


def share_too_thin(solid, width, *, beyond):
    """Share of solid cells that no disc of a diameter (in cells) which fits into the solid covers.

    Opening by exact distances on a raster of 4 x 4 points a cell; `beyond` the design space it goes on as
    at its edge, or there is nothing.
    """
    fine = np.kron(solid, np.ones((4, 4), bool))
    edge = 2 * int(np.ceil(width)) + 1
    room = np.pad(fine, edge, mode="edge" if beyond else "constant")
    centers = ndimage.distance_transform_edt(room) >= 2.0 * width
    opened = ndimage.distance_transform_edt(~centers) < 2.0 * width
    inside = (slice(edge, -edge),) * 2
    return float((room & ~opened)[inside].sum() / fine.sum())


def test_no_member_and_no_gap_is_thinner_than_the_minimum_length():
    model = plate((60, 20))
    cell = np.round(model.mesh.cell_centers[:, :2] / 0.005 - 0.5).astype(int)
    thin, gaps = {}, {}
    for length in (None, "20 mm"):
        found = dtw.Topology(
            model, minimize=dtw.compliance(), volume_fraction=0.4, min_length=length
        ).run(max_iterations=150, live=False)  # fmt: skip
        solid = np.zeros((60, 20), bool)
        solid[tuple(cell.T)] = found.solid
        assert found.feasible
        assert found.step.gray < 0.1
        # 20 mm are four cells: what is left over are the corners of cells, which no disc gets into.
        thin[length] = share_too_thin(solid, 3.5, beyond=True)
        gaps[length] = share_too_thin(~solid, 3.5, beyond=True)
        if length is not None:
            # A face of the design space is no end to the filter: a member along it may be half as thick.
            assert share_too_thin(solid, 1.75, beyond=False) < 0.05
    assert thin["20 mm"] < 0.05 < 0.3 < thin[None]
    assert gaps["20 mm"] < 0.05 < 0.1 < gaps[None]


def test_least_mass_within_a_stress_meets_it_at_the_centers():
    tip = dtw.box(("270 mm", "20 mm", "-1 mm"), ("301 mm", "80 mm", "1 mm"))
    found = dtw.Topology(
        plate((45, 15)), minimize=dtw.mass(), requirements=[dtw.yield_margin(excluding=tip) >= 2.0],
        filter_radius="15 mm", keep=[tip],
    ).run(max_iterations=60, live=False)  # fmt: skip
    full = float(found.topology.volume.sum()) * 7850.0
    assert found.value < 0.6 * full
    assert min(step.worst for step in found.history[-10:]) < 0.02
    assert found.history[-1].worst < 0.2


def test_worst_case_and_weights_move_the_design():
    model = plate(cases=("down", "along"))
    volume = {"minimize": dtw.compliance(), "volume_fraction": 0.4}
    only = [
        dtw.Topology(model, cases=weights, **volume).run(max_iterations=15, live=False).density
        for weights in ({"down": 1.0}, {"along": 1.0}, "worst")
    ]
    # A pull along wants the middle alone; nothing of it carries a load across.
    assert np.abs(only[0] - only[1]).mean() > 0.15
    assert np.abs(only[2] - only[1]).mean() > 0.15


def test_frequency_rises_and_heat_finds_its_way():
    model = plate((24, 8))
    high = dtw.Topology(model, maximize=dtw.frequency(1), volume_fraction=0.5).run(
        max_iterations=25, live=False
    )
    assert high.value > 1.3 * high.history[0].value
    aluminum = dtw.LinearElastic(youngs_modulus="70 GPa", poissons_ratio=0.33, conductivity="180 W/(m K)")
    sink = dtw.Model(
        rectangle("quad", (20, 20), (0.1, 0.1)),
        materials={"body": dtw.PlaneStress(aluminum, thickness="5 mm")},
        load_cases={"hot": [
            dtw.FixedTemperature(on=dtw.nearest((0.05, 0.0, 0.0)), value="20 degC"),
            dtw.HeatSource(on="body", total="5 W"),
        ]},
    )  # fmt: skip
    cool = dtw.Topology(
        sink, minimize=dtw.temperature(over="mean"), volume_fraction=0.4, symmetry="x", interpolation="RAMP"
    ).run(max_iterations=25, live=False)
    assert cool.value - 293.15 < 0.6 * (cool.history[0].value - 293.15)
    assert cool.density[np.argmin(np.linalg.norm(sink.mesh.cell_centers - [0.05, 0.0, 0.0], axis=1))] > 0.9


def test_grid_takes_the_place_of_cells_with_loads_and_supports():
    model = cantilever((10, 4, 3), element="tetra10")
    topology = dtw.Topology(model, minimize=dtw.compliance(), volume_fraction=0.5, grid="5 mm")
    assert topology.model.mesh.n_cells == 24 * 8 * 6
    force = topology.model.cases["down"].loads[0].nodal_forces(topology.model).sum(axis=0)
    np.testing.assert_allclose(force, [0.0, 0.0, -1e4], atol=1e-6)
    assert "cubes" in topology.notes[0]
    found = topology.run(max_iterations=3, live=False)
    assert found.value < found.history[0].value


def test_cubes_are_cubes_in_the_middle_of_a_part_that_is_no_multiple_of_them():
    """Were they divided to fit its height, the diagonals would lean less than the 45 degrees that print."""
    mesh = lattice.voxelized(box("tetra", (4, 3, 3), (0.12, 0.04, 0.031)), 4e-3)
    np.testing.assert_allclose(mesh.extents.mean(axis=0), [0.06, 0.02, 0.0155], atol=1e-12)
    np.testing.assert_allclose(np.ptp(mesh.points[mesh.cells["hexahedron"]], axis=1), 4e-3, rtol=1e-9)
    assert mesh.n_cells == 30 * 10 * 8


@pytest.mark.parametrize("element", ["tetra", "triangle"])
def test_cubes_never_hang_together_by_an_edge_or_a_corner(element):
    """Slots aslant, about a cube wide: by their centers alone, many cubes would touch at edges."""
    full = block(element, 24, (1.0, 1.0, 1.0))
    cells = np.flatnonzero(np.sin(13.0 * (full.cell_centers @ [1.0, 0.7, 0.4])) > -0.85)
    mesh = dtw.Mesh(full.points, {element: full.cells[element][cells]})
    cubes = lattice.voxelized(mesh, 1.0 / 18.0)
    (outside,) = cubes.facets(cubes.exterior)
    sides = outside.conn[..., None]  # of lines their ends, of faces their edges
    if cubes.dimension == 3:
        sides = np.sort(np.stack([outside.conn, np.roll(outside.conn, -1, axis=1)], axis=-1), axis=-1)
    _, count = np.unique(sides.reshape(-1, sides.shape[-1]), axis=0, return_counts=True)
    assert (count == 2).all()
    assert 1.0 < cubes.cell_measures().sum() / mesh.cell_measures().sum() < 1.2


def test_a_box_of_cubes_that_is_mostly_empty_is_factorized():
    """A frame along the edges of a box: cycles would go over all that is in it."""
    n = 26
    at = np.minimum(np.arange(n), n - 1 - np.arange(n)) < 3
    near = sum(part.astype(int) for part in np.meshgrid(at, at, at))
    frame = dtw.VoxelGrid((n, n, n), 1e-3).mesh((near >= 2).ravel())
    for mesh, boxed in ((frame, False), (dtw.VoxelGrid((n, n, 6), 1e-3).mesh(), True)):
        foot = dtw.Group(nodes=np.flatnonzero(mesh.points[:, 0] == 0.0))
        mesh = mesh.with_groups({"foot": foot, "body": dtw.Group(cells=np.arange(mesh.n_cells))})
        model = dtw.Model(
            mesh,
            materials={"body": STEEL},
            supports=[dtw.FixedSupport(on="foot")],
            load_cases={
                "pull": [dtw.Force(on=dtw.nearest((0.026, 0.026, 0.0)), value=("10 N", "0 N", "0 N"))]
            },
        )
        topology = dtw.Topology(model, minimize=dtw.compliance(), volume_fraction=0.5)
        statics = topology.physics.statics
        assert (statics.lattice is not None) == boxed


def test_cubes_that_cycles_do_not_solve_are_factorized(monkeypatch):
    """As where the first design leaves what is loaded hanging loose."""
    values = []
    for most in (200, 1):
        monkeypatch.setattr(lattice, "_MOST", most)
        topology = dtw.Topology(cantilever((30, 12, 10)), minimize=dtw.compliance(), volume_fraction=0.4)
        assert topology.physics.statics.lattice is not None
        values.append(topology.run(max_iterations=1, live=False).value)
    assert values[1] == pytest.approx(values[0], rel=1e-7)


STIFF = {"minimize": dtw.compliance(), "volume_fraction": 0.3}


@pytest.mark.parametrize("limit", ["volume", "displacement"])
def test_a_run_ends_by_itself_and_no_member_parts_on_the_way_to_crisp_edges(limit):
    model = dtw.Model(
        rectangle("quad", (24, 8), (0.3, 0.1)),
        materials={"body": dtw.PlaneStress(STEEL, thickness="10 mm")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"down": [dtw.Force(on="xmax", value=("0 N", "-1 kN", "0 N"))]},
    )
    if limit == "volume":
        topology = dtw.Topology(model, minimize=dtw.compliance(), volume_fraction=0.4)
    else:
        slow = dtw.displacement("xmax", "y") <= "1 mm"
        topology = dtw.Topology(model, minimize=dtw.mass(), keep="xmax", requirements=[slow])
    found = topology.run(max_iterations=150)
    assert found.converged
    course = [step.value for step in found.history if step.sharpness == found.history[-1].sharpness]
    assert max(course) < 1.5 * course[-1]  # an edge of voids between two members costs a million times this
    assert found.feasible


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "one of minimize"),
        ({"minimize": dtw.compliance(), "maximize": dtw.frequency()}, "one of minimize"),
        ({"minimize": dtw.compliance()}, "volume_fraction=0.3"),
        ({**STIFF, "volume_fraction": 30}, "share between 0 and 1"),
        ({**STIFF, "volume_fraction": 1e-9}, "less than a cell"),
        ({"minimize": dtw.mass()}, "what must hold"),
        ({**STIFF, "minimize": dtw.reaction("xmin")}, "no slope by densities"),
        ({**STIFF, "minimize": dtw.stress("tresca")}, "von Mises"),
        ({**STIFF, "minimize": "mass"}, "wants a quantity"),
        ({**STIFF, "minimize": dtw.compliance(case="lift")}, "lift"),
        ({**STIFF, "keep": "bolt"}, "no group 'bolt'"),
        ({**STIFF, "keep": "body"}, "no cell to design"),
        ({**STIFF, "keep": dtw.box((0.0, 0.0, -1.0), ("0.2 m", "1 m", "1 m"))}, "nothing to design"),
        ({**STIFF, "overhang": "120 deg"}, "between 0 and 90"),
        ({**STIFF, "cases": {"up": 1.0}}, "cases names 'up'"),
        ({**STIFF, "cases": "best"}, "'sum', 'worst'"),
        ({**STIFF, "cases": {"down": 0.0}}, "weight above 0"),
        ({**STIFF, "filter_radius": "1 m"}, "farther than the part"),
        ({**STIFF, "grid": "1 m"}, "coarser than the part"),
        ({**STIFF, "overhang": "45 deg"}, "out of the plane"),
        ({**STIFF, "draw": "z"}, "out of the plane"),
        ({**STIFF, "draft": "x"}, "draw='x', draft='3 deg'"),
        ({**STIFF, "draft": "3 deg"}, "say which: draw="),
        ({**STIFF, "draw": "x", "draft": "60 deg"}, "from 0 to 45 deg"),
        ({**STIFF, "store": 3}, "path of a folder"),
        ({**STIFF, "filter": "box"}, "'density' or 'pde'"),
        ({**STIFF, "interpolation": "linear"}, "'SIMP' or 'RAMP'"),
        ({**STIFF, "method": "slsqp"}, "'auto', 'oc' or 'mma'"),
        ({**STIFF, "filter_radius": -1.0}, "positive length"),
        ({**STIFF, "requirements": [dtw.mass()]}, "requirement 1"),
        ({**STIFF, "min_length": "5 cm", "filter_radius": "1 cm"}, "min_length"),
        ({**STIFF, "symmetry": "up"}, "symmetry"),
        ({**STIFF, "symmetry": 3}, "a list of these"),
        ({**STIFF, "symmetry": [(1, 0, 0, 0)]}, "symmetry"),
        ({**STIFF, "interpolation": SIMP}, "SIMP.penalty=4."),
        ({**STIFF, "method": "oc", "requirements": [dtw.displacement() <= 0.01]}, "knows no other limit"),
        ({"minimize": dtw.mass(), "requirements": [dtw.compliance() <= 1.0], "method": "oc"}, "volume_fract"),
        ({**STIFF, "draw": "up"}, "draw is 'up'"),
        ({**STIFF, "minimize": dtw.frequency()}, "maximize=dtw.frequency"),
        ({"maximize": dtw.compliance(), "volume_fraction": 0.3}, "minimize="),
        ({"maximize": dtw.yield_margin(), "volume_fraction": 0.3}, "requirements="),
        ({**STIFF, "requirements": [dtw.yield_margin() <= 2.0]}, "write >="),
        ({**STIFF, "void": "body"}, "leaves nothing of what FixedSupport on 'xmin' acts on"),
        ({**STIFF, "void": "xmin"}, "leaves nothing of what FixedSupport"),
        ({**STIFF, "void": dtw.nearest((0.3, 0.05, 0.0))}, "leaves nothing of what Force"),
        ({**STIFF, "void": "body", "keep": ["xmin", "xmax"]}, "no cell to design"),
        ({**STIFF, "filter_radius": "1 mm"}, "checkerboards"),
        ({**STIFF, "min_length": "1 mm"}, "checkerboards"),
        ({**STIFF, "filter_radius": np.nan}, "not finite"),
        ({**STIFF, "volume_fraction": np.nan}, "share between 0 and 1"),
        ({**STIFF, "cases": {"down": np.inf}}, "the weight of 'down'"),
        ({**STIFF, "projection": "no"}, "True or False"),
        ({**STIFF, "draw": "y", "symmetry": "y"}, "exclude each other"),
        ({**STIFF, "draw": "y", "extrusion": "x"}, "exclude each other"),
        ({**STIFF, "draw": "y", "projection": False}, "needs the projection"),
        ({**STIFF, "draw": "y", "min_length": "5 cm"}, "not held where a die is drawn"),
        ({**STIFF, "minimize": dtw.temperature()}, "a load case with heat"),
    ],
)
def test_contradictions_are_told_at_the_door(options, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        dtw.Topology(plate((8, 4)), **options)


def test_what_loads_stand_on_must_be_left():
    topology = dtw.Topology(cantilever((12, 4, 4)), minimize=dtw.compliance(), volume_fraction=0.3)
    found = topology.run(max_iterations=2, live=False)
    loaded = topology.model.mesh.cell_centers[:, 0] > 0.11
    found = dataclasses.replace(found, density=np.where(loaded, 0.0, 1.0))
    with pytest.raises(StudyError, match="Keep what supports and loads act on"):
        found.as_model()


def test_helmholtz_filter_serves_as_well():
    found = dtw.Topology(
        plate((20, 8)), minimize=dtw.compliance(), volume_fraction=0.4, filter="pde"
    ).run(max_iterations=10, live=False)  # fmt: skip
    assert found.value < 0.5 * found.history[0].value


def test_pictures_show_space_and_design_and_the_course(tmp_path):
    found = dtw.Topology(plate((20, 8)), minimize=dtw.compliance(), volume_fraction=0.4).run(
        max_iterations=4, live=False
    )
    picture = found.plot(screenshot=tmp_path / "a.png", window_size=(900, 450))
    assert {"design space", "density of cells"} <= set(picture.texts)
    course = found.plot("history", screenshot=tmp_path / "b.png", window_size=(700, 500))
    assert "volume" in course.texts
    with pytest.raises(dtw.PictureError, match="'density' and 'history'"):
        found.plot("stress")
    assert Step.from_plain(json.loads(json.dumps(found.history[0].to_plain()))) == found.history[0]
