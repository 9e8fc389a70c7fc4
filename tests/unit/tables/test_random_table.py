import os
import re
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest
from fields import fails

from sdtools.errors import SdWarning
from sdtools.tables.random_table import open_random_table
from sdtools.tables.table import open_table, open_writer

CUT = re.compile("cut short")
UNSORTED = {
    "what": "key",
    "need": "byte order under option s",
    "hint": "Sort with LC_ALL=C, or leave out the option",
}


@pytest.fixture
def feats(tmp_path, monkeypatch):
    """Write five random matrices to feats.ark and feats.scp; return them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    table = {f"utt{i}": rng.standard_normal((4 + i, 3)).astype(np.float32) for i in range(5)}
    with open_writer("ark,scp:feats.ark,feats.scp") as writer:
        for key, value in table.items():
            writer.write(key, value)
    return table


@pytest.fixture
def letters(tmp_path, monkeypatch):
    """Write archives whose keys are the letters of their names, and values their numbers."""
    monkeypatch.chdir(tmp_path)
    for name in ("abde", "bdac", "abbc"):
        with kaldi.FloatMatrixWriter(f"ark:{name}.ark") as writer:
            for key in name:
                writer.write(key, np.full((1, 2), ord(key) - 96, np.float32))


def ask(table, *keys):
    return [key in table and float(table[key][0, 0]) for key in keys]


@pytest.mark.parametrize("rspecifier", ["ark:feats.ark", "scp:feats.scp", "ark:cat feats.ark |"])
def test_values_by_key(feats, rspecifier):
    with open_random_table(rspecifier) as table:
        assert "utt3" in table
        assert "utt9" not in table
        for key in ("utt4", "utt0", "utt4"):
            assert np.array_equal(table[key], feats[key])
        hint = "Check that both tables come from the same data"
        with fails(who=rspecifier, what="key utt9 is not in this table", hint=hint):
            table["utt9"]


def test_status_of_a_command_counts_though_not_all_keys_were_requested(feats):
    command = "cat feats.ark; exit 3 |"
    with fails(who=command, got=3), open_random_table(f"ark:{command}") as table:
        assert "utt0" in table
    with pytest.raises(ZeroDivisionError), open_random_table(f"ark:{command}") as table:
        raise ZeroDivisionError
    with pytest.warns(SdWarning) as caught, open_random_table(f"ark,p:{command}") as table:
        assert "utt0" in table
    (warning,) = (w.message for w in caught)
    assert (warning.who, warning.got) == (f"the rest of the archive cannot be read: {command}", 3)
    with open_random_table("ark:cat feats.ark; yes |") as table:  # its end never comes
        assert "utt0" in table


def test_script_file_with_a_key_twice_has_values_in_order_only(feats):
    Path("x.scp").write_text("b feats.ark:5\na feats.ark:5\nb feats.ark:5\n")
    with open_table("scp,s,cs,o:x.scp") as table:
        assert [entry.key for entry in table] == ["b", "a", "b"]
    with fails(who="x.scp:3", what="key", got="b again, first on line 1"):
        open_random_table("scp,p:x.scp")


def test_keys_of_a_sorted_script_file_are_in_byte_order(tmp_path):
    (tmp_path / "x.scp").write_text("B x\na x\nä x\n10 x\n9 x\n")
    with fails(who=f"{tmp_path}/x.scp", **UNSORTED, got="10 after ä"):
        open_random_table(f"scp,s:{tmp_path}/x.scp")
    with open_random_table(f"scp,cs:{tmp_path}/x.scp") as table:
        assert "9" in table


@pytest.mark.parametrize("options", ["", ",s", ",s,cs", ",cs", ",o", ",o,s", ",o,s,cs", ",p,bg"])
def test_keys_in_order_are_found_under_every_option(letters, options):
    with open_random_table(f"ark{options}:abde.ark") as table:
        assert ask(table, "a", "c", "d", "z") == [1, False, 4, False]


@pytest.mark.parametrize("options", ["", ",s", ",o", ",o,s"])
def test_keys_may_be_requested_in_any_order_unless_called_sorted(letters, options):
    with open_random_table(f"ark{options}:abde.ark") as table:
        assert ask(table, "d", "c", "a", "z", "b") == [4, False, 1, False, 2]


def test_keys_called_sorted_must_be_so(letters):
    with open_random_table("ark,s,cs:abde.ark") as table:
        assert ask(table, "b", "b", "d") == [2, 2, 4]
        fields = {"what": "requested key", "got": "b after d", "hint": "Sort the other table"}
        with fails(who="ark,s,cs:abde.ark", need="byte order under option cs", **fields):
            table["b"]


def test_value_under_option_o_is_given_once(letters):
    for rspecifier in ("ark,o:abde.ark", "ark,o,s:abde.ark"):
        with open_random_table(rspecifier) as table:
            assert ask(table, "b", "a") == [2, 1]
            need, hint = "every key once under option o", "Leave out the option"
            with fails(what="requested key", got="b again", need=need, hint=hint):
                table["b"]
    with open_random_table("ark,o,s,cs:abde.ark") as table:
        assert ask(table, "b", "b") == [2, 2]


def test_sorted_archive_is_read_no_further_than_needed(letters):
    os.truncate("abde.ark", os.path.getsize("abde.ark") - 1)
    with open_random_table("ark,s:abde.ark") as table:
        assert ask(table, "c", "d") == [False, 4]
        for _ in range(2):
            with fails(hint=CUT):
                "dd" in table  # noqa: B015
    with open_random_table("ark:abde.ark") as table:
        assert ask(table, "d") == [4]
        for _ in range(2):
            with fails(hint=CUT):
                "c" in table  # noqa: B015
        assert ask(table, "a") == [1]


def test_archive_that_is_not_sorted_is_refused_where_it_shows(letters):
    for options in ("s", "s,cs"):
        with open_random_table(f"ark,{options}:bdac.ark") as table:
            assert ask(table, "b", "d") == [2, 4]
            with fails(who="bdac.ark:52", **UNSORTED, got="a after d"):
                table["z"]


def test_archive_with_a_key_twice_is_refused_where_it_shows(letters):
    twice = {"got": "b again", "need": "every key once", "hint": "Write the archive again"}
    for options, fields in (("", twice), (",s", {"got": "b after b"})):
        with open_random_table(f"ark{options}:abbc.ark") as table:
            assert ask(table, "b") == [2]
            with fails(what="key", **fields):
                table["c"]


def test_option_s_cs_keeps_one_value(letters):
    with (
        open_random_table("ark,s,cs:abde.ark") as called_sorted,
        open_random_table("ark,s:abde.ark") as in_memory,
    ):
        for table, number in ((called_sorted, 1), (in_memory, 4)):
            ask(table, "a", "b", "d", "e")
            assert len(table._values) == number


def test_permissive_table_lacks_exactly_the_bad_entries(feats):
    lines = Path("feats.scp").read_text().splitlines()
    Path("p.scp").write_text("\n".join(["gone absent.ark:5", "bad feats.ark:3", *lines]))
    with open_random_table("scp,p:p.scp") as table:
        with pytest.warns(SdWarning) as caught:
            assert "gone" not in table
            assert "gone" not in table
            assert "bad" not in table
        assert [w.message.who for w in caught] == [
            "scp,p:p.scp: gone skipped: absent.ark",
            "scp,p:p.scp: bad skipped: feats.ark:3",
        ]
        assert table.num_skipped == 2
        assert all(key in table and np.array_equal(table[key], feats[key]) for key in feats)
        assert np.array_equal(table["utt0"], feats["utt0"])
    os.truncate("feats.ark", os.path.getsize("feats.ark") - 1)
    with open_random_table("ark,p:feats.ark") as table:
        with pytest.warns(
            SdWarning, match=r"^the rest of the archive cannot be read: feats.ark:.*cut short"
        ):
            assert [key for key in feats if key in table] == ["utt0", "utt1", "utt2", "utt3"]
        assert table.num_skipped == 1
