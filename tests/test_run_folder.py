"""Run folders: nothing is overwritten, and a run resumes with the same settings only."""

import json
import os
import subprocess
import sys

import pytest

from contextual_rnn import InputError
from contextual_rnn.study import run_folder
from contextual_rnn.study.run_folder import RunFolder, append_line, read_json, read_lines, write_json, write_lines


def test_a_run_folder_is_never_overwritten(tmp_path):
    RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=False)
    with pytest.raises(InputError, match="already holds a run; give `resume` to continue it, or another `out`"):
        RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=False)
    with pytest.raises(InputError, match="holds a run with `epochs` 3, but 4 was requested"):
        RunFolder.open(tmp_path / "run", {"epochs": 4}, resume=True)
    folder = RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=True)
    assert read_json(folder.config_path) == {"epochs": 3}


def test_a_setting_that_an_earlier_version_lacks_does_not_hinder_resuming(tmp_path):
    with RunFolder.open(tmp_path / "run", {"settings": {"epochs": 3}}, resume=False, timeout=1):
        pass
    with RunFolder.open(tmp_path / "run", {"settings": {"epochs": 3, "memory": None}}, resume=True, timeout=1):
        pass
    with pytest.raises(InputError, match=r"holds a run with `memory` None, but 2\.0 was requested"):
        RunFolder.open(tmp_path / "run", {"settings": {"epochs": 3, "memory": 2.0}}, resume=True, timeout=1)


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


OPENS = """
import sys
from contextual_rnn.study.run_folder import RunFolder
for number in range(100):
    RunFolder.open(sys.argv[1], {"epochs": 3}, resume=True, made_by={"command": sys.argv[2], "number": number})
"""


def test_two_processes_may_open_one_folder(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENS, str(tmp_path / "run"), name], stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    said = "".join(process.communicate()[1] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], said
    assert all("waiting for process" in line for line in said.splitlines()), said
    entries = read_json(tmp_path / "run" / "provenance.json")
    assert len(entries) == 200
    assert {file.name for file in (tmp_path / "run").iterdir()} <= {"config.json", "provenance.json", ".lock"}


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.write_text("kept")
    RunFolder.open(folder, {}, resume=False)
    for name in ("results.json", "results.json.part"):
        (folder / name).symlink_to(outside)
    with RunFolder.open(folder, {}, resume=True) as run:
        run.finish({"metrics": {}})
    assert outside.read_text() == "kept"
    assert not run.results_path.is_symlink()
    (folder / "metrics.jsonl").symlink_to(outside)
    with pytest.raises(OSError, match=r"metrics.jsonl"):
        append_line(folder / "metrics.jsonl", {"epoch": 1})
    assert outside.read_text() == "kept"


def test_what_a_killed_process_left_is_removed(tmp_path):
    RunFolder.open(tmp_path, {}, resume=False)
    (tmp_path / "model.safetensors.123-0a1b2c3d.part").write_bytes(b"half")
    for folder in ("figures", "final"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "errors.png.123-0a1b2c3d.part").write_bytes(b"half")
    (tmp_path / "final" / ".lock").touch()  # a run of its own
    RunFolder.open(tmp_path, {}, resume=True)
    assert [path.parent.name for path in tmp_path.rglob("*.part")] == ["final"]


WRONG = {"null": "null", "a list": "[3]", "an object": "{}", "NaN": '{"epochs": NaN}', "brackets": "[" * 100_000}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", ["config.json", "provenance.json"])
def test_files_of_a_run_that_are_wrong_are_named(tmp_path, name, text):
    RunFolder.open(tmp_path, {"epochs": 3}, resume=False)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        RunFolder.open(tmp_path, {"epochs": 3}, resume=True)
    assert str(tmp_path) in str(error.value)


def finished(path):
    with RunFolder.open(path, {}, resume=False) as folder:
        write_lines(path / "metrics.jsonl", [{"epoch": 1, "loss": 0.5}])
        (path / "model.safetensors").write_bytes(b"weights")
        folder.finish({"metrics": {"error": 0.25}})
    return folder


def test_a_finished_run_has_the_checksums_of_its_files(tmp_path):
    assert finished(tmp_path).finished_results() == {"metrics": {"error": 0.25}}
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(".")]  # the lock is gone
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert checked.stdout.splitlines() == [f"{n}: OK" for n in ("metrics.jsonl", "model.safetensors", "results.json")]


@pytest.mark.parametrize("name", ["results.json", "metrics.jsonl", "model.safetensors", "SHA256SUMS"])
@pytest.mark.parametrize("damage", [lambda content: content[:-2], lambda content: b"1" + content[1:], lambda _: b""])
def test_a_finished_run_with_a_damaged_file_is_refused(tmp_path, name, damage):
    folder = finished(tmp_path)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(InputError, match=rf"({name}|metrics.jsonl) is damaged.*; delete .* to do this run again"):
        folder.finished_results()


def test_a_finished_run_without_its_model_is_refused(tmp_path):
    folder = finished(tmp_path)
    folder.model_path.unlink()
    with pytest.raises(InputError, match=r"model.safetensors: there is no such file; delete .* to do this run again"):
        folder.finished_results()


@pytest.mark.parametrize(
    "text", [*WRONG.values(), '{"metrics": 3}', '{"metrics": {"error": "0.25"}}', '{"metrics": {"e": 1e999}}']
)
def test_wrong_results_of_a_run_without_checksums_are_refused(tmp_path, text):
    folder = finished(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    assert folder.finished_results() == {"metrics": {"error": 0.25}}
    folder.results_path.write_text(text)
    with pytest.raises(InputError, match=r"results\.json"):
        folder.finished_results()


def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path):
    RunFolder.open(tmp_path, {}, resume=False)
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(InputError, match=r"config.json is a pipe or a device; give the name of a regular file"):
        RunFolder.open(tmp_path, {}, resume=True)


def test_a_name_that_is_not_utf_8_is_refused_at_the_start(tmp_path):
    with pytest.raises(InputError, match=r"`out` .*\\udcff' is not UTF-8; give another name"):
        RunFolder.open(tmp_path / "a\udcff", {}, resume=False)
    assert not list(tmp_path.iterdir())
