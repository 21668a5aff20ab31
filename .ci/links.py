"""Check the documentation's links to other sites with Sphinx; without a network, say so in one sentence."""

import pathlib
import re
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def hosts() -> list[str]:
    """Return the hosts that the documents link to."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    return sorted(set(re.findall(r"\]\(https?://([^/)]+)", text)))


def answers(host: str) -> bool:
    """Return whether a host accepts a connection."""
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True


if not any(map(answers, hosts())):
    sys.exit(
        f"There is no network: none of {', '.join(hosts())} can be reached, so links to other sites were not checked. "
        "Links between pages are checked by `make docs`."
    )
command = ["--quiet", "--keep-going", "--builder", "linkcheck", ROOT / "docs", ROOT / "build" / "links"]
sys.exit(subprocess.run([sys.executable, "-m", "sphinx", *command], check=False).returncode)
