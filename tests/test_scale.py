"""The scale of targets in forecasts: of the training table, or of each window's past."""

import polars as pl
import pytest
import torch
from tanks import QUICK, TANK, columns

from contextual_rnn import InputError
from contextual_rnn._core.records import collate
from contextual_rnn.cli import main
from contextual_rnn.data.series import Record
from contextual_rnn.data.series_scales import window_scale
from contextual_rnn.jobs import forecast, series
from contextual_rnn.jobs.forecast.metrics import scaled_rmse
from contextual_rnn.jobs.forecast.model import ForecastModel
from contextual_rnn.jobs.forecast.scale import with_scale
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.forecast.windows import padded
from contextual_rnn.jobs.series.model import SeriesModel
from contextual_rnn.jobs.series.train import SquaredLoss

SIZES = {"past": 6, "horizon": 3, "epochs": 10, "updates": 20, "hidden": 8}


def panel():
    """Two series that alternate between two values, of very different levels."""
    names = ["small"] * 40 + ["big"] * 40
    return pl.DataFrame({"id": names, "y": [5.0, 6.0] * 20 + [1_000_000.0, 1_010_000.0] * 20})


@pytest.fixture(scope="module")
def fitted():
    return forecast.fit(panel(), targets=["y"], series="id", jobs=1, **SIZES)


def record(values, name="s"):
    targets = torch.tensor(values).unsqueeze(1)
    return Record(name, torch.zeros(len(targets), 0), targets, torch.zeros(0))


def chosen(*series, **options):
    return with_scale(ForecastSettings(targets=("y",), **{"past": 3, **options}), [record(one) for one in series]).scale


def test_series_of_any_level_are_forecast_near_their_own_level(fitted):
    found = fitted.forecast(panel())
    small = found.filter(pl.col("id") == "small")["y_predicted"]
    big = found.filter(pl.col("id") == "big")["y_predicted"]
    assert small.is_between(4, 7).all(), small.to_list()
    assert big.is_between(990_000, 1_020_000).all(), big.to_list()


def test_each_series_has_a_scale_of_its_own(tmp_path):
    found = forecast.fit(panel(), targets=["y"], series="id", scale="series", base="last", jobs=1, **SIZES)
    assert "(scale series)" in " ".join(str(found.report).split())
    short = panel().filter(pl.int_range(pl.len()).over("id") < 6)  # the scale is that of the training table
    found.save(tmp_path / "model.safetensors")
    for model in (found, forecast.load(tmp_path / "model.safetensors")):
        answer = model.forecast(short)
        assert answer.filter(pl.col("id") == "small")["y_predicted"].is_between(4, 7).all()
        assert answer.filter(pl.col("id") == "big")["y_predicted"].is_between(990_000, 1_020_000).all()
    assert found.scales.mean.flatten().tolist() == pytest.approx([5.5, 1_005_000], rel=0.01)
    new = short.with_columns(y=pl.col("y") - 2, id=pl.lit("new ") + pl.col("id"))  # of the past, for a new series
    assert found.forecast(new).filter(pl.col("id") == "new small")["y_predicted"].is_between(2, 5).all()


def test_a_table_of_one_series_has_no_scale_by_series():
    with pytest.raises(InputError, match="`scale` series needs `series`, the column that identifies the series"):
        chosen([0.0, 1.0], scale="series")


def test_the_report_says_the_scale_and_why(fitted):
    words = " ".join(str(fitted.report).split())
    assert "(scale window), because the levels of the series differ more" in words
    assert fitted.settings.scale == "window"


