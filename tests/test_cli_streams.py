"""Standard output and standard error that are closed, full, or replaced by the caller."""

import os
import subprocess
import sys

import pytest

from contextual_rnn.cli import main

# Loads the packages once, and forks for each case, which ends as any program does.
PROGRAM = """
import os, sys
from contextual_rnn.cli import main

def closed():
    read, write = os.pipe()
    os.close(read)
    return write

for case in sys.argv[1:]:
    argument, kind, stream = case.split()
    child = os.fork()
    if not child:
        os.dup2(closed() if kind == "closed" else os.open("/dev/full", os.O_WRONLY), int(stream))
        main([argument])
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def ended():
    """The exit code of every case, and what all of them say."""
    full = ["--version full 1", "whatever full 2"] if os.path.exists("/dev/full") else []
    cases = ["--version closed 1", "whatever closed 2", *full]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *cases], text=True, check=True, capture_output=True)
    return dict(zip(cases, map(int, done.stdout.split()), strict=True)), done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_standard_output_is_reported(ended):
    codes, said = ended
    assert codes["--version full 1"] == 2
    assert said == "contextual-rnn: the system refused: [Errno 28] No space left on device\n"  # by this case alone


def test_a_closed_standard_output_is_no_error(ended):
    assert ended[0]["--version closed 1"] == 0


def test_a_full_or_closed_standard_error_leaves_the_exit_code(ended):
    codes = [code for case, code in ended[0].items() if case.startswith("whatever")]
    assert codes == [2] * (len(ended[0]) // 2)


def test_closed_streams_are_no_obstacle(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    main(["--version"])
    with pytest.raises(SystemExit):
        main(["whatever"])
    sys.stdout.close()
    sys.stderr.close()


def test_an_argument_that_is_not_utf_8_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "series", "--out", "a\udcff"])
    assert (
        capsys.readouterr().err == "contextual-rnn: the argument 'a\\udcff' is not UTF-8; rename the file or folder\n"
    )
