"""Forecasts have their times in the type that the user's frame has, and join to it."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from contextual_rnn import InputError
from contextual_rnn.jobs import forecast, series

ROWS, HORIZON = 60, 3
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(day) for day in range(ROWS + HORIZON)]
TINY = {"epochs": 1, "updates": 1, "jobs": 1, "hidden": 4}
OPTIONS = {"time": "when", "targets": ["y"], "past": 12, "horizon": HORIZON, "base": "last", **TINY}


def periods(freq):
    return pd.period_range("2005-01-03", freq=freq, periods=ROWS + HORIZON)


def dates(**more):
    return pd.date_range("2020-03-01", **{"periods": ROWS + HORIZON, **more})


def table(when):
    frame = pl.DataFrame if isinstance(when, pl.Series) else pd.DataFrame
    values = np.sin(np.arange(len(when)))
    return frame({"when": when, "y": values, "x": values})


@pytest.mark.parametrize(
    "when",
    [
        *(periods(freq) for freq in ("M", "W-MON", "D", "h", "Q-JAN", "Y", "2M")),
        pd.Series(list(periods("M")), dtype=object),
        dates(unit="ns"),
        dates(unit="us", freq="6h", tz="Europe/Berlin"),
        dates(freq="D", tz="Europe/Berlin"),
        dates(tz=datetime.timezone(datetime.timedelta(hours=1)), freq="6h"),
        pd.Series(list(dates(freq="6h", tz="Europe/Berlin")), dtype=object),
        pd.Series(DAYS, dtype=object),
        np.arange(ROWS + HORIZON, dtype=np.int32),
        pd.array(np.arange(ROWS + HORIZON), dtype="Int64"),
        pd.to_timedelta(np.arange(ROWS + HORIZON), unit="h"),
        pl.Series(DAYS),
        pl.Series(DAYS).cast(pl.Datetime("ns")),
        pl.Series(DAYS).cast(pl.Datetime("us", "Europe/Berlin")),
        pl.Series(range(ROWS + HORIZON), dtype=pl.Int32),
    ],
    ids=lambda when: str(when.dtype),
)
def test_times_come_back_in_the_type_of_the_frame(when):
    whole = table(when)
    past, future = whole[:ROWS], whole[ROWS:].drop(columns="y") if isinstance(whole, pd.DataFrame) else whole[ROWS:]
    for found in (
        forecast.fit(past, inputs=["x"], **OPTIONS).forecast(past, future),
        forecast.fit(past, **OPTIONS).forecast(past),
    ):
        assert found["when"].dtype == whole["when"].dtype
        assert list(found["when"]) == list(whole["when"][ROWS:])
        if isinstance(whole, pd.DataFrame):
            assert len(whole.merge(found, on="when", validate="1:1")) == HORIZON


def test_predictions_of_series_keep_the_type_of_their_times():
    whole = table(periods("M")).set_index(np.arange(ROWS + HORIZON) * 7)
    model = series.fit(whole, inputs=["x"], targets=["y"], time="when", epochs=1, updates=1, jobs=1, hidden=4, window=3)
    found = model.predict(whole[::-1]).frame
    assert found["when"].dtype == whole["when"].dtype
    assert found["when"].equals(whole["when"][3:])


def test_a_time_zone_in_one_table_alone_is_named():
    plain, zoned = table(dates()), table(dates(tz="Europe/Berlin"))
    model = forecast.fit(plain, inputs=["x"], **OPTIONS)
    with pytest.raises(InputError) as refused:
        model.forecast(plain[:ROWS], zoned[ROWS:])
    assert (
        "`future`, row 0, column 'when': the times, such as 2020-04-30 00:00:00+02:00, have a time zone, but those "
        in (str(refused.value))
    )
    assert "of `past` have none, such as 2020-04-30 00:00:00; give both tables the zone, or neither" in str(
        refused.value
    )
    with pytest.raises(
        InputError, match="have no time zone, but those of `past` have one, such as 2020-04-30 00:00:00"
    ):
        model.forecast(zoned[:ROWS], plain[ROWS:])


def test_a_table_of_another_frequency_is_refused_before_its_calendar():
    daily = table(dates())
    model = forecast.fit(daily, calendar=["weekday"], **OPTIONS)
    with pytest.raises(InputError) as refused:
        model.forecast(daily.assign(when=dates(freq="7D")))
    assert str(refused.value) == (
        "the frequency of `past` is 1 week, but the model was trained on rows with a frequency of 1 day; give a table of "
        "that frequency"
    )
    with pytest.raises(InputError, match="the frequency of `train` is 1 day, but that of `test` is 1 week"):
        forecast.fit(daily, test=daily.assign(when=dates(freq="7D")), calendar=["weekday"], **OPTIONS)


def test_errors_of_a_trained_model_advise_what_its_call_takes():
    daily = table(dates())
    model, another = forecast.fit(daily, **OPTIONS), series.fit(daily, targets=["y"], inputs=["x"], time="when", **TINY)
    read = "change this table, or `fit` another model with "
    gap, hole = daily.drop(index=20), daily.assign(x=daily.x.where(daily.index != 5), y=daily.y.where(daily.index != 5))
    for call in (model.forecast, another.predict):
        with pytest.raises(InputError, match=f"1 row is absent in all; {read}`gaps` and `missing` [(]"):
            call(gap)
        with pytest.raises(InputError, match=f"row 5, column '.': the number is missing; {read}`missing` [(]"):
            call(hole)
    assert len(model.forecast(hole[6:])) == HORIZON


def test_a_model_without_inputs_takes_a_future_of_times_alone():
    panel = pd.concat([table(dates()).assign(shop=shop) for shop in ("a", "b")], ignore_index=True)
    days = panel.groupby("shop").cumcount()
    past, future = panel[days < ROWS], panel[days >= ROWS]
    model = forecast.fit(past, **OPTIONS, series="shop")
    found = model.forecast(past, future[["shop", "when"]])
    assert list(found.index) == list(future.index)
    assert found["y_predicted"].tolist() == model.forecast(past)["y_predicted"].tolist()
    with pytest.raises(InputError, match=r"`future` has no series 'b', which the table of the past has$"):
        model.forecast(past, future[future["shop"] == "a"])
    alone = forecast.fit(past[past["shop"] == "a"], **OPTIONS)
    with pytest.raises(InputError, match=r"`future` has no row of 2020-05-02 00:00:00, a time to forecast$"):
        alone.forecast(past[past["shop"] == "a"], future[future["shop"] == "a"][:2])


WEEKS = {**OPTIONS, "past": 14, "horizon": 7}


def test_forecasts_of_one_weekday_alone_are_named():
    days = table(dates(periods=200))
    test = days[100:]  # begins on a Tuesday, and its first forecast 14 rows later
    words = " ".join(str(forecast.fit(days[:114], test=test, **WEEKS).report).split())
    assert (
        "of 12 forecasts, whose horizons do not overlap. All forecasts start on a Tuesday (7 rows apart, in seasons of 7 rows), so"
        in words
    )
    assert "such as the last-step RMSE, hold for that start alone. Give `stride` 8 to start at every place." in words
    found = forecast.compare(days[:114], test, **WEEKS, seeds=1)
    assert "All forecasts start on a Tuesday (7" in found.note
    label = found.plot_horizon().axes[0].get_xlabel()
    assert label == "step of the horizon (all forecasts start on a Tuesday)"


@pytest.mark.parametrize(
    ("stride", "number", "overlap"), [(8, 10, "do not overlap"), (3, 27, "overlap"), (1, 80, "overlap")]
)
def test_a_stride_starts_forecasts_at_every_weekday(stride, number, overlap):
    days = table(dates(periods=200))
    model = forecast.fit(days[:114], test=days[100:], stride=stride, **WEEKS)
    words = " ".join(str(model.report).split())
    assert f"are those of {number} forecasts, whose horizons {overlap}. " in words
    assert "All forecasts start" not in words
    errors = [days["y"][row + 14 : row + 21].to_numpy() - days["y"][row + 13] for row in range(100, 180, stride)]
    assert len(errors) == number
    rows = model.report.rows["persistence, test"]
    assert rows["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-4)
    assert rows["last_step_rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors)[:, -1])), rel=1e-4)


@pytest.mark.parametrize(
    ("when", "past", "horizon", "said"),
    [
        (dates(periods=400, freq="h"), 24, 24, "All forecasts start at 08:00 (24 rows"),
        (dates(periods=200, freq="MS"), 12, 12, "All forecasts start in July (12 rows"),
        (dates(periods=200, freq="MS"), 12, 6, "All forecasts start at 2 of the 12 places of a season (6 rows"),
        (np.arange(200), 12, 12, None),
        (dates(periods=200), 14, 6, None),
    ],
)
def test_the_place_of_a_season_is_named_in_its_own_words(when, past, horizon, said):
    words = " ".join(str(forecast.fit(table(when), **{**OPTIONS, "past": past, "horizon": horizon}).report).split())
    assert "The errors of the held-out rows are those of" in words
    assert "All forecasts start" not in words if said is None else said in words
    assert "Give `stride`" not in words


def test_a_comparison_says_which_base_its_variants_have():
    days = table(dates(periods=100)).assign(y=np.arange(100) % 7)
    options = {**WEEKS, "base": None, "seeds": 1}
    for base, why in (
        (None, "seasonal, which is nearer than last on the validation data."),
        ("linear", "linear, as given."),
    ):
        found = forecast.compare(days[:70], days[56:], **{**options, "base": base})
        assert found.answer.endswith(f" All variants have base {why}")
        assert "The forecast RMSE of zero is " in found.answer
    rows = days.drop(columns="when")
    found = forecast.compare(rows[:70], rows[56:], **{**options, "time": None})
    assert found.answer.endswith(" All variants have base last, as the rows have no season.")


def test_series_of_unlike_frequencies_are_named():
    daily, weekly = table(dates()).assign(shop="a"), table(dates(freq="7D")).assign(shop="b")
    with pytest.raises(InputError) as refused:
        forecast.fit(pd.concat([daily, weekly]), series="shop", **OPTIONS)
    assert str(refused.value) == (
        "`train`: the frequency of series 'a' is 1 day, and that of series 'b' is 1 week; give series of one frequency "
        "alone"
    )


@pytest.mark.parametrize(
    ("cell", "mend"),
    [
        ("3,600.0", "; if the comma separates thousands, write 3600.0"),
        ("3,600", "; if the comma separates thousands, write 3600; if it is a decimal comma, write 3.600"),
        ("30,53", "; if it is a decimal comma, write 30.53"),
        ("30 EUR", "; write the number alone, 30, without a sign or a unit"),
        (
            "n/a",
            "; correct the cell, or, if it stands for a missing number, give `missing_values` 'n/a' and `missing` hold",
        ),
    ],
)
def test_texts_in_a_frame_have_what_mends_them(cell, mend):
    frame = table(dates())
    texts = frame.assign(y=frame.y.astype(str).where(frame.index != 7, cell))
    with pytest.raises(InputError) as refused:
        forecast.fit(texts, **OPTIONS)
    assert str(refused.value) == f"`train`, row 7, column 'y': expected a finite number, found {cell!r}{mend}"


def test_errors_of_series_are_in_a_column_of_their_name():
    panel = pd.concat([table(dates()).assign(shop=shop) for shop in ("a", "b")], ignore_index=True)
    days = panel.groupby("shop").cumcount()
    model = forecast.fit(panel[days < ROWS], **OPTIONS, series="shop")
    found = pd.DataFrame(model.errors(panel[days < ROWS], panel[days >= ROWS]).by_series)
    assert len(panel[["shop"]].drop_duplicates().merge(found, on="shop", validate="1:1")) == 2