def test_a_saved_model_keeps_its_scale(fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    again = forecast.load(tmp_path / "model.safetensors")
    assert again.forecast(panel()).equals(fitted.forecast(panel()))


def test_the_scale_is_chosen_by_the_levels_of_the_training_series():
    assert chosen([0.0, 1.0, 0.0], [0.2, 1.2, 0.2]) == "global"
    assert chosen([0.0, 1.0, 0.0], [9.0, 10.0, 9.0]) == "window"
    assert chosen([0.0, 1.0, 0.0]) == "global"
    assert chosen([0.0, 1.0, 0.0], [9.0, 10.0, 9.0], past=1) == "global"
    assert chosen([0.0, 1.0, 0.0], [9.0, 10.0, 9.0], scale="global") == "global"


def test_a_window_of_one_step_has_no_scale_of_its_own():
    with pytest.raises(InputError, match="`scale` window needs a `past` of at least 2 steps"):
        chosen([0.0, 1.0], scale="window", past=1)


def test_a_constant_past_has_a_scale_that_is_not_zero():
    past = torch.tensor([[1.0, 3.0], [5.0, 5.0], [0.0, 0.0]]).unsqueeze(2)
    mean, scale = window_scale(past, torch.tensor([0.2]), torch.tensor([7.0]))
    assert mean.flatten().tolist() == [2, 5, 0]
    assert scale.flatten().tolist() == pytest.approx([1, 0.1 * 0.2 * 5, 7])


def test_errors_are_scaled_as_the_training_loss_is(fitted):
    windows = [record([5.0, 7.0] * 3 + [8.0] * 3, "a"), record([100.0, 300.0] * 3 + [400.0] * 3, "b")]
    assert scaled_rmse(torch.full((2, 3, 1), 2.0).double(), windows, fitted) == pytest.approx(
        (sum((2 / one) ** 2 for one in (1, 100)) / 2) ** 0.5
    )


def test_a_model_that_loses_to_a_baseline_says_so(tmp_path, capsys):
    table, size = tmp_path / "noise.csv", {"--past": 4, "--horizon": 4, "--epochs": 1, "--updates": 1, "--hidden": 2}
    pl.DataFrame({"y": [10.0] * 60}).write_csv(table)
    options = [str(part) for option in size.items() for part in option]
    options += ["--scale", "global", "--base", "last", "--out", str(tmp_path / "run")]
    main(["fit", "forecast", "--train", str(table), "--targets", "y", *options])
    words = " ".join(capsys.readouterr().out.split())
    assert "On the held-out rows, the model has a higher forecast RMSE than persistence, mean and linear." in words
    assert "(scale global)" in words


def test_series_shorter_than_past_and_horizon_are_trained_on():
    """Only a short series of each sort tells what its label means."""

    def steps(name, way, length):
        return pl.DataFrame({"id": [name] * length, "way": [way] * length, "y": [float(n) for n in range(length)]})

    long = [steps(f"l{n}", "up", 30) for n in range(2)]
    short = [steps("s4", "up", 4), steps("s5", "up", 5).with_columns(y=5 - pl.col("y"), way=pl.lit("down"))]
    table = pl.concat([*long, *short, steps("s3", "up", 3)])
    options = {"targets": ["y"], "series": "id", "context": ["way"], "past": 3, "horizon": 4, "base": "last", "jobs": 1}
    found = forecast.fit(table, **options, hidden=4, epochs=2, updates=3)
    said = " ".join(str(found.report).split())
    assert "1 series of `train` is left out, with fewer than 4 steps: 's3'." in said
    assert "on 4 series" in said
    past = pl.DataFrame({"id": ["a"] * 3, "way": ["down"] * 3, "y": [3.0, 2.0, 1.0]})  # a label of short series alone
    assert found.forecast(past)["y_predicted"].is_finite().all()


@pytest.mark.parametrize("missing", ["refuse", "hold"])
def test_what_follows_the_end_of_a_short_series_does_not_change_the_loss(missing):
    settings = ForecastSettings(targets=("y",), inputs=("u",), past=3, horizon=4, hidden=3, missing=missing)
    torch.manual_seed(0)
    model = ForecastModel(settings)
    width = 1 if missing == "refuse" else 2
    targets = torch.arange(5.0).unsqueeze(1)
    filled = None if missing == "refuse" else torch.cat([targets, torch.zeros(5, 1)], 1)
    record = Record("a", torch.randn(5, width), targets, torch.zeros(0), filled)
    (longer,) = padded([record], settings)
    assert len(longer) == 7
    batch = collate([longer])
    loss = model.loss(batch)
    batch[0][:, 5:] += 9
    assert torch.equal(model.loss(batch), loss)
    loss.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())


@pytest.fixture(scope="module")
def tanks():
    """Series whose targets follow their inputs in the same way, at levels of their own."""
    level = pl.col("id").str.slice(1).cast(pl.Float64)
    return pl.DataFrame(columns(6)).with_columns(y=(pl.col("y") + 5 + 5 * level) * 100 ** (level % 3))


@pytest.mark.parametrize("scale", ["series", "window"])
@pytest.mark.parametrize("kind", ["context", "every-step"])
def test_a_simulated_series_keeps_its_scale_when_it_is_carried_on(tanks, tmp_path, scale, kind):
    options = {
        **TANK,
        **QUICK,
        "series": "id",
        "window": 4,
        "scale": scale,
        "initial_state": kind,
        "jobs": 1,
        "updates": 20,
    }
    found = series.fit(tanks, **options)
    assert f"(scale {scale})" in " ".join(str(found.report).split())
    found.save(tmp_path / "model.safetensors")
    model = series.SeriesModel.load(tmp_path / "model.safetensors")
    whole = model.predict(tanks)
    first = model.predict(tanks.filter(pl.int_range(pl.len()).over("id") < 20))
    first.state.save(tmp_path / "state")
    rest = tanks.filter(pl.int_range(pl.len()).over("id") >= 20).drop("y")
    rest = model.predict(rest, start=series.States.load(tmp_path / "state", model)).frame
    parts = pl.concat([first.frame.drop("y"), rest.with_columns(pl.col("step") + 20)]).sort("id", "step")
    whole = whole.frame.sort("id", "step")
    assert parts["y_predicted"].to_list() == pytest.approx(whole["y_predicted"].to_list(), rel=1e-4)
    spread = whole.group_by("id").agg(pl.col("y_predicted").mean() / pl.col("y").mean())["y_predicted"]
    assert spread.is_between(0.5, 2).all()  # each series is near its own level after 40 updates


def test_a_new_series_without_a_window_has_no_scale(tanks):
    model = series.fit(tanks, **TANK, **QUICK, series="id", scale="series", jobs=1)
    new = tanks.with_columns(id=pl.lit("new"))
    with pytest.raises(InputError, match="the scale of series 'new' is unknown, since it is not in the training table"):
        model.predict(new.drop("y"))


def test_a_loss_is_computed_in_the_scale_of_each_series(tanks):
    """Series of equal shape at any level weigh the same."""
    model = SeriesModel({**TANK, "window": 4, "scale": "window", "hidden": 3, "series": "id"})
    y = torch.rand(2, 9, 1)
    y[1] = 1000 * y[0]
    inputs, lengths = torch.rand(1, 9, 1).expand(2, 9, 1), torch.tensor([9, 9])
    model.target_scale.fill_(1000.0)
    one, other = (
        SquaredLoss(0)(model, (inputs[row], y[row], torch.zeros(1, 0), lengths[row]))
        for row in (slice(0, 1), slice(1, 2))
    )
    assert one.item() == pytest.approx(other.item(), rel=1e-4)
