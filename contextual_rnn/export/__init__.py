"""Export trained models to files that run without this library, and without PyTorch."""
