"""How edgevid measures: one timing protocol, one result file, one table.

Every figure that edgevid prints or publishes comes through here:

- `edgevid.bench.protocol` runs variants in alternating order beside an A/A pair;
- `edgevid.bench.processes` repeats that in fresh processes whose idle thread pools sleep;
- `edgevid.bench.validity` says whether the figures can be trusted, and why not;
- `edgevid.bench.results` holds every raw sample, on disk as versioned JSON;
- `edgevid.bench.summary` and `edgevid.bench.table` turn samples into figures, from that JSON alone.

A benchmark never fails because something was slow or noisy; it says ``INVALID: reason`` instead.
"""
