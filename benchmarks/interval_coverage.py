"""How often the interval of `bootstrap_shift` contains the true difference, for losses of S seeds on N sequences.

Every loss is the sum of normal noise of its seed, of its sequence, and of its own (0.3); the true difference is 0.
"""

import numpy as np

from benchmarks import provenance
from contextual_rnn.study.differences import bootstrap_shift

TRIALS, DRAWS, OWN = 300, 400, 0.3
CASES = [(5, 500, 1.0, 0.2), (5, 40, 0.2, 1.0), (5, 10, 0.2, 1.0), (5, 450, 0.01, 0.3), (20, 100, 0.3, 1.0)]


def coverage(seeds: int, sequences: int, of_seed: float, of_sequence: float) -> float:
    """Return the share of trials whose 95% interval contains 0."""
    random, covered = np.random.default_rng(1), 0
    for trial in range(TRIALS):
        losses = of_seed * random.standard_normal((seeds, 1)) + of_sequence * random.standard_normal((1, sequences))
        losses = losses + OWN * random.standard_normal((seeds, sequences))
        interval = bootstrap_shift(losses, np.zeros_like(losses), draws=DRAWS, seed=trial)
        covered += interval.low is not None and interval.high is not None and interval.low <= 0 <= interval.high
    return covered / TRIALS


def main() -> int:
    """Print the coverage of every case."""
    print(provenance())
    for seeds, sequences, of_seed, of_sequence in CASES:
        share = coverage(seeds, sequences, of_seed, of_sequence)
        case = f"{seeds:2} seeds, {sequences:3} sequences, noise of seeds {of_seed:g}, of sequences {of_sequence:g}"
        print(f"{case}: 95% intervals contain the truth in {100 * share:.0f}%")
    return 0
