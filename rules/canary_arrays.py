"""Kinds of arrays, and the one division that all of the judge needs."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TINY = 1e-300
"""Stands in for 0 below a fraction whose value is not used there."""


def share(bad: Floats, n: Floats, otherwise: float = 0.0) -> Floats:
    """`bad / n`, and `otherwise` where there are no requests."""
    result: Floats = np.where(n > 0, bad / np.maximum(n, TINY), otherwise)
    return result


def sums_before(values: Floats) -> Floats:
    """Sums of all columns before each, and of all at the end: one column more than `values`."""
    result: Floats = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return result
