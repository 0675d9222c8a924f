"""Plain data: every object of ours can be written as JSON, read back and named by its content.

A frozen dataclass that inherits `Plain` gets `to_dict`, `from_dict` and `content_hash` for its
fields; nothing is to be written by hand. Caching, resume, reports and twins stand on it. There is
no pickle: what is read back passes through the same constructor, and the same checks, as what a
user types.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from designtwin.errors import DesignTwinError, did_you_mean
from designtwin.typing import PlainData

_RESERVED = frozenset({"type", "array", "float", "dict"})
_DTYPES = {"float64": "<f8", "int64": "<i8", "bool": "|b1"}
_types: dict[str, type[Plain]] = {}

P = TypeVar("P", bound="Plain")


class Plain:
    """Mixin for frozen dataclasses: plain data out and in, equality and hash by content.

    A field may hold None, bool, int, float, str, a numpy array (float64, int64, bool), another
    `Plain`, and tuples and dictionaries of these. A list comes back as a tuple. A class that holds
    arrays should be declared with ``@dataclass(frozen=True, kw_only=True, eq=False)``, so that it
    compares by content and not by the truth value of an array.

    The type is written by the name of its class, or by `type_name` where two classes of the same
    name must live side by side.
    """

    type_name: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "type_name" not in cls.__dict__:
            cls.type_name = cls.__name__
        known = _types.get(cls.type_name)
        # the same place twice is a notebook cell run again, or dataclass(slots=True)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(
                f"{cls.__module__}.{cls.__qualname__}: the type name {cls.type_name!r} is taken by "
                f"{known.__module__}.{known.__qualname__}; set type_name = '...' on one of them"
            )
        _types[cls.type_name] = cls

    # The two hooks: a class whose fields are not its data overrides both.

    def _plain_fields(self) -> dict[str, Any]:
        """What is to be saved, by name."""
        return {field.name: getattr(self, field.name) for field in _fields(type(self))}

    @classmethod
    def _from_plain(cls, fields: dict[str, Any]) -> Self:
        """Build from what `_plain_fields` gave."""
        known = {field.name: field for field in _fields(cls)}
        for name in fields:
            if name not in known:
                raise DesignTwinError(f"{cls.type_name} has no field {name!r}{_near(name, known)}")
        missing = [n for n, f in known.items() if n not in fields and not _has_default(f)]
        if missing:
            raise DesignTwinError(f"{cls.type_name} lacks {', '.join(map(repr, missing))} in its plain data")
        return cls(**fields)

    def to_dict(self) -> PlainData:
        """Plain data that `json.dumps` takes and `from_dict` reads back.

        Raises
        ------
        DesignTwinError
            If a field holds something that is no plain data, such as a Python function.
        """
        return {"type": self.type_name} | {
            name: _encode(value, f"{self.type_name}.{name}", exact=True)
            for name, value in self._plain_fields().items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the object that `to_dict` described; on `Plain` itself, of whatever type is named.

        Raises
        ------
        DesignTwinError
            If the type is unknown or not one of this class, a field is missing or unknown, or a
            value is not what the constructor takes.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("type"), str):
            raise DesignTwinError(f"plain data of a {cls.__name__} needs a 'type'; got {_brief(data)}")
        name = data["type"]
        found = _types.get(name)
        if found is None:
            raise DesignTwinError(
                f"plain data names the type {name!r}, which is unknown{_near(name, _types)}"
            )
        if not issubclass(found, cls):
            raise DesignTwinError(f"plain data is a {name}; a {cls.__name__} is wanted")
        fields = {k: _decode(v, f"{name}.{k}") for k, v in data.items() if k != "type"}
        try:
            return found._from_plain(fields)
        except (TypeError, ValueError, KeyError) as error:  # wrong shapes and kinds of hand-written data
            raise DesignTwinError(f"{name} cannot be built from its plain data: {error}") from error

    def content_hash(self) -> str:
        """Hex sha256 of the content: equal content, equal hash, in every process and on every machine."""
        return _digest(
            {"type": self.type_name}
            | {
                name: _encode(value, f"{self.type_name}.{name}", exact=False)
                for name, value in self._plain_fields().items()
            }
        )

    def content_key(self) -> str:
        """The content hash; of an object that holds a Python function, a key of that very object alone.

        For grouping what lives at the same time; never to be stored.
        """
        try:
            return self.content_hash()
        except DesignTwinError:
            return f"{self.type_name} {id(self)}"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, Plain):
            return NotImplemented
        try:
            return self.content_hash() == other.content_hash()
        except DesignTwinError:  # holds a function: equal to itself only
            return False

    def __hash__(self) -> int:
        try:
            return hash(self.content_hash())
        except DesignTwinError:
            return object.__hash__(self)


def known_types() -> tuple[type[Plain], ...]:
    """Every class of plain data there is, those of users too."""
    return tuple(_types.values())


def _fields(cls: Any) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(cls) if field.init]


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _digest(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _encode(value: Any, where: str, *, exact: bool) -> Any:
    """Plain data of a value; with `exact` false, arrays go by the hash of their bytes."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else {"float": repr(number)}
    if isinstance(value, Plain):
        return value.to_dict() if exact else {"type": value.type_name, "hash": value.content_hash()}
    if isinstance(value, np.ndarray):
        return _encode_array(value, where, exact)
    if isinstance(value, tuple | list):
        return [_encode(item, f"{where}[{i}]", exact=exact) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DesignTwinError(f"{where}: key {key!r} is no text; plain data has text keys only")
        encoded = {key: _encode(item, f"{where}[{key!r}]", exact=exact) for key, item in value.items()}
        return {"dict": encoded} if _RESERVED & encoded.keys() else encoded
    if callable(value):
        raise DesignTwinError(
            f"{where} is a Python function, which cannot be saved; tabulate it with "
            "field(points, values) or table(...)"
        )
    raise DesignTwinError(
        f"{where} holds a {type(value).__name__}, which is no plain data (None, bool, int, float, str, "
        "float64/int64/bool arrays, tuples, dictionaries and designtwin objects are)"
    )


def _encode_array(array: np.ndarray[Any, Any], where: str, exact: bool) -> PlainData:
    dtype = array.dtype.name
    if dtype not in _DTYPES:
        raise DesignTwinError(f"{where} is an array of {dtype}; plain data holds {', '.join(_DTYPES)}")
    raw = np.ascontiguousarray(array, dtype=_DTYPES[dtype]).tobytes()
    content = base64.b64encode(raw).decode("ascii") if exact else hashlib.sha256(raw).hexdigest()
    return {"array": content, "dtype": dtype, "shape": list(array.shape)}


def _decode(value: Any, where: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_decode(item, f"{where}[{i}]") for i, item in enumerate(value))
    if not isinstance(value, Mapping):
        return value
    if "type" in value:
        return Plain.from_dict(value)
    if "array" in value:
        return _decode_array(value, where)
    if "float" in value:
        if value["float"] not in ("inf", "-inf", "nan"):
            raise DesignTwinError(f"{where}: {value['float']!r} is none of 'inf', '-inf', 'nan'")
        return float(value["float"])
    inside = value.get("dict", value)
    if not isinstance(inside, Mapping):
        raise DesignTwinError(f"{where}: 'dict' holds {_brief(inside)}, no dictionary")
    return {key: _decode(item, f"{where}[{key!r}]") for key, item in inside.items()}


def _decode_array(data: Mapping[str, Any], where: str) -> np.ndarray[Any, Any]:
    try:
        dtype = _DTYPES[data["dtype"]]
        raw = base64.b64decode(data["array"], validate=True)
        flat = np.frombuffer(raw, dtype=dtype).astype(data["dtype"])  # a copy: frombuffer is read-only
        return flat.reshape([int(n) for n in data["shape"]])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise DesignTwinError(f"{where} is no array in plain data: {error}") from error


def _near(name: str, known: Mapping[str, Any]) -> str:
    return did_you_mean(name, known) or (f"; it has {', '.join(known)}" if 0 < len(known) < 15 else "")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def from_json(cls: type[P], text: str) -> P:
    """Read the JSON text of a `cls`; `json.dumps(thing.to_dict())` writes it.

    Raises
    ------
    DesignTwinError
        If the text is no JSON, or not of a `cls`.
    """
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DesignTwinError(f"the text of a {cls.__name__} is no JSON: {error}") from error
    return cls.from_dict(data)
