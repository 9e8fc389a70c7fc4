"""A model directory of two small GMMs that nobody has trained, made in milliseconds."""

import numpy as np

from sdtools.audio.entries import AudioOptions
from sdtools.detect.model import write_model
from sdtools.features.lfcc import LfccOptions
from sdtools.features.postprocess import PostOptions
from sdtools.features.silence import SilenceOptions
from sdtools.gmm.io import write_gmm
from sdtools.gmm.mixture import DiagGmm
from sdtools.options import save_settings
from sdtools.scoring.deployment import Deployment, LabelledLlrs
from sdtools.scoring.fusion import Fusion

RATE_HZ = 16000
THRESHOLDS = {
    name: {"threshold": value, "p_miss": 0.1, "p_false_alarm": 0.1}
    for name, value in (("eer", 0.1), ("bayes", -0.6), ("false_alarm", 9))
}


def write_tiny_model(folder, sources, thresholds=THRESHOLDS, deployment=None):
    """Write a model of one LFCC system; its GMMs and settings go to the folder `sources`.

    Without a deployment it is like a model of an older version, with `thresholds`.
    """
    sources.mkdir()
    means = np.random.default_rng(1).normal(0, 0.5, (2, 2, 60))
    for label, means_of_label in zip(("genuine", "spoof"), means):
        gmm = sources / f"{label}.gmm"
        write_gmm(str(gmm), DiagGmm(np.full(2, 0.5), means_of_label, np.ones((2, 60))))
        save_settings(f"{gmm}.conf", PostOptions())
    conf = sources / "feats.conf"
    settings = AudioOptions(sample_rate_hz=RATE_HZ), LfccOptions(), SilenceOptions()
    save_settings(conf, *settings, first=["--kind=lfcc"])
    fusion = Fusion(np.array([1.0]), 0.0, 0.5, 0.0, 0.4, 10, 10)
    about = {"note": "Made of random numbers.", "sample_rate_hz": RATE_HZ}
    if deployment is None:
        about["thresholds"] = {"thresholds": thresholds}
    else:
        about["deployment"] = deployment.to_json()
    write_model(folder, {"lfcc": sources}, {"lfcc": conf}, fusion, about)


def make_deployment(eval_shift=0.0):
    """What decisions on 120 trials of 12 speakers cost; with a shift the calibration fails."""
    rng = np.random.default_rng(0)
    is_genuine, speakers = np.arange(120) % 2 == 0, np.arange(120) // 10
    llrs = rng.normal(np.where(is_genuine, 2, -2), 2)
    dev = LabelledLlrs(llrs, is_genuine, speakers)
    return Deployment.measure(dev, LabelledLlrs(llrs + eval_shift, is_genuine, speakers), 0.01)
