"""One self-contained HTML page from verdicts, studies, pictures, tables and words.

    write_report(verdict, "out/report.html")
    write_report([("Strength", verdict), ("Design loop", [best, picture]), ("On a finer mesh", check)], path)

The page asks for nothing from elsewhere: style and pictures are inside. Pictures come from an `artist`, an
object with the functions of `designtwin.viz`; `designtwin.edge` hands one in: this room draws nothing.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from designtwin import __version__
from designtwin.criteria.verdict import jsonable
from designtwin.errors import DesignTwinError, PictureError
from designtwin.io.files import atomic
from designtwin.progress import track
from designtwin.report import design, inputs, life, vibration, zones
from designtwin.report.browser import need_browser, print_pdf
from designtwin.report.view import Packed, packed
from designtwin.requirements import FieldQuantity
from designtwin.typing import PlainData

logger = logging.getLogger("designtwin.report")

LARGEST = 6_000_000  # bytes of a page; pictures give way, words never
_ROOM = 3_600_000  # bytes of all pictures as text
_VIEWS = 1_600_000  # bytes of all 3D views as text
_MOST_LINES = 8  # in one picture of courses in time


@dataclass(frozen=True)
class Table:
    """A plain table: head, rows of texts, and words above it."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A chapter of a report.

    Parameters
    ----------
    title : str
    body : object or sequence of objects
        Verdicts, what a study, a free form or a topology found, pictures, tables, words.
    note : str
        A sentence under the title.
    """

    title: str
    body: Any
    note: str = ""


Block: TypeAlias = dict[str, Any]


@dataclass
class _Pictures:
    """Pictures and views of the page as data; larger ones become JPEG when all together grow too large."""

    artist: Any
    size: tuple[int, int] = (1600, 1200)
    blocks: list[Block] = field(default_factory=list)
    views: list[tuple[Block, Any]] = field(default_factory=list)

    def turn(self, blocks: Sequence[Block], verdict: Any) -> list[Block]:
        """Let the first picture of a verdict become a 3D view; a sentence where that cannot be."""
        first = next((block for block in blocks if block["kind"] == "picture"), None)
        if first is None:
            return []
        try:
            found = self.artist.web_view(verdict)
        except DesignTwinError as error:
            logger.warning("report: the 3D view is left out: %s", error)
            return [{"kind": "text", "text": f"3D view left out: {error}"}]
        if found is not None:
            self.views.append((first, found))
        return []

    def draw(self, what: str, *args: Any, caption: str, **options: Any) -> Block | None:
        """Ask the artist; a picture that cannot be drawn leaves a sentence instead of stopping the report."""
        if self.artist is None:
            return None
        try:
            options = {"show": False, "window_size": self.size, **options}
            picture = getattr(self.artist, what)(*args, **options)
        except DesignTwinError as error:
            logger.warning("report: picture %r is left out: %s", caption, error)
            return {"kind": "text", "text": f"Picture left out ({caption}): {error}"}
        return self.add(picture, caption)

    def add(self, picture: Any, caption: str) -> Block:
        """A picture that exists already."""
        block: Block = {
            "kind": "picture",
            "png": bytes(picture.png),
            "caption": caption,
            "width": picture.width,
            "height": picture.height,
            "view": None,
        }
        self.blocks.append(block)
        return block

    def settle(self) -> None:
        """Turn all into data URLs, and views into text, within the room there is."""
        room = _VIEWS
        for at, (block, found) in enumerate(self.views):
            view = packed(found, room // (len(self.views) - at))
            if view is None:
                continue
            text = _script_json(view.plain)
            room -= len(text)
            block["view"], block["hint"] = text, _hint(found, view)
        kind = "png"
        if sum(len(b["png"]) for b in self.blocks) * 4 / 3 > _ROOM:
            kind = "jpeg"
        for block in self.blocks:
            data = block.pop("png")
            if kind == "jpeg":
                data = _jpeg(data, quality=85)
            block["bytes"] = len(data)
            block["source"] = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        for width in (1200, 900, 700):
            if sum(len(b["source"]) for b in self.blocks) <= _ROOM:
                return
            for block in self.blocks:
                data = _jpeg(base64.b64decode(block["source"].partition(",")[2]), quality=80, width=width)
                block["source"] = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _hint(view: Any, data: Packed) -> str:
    """How to use a 3D view, and what it lacks."""
    words = [
        "drag to move, wheel after a click or pinch to zoom"
        if view.flat
        else "3D: drag to turn, right button or two fingers to move, wheel after a click or pinch to zoom",
        "double-click for the whole part; point at it to read the values at its nodes",
    ]
    if view.thinned:
        words.append(
            f"thinned from {view.thinned:,} to {len(view.node):,} nodes, whose values are as computed"
        )
    if data.left_out:
        few = "; ".join(data.left_out[:3]) + (" and others" if len(data.left_out) > 3 else "")
        words.append(f"left out for their size: {few}")
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."


@dataclass
class _Page:
    """What a page holds so far.

    Parameters
    ----------
    pictures : _Pictures
    shown : set of str
        Models that are described already.
    verdicts, lives : list of plain data
        What the page's tables were made of, and its JSON holds.
    """

    pictures: _Pictures
    shown: set[str] = field(default_factory=set)
    verdicts: list[PlainData] = field(default_factory=list)
    lives: list[PlainData] = field(default_factory=list)


def _jpeg(data: bytes, *, quality: int, width: int | None = None) -> bytes:
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    if width is not None and image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def write_report(
    source: Any,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    author: str = "",
    picture_size: tuple[int, int] = (1600, 1200),
    artist: Any = None,
) -> Path:
    """Write one HTML page.

    Parameters
    ----------
    source : Verdict, Section, (title, body), or a sequence of these
        A body is anything a `Section` takes.
    path : path
        Ends in .html, or in .pdf where a browser is installed that prints it; its folder is made; the file is
        there whole or not at all.
    title : str, optional
        The part's name by default.
    author : str, optional
    picture_size : (width, height)
        Pixels of the pictures drawn for the page.
    artist : object with the functions of `designtwin.viz`, optional
        Without one the page has no pictures but those given.

    Returns
    -------
    Path

    Raises
    ------
    PictureError
        If the file cannot be written, or there is no browser to print a PDF.
    DesignTwinError
        If there is nothing to report on.
    """
    file = Path(path)
    as_pdf = file.suffix.lower() == ".pdf"
    if file.suffix.lower() not in (".html", ".htm", ".pdf"):
        raise PictureError(f"{file}: a report is written as .html or .pdf")
    if as_pdf:
        need_browser()
    sections = _sections(source)
    pictures = _Pictures(artist, picture_size)
    page = _Page(pictures)
    chapters: list[dict[str, Any]] = []
    with track("report", total=len(sections) + 1) as progress:
        for number, section in enumerate(sections, 1):
            progress.step(section.title)
            blocks = [b for item in _items(section.body) for b in _blocks(item, page)]
            chapters.append(
                {"id": f"s{number}", "title": section.title, "note": section.note, "blocks": blocks}
            )
        progress.step("write")
        pictures.settle()
        for chapter in chapters:
            for block in chapter["blocks"]:
                _drop_empty_columns(block)
        name = title or next((v["name"] for v in page.verdicts if v["name"]), "") or "Design report"
        text = _render(chapters, page, title=name, author=author)
        data = print_pdf(text) if as_pdf else text.encode()
    with atomic(file, error=PictureError, make_folder=True) as stream:
        stream.write(data)
    return file


def _drop_empty_columns(block: Block) -> None:
    """Columns that say nothing in any row."""
    if block["kind"] != "table" or not block["rows"]:
        return
    keep = [i for i in range(len(block["head"])) if any(row[i] for row in block["rows"])]
    block["head"] = [block["head"][i] for i in keep]
    block["rows"] = [[row[i] for i in keep] for row in block["rows"]]


def _sections(source: Any) -> list[Section]:
    many = list(source) if isinstance(source, list | tuple) and not _is_pair(source) else [source]
    if not many:
        raise DesignTwinError("report: there is nothing to report on; give a verdict or a list of sections")
    out = []
    for item in many:
        if isinstance(item, Section):
            out.append(item)
        elif _is_pair(item):
            out.append(Section(item[0], item[1]))
        else:
            test = design.title_of(item) or getattr(item, "test", "") or type(item).__name__
            out.append(Section(test[:1].upper() + test[1:], item))
    return out


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


def _items(body: Any) -> Iterator[Any]:
    if isinstance(body, list | tuple):
        for item in body:
            yield from _items(item)
    else:
        yield body


def _blocks(item: Any, page: _Page) -> list[Block]:
    """What one thing becomes on the page."""
    if item is None:
        return []
    if isinstance(item, str):
        return [{"kind": "text", "text": part} for part in item.split("\n\n")]
    if isinstance(item, Table):
        return [
            {
                "kind": "table",
                "title": item.title,
                "head": list(item.head),
                "rows": [[str(cell) for cell in row] for row in item.rows],
            }
        ]
    if hasattr(item, "png"):
        return [page.pictures.add(item, "")]
    if hasattr(item, "rows") and hasattr(item, "result"):
        return _verdict_blocks(item, page)
    found = design.blocks(
        item, page.pictures, lambda some: [b for v in some for b in _verdict_blocks(v, page)]
    )
    if found is not None:
        return found
    if hasattr(item, "verdicts"):
        return [b for v in item.verdicts for b in _verdict_blocks(v, page)]
    if hasattr(item, "hotspots"):
        return _life_blocks(item, page, drawn=False)
    if hasattr(item, "findings") and hasattr(item, "grade"):
        return [inputs.mesh_check_block(item)]
    raise DesignTwinError(
        f"report: a {type(item).__name__} has no place here; verdicts, what a study, a free form or a "
        "topology found, pictures, Table and text have"
    )


def _some(*blocks: Block | None) -> list[Block]:
    return [block for block in blocks if block is not None]


# A verdict


def _verdict_blocks(verdict: Any, page: _Page) -> list[Block]:
    data = verdict.to_dict()
    page.verdicts.append(data)
    pictures = page.pictures
    blocks: list[Block] = [
        {"kind": "banner", "status": verdict.status, "text": _sentence(verdict)},
        {"kind": "requirements", "rows": [_requirement_row(row) for row in data["requirements"]]},
    ]
    if data["rounds"]:
        blocks.append(_rounds_table(verdict, data["rounds"]))
    reasons = [f"{row['requirement']}: {row['reason']}" for row in data["requirements"] if row["reason"]]
    reasons += [f"{row['requirement']}: {row['note']}" for row in data["requirements"] if row["note"]]
    if reasons or data["notes"]:
        blocks.append({"kind": "list", "title": "Notes", "items": [*reasons, *data["notes"]]})
    drawn = [*_field_pictures(verdict, pictures), *vibration.blocks(verdict, pictures)]
    failures = zones.blocks(verdict, pictures)
    unturned = pictures.turn(drawn, verdict)
    if failures and len(drawn) > 1:
        # Where it fails comes right after the worst field.
        drawn = [drawn[0], *failures, {"kind": "heading", "text": "Further fields"}, *drawn[1:]]
    else:
        drawn += failures
    blocks += [*drawn, *unturned]
    if getattr(verdict.result, "physics", "") == "life":
        blocks += _life_blocks(verdict.result, page, drawn=bool(drawn), noted=data["notes"])
    blocks += _course_blocks(verdict, pictures)
    model = verdict.result.model
    key = model.content_hash()
    if key not in page.shown:
        statement = inputs.statement_key(model)
        blocks += _model_blocks(model, pictures, again=statement in page.shown)
        page.shown |= {key, statement}
    blocks.append(inputs.checks_block(verdict, data["checks"]))
    return blocks


def _life_blocks(result: Any, page: _Page, *, drawn: bool, noted: Sequence[str] = ()) -> list[Block]:
    data = jsonable(result.to_dict())
    page.lives.append(data)
    return life.blocks(result, data, page.pictures, drawn=drawn, noted=noted)


def _sentence(verdict: Any) -> str:
    rows = verdict.rows
    met = sum(row.status == "PASS" for row in rows)
    name = f" of {verdict.name}" if verdict.name else ""
    many = "" if len(rows) == 1 else "s"
    return f"{verdict.test}{name}: {met} of {len(rows)} requirement{many} met for certain"


def _requirement_row(row: Mapping[str, Any]) -> Block:
    """A row of the table, from the verdict's own plain data, so that page and JSON cannot differ."""
    return {
        "requirement": row["requirement"],
        "value": row["text"]["value"],
        "margin": row["text"]["margin"],
        "status": row["status"],
        "case": " at ".join(part for part in (row["case"], row["text"].get("instant")) if part),
        "place": row["text"]["place"],
        "excluded": row["excluded"],
    }


