"""Processes that are forked from one which has loaded the large packages, but not this one, so that they start soon."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from multiprocessing import forkserver
from pathlib import Path

PACKAGES = ["torch", "torch.distributed.fsdp", "polars", "matplotlib.pyplot", "rich", "tyro", "distributed"]

context = multiprocessing.get_context("forkserver")


def start():
    """Start the process that others are forked from, unless there is one."""
    context.set_forkserver_preload(PACKAGES)
    forkserver.ensure_running()


def run_program(path, folder, *arguments):
    """Run a program in a folder as `python -W error` does, and return what it said and its exit code."""
    start()
    with tempfile.TemporaryDirectory() as said:
        process = context.Process(target=_execute, args=(path, folder, arguments, said))
        process.start()
        process.join(300)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{path} has not ended within 300 seconds")
        output, error = (Path(said, name).read_text() for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess([path, *arguments], process.exitcode, output, error)


def _execute(path, folder, arguments, said):
    for number, name in enumerate(("stdout", "stderr"), 1):
        os.dup2(os.open(Path(said, name), os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    sys.argv[:] = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    warnings.simplefilter("error")
    runpy.run_path(str(path), run_name="__main__")
