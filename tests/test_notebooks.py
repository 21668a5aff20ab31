"""Every notebook runs, and goes from a data frame to the answer, a figure and predictions in a few lines."""

import json
import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))


def code_lines(notebook):
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [line for source in cells for line in source.splitlines() if line.strip()]


def test_there_is_a_notebook_for_every_job():
    assert [path.stem for path in NOTEBOOKS] == ["forecast", "generation", "pairs", "series", "texts"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_the_answer_a_figure_and_predictions(path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    assert len(code_lines(notebook)) <= 12
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made when the notebook runs"
    for cell in notebook.cells:  # with fewer runs, as a test must be fast
        cell.source = cell.source.replace("seeds=5", "seeds=1, jobs=1")
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = json.dumps([output.get("data", {}) for output in outputs])
    assert "matter? " in shown
    assert "image/png" in shown
    assert "<table" in shown
