import pickle
import warnings

import pytest

from sdtools.errors import SdError, SdWarning, UsageError, as_sd_error, warn


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"got": 3}, "a: b: found 3"),
        ({"need": 4}, "a: b: expected 4"),
        ({"got": 3, "need": 4}, "a: b: expected 4, found 3"),
        ({"hint": "Do c."}, "a: b. Do c."),
        ({"got": 0, "hint": "Do c"}, "a: b: found 0. Do c."),
        ({"hint": "Did you mean c?"}, "a: b. Did you mean c?"),
    ],
)
def test_every_field_is_rendered_in_one_place(fields, line):
    assert str(SdError("a", "b", **fields)) == line
    assert str(SdWarning("a", "b", **fields)) == line


def test_a_message_is_one_printable_line():
    assert str(SdError("a\nb", "\x1b[31m", got="\udcff")) == r"a\nb: \x1b[31m: found \udcff"


def test_place_and_hint_are_added_to_the_fields():
    error = UsageError("x.wav", "sample rate", got=1, need=2, hint="Resample it.")
    outer = error.within("utt (wav.scp:3)", "Or skip it")
    assert type(outer) is UsageError
    assert (outer.who, outer.what, outer.got, outer.need) == (
        "utt (wav.scp:3): x.wav",
        "sample rate",
        1,
        2,
    )
    assert outer.hint == "Resample it. Or skip it." and error.who == "x.wav"


def test_an_error_survives_another_process():
    error = pickle.loads(pickle.dumps(SdError("a", "b", got=1, need=2, hint="c")))
    assert str(error) == "a: b: expected 2, found 1. c." and error.got == 1


def test_other_errors_are_rendered_alike():
    assert as_sd_error(FileNotFoundError(2, "No such file or directory", "x")).who == "x"
    assert as_sd_error(MemoryError()).who == "memory"
    assert str(as_sd_error(ZeroDivisionError("a\nb"))) == "a b"
    error = SdError("a", "b")
    assert as_sd_error(error) is error


def test_a_warning_names_the_line_of_the_caller():
    def library_function():
        warn("a", "b")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        library_function()
    (warning,) = caught
    assert warning.category is SdWarning and warning.filename == __file__
    assert warning.message.what == "b"
