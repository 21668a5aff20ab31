"""`reproduce molecules`: molecules of MOSES written from properties that RDKit computes.

It is in the folder of the job because it trains models of that job, and nothing else.
"""

from .reproduce import reproduce

COMMANDS = {"reproduce molecules": reproduce}
