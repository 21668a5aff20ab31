"""The directive `notebook`, which shows the cells of a Jupyter notebook, without outputs."""

import json
import pathlib

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class Notebook(SphinxDirective):
    """Show a notebook, whose path is relative to the page; its first line, the title, is left out."""

    required_arguments = 1

    def run(self):
        """Return a node for each cell."""
        page = pathlib.Path(self.env.doc2path(self.env.docname))
        path = (page.parent / self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        found = []
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "code":
                found.append(nodes.literal_block(text, text, language="python"))
            else:
                lines = text.splitlines()
                shown, part = lines[1:] if lines[0].startswith("# ") else lines, nodes.container()
                self.state.nested_parse(StringList(shown, str(path)), 0, part)
                found += part.children
        return found


def setup(app):
    """Register the directive."""
    app.add_directive("notebook", Notebook)
    return {"parallel_read_safe": True}
