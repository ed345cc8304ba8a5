"""The training recipe of scanside's model bundles.

It turns a cohort of chest CTs into `models/<bundle>/`: BCDU-Net as int8 ONNX, the 3D CNN as ONNX,
goldens and the card that the box reads. It gets every volume through `scanside preprocess`, so
there is one preprocessing in the world. It leaves the running of the bundle to the box.
"""

import os

# Work is split over Python threads with one arithmetic thread each: on a busy machine the spinning
# of OpenMP's barriers costs more than it brings. Must be set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
