"""Runs on a Dask cluster, and runs shared out among GPUs."""

import contextlib
import os
import pathlib
import signal
import sys
import threading
import time

import pytest
import torch
from tanks import write

from contextual_rnn import InputError
from contextual_rnn._core.gpus import gpus_for, own_gpu, taking_gpu
from contextual_rnn.jobs import series
from contextual_rnn.study import cluster as cluster_module
from contextual_rnn.study.cluster import run_on_cluster
from contextual_rnn.study.parallel import Run, run_all


def test_runs_take_gpus_of_their_own_and_share_them_evenly(tmp_path):
    with taking_gpu(tmp_path, 2, 2) as first, taking_gpu(tmp_path, 2, 2) as second:
        assert (first, second) == (0, 1)
        assert own_gpu() == 1
    with taking_gpu(tmp_path, 2, 2) as again:
        assert again == own_gpu() == 0
    with taking_gpu(tmp_path, 2, 4) as a, taking_gpu(tmp_path, 2, 4) as b, taking_gpu(tmp_path, 2, 4) as c:
        assert (a, b, c) == (0, 1, 0)
    assert own_gpu() == 0


def gpu_of(config, folder):
    time.sleep(0.3)
    return {"gpu": own_gpu(), "process": os.getpid()}


def test_worker_processes_have_gpus_of_their_own(tmp_path):
    runs = [Run(str(number), {}, 1) for number in range(4)]
    found = run_all(runs, gpu_of, tmp_path, resume=False, title="t", gpus=2)
    by_process = {
        result["process"]: {one["gpu"] for one in found if one["process"] == result["process"]} for result in found
    }
    assert {result["gpu"] for result in found} == {0, 1}
    assert len(by_process) == 2


def test_more_gpus_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert (gpus_for("cuda", None), gpus_for("auto", 2), gpus_for("cpu", None)) == (3, 2, 0)
    with pytest.raises(InputError, match="`devices` 4: 3 GPUs are available with `accelerator` cuda"):
        gpus_for("cuda", 4)


@pytest.mark.parametrize("address", ["host:8786", "dask://host", "tcp://host:1"])
def test_an_address_of_another_form_is_refused(tmp_path, address):
    with pytest.raises(
        InputError, match=r"`cluster` must be the address of a Dask scheduler, such as dask://host:8786"
    ):
        list(run_on_cluster(address, [], gpu_of, tmp_path, resume=False, timeout=1))


def test_an_address_that_does_not_answer_is_named_soon(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_module, "CONNECT", 1.0)
    with pytest.raises(InputError, match=r"`cluster` dask://127\.0\.0\.1:9: no Dask scheduler answers there"):
        list(run_on_cluster("dask://127.0.0.1:9", [], gpu_of, tmp_path, resume=False, timeout=1))


SLOW = """
import os, pathlib, time
from contextual_rnn.jobs.series.train import Training

class Slow(Training):
    '''Says which process trains, and takes its time, so that the process can be killed.'''

    def __call__(self, config, folder):
        (pathlib.Path(os.environ["SEEN"]) / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(0.5)
        return super().__call__(config, folder)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler with two workers of one thread; its address, and the folder where workers leave their names."""
    distributed = pytest.importorskip("distributed")
    seen, modules = tmp_path_factory.mktemp("seen"), tmp_path_factory.mktemp("modules")
    (modules / "slow_series.py").write_text(SLOW)
    os.environ["SEEN"] = str(seen)
    paths = os.pathsep.join([str(modules), *sys.path])
    before, os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH"), paths
    sys.path.insert(0, str(modules))
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs=50) as found:
        yield found.scheduler_address.replace("tcp://", "dask://"), seen
    sys.path.remove(str(modules))
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@contextlib.contextmanager
def watching(look):
    """Call a function ten times a second."""
    stop = threading.Event()

    def watch():
        while not stop.wait(0.1):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def without_seconds(value):
    """Return results without the times that runs took."""
    if isinstance(value, dict):
        return {name: without_seconds(one) for name, one in value.items() if name != "seconds"}
    return [without_seconds(one) for one in value] if isinstance(value, list) else value


def test_a_comparison_on_a_cluster_that_loses_a_worker_equals_the_local_one(cluster, tmp_path, monkeypatch):
    import slow_series

    address, seen = cluster
    monkeypatch.setattr(sys.modules["contextual_rnn.jobs.series.compare"], "Training", slow_series.Slow)
    table = write(tmp_path / "a.csv", 3, c=float)
    options = {"inputs": ["u"], "targets": ["y"], "series": "id", "window": 2, "length": 10, "hidden": 4}
    options |= {"epochs": 2, "updates": 3, "batch_size": 4, "seeds": 1, "initial_states": ["zero", "warm-up"]}
    killed = []

    def kill_one():
        started = sorted(seen.iterdir())
        if started and not killed:
            killed.append(int(started[0].name.partition("-")[0]))
            os.kill(killed[0], signal.SIGKILL)

    with watching(kill_one):
        found = series.compare(table, table, cluster=address, out=tmp_path / "there", **options)
    local = series.compare(table, table, jobs=1, out=tmp_path / "here", **options)
    assert killed
    assert not pathlib.Path(f"/proc/{killed[0]}").exists()
    assert len(list(seen.iterdir())) == 2 + 1 + 2  # on the cluster, one run twice; and here
    assert without_seconds(found.results()) == without_seconds(local.results())
    for name in local.models:
        files = [(tmp_path / place / "runs" / name / "model.safetensors").read_bytes() for place in ("here", "there")]
        assert files[0] == files[1]
    resumed = series.compare(table, table, cluster=address, out=tmp_path / "there", resume=True, **options)
    assert resumed.results() == found.results()
    assert len(list(seen.iterdir())) == 5
