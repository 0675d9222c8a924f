"""A finished picture: bytes that notebooks show, and a file that is there whole or not at all."""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, overload

from designtwin.errors import PictureError
from designtwin.io.files import atomic
from designtwin.progress import in_notebook

logger = logging.getLogger("designtwin.viz")

PathLike: TypeAlias = str | os.PathLike[str]
FORMATS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf", ".svg")


@dataclass(frozen=True, eq=False)
class Picture:
    """What a plot returns.

    Parameters
    ----------
    png : bytes
        The picture.
    width, height : int
        Pixels.
    path : Path, optional
        The file written, if one was.
    texts : tuple of str
        Every word in the picture, for tests and screen readers.
    """

    png: bytes = field(repr=False)
    width: int
    height: int
    path: Path | None = None
    texts: tuple[str, ...] = ()
    _shown: list[int] = field(default_factory=list, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    def _repr_png_(self) -> bytes:
        return self.png

    def _ipython_display_(self) -> None:
        # A cell that plots on its last line would show the picture twice: once here, once as its value.
        now = _cell_number()
        if now is None or now not in self._shown:
            self.show()

    def show(self) -> None:
        """Show the picture in the notebook cell that runs."""
        from IPython import display

        now = _cell_number()
        if now is not None:
            self._shown.append(now)
        display.display(display.Image(data=self.png, width=self.width // 2))

    def __str__(self) -> str:
        where = f"{self.path}" if self.path is not None else "not written to a file"
        return f"picture of {self.width} × {self.height} pixels, {where}"


def _cell_number() -> int | None:
    import sys

    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return None if shell is None else int(shell.execution_count)


@overload
def check_path(path: None, formats: Sequence[str] = ..., what: str = ...) -> None: ...
@overload
def check_path(path: PathLike, formats: Sequence[str] = ..., what: str = ...) -> Path: ...
def check_path(
    path: PathLike | None, formats: Sequence[str] = FORMATS, what: str = "picture format"
) -> Path | None:
    """The path a picture may be written to; None where none is asked for.

    Raises
    ------
    PictureError
        If the ending names no format we write, or the path is a folder.
    """
    if path is None:
        return None
    file = Path(path)
    if file.suffix.lower() not in formats:
        raise PictureError(
            f"{file}: the ending {file.suffix!r} names no {what}; use one of {' '.join(formats)}"
        )
    if file.is_dir():
        raise PictureError(f"{file} is a folder; a file name is wanted")
    return file


def finish(
    figure: Any,
    *,
    screenshot: PathLike | None,
    name: str,
    texts: tuple[str, ...],
    show: bool | None,
) -> Picture:
    """Turn a matplotlib figure into a Picture, on file and in the notebook as asked.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    screenshot : path, optional
        Where to write; without it a notebook shows the picture, and elsewhere it goes to ``out/<name>.png``.
    name : str
        For the file name, if one must be found.
    texts : tuple of str
    show : bool, optional
        False keeps it out of the notebook and off the disk.
    """
    path = check_path(screenshot)
    png = _bytes(figure, "png")
    if path is None and show is not False and not in_notebook():
        path = Path("out") / f"{slug(name)}.png"
        logger.warning("no screen to draw on: picture written to %s", path)
    if path is not None:
        kind = path.suffix.lower().lstrip(".")
        with atomic(path, error=PictureError, make_folder=True) as file:
            file.write(png if kind == "png" else _bytes(figure, kind))
    width, height = (round(float(side) * figure.dpi) for side in figure.get_size_inches())
    picture = Picture(png, width, height, path, texts)
    if in_notebook() and show is not False:
        picture.show()
    return picture


def _bytes(figure: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff"}.get(kind, kind)
    more: dict[str, Any] = {"pil_kwargs": {"quality": 90}} if kind in ("jpeg", "webp") else {}
    if kind == "png":
        more = {
            "pil_kwargs": {"optimize": False, "compress_level": 6},
            "metadata": {"Software": "designtwin"},
        }
    figure.savefig(buffer, format=kind, dpi=figure.dpi, **more)
    return buffer.getvalue()


def slug(text: str) -> str:
    """A file name made of the words of a text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "picture"
