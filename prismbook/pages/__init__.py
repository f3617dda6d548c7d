"""What a page of the book shows: figures, tables, widgets and provenance."""

from prismbook.extras import need

need("analysis", "matplotlib", "IPython", "yaml", "pandas", "filelock")
