"""Quantise the weights of an ONNX file to 8 bits."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

WITH_WEIGHTS = ("LSTM", "GRU", "RNN", "MatMul", "Gemm", "Conv")


def quantised(content: bytes) -> tuple[bytes, str]:
    """Return a file with weights of 8 bits, and a sentence that says which weights have them.

    ONNX Runtime's dynamic quantisation stores weights as integers, with a scale for every channel, and computes the
    scale of every activation from its values at each call. It quantises LSTMs and products of matrices; a GRU, an RNN
    and the body of a Scan stay as they are. Weights use 7 of the 8 bits, since sums of products of 8 bits overflow on
    processors without VNNI.

    Args:
        content: of the file.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model: Any = onnx.load_from_string(content)
    before, metadata = _with_weights(model.graph), {one.key: one.value for one in model.metadata_props}
    # Without this entry, ONNX Runtime warns that shapes are not inferred; these files state their shapes.
    onnx.helper.set_model_props(model, {**metadata, "onnx.quant.pre_process": "onnxruntime.quant"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
        model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    after = _with_weights(model.graph)
    return model.SerializeToString(), f"8 bits: {_in_words(before - after)}; float32: {_in_words(after)}"


def _with_weights(graph: Any) -> Counter[str]:
    """Return the number of operators with weights in a graph and in the bodies of its loops, by name."""
    count = Counter(node.op_type for node in graph.node if node.op_type in WITH_WEIGHTS)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                count += _with_weights(attribute.g)
    return count


def _in_words(count: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(count.items())) or "none"
