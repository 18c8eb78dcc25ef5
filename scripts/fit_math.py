#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the polynomials of src/kernel/passes/lower_math.cpp and prints their coefficients, lowest power first.

Each is the minimax fit (least squares, reweighted until the largest error is everywhere) of a function over the range that is
left after its argument is reduced, rounded to float32. `--check` compares them with the numbers in lower_math.cpp instead: exit
status 1 where one differs by more than rounding noise of the fit. Needs numpy.
"""

import argparse
import math
import pathlib
import re
import sys

import numpy
from numpy.polynomial import chebyshev, polynomial

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src/kernel/passes/lower_math.cpp"
LN2 = math.log(2)
POINTS = 4000
ROUNDS = 200


def fit(function, low, high, degree, weight=None):
    """Coefficients of the polynomial, and the largest weighted error."""
    x = (low + high) / 2 + (high - low) / 2 * numpy.cos(numpy.pi * (numpy.arange(POINTS) + 0.5) / POINTS)
    y = function(x)
    fixed = numpy.ones(POINTS) if weight is None else weight(x)
    basis = chebyshev.chebvander((2 * x - low - high) / (high - low), degree)
    moving = numpy.ones(POINTS)
    for _ in range(ROUNDS):
        rows = fixed * numpy.sqrt(moving)
        solution = numpy.linalg.lstsq(basis * rows[:, None], y * rows, rcond=None)[0]
        errors = numpy.abs((basis @ solution - y) * fixed)
        moving *= (errors / errors.max() + 1e-3) ** 0.5
        moving /= moving.mean()
    # From Chebyshev polynomials of the scaled argument to powers of the argument itself.
    scaled = chebyshev.cheb2poly(solution)
    argument = numpy.array([-(low + high) / (high - low), 2 / (high - low)])
    result = numpy.zeros(1)
    for coefficient in scaled[::-1]:
        result = polynomial.polyadd(polynomial.polymul(result, argument), [coefficient])
    return [float(numpy.float32(c)) for c in result], errors.max()


erf = numpy.vectorize(math.erf)
erfc = numpy.vectorize(math.erfc)

# name: (what the polynomial q is, its fit)
FITS = {
    "exp": ("e^r = 1 + r + r^2 q(r), |r| <= ln 2 / 2",
            lambda: fit(lambda r: (numpy.expm1(r) - r) / r**2, -LN2 / 2 - 1e-3, LN2 / 2 + 1e-3, 4, lambda r: r**2)),
    "exp2": ("2^r = 1 + r q(r), |r| <= 1/2",
             lambda: fit(lambda r: numpy.expm1(r * LN2) / r, -0.5, 0.5, 5, numpy.abs)),
    "log2": ("log2(1 + f) = f q(f), sqrt(1/2) <= 1 + f <= sqrt 2",
             lambda: fit(lambda f: numpy.log1p(f) / LN2 / f, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 9, numpy.abs)),
    "tanh": ("tanh x = x + x^3 q(x^2), |x| <= 0.625",
             lambda: fit(lambda z: (numpy.tanh(numpy.sqrt(z)) - numpy.sqrt(z)) / z**1.5, 1e-9, 0.625**2, 4, lambda z: z)),
    "erf, small": ("erf x = x q(x^2), |x| <= 1",
                   lambda: fit(lambda z: erf(numpy.sqrt(z)) / numpy.sqrt(z), 1e-9, 1.0, 6)),
    "erf, large": ("erf x = 1 - e^(-x^2) q(1 / x), 1 <= x <= 4",
                   lambda: fit(lambda t: erfc(1 / t) * numpy.exp((1 / t) ** 2), 1 / 4.2, 1.0, 7, lambda t: numpy.exp(-((1 / t) ** 2)))),
    "sin": ("sin r = r + r^3 q(r^2), |r| <= pi / 4",
            lambda: fit(lambda z: (numpy.sin(numpy.sqrt(z)) / numpy.sqrt(z) - 1) / z, 1e-9, (math.pi / 4 + 1e-3) ** 2, 3, lambda z: z**1.5)),
    "cos": ("cos r = 1 - r^2 / 2 + r^4 q(r^2), |r| <= pi / 4",
            lambda: fit(lambda z: (numpy.cos(numpy.sqrt(z)) - 1 + z / 2) / z**2, 1e-6, (math.pi / 4 + 1e-3) ** 2, 2, lambda z: z**2)),
}


def used_polynomials():
    """The coefficient lists of lower_math.cpp in their order there, which is that of FITS."""
    text = SOURCE.read_text(encoding="utf-8")
    lists = re.findall(r"polynomial\(\w+, \{([^}]*)\}\)", text)
    return [[float(number) for number in one.replace("\n", " ").split(",")] for one in lists]


def main():
    parser = argparse.ArgumentParser(description="fit the polynomials of lower_math.cpp")
    parser.add_argument("--check", action="store_true", help="compare with the numbers in lower_math.cpp")
    check = parser.parse_args().check
    used = used_polynomials() if check else []
    if check and len(used) != len(FITS):
        sys.exit(f"{SOURCE}: has {len(used)} polynomials, not {len(FITS)}")
    status = 0
    for index, (name, (what, run)) in enumerate(FITS.items()):
        coefficients, error = run()
        print(f"{name}: {what}; largest error {error:.2g}\n  {coefficients}")
        if not check:
            continue
        # Another linear algebra library rounds its least squares otherwise.
        difference = max(abs(a - b) for a, b in zip(coefficients, used[index], strict=True))
        if difference > 1e-6:
            print(f"  lower_math.cpp has {used[index]}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
