"""Measured results as a page, as Markdown, as a table and as pictures.

- `edgevid.bench.report.material` reads results, sweeps and comparisons of accuracy, whatever is given;
- `edgevid.bench.report.headline`, `overhead`, `accuracy` and `layers` turn them into figures;
- `edgevid.bench.report.plots` draws them, `svg` makes the drawings part of a page;
- `edgevid.bench.report.page`, `markdown` and `table` write.

Nothing is measured here, and the same files give the same report.
"""
