"""What a shift costs: latency overhead against the proportion of shifted channels, on every device.

The figure of the TSM paper (Lin et al., ICCV 2019, fig. 2a), made anew: a `Sweep` says what is asked,
`measure_sweep` measures it into a folder that survives being killed, and
`edgevid.bench.report.overhead.sweep_of` reads the figures of a result.
"""

from edgevid.overhead.record import CurveId, PointState, SweepRecord
from edgevid.overhead.sweep import Sweep, model_config, parse_proportions
from edgevid.overhead.sweep_run import measure_sweep

__all__ = [
    "CurveId",
    "PointState",
    "Sweep",
    "SweepRecord",
    "measure_sweep",
    "model_config",
    "parse_proportions",
]
