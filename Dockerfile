# One GPU: the package, its tests' tools and the command line, on PyTorch's public CUDA image. See book/launch.md.
#   docker build -t prism .
#   docker run --gpus all --rm prism python benchmarks/gpu_check.py
FROM pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime
WORKDIR /prism
# Triton compiles a launcher in C for each kernel; git says which code made a record
RUN apt-get update && apt-get install -y --no-install-recommends g++ git make && rm -rf /var/lib/apt/lists/*
COPY requirements.txt pyproject.toml setup.py README.md LICENSE ./
# the image has torch with CUDA: what requirements.txt pins is that version, and pip leaves it
RUN pip install --no-cache-dir --break-system-packages -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --break-system-packages --no-deps --no-build-isolation --editable .
ENV OMP_NUM_THREADS=1
CMD ["python", "-m", "prismbook", "--help"]
