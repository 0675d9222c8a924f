"""The small grammar of places and requirements: public names, strings, numbers; nothing is ever evaluated."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from designtwin import requirements as quantities
from designtwin.errors import ModelError, did_you_mean
from designtwin.mesh import selections
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.selections import Selection
from designtwin.requirements import Quantity, Requirement

_SELECTIONS = (
    "faces", "plane", "box", "sphere", "cylinder", "nearest", "near", "feature", "exterior", "everything",
    "group",
)  # fmt: skip
QUANTITIES = (
    "displacement", "temperature", "stress", "yield_margin", "brittle_margin", "mass", "reaction", "heat",
    "heat_balance", "time_to", "frequency", "no_mode_in", "acceleration", "buckling_factor", "strain",
    "composite_margin", "creep_life", "creep_margin", "fkm_margin", "linearized_stress", "hot_spot_stress",
    "damage", "life",
)  # fmt: skip
WHOLE = ("no_mode_in",)
"""Of these the ones that are requirements without a limit."""


def parse_place(text: str, mesh: Mesh | None = None) -> str | Selection:
    """A group's name, or a selection such as ``near("bolt_holes", "4 mm") | "lug"``.

    Parameters
    ----------
    text : str
        What is no expression of ours is a group's name, and so is the name of any group of the mesh.
    mesh : Mesh, optional

    Raises
    ------
    ModelError
        If it is an expression with unknown names or other things than calls, strings and numbers.
    """
    if not isinstance(text, str):
        raise ModelError(f"a place is text: a group's name or a selection; got {text!r}")
    if mesh is not None and text in mesh.groups:
        return text
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        if re.match(rf"\s*~?\s*({'|'.join(_SELECTIONS)})\s*\(", text):
            raise ModelError(f"{text!r} looks like a selection and cannot be read: {_SYNTAX}") from None
        return text
    if not any(isinstance(node, ast.Call) for node in ast.walk(tree)):
        return text
    found = _value(tree, text, _SELECTIONS)
    if not isinstance(found, Selection):
        raise ModelError(f"{text!r} is no place; write a group's name, or e.g. near('lug', '5 mm')")
    return found


def parse_requirement(text: str) -> Requirement:
    """A requirement such as ``displacement("lug", "z") <= "0.4 mm"``.

    Raises
    ------
    ModelError
        If it is no single comparison of a known quantity with a limit.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelError(f"requirement {text!r} cannot be read: {_SYNTAX}") from None
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in WHOLE:
        whole = _value(tree, text, (*QUANTITIES, *_SELECTIONS))
        assert isinstance(whole, Requirement)
        return whole
    if not isinstance(tree, ast.Compare):
        raise ModelError(
            f"requirement {text!r} compares nothing; write e.g. yield_margin() >= 1.5 or mass() <= '2 kg'"
        )
    if len(tree.ops) > 1:
        raise ModelError(f"requirement {text!r} is a chained comparison: write two requirements")
    relations: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
        ast.LtE: operator.le, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.Gt: operator.gt,
    }  # fmt: skip
    compare = relations.get(type(tree.ops[0]))
    if compare is None:
        raise ModelError(f"requirement {text!r}: write <=, <, >= or > between quantity and limit")
    left, right = (
        _value(node, text, (*QUANTITIES, *_SELECTIONS)) for node in (tree.left, tree.comparators[0])
    )
    if isinstance(left, Quantity) == isinstance(right, Quantity):
        raise ModelError(
            f"requirement {text!r} compares no quantity with a limit; known: {', '.join(QUANTITIES)}"
        )
    made = compare(left, right)
    assert isinstance(made, Requirement)
    return made


def parse_quantity(text: str) -> Quantity:
    """A quantity such as ``hot_spot_stress("toe", "+x", "8 mm")``.

    Raises
    ------
    ModelError
        If it is none.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelError(f"quantity {text!r} cannot be read: {_SYNTAX}") from None
    found = _value(tree, text, (*QUANTITIES, *_SELECTIONS))
    if not isinstance(found, Quantity):
        raise ModelError(f"{text!r} is no quantity; known: {', '.join(QUANTITIES)}")
    return found


_SYNTAX = 'values with units stand in quotes, as in near("lug", "5 mm") or mass() <= "2 kg"'


def _value(node: ast.expr, text: str, names: Sequence[str]) -> Any:
    """The meaning of a node of the small grammar: constants, sequences, signs, set operations and calls."""
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float):
            return value
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_value(item, text, names) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if isinstance(value, int | float):
            return -value
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return ~_place(_value(operand, text, names), text)
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() | ast.Sub() as op, right=right):
            a, b = (_place(_value(side, text, names), text) for side in (left, right))
            return a & b if isinstance(op, ast.BitAnd) else a | b if isinstance(op, ast.BitOr) else a - b
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _call(name, args, keywords, text, names)
        case ast.Name(id=name):
            raise ModelError(f"{text!r}: {name} stands without quotes; write {name!r} for a group or a unit")
        case _:
            raise ModelError(
                f"{text!r}: {ast.unparse(node)!r} is not allowed here; only {', '.join(names)}, strings, "
                "numbers and the operators & | - ~ are"
            )


def _place(value: Any, text: str) -> Selection:
    if not isinstance(value, str | Selection):
        raise ModelError(f"{text!r}: & | - ~ combine places, and {value!r} is none")
    return selections.select(value)


def _call(
    name: str, args: list[ast.expr], keywords: list[ast.keyword], text: str, names: Sequence[str]
) -> Any:
    if name not in names:
        raise ModelError(f"{text!r}: {name!r} is unknown{nearest(name, names)}")
    function = getattr(quantities if name in QUANTITIES else selections, name)
    if any(keyword.arg is None for keyword in keywords) or any(isinstance(a, ast.Starred) for a in args):
        raise ModelError(f"{text!r}: * and ** are not allowed here")
    positional = [_value(arg, text, names) for arg in args]
    named = {str(keyword.arg): _value(keyword.value, text, names) for keyword in keywords}
    try:
        return function(*positional, **named)
    except TypeError as error:  # a wrong argument's name or number: Python's own words are clear
        raise ModelError(f"{text!r}: {error}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    return did_you_mean(word, known, n=2) or f"; known: {', '.join(known)}"
