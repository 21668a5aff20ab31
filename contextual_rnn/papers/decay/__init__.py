"""Linear cosine decay (Wenke and Fleming 2019, arXiv 1902.03455, section 2.2.2)."""

from .reproduce import reproduce

COMMANDS = {"reproduce lcd": reproduce}
