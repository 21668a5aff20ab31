"""What the figures of every job share: names in words, shared axes, one legend, the mean and its interval."""

import numpy as np
import pytest

from contextual_rnn.study.figures import colours, plot_history, plot_learning, plot_runs, without_shared
from contextual_rnn.study.metric import Metric

RMSE = Metric("a", "free-run RMSE", of_targets=True)
LATER = Metric("b", "windowed RMSE", of_targets=True)
RATE = Metric("c", "error rate", "%", "difference")
SCALED = Metric("d", "MASE")
RUNS = {
    "project, none, output": [0.2, 0.3, 0.25, 0.22, 0.28],
    "zero, none, output": [0.5, 0.4, 0.6, 0.5, 0.5],
    "mean": [0.9],
}
RATES = {"project, none, output": [99.0, 100.0, 98.0, 100.0, 99.0], "zero, none, output": [100.0] * 5, "mean": [100.0]}


def drawn(metrics=(RMSE, LATER, SCALED, RATE)):
    values = {metric.key: RATES if metric is RATE else RUNS for metric in metrics}
    return plot_runs(values, metrics, "unit of level")


def legend(figure):
    (one,) = figure.legends
    return [text.get_text() for text in one.get_texts()]


def test_names_lose_the_parts_that_all_share():
    assert without_shared(["project, none, output", "zero, none, output", "mean"]) == ["project", "zero", "mean"]
    assert without_shared(["project, none, output", "zero, none, truth"]) == ["project, output", "zero, truth"]
    for alone in (
        ["zero", "a, ensemble", "zero, ensemble", "a"],
        ["zero", "context"],
        ["a, b"],
        ["a, b", "a, b, c"],
        ["a, b", "a, b"],
    ):
        assert without_shared(alone) == alone


def test_the_heading_of_the_rows_has_the_parts_that_they_show():
    runs = {"a": {"project, none, output": [1.0, 2.0], "zero, none, truth": [2.0, 3.0], "mean": [3.0]}}
    figure = plot_runs(runs, [RMSE], heading="bridge, attention, feeding")
    assert figure.axes[0].get_ylabel() == "bridge, feeding"
    assert plot_runs(runs, [RMSE], heading="initial state").axes[0].get_ylabel() == ""


def test_panels_have_labels_with_units_and_share_the_axis_of_the_targets_alone():
    panels = drawn().axes
    assert [axes.get_xlabel() for axes in panels] == [
        "free-run RMSE, unit of level",
        "windowed RMSE, unit of level",
        "MASE",
        "error rate, %",
    ]
    shared = panels[0].get_shared_x_axes()
    assert [shared.joined(panels[0], other) for other in panels[1:]] == [True, False, False]
    assert panels[3].get_xlim()[1] == 100
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["project", "zero", "mean"]
    assert not any(axes.get_title() for axes in panels)


def test_the_mean_and_its_interval_are_beside_the_dots_and_one_legend_says_so():
    figure = drawn()
    assert legend(figure) == ["one seed", "mean and its 95% interval"]
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_gid() == "interval"][:1]
    low, middle, high = line.get_xdata()
    assert middle == pytest.approx(0.25)
    half = 2.776 * np.std(RUNS["project, none, output"], ddof=1) / 5**0.5  # Student's t with 4 degrees of freedom
    assert (low, high) == pytest.approx((0.25 - half, 0.25 + half), rel=1e-3)


def test_fewer_than_five_runs_have_no_interval():
    figure = plot_runs({"a": {"zero": [1.0, 2.0], "context": [2.0, 3.0]}}, [RMSE])
    assert legend(figure) == ["one seed", "mean"]


def test_no_two_kinds_of_a_figure_have_one_colour():
    kinds = ["project", "zero", "concat", "copy", "context", "every-step"]
    assert len(set(colours(kinds).values())) == len(kinds)
    assert colours(kinds)["zero"] == "#000000"


def test_a_learning_curve_has_a_point_for_an_epoch_and_words_for_a_metric():
    one = [{"epoch": 1, "loss": 2.0, "validation_rmse": 1.0}]
    figure = plot_learning({"zero": [one], "context": [one, one]})
    assert legend(figure) == ["zero, 1 seed", "context, 2 seeds"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["training loss", "validation RMSE"]
    assert figure.axes[0].get_lines()[0].get_marker() == "."
    assert not plot_history(one).legends


def test_learning_curves_of_many_kinds_have_a_row_of_panels_for_each_setting():
    one = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]
    kinds = ["warm-up", "context", "estimated", "context+estimated"]
    names = [f"{record}, {window}, {kind}" for record in ("tanks", "circuit") for window in (50, 5) for kind in kinds]
    figure = plot_learning({name: [one] for name in names})
    assert [axes.get_title() for axes in figure.axes] == ["tanks, 50", "tanks, 5", "circuit, 50", "circuit, 5"]
    assert legend(figure) == [f"{kind}, 1 seed" for kind in kinds]
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == len(kinds)


def test_a_long_legend_does_not_take_the_room_of_the_panels():
    one = [{"epoch": 1, "loss": 2.0}]
    figure = plot_learning(
        {f"a kind of initial state with a long name, number {number}": [one] for number in range(16)}
    )
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().height * figure.get_figheight() > 2  # inches
