"""Settings of the documentation site, which `make docs` builds."""

import dataclasses
import inspect
import pathlib
import re
import sys

import contextual_rnn

sys.path.insert(0, str(pathlib.Path(__file__).parent / "_ext"))

project = "contextual-rnn"
author = "The contextual-rnn developers"
copyright = author
release = contextual_rnn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "notebook",
]
html_theme = "furo"
html_title = f"contextual-rnn {release}"
html_show_sourcelink = False

# Pages are Markdown, and every heading is a target of links.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# Docstrings are in Google's style, and `name` in them is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"exclude-members": "upgrade, training"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Settings", "params_style")]

# The button copies what a reader types, without the prompt and the output.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

linkcheck_timeout = 20


def setup(app):
    """Register the changes that docstrings and signatures need."""
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", shorten_signature)


def prepare_docstring(app, what, name, obj, options, lines):
    """Add the defaults of settings, show commands as code, and write `*` and `|` as they stand."""
    fields = getattr(obj, "settings", None) if inspect.isfunction(obj) else None
    start = next((at for at, line in enumerate(lines) if line == "Settings:"), len(lines)) if fields else len(lines)
    changed = []
    for at, line in enumerate(lines):
        setting = re.match(r"    (\w+): ", line) if at > start else None
        if setting and setting[1] in fields and fields[setting[1]].default is not dataclasses.MISSING:
            line += f" Default: `{fields[setting[1]].default!r}`."
        if line.strip().startswith("contextual-rnn "):
            indentation = line[: len(line) - len(line.lstrip())]
            changed += [f"{indentation}::", "", f"    {line}"]
        elif line.lstrip().startswith((">>>", "...")):
            changed.append(line)
        else:
            changed.append(re.sub(r"(`[^`]*`)|([*|])", lambda found: found[1] or "\\" + found[2], line))
    lines[:] = changed


def shorten_signature(app, what, name, obj, options, signature, returns):
    """Write `**settings` for the settings of a job, which the docstring lists."""
    if not (inspect.isfunction(obj) and hasattr(obj, "settings")):
        return None
    found = inspect.signature(obj)
    own = [parameter for parameter in found.parameters.values() if parameter.name not in obj.settings]
    own.append(inspect.Parameter("settings", inspect.Parameter.VAR_KEYWORD))
    return str(found.replace(parameters=own, return_annotation=inspect.Signature.empty)).replace("'", ""), returns
