"""Series without inputs: fit, compare and sample, in Python and from the command line."""

import dataclasses
import json
import math
import pathlib

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from contextual_rnn import InputError, load
from contextual_rnn._core.records import shuffled
from contextual_rnn.cli import main
from contextual_rnn.data.series import Datasets, Record, collate
from contextual_rnn.jobs import generation
from contextual_rnn.jobs.generation.baselines import NormalSteps, baselines
from contextual_rnn.jobs.generation.metrics import METRICS, nats_per_step, scores
from contextual_rnn.jobs.generation.model import SeriesGenerator
from contextual_rnn.jobs.generation.settings import GenerationSettings
from contextual_rnn.jobs.generation.train import hold_out
from contextual_rnn.kinds import WITHOUT_WINDOW
from contextual_rnn.study.calibration import band, covered, crps
from contextual_rnn.study.figures import bands

COLUMNS = {"targets": ["y"], "context": ["way", "slope"], "series": "id"}
LEARNS = {"epochs": 25, "hidden": 16, "learning_rate": 0.03}
TINY = {"epochs": 1, "hidden": 2}


def ramps(series=120, seed=0):
    """Noisy ramps with a known slope: 6 steps up, or 3 steps down."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(series):
        slope, way = random.uniform(1, 3), ["up", "up", "down"][number % 3]
        steps = 6 if way == "up" else 3
        y = (slope if way == "up" else -slope) * np.arange(steps) + random.normal(0, 0.3, steps)
        frame = {"id": [f"s{number}"] * steps, "y": y, "way": [way] * steps, "slope": [slope] * steps}
        frames.append(pl.DataFrame(frame))
    return pl.concat(frames)


def records(lengths=(5, 3, 4), targets=2):
    torch.manual_seed(1)
    return [
        Record(f"s{place}", torch.zeros(steps, 0), 3 + 2 * torch.randn(steps, targets), torch.zeros(0))
        for place, steps in enumerate(lengths)
    ]


def failure(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generation") / "run"
    return generation.fit(
        pd.DataFrame(ramps().to_dict(as_series=False)), test=ramps(20, seed=1), **COLUMNS, **LEARNS, out=folder
    ), folder


def test_generated_series_have_their_context_and_its_usual_length(fitted):
    model, _ = fitted
    for way, slope, steps in (("up", 2.5, 6), ("down", 1.5, 3)):
        table = model.sample({"way": way, "slope": slope}, n=30, steps=20, like=pl.DataFrame())
        assert table.columns == ["id", "step", "y", "way", "slope"]
        assert set(table["way"]) == {way}
        assert table.group_by("id").len()["len"].median() == steps
        mean = table.filter(pl.col("step") == 2)["y"].mean()
        assert abs(mean - (2 * slope if way == "up" else -2 * slope)) < 1


def test_a_report_compares_the_model_with_baselines(fitted):
    model, folder = fitted
    rows = model.report.rows
    tables, baselines = ["training series", "held-out series", "test table"], ["independent steps", "random walk"]
    assert list(rows) == [*tables, *(f"{name}, test table" for name in baselines)]
    for metric in METRICS:
        best = min(rows["independent steps, test table"][metric.key], rows["random walk, test table"][metric.key])
        assert rows["test table"][metric.key] < best
    assert "negative log-likelihood" in str(model.report)
    assert {path.name for path in (folder / "figures").glob("*.png")} == {"bands.png", "history.png"}
    assert not (folder / "tuning").exists()  # a single candidate is trained once
    kept = json.loads((folder / "results.json").read_text())["metrics"]
    assert {metric.key: kept[metric.key] for metric in METRICS} == rows["test table"]
    assert kept["validation_nats_per_step"] == rows["held-out series"]["nats_per_step"]
    assert f"those of epoch {kept['epoch']} of " in " ".join(str(model.report).split())


def test_the_kind_of_frame_is_that_of_the_training_table_or_of_like(fitted):
    model, folder = fitted
    known = {"way": "up", "slope": 2}
    assert isinstance(model.sample(known, n=1, steps=2), pd.DataFrame)
    assert isinstance(model.sample(known, n=1, steps=2, like=pl.DataFrame()), pl.DataFrame)
    loaded = generation.load(folder)
    assert isinstance(loaded.sample(known, n=1, steps=2), pl.DataFrame)
    with pytest.raises(InputError, match="`like` must be"):
        loaded.sample(known, n=1, steps=2, like=[1])


def test_a_seed_gives_the_same_series_for_every_n(fitted):
    model, _ = fitted
    known = {"way": "up", "slope": 2}
    five, nine, other = (model.sample(known, n=n, steps=20, seed=seed) for n, seed in ((5, 0), (9, 0), (5, 1)))
    first = nine[nine["id"].isin([f"sample-{place}" for place in range(5)])]
    assert np.allclose(five["y"], first["y"], atol=1e-5)
    assert list(five["y"]) != list(other["y"])


@pytest.mark.parametrize("value", [2, 2.0, np.float64(2), "2", "2.0"])
def test_a_quantity_may_be_a_number_or_its_text(fitted, value):
    model, _ = fitted
    table = model.sample({"way": np.str_("up"), "slope": value}, n=2, steps=3)
    assert list(table["y"]) == list(model.sample({"slope": 2, "way": "up"}, n=2, steps=3)["y"])


def test_compare_says_what_knowing_the_context_is_worth(tmp_path):
    train, test = ramps(), ramps(12, seed=1)
    kinds = ["zero", "context", "every-step"]
    options = {**COLUMNS, **LEARNS, "epochs": 6, "seeds": 2, "jobs": 1}
    found = generation.compare(train, test, initial_states=kinds, **options, out=tmp_path / "run")
    means = {(row["initial_state"], row["metric"]): row["mean"] for row in found.summary}
    for metric in METRICS:
        assert means["context", metric.key] < means["zero", metric.key]
        assert means["random walk", metric.key] == found.report["baselines"]["random walk"][metric.key]
    assert found.answer.startswith(
        "Does the initial state matter? Not enough runs to tell. The negative log-likelihood"
    )
    assert "than that of every-step" in found.answer
    shift = next(row for row in found.differences if (row["a"], row["b"]) == ("context", "zero"))
    assert shift["shift"] == pytest.approx(means["context", "nats_per_step"] - means["zero", "nats_per_step"])
    assert [(row["a"], row["b"]) for row in found.differences if row["family"] == "primary"] == [
        ("context", "every-step")
    ]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"runs", "summary", "differences", "baselines", "chosen", "verdict"} <= set(results)
    for run in results["runs"]:
        assert run["metrics"]["nats_per_step"] == pytest.approx(np.mean(run["nats_by_series"]))
    assert {path.name for path in (tmp_path / "run" / "figures").glob("*.png")} == {
        "errors.png",
        "bands.png",
        "learning.png",
    }
    assert len(found.plot_bands(series=3, steps=4).axes) == len(kinds)


def test_settings_are_chosen_on_folds_of_whole_series():
    model = generation.fit(ramps(8), **COLUMNS, **{**TINY, "hidden": [2, 3]}, folds=2, jobs=1)
    assert [row["hidden"] for row in model.report.validation] == [2, 3]
    least = min(model.report.validation, key=lambda row: row["nats_per_step"])
    assert model.settings.hidden == least["hidden"]
    for folds, said in ((5, "too few for 5 folds of whole series"), (1, "`folds` must be an integer of at least 2")):
        with pytest.raises(InputError, match=said):
            generation.fit(ramps(8), **COLUMNS, **{**TINY, "hidden": [2, 3]}, folds=folds, jobs=1)


@pytest.mark.parametrize("kind", WITHOUT_WINDOW)
def test_every_kind_trains_and_is_saved(kind, tmp_path):
    model = generation.fit(ramps(4), **COLUMNS, **TINY, initial_state=kind)
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert isinstance(again, SeriesGenerator)
    known = {"way": "down", "slope": 2.0}
    assert list(again.sample(known, n=3, steps=4)["y"]) == list(model.sample(known, n=3, steps=4)["y"])


def test_a_report_says_which_baseline_is_better():
    noise = {"id": np.repeat(range(3), 60), "y": np.random.default_rng(0).normal(size=180)}
    model = generation.fit(pl.DataFrame(noise), targets=["y"], series="id", learning_rate=1e-9, **TINY)
    words = " ".join(str(model.report).split())
    assert (
        "On the training table, the model has a higher negative log-likelihood per step than independent steps" in words
    )


def test_likelihoods_are_in_the_unit_of_the_targets():
    torch.manual_seed(0)
    model = SeriesGenerator(GenerationSettings(targets=("y",), initial_state="zero", hidden=4)).eval()
    y, lengths = torch.randn(3, 5, 1), torch.tensor([5, 5, 2])
    before = model.losses(y, torch.zeros(3, 0), lengths)
    model.target_mean.fill_(3)
    model.target_scale.fill_(10)
    after = model.losses(3 + 10 * y, torch.zeros(3, 0), lengths)
    inside = torch.arange(5) < lengths[:, None]
    torch.testing.assert_close(after, torch.where(inside, before + math.log(10), 0))


def test_the_likelihood_of_a_series_does_not_depend_on_its_minibatch():
    torch.manual_seed(0)
    model = SeriesGenerator(GenerationSettings(targets=("y", "z"), hidden=4)).eval()
    model.standardise(records())
    together = nats_per_step(model, records())
    alone = torch.cat([nats_per_step(model, [record]) for record in records()])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("walk", [False, True])
def test_the_likelihood_of_a_baseline_is_that_of_its_formula(walk):
    training = records()
    steps = torch.cat([record.targets for record in training]).double()
    changes = torch.cat([record.targets.diff(dim=0) for record in training]).double() if walk else steps
    baseline = NormalSteps(training, walk)
    _, targets, context, lengths = collate(training)
    found = baseline.losses(targets, context, lengths)
    expected = torch.zeros_like(found)
    for row, record in enumerate(training):
        for t, y in enumerate(record.targets.double()):
            mean, scale = (steps if t == 0 else changes).mean(0), (steps if t == 0 else changes).std(0, correction=0)
            mean = mean + (record.targets[t - 1] if walk and t else 0)
            density = torch.distributions.Normal(mean, scale).log_prob(y).sum()
            ends = 3 / (12 + 1)
            expected[row, t] = -density - math.log(ends if t == len(record) - 1 else 1 - ends)
    torch.testing.assert_close(found, expected)


def test_trajectories_of_baselines_have_the_moments_of_the_training_steps():
    training = records((400,))
    steps = training[0].targets
    for name, baseline in baselines(training).items():
        drawn = baseline.trajectories(torch.zeros(4000, 0), 4000, 9, seed=0).elements
        growth = 9 if name == "random walk" else 1
        wanted = steps.diff(dim=0).var(0) * 8 + steps.var(0) if growth == 9 else steps.var(0)
        torch.testing.assert_close(drawn[:, 8].var(0), wanted, rtol=0.1, atol=0)
    assert set(baselines(records((1, 1)))) == {"independent steps"}
    constant = [Record("s", torch.zeros(3, 0), torch.full((3, 1), 2.0), torch.zeros(0))]
    assert all(math.isfinite(value) for one in baselines(constant).values() for value in scores(one, constant).values())


CONTEXT = ["--context", "way=up", "slope=2"]


def test_sample_writes_a_table_and_a_figure(fitted, tmp_path, capsys):
    _, folder = fitted
    out, figure = tmp_path / "s.csv", tmp_path / "bands.png"
    main(["sample", str(folder), "--out", str(out), *CONTEXT, "--n", "2", "--steps", "9", "--figure", str(figure)])
    assert f"steps of 2 series (--n), drawn with --seed 0.\nSeries: {out}\nFigure: {figure}" in capsys.readouterr().out
    assert set(pl.read_csv(out)["id"]) == {"sample-0", "sample-1"}
    assert figure.stat().st_size > 10_000
    main(["sample", str(folder), "--out", str(out), *CONTEXT, "--n", "2", "--steps", "1"])
    assert "2 of the series reached the limit of 1 step (" in capsys.readouterr().out


def test_the_figure_has_the_temperature_of_the_table(fitted, tmp_path, monkeypatch):
    drawn = []

    def watched(axes, samples, kind):
        drawn.append(samples)
        bands(axes, samples, kind)

    monkeypatch.setattr("contextual_rnn.jobs.generation.figures.bands", watched)
    command = ["sample", str(fitted[1]), "--out", str(tmp_path / "s.csv"), *CONTEXT, "--n", "1", "--steps", "3"]
    main([*command, "--figure", str(tmp_path / "a.png"), "--temperature", "0"])
    assert np.ptp(np.asarray(drawn[0]), axis=0).max() < 1e-6  # the mode, for all series alike


def test_a_figure_of_samples_ends_where_the_series_end(fitted):
    network, _ = fitted
    for way, steps in (("up", 6), ("down", 3)):
        (axes,) = network.plot_samples({"way": way, "slope": 2.0}, steps=50).axes
        assert len(axes.get_lines()[0].get_xdata()) == steps


def test_an_epoch_of_few_series_takes_each_several_times():
    batches = list(shuffled(records(), 2, 5)())
    assert [len(batch[3]) for batch in batches] == [2, 1] * 3
    assert sum(int(batch[3].sum()) for batch in batches) == 3 * (5 + 3 + 4)
    assert len(list(shuffled(records(), 2)())) == 2


def test_a_report_says_where_generated_series_are_unlike_the_training_series(fitted):
    network, _ = fitted
    assert "differ from the training series" not in str(network.report)
    level = ramps(30).with_columns(y=pl.col("y") * 0.01 + 41 + pl.int_range(pl.len()).over("id") * 20)
    untrained = generation.fit(level, **COLUMNS, **TINY, learning_rate=1e-6, least_updates=1, scale="global")
    words = " ".join(str(untrained.report).split())
    assert "in mean or spread at 6 of 6 steps: at step 0, the values are" in words
    assert "and those of the training series" in words


def narrow(series=24, steps=6):
    """Series that start alike and grow apart, as the weights of animals do."""
    random = np.random.default_rng(0)
    rows = [(f"s{n}", 41 + random.normal() + step * (9 + 3 * rate)) for n in range(series)
            for rate in [random.normal()] for step in range(steps)]  # fmt: skip
    return pl.DataFrame(rows, schema=["id", "y"], orient="row")


def test_series_that_start_alike_are_scaled_by_the_step():
    options = {"targets": ["y"], "series": "id", "hidden": 8, "epochs": 3, "jobs": 1}
    model = generation.fit(narrow(), **options)
    assert "each step over the series (scale step), under which left-out" in " ".join(str(model.report).split())
    first = model.sample(n=300, steps=1)["y"]
    assert abs(first.mean() - 41) < 0.6
    assert 0.5 < first.std() < 2
    # the likelihood is that of the targets in their own units
    x = torch.tensor(narrow().filter(pl.col("id") == "s0")["y"].to_numpy()).float().view(1, -1, 1)
    nats = model.losses(x, torch.zeros(1, 0), torch.tensor([6]))
    z = (x - model.step_mean) / model.step_scale
    expected = model.sequences.losses(z, torch.zeros(1, 0), torch.tensor([6])) + model.step_scale.log().sum(1)
    assert torch.allclose(nats, expected)
    apart = narrow().with_columns(y=pl.col("y") + 100 * pl.col("id").str.slice(1).cast(pl.Float64))
    noise = narrow().with_columns(y=pl.lit(np.random.default_rng(1).normal(size=len(narrow()))))
    for table in (apart, noise):
        assert generation.fit(table, **options, least_updates=1).settings.scale == "global"
    with pytest.raises(InputError, match="`scale` step needs at least 10 series; found 9"):
        generation.fit(narrow(9), **options, scale="step")


def test_the_epoch_is_chosen_on_series_that_are_not_trained_on():
    data = Datasets([Record(f"s{n}", torch.zeros(3, 0), torch.zeros(3, 1), torch.zeros(0)) for n in range(12)], [], [],
                    {}, {}, None)  # fmt: skip
    rest, held_out = hold_out(data)
    assert [one.name for one in held_out] == ["s4", "s9"]
    assert len(rest) == 10
    few = dataclasses.replace(data, training=data.training[:9])
    assert hold_out(few) == (few.training, [])


def test_a_figure_does_not_overwrite_the_model_with_its_svg(fitted, tmp_path, capsys):
    model = tmp_path / "model.svg"
    model.write_bytes((fitted[1] / "model.safetensors").read_bytes())
    arguments = ["--out", tmp_path / "s.csv", *CONTEXT, "--figure", tmp_path / "model.png"]
    assert "is the file of RUN" in failure(capsys, "sample", model, *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--context", "way=up"], "--context needs a value of every context column: give slope"),
        (["--context", "way=up", "slop=2"], "no context column 'slop', only 'way', 'slope'; did you mean 'slope'?"),
        (["--context", "way=sideways", "slope=2"], "the training table has no label 'sideways'; it has down, up"),
        (["--context", "way=up", "slope=steep"], "'steep' is text, but the training table has numbers"),
        (["--context", "way=up", "slope=nan"], "a value is missing"),
        (["--context", "way=up", "slope=inf"], "expected a finite number"),
        (["--context", "way=up", "slope=1e300"], "1e300 is not finite, or too large to compute with"),
        (["--context", "way"], "NAME=VALUE"),
        ([*CONTEXT, "--n", "0"], "--n must be an integer of at least 1"),
        ([*CONTEXT, "--temperature", "-1"], "--temperature must be at least 0"),
        ([*CONTEXT, "--figure", "x.pdf"], "must end in .png"),
    ],
)
def test_sample_says_what_is_wrong(fitted, tmp_path, capsys, arguments, said):
    _, folder = fitted
    assert said in failure(capsys, "sample", folder, "--out", tmp_path / "s.csv", *arguments)
    assert not (tmp_path / "s.csv").exists()


def test_a_value_that_training_did_not_have_is_warned_of_in_one_line(fitted, tmp_path, capsys):
    options = ["--context", "way=up", "slope=99", "--n", "1", "--steps", "2"]
    main([str(one) for one in ["sample", fitted[1], "--out", tmp_path / "s.csv", *options]])
    said = capsys.readouterr().err
    assert said.startswith("contextual-rnn: warning: --context, column 'slope': 99 is outside the range")
    assert said.count("\n") == 1


def test_fit_series_without_inputs_still_generates(tmp_path, capsys):
    ramps(4).write_csv(tmp_path / "train.csv")
    command = ["--train", tmp_path / "train.csv", "--targets", "y", "--context", "way", "slope", "--series", "id"]
    tiny = ["--epochs", "1", "--hidden", "2"]
    main([str(one) for one in ["fit", "series", *command, *tiny, "--out", tmp_path / "run"]])
    assert "fit generation" in capsys.readouterr().err
    assert isinstance(load(tmp_path / "run"), SeriesGenerator)
    said = failure(capsys, "fit", "series", *command, "--window", "2", "--out", tmp_path / "a")
    assert "needs --inputs COLUMN" in said  # an option of `fit series` alone


def test_what_means_nothing_without_inputs_is_refused():
    with pytest.raises(TypeError, match="no argument 'window'"):
        generation.fit(ramps(4), **COLUMNS, **TINY, window=2)
    with pytest.raises(InputError, match="`initial_state` must be one of"):
        generation.fit(ramps(4), **COLUMNS, **TINY, initial_state="warm-up")
    with pytest.raises(InputError, match=r"`initial_states` must be among .*; found 'contxt'; did you mean 'context'"):
        generation.compare(ramps(4), ramps(4), **COLUMNS, **TINY, initial_states=["contxt"])
    with pytest.raises(InputError, match="`test` is required"):
        generation.compare(ramps(4), None, **COLUMNS, **TINY)
    with pytest.raises(
        InputError, match=r"one value in each series \(and in `series` .*\); or choose another initial state$"
    ):
        generation.fit(ramps(4), targets=["y"], series="id", **TINY, initial_state="context")


def test_nothing_is_left_on_disk_without_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = generation.compare(ramps(4), ramps(3), **COLUMNS, **TINY, initial_states=["zero"], seeds=1, jobs=1)
    assert not list(pathlib.Path(tmp_path).iterdir())
    found.save(tmp_path / "run")
    assert isinstance(load(tmp_path / "run" / "runs" / "zero-seed-0"), SeriesGenerator)


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


def test_few_series_are_trained_to_the_last_epoch():
    report = generation.fit(ramps(4), **COLUMNS, **TINY).report
    assert "The weights are those of the last epoch, since fewer than 10 series" in " ".join(str(report).split())
