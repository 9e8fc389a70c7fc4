import pytest
from test_metrics import quietly

from sdtools.errors import SdError
from sdtools.scoring.equal_error_rate import EER_METHODS, TiesWarning, WrongWayWarning, read_eer
from sdtools.scoring.metrics import eer
from sdtools.scoring.roc import sort_scores


def test_values_and_thresholds():
    assert eer([2, 3, 4], [-1, 0, 1]) == (0, 2, "interp")
    expected = pytest.approx(1 / 6), 2, "rocch"
    assert eer([1, 2, 3, 4], [0, 0, 1.5, 1.7], "rocch") == expected
    assert eer([1, 3, 4], [-2, 0, 2], "asvspoof") == (1 / 3, 1, "asvspoof")
    # the k-th lowest score, k = 1
    assert quietly(eer, [1, -1], [0], "asvspoof") == (0.75, -1, "asvspoof")
    assert quietly(eer, [5] * 5, [5] * 7, "asvspoof").threshold == 5
    assert quietly(eer, [3], [3], "asvspoof") == (1, 3, "asvspoof")
    assert quietly(eer, [0], [1], "asvspoof").threshold == 0
    assert quietly(eer, [7], [7, 7], "interp").threshold == 7


@pytest.mark.parametrize("method", EER_METHODS)
def test_the_wrong_way_round(method):
    """Whatever the method; the fast path returns what the public one warns of."""
    with pytest.warns(WrongWayWarning) as caught:
        result = eer([-1, 0, 1], [2, 3, 4], method)
    assert len(caught) == 1
    warning = caught[0].message
    assert warning.got == "100.00 %" and "labels and the sign" in warning.hint
    again, (doubt,) = read_eer(sort_scores([-1, 0, 1], [2, 3, 4]), method)
    assert again == result and str(doubt) == str(warning)


def test_ties_mislead_the_challenge_script():
    with pytest.warns(TiesWarning) as caught:
        assert eer([0] * 5, [0] * 7, "asvspoof").value == 1
    warning = caught[0].message
    assert warning.got == "100.00 % where the ROC has 50.00 %" and "--eer=interp" in warning.hint


def test_unknown_method():
    with pytest.raises(SdError) as info:
        eer([1], [0], "det")
    assert (info.value.got, info.value.need) == ("'det'", "interp or rocch or asvspoof")
