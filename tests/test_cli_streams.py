"""Standard output and standard error that are closed, full, or replaced by the caller."""

import os
import subprocess
import sys

import pytest

from contextual_rnn.cli import main


def run(*arguments, **more):
    code = "import sys; from contextual_rnn.cli import main; main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", code, *arguments], text=True, check=False, **more)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_standard_output_is_reported():
    with open("/dev/full", "w") as full:
        ended = run("--version", stdout=full, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (
        2,
        "contextual-rnn: the system refused: [Errno 28] No space left on device\n",
    )


def test_a_closed_standard_output_is_no_error():
    read, write_end = os.pipe()
    os.close(read)
    with os.fdopen(write_end, "w") as pipe:
        ended = run("--version", stdout=pipe, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_closed_streams_are_no_obstacle(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    main(["--version"])
    with pytest.raises(SystemExit):
        main(["whatever"])
    sys.stdout.close()
    sys.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_or_closed_standard_error_leaves_the_exit_code():
    read, write_end = os.pipe()
    os.close(read)
    with os.fdopen(write_end, "w") as pipe, open("/dev/full", "w") as full:
        for stream in (pipe, full):
            assert run("whatever", stdout=subprocess.DEVNULL, stderr=stream).returncode == 2


def test_an_argument_that_is_not_utf_8_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "series", "--out", "a\udcff"])
    assert (
        capsys.readouterr().err == "contextual-rnn: the argument 'a\\udcff' is not UTF-8; rename the file or folder\n"
    )
