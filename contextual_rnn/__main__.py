"""`python -m contextual_rnn` is the command line."""

from .cli import main

main()
