"""Published files: taken from the folder of the user, or downloaded once, checked, and kept."""

import dataclasses
import functools
import hashlib
import http.server
import threading

import pytest

from contextual_rnn import cli
from contextual_rnn.data import published
from contextual_rnn.data.published import PublishedFile, find
from contextual_rnn.errors import InputError

TEXT = b"1,2,3\n"


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A file on a server on loopback, which counts requests; the cache is in the test's own folder."""
    monkeypatch.delenv(published.VARIABLE, raising=False)
    monkeypatch.setattr(published.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "numbers.csv").write_bytes(TEXT)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/numbers.csv"
        yield PublishedFile("set/numbers.csv", url, hashlib.sha256(TEXT).hexdigest()), asked
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_once(served):
    file, asked = served
    assert find(file).read_bytes() == TEXT
    assert find(file).read_bytes() == TEXT
    assert len(asked) == 1


def test_a_file_in_the_folder_is_not_downloaded(served, tmp_path, monkeypatch):
    file, asked = served
    here = tmp_path / "data" / "set"
    here.mkdir(parents=True)
    (here / "numbers.csv").write_bytes(TEXT)
    assert find(file, tmp_path / "data") == here / "numbers.csv"
    assert find(file, here) == here / "numbers.csv"
    monkeypatch.setenv(published.VARIABLE, str(tmp_path / "data"))
    assert find(file) == here / "numbers.csv"
    assert not asked


def test_another_file_under_its_name_is_refused_and_not_kept(served, tmp_path):
    file, _ = served
    other = dataclasses.replace(file, sha256="0" * 64)
    with pytest.raises(InputError, match="is not the published file"):
        find(other)
    assert not list((tmp_path / "cache").rglob("*.csv"))


def test_a_missing_file_and_a_failed_download_are_refused(served, tmp_path):
    file, _ = served
    with pytest.raises(InputError, match=r"holds no set/numbers\.csv"):
        find(file, tmp_path)
    missing = dataclasses.replace(file, url=file.url + ".gone")
    with pytest.raises(InputError, match=r"could not be downloaded.*`data`"):
        find(missing)


def test_the_command_line_reproduces_a_paper(tmp_path, capsys):
    out = tmp_path / "table"
    command = "reproduce associative-retrieval-table --smoke --cells lstm --sizes 4 5 --seeds 1 --jobs 1 --finalists 1"
    cli.main([*command.split(), "--learning-rates", "0.002", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "lstm   4 " in printed
    assert "lstm   5 " in printed
    assert f"Figures: {out / 'figures'} (test_error.png, learning.png)" in printed


def test_the_command_line_names_options_in_errors(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["reproduce", "pen-digits", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert "holds no pendigits/pendigits.tra: give --data the folder that holds it" in capsys.readouterr().err
