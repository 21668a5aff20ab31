"""`python -m contextual_rnn`, the command line."""

from .cli import main

main()
