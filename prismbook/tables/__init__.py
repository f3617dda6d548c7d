"""From records to tables and comparisons: one row per run, means over seeds, intervals."""

from prismbook.extras import need

need("analysis", "pandas", "filelock")