def _rounds_table(verdict: Any, rounds: Sequence[Mapping[str, Any]]) -> Block:
    """What each mesh said of the requirements that some mesh left open, from the verdict's plain data."""
    told = verdict.rounds_told
    head = ["mesh", "cells", "unknowns", *(rounds[0]["requirements"][i]["requirement"] for i in told), "time"]
    rows = []
    for one in rounds:
        said = [one["requirements"][i] for i in told]
        texts = [f"{row['text']['value']}  {row['status']}" for row in said]
        rows.append([one["how"], f"{one['cells']:,}", f"{one['n_dof']:,}", *texts, f"{one['seconds']:.1f} s"])
    return {"kind": "table", "class": "rounds", "title": "Rounds of refinement", "head": head, "rows": rows}


def _field_pictures(verdict: Any, pictures: _Pictures) -> list[Block]:
    """One picture for each field that a requirement judges, the worst first."""
    if pictures.artist is None:
        return []
    rows = [r for r in verdict.rows if pictures.artist.colors_a_part(r.requirement.quantity)]
    rows.sort(key=lambda r: r.requirement.slack(r.value.value))
    names: dict[Any, str] = {}
    for row in rows:
        quantity = row.requirement.quantity
        # Of random responses the field alone is one standard deviation.
        name = (
            quantity if getattr(quantity, "sigma", None) else pictures.artist.field_name(quantity) or quantity
        )
        names.setdefault(name, f"{row.requirement}: {row.status}")
    strong = any(name in ("safety_factor", "von_mises") or not isinstance(name, str) for name in names)
    physics = getattr(verdict.result, "physics", "")
    if strong and "von_mises" not in names and physics == "static":
        names["von_mises"] = "Von Mises stress"
    if not names and physics in ("vibration", "buckling"):
        return []  # their shapes have pictures of their own
    if not names:
        names[pictures.artist.default_name(verdict)] = ""
    return _some(*(pictures.draw("plot_field", verdict, name, caption=text) for name, text in names.items()))


