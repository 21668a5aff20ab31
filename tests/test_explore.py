"""The page to explore a model: what its server answers, and to whom."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys

import pytest
from explored_runs import generation_run

from contextual_rnn import load
from contextual_rnn._core import extras
from contextual_rnn.cli import main
from contextual_rnn.errors import InputError
from contextual_rnn.explore.asked import Asked
from contextual_rnn.explore.explorable import Explorable
from contextual_rnn.explore.explored import open_run
from contextual_rnn.explore.server import serve
from contextual_rnn.explore.states import zeros
from contextual_rnn.jobs.generation.frames import context_vectors

CONTEXT = {"period": 9.0, "material": "steel"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return generation_run(tmp_path_factory.mktemp("generation"))


@pytest.fixture(scope="module")
def running(run):
    with served(run) as running:
        yield running


@contextlib.contextmanager
def served(run, data=None):
    explored = open_run(run, Explorable, data)
    with serve(type(explored.first).page(explored)) as running:
        yield running


def request(running, path, method="GET", body=None, **headers):
    """The status, the headers and the text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", int(running.url.rpartition(":")[2]), timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def call(running, name, values, **headers):
    body = values if isinstance(values, (str, bytes)) else json.dumps(values)
    headers = {"content_type": "application/json", **headers}
    status, _, text = request(running, f"/api/{name}", "POST", body, **headers)
    return status, json.loads(text)


def test_the_page_and_its_files_come_from_the_server_alone(running):
    status, headers, text = request(running, "/")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "http://" not in text
    assert "https://" not in text
    for file in ("page.js", "generation.js", "style.css"):
        assert request(running, f"/static/{file}")[0] == 200
    status, _, text = request(running, "/static/../server.py")
    assert status == 404
    assert json.loads(text)["error"]


