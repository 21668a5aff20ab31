"""Every notebook runs, and goes from a data frame to the answer, a figure and predictions in a few lines."""

import json
import pathlib
import re

import nbclient
import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))


def code_lines(notebook):
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [line for source in cells for line in source.splitlines() if line.strip()]


def test_there_is_a_notebook_for_every_job():
    assert [path.stem for path in NOTEBOOKS] == ["forecast", "generation", "pairs", "series", "texts"]


@pytest.fixture(scope="module")
def kernel():
    """A process that runs one notebook after the other, as it takes seconds to load the packages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(NOTEBOOKS[0].parent))
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_the_answer_a_figure_and_predictions(path, kernel):
    notebook = nbformat.read(path, as_version=4)
    assert len(code_lines(notebook)) <= 12
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made when the notebook runs"
    for cell in notebook.cells:  # with fewer and shorter runs, as a test must be fast
        shorter = re.sub(r'"epochs": \d+', '"epochs": 1', cell.source)
        cell.source = shorter.replace("seeds=5", "seeds=1, jobs=1")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))  # no name of the notebook before
    client = nbclient.NotebookClient(notebook, km=kernel, timeout=300)
    client.execute()
    client.kc.stop_channels()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = json.dumps([output.get("data", {}) for output in outputs])
    assert "matter? " in shown
    assert "image/png" in shown
    assert "<table" in shown