# A course in time


def _course_blocks(verdict: Any, pictures: _Pictures) -> list[Block]:
    """What was judged over time with its limits, the heat balance, and how time was stepped through."""
    result = verdict.result
    moving = [result[name] for name in result.cases if hasattr(result[name], "times")]
    if not moving:
        return []
    blocks: list[Block] = [{"kind": "heading", "text": "Course in time"}]
    blocks += _some(*(_judged_over_time(verdict, moving, rows, pictures) for rows in _by_dimension(verdict)))
    for case in moving:
        if getattr(result, "physics", "") == "thermal":
            blocks += _some(
                pictures.draw("plot_heat_balance", case, caption=f"Heat balance, load case {case.name}")
            )
        blocks.append(inputs.course_block(case))
    return blocks


def _by_dimension(verdict: Any) -> list[list[Any]]:
    """Judged quantities that have a course in time, those of one dimension together."""
    found: dict[str, list[Any]] = {}
    for row in verdict.rows:
        quantity = row.requirement.quantity
        if isinstance(quantity, FieldQuantity) and getattr(quantity, "time", None) is None:
            # When a temperature is reached is seen on the course of the temperature.
            dimension = "temperature" if hasattr(quantity, "temperature") else quantity.dimension
            found.setdefault(dimension, []).append(row)
    return list(found.values())


