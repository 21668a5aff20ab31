"""How often the 95% intervals of `compare` contain the truth, in simulations with known variances.

Five seeds and N test items are crossed. A value has an effect of its seed, of its item, and noise of its own; the
item's effect and the noise have the same variance. The share of the seeds is their share of the variance of the mean
over seeds and items. Two kinds share their items, and half of the variance of an item's effect.
Skewed values are lognormal in their items and noise; the effects of seeds are normal.
"""

from __future__ import annotations

import argparse
import itertools
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from benchmarks import provenance
from contextual_rnn.study.intervals import holm, two_way, two_way_ratio

SEEDS, CHUNK, DRAWS = 5, 500, 400
ITEMS, SHARES = (10, 40, 400), (0.0, 0.25, 0.5, 0.9)
DISTRIBUTIONS = ("normal", "skewed", "0/1")
ESTIMANDS = ("mean", "difference", "ratio")
RATE = 0.2  # the expected value of 0/1 items
QUADRATURE = np.polynomial.hermite_e.hermegauss(60)


class Scales(NamedTuple):
    """Standard deviations of the effects of seeds and items, and of the noise."""

    seed: float
    item: float
    noise: float


def component(distribution: str, variance: float) -> float:
    """Return the variance that an effect of this variance on the latent scale has on the scale of the values."""
    if distribution != "0/1":
        return variance
    nodes, weights = QUADRATURE
    means = stats.norm.cdf((stats.norm.ppf(RATE) + np.sqrt(variance) * nodes) / np.sqrt(1 - variance))
    return float(weights @ (means - RATE) ** 2 / weights.sum())


def scales(distribution: str, items: int, share: float) -> Scales:
    """Return the standard deviations for which seeds cause this share of the variance of the mean."""
    of_item = {"normal": 0.3**2, "skewed": 0.5, "0/1": 0.3}[distribution]
    effect = float(np.expm1(of_item)) if distribution == "skewed" else component(distribution, of_item)
    if distribution == "0/1":  # the noise of a 0/1 value is what the effects leave
        rest = effect / items + (RATE * (1 - RATE) - effect) / (SEEDS * items)
    else:
        rest = effect / items + effect / (SEEDS * items)
    wanted = SEEDS * rest * share / (1 - share)

    def excess(variance: float) -> float:
        return component(distribution, variance) - wanted

    highest = 0.69 if distribution == "0/1" else 50.0
    if share and excess(highest) < 0:
        return Scales(np.nan, np.nan, np.nan)
    of_seed = optimize.brentq(excess, 0, highest) if share else 0.0
    noise = 1 - of_item - of_seed if distribution == "0/1" else of_item
    return Scales(of_seed**0.5, of_item**0.5, noise**0.5)


