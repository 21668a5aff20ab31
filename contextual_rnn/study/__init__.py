"""Training: a module, a loss, a folder. Nothing here knows a model or a task."""
