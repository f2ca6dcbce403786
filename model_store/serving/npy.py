"""Clients and answers as NumPy writes a matrix (.npy, version 1.0): float64, one column each.

Its head is matched and not evaluated, so that no body can name another type, pickled objects
among them. Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

import numpy as np

from model_store.geometry import Matrix

MEDIA_TYPE: Final = "application/x-npy"
#: As NumPy and whoever follows it writes it; the blanks fill a line of 64 bytes.
_HEAD: Final = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)"
    rb"\{'descr': '<f8', 'fortran_order': (?P<by_columns>True|False),"
    rb" 'shape': \((?P<rows>\d{1,9}), (?P<columns>\d{1,3})\),? ?\} *\n",
    re.DOTALL,
)
_HEAD_START: Final = 10
_ITEM_BYTES: Final = 8


class NotNpyError(ValueError):
    """A body that is no such matrix; one sentence."""


def read(body: bytes, widths: Collection[int]) -> Matrix:
    """Return the matrix in a body: n x one of so many columns, not to be written to.

    Raises NotNpyError.
    """
    head = _HEAD.match(body)
    if head is None or int.from_bytes(head["length"], "little") != head.end() - _HEAD_START:
        raise NotNpyError("The body is no .npy of version 1.0 with a matrix of float64 ('<f8')")
    rows, columns = int(head["rows"]), int(head["columns"])
    if columns not in widths:
        wanted = " or ".join(map(str, widths))
        raise NotNpyError(f"Expected {wanted} columns, and there are {columns}")
    expected, found = rows * columns * _ITEM_BYTES, len(body) - head.end()
    if found != expected:
        raise NotNpyError(f"{rows} x {columns} numbers are {expected} bytes, and there are {found}")
    cells = np.frombuffer(body, "<f8", offset=head.end())
    return cells.reshape(rows, columns, order="F" if head["by_columns"] == b"True" else "C")


def write(matrix: Matrix) -> bytes:
    """Write a matrix column by column."""
    return _head(matrix.shape) + matrix.tobytes("F")


@lru_cache(maxsize=64)
def _head(shape: tuple[int, ...]) -> bytes:
    head = io.BytesIO()
    told = {"descr": "<f8", "fortran_order": True, "shape": shape}
    np.lib.format.write_array_header_1_0(head, told)
    return head.getvalue()
