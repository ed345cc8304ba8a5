"""The training recipe of scanside's model bundles.

It turns a cohort of chest CTs into `models/<bundle>/`: BCDU-Net as int8 ONNX, the 3D CNN as ONNX,
goldens and the card that the box reads. It gets every volume through `scanside preprocess`, so
there is one preprocessing in the world. It leaves the running of the bundle to the box.
"""
