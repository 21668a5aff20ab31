"""`reproduce image-context`: two handwritten digits side by side, named one after the other from an image.

The digits are those of scikit-learn, 8 x 8 pixels. The paper (arXiv 1902.03455, section 1) names a coarse image as a
context; here it is the image at half its resolution.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .._core.extras import require
from .._core.module_config import register
from .._core.settings import setting, takes_settings
from ..context import Context, Image
from ..errors import InputError
from ..heads import CategoryHead
from ..initial_state import ConstantState, ContextState
from ..mlp import MLP
from ..recurrent import ContextualRNN
from ..sequence_model import SequenceModel
from ..study.comparison import with_unit
from ..study.metric import SHARE, Metric, Row
from .experiment import Experiment, PaperSettings, compare, fit_and_save, sentences, table, values_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE, DIGITS, LENGTH = 8, 10, 2
NAMES = {
    "none": "h0 zero",
    "coarse": "coarse image in h0",
    "full": "full image in h0",
    "every-step": "coarse image at every step",
}
IMAGES = tuple(NAMES)
FACTORS = ("image",)
ACCURACY = Metric("accuracy", "share of images with both digits correct", "%", higher_is_better=True, bounds=SHARE)


@dataclasses.dataclass(frozen=True)
class Digits:
    """Single digits: `pixels` (N, 8, 8) from 0 to 1, and the `digit` (N,) of each."""

    pixels: Tensor
    digit: Tensor

    @classmethod
    def load(cls) -> Digits:
        """Return the 1797 digits of scikit-learn, in their order; raise InputError if it is not installed."""
        require("digits", "The data set of digits")
        from sklearn.datasets import load_digits

        digits = load_digits()
        return cls(torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target).long())

    def split(self, *sizes: int, seed: int) -> list[Digits]:
        """Return parts of these sizes, drawn without replacement, so that no image is in two of them."""
        order = torch.randperm(len(self.digit), generator=torch.Generator().manual_seed(seed))
        parts = order[: sum(sizes)].split(list(sizes))
        return [Digits(self.pixels[rows], self.digit[rows]) for rows in parts]

    def pairs(self, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw pairs: images (count, 1, 8, 16), and their two digits (count, 2)."""
        rows = torch.randint(len(self.digit), (count, LENGTH), generator=generator)
        return torch.cat([self.pixels[rows[:, 0]], self.pixels[rows[:, 1]]], dim=2).unsqueeze(1), self.digit[rows]


@register
class ReadingModel(nn.Module):
    """An LSTM that names two digits; each step reads the digit named before.

    Args:
        image: one of `IMAGES`: "coarse" and "full" give that image in h0, "every-step" the coarse one at every step.
        hidden: the hidden units of the LSTM.
    """

    def __init__(self, image: str, hidden: int = 128) -> None:
        super().__init__()
        self.image, self.hidden = image, hidden
        field = Image(1, SIDE, LENGTH * SIDE, down=1 if image == "full" else 2)
        network = nn.Sequential(Context(image=field), MLP(field.out_features, [256, 128]))
        always = image == "every-step"
        core = nn.LSTM(DIGITS + (128 if always else 0), hidden, batch_first=True)
        h0 = ContextState(core, network, features=128) if image in ("coarse", "full") else ConstantState(core)
        embedding = nn.Embedding(DIGITS, DIGITS)
        head = CategoryHead(hidden, DIGITS)
        every_step = network if always else None
        self.sequences = SequenceModel(ContextualRNN(core, h0), head, embedding, every_step=every_step)

    def read(self, images: Tensor) -> Tensor:
        """Return the most likely digit, and the most likely one after it, (B, 2), of images (B, 1, 8, 16)."""
        return self.sequences.sample({"image": images}, steps=LENGTH, temperature=0).elements


