"""Three variables x, z and w whose conditional mutual information I(x; z | w) is known.

Each case has a draw of N rows, the truth in nats, and a kind. Shapes: N rows, X, Z and W columns.
"""

__all__ = ["CASES", "Case", "Draw", "gaussian_truth"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Draw = tuple[Array, Array, Array]  # x, z and w


@dataclass(frozen=True)
class Case:
    """A distribution of (x, z, w).

    Attributes:
        kind: The group of cases in tables.
        truth: I(x; z | w) in nats.
        draw: Returns x, z and w of N rows, from N and a generator.
        discrete: The variables whose values are levels, as letters.
    """

    kind: str
    truth: float
    draw: Callable[[int, np.random.Generator], Draw]
    discrete: str = ""


def gaussian_truth(covariance: Array, x: int, z: int) -> float:
    """Returns I(x; z | w) of normals, x and z being the first columns, from log-determinants."""
    first, second = list(range(x)), list(range(x, x + z))
    given = list(range(x + z, len(covariance)))

    def entropy(columns: list[int]) -> float:
        return 0.5 * float(np.linalg.slogdet(covariance[np.ix_(columns, columns)])[1])

    joint = first + second + given
    return entropy(first + given) + entropy(second + given) - entropy(joint) - entropy(given)


def _chain(dim: int, n: int, r: np.random.Generator) -> Draw:
    x = r.standard_normal((n, 1))
    w = x + r.standard_normal((n, dim)) * 0.7
    return x, w.mean(axis=1, keepdims=True) + 0.5 * r.standard_normal((n, 1)), w


def _common_cause(dim: int, n: int, r: np.random.Generator) -> Draw:
    w = r.standard_normal((n, dim))
    sums = w.sum(axis=1, keepdims=True)
    x, z = (sums + 0.5 * r.standard_normal((n, 1)) for _ in range(2))
    return x, z, w


def _collider(noise: float, n: int, r: np.random.Generator) -> Draw:
    x, z = r.standard_normal((n, 1)), r.standard_normal((n, 1))
    return x, z, x + z + noise * r.standard_normal((n, 1))


def _mixing(sizes: tuple[int, int, int], strength: float, seed: int) -> Array:
    """Returns the mixing matrix of correlated normals; the first columns are x, then z, then w."""
    d = sum(sizes)
    mixing: Array = (
        np.eye(d) + strength * np.random.default_rng(seed).standard_normal((d, d)) / d**0.5
    )
    return mixing


def _normals(
    sizes: tuple[int, int, int], strength: float, seed: int, n: int, r: np.random.Generator
) -> Draw:
    y = r.standard_normal((n, sum(sizes))) @ _mixing(sizes, strength, seed).T
    x, z, w = np.split(y, np.cumsum(sizes)[:2], axis=1)
    return x, z, w


def _monotone(draw: Callable[[int, np.random.Generator], Draw]) -> Callable[..., Draw]:
    def mapped(n: int, r: np.random.Generator) -> Draw:
        x, z, w = draw(n, r)
        return np.exp(x), z**3, np.sinh(w)

    return mapped


def _curves(noise: float, dim: int, n: int, r: np.random.Generator) -> Draw:
    w = r.standard_normal((n, dim))
    s = w.sum(axis=1, keepdims=True) / dim**0.5
    x = s**2 + noise * r.standard_normal((n, 1))
    return x, np.sin(2 * s) + noise * r.standard_normal((n, 1)), w


def _curves_and_link(noise: float, rho: float, n: int, r: np.random.Generator) -> Draw:
    x, z, w = _curves(0.0, 1, n, r)
    e = r.standard_normal((n, 1))
    f = rho * e + math.sqrt(1 - rho**2) * r.standard_normal((n, 1))
    return x + noise * e, z + noise * f, w


def _product(n: int, r: np.random.Generator) -> Draw:
    """Z = x w + noise: the dependence changes its sign with w, and x and z are uncorrelated."""
    x, w = r.standard_normal((n, 1)), r.standard_normal((n, 1))
    return x, x * w + 0.5 * r.standard_normal((n, 1)), w


def _scales(n: int, r: np.random.Generator) -> Draw:
    """W is the common scale of independent x and z."""
    w = r.standard_normal((n, 1))
    s = np.exp(w)
    return s * r.standard_normal((n, 1)), s * r.standard_normal((n, 1)), w


def _noise_product(n: int, r: np.random.Generator) -> Draw:
    """Given w, z is x times noise, around means that depend on w."""
    w, x = r.standard_normal((n, 1)), r.standard_normal((n, 1))
    return x + w, x * r.standard_normal((n, 1)) + np.sin(w), w


def _group_means(dependent: float, n: int, r: np.random.Generator) -> Draw:
    """A group shifts x and z; within groups their correlation is `dependent`."""
    w = r.integers(4, size=(n, 1))
    x = r.standard_normal((n, 1))
    z = dependent * x + math.sqrt(1 - dependent**2) * r.standard_normal((n, 1))
    return x + 1.5 * w, z - 1.5 * w, w.astype(float)


def _labels(n: int, r: np.random.Generator) -> Draw:
    """A confounder of three levels selects the distributions of two labels."""
    w = r.integers(3, size=n)
    shares = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    x, z = (
        (r.random(n)[:, None] > shares[w].cumsum(axis=1)).sum(axis=1)[:, None].astype(float)
        for _ in range(2)
    )
    return x, z, w[:, None].astype(float)


def _xor(n: int, r: np.random.Generator) -> Draw:
    """Fair coins x and w, and z = x xor w, wrong in one of ten rows: a discrete collider."""
    x, w = r.integers(2, size=(n, 1)), r.integers(2, size=(n, 1))
    z = x ^ w ^ (r.random((n, 1)) < 0.1)
    return x.astype(float), z.astype(float), w.astype(float)


def _label_and_number(shift: float, dim: int, n: int, r: np.random.Generator) -> Draw:
    """A label whose odds depend on w, and z = sum of w + shift times label + noise."""
    w = r.standard_normal((n, dim))
    s = w.sum(axis=1, keepdims=True) / dim**0.5
    x = (r.random((n, 1)) < 1 / (1 + np.exp(-1.5 * s))).astype(float)
    return x, s + shift * x + 0.5 * r.standard_normal((n, 1)), w


def _labels_given_number(dim: int, n: int, r: np.random.Generator) -> Draw:
    """Two labels whose odds depend on w, independent given w."""
    w = r.standard_normal((n, dim))
    s = w.sum(axis=1, keepdims=True) / dim**0.5
    x, z = ((r.random((n, 1)) < 1 / (1 + np.exp(-2 * s))).astype(float) for _ in range(2))
    return x, z, w


def _mean_over_normal(value: Callable[[Array], Array]) -> float:
    points, weights = np.polynomial.hermite_e.hermegauss(120)
    return float((weights * value(points)).sum() / weights.sum())


def _label_truth(shift: float) -> float:
    """I(x; z | w) of `_label_and_number`, by integration over the noise of z."""
    t = np.linspace(-8, 8 + abs(shift), 4001)

    def at(w: Array) -> Array:
        p = 1 / (1 + np.exp(-1.5 * w))[:, None]
        a, b = (
            np.exp(-0.5 * ((t - m) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi))
            for m in (0.0, shift)
        )
        mixed = (1 - p) * a + p * b
        tiny = 1e-300
        terms = (1 - p) * a * np.log((a + tiny) / (mixed + tiny))
        terms = terms + p * b * np.log((b + tiny) / (mixed + tiny))
        total: Array = terms.sum(axis=1) * (t[1] - t[0])
        return total

    return _mean_over_normal(at)


def _multiplicative_truth() -> float:
    """I(x; x e) of standard normals: h(x e) - h(x e | x), by integration; 0.420 nats."""
    from scipy.special import k0

    t = np.geomspace(1e-12, 60, 200_001)
    density = k0(t) / math.pi
    h = -2 * np.trapezoid(density * np.log(density), t)
    mean_log = 0.5 * (-np.euler_gamma - math.log(2))  # E log |x|
    return float(h - 0.5 * math.log(2 * math.pi * math.e) - mean_log)


def _normal_case(sizes: tuple[int, int, int], strength: float, seed: int) -> Case:
    mixing = _mixing(sizes, strength, seed)
    truth = gaussian_truth(mixing @ mixing.T, sizes[0], sizes[1])
    return Case("partial correlation", truth, partial(_normals, sizes, strength, seed))


def _collider_truth(noise: float) -> float:
    c = np.array([[1.0, 0, 1], [0, 1, 1], [1, 1, 2 + noise**2]])
    return gaussian_truth(c, 1, 1)


def _link(rho: float) -> float:
    return -0.5 * math.log1p(-(rho**2))


_XOR = math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
CASES: dict[str, Case] = {
    **{f"chain, w {d}-d": Case("chain", 0.0, partial(_chain, d)) for d in (1, 3, 5)},
    **{
        f"common cause, w {d}-d": Case("common cause", 0.0, partial(_common_cause, d))
        for d in (1, 2, 5)
    },
    "collider, noise 1": Case("collider", _collider_truth(1.0), partial(_collider, 1.0)),
    "collider, noise 0.3": Case("collider", _collider_truth(0.3), partial(_collider, 0.3)),
    "normals 1+1+2": _normal_case((1, 1, 2), 1.0, 3),
    "normals 2+2+3": _normal_case((2, 2, 3), 1.0, 1),
    "normals 3+2+5": _normal_case((3, 2, 5), 1.0, 2),
    "normals 1+1+2, monotone maps": Case(
        "partial correlation",
        _normal_case((1, 1, 2), 1.0, 3).truth,
        _monotone(_normal_case((1, 1, 2), 1.0, 3).draw),
    ),
    "curves, noise 0.5": Case("curved confounder", 0.0, partial(_curves, 0.5, 1)),
    "curves, noise 0.1": Case("curved confounder", 0.0, partial(_curves, 0.1, 1)),
    "curves, w 3-d": Case("curved confounder", 0.0, partial(_curves, 0.5, 3)),
    "curves and link 0.8": Case(
        "curved confounder", _link(0.8), partial(_curves_and_link, 0.3, 0.8)
    ),
    "common scale": Case("curved confounder", 0.0, _scales),
    "product with w": Case(
        "interaction", _mean_over_normal(lambda w: 0.5 * np.log1p(4 * w**2)), _product
    ),
    "product with noise": Case("interaction", _multiplicative_truth(), _noise_product),
    "groups, independent": Case("discrete w", 0.0, partial(_group_means, 0.0), "w"),
    "groups, correlation 0.6": Case("discrete w", _link(0.6), partial(_group_means, 0.6), "w"),
    "labels, independent": Case("discrete", 0.0, _labels, "xzw"),
    "xor": Case("discrete", _XOR, _xor, "xzw"),
    "label, shift 0": Case("mixed", 0.0, partial(_label_and_number, 0.0, 1), "x"),
    "label, shift 1": Case("mixed", _label_truth(1.0), partial(_label_and_number, 1.0, 1), "x"),
    "label, shift 1, w 3-d": Case(
        "mixed", _label_truth(1.0), partial(_label_and_number, 1.0, 3), "x"
    ),
    "two labels, w 2-d": Case("mixed", 0.0, partial(_labels_given_number, 2), "xz"),
}
