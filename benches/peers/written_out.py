"""The shipped first network with every int8 operator written out in fp32, weights and all.

    written_out.py SHIPPED.onnx OUT.onnx

The network before quantization is 21 MB and not shipped; this one is the same graph with the shipped weights.
The tests and analysis.py use it.
"""
import sys

import numpy
import onnx
from onnx import helper, numpy_helper


def write(shipped, to):
    model = onnx.load(str(shipped))
    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes, fresh = [], {}

    def relu(node, source, zero):
        # A zero point of 0 on u8 cuts what is negative.
        kind = "Relu" if known[zero] == 0 and known[zero].dtype == numpy.uint8 else "Identity"
        nodes.append(helper.make_node(kind, [source], list(node.output)))

    for node in model.graph.node:
        i = list(node.input)
        if node.op_type == "QuantizeLinear":
            relu(node, i[0], i[2])
        elif node.op_type == "DequantizeLinear":
            nodes.append(helper.make_node("Identity", [i[0]], list(node.output)))
        elif node.op_type == "ConvInteger":
            # Its sums are in steps of the input's scale, and so is what follows.
            scale = known[i[0].removesuffix("_q") + "_scale"]
            fresh[i[1]] = (known[i[1]] / scale).astype(numpy.float32)
            nodes.append(helper.make_node("Conv", i[:2], list(node.output)))
            nodes[-1].attribute.extend(node.attribute)
        elif node.op_type == "Cast":
            nodes.append(helper.make_node("Identity", [i[0]], list(node.output)))
        elif node.op_type == "QLinearConv":
            assert not known[i[5]].any()
            weight = known[i[3]].astype(numpy.float32) * known[i[4]].reshape(-1, 1, 1, 1)
            fresh[i[3]] = weight.astype(numpy.float32)
            inputs = [i[0], i[3]]
            if len(i) > 8:
                fresh[i[8]] = (known[i[8]] * numpy.float64(known[i[1]]) * numpy.float64(known[i[4]])).astype(numpy.float32)
                inputs.append(i[8])
            nodes.append(helper.make_node("Conv", inputs, [node.output[0] + "_pre"]))
            nodes[-1].attribute.extend(node.attribute)
            relu(node, node.output[0] + "_pre", i[7])
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    for name, value in {**known, **fresh}.items():
        if name in used:
            model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(model)
    onnx.save(model, str(to))


if __name__ == "__main__":
    write(*sys.argv[1:3])
