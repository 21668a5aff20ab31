"""Series without inputs, from the command line: fit, compare, sample, and what is said of bad input."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from test_series import failure

from contextual_rnn import load
from contextual_rnn.cli import main
from contextual_rnn.jobs.generation.model import GENERATOR_KINDS, GeneratorConfig, SeriesGenerator
from contextual_rnn.study.calibration import band, covered, crps

QUICK = ["--epochs", "40", "--hidden", "16", "--folds", "2", "--learning-rate", "0.02"]


def write(path, series=200, seed=0):
    """Noisy ramps by a slope that is told: 6 steps up, or 3 steps down."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(series):
        slope, way = random.uniform(1, 3), ["up", "up", "down"][number % 3]
        steps = 6 if way == "up" else 3
        y = (slope if way == "up" else -slope) * np.arange(steps) + random.normal(0, 0.3, steps)
        frame = {"id": [f"s{number}"] * steps, "y": y, "way": [way] * steps, "slope": [slope] * steps}
        frames.append(pl.DataFrame(frame))
    pl.concat(frames).write_csv(path)
    return str(path)


def columns(train, out):
    return ["--train", train, "--targets", "y", "--context", "way", "slope", "--series", "id", "--out", str(out)]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generation")
    main(["fit", "series", *columns(write(folder / "train.csv"), folder / "run"), *QUICK])
    return folder / "run"


def test_generated_series_are_of_their_context_and_end_where_such_series_end(fitted, tmp_path, capsys):
    for way, slope, steps in (("up", 2.5, 6), ("down", 1.5, 3)):
        out, told = tmp_path / f"{way}.csv", [f"way={way}", f"slope={slope}"]
        main(["sample", str(fitted), "--out", str(out), "--context", *told, "--n", "30", "--steps", "20"])
        table = pl.read_csv(out)
        assert set(table.columns) == {"id", "step", "y", "way", "slope"}
        lengths = table.group_by("id").len()["len"]
        assert lengths.median() == steps
        mean = table.filter(pl.col("step") == 2)["y"].mean()
        assert abs(mean - (2 * slope if way == "up" else -2 * slope)) < 1
    assert "30 series were written" in capsys.readouterr().out


def test_a_seed_gives_the_same_series_however_many_are_asked_for(fitted, tmp_path):
    tables = []
    for n, seed in ((5, 0), (9, 0), (5, 1)):
        out = tmp_path / f"{n}-{seed}.csv"
        told = ["--context", "way=up", "slope=2"]
        main(["sample", str(fitted), "--out", str(out), *told, "--n", str(n), "--steps", "20", "--seed", str(seed)])
        tables.append(pl.read_csv(out).filter(pl.col("id").is_in([f"sample-{i}" for i in range(5)]))["y"].to_list())
    assert np.allclose(tables[0], tables[1], atol=1e-5)
    assert tables[0] != tables[2]


def test_the_picture_is_drawn_where_it_is_asked_for(fitted, tmp_path):
    options = ["--context", "way=up", "slope=2", "--n", "2", "--steps", "9", "--figure", str(tmp_path / "bands.png")]
    main(["sample", str(fitted), "--out", str(tmp_path / "s.csv"), *options])
    assert (tmp_path / "bands.png").stat().st_size > 10_000


def test_compare_says_what_knowing_the_context_is_worth_in_nats(tmp_path, capsys):
    train, test = write(tmp_path / "train.csv"), write(tmp_path / "test.csv", 12, seed=1)
    kinds = ["--initial-states", "zero", "context", "every-step"]
    main(["compare", "series", *columns(train, tmp_path / "run"), "--test", test, *kinds, "--seeds", "2", *QUICK])
    said = capsys.readouterr().out
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    means = {(row["initial_state"], row["metric"]): row["mean"] for row in results["summary"]}
    for metric in ("nats_per_step", "crps"):
        assert means["context", metric] < means["zero", metric]
    assert "too few to claim" in said
    shifts = [one for one in results["differences"] if one["metric"] == "nats_per_step" and one["b"] == "zero"]
    assert shifts[0]["shift"] == pytest.approx(means["context", "nats_per_step"] - means["zero", "nats_per_step"])
    assert {path.name for path in (tmp_path / "run" / "figures").glob("*.png")} == {"errors.png", "bands.png"}


def test_likelihoods_are_in_the_unit_of_the_targets(tmp_path):
    torch.manual_seed(0)
    model = SeriesGenerator(GeneratorConfig("zero", hidden=4), 1).eval()
    y, lengths = torch.randn(3, 5, 1), torch.tensor([5, 5, 2])
    before = model.losses(y, torch.zeros(3, 0), lengths)
    model.target_mean.fill_(3)
    model.target_scale.fill_(10)
    after = model.losses(3 + 10 * y, torch.zeros(3, 0), lengths)
    inside = torch.arange(5) < lengths[:, None]
    torch.testing.assert_close(after, torch.where(inside, before + math.log(10), 0))


@pytest.mark.parametrize("kind", GENERATOR_KINDS)
def test_every_kind_trains_and_is_saved(kind, tmp_path):
    train = write(tmp_path / "train.csv", 4)
    start = "context" if kind == "every-step" else kind
    main(["fit", "series", *columns(train, tmp_path / "run"), "--initial-state", start, *QUICK[2:], "--epochs", "1"])
    assert isinstance(load(tmp_path / "run" / "model.safetensors"), SeriesGenerator)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--context", "way=up"], "--context needs slope=..."),
        (["--context", "way=up", "slope=2", "colour=red"], "no such context column"),
        (["--context", "way=sideways", "slope=2"], "no label that training had"),
        (["--context", "way=up", "slope=steep"], "is text, and training had numbers"),
        (["--context", "way=up", "slope=nan"], "nan is not finite, or too large to compute with"),
        (["--context", "way=up", "slope=1e300"], "1e300 is not finite, or too large to compute with"),
        (["--context", "way"], "NAME=VALUE"),
        (["--context", "way=up", "slope=2", "--n", "0"], "--n must be greater than 0"),
        (["--context", "way=up", "slope=2", "--figure", "x.pdf"], "must end in .png"),
    ],
)
def test_sample_says_what_is_wrong(fitted, tmp_path, capsys, arguments, said):
    assert said in failure(capsys, "sample", str(fitted), "--out", str(tmp_path / "s.csv"), *arguments)
    assert not (tmp_path / "s.csv").exists()


def test_what_means_nothing_without_inputs_is_refused(tmp_path, capsys):
    train = write(tmp_path / "train.csv", 4)
    message = failure(capsys, "fit", "series", *columns(train, tmp_path / "run"), "--window", "2")
    assert "--window is for series with --inputs" in message
    message = failure(capsys, "fit", "series", *columns(train, tmp_path / "run"), "--folds", "3")
    assert "too few for 3 folds of whole series" in message


def test_scores_of_calibration():
    torch.manual_seed(0)
    samples, truth = torch.randn(2000, 400), torch.randn(2000)
    assert covered(samples, truth, 0.5).double().mean() == pytest.approx(0.5, abs=0.04)
    assert covered(samples, truth, 0.9).double().mean() == pytest.approx(0.9, abs=0.03)
    low, high = band(samples, 0.9)
    assert (high - low).mean() == pytest.approx(2 * 1.645, abs=0.05)
    known = truth * (2 * torch.distributions.Normal(0, 1).cdf(truth) - 1)
    known = known + 2 * torch.exp(-(truth**2) / 2) / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi)
    assert (crps(samples, truth) - known).abs().mean() < 0.05
    assert crps(torch.full((1, 3), 2.0), torch.tensor([5.0])) == 3
