"""A page on the loopback interface that shows what the initial state of a trained model does."""
