"""Replay-spoofing detection with spatially differentiated auditory features.

Everything that the commands do is here as Python calls. Names are loaded when they are first used,
so that `import sdtools` costs nothing. What is not in `sdtools.__all__` is private.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sdtools.audio.decoding import load_audio as load_audio
    from sdtools.detect.model import Model as Model
    from sdtools.detect.model import load_model as load_model
    from sdtools.errors import SdError as SdError
    from sdtools.errors import SdWarning as SdWarning
    from sdtools.features.cqcc import CqccExtractor as CqccExtractor
    from sdtools.features.cqcc import CqccOptions as CqccOptions
    from sdtools.features.envelope import EnvelopeOptions as EnvelopeOptions
    from sdtools.features.fdlp import FdlpExtractor as FdlpExtractor
    from sdtools.features.fdlp import FdlpOptions as FdlpOptions
    from sdtools.features.filterbank import FilterBankOptions as FilterBankOptions
    from sdtools.features.lfcc import LfccExtractor as LfccExtractor
    from sdtools.features.lfcc import LfccOptions as LfccOptions
    from sdtools.features.modulation import ModulationExtractor as ModulationExtractor
    from sdtools.features.modulation import ModulationOptions as ModulationOptions
    from sdtools.features.postprocess import PostOptions as PostOptions
    from sdtools.features.postprocess import postprocess as postprocess
    from sdtools.features.subbands import SubbandExtractor as SubbandExtractor
    from sdtools.features.subbands import TriangularExtractor as TriangularExtractor
    from sdtools.features.triangular import TriangularOptions as TriangularOptions
    from sdtools.gmm.io import read_gmm as read_gmm
    from sdtools.gmm.io import write_gmm as write_gmm
    from sdtools.gmm.mixture import DiagGmm as DiagGmm
    from sdtools.gmm.mixture import llr as llr
    from sdtools.gmm.training import GmmOptions as GmmOptions
    from sdtools.gmm.training import train_gmm as train_gmm
    from sdtools.replay.simulation import SimulationOptions as SimulationOptions
    from sdtools.replay.simulation import simulate_replay as simulate_replay
    from sdtools.scoring.fusion import FusionOptions as FusionOptions
    from sdtools.scoring.fusion import apply_fusion as apply_fusion
    from sdtools.scoring.fusion import train_fusion as train_fusion
    from sdtools.scoring.metrics import MetricOptions as MetricOptions
    from sdtools.scoring.metrics import eer as eer
    from sdtools.scoring.metrics import evaluate as evaluate
    from sdtools.tables.table import open_table as open_table
    from sdtools.tables.table import open_writer as open_writer

_HOMES = {
    "audio.decoding": "load_audio",
    "detect.model": "Model load_model",
    "errors": "SdError SdWarning",
    "features.cqcc": "CqccExtractor CqccOptions",
    "features.envelope": "EnvelopeOptions",
    "features.fdlp": "FdlpExtractor FdlpOptions",
    "features.filterbank": "FilterBankOptions",
    "features.lfcc": "LfccExtractor LfccOptions",
    "features.modulation": "ModulationExtractor ModulationOptions",
    "features.postprocess": "PostOptions postprocess",
    "features.subbands": "SubbandExtractor TriangularExtractor",
    "features.triangular": "TriangularOptions",
    "gmm.io": "read_gmm write_gmm",
    "gmm.mixture": "DiagGmm llr",
    "gmm.training": "GmmOptions train_gmm",
    "replay.simulation": "SimulationOptions simulate_replay",
    "scoring.fusion": "FusionOptions apply_fusion train_fusion",
    "scoring.metrics": "MetricOptions eer evaluate",
    "tables.table": "open_table open_writer",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}
__all__ = list(_HOME_OF)


def __getattr__(name: str) -> Any:
    """A public name, whose module is loaded at the first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sdtools' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"sdtools.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
