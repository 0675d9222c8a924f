"""A field over time as moving pictures: GIF, WebP, MP4, or one HTML page with a slider.

All pictures share one color scale, one camera and one deformation scale; what changes from one to the next
is the answer alone.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import PictureError
from designtwin.io.files import atomic
from designtwin.progress import in_notebook, track
from designtwin.requirements import Quantity
from designtwin.typing import FloatArray
from designtwin.viz import flow
from designtwin.viz.fields import (
    Common,
    Isotherms,
    Shown,
    cases_of,
    default_name,
    deformation_scale,
    field_name,
    field_scene,
    is_of_modes,
    is_shape,
    isotherm_levels,
    matching,
    part_name,
    read,
    read_one,
    scale_of,
    settled_plane,
    standing_for,
    title_of,
    unwrap,
    usual_name,
)
from designtwin.viz.instants import as_times, instant, spaced, times_of, unit_of
from designtwin.viz.page import AXES, BLANK, Box, Page, format_ticks
from designtwin.viz.picture import check_path
from designtwin.viz.render import render
from designtwin.viz.scene import FAINT, INK, Scale, Scene, color_table, nice_step
from designtwin.viz.view import frame, look_at

FORMATS = (".gif", ".webp", ".mp4", ".html", ".htm")
MOST_FRAMES = 1000
_KEPT = 20_000_000  # values of all pictures together that are kept, not read twice
_OWN_COLORS = ((INK, 12), (FAINT, 6), *((color, 3) for color in AXES))
"""What words, lines and axes are drawn in, and how many steps from white to it a palette keeps."""
_MARGINS = (0.06, 0.06, 0.05, 0.05)


@dataclass(frozen=True, eq=False)
class Animation:
    """What `animate` returns; a notebook shows it.

    Parameters
    ----------
    path : Path
        The file written.
    times : float64[k]
        The instants shown, s.
    width, height : int
        Pixels.
    seconds : float
        How long it runs.
    texts : tuple of str
        Every word in the pictures, for tests and screen readers.
    """

    path: Path
    times: FloatArray
    width: int
    height: int
    seconds: float
    texts: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"{len(self.times)} pictures of {self.width} × {self.height} pixels, {self.path}"

    def _repr_html_(self) -> str:
        data = self.path.read_bytes()
        kind = self.path.suffix.lower().lstrip(".")
        coded = base64.b64encode(data).decode()
        width = min(self.width, 960)
        if kind == "mp4":
            return f'<video controls loop width="{width}" src="data:video/mp4;base64,{coded}"></video>'
        if kind in ("gif", "webp"):
            return (
                f'<img width="{width}" alt="{html.escape(str(self))}" src="data:image/{kind};base64,{coded}">'
            )
        page = html.escape(data.decode(), quote=True)
        height = self.height * width // self.width + 90
        return f'<iframe width="{width + 40}" height="{height}" style="border:0" srcdoc="{page}"></iframe>'


def animate(
    source: Any,
    path: str | os.PathLike[str],
    name: str | Quantity = "",
    *,
    case: str | None = None,
    times: Sequence[Any] | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    deformed: bool | float | None = None,
    mesh_edges: bool = False,
    cut_plane: tuple[Any, Any] | str | None = None,
    window_size: tuple[int, int] = (960, 720),
    camera: str | Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
    isotherms: Isotherms = None,
    arrows: bool | int = False,
    show: bool | None = None,
    title: str | None = None,
) -> Animation:
    """Show a field over time, or one swing of a mode or of a harmonic answer at one frequency.

    Parameters
    ----------
    source : Verdict, result or case result
        With a course in time; or a mode, or ``case.at("65 Hz")`` of a harmonic case (the frequency of its
        largest value, unless said).
    path : path
        ``.gif``, ``.webp`` (smaller, all colors), ``.mp4`` (needs an encoder: ffmpeg, or the package
        imageio-ffmpeg), or ``.html``: one page with a slider, which asks for nothing from elsewhere.
        Its folder is made; the file is there whole or not at all.
    name : str or Quantity
        The field; by default the temperature, or of a verdict what is worst off.
    case : str, optional
        Load case; of several the worst by default.
    times : sequence of times, optional
        The instants to show, such as ["0 s", "1 min", "5 min"].
    frames : int, optional
        How many instants, equally far apart in time, where `times` does not list them: 48, of a swing 24.
    seconds : float, optional
        How long it runs: 6, and the last picture stays for one more; a swing takes 2 and begins anew.
    arrows : bool or int
        Arrows along the heat flux; their scale is that of the instant at which it is largest.
    show : bool, optional
        False keeps it out of the notebook cell that runs; the file is written all the same.
    deformed, mesh_edges, cut_plane, window_size, camera, limits, isotherms, title
        As `plot_field`.

    Returns
    -------
    Animation

    Raises
    ------
    PictureError
        If the ending names no format we write, no encoder is there for it, the case has no course in time, or
        the file cannot be written.
    """
    file = check_path(path, FORMATS, "moving picture")
    result, verdict = unwrap(source)
    if not name:
        name = usual_name(result) if verdict is None else default_name(verdict)
    one = _case(result, verdict, name, case)
    if not isinstance(name, str) and is_of_modes(name):
        name = "shape"
    swings = hasattr(one, "at_phase")
    seconds = seconds if seconds is not None else 2.0 if swings else 6.0
    frames = frames if frames is not None else 24 if swings else 48
    encoder = _ffmpeg() if file.suffix.lower() == ".mp4" else ""
    if not (math.isfinite(seconds) and seconds > 0):
        raise PictureError(f"seconds={seconds!r}: a positive number is wanted")
    if times is None and not 2 <= frames <= MOST_FRAMES:
        raise PictureError(f"frames={frames}: between 2 and {MOST_FRAMES} pictures are wanted")
    course = times_of(one)
    if swings:
        if times is not None:
            raise PictureError(f"{one.name}: a swing is shown whole; leave times= out")
        shown_at = np.linspace(0.0, 2.0 * np.pi, frames, endpoint=False)
    elif course is None:
        raise PictureError(
            f"case {one.name!r} is one state without a course in time; there is nothing to animate"
        )
    else:
        shown_at = spaced(course, frames) if times is None else as_times(times, one)
    film = (_Swing if swings else _Film)(
        result,
        verdict,
        name,
        one,
        shown_at,
        deformed=deformed,
        mesh_edges=mesh_edges,
        cut_plane=cut_plane,
        size=window_size,
        camera=camera,
        limits=limits,
        isotherms=isotherms,
        arrows=arrows,
        title=title,
    )
    with track(f"film of {film.title}", total=len(shown_at)) as progress:

        def pictures() -> Iterable[Any]:
            for number in range(len(shown_at)):
                progress.step(film.words[number])
                yield film.picture(number)

        pause = 1000.0 * seconds / len(shown_at)
        if file.suffix.lower() == ".mp4":
            _write_mp4(file, pictures(), pause, encoder, rest=film.rest)
        elif file.suffix.lower() in (".html", ".htm"):
            _write_page(file, list(pictures()), pause, film)
        else:
            _write_pillow(file, list(pictures()), pause, film.look["common"].scale, rest=film.rest)
    out = Animation(file, shown_at, *window_size, seconds=seconds, texts=tuple(film.texts))
    if in_notebook() and show is not False:
        from IPython import display

        display.display(display.HTML(out._repr_html_()))
    return out


def _case(result: Any, verdict: Any, name: str | Quantity, asked: str | None) -> Any:
    """The case asked for, or that of the verdict's worst value, or the one that is worst."""
    cases = cases_of(result)
    if asked is not None and asked not in cases:
        raise PictureError(f"there is no load case {asked!r}; there are {', '.join(cases)}")
    if is_of_modes(name) or (asked is None and name == "shape"):
        return read(result, name, asked, verdict).case
    if asked is not None:
        return _moving(cases[asked], name)
    moving = {key: one for key, one in cases.items() if times_of(one) is not None}
    if len(moving) < 2:
        return _moving(next(iter((moving or cases).values())), name)
    for outcome in matching(verdict, name):
        if outcome.value.case in moving:
            return moving[outcome.value.case]
    return moving[read(result, name, None, None).case.name]


