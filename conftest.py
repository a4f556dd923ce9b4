"""What pytest collects: the doctests of Triton kernels only where triton is installed."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["tsrec/kernels/_triton*.py"]
