"""The structural formula of a molecule as a picture that a page with a strict content policy can show."""

from __future__ import annotations

import functools
import re
from typing import Any

from .properties import rdkit

SIZE = (260, 190)  # units of the picture


@functools.lru_cache(maxsize=512)
def formula(smiles: str) -> str | None:
    """Return the structural formula as SVG without `style` attributes; None if RDKit cannot parse the SMILES."""
    molecule = rdkit().MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DSVG(*SIZE)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    text = drawer.GetDrawingText()
    return re.sub(r"style='([^']*)'", lambda found: _attributes(found[1]), text[text.index("<svg") :])


def _attributes(style: str) -> str:
    """Return declarations of a style as attributes of SVG."""
    pairs = (declaration.split(":", 1) for declaration in style.split(";") if ":" in declaration)
    return " ".join(f"{name.strip()}='{value.strip()}'" for name, value in pairs)
