"""Initial states: h0 as a constant, a free variable, a function of context, or a distribution.

The equations are those of Wenke and Fleming, "Contextual Recurrent Neural Networks" (arXiv 1902.03455): h0 = constant
(2a), h0 = variable (2b), h0 = g(context) (2c), h0 ~ N(g(context), softplus(sigma)) (4).

An initial state keeps the shapes of its core's state and never the core. It is called as

    initial_state(batch_size, context=None, *, sample=None, generator=None) -> state

and a subclass of `InitialState` that answers this call works everywhere in the library.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.nn.functional import softplus

from ._core.examples import example_count
from ._core.noise import TrajectorySeeds, standard_normal, wrapped
from ._core.state import Shapes, State, fill, leaves, map_state, shape_leaves, state_shapes

Generator = torch.Generator | TrajectorySeeds | None


class InitialState(nn.Module):
    """The base of every kind: a function from what is known to the state that a core starts from.

    Args:
        core: the core whose state this is (only its shapes are kept), or the nest of shapes itself.
    """

    def __init__(self, core: Any) -> None:
        super().__init__()
        self.shapes: Shapes = state_shapes(core)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the state to start from.

        Args:
            batch_size: B.
            context: what is known, B rows; kinds that use none take it and leave it, so that they can be exchanged.
            sample: whether to draw noise, where the kind has any; None means in training only.
            generator: where noise comes from: a `torch.Generator`, or `TrajectorySeeds` for noise that does not depend
                on how trajectories fall into batches; None is torch's global generator.

        Returns:
            A state, (B, *shape) for every shape in `self.shapes`.
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Show the shapes."""
        return f"shapes={self.shapes}"


class ConstantState(InitialState):
    """h0 = constant (2a).

    Args:
        core: the core, or its shapes.
        value: a number for the whole state, or a state of one example (a nest of tensors shaped like `self.shapes`).

    Raises:
        ValueError: a tensor of `value` has another shape than the state.
    """

    def __init__(self, core: Any, value: float | State = 0.0) -> None:
        super().__init__(core)
        self.constant = BufferTree(self.shapes, value)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the constant, tiled: (B, *shape) for every shape."""
        return _tile(fill(self.shapes, self.constant.buffers()), batch_size)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again; its value comes back with the weights."""
        return {"core": self.shapes}


class FreeState(InitialState):
    """h0 = variable (2b): one learned state, tiled over the batch, with optional noise on each copy.

    Args:
        core: the core, or its shapes.
        noise: the standard deviation of the noise added to every copy when sampling, in the units of the state.

    Attributes:
        variable: the learned state, a parameter of `shape` for every shape; starts at zero.

    Raises:
        ValueError: `noise` is negative.
    """

    def __init__(self, core: Any, noise: float = 0.0) -> None:
        super().__init__(core)
        if noise < 0:
            raise ValueError(f"noise is a standard deviation and cannot be negative; found {noise}")
        self.noise = noise
        self.variable = nn.ParameterList(torch.zeros(shape) for shape in shape_leaves(self.shapes))

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the variable, tiled, each copy with its own noise if sampling: (B, *shape) for every shape."""
        state = _tile(fill(self.shapes, iter(self.variable)), batch_size)
        if not self.noise or not _sampling(self, sample):
            return state
        noise = standard_normal(self.shapes, batch_size, next(leaves(state)), generator)
        return map_state(lambda mean, unit: mean + self.noise * unit, state, noise)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"core": self.shapes, "noise": self.noise}


class ContextState(InitialState):
    """h0 = g(context) (2c): a network of the context, then a linear map of its own for every leaf and layer.

    h_l = activation(W_l g(context) + b_l) for every layer of every leaf, so that h and c are never forced equal.

    Args:
        core: the core, or its shapes.
        network: g, any module from a context of B rows to (B, features).
        features: the width of what g returns; None takes `network.out_features` (`MLP` has it), or that of the last
            layer of an `nn.Sequential` that has one.
        activation: an element-wise module after the maps; None leaves them linear.

    Raises:
        ValueError: `features` is not given and the network does not tell; or, when called, there is no context, or
            what g returns is not (B, features).
    """

    def __init__(
        self, core: Any, network: nn.Module, features: int | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__(core)
        self.network = network
        self.features = features or _out_features(network)
        self.activation = activation
        self.maps = LeafMaps(self.shapes, self.features)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return g(context), mapped to the state: (B, *shape) for every shape."""
        features = _read_context(self.network, context, batch_size, self.features)
        state = self.maps(features)
        return state if self.activation is None else map_state(self.activation, state)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {
            "core": self.shapes,
            "network": self.network,
            "features": self.features,
            "activation": self.activation,
        }


