"""The tools of this folder pretend a GPU before PyTorch is imported: tests/test_gpu_tools.py runs each in a process."""

collect_ignore_glob = ["*.py"]
