"""Invariants of stress tensors given as xx yy zz xy yz xz."""

from __future__ import annotations

import numpy as np

from designtwin.typing import FloatArray

ENGINEERING = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
"""Turns engineering shear strains into tensor components."""
COMPONENTS = ("xx", "yy", "zz", "xy", "yz", "xz")


def von_mises(stress: FloatArray) -> FloatArray:
    """Von Mises equivalent stress sqrt(3 J2), float64[...], for stress float64[..., 6].

    Source: Simo and Hughes, Computational Inelasticity (1998), ch. 2.
    """
    xx, yy, zz, xy, yz, xz = np.moveaxis(stress, -1, 0)
    return np.asarray(
        np.sqrt(
            0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * (xy * xy + yz * yz + xz * xz)
        )
    )


def tensors(stress: FloatArray, *, shear: float = 1.0) -> FloatArray:
    """Symmetric tensors float64[..., 3, 3]; shear 0.5 for engineering strains."""
    out = np.empty((*stress.shape[:-1], 3, 3))
    for i, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))):
        value = stress[..., i] * (shear if row != column else 1.0)
        out[..., row, column] = value
        out[..., column, row] = value
    return out


def principal(stress: FloatArray) -> FloatArray:
    """Principal stresses float64[..., 3], largest first."""
    return np.asarray(np.linalg.eigvalsh(tensors(stress))[..., ::-1])


def tresca(stress: FloatArray) -> FloatArray:
    """Tresca equivalent stress: largest less smallest principal stress, float64[...]."""
    values = principal(stress)
    return np.asarray(values[..., 0] - values[..., 2])


def norm(stress: FloatArray) -> FloatArray:
    """Frobenius norm of the tensor, float64[...]: bounds any change of a principal stress (Weyl)."""
    xx, yy, zz, xy, yz, xz = np.moveaxis(stress, -1, 0)
    return np.asarray(np.sqrt(xx * xx + yy * yy + zz * zz + 2.0 * (xy * xy + yz * yz + xz * xz)))
