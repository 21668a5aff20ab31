"""Associative retrieval (Ba et al. 2016, arXiv 1610.06258; Wenke and Fleming 2019, arXiv 1902.03455)."""

from .reproduce import reproduce
from .table import reproduce_table

COMMANDS = {"reproduce art": reproduce, "reproduce associative-retrieval-table": reproduce_table}
