"""Greedy and beam search with an exported encoder and decoder; it needs numpy and onnxruntime alone.

Run `python model-search.py < sources.txt` for the targets of the sources in the lines of a file, or
`python model-search.py LABEL < sources.txt` for a model that reads labels.
"""

import base64
import json
import pathlib
import sys
import unicodedata
from typing import Any

import numpy as np
import onnxruntime

from contextual_rnn.export.programs.symbols import join, split

START, END, UNKNOWN, SPECIAL = 0, 1, 2, 3


class Model:
    """An exported model of pairs.

    Args:
        path: what the files' names begin with, such as `model` for model-encoder.onnx and model-step.onnx.
    """

    def __init__(self, path: str) -> None:
        self.encoder, self.step = (onnxruntime.InferenceSession(f"{path}-{part}.onnx") for part in ("encoder", "step"))
        self.about: dict[str, Any] = json.loads(self.step.get_modelmeta().custom_metadata_map["contextual_rnn"])
        source = self.about["source_symbols"]
        self.numbers = {symbol: number for number, symbol in enumerate(source, start=SPECIAL)}
        self.offset = SPECIAL + len(source)

    def encode(self, symbols: list[str], label: str | None = None) -> dict[str, np.ndarray]:
        """Return what every step reads, of one source; the label is one of the model's labels, if it reads them."""
        numbers = [self.numbers.get(symbol, UNKNOWN) for symbol in symbols] + [END]
        labels, separator = self.about["labels"], self.about["label_separator"]
        tags = [] if label is None else [label] if separator is None else label.split(separator)
        if (label is None and self.about["label"] != "none") or any(tag.strip() not in labels for tag in tags):
            raise ValueError(f"give a label of the model instead of {label!r}: {', '.join(labels)}")
        places = [labels.index(tag.strip()) for tag in tags]
        if self.about["label"] == "token":
            numbers = [self.offset + place for place in places] + numbers
        fed = {"source": np.array([numbers]), "source_lengths": np.array([len(numbers)])}
        if self.about["label"] == "h0":
            one_hot = np.zeros((1, len(labels)), np.float32)
            one_hot[0, places] = 1
            fed["label"] = np.array(places) if separator is None else one_hot
        names = [one.name for one in self.encoder.get_outputs()]
        return dict(zip(names, self.encoder.run(None, fed), strict=True)) | {"source_lengths": fed["source_lengths"]}

    def split(self, source: str) -> list[str]:
        """Return the symbols of a source. Subwords need the package sentencepiece."""
        if self.about.get("subwords", {}).get("source"):
            try:
                import sentencepiece
            except ImportError:
                raise ValueError("the sources are split into subwords: run pip install sentencepiece") from None
            model = base64.b64decode(self.about["subwords"]["source"])
            text = unicodedata.normalize("NFC", source).strip()
            return list(sentencepiece.SentencePieceProcessor(model_proto=model).encode(text, out_type=str))
        return split(source, self.about["units"]["source"], self.about["patterns"]["source"])

    def join(self, target: list[str]) -> str:
        """Return the text of the symbols of a target."""
        return join(target, self.about["units"]["target"])

    def advance(self, tokens: list[int], state: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return log probabilities (N, V) of the tokens after N tokens, and the next state."""
        wanted = {one.name for one in self.step.get_inputs()}
        fed = {"fed": np.array(tokens)} | {name: value for name, value in state.items() if name in wanted}
        names = [one.name for one in self.step.get_outputs()]
        found = dict(zip(names, self.step.run(None, fed), strict=True))
        log_probs = found.pop("log_probs").astype(np.float64)
        log_probs[:, [START, UNKNOWN]] = -np.inf
        return log_probs, state | {name.removesuffix("_n"): value for name, value in found.items()}

    def greedy(self, symbols: list[str], label: str | None = None, longest: int = 100) -> tuple[list[str], float]:
        """Return the most probable symbol at every step, and the log probability of all, the end included."""
        return self.beam(symbols, label, 1, longest)[0]

    def beam(
        self, symbols: list[str], label: str | None = None, width: int = 5, longest: int = 100, alpha: float = 0.0
    ) -> list[tuple[list[str], float]]:
        """Return the targets that a beam search finds, the best first, with log probability / length^alpha."""
        state, done = self.encode(symbols, label), list[tuple[list[int], float]]()
        live: list[tuple[list[int], float]] = [([], 0.0)]
        for _ in range(longest + 1):  # one for the end
            log_probs, state = self.advance([(tokens or [START])[-1] for tokens, _ in live], _rows(state, len(live)))
            joint = np.array([score for _, score in live])[:, None] + log_probs
            best = np.argsort(-joint, axis=None, kind="stable")[: 2 * width]
            kept: list[tuple[int, list[int], float]] = []
            for rank, place in enumerate(best):
                row, token = divmod(int(place), joint.shape[1])
                if joint[row, token] == -np.inf:
                    continue
                if token != END:
                    kept.append((row, [*live[row][0], token], float(joint[row, token])))
                elif rank < width:
                    done.append((live[row][0], float(joint[row, token]) / (len(live[row][0]) + 1) ** alpha))
            kept = kept[:width]
            live = [(tokens, score) for _, tokens, score in kept]
            if len(done) >= width or not live:
                break
            chosen = [row for row, _, _ in kept]
            state = {name: value[chosen] for name, value in state.items()}
        else:
            done += [(tokens, score / max(len(tokens), 1) ** alpha) for tokens, score in live]
        target = self.about["target_symbols"]
        ranked = sorted(done, key=lambda one: -one[1])[:width]
        different: dict[tuple[str, ...], float] = {}  # some may become equal where they are cut
        for tokens, score in ranked:
            different.setdefault(tuple(target[token - SPECIAL] for token in tokens[:longest]), score)
        return [(list(symbols), score) for symbols, score in different.items()]


def _rows(state: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    return {name: value if len(value) == rows else np.repeat(value, rows, axis=0) for name, value in state.items()}


if __name__ == "__main__":
    model = Model(str(pathlib.Path(__file__)).removesuffix("-search.py"))
    label = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        for line in sys.stdin:
            source = model.split(line)
            found = model.beam(source, label) if source else []
            print(line.strip(), model.join(found[0][0]) if found else "", sep="\t")
    except ValueError as error:
        sys.exit(str(error))
