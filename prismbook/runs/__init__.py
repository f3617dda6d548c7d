"""Running it: from a run configuration to one stored record per run, on one machine or on many."""

from prismbook.extras import need

need("data", "filelock")
