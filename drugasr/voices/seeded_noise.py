"""ONNX models that draw random numbers, with the numbers handed in, so that a seed decides them.

onnxruntime's random nodes go on from where the last call stopped, and no call can set their seed.
Each of them becomes a model input, noise [N], laid out in the node's shape and repeated when that holds more than N.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from drugasr.errors import VoiceError

_NUM_NOISE = 2**16  # Piper takes 16,500 for a second of speech
# What can be replaced: the numpy.random.Generator method, and the node's attributes that are its arguments, with their defaults.
_DRAWS = {"RandomNormalLike": ("normal", {"mean": 0.0, "scale": 1.0}), "RandomUniformLike": ("uniform", {"low": 0.0, "high": 1.0})}
_RANDOM = {*_DRAWS, "RandomNormal", "RandomUniform", "Multinomial", "Bernoulli"}


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What feeds one input: a method of numpy.random.Generator and its two arguments."""

    input: str
    method: str
    arguments: tuple[float, float]


class SeededSession(onnxruntime.InferenceSession):
    """The model at `path` on one thread of this processor; what `run` gives depends on its inputs and the last `reseed` alone.

    On another kind of processor the last bits may differ. Raises VoiceError when the file is no ONNX model or draws
    numbers in a way that cannot be replaced.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        options = onnxruntime.SessionOptions()
        # How a sum is split over threads decides its last bits, and a worker of the cluster has one core.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            model = onnx.load(path)
            self._draws = replace_random_nodes(model)
            super().__init__(model.SerializeToString(), options, ["CPUExecutionProvider"], enable_fallback=0)
        except Exception as error:  # those of onnxruntime have no other base
            raise VoiceError(f"{path} cannot be used as an ONNX model ({str(error).strip()}): was it downloaded whole?") from error
        self._model_path, self._model_bytes = str(path), None  # kokoro-onnx reads the path; nothing reads the bytes again
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        """Starts the noise of the coming runs anew."""
        self._generator = np.random.default_rng(seed)

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any], run_options: Any = None) -> Any:
        noise = {d.input: getattr(self._generator, d.method)(*d.arguments, _NUM_NOISE).astype(np.float32) for d in self._draws}
        return super().run(output_names, {**input_feed, **noise}, run_options)


def replace_random_nodes(model: onnx.ModelProto) -> list[Draw]:
    """Replaces them in place; returns what each new input is to be fed with. Raises ValueError for a node that it cannot replace."""
    draws, nodes = [], []
    for node in model.graph.node:
        if node.op_type not in _DRAWS:
            nodes.append(node)
            continue
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        method, defaults = _DRAWS[node.op_type]
        draw = Draw(
            input=f"{node.output[0]}_noise", method=method, arguments=tuple(attributes.get(name, value) for name, value in defaults.items())
        )
        model.graph.input.append(helper.make_tensor_value_info(draw.input, onnx.TensorProto.FLOAT, [_NUM_NOISE]))
        nodes += _lay_out(draw.input, node.input[0], node.output[0], attributes.get("dtype", onnx.TensorProto.FLOAT))
        draws.append(draw)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for node in (*_all_nodes(model.graph), *(inner for function in model.functions for inner in function.node)):
        if node.op_type in _RANDOM:
            raise ValueError(f"its node {node.name!r} draws random numbers with {node.op_type}, which a seed cannot decide here")
    return draws


def _lay_out(noise: str, like: str, output: str, dtype: int) -> list[onnx.NodeProto]:
    """Nodes that make `output`: `noise` [N], repeated as often as needed, in the shape of `like`."""
    constants = {"zero": 0, "one": 1, "length": _NUM_NOISE}
    steps = [
        ("Size", [like], "size"),
        ("Range", [f"{noise}_zero", f"{noise}_size", f"{noise}_one"], "place"),
        ("Mod", [f"{noise}_place", f"{noise}_length"], "index"),
        ("Gather", [noise, f"{noise}_index"], "flat"),
        ("Shape", [like], "shape"),
        ("Reshape", [f"{noise}_flat", f"{noise}_shape"], "float"),
    ]
    return [
        *(helper.make_node("Constant", [], [f"{noise}_{name}"], value_int=value) for name, value in constants.items()),
        *(helper.make_node(op_type, inputs, [f"{noise}_{name}"]) for op_type, inputs, name in steps),
        helper.make_node("Cast", [f"{noise}_float"], [output], to=dtype),
    ]


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)