class GaussianState(InitialState):
    """h0 ~ N(base, softplus(sigma)) (4), reparameterised: base + softplus(sigma) * noise.

    It samples in training and returns the mode, which is the base's state, in evaluation unless asked to sample.

    Args:
        base: the initial state that gives the mean.
        scale: the standard deviation that softplus(sigma) starts at, sigma being a free variable for every unit of the
            state (the paper's); or a network of the context, followed by a linear map for every leaf and layer.
        features: the width of what that network returns, as for `ContextState`.

    Raises:
        ValueError: `scale` is not positive.
    """

    def __init__(self, base: InitialState, scale: float | nn.Module = 0.25, features: int | None = None) -> None:
        super().__init__(base.shapes)
        self.base = base
        self.network = scale if isinstance(scale, nn.Module) else None
        start = 0.25 if isinstance(scale, nn.Module) else scale
        if start <= 0:
            raise ValueError(f"scale is a standard deviation and must be positive; found {start}")
        sigma = start + math.log(-math.expm1(-start))  # softplus(sigma) = start
        if self.network is None:
            self.sigma = nn.ParameterList(torch.full(shape, sigma) for shape in shape_leaves(self.shapes))
        else:
            self.features = features or _out_features(self.network)
            self.maps = LeafMaps(self.shapes, self.features, bias=sigma)

    def distribution(self, batch_size: int, context: Any = None) -> Any:
        """Return the distribution of h0: a nest of `Independent` normals, each of batch B and event `shape`.

        Its mean is the base's mode: noise that the base itself may have is no part of it.
        """
        mean = self.base(batch_size, context, sample=False)
        return map_state(
            lambda loc, scale: Independent(Normal(loc, scale), loc.dim() - 1), mean, self._scale(batch_size, context)
        )

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return a sample, or the mode: (B, *shape) for every shape."""
        sampling = _sampling(self, sample)
        mean = self.base(batch_size, context, sample=sampling, generator=wrapped(generator))
        if not sampling:
            return mean
        noise = standard_normal(self.shapes, batch_size, next(leaves(mean)), generator)
        scale = self._scale(batch_size, context)
        return map_state(torch.addcmul, mean, scale, noise)

    def _scale(self, batch_size: int, context: Any) -> State:
        if self.network is None:
            return _tile(map_state(softplus, fill(self.shapes, iter(self.sigma))), batch_size)
        return map_state(softplus, self.maps(_read_context(self.network, context, batch_size, self.features)))

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again; a scale that is a number comes back with the weights."""
        if self.network is None:
            return {"base": self.base}
        return {"base": self.base, "scale": self.network, "features": self.features}


class LatentState(InitialState):
    """h0 = g(z, context), z ~ N(mu(context), sigma(context)): a distribution over h0 of a few dimensions.

    The units of a `GaussianState` vary each for itself, as (4) has it; here they vary together, as z does.

    Args:
        prior: p(z | context), a `GaussianState` of one leaf (K,), such as
            `GaussianState(ContextState((K,), network), scale)`.
        state: g, an initial state of the core, whose context is z (B, K), or z and what of the context is read.
        told: from the context to a vector (B, F) that g reads beside z; None: g reads z alone.
    """

    def __init__(self, prior: GaussianState, state: InitialState, told: nn.Module | None = None) -> None:
        super().__init__(state.shapes)
        self.prior, self.state, self.told = prior, state, told

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return g of a sample of z, or of its mode: (B, *shape) for every shape."""
        sampling = _sampling(self, sample)
        z = self.prior(batch_size, context, sample=sampling, generator=generator)
        return self.of(z, context, sample=sampling, generator=wrapped(wrapped(generator)))  # past the prior's streams

    def of(self, z: Tensor, context: Any = None, *, sample: bool | None = None, generator: Generator = None) -> State:
        """Return the state of z (B, K); `sample` and `generator` are of the noise that g itself may have."""
        joined = z if self.told is None else torch.cat([z, self.told(context)], dim=1)
        return self.state(len(z), joined, sample=sample, generator=generator)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"prior": self.prior, "state": self.state, "told": self.told}


class ErrorNoise(InitialState):
    """Noise on a base state in proportion to the error back-propagated to it (Zimmermann et al., the paper's [5]).

    The network is made insensitive to the part of h0 that it cannot know: in training, unit i of the state gets normal
    noise of standard deviation rate * r_i, where r_i is the root of a running mean of the squared gradient of each
    example's loss with respect to that unit. The noise is zero until the first backward pass, and in evaluation.

    Args:
        base: the initial state that the noise is added to.
        rate: the proportion, in units of state per unit of gradient.
        decay: how much of the running mean each backward pass keeps, in [0, 1).

    The gradient of one example is taken to be B times that of the batch, which holds for a loss that is a mean over
    the batch, and is not scaled (as `torch.amp.GradScaler` does). A gradient that is not finite is left out.

    Raises:
        ValueError: `rate` is negative or `decay` outside [0, 1).
    """

    def __init__(self, base: InitialState, rate: float = 1.0, decay: float = 0.9) -> None:
        super().__init__(base.shapes)
        if rate < 0 or not 0 <= decay < 1:
            raise ValueError(f"rate must be at least 0 and decay in [0, 1); found rate={rate}, decay={decay}")
        self.base, self.rate, self.decay = base, rate, decay
        self.squared_error = BufferTree(self.shapes, 0.0)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the base's state, with noise if sampling: (B, *shape) for every shape."""
        sampling = _sampling(self, sample)
        state = self.base(batch_size, context, sample=sampling, generator=wrapped(generator))
        if sampling:
            noise = standard_normal(self.shapes, batch_size, next(leaves(state)), generator)
            squares = fill(self.shapes, self.squared_error.buffers())
            state = map_state(lambda mean, unit, square: mean + self.rate * square.sqrt() * unit, state, noise, squares)
        watching = self.training and torch.is_grad_enabled()
        return self._watched(state, example_count(batch_size)) if watching else state

    def _watched(self, state: State, examples: int) -> State:
        """Have every backward pass through `state` update the running mean of the squared error."""

        def watch(leaf: Tensor, square: Tensor) -> Tensor:
            # A view, so that the hook sees this leaf alone and goes when this pass is over.
            leaf = leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().clone().requires_grad_()

            def update(gradient: Tensor) -> None:
                if len(gradient):
                    error = (gradient.detach().to(square) * examples).square().mean(dim=0)
                    mean = self.decay * square + (1 - self.decay) * error
                    square.copy_(mean.where(mean.isfinite().all(), square))

            leaf.register_hook(update)
            return leaf

        return map_state(watch, state, fill(self.shapes, self.squared_error.buffers()))

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"base": self.base, "rate": self.rate, "decay": self.decay}


