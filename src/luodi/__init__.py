"""luodi (落地): retrain classifiers on a schedule, land a new version only when it is proven better."""

import os

# ONNX Runtime tells its maker how it is used, and keeps an id of the user in the home folder, unless this is set before
# it is imported: by luodi, by a library that luodi imports, or by a process that luodi starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
