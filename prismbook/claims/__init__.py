"""From tables to verdicts on the claims of the paper, and the ledger that keeps them."""

from prismbook.extras import need

need("analysis", "pandas", "filelock")