def test_other_hosts_and_origins_are_refused(running):
    port = running.url.rpartition(":")[2]
    for headers in (
        {"host": "example.org"},
        {"host": f"example.org:{port}"},
        {"host": "127.0.0.1"},
        {"origin": "http://example.org"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{port}"},
        {"sec_fetch_site": "cross-site"},
    ):
        for path in ("/", "/api/page", "/static/page.js"):
            status, _, text = request(running, path, **headers)
            assert status == 403, headers
            assert "only" in json.loads(text)["error"]
    assert request(running, "/", host=f"localhost:{port}", origin=f"http://localhost:{port}")[0] == 200
    assert call(running, "sample", {"context": CONTEXT}, origin="http://example.org")[0] == 403


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "must be an object of JSON"),
        ({"context": [1]}, "context must be an object"),
        ({"context": {"period": 9.0}}, "needs a value of every context column: give material"),
        ({"context": {"period": "long", "material": "steel"}}, "'long' is text"),
        ({"context": {"period": 9.0, "material": "stone"}}, "no label 'stone'"),
        ({"context": {**CONTEXT, "colour": 1}}, "no context column 'colour'"),
        ({"context": CONTEXT, "n": 0}, "n must be an integer from 1 to 500"),
        ({"context": CONTEXT, "n": True}, "n must be an integer"),
        ({"context": CONTEXT, "steps": 10**9}, "steps must be an integer"),
        ({"context": CONTEXT, "temperature": -1}, "temperature must be a number from 0 to 5"),
        ({"context": CONTEXT, "seed": 0.5}, "seed must be an integer"),
        ({"context": CONTEXT, "place": [1]}, "place must be 2 finite numbers"),
        ({"context": CONTEXT, "place": ["a", 1]}, "place must be 2 finite numbers"),
        ('{"context": {}, "place": [NaN, 1]}', "place must be 2 finite numbers"),
        ({"context": CONTEXT, "zero": 1}, "zero must be true or false"),
        ({"context": CONTEXT, "model": "none"}, "model must be"),
        ({"context": CONTEXT, "model": 3}, "model must be a text"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_bad_input_gets_one_sentence(running, values, words):
    if isinstance(values, str) and "NaN" in values:
        values = values.replace("{}", json.dumps(CONTEXT))
    status, found = call(running, "sample", values)
    assert status == 400
    assert words in found["error"]
    assert "Traceback" not in found["error"]


def test_a_call_that_is_not_there_or_no_json_is_refused(running):
    assert call(running, "predict", {})[0] == 400
    assert call(running, "sample", {}, content_type="text/plain")[0] == 400
    assert call(running, "sample", " " * (1 << 21))[0] == 400
    assert request(running, "/api/sample")[0] == 405
    assert request(running, "/nothing")[0] == 404


def test_a_failure_of_the_model_is_one_sentence_too(running, run, capfd):
    explored = open_run(run, Explorable)
    page = type(explored.first).page(explored)

    def fail(asked):
        raise RuntimeError("it broke")

    page.calls = lambda: {"sample": fail}
    with serve(page) as broken:
        status, found = call(broken, "sample", {})
    assert status == 500
    assert found["error"] == "the model could not answer: it broke"
    assert "Traceback" not in capfd.readouterr().err


def test_a_generator_answers_with_trajectories_bands_and_the_nearest_series(running, run):
    description = json.loads(request(running, "/api/page")[2])
    assert [one["name"] for one in description["fields"]] == ["period", "material"]
    assert description["fields"][0]["low"], description["fields"][0]["high"] == (6, 17)
    assert len(description["maps"]["model"]["places"]) == 12
    assert sum(description["maps"]["model"]["shares"]) <= 1.001
    status, found = call(running, "sample", {"context": CONTEXT, "n": 7, "steps": 15, "zero": True})
    assert status == 200
    assert [len(rows) for rows in found["trajectories"]] == [7, 7]
    assert len(found["bands"][0]) == 5
    low, _, median, _, high = (levels[3] for levels in found["bands"][0])
    assert low <= median <= high
    assert found["zero"] != found["bands"]
    model = load(run).eval()
    alone = model.trajectories(context_vectors([CONTEXT], model.fields), 7, 15, state=zeros(model.sequences.rnn))
    assert found["zero"][0][2][0] == pytest.approx(float(alone.elements[:, 0, 0].median()), abs=1e-4)
    assert found["nearest"][0]["context"] == {"period": "9.0", "material": "steel"}
    table = load(run).sample(CONTEXT, n=7, steps=15)
    first = table.filter(table["id"] == "sample-0")["x"].to_list()
    assert found["trajectories"][0][0] == pytest.approx(first, abs=1e-4)


def test_the_first_call_of_a_page_can_be_answered(run):
    explored = open_run(run, Explorable)
    page = explored.first.page(explored)
    assert page.answer(page.first[0], Asked(page.first[1]))["trajectories"]


def test_a_place_of_the_map_is_an_h0(running):
    """At the place of a context, the mode is that of the context, if two components hold all of h0's variance."""
    asked = {"context": CONTEXT, "n": 1, "steps": 10, "temperature": 0}
    _, found = call(running, "sample", asked)
    _, there = call(running, "sample", {**asked, "place": found["here"]})
    _, elsewhere = call(running, "sample", {**asked, "place": [found["here"][0] + 3, found["here"][1]]})
    assert there["nearest"] == []

    def distance(other):
        pairs = zip(found["trajectories"][0][0], other["trajectories"][0][0], strict=False)
        return max(abs(one - two) for one, two in pairs)

    assert distance(there) < distance(elsewhere)


def test_a_value_outside_the_training_range_is_remarked(running):
    status, found = call(running, "sample", {"context": {**CONTEXT, "period": 40}, "n": 1})
    assert status == 200
    assert "outside the range of the training table" in found["remarks"][0]


def test_a_training_table_that_is_gone_or_changed_is_named(run, tmp_path):
    table = run.parent / "swings.csv"
    content = table.read_text()
    try:
        table.write_text(content.replace("steel", "brass"))
        page = open_run(run, Explorable).first.page(open_run(run, Explorable))
        assert "has changed since" in page.describe()["training"]
        table.unlink()
        page = open_run(run, Explorable).first.page(open_run(run, Explorable))
        assert "is not there any more" in page.describe()["training"]
        assert "drawn at random" in page.describe()["maps"]["model"]["whose"]
    finally:
        table.write_text(content)
    other = tmp_path / "other.csv"
    other.write_text(content)
    explored = open_run(run, Explorable, other)
    assert "given as data" in explored.first.page(explored).describe()["training"]


def test_a_model_in_python_serves_its_page_until_it_is_closed(run):
    with load(run).explore() as running:
        assert request(running, "/")[0] == 200
        assert str(running).startswith("The page is at http://127.0.0.1:")
    with pytest.raises(ConnectionError):
        request(running, "/")


def test_a_port_that_is_taken_is_one_sentence(run, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as ended:
            main(["explore", str(run), "--port", str(port)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"contextual-rnn: --port {port} cannot be used")
    assert said.count("\n") == 1
    with pytest.raises(InputError, match="at most 65535"):
        load(run).explore(port=70000)


@pytest.mark.parametrize("kind", ["nothing", "empty", "foreign", "damaged", "unfinished", "no model", "library"])
def test_a_broken_run_folder_is_one_sentence(kind, run, tmp_path, capsys):
    folder = tmp_path / "run"
    if kind != "nothing":
        folder.mkdir()
    if kind == "foreign":
        (folder / "notes.txt").write_text("hello")
    if kind == "damaged":
        (folder / "config.json").write_text((run / "config.json").read_text())
        (folder / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-40])
    if kind in ("unfinished", "no model"):
        (folder / "config.json").write_text((run / "config.json").read_text())
    if kind == "no model":
        (folder / "results.json").write_text("{}")
    if kind == "library":
        from torch import nn

        from contextual_rnn import ConstantState, ContextualRNN

        core = nn.GRU(1, 2, batch_first=True)
        ContextualRNN(core, ConstantState(core)).save(folder / "model.safetensors")
    with pytest.raises(SystemExit) as ended:
        main(["explore", str(folder)])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("contextual-rnn: ")
    assert said.count("\n") == 1
    assert str(folder) in said


def test_a_missing_extra_names_the_line_that_installs_it(run, capsys, monkeypatch):
    known = extras.is_installed
    monkeypatch.setattr(extras, "is_installed", lambda name: name != "uvicorn" and known(name))
    with pytest.raises(SystemExit) as ended:
        main(["explore", str(run)])
    assert ended.value.code == 2
    assert "needs uvicorn, not installed here: run pip install 'contextual-rnn[explore]'" in capsys.readouterr().err


def test_the_command_serves_until_it_is_interrupted(run):
    command = [sys.executable, "-m", "contextual_rnn", "explore", str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        url = line.split()[4].rstrip(",")
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/api/page")
            assert json.loads(connection.getresponse().read())["job"] == "Generate series"
        process.send_signal(2)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == ""
