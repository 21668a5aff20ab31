"""Run folders: nothing is overwritten, and a run resumes with the same settings only."""

import json
import sys

import pytest

from contextual_rnn import InputError
from contextual_rnn.study import run_folder
from contextual_rnn.study.run_folder import RunFolder, read_json, read_lines, write_json, write_lines


def test_a_run_folder_is_never_overwritten(tmp_path):
    RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=False)
    with pytest.raises(InputError, match="already holds a run; give `resume` to continue it, or another `out`"):
        RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=False)
    with pytest.raises(InputError, match="holds a run with `epochs` 3, but 4 was requested"):
        RunFolder.open(tmp_path / "run", {"epochs": 4}, resume=True)
    folder = RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=True)
    assert read_json(folder.config_path) == {"epochs": 3}


def test_provenance_has_the_software_and_one_entry_per_origin(tmp_path):
    for _ in range(2):
        folder = RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=True)
    (made_by,) = read_json(folder.path / "provenance.json")
    assert made_by["packages"]["torch"]
    assert made_by["command"]
    RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=True, made_by={"command": "other"})
    assert [entry["command"] for entry in read_json(folder.path / "provenance.json")] == [made_by["command"], "other"]
    write_json(folder.results_path, {})
    RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=True, made_by={"command": "reader"})
    assert len(read_json(folder.path / "provenance.json")) == 2  # reading a finished run does not change who made it


def test_a_process_asks_git_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(run_folder, "_git", lambda *arguments: calls.append(arguments) or "commit")
    run_folder.provenance.cache_clear()
    try:
        for name in "abc":
            RunFolder.open(tmp_path / name, {}, resume=False)
    finally:
        run_folder.provenance.cache_clear()
    assert len(calls) == 2  # whether the source is in the repository, and the commit


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"`out` .*file is a file; give the name of a folder"):
        RunFolder.open(tmp_path / "file", {}, resume=True)
    with pytest.raises(InputError, match="cannot be created: Not a directory"):
        RunFolder.open(tmp_path / "file" / "run", {}, resume=True)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "results.json").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        RunFolder.open(tmp_path, {}, resume=True)
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_created_or_written_is_named(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(InputError, match="run cannot be created: Permission denied"):
        RunFolder.open(tmp_path / "run", {}, resume=False)


def test_a_refused_resume_names_the_one_setting_that_differs(tmp_path):
    config = {"options": {"zero": [{"epochs": 1, "rate": 0.1}]}}
    RunFolder.open(tmp_path / "run", config, resume=False)
    config["options"]["zero"][0]["epochs"] = 3
    with pytest.raises(InputError, match=r"a run with `epochs` 1, but 3 was requested; give"):
        RunFolder.open(tmp_path / "run", config, resume=True)


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_unreadable_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no such file; is .* a run folder"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad.json cannot be read as JSON"):
        read_json(tmp_path / "bad.json")


def test_lines_are_read_back(tmp_path):
    write_lines(tmp_path / "lines", [{"epoch": 1}, {"epoch": 2}])
    assert read_lines(tmp_path / "lines") == [{"epoch": 1}, {"epoch": 2}]
