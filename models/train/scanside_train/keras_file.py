"""Reads the weights out of a Keras HDF5 file (`save_weights` or `save` of Keras 1 and 2).

It gives layers in the file's order with their arrays by name (kernel, bias, ...), and refuses in
words what it cannot read. What the layers mean is left to `import_keras`.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


class Refused(Exception):
    """The file is not what it should be; the message says why."""


@dataclass
class Layer:
    name: str
    weights: dict  # kernel, bias, recurrent_kernel, gamma, ... -> array


@dataclass
class KerasFile:
    name: str
    sha256: str
    keras_version: str
    layers: list  # those that hold weights
    config: dict = field(default_factory=dict)  # layer name -> its settings, where the file has them


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def listed(group, what):
    """A list of names; Keras splits one that is too long for an attribute into what0, what1, ..."""
    if what in group.attrs:
        return [text(n) for n in group.attrs[what]]
    names, k = [], 0
    while f"{what}{k}" in group.attrs:
        names += [text(n) for n in group.attrs[f"{what}{k}"]]
        k += 1
    return names if k else None


def short(weight_name):
    """conv2d_3/kernel:0 -> kernel"""
    return weight_name.split("/")[-1].split(":")[0]


def settings(attributes):
    """Layer name -> config of a whole saved model; empty for a file of weights only."""
    if "model_config" not in attributes:
        return {}
    config = json.loads(text(attributes["model_config"])).get("config", {})
    layers = config.get("layers", []) if isinstance(config, dict) else config
    return {c["config"]["name"]: {**c["config"], "class_name": c.get("class_name", "")} for c in layers if "name" in c.get("config", {})}


def read(path):
    try:
        import h5py
    except ImportError:
        raise Refused("h5py is needed to read Keras files: pip install -r requirements-extra.txt") from None
    path = Path(path)
    if not path.is_file():
        raise Refused(f"{path}: there is no such file")
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise Refused(f"{path.name}: this is no HDF5 file") from None
    with file:
        top = file["model_weights"] if "model_weights" in file else file
        names = listed(top, "layer_names")
        if names is None:
            raise Refused(f"{path.name}: it has no list of layers; files of Keras 3 (.weights.h5) cannot be read, only those of Keras 1 and 2")
        version = text(top.attrs.get("keras_version", file.attrs.get("keras_version", "unknown")))
        if version.startswith("3"):
            raise Refused(f"{path.name}: written by Keras {version}, whose hard sigmoid is another function than that of the published system")
        layers = []
        for name in names:
            if name not in top:
                raise Refused(f"{path.name}: the layer {name} is listed but not there")
            weights = {}
            for weight in listed(top[name], "weight_names") or []:
                if weight not in top[name]:
                    raise Refused(f"{path.name}: the weight {weight} of the layer {name} is listed but not there")
                value = np.asarray(top[name][weight], np.float32)
                if not np.isfinite(value).all():
                    raise Refused(f"{path.name}: the weight {weight} holds values that are no numbers")
                weights[short(weight)] = value
            if weights:
                layers.append(Layer(name, weights))
        config = settings(file.attrs)
    return KerasFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), version, layers, config)