def draw(distribution: str, scale: Scales, items: int, trials: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return values (trials, seeds, items) of two kinds with the same expected value."""
    shared = random.standard_normal((trials, 1, items))
    kinds = []
    for _ in range(2):
        item = (shared + random.standard_normal((trials, 1, items))) * (scale.item / np.sqrt(2))
        seed = scale.seed * random.standard_normal((trials, SEEDS, 1))
        latent = item + scale.noise * random.standard_normal((trials, SEEDS, items))
        if distribution == "normal":
            kinds.append(1 + seed + latent)
        elif distribution == "skewed":
            kinds.append(seed + np.exp(latent - (scale.item**2 + scale.noise**2) / 2))
        else:
            kinds.append((seed + latent < stats.norm.ppf(RATE)).astype(float))
    return kinds


def estimate(estimand: str, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the estimates less their true value, standard errors and degrees of freedom."""
    if estimand == "ratio":
        with np.errstate(all="ignore"):
            return two_way_ratio(a, b)
    value, error, freedom = two_way(a if estimand == "mean" else a - b)
    return value - TRUTH * (estimand == "mean"), error, freedom


TRUTH = 1.0  # the expected value; 0/1 items are divided by their rate


def bootstrap(estimand: str, a: np.ndarray, b: np.ndarray, weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return whether the percentile bootstrap over seeds and items, the former method, contains the truth."""
    of_seed, of_item = weights

    def resampled(values: np.ndarray) -> np.ndarray:
        return np.asarray(((values @ of_item) * of_seed).sum(axis=-2))  # (trials, draws)

    if estimand == "mean":
        found = resampled(a) - TRUTH
    elif estimand == "difference":
        found = resampled(a - b)
    else:
        with np.errstate(all="ignore"):
            found = np.nan_to_num(np.log(resampled(a) / resampled(b)), nan=0)
    low, high = np.quantile(found, [0.025, 0.975], axis=-1)
    return (low <= 0) & (high >= 0)


def cell(distribution: str, items: int, share: float, trials: int) -> dict[str, tuple[float, float, float]]:
    """Return coverage, coverage of the bootstrap and width relative to known variances, for every estimand.

    The dict is empty where 0/1 values cannot have such a share of seeds.
    """
    scale = scales(distribution, items, share)
    if not np.isfinite(scale.seed):
        return {}
    random = np.random.default_rng([items, int(100 * share), DISTRIBUTIONS.index(distribution)])
    weights = tuple(
        random.multinomial(number, np.full(number, 1 / number), DRAWS).T / number for number in (SEEDS, items)
    )
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ESTIMANDS}
    for start in range(0, trials, CHUNK):
        a, b = draw(distribution, scale, items, min(CHUNK, trials - start), random)
        if distribution == "0/1":
            a, b = a / RATE, b / RATE
        for name in ESTIMANDS:
            value, error, freedom = estimate(name, a, b)
            half = stats.t.ppf(0.975, freedom) * error
            kept[name].append(np.stack([value, half, bootstrap(name, a, b, weights)]))
    results = {}
    for name in ESTIMANDS:
        value, half, resampled = np.concatenate(kept[name], axis=1)
        usable = np.isfinite(value) & np.isfinite(half)
        known = 1.96 * value[usable].std()
        inside = np.abs(value[usable]) <= half[usable]
        results[name] = (inside.mean(), resampled[usable].mean(), half[usable].mean() / known)
    return results


def family_wise_error(trials: int, secondary: int = 6, items: int = 40, share: float = 0.5) -> float:
    """Return how often at least one of several adjusted secondary claims is wrong, if there are no differences.

    Each of seven kinds of normal items is compared with the first.
    """
    scale, random, wrong = scales("normal", items, share), np.random.default_rng(2), 0
    for _ in range(trials):
        kinds = [draw("normal", scale, items, 1, random)[0] for _ in range(secondary + 1)]
        found = [two_way(kind - kinds[0]) for kind in kinds[1:]]
        p_values = [float(2 * stats.t.sf(abs(mean[0]) / error[0], freedom[0])) for mean, error, freedom in found]
        wrong += min(holm(p_values)) < 0.05
    return wrong / trials


def main() -> int:
    """Print a table with a row for every cell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks interval_coverage")
    parser.add_argument("--trials", type=int, default=10_000, help="simulations of each cell (10,000)")
    trials = parser.parse_args().trials
    print(provenance())
    print(f"trials    {trials} in each cell, {SEEDS} seeds\n")
    heads = (f"{name}: covered | bootstrap | width" for name in ESTIMANDS)
    print(f"| items | distribution | share of seeds | {' | '.join(heads)} |")
    print("| ---: | --- | ---: |" + " ---: |" * (3 * len(ESTIMANDS)))
    for distribution, items, share in itertools.product(DISTRIBUTIONS, ITEMS, SHARES):
        results = cell(distribution, items, share, trials)
        shown = " | ".join(f"{100 * c:.1f} % | {100 * b:.1f} % | {w:.2f}" for c, b, w in results.values())
        print(f"| {items} | {distribution} | {share:g} | {shown or 'not possible' + ' |' * 8} |", flush=True)
    print(f"\nFamily-wise error of six Holm-adjusted claims: {100 * family_wise_error(min(trials, 4000)):.1f} %")
    return 0
