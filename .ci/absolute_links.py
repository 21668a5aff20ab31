"""Make a README's links to files absolute, as a package index needs them: `absolute_links.py README.md PYPROJECT`.

They are below the address `Repository` of `[project.urls]`. Without one, the README stays as it is.
"""

import pathlib
import re
import sys
import tomllib


def absolute(text: str, repository: str) -> str:
    """Return a Markdown text with links to files below an address; images link to the files themselves."""

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found[1] else "blob"
        return f"{found[1]}[{found[2]}]({repository.rstrip('/')}/{kind}/main/{found[3]})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)", link, text)


def main(readme: pathlib.Path, project: pathlib.Path) -> None:
    """Write the README with absolute links."""
    address = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["urls"].get("Repository")
    if address is None:
        print("[project.urls] has no Repository: the README's links to files stay relative.")
        return
    readme.write_text(absolute(readme.read_text(encoding="utf-8"), address), encoding="utf-8")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
