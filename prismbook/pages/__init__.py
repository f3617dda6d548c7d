"""What a page of the book shows: figures, still and to move, tables and provenance."""

from prismbook.extras import need

need("analysis", "matplotlib", "IPython", "yaml", "pandas", "filelock")
