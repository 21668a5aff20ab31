"""Molecules of MOSES from a folder, their properties, and a small run of the whole reproduction (the extra molecules)."""

import gzip
import importlib
import importlib.util
import sys

import pytest

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.jobs.texts.molecules import properties as chemistry
from contextual_rnn.jobs.texts.molecules.data import Molecules, read_smiles

needs_rdkit = pytest.mark.skipif(
    importlib.util.find_spec("rdkit") is None, reason="RDKit is not installed: extra molecules"
)
MADE = [
    f"{'C' * carbons}{group}{'N' * amine}"
    for carbons in range(1, 15)
    for group in ("", "O", "c1ccccc1", "C(=O)O")
    for amine in (0, 1)
]


def written(folder, **files):
    (folder / "molecules").mkdir()
    for name, (column, smiles) in files.items():
        (folder / "molecules" / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join([column, *smiles]).encode()))
    return folder


def test_molecules_are_read_from_a_folder(tmp_path):
    train, test, own = MADE[:60], MADE[60:80], MADE[80:]
    written(tmp_path, train=("SMILES", train), test=("smiles", test))
    found = Molecules.read(tmp_path, 30, 10, 5)
    assert (len(found.train), len(found.validation), len(found.test)) == (30, 10, 5)
    assert set(found.train) | set(found.validation) <= set(train)
    assert not set(found.train) & set(found.validation)
    assert set(found.test) <= set(test)
    assert Molecules.read(tmp_path, 30, 10, 5) == found
    (tmp_path / "molecules" / "validation.csv.gz").write_bytes(gzip.compress("\n".join(["smiles", *own]).encode()))
    assert set(Molecules.read(tmp_path, 60, 10, 5).validation) <= set(own)
    assert sorted(Molecules.read(tmp_path / "molecules", 60, 10, 5).train) == sorted(train)


def test_a_table_without_molecules_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("name\nC\n")
    with pytest.raises(InputError, match="has no column 'smiles'; it has name"):
        read_smiles(tmp_path / "other.csv")


def test_rdkit_is_named_where_it_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(SystemExit):
        main(["reproduce", "molecules", "--out", str(tmp_path / "run")])
    assert "pip install 'contextual-rnn[molecules]'" in capsys.readouterr().err


@needs_rdkit
def test_properties():
    aspirin = "CC(=O)Oc1ccccc1C(=O)O"
    found = {name: getattr(chemistry, name)(aspirin) for name in chemistry.NAMES}
    assert found == pytest.approx(
        {"logp": 1.3101, "tpsa": 63.6, "weight": 180.159, "qed": 0.5501, "rings": 1, "donors": 1}, abs=1e-3
    )
    table = chemistry.with_properties([aspirin, "CC(", "c1cccc1", ""])
    assert table["logp"].is_null().to_list() == [False, True, True, True]
    assert chemistry.logp("CC(") is None
    assert chemistry.nearest([aspirin, "CCCC"], ["CCO", aspirin]).tolist() == [1, pytest.approx(0.2, abs=0.2)]


@needs_rdkit
def test_the_reproduction_on_few_molecules(tmp_path, capsys, monkeypatch):
    module = importlib.import_module("contextual_rnn.jobs.texts.molecules.reproduce")
    monkeypatch.setattr("contextual_rnn.jobs.texts.molecules.figures.WRITTEN", 20)
    monkeypatch.setattr(module, "ROW", [1.0, 3.0])
    monkeypatch.setattr(module, "UNUSUAL", {"logp": [9.0]})
    data = written(tmp_path, train=("smiles", MADE * 2), test=("smiles", MADE[::3]))
    out = tmp_path / "run"
    arguments = ["--out", str(out), "--data", str(data), "--jobs", "1"]
    main(["reproduce", "molecules", "--smoke", "--seeds", "1", "--context-in", "h0", *arguments])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Mean Tanimoto similarity to the nearest training molecule: of test molecules, " in shown
    drawn = {path.name for path in (out / "figures").glob("*.png")}
    assert drawn == {"asked_h0.png", "molecules.png", "distributions.png", "initial_states_h0.png"}
