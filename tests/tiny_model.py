"""A model directory of two small GMMs that nobody has trained, made in milliseconds."""

import numpy as np

from sdtools.audio.entries import AudioOptions
from sdtools.detect.model import write_model
from sdtools.features.lfcc import LfccOptions
from sdtools.features.postprocess import PostOptions
from sdtools.gmm.io import write_gmm
from sdtools.gmm.mixture import DiagGmm
from sdtools.options import save_settings
from sdtools.scoring.fusion import Fusion

RATE_HZ = 16000
THRESHOLDS = {
    name: {"threshold": value, "p_miss": 0.1, "p_false_alarm": 0.1}
    for name, value in (("eer", 0.1), ("bayes", -0.6), ("false_alarm", 9))
}


def write_tiny_model(folder, sources, thresholds=THRESHOLDS):
    """Write a model of one LFCC system; its GMMs and settings go to the folder `sources`."""
    sources.mkdir()
    means = np.random.default_rng(1).normal(0, 0.5, (2, 2, 60))
    for label, means_of_label in zip(("genuine", "spoof"), means):
        gmm = sources / f"{label}.gmm"
        write_gmm(str(gmm), DiagGmm(np.full(2, 0.5), means_of_label, np.ones((2, 60))))
        save_settings(f"{gmm}.conf", PostOptions())
    conf = sources / "feats.conf"
    save_settings(conf, AudioOptions(sample_rate_hz=RATE_HZ), LfccOptions(), first=["--kind=lfcc"])
    fusion = Fusion(np.array([1.0]), 0.0, 0.5, 0.0, 0.4, 10, 10)
    about = {
        "note": "Made of random numbers.",
        "sample_rate_hz": RATE_HZ,
        "thresholds": {"thresholds": thresholds},
    }
    write_model(folder, {"lfcc": sources}, {"lfcc": conf}, fusion, about)
