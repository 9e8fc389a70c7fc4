import os
import re
import threading
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest
from fields import fails

from sdtools.errors import SdError, SdWarning
from sdtools.tables.objects import KINDS
from sdtools.tables.random_table import open_random_table
from sdtools.tables.table import open_table, open_writer

ABSENT = "cannot write: No such file or directory"


@pytest.fixture
def feats(tmp_path, monkeypatch):
    """Write five random matrices to feats.ark and feats.scp; return them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    table = {f"utt{i}": rng.standard_normal((4 + i, 3)).astype(np.float32) for i in range(5)}
    write("ark,scp:feats.ark,feats.scp", table)
    return table


def write(wspecifier, table, kind="matrix"):
    with open_writer(wspecifier, kind) as writer:
        for key, value in table.items():
            writer.write(key, value)


def read(rspecifier, kind="matrix", **options):
    with open_table(rspecifier, kind, **options) as table:
        return {entry.key: entry.load() for entry in table}


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[key], b[key]) for key in b)


# ---- reading


def test_every_way_to_name_a_table_gives_the_same(feats):
    for rspecifier in (
        "ark:feats.ark",
        "scp:feats.scp",
        "scp,o,s,cs,bg,np:feats.scp",
        "b,ark:cat feats.ark |",
        "ark:gzip -c feats.ark | gzip -dc |",
        "scp:cat feats.scp|",
    ):
        assert same(read(rspecifier), feats)


def test_entries_know_their_place(feats):
    with open_table("scp:feats.scp") as table:
        assert [entry.where for entry in table] == [f"feats.scp:{i}" for i in range(1, 6)]
        assert table.num_entries == 5
    offsets = [line.split()[1] for line in Path("feats.scp").read_text().splitlines()]
    with open_table("ark:feats.ark") as table:
        assert [entry.where for entry in table] == offsets
        assert table.num_entries is None


def test_script_file_in_any_order_and_from_threads(feats):
    lines = Path("feats.scp").read_text().splitlines()
    Path("shuffled.scp").write_text("\n".join(lines[i] for i in (3, 0, 4, 2, 1)))
    shuffled = read("scp:shuffled.scp")
    assert same({key: shuffled[key] for key in feats}, feats)
    with open_table("scp:shuffled.scp") as table:
        entries = list(table) * 40
        bad = []

        def load(part):
            bad.extend(e.key for e in part if not np.array_equal(e.load(), feats[e.key]))

        threads = [threading.Thread(target=load, args=(entries[i::4],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bad == []


def test_script_file_of_files_ranges_and_blanks(feats):
    x = feats["utt1"]
    write("ark:one.ark", {"k": x})
    Path("name with:colon").write_bytes(Path("one.ark").read_bytes()[2:])
    lines = (
        b"a \t name with:colon\r\n",
        b"  b\tone.ark:2[0:1]  \n",
        b"c one.ark:2[:,1:2]\n",
        b"d one.ark:2[2:3,0:0]",
    )
    Path("x.scp").write_bytes(b"".join(lines))
    assert same(read("scp:x.scp"), {"a": x, "b": x[:2], "c": x[:, 1:], "d": x[2:4, :1]})


def test_bad_entry_leaves_a_script_file_usable(feats):
    with open("feats.scp", "a", encoding="utf-8") as file:
        file.write("gone absent.ark:5\nbad feats.ark:3\nlast feats.ark:5[0:1]\nodd feats]\n")
    failed = []
    with open_table("scp:feats.scp") as table:
        for entry in table:
            try:
                entry.load()
            except SdError as e:
                failed.append((entry.key, e.who, e.what))
    absent = "no such file"
    assert failed[:2] == [("gone", "absent.ark", absent), ("bad", "feats.ark:3", "object")]
    assert [key for key, *_ in failed] == ["gone", "bad", "odd"]


def test_permissive_skips_exactly_the_bad_entries(feats):
    lines = Path("feats.scp").read_text().splitlines()
    lines[1:1] = ["gone absent.ark:5", "bad feats.ark:3"]
    lines.append("range feats.ark:5[0:900]")
    Path("p.scp").write_text("\n".join(lines))
    with open_table("scp,p:p.scp") as table, pytest.warns(SdWarning) as caught:
        assert same({entry.key: entry.load() for entry in table}, feats)
        assert (table.num_entries, table.num_skipped) == (8, 3)
    assert [w.message.who for w in caught] == [
        "p.scp:2: gone skipped: absent.ark",
        "p.scp:3: bad skipped: feats.ark:3",
        "p.scp:8: range skipped: feats.ark:5",
    ]


@pytest.mark.parametrize("option", ["", ",t"])
@pytest.mark.parametrize("rspecifier", ["ark:cut.ark", "ark:cat cut.ark |", "scp:cut.scp"])
def test_archive_cut_at_any_byte_is_an_error_or_exact(tmp_path, monkeypatch, option, rspecifier):
    monkeypatch.chdir(tmp_path)
    whole = {"a": np.array([[1, 2], [3, 4]], np.float32), "b": np.array([[-5.5]], np.float32)}
    write(f"ark,scp{option}:cut.ark,cut.scp", whole)
    data = Path("cut.ark").read_bytes()
    second = data.index(b"b ")
    for end in range(0, len(data), 3 if "cat" in rspecifier else 1):
        os.truncate("cut.ark", end)
        got = {}
        try:
            with open_table(rspecifier) as table:
                for entry in table:
                    got[entry.key] = entry.load()
        except SdError:
            assert end < len(data)
        else:
            is_between = rspecifier[:3] == "ark" and end in (0, second - 1, second)
            assert len(got) == 2 or is_between
        assert all(np.array_equal(got[key], whole[key]) for key in got)
        Path("cut.ark").write_bytes(data)


def test_permissive_archive_ends_where_the_damage_begins(feats):
    os.truncate("feats.ark", os.path.getsize("feats.ark") - 1)
    with open_table("ark,p:feats.ark") as table, pytest.warns(SdWarning) as caught:
        assert [entry.key for entry in table] == ["utt0", "utt1", "utt2", "utt3"]
        assert table.num_skipped == 1
    (warning,) = (w.message for w in caught)
    assert warning.who.startswith("the rest of the archive cannot be read: feats.ark:")
    assert "cut short" in warning.hint


def test_failing_pipe_is_an_error_even_after_whole_data(feats):
    for command, status in (("cat feats.ark; exit 7 |", 7), ("no-such-command |", 127)):
        with fails(who=command, got=status, need=0):
            read(f"ark:{command}")


def test_pipe_inside_a_script_file_runs_only_if_allowed(feats):
    Path("x.scp").write_text("a touch ran; tail -c +6 feats.ark |\nb tail -c +6 feats.ark |[0:1]\n")
    with fails(hint=re.compile("--allow-pipes=true")):
        read("scp:x.scp")
    assert not os.path.exists("ran")
    assert same(read("scp:x.scp", allow_pipes=True), {"a": feats["utt0"], "b": feats["utt0"][:2]})
    assert os.path.exists("ran")
    Path("y.scp").write_text("a tail -c +6 feats.ark; exit 3 |\n")
    with fails(who="tail -c +6 feats.ark; exit 3 |", got=3):
        read("scp:y.scp", allow_pipes=True)


@pytest.mark.parametrize("opener", [open_table, open_random_table])
def test_bad_line_is_refused_before_the_first_entry(tmp_path, opener):
    (tmp_path / "x.scp").write_bytes(b"a x\nb \n")
    with fails(who=f"{tmp_path}/x.scp:2", what="line"):
        opener(f"scp,p:{tmp_path}/x.scp")


@pytest.mark.parametrize(
    "data",
    [
        b"a\x01 [ ]\n",
        b"\xff [ ]\n",
        b"\0\0\0\0a [ ]\n",
        bytes(10_000_000),
        b"k" * 70_000 + b" [ ]\n",
    ],
    ids=lambda data: repr(data[:8]),
)
def test_archive_with_a_bad_key_is_refused(tmp_path, data):
    (tmp_path / "x.ark").write_bytes(data)
    where, got = re.compile(r"x.ark:\d+$"), re.compile("^b'")
    with fails(who=where, what="key", got=got, need="printable text"):
        read(f"ark:{tmp_path}/x.ark")


def test_tabs_newlines_and_long_keys_between_entries(tmp_path):
    long = "k" * 3000
    (tmp_path / "x.ark").write_bytes(b"a\t1 2\r\n\n  b \nc\n" + long.encode() + b" x\n")
    want = {"a": ["1", "2"], "b": [], "c": [], long: ["x"]}
    assert read(f"ark:{tmp_path}/x.ark", "tokens") == want


@pytest.mark.parametrize("opener", [open_table, open_random_table])
def test_archive_of_text_behind_a_byte_order_mark(tmp_path, opener):
    (tmp_path / "utt2spk").write_bytes(b"\xef\xbb\xbfa x\r\nb y\n\n")
    with opener(f"ark:{tmp_path}/utt2spk", "token") as table:
        values = [e.load() for e in table] if opener is open_table else [table["a"], table["b"]]
    assert values == ["x", "y"]


def test_pickled_archive_is_refused(tmp_path):
    payload = b"cos\nsystem\n(S'touch %s/ran'\ntR." % str(tmp_path).encode()
    (tmp_path / "x.ark").write_bytes(b"a PKL" + payload)
    (tmp_path / "x.scp").write_text(f"a {tmp_path}/x.ark:2\n")
    for rspecifier in (f"ark:{tmp_path}/x.ark", f"scp:{tmp_path}/x.scp"):
        for kind in list(KINDS)[:5]:
            with fails(what="object"):
                read(rspecifier, kind)
    assert not (tmp_path / "ran").exists()


def test_unknown_kind_is_refused(tmp_path):
    need = re.compile("^one of matrix, vector, int")
    for opener in (open_table, open_random_table, open_writer):
        with fails(what="kind of table", got="'wave'", need=need):
            opener(f"ark:{tmp_path}/x.ark", "wave")


# ---- writing


def test_scp_names_the_archive_as_given_and_the_byte_of_the_object(feats):
    data = Path("feats.ark").read_bytes()
    for line in Path("feats.scp").read_text().splitlines():
        key, rxfilename = line.split()
        path, offset = rxfilename.split(":")
        assert path == "feats.ark"
        assert data[int(offset) :].startswith(b"\0BFM ")
        assert data[: int(offset)].endswith(key.encode() + b" ")


def test_exception_leaves_the_old_table(feats):
    with pytest.raises(ZeroDivisionError), open_writer("ark,scp,f:feats.ark,feats.scp") as writer:
        writer.write("new", np.ones((2, 2)))
        raise ZeroDivisionError
    assert same(read("scp:feats.scp"), feats)
    assert sorted(os.listdir()) == ["feats.ark", "feats.scp"]


def test_archive_comes_before_its_script_file_and_never_under_an_old_one(feats, monkeypatch):
    seen = []
    replace = os.replace

    def watch(source, target):
        seen.append((os.path.basename(target), os.path.exists("feats.scp")))
        replace(source, target)

    monkeypatch.setattr("os.replace", watch)
    write("ark,scp:feats.ark,feats.scp", {"new": np.ones((2, 2))})
    assert seen == [("feats.ark", False), ("feats.scp", False)]
    assert list(read("scp:feats.scp")) == ["new"]


def test_flush_reaches_the_disk_at_once(tmp_path):
    with open_writer(f"ark,f:{tmp_path}/x.ark", "token") as writer:
        writer.write("key", "word")
        (temporary,) = tmp_path.iterdir()
        assert temporary.read_bytes() == b"key word\n"
        assert temporary.name.startswith(".x.ark.")


def test_pipe_output(feats):
    write("ark:| gzip -c > x.gz", feats)
    assert same(read("ark:gunzip -c x.gz |"), feats)
    with fails(who="| cat > x; exit 9", got=9, need=0):
        write("ark:| cat > x; exit 9", feats)
    with fails(got=1, need=0), open_writer("ark:| head -c 20 > x; exit 1") as writer:
        for i in range(100):
            writer.write(f"a{i}", np.ones((200, 200)))


def test_full_disk_is_an_error_and_stays_one():
    writer = open_writer("ark:/dev/full")
    with fails(who="/dev/full", what="cannot write: No space left on device"):
        writer.write("a", np.ones((500, 500)))
    with fails(who="/dev/full", what=re.compile("^cannot write: .* closed file")), writer:
        pass


@pytest.mark.parametrize("key", ["", "a b", "a\n", "a\tb", "\0", "a\xa0b"])
def test_keys_that_cannot_be_read_again_are_refused(tmp_path, key):
    need, hint = "printable text without blanks", "Rename the entry"
    refused = fails(what="key", got=repr(key), need=need, hint=hint)
    with open_writer(f"ark:{tmp_path}/x.ark", "int") as writer, refused:
        writer.write(key, 1)


def test_refused_entries_leave_nothing_behind(tmp_path):
    name = f"{tmp_path}/x.ark"
    with open_writer(f"ark:{name}") as writer:
        writer.write("a", np.ones((1, 1)))
        hint = "Remove one of the entries"
        with fails(who=name, what="key", got="a again", need="every key once", hint=hint):
            writer.write("a", np.ones((1, 1)))
        who, need = f"{name}: b: value", "a matrix in range"
        with fails(who=who, got="shape (3,) of float64", need=need):
            writer.write("b", np.ones(3))
        with fails(who=who, got="None", need=need):
            writer.write("b", None)
        writer.write("b", np.ones((2, 2)))
    assert list(read(f"ark:{name}")) == ["a", "b"]


@pytest.mark.parametrize("option", ["", ",t"])
def test_script_file_names_a_file_for_every_key(feats, option):
    os.mkdir("out")
    Path("out.scp").write_text("utt1 out/one.mat\nutt0 out/zero mat\nother out/other.mat\n")
    write(f"scp{option}:out.scp", {key: feats[key] for key in ("utt0", "utt1")})
    assert sorted(os.listdir("out")) == ["one.mat", "zero mat"]
    Path("kaldi.scp").write_text("utt1 kaldi.mat\n")
    with kaldi.FloatMatrixWriter(f"scp{option}:kaldi.scp") as writer:
        writer.write("utt1", feats["utt1"])
    assert Path("out/one.mat").read_bytes() == Path("kaldi.mat").read_bytes()
    Path("in.scp").write_text("utt0 out/zero mat\nutt1 out/one.mat\n")
    for key, value in read("scp:in.scp").items():
        np.testing.assert_allclose(value, feats[key], rtol=1e-6)


def test_keys_that_the_script_file_does_not_list(feats):
    Path("out.scp").write_text("utt1 one.mat\n")
    hint = "List it, or use scp,p: to drop keys that are not listed"
    refused = fails(who="out.scp", what="key utt0 is not in this script file", hint=hint)
    with open_writer("scp:out.scp") as writer, refused:
        writer.write("utt0", feats["utt0"])
    with pytest.warns(SdWarning) as caught, open_writer("scp,p:out.scp") as writer:
        assert [key for key, value in feats.items() if writer.write(key, value)] == ["utt1"]
    (warning,) = (w.message for w in caught)
    assert warning.who == "out.scp" and warning.what.startswith("4 entries dropped")
    assert same(read("scp:out.scp"), {"utt1": feats["utt1"]})


PLAIN = "a file without offset or range"


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a out.mat:12", {"who": "out.scp", "got": "out.mat:12", "need": PLAIN}),
        ("a out.mat[0:1]", {"who": "out.scp", "got": "out.mat[0:1]", "need": PLAIN}),
        ("a | cat > out.mat", {"hint": re.compile("--allow-pipes=true")}),
        ("a absent/out.mat", {"who": "absent/out.mat", "what": ABSENT}),
        ("a out.mat\na other.mat", {"who": "out.scp:2", "got": "a again, first on line 1"}),
    ],
)
def test_script_file_that_is_no_place_to_write_to(tmp_path, monkeypatch, line, fields):
    monkeypatch.chdir(tmp_path)
    Path("out.scp").write_text(line)
    with fails(**fields):
        write("scp:out.scp", {"a": np.ones((1, 1))})
    assert os.listdir() == ["out.scp"]


def test_output_command_inside_a_script_file_runs_if_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out.scp").write_text("a | cat > out.mat\nb | exit 3\n")
    with open_writer("scp:out.scp", "vector", allow_pipes=True) as writer:
        writer.write("a", np.ones(3, np.float32))
        with fails(who="| exit 3", got=3):
            writer.write("b", np.ones(3, np.float32))
    assert Path("out.mat").read_bytes() == b"\0BFV \4\3\0\0\0" + np.ones(3, "<f4").tobytes()


def test_what_cannot_be_compressed_is_refused_with_its_key(tmp_path):
    name = f"ark:{tmp_path}/x.ark"
    refused = fails(who=f"{tmp_path}/x.ark: a: value", hint="Look at the features.")
    with open_writer(name, compression_method=1) as writer, refused:
        writer.write("a", np.array([[np.nan]]))
    for method, kind in ((8, "matrix"), (-1, "matrix"), (1, "vector")):
        got, need = f"{method} for a {kind}", "0, or 1 to 7 for a matrix"
        with fails(who=name, what="compression method", got=got, need=need):
            open_writer(name, kind, compression_method=method)


@pytest.mark.parametrize(
    "wspecifier",
    [
        "ark,scp:-,x",
        "ark,scp:| cat,x",
        "ark,scp:x",
        "ark,scp:x,x",
        "ark,scp:x, y",
        "scp,ark:x,y",
        "ark,p,s:x",
        "x",
    ],
)
def test_other_outputs_are_refused(tmp_path, monkeypatch, wspecifier):
    monkeypatch.chdir(tmp_path)
    what = re.compile("^name of a table( to write)?$")
    with fails(who=repr(wspecifier), what=what, need=re.compile("^ark:file or")):
        open_writer(wspecifier)
    assert os.listdir() == []


def test_archive_and_script_file_are_two_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    what = "this file is being written already"
    with fails(who="./x", what=what):
        open_writer("ark,scp:x,./x")
    with open_writer("ark,scp:x.ark,x.scp"), fails(who="x.scp", what=what):
        open_writer("ark,t:x.scp", "int")
    assert sorted(os.listdir()) == ["x.ark", "x.scp"]


def test_second_file_that_cannot_be_opened_takes_the_first_away(tmp_path):
    with fails(who=f"{tmp_path}/absent/x.scp", what=ABSENT):
        open_writer(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/absent/x.scp")
    assert os.listdir(tmp_path) == []
