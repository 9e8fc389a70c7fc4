import os
import re
import threading
import time
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdtools.streams import TableError
from sdtools.tables import KINDS, open_random_table, open_table, open_writer, read_scp

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)  # Kaldi does not read its own -inf in text
WORDS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=8) | st.text(
    "äß-λ9", min_size=1, max_size=4
)
INTS = st.integers(-(2**31), 2**31 - 1)
SIZE = st.integers(1, 5)
VALUES = {
    "matrix": st.tuples(SIZE, SIZE).flatmap(lambda shape: arrays(np.float32, shape, elements=FLOATS))
    | st.just(np.empty((0, 0), np.float32)),
    "vector": arrays(np.float32, st.integers(0, 5), elements=FLOATS),
    "int": INTS,
    "float": FLOATS,
    "int_vector": st.lists(INTS, max_size=5).map(lambda items: np.array(items, np.int32)),
    "token": WORDS,
    "tokens": st.lists(WORDS, max_size=4),
}
ORACLE = {
    "matrix": (kaldi.FloatMatrixWriter, kaldi.SequentialFloatMatrixReader),
    "vector": (kaldi.FloatVectorWriter, kaldi.SequentialFloatVectorReader),
    "int": (kaldi.Int32Writer, kaldi.SequentialInt32Reader),
    "float": (kaldi.FloatWriter, kaldi.SequentialFloatReader),
    "int_vector": (kaldi.Int32VectorWriter, kaldi.SequentialInt32VectorReader),
    "token": (kaldi.TokenWriter, kaldi.SequentialTokenReader),
    "tokens": (kaldi.TokenVectorWriter, kaldi.SequentialTokenVectorReader),
}
TABLES = st.sampled_from(list(KINDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.dictionaries(WORDS, VALUES[kind], min_size=1, max_size=4))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture
def feats(tmp_path, monkeypatch):
    """Write ``feats.ark`` and ``feats.scp`` of five random matrices into the working directory; return the matrices."""
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
    return list(a) == list(b) and all(np.array_equal(a[key], b[key], equal_nan=np.asarray(b[key]).dtype.kind == "f") for key in b)


# ---- against Kaldi's own code


@settings(max_examples=80, deadline=None)
@given(table=TABLES, option=st.sampled_from(["", ",t"]))
def test_bytes_equal_kaldis(folder, table, option):
    kind, values = table
    write(f"ark,scp{option}:{folder}/ours.ark,{folder}/ours.scp", values, kind)
    with ORACLE[kind][0](f"ark,scp{option}:{folder}/kaldi.ark,{folder}/kaldi.scp") as writer:
        for key, value in values.items():
            writer.write(key, value.tolist() if kind == "int_vector" else value)
    assert (folder / "ours.ark").read_bytes() == (folder / "kaldi.ark").read_bytes()
    assert (folder / "ours.scp").read_text() == (folder / "kaldi.scp").read_text().replace("kaldi.ark", "ours.ark")


@settings(max_examples=80, deadline=None)
@given(table=TABLES, option=st.sampled_from(["", ",t"]))
def test_values_equal_kaldis_both_ways(folder, table, option):
    kind, values = table
    write(f"ark,scp{option}:{folder}/t.ark,{folder}/t.scp", values, kind)
    with ORACLE[kind][1](f"scp:{folder}/t.scp") as reader:
        theirs = {key: np.array(value) if isinstance(value, np.ndarray) else value for key, value in reader}
    ours = read(f"ark:{folder}/t.ark", kind)
    if kind == "float":
        ours = {key: float(np.float32(value)) for key, value in ours.items()}  # of text, Kaldi keeps single precision
    assert same(ours, theirs)
    if not option:
        assert same(ours, values)
        assert same(ours, read(f"scp:{folder}/t.scp", kind))


def test_doubles_are_read_as_doubles(tmp_path):
    x = np.random.default_rng(2).standard_normal((5, 3))
    with kaldi.DoubleMatrixWriter(f"ark:{tmp_path}/x.ark") as writer:
        writer.write("a", x)
    got = read(f"ark:{tmp_path}/x.ark")["a"]
    assert got.dtype == np.float64
    assert np.array_equal(got, x)


def test_compressed_matrices_are_read_as_kaldi_reads_them(tmp_path):
    rng = np.random.default_rng(3)
    methods = kaldi.CompressionMethod
    cases = {
        "empty": (np.zeros((0, 0)), methods.kSpeechFeature),  # followed by four bytes too many in Kaldi's archives
        "speech": (rng.standard_normal((50, 7)), methods.kSpeechFeature),
        "two": (rng.standard_normal((6, 7)), methods.kTwoByteAuto),
        "constant": (np.full((3, 2), 4.0), methods.kTwoByteAuto),
        "one": (rng.standard_normal((9, 2)), methods.kOneByteAuto),
        "unit": (rng.random((9, 2)), methods.kOneByteZeroOne),
    }
    with kaldi.CompressedMatrixWriter(f"ark,scp:{tmp_path}/c.ark,{tmp_path}/c.scp") as writer:
        for key, (value, method) in cases.items():
            writer.write(key, value.astype(np.float32), method)
    with kaldi.SequentialFloatMatrixReader(f"scp:{tmp_path}/c.scp") as reader:
        theirs = {key: np.array(value) for key, value in reader}
    for table in (read(f"ark:{tmp_path}/c.ark"), read(f"scp:{tmp_path}/c.scp")):
        assert list(table) == list(cases)
        for key, value in table.items():
            assert value.dtype == np.float32
            np.testing.assert_allclose(value, theirs[key].reshape(value.shape), rtol=1e-5, atol=1e-6)


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


def test_entries_say_where_they_stand(feats):
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
    assert {key: value.tolist() for key, value in read("scp:shuffled.scp").items()} == {key: value.tolist() for key, value in feats.items()}
    with open_table("scp:shuffled.scp") as table:
        entries = list(table) * 40
        bad = []
        threads = [
            threading.Thread(
                target=lambda part: bad.extend(e.key for e in part if not np.array_equal(e.load(), feats[e.key])), args=(entries[i::4],)
            )
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bad == []


def test_script_file_of_files_ranges_and_blanks(feats):
    with open_writer("ark:one.ark") as writer:
        writer.write("k", feats["utt1"])
    data = Path("one.ark").read_bytes()[2:]
    Path("name with:colon").write_bytes(data)
    with open("x.scp", "w", encoding="utf-8", newline="") as file:
        file.write("a \t name with:colon\r\n  b\tone.ark:2[0:1]  \nc one.ark:2[:,1:2]\nd one.ark:2[2:3,0:0]")
    table = read("scp:x.scp")
    x = feats["utt1"]
    assert same(table, {"a": x, "b": x[:2], "c": x[:, 1:], "d": x[2:4, :1]})


def test_bad_entry_leaves_a_script_file_usable(feats):
    with open("feats.scp", "a", encoding="utf-8") as file:
        file.write("gone absent.ark:5\nbad feats.ark:3\nlast feats.ark:5[0:1]\nodd feats]\n")
    failed = []
    with open_table("scp:feats.scp") as table:
        for entry in table:
            try:
                entry.load()
            except TableError as e:
                failed.append((entry.key, str(e)))
    assert [key for key, _ in failed] == ["gone", "bad", "odd"]
    assert failed[0][1] == "absent.ark: got 'No such file or directory', need a readable file. Check the path"
    assert failed[1][1].startswith("feats.ark:4: object: got ")


def test_permissive_skips_exactly_the_bad_entries(feats):
    lines = Path("feats.scp").read_text().splitlines()
    lines[1:1] = ["gone absent.ark:5", "bad feats.ark:3"]
    lines.append("range feats.ark:5[0:900]")
    Path("p.scp").write_text("\n".join(lines))
    with open_table("scp,p:p.scp") as table, pytest.warns(UserWarning) as caught:
        assert same({entry.key: entry.load() for entry in table}, feats)
        assert (table.num_entries, table.num_skipped) == (8, 3)
    assert [str(w.message).split(" skipped: ")[0] for w in caught] == ["p.scp:2: gone", "p.scp:3: bad", "p.scp:8: range"]


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
        except TableError:
            assert end < len(data)
        else:
            assert len(got) == 2 or (rspecifier[:3] == "ark" and (end == 0 or end in (second - 1, second)))
        assert all(np.array_equal(got[key], whole[key]) for key in got)
        Path("cut.ark").write_bytes(data)


def test_permissive_archive_ends_where_the_damage_begins(feats):
    os.truncate("feats.ark", os.path.getsize("feats.ark") - 1)
    with open_table("ark,p:feats.ark") as table, pytest.warns(UserWarning, match="reading ends here: feats.ark:.*the file is cut short"):
        assert [entry.key for entry in table] == ["utt0", "utt1", "utt2", "utt3"]
        assert table.num_skipped == 1


def test_failing_pipe_is_an_error_even_after_whole_data(feats):
    with pytest.raises(TableError, match="exit status of the command: got 7"):
        read("ark:cat feats.ark; exit 7 |")
    with pytest.raises(TableError, match="exit status of the command: got 127"):
        read("ark:no-such-command |")


def test_pipe_inside_a_script_file_runs_only_if_allowed(feats):
    Path("x.scp").write_text("a touch ran; tail -c +6 feats.ark |\nb tail -c +6 feats.ark |[0:1]\n")
    with pytest.raises(TableError, match="need a file. Say --allow-pipes=true if you trust the script file"):
        read("scp:x.scp")
    assert not os.path.exists("ran")
    assert same(read("scp:x.scp", allow_pipes=True), {"a": feats["utt0"], "b": feats["utt0"][:2]})
    assert os.path.exists("ran")
    Path("y.scp").write_text("a tail -c +6 feats.ark; exit 3 |\n")
    with pytest.raises(TableError, match="exit status of the command: got 3"):
        read("scp:y.scp", allow_pipes=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a x\n\nb y\n", "x.scp:2: line: got b'', need a key and a value in UTF-8. Complete or remove it"),
        (b"a x\nb \n", "x.scp:2: line: got b'b ', need a key and a value"),
        (b"a x\nb \xff\n", "x.scp:2: line: got"),
        (b"a x\nb y\nc z\nb w\n", "x.scp:4: key: got b again, first at x.scp:2, need every key once. Remove one of the lines"),
    ],
)
def test_bad_lines_are_named(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.scp").write_bytes(text)
    for opener in (open_table, open_random_table):
        with pytest.raises(TableError, match=message):
            opener("scp,p:x.scp")


def test_archive_with_a_bad_key_is_refused(tmp_path):
    for data in (b"a\x01 [ ]\n", b"\xff [ ]\n", b"\0\0\0\0a [ ]\n"):
        (tmp_path / "x.ark").write_bytes(data)
        with pytest.raises(TableError, match=r"x.ark:\d+: key: got b.*, need printable text; damage or a wrong size before it"):
            read(f"ark:{tmp_path}/x.ark")


def test_tabs_newlines_and_long_keys_between_entries(tmp_path):
    long = "k" * 3000
    (tmp_path / "x.ark").write_bytes(b"a\t1 2\r\n\n  b \nc\n" + long.encode() + b" x\n")
    assert read(f"ark:{tmp_path}/x.ark", "tokens") == {"a": ["1", "2"], "b": [], "c": [], long: ["x"]}


def test_pickled_archive_is_refused(tmp_path):
    (tmp_path / "x.ark").write_bytes(b"a PKLcos\nsystem\n(S'touch %s/ran'\ntR." % str(tmp_path).encode())
    (tmp_path / "x.scp").write_text(f"a {tmp_path}/x.ark:2\n")
    for rspecifier in (f"ark:{tmp_path}/x.ark", f"scp:{tmp_path}/x.scp"):
        for kind in list(KINDS)[:5]:
            with pytest.raises(TableError, match="object: got"):
                read(rspecifier, kind)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "rspecifier",
    [
        "feats.ark",
        "ark feats.ark",
        "ark,scp:a,b",
        "scp,ark:a,b",
        "ark:ark:a",
        "ark:t,scp:a",
        "ark:| cat",
        "ark: a",
        "scp:a ",
        "ark, t:a",
        "ark,q:a",
        "ark,ark:a",
    ],
)
def test_other_names_of_tables_are_refused(rspecifier):
    with pytest.raises(TableError, match=re.escape(repr(rspecifier)) + ": not (the name of a table|a table to read)"):
        open_table(rspecifier)


def test_unknown_kind_is_refused(tmp_path):
    for opener in (open_table, open_random_table, open_writer):
        with pytest.raises(TableError, match="kind of table: got 'wave', need one of matrix, vector, int"):
            opener(f"ark:{tmp_path}/x.ark", "wave")


# ---- by key


@pytest.mark.parametrize("rspecifier", ["ark:feats.ark", "scp:feats.scp", "ark:cat feats.ark |"])
def test_values_by_key(feats, rspecifier):
    with open_random_table(rspecifier) as table:
        assert "utt3" in table
        assert "utt9" not in table
        for key in ("utt4", "utt0", "utt4"):
            assert np.array_equal(table[key], feats[key])
        with pytest.raises(TableError, match="key: got utt9, which is not there. Check that both tables come from the same data"):
            table["utt9"]


def test_archive_with_a_key_twice_has_no_values_by_key(feats):
    with pytest.raises(TableError, match=r"cat feats.ark feats.ark \|:\d+: key: got utt0 again, need every key once"):
        open_random_table("ark:cat feats.ark feats.ark |")


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
    with pytest.raises(TableError, match="exit status of the command: got 9, need 0"):
        write("ark:| cat > x; exit 9", feats)
    with pytest.raises(TableError, match="exit status|Broken pipe"), open_writer("ark:| head -c 20 > x; exit 1") as writer:
        for i in range(100):
            writer.write(f"a{i}", np.ones((200, 200)))


def test_full_disk_is_an_error_and_stays_one():
    message = "^/dev/full: write: got '{}', need a place to write to. Check path, rights and room$"
    writer = open_writer("ark:/dev/full")
    with pytest.raises(TableError, match=message.format("No space left on device")):
        writer.write("a", np.ones((500, 500)))
    with pytest.raises(TableError, match=message.format(".* closed file")), writer:
        pass


@pytest.mark.parametrize("key", ["", "a b", "a\n", "a\tb", "\0", "a\xa0b"])
def test_keys_that_cannot_be_read_again_are_refused(tmp_path, key):
    message = "key: got '.*', need printable text without blanks. Rename the entry"
    with open_writer(f"ark:{tmp_path}/x.ark", "int") as writer, pytest.raises(TableError, match=message):
        writer.write(key, 1)


def test_refused_entries_leave_nothing_behind(tmp_path):
    with open_writer(f"ark:{tmp_path}/x.ark") as writer:
        writer.write("a", np.ones((1, 1)))
        with pytest.raises(TableError, match="key: got a again, need every key once. Remove one of the entries"):
            writer.write("a", np.ones((1, 1)))
        with pytest.raises(TableError, match=r"value of b: got shape \(3,\) of float64, need a matrix in range. Write a table of its kind"):
            writer.write("b", np.ones(3))
        with pytest.raises(TableError, match="value of b: got None, need a matrix"):
            writer.write("b", None)
        writer.write("b", np.ones((2, 2)))
    assert list(read(f"ark:{tmp_path}/x.ark")) == ["a", "b"]


@pytest.mark.parametrize(
    "wspecifier", ["scp:x", "ark,scp:-,x", "ark,scp:| cat,x", "ark,scp:x", "ark,scp:x,x", "ark,scp:x, y", "scp,ark:x,y", "ark,p,s:x", "x"]
)
def test_other_outputs_are_refused(tmp_path, monkeypatch, wspecifier):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError, match=": not (the name of a table|a table to write), need ark:file or"):
        open_writer(wspecifier)
    assert os.listdir() == []


def test_second_file_that_cannot_be_opened_takes_the_first_away(tmp_path):
    with pytest.raises(TableError, match="absent/x.scp: write: got 'No such file or directory'"):
        open_writer(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/absent/x.scp")
    assert os.listdir(tmp_path) == []


def test_opening_a_script_file_costs_little_more_than_splitting_its_lines(tmp_path):
    lines = "".join(f"spk{i // 10:05d}-utt{i:06d} /data/feats/raw_cf_sd0.{i // 1000}.ark:{i * 96032 + 20}\n" for i in range(100_000))
    (tmp_path / "x.scp").write_text(lines, encoding="utf-8")

    def seconds(function):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return min(times)

    plain = seconds(lambda: dict(line.split(" ") for line in lines.splitlines()))
    assert seconds(lambda: read_scp(f"{tmp_path}/x.scp")) < 20 * plain  # measured: 3
