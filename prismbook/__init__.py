"""The evidence of the book, in five stages: plan -> runs -> tables -> claims -> pages.

Each stage imports only earlier stages and :mod:`prismlib`, which is the method and imports none of them.

- :mod:`prismbook.plan`: what is to be run, as run configurations.
- :mod:`prismbook.runs`: training and testing it, one record per run.
- :mod:`prismbook.tables`: from records to tables and comparisons.
- :mod:`prismbook.claims`: from tables to verdicts on the paper's claims.
- :mod:`prismbook.pages`: what a page of the book shows.
"""
