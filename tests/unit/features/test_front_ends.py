"""The table of front ends: every record, what asks it, and a toy front end through everything."""

import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions
from sdtools.features.front_ends import (
    FRONT_ENDS,
    SubbandOptions,
    kind_of,
    load_front_ends,
    rows_by_name,
)
from sdtools.features.lfcc import LfccExtractor, LfccOptions
from sdtools.features.subbands import SubbandExtractor
from sdtools.options import save_settings

RATE_HZ = 16000
SAMPLES = np.random.default_rng(0).uniform(-0.1, 0.1, 8000)


def defaults(front_end):
    return tuple(cls() for cls in front_end.options)


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_every_output_can_be_had_alone_from_its_conf(tmp_path, kind):
    """What an archive's .conf describes gives the same bytes as all outputs in one pass."""
    front_end = FRONT_ENDS[kind]
    extractor = front_end.make(defaults(front_end), RATE_HZ)
    outputs = front_end.outputs(defaults(front_end), extractor)
    feats = extractor(SAMPLES)
    assert [output.name for output in outputs] == list(extractor.output_names) == list(feats)
    for output in outputs:
        for first in ([f"--kind={kind}"], []):  # the second is a file of an earlier version
            conf = tmp_path / f"{output.name}.conf"
            save_settings(conf, *output.options, first=first)
            assert kind_of(conf) == kind
            (alone,) = load_front_ends([conf], RATE_HZ)(SAMPLES)
            assert alone.dtype == np.float32 and alone.ndim == 2
            np.testing.assert_array_equal(alone, feats[output.name])


def test_outputs_of_the_same_filters_share_a_pass(tmp_path, monkeypatch):
    """Each output is the one that its file describes alone, to the byte."""
    wide = FilterBankOptions(bandwidth_scale=12)
    narrow = FilterBankOptions(bandwidth_scale=6)
    settings = [
        ("subbands", SubbandOptions(features=("cf",), orders=(6,)), wide, EnvelopeOptions()),
        ("lfcc", LfccOptions()),
        ("subbands", SubbandOptions(features=("cm",), orders=(6,)), narrow, EnvelopeOptions()),
        ("subbands", SubbandOptions(features=("cm",), orders=(2,)), wide, EnvelopeOptions()),
        ("lfcc", LfccOptions()),
        ("subbands", SubbandOptions(features=("cf",), orders=(6,)), wide, EnvelopeOptions()),
    ]
    confs = [tmp_path / f"{i}.conf" for i in range(len(settings))]
    for conf, (kind, *options) in zip(confs, settings):
        save_settings(conf, *options, first=[f"--kind={kind}"])
    alone = [load_front_ends([conf], RATE_HZ)(SAMPLES)[0] for conf in confs]
    calls = []
    for cls in (SubbandExtractor, LfccExtractor):
        call = cls.__call__
        monkeypatch.setattr(cls, "__call__", lambda *args, f=call: (calls.append(f), f(*args))[1])
    together = load_front_ends(confs, RATE_HZ)(SAMPLES)
    assert [call.__qualname__.split(".")[0] for call in calls] == [
        "SubbandExtractor",
        "LfccExtractor",
        "SubbandExtractor",
    ]
    for ours, want in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours, want)


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_options_of_a_front_end_have_help(kind):
    for cls in FRONT_ENDS[kind].options:
        assert all(f.metadata["help"] for f in cls.__dataclass_fields__.values())


def test_rows_have_names_of_their_own():
    assert len(rows_by_name()) == sum(len(each.rows) for each in FRONT_ENDS.values())


@pytest.mark.parametrize("text", ["", "--kind=nothing\n", "--sample-rate-hz=8000\n", "--loud\n"])
def test_a_conf_of_no_kind_is_refused(tmp_path, text):
    conf = tmp_path / "x.conf"
    conf.write_text(text)
    with pytest.raises(SdError) as info:
        kind_of(conf)
    assert info.value.who == str(conf) and "subbands" in info.value.need


def test_a_conf_of_several_outputs_is_refused(tmp_path):
    front_end = FRONT_ENDS["subbands"]
    save_settings(tmp_path / "x.conf", *defaults(front_end), first=["--kind=subbands"])
    with pytest.raises(SdError) as info:
        load_front_ends([tmp_path / "x.conf"], RATE_HZ)
    assert info.value.got == "8 outputs"