def _judged_over_time(
    verdict: Any, moving: Sequence[Any], rows: Sequence[Any], pictures: _Pictures
) -> Block | None:
    """One picture of the quantities of some requirements over time, with their limits."""
    if pictures.artist is None:
        return None
    lines: dict[tuple[Any, ...], Any] = {}
    for row in rows:
        quantity = row.requirement.quantity
        key = (str(quantity.on), str(quantity.excluding), quantity.over, getattr(quantity, "component", ""))
        for case in moving:
            if quantity.case in (None, case.name) and len(lines) < _MOST_LINES:
                lines.setdefault((*key, case.name), _course(quantity, verdict.result, case))
    if not lines:
        return None  # of cases without a course in time
    limits = [row.requirement for row in rows]
    words = "; ".join(dict.fromkeys(str(limit) for limit in limits))
    return pictures.draw("plot_times", list(lines.values()), limits=limits, caption=f"Over time: {words}")


def _course(quantity: Any, result: Any, case: Any) -> Any:
    """A judged quantity at every instant of a case, as histories are drawn."""
    reached = hasattr(quantity, "temperature")
    return SimpleNamespace(
        times=case.times,
        values=np.array([quantity._number(result, frame) for frame in case.frames]),
        label=f"temperature of {quantity.on}" if reached else quantity.label,
        dimension="temperature" if reached else quantity.dimension,
        case=case.name,
    )


