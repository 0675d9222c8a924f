"""Where a part fails, on a page: a table of its zones and a picture of each of the worst."""

from __future__ import annotations

from typing import Any

from designtwin import units

Block = dict[str, Any]

_LISTED = 20
_DRAWN = 3
_HEAD = ("zone", "where", "requirement", "peak", "load case", "", "size", "also beyond")


def blocks(verdict: Any, pictures: Any) -> list[Block]:
    """What a page says of the failure zones of a verdict; nothing where there are none."""
    zones = verdict.failure_zones()
    if not zones:
        return []
    more = len(zones) - _LISTED
    table = {
        "kind": "table",
        "class": "zones",
        "title": f"The worst {_LISTED} of {len(zones)}" if more > 0 else "",
        "head": list(_HEAD),
        "rows": [_row(zone) for zone in zones[:_LISTED]],
    }
    out: list[Block] = [{"kind": "heading", "text": "Failure zones"}, table]
    # What lies in a worse zone of another requirement is seen there.
    wide = round(1.25 * pictures.size[0])
    for zone in [zone for zone in zones if zone.within is None][:_DRAWN]:
        drawn = pictures.draw(
            "plot_zones",
            verdict,
            zones=[zone],
            window_size=(wide, round(0.374 * wide)),
            caption=f"Zone {zone.number}: {zone.sentence}",
        )
        out += [] if drawn is None else [drawn]
    return out


def _row(zone: Any) -> list[str]:
    dimension = zone.requirement.quantity.dimension
    within = "" if zone.within is None else f"within zone {zone.within}"
    return [
        str(zone.number),
        f"{zone.where_text}, {zone.place}" if zone.feature else str(zone.place),
        str(zone.requirement),
        "singular" if zone.singular else units.show(zone.peak, dimension),
        zone.case_text,
        zone.over_text,
        zone.size_text,
        ", ".join([*zone.also, *([within] if within else [])]),
    ]
