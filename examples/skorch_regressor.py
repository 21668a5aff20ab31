"""Fit a network that starts from context with skorch, as a scikit-learn estimator, and search its width."""

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetRegressor
from skorch.helper import SliceDict
from torch import nn

from contextual_rnn import MLP, ContextState, ContextualRNN


class Regressor(nn.Module):
    """From inputs x (B, T, 1) and a context (B, 1) to targets (B, T)."""

    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        core = nn.LSTM(1, hidden, batch_first=True)
        self.rnn, self.linear = ContextualRNN(core, ContextState(core, MLP(1, [8]))), nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        output, _ = self.rnn(x, context)
        return self.linear(output).squeeze(2)


def main() -> None:
    torch.manual_seed(0)
    context = np.linspace(0.5, 2.0, 24, dtype=np.float32).reshape(24, 1)
    x = np.zeros((24, 10, 1), dtype=np.float32)  # nothing but the context tells the series apart
    y = context * 0.8 ** np.arange(10, dtype=np.float32)
    columns = SliceDict(x=x, context=context)
    net = NeuralNetRegressor(Regressor, max_epochs=60, lr=0.02, optimizer=torch.optim.Adam, train_split=None, verbose=0)
    net.fit(columns, y)
    print(f"mean squared error: {np.square(net.predict(columns) - y).mean():.4f} of a variance of {y.var():.4f}")
    search = GridSearchCV(net, {"module__hidden": [4, 8]}, cv=2, scoring="neg_mean_squared_error")
    search.fit(columns, y)
    print("best:", search.best_params_)


if __name__ == "__main__":
    main()
