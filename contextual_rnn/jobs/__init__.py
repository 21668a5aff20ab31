"""Jobs: models of the user's own data, one folder each."""