def loss(model: ReadingModel, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean negative log likelihood of a digit in nats, of images (B, 1, 8, 16) and their digits (B, 2)."""
    images, digits = batch
    return model.sequences.loss(digits, {"image": images})


def accuracy(model: ReadingModel, images: Tensor, digits: Tensor) -> float:
    """Return the percentage of images of which both digits are named correctly."""
    return 100 * float((model.read(images) == digits).all(dim=1).double().mean())


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadingSettings(PaperSettings):
    """The model that names digits, and its training."""

    images: tuple[str, ...] = setting(
        IMAGES, "Which image the model gets, and where.", group="comparison", choices=IMAGES, least=1
    )
    epochs: int = setting(40, "Number of training epochs.", group="training", least=1)
    updates: int = setting(50, "Minibatches per epoch, of pairs drawn anew.", group="training", least=1)
    training_size: int = setting(1000, "Single digits to draw training pairs from.", group="data", least=1)
    validation_size: int = setting(297, "Other digits to draw validation pairs from.", group="data", least=1)
    test_size: int = setting(500, "Other digits to draw test pairs from.", group="data", least=1)
    pairs: int = setting(5000, "Validation pairs, and as many test pairs, which are drawn once.", group="data", least=1)
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    clip: float | None = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if sum(self.sizes) > 1797:
            raise InputError(
                f"`training_size`, `validation_size` and `test_size` add up to {sum(self.sizes)}; there are 1797 digits"
            )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The sizes of the three parts of the digits."""
        return self.training_size, self.validation_size, self.test_size


@takes_settings(ReadingSettings)
def reproduce(
    *,
    out: pathlib.Path,
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> str:
    """Name two handwritten digits of an image that is given in h0, at every step, or not.

    Args:
        out: Run folder to create.
        smoke: Train two epochs, to see that everything runs; the figures mean nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        What was found, in words, and where the files are.

    Raises:
        InputError: a setting is wrong, the folder cannot be used, or scikit-learn is not installed.

    Example:
        contextual-rnn reproduce image-context --out runs/image
    """
    settings = ReadingSettings.of(options | ({"epochs": 2, "pairs": 200} if smoke else {}))
    digits = Digits.load()
    experiment = Experiment.open(out, "{image}", settings, resume=resume, jobs=jobs, cluster=cluster)
    kinds = [{"image": image} for image in settings.images]
    runs = experiment.train(kinds, settings, functools.partial(train, digits), "image context")
    coarse = {"image": "coarse"}
    pairs = [(coarse, kind) for kind in kinds if kind != coarse and coarse in kinds]
    differences = compare(runs, pairs, [ACCURACY])
    verdict = [*table(runs, FACTORS, [ACCURACY]), *sentences(differences, [ACCURACY])]
    last = experiment.model({"image": settings.images[-1], "seed": 0})
    test = digits.split(*settings.sizes, seed=0)[-1]
    draws = {"accuracy": lambda: plot_accuracy(runs), "reading": lambda: plot_reading(last, test)}
    return experiment.finish(runs, FACTORS, differences, verdict, draws, [ACCURACY])


def train(digits: Digits, settings: ReadingSettings, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its accuracies; digits are split, and pairs drawn, anew for every seed."""
    seed = config["seed"]
    training, *others = digits.split(*settings.sizes, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    validation, test = (part.pairs(settings.pairs, generator) for part in others)
    torch.manual_seed(seed)
    model = ReadingModel(config["image"])
    history = fit_and_save(
        model,
        loss,
        lambda: (training.pairs(settings.batch_size) for _ in range(settings.updates)),
        settings,
        seed=seed,
        schedule="cosine",
        evaluate=lambda model: {"validation_accuracy": accuracy(model, *validation)},
        folder=folder,
    )
    last = {"validation_accuracy": history[-1]["validation_accuracy"]}
    return {"metrics": {"accuracy": accuracy(model, *test), **last}}


def plot_accuracy(runs: list[Row]) -> Figure:
    """Draw the accuracy of every run."""
    from ..study.figures import dots, end_at_hundred, finish, legend_below, subplots

    figure, axes = subplots(width=6, height=3)
    values = values_of(runs, "image", ACCURACY.key)
    dots(axes[0, 0], {NAMES[image]: accuracies for image, accuracies in values.items()}, ACCURACY.bounds)
    finish(axes[0, 0], with_unit(ACCURACY), "")
    end_at_hundred(axes[0, 0])
    legend_below(figure)
    return figure


def plot_reading(model: ReadingModel, test: Digits, shown: int = 6) -> Figure:
    """Draw test images, the same at half the resolution, and the digits that a model names."""
    from ..study.figures import image, subplots

    images, digits = test.pairs(shown, torch.Generator().manual_seed(0))
    named, coarse = model.read(images), torch.nn.functional.avg_pool2d(images, 2)
    figure, axes = subplots(2, shown, width=2.2, height=1.5)
    for column in range(shown):
        true, read = ("".join(map(str, both[column].tolist())) for both in (digits, named))
        image(axes[0, column], images[column, 0].numpy())
        image(axes[1, column], coarse[column, 0].numpy())
        axes[0, column].set_title(f"true {true}")
        axes[1, column].set_title(f"named {read}")
    figure.suptitle(f"Test images, and at half the resolution below; {NAMES[model.image]}, seed 0")
    return figure


COMMANDS = {"reproduce image-context": reproduce}
