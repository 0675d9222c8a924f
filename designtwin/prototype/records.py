"""Results as bytes and back, bit by bit: dataclasses of ours by their fields, arrays as they lie, no pickle.

What an answer shares with the test that made it - model, mesh, load cases, the recovery, the equations of
motion - is named and not copied: it comes back as the very objects of the test that asks. What holds a
function or anything open, as a file, is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.assembly.dynamics import Dynamics
from designtwin.errors import StoreError
from designtwin.model.model import LoadCase, Model
from designtwin.plain import Plain
from designtwin.results import Frames, Recovery

_MAGIC = b"designtwin 1\n\0\0\0"
_DIGEST = 32
_ALIGN = 64
_KINDS = "biufc"
"""Kinds of numbers an array may hold."""


class Context:
    """What answers share with a test.

    Parameters
    ----------
    model : Model
        The test's own.
    dynamics : function, optional
        Makes the equations of motion that modes are given in.
    """

    def __init__(self, model: Model, dynamics: Callable[[], Dynamics] | None = None) -> None:
        self.model, self._dynamics = model, dynamics
        self._recovery: dict[int, tuple[Model, Recovery]] = {}

    @classmethod
    def of(cls, test: Any) -> Context:
        """That of a prototype test."""
        model, solver = test.model, test.solver

        def dynamics() -> Dynamics:
            from designtwin.analysis.modal import dynamics_of

            return dynamics_of(model, prestress=getattr(test, "prestress", None), solver=solver)[0]

        return cls(model, dynamics)

    @property
    def has_dynamics(self) -> bool:
        return self._dynamics is not None

    @cached_property
    def dynamics(self) -> Dynamics:
        """The equations of motion, assembled when first asked for."""
        assert self._dynamics is not None
        return self._dynamics()

    def recovery(self, model: Model) -> Recovery:
        """What reads stress off displacements, one for each model."""
        from designtwin.analysis.modal import recovery_of

        return self._recovery.setdefault(id(model), (model, recovery_of(model)))[1]


def pack(value: Any, context: Context) -> bytes:
    """A value with all it holds as bytes that `unpack` reads, a digest of them in front.

    Raises
    ------
    StoreError
        If it holds what cannot be written: a function, something open, an array of objects.
    """
    writer = _Writer(context)
    head = json.dumps(
        {"value": writer.write(value, "result"), "arrays": writer.shapes}, separators=(",", ":")
    ).encode()
    parts = [len(head).to_bytes(8, "little"), head]
    size = 8 + len(head)
    for array in writer.arrays:
        pad = -size % _ALIGN
        parts += [bytes(pad), array.tobytes("A")]
        size += pad + array.nbytes
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        digest.update(part)
    return b"".join([_MAGIC, digest.digest(), *parts])


def unpack(data: bytes, context: Context) -> Any:
    """The value of `pack`, about the objects of another context of equal content.

    Raises
    ------
    StoreError
        If the bytes are damaged, or are none of `pack`.
    """
    start = len(_MAGIC) + _DIGEST
    if not data.startswith(_MAGIC) or len(data) < start + 8:
        raise StoreError("it is no record of ours")
    body = memoryview(data)[start:]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != data[len(_MAGIC) : start]:
        raise StoreError("its bytes are not those that were written")
    try:
        end = 8 + int.from_bytes(body[:8], "little")
        head = json.loads(bytes(body[8:end]))
        arrays, at = [], end
        for dtype, shape, order, writable in head["arrays"]:
            at += -at % _ALIGN
            kind, count = np.dtype(dtype), math.prod(shape)
            if kind.kind not in _KINDS:
                raise StoreError(f"it holds an array of {dtype}")
            flat = np.frombuffer(body, kind, count, at).copy()
            flat = flat.reshape(shape, order=order)
            flat.setflags(write=bool(writable))
            arrays.append(flat)
            at += count * kind.itemsize
        return _Reader(context, arrays).read(head["value"])
    except StoreError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ImportError) as error:
        raise StoreError(f"it does not fit this version: {error}") from error


class _Writer:
    """Values as JSON; arrays beside it. What is met again is named by its number."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.shapes: list[list[Any]] = []
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []

    def write(self, value: Any, where: str) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"f": repr(value)}
        if isinstance(value, complex):
            return {"c": [self.write(value.real, where), self.write(value.imag, where)]}
        if isinstance(value, Path):
            return {"p": str(value)}
        if isinstance(value, tuple | list):
            key = "t" if isinstance(value, tuple) else "l"
            return {key: [self.write(one, f"{where}[{i}]") for i, one in enumerate(value)]}
        if isinstance(value, Mapping):
            return {"d": [[self.write(k, where), self.write(v, f"{where}[{k!r}]")] for k, v in value.items()]}
        if id(value) in self._seen:
            return {"again": self._seen[id(value)]}
        out = self._object(value, where)
        # Numbered after what it holds, which is the order in which a reader makes them.
        self._seen[id(value)] = len(self._alive)
        self._alive.append(value)
        return out

    def _object(self, value: Any, where: str) -> Any:
        context = self.context
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if value is context.model:
            return {"shared": "model"}
        if value is context.model.mesh:
            return {"shared": "mesh"}
        if isinstance(value, LoadCase) and context.model.cases.get(value.name) is value:
            return {"case": value.name}
        if isinstance(value, Dynamics):
            if not context.has_dynamics or value.model is not context.model:
                raise StoreError(f"{where} holds the equations of motion of another model")
            return {"shared": "dynamics"}
        if isinstance(value, Model):
            return {"model": value.to_dict(), "mesh": self.write(value.mesh, f"{where}.mesh")}
        if isinstance(value, Frames):
            return {"frames": self._frames(value, where)}
        if isinstance(value, Plain):
            return {"plain": value.to_dict()}
        cls: type[Any] = type(value)
        if not dataclasses.is_dataclass(value) or not cls.__module__.startswith("designtwin."):
            raise StoreError(f"{where} holds a {cls.__name__}, which cannot be written")
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            if not field.init or not field.metadata.get("kept", True):
                continue
            one = getattr(value, field.name)
            if isinstance(one, Recovery):
                # Follows from the model beside it.
                fields[field.name] = {"recovery": self.write(vars(value)["model"], where)}
            else:
                fields[field.name] = self.write(one, f"{where}.{field.name}")
        return {"o": f"{cls.__module__}:{cls.__qualname__}", "fields": fields}

    def _array(self, array: np.ndarray[Any, Any], where: str) -> Any:
        if array.dtype.kind not in _KINDS or type(array) is not np.ndarray:
            raise StoreError(f"{where} is an array of {array.dtype}, which cannot be written")
        # Sums go along memory, and digits with them: an array comes back in the order it had.
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        kept = np.asarray(array, order=order)  # type: ignore[call-overload]
        if kept.dtype.byteorder == ">" or (kept.dtype.byteorder == "=" and sys.byteorder == "big"):
            kept = kept.astype(kept.dtype.newbyteorder("<"), order=order)
        self.shapes.append([kept.dtype.str, list(kept.shape), order, bool(array.flags.writeable)])
        self.arrays.append(kept)
        return {"a": len(self.arrays) - 1}

    def _frames(self, frames: Frames, where: str) -> Any:
        if frames.on_disk:
            raise StoreError(f"{where} holds {len(frames)} instants in files, more than belongs into memory")
        rows: dict[str, list[Any]] = {name: [] for name in frames.names}
        for i in range(len(frames)):
            for name, column in rows.items():
                column.append(frames.get(i, name))
        return {
            "times": self.write(frames.times, where),
            "rows": {name: self.write(np.array(column), where) for name, column in rows.items()},
        }


