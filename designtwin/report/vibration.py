"""Modes, responses and buckling shapes of a verdict, as tables, words and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from designtwin.report.inputs import table_block

Block = dict[str, Any]

_LOWEST = 3
"""Modes that have a picture whatever the requirements."""
_MOST = 6
"""Pictures of modes on a page."""


def blocks(verdict: Any, pictures: Any) -> list[Block]:
    """What a page says of a vibration or buckling verdict; nothing of others."""
    physics = getattr(verdict.result, "physics", "")
    if physics == "vibration":
        return [*_modes(verdict, pictures), *_responses(verdict, pictures)]
    return _buckling(verdict, pictures) if physics == "buckling" else []


def _modes(verdict: Any, pictures: Any) -> list[Block]:
    modes = verdict.result.modes
    if not len(modes):
        return []
    judged = [row.value.case for row in verdict.rows]
    lowest = [mode for mode in modes if not mode.is_rigid][:_LOWEST]
    first = {mode.number for mode in lowest}
    named = [mode for mode in modes if mode.name in judged and mode.number not in first]
    return [
        {"kind": "heading", "text": "Modes"},
        *table_block(modes.table()),
        *_shapes(sorted([*lowest, *named], key=lambda mode: mode.number)[:_MOST], pictures),
    ]


def _shapes(modes: Iterable[Any], pictures: Any) -> list[Block]:
    drawn = [pictures.draw("plot_field", mode, "shape", caption=_capital(mode.caption)) for mode in modes]
    return [block for block in drawn if block is not None]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _responses(verdict: Any, pictures: Any) -> list[Block]:
    out: list[Block] = []
    for name, case in verdict.result.responses.items():
        out.append({"kind": "heading", "text": f"Response {name}"})
        lines = [line.strip() for line in str(case).splitlines()]
        out.append({"kind": "list", "title": "", "items": [line for line in lines if line]})
        out += _curves(verdict, case, pictures)
    return out


def _curves(verdict: Any, case: Any, pictures: Any) -> list[Block]:
    """The judged motion over frequency, where it is worst, with its limit."""
    drawn: list[Block] = []
    seen: set[tuple[Any, ...]] = set()
    for row in verdict.rows:
        quantity = row.requirement.quantity
        component = getattr(quantity, "component", "")
        what = getattr(quantity, "vector", "")
        if not what or component not in ("x", "y", "z") or quantity.case not in (None, case.name):
            continue
        place = row.value.place if row.value.case == case.name else None
        key = (what, component, None if place is None else place.point, str(quantity.on))
        if key in seen or (place is None and quantity.on is None):
            continue
        seen.add(key)
        at = quantity.on if place is None else place.point
        words = f"{what} {component} at {row.value.place if place is not None else quantity.on}"
        if hasattr(case, "response"):
            curve = case.response(at, component, what=what)
            drawn.append(
                pictures.draw(
                    "plot_response",
                    curve,
                    limits=[row.requirement],
                    caption=f"{_capital(words)}, over frequency",
                )
            )
        elif hasattr(case, "psd"):
            curve = case.psd(at, component, what=what)
            drawn.append(
                pictures.draw(
                    "plot_psd", curve, limits=[row.requirement], caption=f"Spectral density of {words}"
                )
            )
    return [block for block in drawn if block is not None]


def _buckling(verdict: Any, pictures: Any) -> list[Block]:
    out: list[Block] = []
    for name in verdict.result.cases:
        case = verdict.result[name]
        out.append({"kind": "heading", "text": f"Buckling, load case {name}"})
        out += [{"kind": "text", "text": case.why_none}] if case.why_none else []
        out += table_block(case.table()) if len(case) else []
        first = getattr(case, "critical_mode", None)
        out += _shapes([first], pictures) if first is not None else []
    return out
