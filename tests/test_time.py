"""Times of rows: how they are read, sorted, checked and continued, and how forecasts are aligned by them."""

import datetime

import numpy as np
import polars as pl
import pytest

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import read_series
from contextual_rnn.data.table import Table
from contextual_rnn.data.time import read_times
from contextual_rnn.jobs import forecast, series

BERLIN = "Europe/Berlin"
DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(day) for day in range(14)]
WORKING = [day for day in DAYS if day.weekday() < 5]


def after(cells, steps=2):
    found, ordered = read_times(Table(pl.DataFrame({"t": cells})), "t", [np.arange(len(cells))])
    return found.frequency, found.after(int(ordered[0][-1]), steps).to_list()


def zoned(start, stop, every):
    return pl.datetime_range(start, stop, every, time_zone=BERLIN, eager=True)


@pytest.mark.parametrize(
    ("cells", "frequency", "following"),
    [
        (["2024-W52", "2024-W51", "2024-W50"], "1 week", ["2025-W01", "2025-W02"]),
        (["2020W52", "2020W53"], "1 week", ["2021W01", "2021W02"]),
        (["2024-11", "2024-12"], "1 month", ["2025-01", "2025-02"]),
        (["2024Q3", "2024Q4"], "1 quarter", ["2025Q1", "2025Q2"]),
        (["2023", "2024"], "a step of 1", [2025, 2026]),
        ([20240130, 20240131, 20240201], "1 day", [20240202, 20240203]),
        (["20240122", "20240129"], "1 week", ["20240205", "20240212"]),
        ([202311, 202312, 202401], "1 month", [202402, 202403]),
        ([202312, 202313, 202314], "a step of 1", [202315, 202316]),
        ([30, 10, 20], "a step of 10", [40, 50]),
        (["0.0", "4.0", "8.0"], "a step of 4", [12.0, 16.0]),
        (["0", "0.5", "1", "1.5"], "a step of 0.5", [2.0, 2.5]),
        ([0.1 * n for n in range(5000)], "a step of 0.1", [500.0, 500.1]),
        ([f"{n / 3:.3f}" for n in range(5000)], "a step of 0.333333", [1666.667, 1667.0]),
        ([f"{n / 30:.6e}" for n in range(500)], "a step of 0.0333333", pytest.approx([500 / 30, 501 / 30], abs=1e-5)),
        (
            [1.7e9 + 0.02 * n for n in range(500)],
            "a step of 0.02",
            pytest.approx([1.7e9 + 10, 1.7e9 + 10.02], abs=1e-6),
        ),
        ([2e-6, 4e-6, 6e-6], "a step of 2e-06", [8e-6, 1e-5]),
        (["2024-01-31", "2024-02-29"], "1 month", ["2024-03-31", "2024-04-30"]),
        (["2022-07-01", "2023-07-01", "2024-07-01"], "1 year", ["2025-07-01", "2026-07-01"]),
        (["30/12/2024", "31/12/2024"], "1 day", ["01/01/2025", "02/01/2025"]),
        (["2024-12-31 22:00", "2024-12-31 23:00"], "1 hour", ["2025-01-01 00:00", "2025-01-01 01:00"]),
        (["2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"], "1 hour", None),
        (
            ["2024-03-30T00:00:00+01:00", "2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00"],
            "1 day",
            ["2024-04-02T00:00:00+02:00", "2024-04-03T00:00:00+02:00"],
        ),
        (DAYS, "1 day", [datetime.date(2024, 1, 15), datetime.date(2024, 1, 16)]),
        (WORKING, "1 business day", [datetime.date(2024, 1, 15), datetime.date(2024, 1, 16)]),
        ([datetime.timedelta(minutes=5 * n) for n in range(3)], "5 minutes", None),
        (zoned(datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 2), "1d"), "1 day", None),
        (zoned(datetime.datetime(2024, 3, 31), datetime.datetime(2024, 3, 31, 5), "1h"), "1 hour", None),
    ],
)
def test_the_frequency_is_inferred_and_continued(cells, frequency, following):
    found = after(cells)
    assert found[0] == frequency
    assert following is None or found[1] == following


