"""Prior-weighted logistic regression: the minimum that fusion and calibration need.

The objective is the sum of v softplus(w.x + offset) over the trials of both classes, plus
penalty/2 w^2. The columns x of spoof trials stand as they are, those of genuine trials have the
opposite sign.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sdtools.errors import SdError

CHUNK = 1 << 14  # trials at once, so that intermediate results stay in the cache
MAX_STEPS = 100
TOLERANCE = 1e-10  # relative curvature, below which a direction counts as flat


class ClassTrials(NamedTuple):
    """The trials of one class: columns (num_columns, num_trials), offset, weights (num_trials,)."""

    columns: np.ndarray
    offset: float
    weights: np.ndarray


class Point(NamedTuple):
    """Value, gradient and Hessian of the objective at one place."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


class Minimum(NamedTuple):
    """Weights (num_columns,), the objective there, and the rank of the problem."""

    weights: np.ndarray
    value: float
    rank: int


class SeparableError(SdError):
    """The objective has no minimum, because a weighted sum of the scores separates the classes.

    A score far away from all others can make it look so.
    """


def objective(classes: list[ClassTrials], penalty: np.ndarray, w: np.ndarray) -> Point:
    """The objective at weights `w`."""
    value, gradient, hessian = penalty @ w**2 / 2, penalty * w, np.diag(penalty)
    for columns, offset, weights in classes:
        for start in range(0, columns.shape[1], CHUNK):
            x, v = columns[:, start : start + CHUNK], weights[start : start + CHUNK]
            z = w @ x + offset
            e = np.exp(-np.abs(z))
            value += v @ (np.maximum(z, 0) + np.log1p(e))
            gradient = gradient + x @ (v * np.where(z > 0, 1, e) / (1 + e))
            hessian = hessian + (x * (v * e / (1 + e) ** 2)) @ x.T
    return Point(float(value), gradient, hessian)


def minimise(classes: list[ClassTrials], penalty: np.ndarray) -> Minimum:
    """The minimum by Newton's method; steps are halved until they descend.

    Directions that the columns do not determine, because they are constant or collinear, get the
    weights of least norm.

    Raises
    ------
    SeparableError
        If there is no minimum.
    """
    w = np.zeros(len(penalty))
    point = objective(classes, penalty, w)
    basis = _determined_directions(point.hessian)
    for _ in range(MAX_STEPS):
        curvatures, directions = np.linalg.eigh(basis.T @ point.hessian @ basis)
        if curvatures[0] < TOLERANCE and not penalty[:-1].all():
            break
        slopes = directions.T @ (basis.T @ point.gradient)
        step = -basis @ (directions @ (slopes / curvatures))
        if slopes**2 @ (1 / curvatures) <= 1e-14:
            return Minimum(w + step, point.value, basis.shape[1])
        while (after := objective(classes, penalty, w + step)).value > point.value * (1 + 1e-12):
            step /= 2
        w, point = w + step, after
    raise SeparableError(
        "train_fusion",
        "a weighted sum of the scores separates the classes, or one score is far outside the rest",
        hint="Use --auto-ridge, or --ridge=0.001 or more",
    )


def _determined_directions(hessian: np.ndarray) -> np.ndarray:
    """Basis of the directions with curvature, in which the Hessian starts as the identity."""
    curvatures, directions = np.linalg.eigh(hessian)
    kept = curvatures > TOLERANCE * curvatures[-1]
    return directions[:, kept] / np.sqrt(curvatures[kept])


def minimise_nonnegative(classes: list[ClassTrials], penalty: np.ndarray) -> Minimum:
    """The minimum with no weight below 0, except the last one, which is the offset.

    Notes
    -----
    L-BFGS-B finds the weights that are not 0, and Newton's method refines these. Each round drops
    weights that became negative, or adds one that would help.
    """
    free, best = _free_weights(classes, penalty), None
    for _ in range(2 * len(penalty)):
        chosen = [ClassTrials(x[free], offset, v) for x, offset, v in classes]
        found = minimise(chosen, penalty[free])
        w = np.zeros(len(penalty))
        w[free] = found.weights
        if (w[:-1] < 0).any():
            free[:-1] &= w[:-1] > 0
            continue
        if best is None or found.value < best.value:
            best = found._replace(weights=w)
        gradient = np.where(free, 0, objective(classes, penalty, w).gradient)
        if gradient.min() >= -1e-9:  # no other weight would help
            break
        free[np.argmin(gradient)] = True
    assert best is not None  # without any weight the offset alone has a minimum
    return best


def _free_weights(classes: list[ClassTrials], penalty: np.ndarray) -> np.ndarray:
    """Which weights are above 0 at the minimum, by L-BFGS-B; the offset is always free."""
    from scipy.optimize import minimize

    found = minimize(
        lambda w: objective(classes, penalty, w)[:2],
        np.zeros(len(penalty)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (len(penalty) - 1) + [(None, None)],
        options={"gtol": 1e-10, "ftol": 0, "maxiter": MAX_STEPS},
    )
    return np.append(found.x[:-1] > 0, True)