def _model_blocks(model: Any, pictures: _Pictures, *, again: bool) -> list[Block]:
    """What the model states; where only the mesh is another than before, the mesh alone."""
    label = model.name or Path(model.mesh.source).stem or "part"
    if again:
        words = "Materials, supports and loads are those stated above; the mesh is another."
        return [
            {"kind": "heading", "text": f"Mesh of {label}"},
            {"kind": "text", "text": words},
            *inputs.mesh_blocks(model.mesh),
        ]
    return [
        {"kind": "heading", "text": f"Model of {label}"},
        *_some(pictures.draw("plot_model", model, caption="What holds the part and what acts on it")),
        *inputs.model_blocks(model),
        {"kind": "heading", "text": f"Mesh of {label}"},
        *_some(pictures.draw("plot_mesh", model.mesh, caption="Mesh and named groups")),
        *inputs.mesh_blocks(model.mesh),
    ]


# The page


def _render(chapters: list[Block], page: _Page, *, title: str, author: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("designtwin.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    statuses = {b["status"] for chapter in chapters for b in chapter["blocks"] if b["kind"] == "banner"}
    # A story with a bad beginning and a good end has no one status; its chapters say theirs.
    overall = statuses.pop() if len(statuses) == 1 else ""
    data: PlainData = {"designtwin": __version__, "verdicts": page.verdicts}
    if page.lives:
        data["lives"] = page.lives
    return environment.get_template("page.html").render(
        title=title,
        author=author,
        chapters=chapters,
        overall=overall,
        data=_script_json(data),
        script=_script() if any(b.get("view") for c in chapters for b in c["blocks"]) else "",
        written=time.strftime("%Y-%m-%d %H:%M %z"),
        version=__version__,
        software=inputs.software(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )


def _script() -> Any:
    """What makes 3D views of pictures; its text ends no script element."""
    from markupsafe import Markup

    return Markup((Path(__file__).parent / "view.js").read_text(encoding="utf-8"))


def _script_json(data: PlainData) -> Any:
    """JSON that cannot end the script element it stands in."""
    from markupsafe import Markup

    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
