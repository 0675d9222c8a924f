"""Print what the verification cases reach, as a Markdown table: ``python tests/verification/table.py``.

Sizes are those at which the tests hold the tolerances (the full ones, so this takes minutes).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import heat_cases  # noqa: E402
import numpy as np  # noqa: E402
from builders import BLOCKS, PLANES  # noqa: E402
from heat_cases import ZERO, along  # noqa: E402
from test_heat_nonlinear import cylinders_flux, plates_flux  # noqa: E402
from test_heat_rates import METHODS, time_error  # noqa: E402
from test_heat_steady import BASE, LENGTH, T4, nearest, pin_model, t4  # noqa: E402
from test_heat_transient import SIZES, d16_errors, d19_errors, d20_errors, final  # noqa: E402
from test_linear_static import (  # noqa: E402
    BEAM,
    CLAIMS,
    CURVED,
    CYLINDER,
    REFINED_BEAM,
    TWISTED,
    beam_ratios,
    curved_ratios,
    cylinder_error,
    twisted_ratios,
)
from test_thermal_stress import STRIPS, TUBES, curl, hot_tube, tube_stress  # noqa: E402

import designtwin as dtw  # noqa: E402
from designtwin.elements import ELEMENTS  # noqa: E402


def row(case: str, element: str, mesh: object, quantity: str, error: float, tolerance: float) -> None:
    verdict = "" if abs(error) <= tolerance else " (!)"
    reached = f"{error:+.2%}{verdict}"
    print(f"| {case} | {element} | {mesh} | {quantity} | {reached} | {100 * tolerance:g} % |", flush=True)


def main() -> None:
    print("| case | element | cells a side | quantity | error | tolerance |")
    print("| --- | --- | --- | --- | --- | --- |")
    for element, n in REFINED_BEAM.items():
        for name, ratio in beam_ratios(element, n).items():
            row("D03 straight beam", element, n, name, ratio - 1.0, BEAM[name][1])
    for element, n in {"quad8": (24, 2, 1), "hexahedron": (36, 3, 2), "hexahedron20": (24, 2, 2)}.items():
        for name, ratio in curved_ratios(element, n).items():
            row("D04 curved beam", element, n, name, ratio - 1.0, CURVED[name][1])
    for element in ("hexahedron", "hexahedron20", "tetra10"):
        for name, ratio in twisted_ratios(element, (24, 4, 2)).items():
            row("D05 twisted beam", element, (24, 4, 2), name, ratio - 1.0, TWISTED[name][1])
    for element, formulation, n in (
        ("quad", "auto", 10), ("quad", "b-bar", 5), ("triangle6", "auto", 5), ("quad8", "auto", 10),
        ("hexahedron", "b-bar", 5), ("hexahedron20", "auto", 10), ("tetra10", "auto", 5),
    ):  # fmt: skip
        for ratio, (_, tolerance) in CYLINDER.items():
            error = cylinder_error(element, ratio, n, formulation)
            row(f"D08 cylinder, {formulation}", element, n, f"nu = {ratio}", error, tolerance)
    for claim in CLAIMS:
        for element in claim.sizes:
            sizes, errors, _ = claim.run(element, full=True)
            for name, (_, tolerance) in claim.targets.items():
                row(f"{claim.id} {claim.title}", element, sizes[-1], name, errors[name][-1], tolerance)
    for element, n in {"triangle6": 4, "quad8": 4, "hexahedron20": 4, "tetra10": 4, "quad": 8}.items():
        case = dtw.solve_thermal(t4(element, n))["steady"]
        for place, (value, tolerance) in T4.items():
            found = nearest(case, (*place, 0.0)) - 273.15
            row("D17 NAFEMS T4", element, (3 * n, 5 * n), f"T{place}", found / value - 1.0, tolerance)
    for element in ("quad8", "tetra10", "hexahedron20"):
        model, place = pin_model(element, 2)
        case = dtw.solve_thermal(model)["fin"]
        axis = 1 if element == "quad8" else 2
        tip = nearest(case, tuple(LENGTH if i == axis else 0.0 for i in range(3))) - 273.15
        heat = case.heat(place["base"]) * (1 if element == "quad8" else 4)
        row("D18 pin fin", element, 2, "tip", tip / 82.7865 - 1.0, 0.003)
        row("D18 pin fin", element, 2, "heat", heat / BASE[0] - 1.0, BASE[1])
    for element, n in STRIPS.items():
        for name, ratio in curl(element, n).items():
            row("D24 bimetal strip", element, (20 * n, 2 * n), name, ratio - 1.0, 0.01)
    for element, n in {**TUBES, "tetra10": 10}.items():
        for name, (value, _, wanted, tolerance) in tube_stress(hot_tube(element, n)).items():
            row("D25 hollow cylinder", element, n, name, value / wanted - 1.0, tolerance)
    transient_heat()
    nonlinear_heat()
    heat_orders()


def transient_heat() -> None:
    """Steps chosen by error control, as a user has them."""
    for element in (*BLOCKS, "line"):
        n = SIZES[ELEMENTS[element].degree][-1]
        errors, _ = d16_errors(element, n, tolerance=0.02)
        for (x, t), (_, tolerance) in heat_cases.D16.items():
            row("D16 NAFEMS T3", element, n, f"T({x}, {t:g} s)", errors[x, t], tolerance)
    for element in (*PLANES, "hexahedron", "tetra10"):
        n, errors, _ = d19_errors(element)
        for (biot, fourier, x), (_, tolerance) in heat_cases.D19.items():
            place = "surface" if x else "center"
            row(
                "D19 wall",
                element,
                n,
                f"Bi {biot:g}, Fo {fourier:g}, {place}",
                errors[biot, fourier, x],
                tolerance,
            )
    for element in ("line", "hexahedron", "tetra10"):
        for which in heat_cases.D20:
            if element != "line" or which != "b":
                n, found = d20_errors(element, which)
                for x, (_, tolerance) in heat_cases.D20[which].items():
                    row(f"D20 ({which})", element, n, f"T({x:g})", found[x], tolerance)
    for which, start, zero in (("a", "200 degC", ZERO), ("b", "900 K", 0.0)):
        targets = heat_cases.D23["ab".index(which)]
        case = final(heat_cases.d23(which), list(targets), start, tolerance=0.05)
        for t, (value, tolerance) in targets.items():
            error = (float(case.at(t).temperature.mean()) - zero) / value - 1.0
            row(f"D23 ({which})", "tetra10", 2, f"T({t:g} s)", error, tolerance)


def nonlinear_heat() -> None:
    for element in (*BLOCKS, "line"):
        model = heat_cases.d21(element, 16, "table")
        case = dtw.solve_thermal(model)["steady"]
        area = {"line": 1e-4}.get(element, 0.1 / 16 * (0.1 / 16 if model.mesh.dimension == 3 else 0.01))
        row("D21 k(T)", element, 16, "middle", (along(case, model.mesh, 0.05) - ZERO) / 116.22777 - 1.0, 1e-4)
        row("D21 k(T)", element, 16, "flux", case.heat("xmin") / area / 30000.0 - 1.0, 1e-4)
    row("D22 (a)", "quad", 200, "flux", plates_flux()[0] / 9677.439 - 1.0, 0.001)
    row("D22 (b)", "quad", 72, "flux", cylinders_flux()[0] / 12442.4216 - 1.0, 0.005)


def heat_orders() -> None:
    """Three meshes or steps each; the order between the last two."""
    print(
        "\n| what | element | sizes | errors, K | order | expected |\n| --- | --- | --- | --- | --- | --- |"
    )

    def order(what: str, element: str, sizes: object, errors: list[float], expected: int) -> None:
        shown = ", ".join(f"{error:.2g}" for error in errors)
        found = np.log2(errors[-2] / errors[-1])
        print(f"| {what} | {element} | {sizes} | {shown} | {found:.2f} | {expected} |", flush=True)

    for element in BLOCKS:
        degree = ELEMENTS[element].degree
        errors = [d16_errors(element, n, method="Crank-Nicolson", step=0.2)[1] for n in SIZES[degree]]
        order("D16, field at 32 s", element, SIZES[degree], errors, degree + 1)
    for method, expected in METHODS.items():
        steps = (40, 80, 160)
        errors = [time_error("tetra10", method, n, nonlinear=True) for n in steps]
        order(f"steps, {method}, k(T), c(T), radiation", "tetra10", steps, errors, expected)


if __name__ == "__main__":
    main()
