"""Damage and life on a page: the history, its channels, hot spots, cycles at the worst, what is left."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import DesignTwinError
from designtwin.fatigue.cycles import rainflow
from designtwin.report.inputs import table_block
from designtwin.results.life import show_life
from designtwin.typing import PlainData

Block = dict[str, Any]

_CLASSES = 10  # of ranges


def blocks(
    result: Any, data: PlainData, pictures: Any, *, drawn: bool, noted: Collection[str] = ()
) -> list[Block]:
    """What a page says of a `LifeResult`, from its plain data.

    Parameters
    ----------
    drawn : bool
        True where its damage has a picture already.
    noted : collection of str
        Notes that stand on the page already.
    """
    history = data["history"]
    out: list[Block] = [{"kind": "heading", "text": f"Life under {history['name']}"}]
    if not drawn:
        picture = pictures.draw("plot_field", result, "damage", caption="Damage by one pass of the history")
        out += [] if picture is None else [picture]
    out += [*table_block(result.hotspots().table()), *_cycles(result), _left(result)]
    rows = [
        ["history", Path(history["source"]).name or history["name"]],
        ["duration", show_life(history["duration"])],
        ["samples", f"{history['samples']:,}"],
        ["mean stress", data["mean_stress"]],
        ["points counted", f"{data['points']:,}"],
        *[[f"S-N curve of {part}", curve] for part, curve in data["curves"].items()],
    ]
    out.append({"kind": "facts", "title": "History and curves", "rows": rows})
    head = ["channel", "least", "most", "mean", "standard deviation"]
    keys = ("least", "most", "mean", "deviation")
    channels = [[one["name"], *(f"{one[key]:.4g}" for key in keys)] for one in data["channels"]]
    out.append({"kind": "table", "title": "Channels, over their unit cases", "head": head, "rows": channels})
    notes = [note for note in data["notes"] if note not in noted]
    if notes:
        out.append({"kind": "list", "title": "", "items": notes})
    return out


def _cycles(result: Any) -> list[Block]:
    """Cycles at the worst place by range, and what they do there."""
    spots = result.hotspots(1)
    if not spots:
        return []
    case, spot = result.case, spots[0]
    counted = rainflow(case.history(spot.row), residue="repeated")
    curve = case.curves[spot.part]
    life = curve.life(
        counted.amplitude, counted.mean, mean_stress=case.mean_stress, ultimate=case.ultimate[spot.part]
    )
    damage = counted.count / life
    edges = np.linspace(0.0, float(counted.range.max()), _CLASSES + 1)
    at = np.clip(np.searchsorted(edges, counted.range, side="left") - 1, 0, _CLASSES - 1)
    many = np.bincount(at, counted.count, _CLASSES)
    harm = np.bincount(at, damage, _CLASSES)
    rows = [
        [
            f"{units.from_si(low, 'pressure'):.4g} to {units.show(float(high), 'pressure')}",
            f"{n:,.10g}",
            _percent(part / harm.sum()),
        ]
        for low, high, n, part in zip(edges[:-1], edges[1:], many, harm, strict=True)
        if n
    ]
    return [
        {
            "kind": "table",
            "title": "Cycles at hot spot 1, by range of signed von Mises stress",
            "head": ["range", "cycles", "share of the damage"],
            "rows": rows[::-1],
        }
    ]


def _percent(share: float) -> str:
    return "less than 0.01 %" if 0.0 < share < 1e-4 else f"{100 * share:.3g} %"


def _left(result: Any) -> Block:
    try:
        text = str(result.remaining())
    except DesignTwinError as error:
        text = f"Remaining life is not told: {error}"
    return {"kind": "text", "text": text[:1].upper() + text[1:]}
