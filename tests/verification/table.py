"""Print what the verification cases reach, as a Markdown table: ``python tests/verification/table.py``.

Sizes are those at which the tests hold the tolerances (the full ones, so this takes minutes).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from test_heat import BASE, LENGTH, T4, nearest, pin_model, t4  # noqa: E402
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

import designtwin as dtw  # noqa: E402


def row(case: str, element: str, mesh: object, quantity: str, error: float, tolerance: float) -> None:
    verdict = "" if abs(error) <= tolerance else " (!)"
    reached = f"{error:+.2%}{verdict}"
    print(f"| {case} | {element} | {mesh} | {quantity} | {reached} | {tolerance:.1%} |", flush=True)


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


if __name__ == "__main__":
    main()