def test_a_day_of_the_local_clock_follows_across_the_change_of_daylight_saving():
    found = after(zoned(datetime.datetime(2024, 10, 24), datetime.datetime(2024, 10, 27), "1d"))[1]
    assert [(time.day, time.hour, time.utcoffset()) for time in found] == [
        (28, 0, datetime.timedelta(hours=1)),
        (29, 0, datetime.timedelta(hours=1)),
    ]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ([1, 2, 2], "row 2, column 't': 2 is also the time of row 1; a time may occur once in a series"),
        ([1, 5, 2, 3], r"rows are absent between 3 \(row 3\) and 5 \(row 1\); 1 row is absent in all"),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-06-01"], "is 1 month, but .*; 2 rows are absent in all"),
        (["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 02:20"], "do not follow it"),
        (["1/2/2024", "1/3/2024"], "row 0, column 't': day and month of '1/2/2024' cannot be told apart"),
        (["01/01/2024", "02/01/2024", "03/01/2024"], "row 1, column 't': day and month of '02/01/2024' cannot be"),
        (
            ["2024-01-01"] * 3 + ["02.01.2024"] * 2,
            "row 3, .*: '02.01.2024' has another format than '2024-01-01' above it",
        ),
        (["2024-01-01", "2024-13-01"], "row 1, column 't': '2024-13-01' is not read as a time"),
        (["2024-01-01", None], "row 1, column 't': a time is missing"),
        (["0.0", "x"], "row 1, column 't': 'x' is not read as a time"),
        ([0.0, 0.5, 0.5], "row 2, column 't': 0.5 is also the time of row 1"),
        (["0.0", "4.0", "12.0", "16.0"], r"is a step of 4, but rows are absent between 4.0 \(row 1\) and 12.0"),
        ([0.1 * n for n in range(9)] + [1.0], r"is a step of 0.1, but rows are absent between 0.8 \(row 8\) and 1.0"),
        (
            ["0.5", "1.0", "1.6", "2.0", "2.5", "3.0", "3.5"],
            r"a step of 0.5, but 1.0 \(row 1\) and 1.6 \(row 2\) do not follow it",
        ),
        ([0.0, 0.5, 1.0, 1.501, 2.0], r"a step of 0.5, but 1.0 \(row 2\) and 1.501 \(row 3\) do not follow it"),
        ([0.0, float("nan")], "row 1, column 't': nan is not read as a time"),
        ([5], "series of one row"),
    ],
)
def test_what_has_no_frequency_is_refused(cells, sentence):
    with pytest.raises(InputError, match=sentence):
        after(cells)


def read(frame, **columns):
    return read_series(frame, ColumnSettings(targets=("y",), **columns))


def test_rows_are_sorted_within_each_series():
    frame = pl.DataFrame({"id": ["a", "b", "a", "b"], "t": [2, 8, 1, 7], "y": [2, 8, 1, 7]})
    assert [one.targets[:, 0].tolist() for one in read(frame, series="id", time="t")] == [[1, 2], [7, 8]]


def test_an_unnamed_column_of_times_must_ascend_without_gaps():
    def days(*numbers):
        return pl.DataFrame({"d": [f"2024-01-{number:02}" for number in numbers], "y": numbers})

    assert len(read(days(1, 2, 3))[0]) == 3
    with pytest.raises(InputError, match=r"row 1, column 'd': .* 2024-01-02 follows 2024-01-03; give `time` d"):
        read(days(3, 2, 1))
    with pytest.raises(
        InputError,
        match=r"rows are absent .*give `time` d, `gaps` missing and `missing` hold to insert .* or give `time` \"none\"",
    ):
        read(days(1, 2, 3, 5))
    assert len(read(days(3, 2, 1), time="none")[0]) == 3
    # A date that is constant in each series, such as a date of birth, is no time of the rows.
    born = pl.DataFrame({"id": [1, 1, 2, 2], "born": ["2024-02-01"] * 2 + ["2024-01-01"] * 2, "y": [1, 2, 3, 4]})
    assert len(read(born, series="id")) == 2


@pytest.fixture(scope="module")
def delayed(tmp_path_factory):
    """A table whose target is the input of the step before, and a model of it that knows its times."""
    folder, steps = tmp_path_factory.mktemp("delayed"), np.arange(44)
    whole = pl.DataFrame({"t": steps, "u": steps % 4, "y": (steps - 1) % 4})
    whole[:40].write_csv(folder / "past.csv")
    whole[1:].drop("y").write_csv(folder / "future.csv")
    options = {"targets": ["y"], "inputs": ["u"], "past": 6, "horizon": 4, "time": "t", "hidden": 16}
    trained = forecast.fit(folder / "past.csv", **options, epochs=5, updates=40, learning_rate=0.02)
    return folder, whole, trained