def _moving(case: Any, name: str | Quantity) -> Any:
    """A mode in place of a case of modes; of a harmonic case the frequency at which a field is largest."""
    case = standing_for(case)
    if not hasattr(case, "peak_frequency"):
        return case
    key = name if isinstance(name, str) else field_name(name)
    values = np.abs(np.asarray(case.field(key).values, np.float64))
    values = values if values.ndim == 1 else np.linalg.norm(values, axis=1)
    worst = np.nanargmin(values) if key == "safety_factor" else np.nanargmax(values)
    return case.at(float(case.peak_frequency(key)[worst]))


class _Film:
    """Everything the pictures share, and each of them on demand."""

    rest = 1.0
    """For how long the last picture stays, s."""
    below = 150
    """Room under the part for the time axis, pixels of a 1600 × 1200 page."""

    def __init__(
        self,
        result: Any,
        verdict: Any,
        name: str | Quantity,
        case: Any,
        times: FloatArray,
        *,
        deformed: bool | float | None,
        cut_plane: tuple[Any, Any] | str | None,
        size: tuple[int, int],
        camera: str | Sequence[float] | None,
        limits: tuple[float, float] | None,
        isotherms: Isotherms,
        arrows: bool | int,
        title: str | None,
        **look: Any,
    ) -> None:
        self.result, self.verdict, self.name, self.case, self.times = result, verdict, name, case, times
        self.end, self.words = self._clock()
        self.size = size
        self._kept: dict[int, Shown] = {}
        first = self.shown(0)
        ends, most, largest = [], None, 0.0
        for number in range(len(times)):
            shown = self.shown(number)
            judged = shown.values[shown.judged & np.isfinite(shown.values)]
            whole = shown.values[np.isfinite(shown.values)]
            ends.append([each(part) for part in (judged, whole) for each in (np.min, np.max)])
            moved = getattr(shown.case, "displacement", None)
            if moved is not None and float(np.abs(moved).max()) >= largest:
                most, largest = moved, float(np.abs(moved).max())
        factor: bool | float = False
        if most is not None and deformed is not False:
            asked = True if deformed is None else deformed
            rounded = not is_shape(case)
            factor = deformation_scale(most, case.mesh.size, asked, rounded=rounded) or False
        # One field that has the values of all pictures decides on the colors of all.
        span = np.array(ends)
        values = np.array([span[:, 0].min(), span[:, 1].max(), span[:, 2].min(), span[:, 3].max()])
        scale = scale_of(replace(first, values=values, judged=np.array([True, True, False, False])), limits)
        levels = isotherm_levels(first, scale, isotherms)
        if isotherms is not None:
            scale = replace(scale, lines=tuple(levels))
        self.look: dict[str, Any] = {
            **look,
            "deformed": factor,
            "cut_plane": self._plane(cut_plane),
            "zones": False,
            "arrows": arrows,
            "common": Common(scale, levels, self._largest_flux(arrows)),
        }
        scenes = [self.scene(number) for number in sorted({0, len(times) // 2, len(times) - 1})]
        self.title = title if title is not None else title_of(self._named(replace(first, span=0.0)))
        self.page = Page(size)
        self.box = self._still(scenes[-1], scale)
        width, height = round(self.box.width * size[0]), round(self.box.height * size[1])
        worst = np.array([c.at for c in scenes[-1].callouts]).reshape(-1, 3)
        toward = look_at(scenes[-1], camera, worst)
        points = np.concatenate([scene.framed() for scene in scenes])
        self.view = frame(points, toward, width, height, margins=_MARGINS)
        self.page.triad(self.view, self.box, scenes[-1].flat)
        self.ground = self._pixels(self.page)
        self.texts = [*self.page.texts, *self.words]

    def _clock(self) -> tuple[float, list[str]]:
        """Where time ends, and what each picture's is called."""
        course = times_of(self.case)
        assert course is not None
        end = float(course[-1])
        return end, [units.show_time(float(t), end) for t in self.times]

    def _named(self, first: Shown) -> Shown:
        """What the title tells of."""
        return first

    def shown(self, number: int) -> Shown:
        """The field at an instant; kept as long as all of them together stay small."""
        if number not in self._kept:
            case = instant(self.case, float(self.times[number]))
            found = read_one(self.result, self.name, case, self.verdict, span=self.end)
            if len(found.values) * len(self.times) > _KEPT:
                return found
            self._kept[number] = found
        return self._kept[number]

    def scene(self, number: int) -> Scene:
        """What is drawn at an instant."""
        return field_scene(self.result, self.shown(number), verdict=self.verdict, **self.look)

    def _plane(self, asked: tuple[Any, Any] | str | None) -> tuple[Any, Any] | str | None:
        """A cut that stays where it is; a letter means through the worst place of the last picture."""
        if not isinstance(asked, str):
            return asked
        last = self.shown(len(self.times) - 1)
        row = int(np.nanargmax(np.abs(last.values)))
        return settled_plane(asked, last.case.mesh, last.case.mesh.points[last.node[row]])

    def _largest_flux(self, arrows: bool | int) -> float:
        if not arrows:
            return 0.0
        about = flow.ABOUT if arrows is True else int(arrows)
        pick = np.unique(np.linspace(0, len(self.times) - 1, 6).round().astype(int))
        return max(flow.heat_flow(self.shown(int(n)).case, about=about).largest for n in pick)

    # The page around the moving part

    def _still(self, scene: Scene, scale: Scale) -> Box:
        """Write all that does not change; returns the place of the part."""
        page, (width, height) = self.page, self.size
        page.header(self.title, part_name(self.result, self.verdict))
        page.footer(scene.notes[:-1])
        page.bar(scale, Box(1 - 150 * page.unit / width, 0.24, 30 * page.unit / width, 0.50))
        self._ruler()
        bottom, right = self.below * page.unit / height, 200 * page.unit / width
        top = 112 * page.unit / height
        return Box(0.0, bottom, 1 - right, 1 - top - bottom)

    def _ruler(self) -> None:
        """The time axis under the part."""
        page, (width, height) = self.page, self.size
        name, seconds = unit_of(self.end)
        left, right = 200 * page.unit, width - 230 * page.unit
        y = height - 92 * page.unit
        first, last = float(self.times[0]), float(self.times[-1])
        self.track = (left, right, y)
        over = page.overlay(Box(0.0, 0.0, 1.0, 1.0))
        over.plot([left, right], [y, y], color="#d8dee4", linewidth=page.points(8), solid_capstyle="butt")
        step = nice_step((last - first) / seconds / 6.0)
        ticks = step * np.arange(math.ceil(first / seconds / step - 1e-9), last / seconds / step + 1e-9)
        for tick, text in zip(ticks, format_ticks(ticks), strict=True):
            x = left + (right - left) * (tick * seconds - first) / (last - first)
            over.plot(
                [x, x], [y + 6 * page.unit, y + 14 * page.unit], color=FAINT, linewidth=page.points(1.2)
            )
            over.text(
                x, y + 18 * page.unit, text, fontsize=page.points(16), color=FAINT, ha="center", va="top"
            )
        over.text(
            right + 34 * page.unit, y + 18 * page.unit, name, fontsize=page.points(16), color=FAINT, va="top"
        )
        page.texts.append(name)

    @staticmethod
    def _pixels(page: Page) -> Any:
        page.figure.canvas.draw()
        return np.asarray(page.figure.canvas.buffer_rgba())[:, :, :3].copy()

    def picture(self, number: int) -> Any:
        """One picture as a PIL image."""
        from PIL import Image, ImageDraw

        scene = self.scene(number)
        pixels, filled = render(scene, self.view)
        if filled.mean() < BLANK:
            raise PictureError(f"the picture at {self.words[number]} came out blank")
        out = self.ground.copy()
        top = round((1 - self.box.bottom - self.box.height) * self.size[1])
        x0, height, width = 0, *pixels.shape[:2]
        area = out[top : top + height, x0 : x0 + width]
        # What the page says there, the axes, stays on top of the part.
        written = area.min(axis=2) < 250
        drawn = np.rint(255.0 * np.clip(pixels, 0, 1)).astype(np.uint8)[: area.shape[0], : area.shape[1]]
        area[~written] = drawn[~written]
        image = Image.fromarray(out)
        self._mark(ImageDraw.Draw(image), number)
        return image

    def _mark(self, pen: Any, number: int) -> None:
        """Show the time."""
        left, right, y = self.track
        first, last = float(self.times[0]), float(self.times[-1])
        x = left + (right - left) * (float(self.times[number]) - first) / (last - first)
        half = 4 * self.page.unit
        pen.rectangle((left, round(y - half), x, round(y + half)), fill=INK)
        pen.text(
            (left - 30 * self.page.unit, y), self.words[number], fill=INK, font=self._font(), anchor="rm"
        )

    @cache  # noqa: B019  (a film lives as long as its function call)
    def _font(self) -> Any:
        from matplotlib import get_data_path
        from PIL import ImageFont

        bold = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
        return ImageFont.truetype(str(bold), round(26 * self.page.unit))


# Files


class _Swing(_Film):
    """One swing of a mode or of a vibration: the part moves, the colors of its amplitude stay."""

    rest = 0.0
    below = 60

    def _clock(self) -> tuple[float, list[str]]:
        return 2.0 * np.pi, [f"{np.degrees(turn):.0f}°" for turn in self.times]

    def _named(self, first: Shown) -> Shown:
        return replace(first, case=self.case)

    def picture(self, number: int) -> Any:
        """One picture; a mode comes back the way it went."""
        if not is_shape(self.case):
            return super().picture(number)
        twin = min(number, (len(self.times) - number) % len(self.times))
        if twin not in self._drawn:
            self._drawn[twin] = super().picture(twin)
        return self._drawn[twin]

    @cached_property
    def _drawn(self) -> dict[int, Any]:
        return {}

    def shown(self, number: int) -> Shown:
        """The amplitude, on the part as it is at a phase."""
        if 0 not in self._kept:
            self._kept[0] = read_one(self.result, self.name, self.case, None, span=0.0)
        return replace(self._kept[0], case=self.case.at_phase(float(self.times[number])))

    def _ruler(self) -> None:
        pass

    def _mark(self, pen: Any, number: int) -> None:
        pass


def _write_pillow(file: Path, images: list[Any], pause: float, scale: Scale, *, rest: float) -> None:
    """GIF or WebP; the last picture stays for `rest` seconds more."""
    durations = [round(pause)] * (len(images) - 1) + [round(pause + 1000.0 * rest)]
    more: dict[str, Any] = {"save_all": True, "duration": durations, "loop": 0}
    if file.suffix.lower() == ".gif":
        images = _with_one_palette(images, scale)
        more |= {"optimize": False, "disposal": 1}
        kind = "GIF"
    else:
        more |= {"quality": 82, "method": 4}
        kind = "WEBP"
    buffer = io.BytesIO()
    images[0].save(buffer, kind, append_images=images[1:], **more)
    with atomic(file, error=PictureError, make_folder=True) as stream:
        stream.write(buffer.getvalue())


def _mixed(color: str, share: float) -> tuple[int, int, int]:
    """White and a color, mixed; all of the color at 1."""
    solid = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    red, green, blue = (round(255.0 + share * (each - 255.0)) for each in solid)
    return red, green, blue


def _with_one_palette(images: list[Any], scale: Scale) -> list[Any]:
    """The same with 256 colors common to all, so that nothing flickers; the scale gets most of them."""
    from PIL import Image

    table = 255.0 * color_table(scale.colors, scale.steps)
    pick = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, 4).round().astype(int))]
    width, height = images[0].size
    strip = height // 4
    sheet = Image.new("RGB", (width, (height + 4 * strip) * len(pick)))
    column = np.linspace(0, scale.steps - 1, width).astype(int)
    for row, image in enumerate(pick):
        top = row * (height + 4 * strip)
        sheet.paste(image, (0, top))
        for band, light in enumerate((1.0, 0.93, 0.84, 0.74)):
            lit = np.rint(light * table[column]).astype(np.uint8)
            bar = Image.fromarray(np.broadcast_to(lit, (strip, width, 3)).copy())
            sheet.paste(bar, (0, top + height + band * strip))
    small = sheet.resize((width // 2, sheet.height // 2), Image.Resampling.NEAREST)
    # Words, lines and axes keep their own colors, which are few pixels and would be lost.
    own = [_mixed(color, share) for color, steps in _OWN_COLORS for share in np.linspace(0.0, 1.0, steps)]
    found = small.quantize(256 - len(own), method=Image.Quantize.MEDIANCUT, kmeans=1).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*itertools.chain(*own), *(found or [])][:768])
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def _ffmpeg() -> str:
    """The program that writes MP4.

    Raises
    ------
    PictureError
        If there is none.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise PictureError(
            "an MP4 needs an encoder: install ffmpeg, or the package imageio-ffmpeg "
            "(pip install designtwin[film]); .gif, .webp and .html need nothing"
        ) from error


def _write_mp4(file: Path, images: Iterable[Any], pause: float, encoder: str, *, rest: float) -> None:
    rate = f"{1000.0 / pause:.4f}"
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "film.mp4"
        log = Path(folder) / "log.txt"
        images = iter(images)
        first = next(images)
        # Half the pixels carry color, so sides must be even; "faststart" lets players begin while it loads.
        command = [
            encoder, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{first.width}x{first.height}", "-r", rate, "-i", "-", "-an",
            "-vf", f"tpad=stop_mode=clone:stop_duration={rest:g},pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white",
            "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-movflags", "+faststart", str(part),
        ]  # fmt: skip
        with open(log, "wb") as told:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=told)
            assert process.stdin is not None
            try:
                for image in itertools.chain([first], images):
                    process.stdin.write(image.tobytes())
                process.stdin.close()
                code = process.wait()
            except BrokenPipeError:
                code = process.wait() or 1
            except BaseException:
                process.kill()
                process.wait()
                raise
        if code:
            words = log.read_text(errors="replace").strip().splitlines()
            raise PictureError(f"{file}: {encoder} ended with {code}: {' '.join(words[-2:])}")
        with atomic(file, error=PictureError, make_folder=True) as stream:
            stream.write(part.read_bytes())


def _write_page(file: Path, images: list[Any], pause: float, film: _Film) -> None:
    coded = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=85, method=4)
        coded.append("data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode())
    text = Path(__file__).with_name("film.html").read_text(encoding="utf-8")
    for key, value in (
        ("title", html.escape(film.title)),
        ("width", str(film.size[0])),
        ("last", str(len(images) - 1)),
        ("words", json.dumps(film.words)),
        ("pause", str(round(pause))),
        ("pictures", json.dumps(coded)),
    ):
        text = text.replace(f"@{key}@", value)
    with atomic(file, error=PictureError, make_folder=True) as stream:
        stream.write(text.encode())