class _Reader:
    """The reverse of `_Writer`."""

    def __init__(self, context: Context, arrays: list[np.ndarray[Any, Any]]) -> None:
        self.context, self.arrays = context, arrays
        self._made: list[Any] = []

    def read(self, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        match next(iter(data)):
            case "f":
                return float(data["f"])
            case "c":
                return complex(*(self.read(part) for part in data["c"]))
            case "p":
                return Path(data["p"])
            case "t":
                return tuple(self.read(one) for one in data["t"])
            case "l":
                return [self.read(one) for one in data["l"]]
            case "d":
                return {self.read(key): self.read(value) for key, value in data["d"]}
            case "again":
                return self._made[data["again"]]
        value = self._object(data)
        self._made.append(value)
        return value

    def _object(self, data: dict[str, Any]) -> Any:
        context = self.context
        match next(iter(data)):
            case "a":
                return self.arrays[data["a"]]
            case "shared":
                if data["shared"] == "dynamics":
                    return context.dynamics
                return {"model": context.model, "mesh": context.model.mesh}[data["shared"]]
            case "case":
                return context.model.cases[data["case"]]
            case "model":
                mesh = self.read(data["mesh"])
                return Model.from_dict({**data["model"], "mesh": {"hash": mesh.content_hash()}}, mesh=mesh)
            case "frames":
                return self._frames(data["frames"])
            case "plain":
                return Plain.from_dict(data["plain"])
            case "o":
                fields = {}
                for name, value in data["fields"].items():
                    if isinstance(value, dict) and "recovery" in value:
                        fields[name] = context.recovery(self.read(value["recovery"]))
                    else:
                        fields[name] = self.read(value)
                return _class(data["o"])(**fields)
        raise ValueError(f"unknown entry {next(iter(data))!r}")

    def _frames(self, data: dict[str, Any]) -> Frames:
        frames = Frames.create(None, "")
        times = self.read(data["times"])
        rows = {name: self.read(column) for name, column in data["rows"].items()}
        for i, time in enumerate(times):
            frames.append(float(time), **{name: column[i] for name, column in rows.items()})
        return frames


def _class(name: str) -> type[Any]:
    """One of our dataclasses by module and name; nothing else is ever made of a file."""
    module, _, inside = name.partition(":")
    if not module.startswith("designtwin."):
        raise StoreError(f"it names {name}, which is not of this package")
    found: Any = import_module(module)
    for word in inside.split("."):
        found = getattr(found, word)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise StoreError(f"it names {name}, which is no record")
    return found
