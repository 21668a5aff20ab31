"""The t distribution equals SciPy's."""

import numpy as np
import pytest
from scipy import stats

from contextual_rnn.study.t_distribution import quantile, survival

FREEDOM = [1, 1.37, 2, 4, 9.5, 40, 1e3, 1e6]


@pytest.mark.parametrize("freedom", FREEDOM)
def test_tails_equal_those_of_scipy(freedom):
    values = [-30.0, -2.0, -1e-3, 0.0, 1e-9, 0.5, 1.0, 3.7, 40.0, 1e5]
    expected = stats.t.sf(values, freedom)
    np.testing.assert_allclose([survival(one, freedom) for one in values], expected, rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize("freedom", FREEDOM)
def test_quantiles_equal_those_of_scipy(freedom):
    shares = [1e-6, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 0.025 / 30, 1 - 1e-6]
    expected = stats.t.ppf(shares, freedom)
    np.testing.assert_allclose([quantile(one, freedom) for one in shares], expected, rtol=1e-8, atol=1e-12)