class LeafMaps(nn.ModuleList):
    """A linear map for every leaf and layer of a state: (B, features) -> a state.

    The maps of a leaf's layers are the blocks of rows of one matrix.
    """

    def __init__(self, shapes: Shapes, features: int, bias: float | None = None) -> None:
        super().__init__(nn.Linear(features, math.prod(shape)) for shape in shape_leaves(shapes))
        self.shapes = shapes
        if bias is not None:
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    nn.init.constant_(parameter, bias)

    def forward(self, features: Tensor) -> State:
        """Return the state: (B, *shape) for every shape."""
        sized = zip(self, shape_leaves(self.shapes), strict=True)
        return fill(self.shapes, (linear(features).reshape(features.shape[0], *shape) for linear, shape in sized))


class BufferTree(nn.Module):
    """Buffers in the shapes of one example's state, which follow `.to()` and are saved."""

    def __init__(self, shapes: Shapes, value: float | State) -> None:
        super().__init__()
        wanted = list(shape_leaves(shapes))
        if isinstance(value, (int, float)):
            tensors = [torch.full(shape, float(value)) for shape in wanted]
        else:
            tensors = [leaf.detach().clone() for leaf in leaves(value)]
            tensors = [leaf if leaf.is_floating_point() else leaf.to(torch.get_default_dtype()) for leaf in tensors]
        found = [tuple(tensor.shape) for tensor in tensors]
        if found != wanted:
            raise ValueError(f"value has shapes {found} where the state of one example has {wanted}")
        for index, tensor in enumerate(tensors):
            self.register_buffer(str(index), tensor)


def _tile(state: State, batch_size: int) -> State:
    """Return a state for every row; that of a single row is a copy, since what is written to it would be kept."""
    tiled = map_state(lambda leaf: leaf.expand(batch_size, *leaf.shape), state)
    return map_state(torch.clone, tiled) if batch_size == 1 else tiled


def _sampling(module: nn.Module, sample: bool | None) -> bool:
    return module.training if sample is None else sample


def _out_features(network: nn.Module) -> int:
    layers = [network, *reversed(network)] if isinstance(network, nn.Sequential) else [network]
    for layer in layers:
        width = getattr(layer, "out_features", None)
        if isinstance(width, int):
            return width
    raise ValueError(
        f"the width of what {type(network).__name__} returns is not known: give features=, or the network an "
        "attribute out_features"
    )


def _read_context(network: nn.Module, context: Any, batch_size: int, features: int) -> Tensor:
    """Return the network's features (B, F) of the context, or raise ValueError if they are not that."""
    if context is None:
        raise ValueError("this initial state is a function of context and none was given: call rnn(x, context)")
    found = network(context)
    if tuple(found.shape) != (batch_size, features):
        raise ValueError(
            f"the context network returned shape {tuple(found.shape)} where (batch, features) = "
            f"{(batch_size, features)} is right: does the context have one row for each of the {batch_size} sequences?"
        )
    return found