def test_a_future_that_includes_the_past_is_aligned_by_time(delayed):
    folder, whole, trained = delayed
    found = trained.forecast(folder / "past.csv", folder / "future.csv")
    assert found["t"].to_list() == [40, 41, 42, 43]
    np.testing.assert_allclose(found["y_predicted"], [3, 0, 1, 2], atol=0.5)
    shuffled = trained.forecast(whole[:40].sample(fraction=1, shuffle=True, seed=0), whole[1:][::-1])
    np.testing.assert_allclose(shuffled["y_predicted"], found["y_predicted"], rtol=1e-5)
    assert shuffled["y"].to_list() == [3, 0, 1, 2]  # measured, beside the predicted
    with pytest.raises(InputError, match=r"`future` has no row of 43, a time to forecast"):
        trained.forecast(whole[:40], whole[:43])


def test_without_times_a_long_future_and_the_past_as_future_are_refused(delayed):
    folder, whole, _ = delayed
    options = {"targets": ["y"], "inputs": ["u"], "past": 4, "horizon": 4, "hidden": 2, "epochs": 1, "updates": 1}
    trained = forecast.fit(folder / "past.csv", **options)
    with pytest.raises(InputError, match="has 43 steps, but the horizon is 4; without a column of times"):
        trained.forecast(folder / "past.csv", folder / "future.csv")
    with pytest.raises(InputError, match="`past` and `future` are the same table"):
        trained.forecast(whole[:4], whole[:4])


def test_weeks_from_the_newest_to_the_oldest(tmp_path, capsys):
    weeks = pl.DataFrame({"week": [f"2024-W{week:02}" for week in range(52, 0, -1)], "y": range(52, 0, -1)})
    weeks.write_csv(tmp_path / "weeks.csv")
    fit = ["fit", "forecast", "--train", str(tmp_path / "weeks.csv"), "--targets", "y", "--past", "4", "--horizon", "2"]
    fit += ["--epochs", "6", "--updates", "30", "--hidden", "8", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit):
        main(fit)
    assert "2024-W51 follows 2024-W52; give --time week to sort the rows by it" in capsys.readouterr().err
    main([*fit, "--time", "week"])
    assert "The frequency of the rows is 1 week." in " ".join(capsys.readouterr().out.split())
    out = tmp_path / "out.csv"
    main(["forecast", str(tmp_path / "run"), "--past", str(tmp_path / "weeks.csv"), "--out", str(out)])
    found = pl.read_csv(out)
    assert found["week"].to_list() == ["2025-W01", "2025-W02"]
    np.testing.assert_allclose(found["y_predicted"], [53, 54], atol=2)


def test_predictions_of_series_are_written_with_their_times():
    days = pl.DataFrame({"day": DAYS[::-1], "u": np.arange(14.0), "y": np.arange(14.0)})
    trained = series.fit(days, targets=["y"], inputs=["u"], time="day", hidden=2, epochs=1, updates=1, length=4)
    found = trained.predict(days).frame
    assert found["day"].to_list() == DAYS
    assert found["y"].to_list() == np.arange(14.0)[::-1].tolist()


def test_tables_of_two_frequencies_are_refused():
    days = pl.DataFrame({"day": DAYS, "u": np.arange(14.0), "y": np.arange(14.0)})
    with pytest.raises(InputError, match="the frequency of `train` is 1 day, but that of `test` is 2 days"):
        series.fit(days, test=days[::2], targets=["y"], inputs=["u"], time="day")


def test_year_month_and_day_in_columns_of_their_own():
    days = pl.datetime_range(pl.datetime(2023, 12, 30), pl.datetime(2024, 3, 1), "1d", eager=True)
    parts = {"Year": days.dt.year(), "Month": days.dt.month(), "Day": days.dt.day(), "y": range(len(days))}
    table = pl.DataFrame(parts)
    columns = ColumnSettings(targets=("y",), time=("Year", "Month", "Day"))
    (one,) = read_series(table.reverse(), columns)
    assert one.targets[:, 0].tolist() == list(range(len(days)))
    assert one.times.frequency == "1 day"


