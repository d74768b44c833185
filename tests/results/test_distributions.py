"""Each distribution against SciPy, tails included."""

from __future__ import annotations

from itertools import product
from math import isnan

import pytest
from scipy import stats

from flask_pickup.results.distributions import student_quantile, student_tail


def test_student_is_scipys() -> None:
    """Tail and quantile agree to 1e-9 of themselves, from 1 degree of freedom to a billion."""
    for degrees, t in product([1, 1.5, 2, 4.7, 30, 99.3, 999, 1e4], [0, 1e-3, 0.5, 1.7, 2, 5, 15, 1e3, 1e6]):
        assert student_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-9, abs=0), (degrees, t)
    for degrees, tail in product([1, 1.5, 2, 4.7, 30, 99.3, 999, 1000, 1e5, 1e9], [0.5, 0.4, 0.025, 1e-3, 1e-6, 1e-12]):
        wanted = stats.t.isf(tail, degrees)
        assert student_quantile(tail, degrees) == pytest.approx(wanted, rel=1e-9, abs=1e-15), (degrees, tail)
    assert isnan(student_quantile(0.025, float("nan")))
