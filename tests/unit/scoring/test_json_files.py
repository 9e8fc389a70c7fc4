import math

import pytest

from sdtools.errors import SdError
from sdtools.scoring.json_files import MAX_JSON_BYTES, Fields, read_json, to_word, write_json


def read(path):
    return read_json(str(path), "thing", "a thing", "Make one")


def test_what_is_written_comes_back(tmp_path):
    value = {"a": [0.1 + 0.2, "ä", None, True], "b": to_word(math.inf)}
    write_json(str(tmp_path / "a.json"), value)
    assert read(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")
    with pytest.raises(ValueError):
        write_json(str(tmp_path / "b.json"), math.inf)
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"{", "no JSON"),
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "lists that are nested too deeply"),
        (b"1e999", "no JSON (1e999 is not finite)"),
        (b"1" * 20, "no JSON (an integer of 20 digits)"),
        (b'"\\ud800"', "no JSON"),
        (bytes(MAX_JSON_BYTES + 1), f"{MAX_JSON_BYTES + 1} bytes"),
    ],
)
def test_files_that_are_refused(tmp_path, data, got):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(SdError) as info:
        read(path)
    error = info.value
    assert (error.who, error.what, error.hint) == (str(path), "thing", "Make one")
    assert error.got.startswith(got) and error.need.startswith("a thing")


def test_commands_are_not_run(tmp_path):
    with pytest.raises(SdError):
        read(f"touch {tmp_path}/made |")
    assert list(tmp_path.iterdir()) == []


RECORD = {"n": 1, "x": 0.5, "inf": "-inf", "t": "a", "l": [1, 2.5], "o": {"o": [{"i": 2}, 3]}}


def test_fields():
    fields = Fields(RECORD)
    assert (fields.integer("n"), fields.number("x"), fields.text("t")) == (1, 0.5, "a")
    assert (fields.extended("inf"), fields.extended("n")) == (-math.inf, 1)
    assert fields.numbers("l") == [1, 2.5]
    assert Fields({"o": [{"i": 2}]}).objects("o")[0].integer("i") == 2


@pytest.mark.parametrize(
    ("read", "who", "got"),
    [
        (lambda f: f.integer("x"), "x", "0.5"),
        (lambda f: f.number("t"), "t", "'a'"),
        (lambda f: f.extended("t"), "t", "'a'"),
        (lambda f: f.text("n"), "n", "1"),
        (lambda f: f.texts("l"), "l[0]", "1"),
        (lambda f: f.numbers("n"), "n", "1"),
        (lambda f: f.object("l"), "l", "[1, 2.5]"),
        (lambda f: f.object("o").objects("o"), "o.o[1]", "3"),
        (lambda f: f.object("o").any("p"), "o.p", None),
        (lambda f: Fields([]), "", "[]"),
    ],
)
def test_fields_that_are_refused(read, who, got):
    with pytest.raises(SdError) as info:
        read(Fields(RECORD))
    assert (info.value.who, info.value.got) == (who, got)