def test_dates_written_as_whole_numbers_are_aligned_and_continued():
    """20240131 is followed by 20240201."""
    days = [
        int(day.strftime("%Y%m%d")) for day in (datetime.date(2024, 1, 1) + datetime.timedelta(n) for n in range(40))
    ]
    table = pl.DataFrame({"t": days, "u": range(40), "y": range(40)})
    options = {"epochs": 1, "updates": 2, "hidden": 4, "past": 4, "horizon": 2, "jobs": 1}
    model = forecast.fit(table[:30], targets=["y"], inputs=["u"], time="t", **options)
    assert model.forecast(table[:30], table[10:])["t"].to_list() == [20240131, 20240201]


@pytest.mark.parametrize("cells", [[[1], [2]], [{"a": 1}, {"a": 2}]])
def test_a_column_of_lists_is_no_time(cells):
    with pytest.raises(InputError, match="is not read as a time"):
        after(cells)


def test_decimal_times_are_filled_where_rows_are_absent_and_aligned_with_the_future():
    times = [0.1 * n for n in range(40) if n not in (7, 8)]
    frame = pl.DataFrame({"t": times, "u": times, "y": times})
    (one,) = read_series(
        frame, ColumnSettings(inputs=("u",), targets=("y",), time=("t",), gaps="missing", missing="hold")
    )
    assert one.rows[5:11].tolist() == [5, 6, -1, -1, 7, 8]
    options = {"targets": ["y"], "inputs": ["u"], "time": "t", "past": 4, "horizon": 2, "epochs": 1, "hidden": 4}
    model = forecast.fit(frame[7:], **options, jobs=1)
    assert model.frequency == "a step of 0.1"
    future = pl.DataFrame({"t": [4.1, 4.0], "u": [1.0, 2.0]})
    assert model.forecast(frame[7:], future)["t"].to_list() == pytest.approx([4.0, 4.1])
    with pytest.raises(
        InputError, match=r"a step of 0\.2, but the model was trained on rows with a frequency of a step of"
    ):
        model.forecast(frame[7:][::2], future)


def test_series_that_start_at_other_decimal_times_have_one_frequency():
    frame = pl.DataFrame({"id": [*"aaabbb"], "t": [0.0, 0.5, 1.0, 0.3, 0.8, 1.3], "y": [1, 2, 3, 4, 5, 6]})
    first, second = read(frame, series="id", time="t")
    assert first.times.frequency == "a step of 0.5"
    assert second.times.after(5, 1).to_list() == [1.8]


def test_a_column_of_numbers_with_gaps_is_named_as_a_possible_time(tmp_path):
    from scipy.io import savemat

    steps = np.array([n for n in range(60) if n not in (20, 21, 40)])
    options = {"inputs": ["u"], "targets": ["y"], "epochs": 1, "updates": 2, "hidden": 4, "jobs": 1}
    values = np.sin(steps)
    for times in (4 * steps, 0.5 * steps, [f"{n / 2}" for n in steps]):
        table = pl.DataFrame({"t": times, "u": values, "y": values})
        assert "If column 't' is the time of the rows, 3 rows are absent, and the" in str(
            series.fit(table, **options).report.sentences
        )
        assert "'t'" not in str(series.fit(table, time="none", **options).report.sentences)
    for times in (np.arange(57), -steps, steps**2, np.where(steps == 5, 4, steps)):
        table = pl.DataFrame({"t": times, "u": values, "y": values})
        assert "the time of the rows" not in str(series.fit(table, **options).report.sentences)
    savemat(tmp_path / "a.mat", {"t": 0.5 * steps, "u": values, "y": values, "Ts": 0.5, "s": {"a": 1}})
    assert "If column 't' is the time" in str(series.fit(tmp_path / "a.mat", **options).report.sentences)


def test_a_report_says_that_a_step_of_numbers_is_in_their_unit():
    table = pl.DataFrame({"t": [0.5 * n for n in range(40)], "u": [0.1, 0.2] * 20, "y": [1.0, 3.0] * 20})
    model = series.fit(table, inputs=["u"], targets=["y"], time="t", epochs=1, updates=2, hidden=4, jobs=1)
    assert "The frequency of the rows is a step of 0.5 in the unit of their times." in model.report.sentences
