"""Every notebook runs, and goes from a data frame to the answer, a figure and predictions in a few lines."""

import json
import pathlib

import nbclient
import nbformat

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))


def code_lines(notebook):
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [line for source in cells for line in source.splitlines() if line.strip()]


def test_there_is_a_notebook_for_every_job():
    assert [path.stem for path in NOTEBOOKS] == ["forecast", "generation", "pairs", "series", "texts"]


def test_every_notebook_shows_the_answer_a_figure_and_predictions(monkeypatch):
    """They run in one kernel, without the names of each other, since a kernel takes seconds to import what they need."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = {path.stem: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
    together = nbformat.v4.new_notebook()
    for name, notebook in found.items():
        assert len(code_lines(notebook)) <= 12, name
        assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made when the notebook runs"
        for cell in notebook.cells:  # with fewer runs, as a test must be fast
            cell.source = cell.source.replace("seeds=5", "seeds=1, jobs=1")
        together.cells += [*notebook.cells, nbformat.v4.new_code_cell("%reset -f")]
    resources = {"metadata": {"path": NOTEBOOKS[0].parent}}
    nbclient.NotebookClient(together, timeout=300, kernel_name="python3", resources=resources).execute()
    for name, notebook in found.items():
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        shown = json.dumps([output.get("data", {}) for output in outputs])
        for part in ("matter? ", "image/png", "<table"):
            assert part in shown, name
