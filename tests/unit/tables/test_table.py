import os
import threading
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.tables.table import KINDS, open_random_table, open_table, open_writer


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
    return list(a) == list(b) and all(
        np.array_equal(a[key], b[key], equal_nan=np.asarray(b[key]).dtype.kind == "f") for key in b
    )


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
    assert {key: value.tolist() for key, value in read("scp:shuffled.scp").items()} == {
        key: value.tolist() for key, value in feats.items()
    }
    with open_table("scp:shuffled.scp") as table:
        entries = list(table) * 40
        bad = []
        threads = [
            threading.Thread(
                target=lambda part: bad.extend(
                    e.key for e in part if not np.array_equal(e.load(), feats[e.key])
                ),
                args=(entries[i::4],),
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
        file.write(
            "a \t name with:colon\r\n  b\tone.ark:2[0:1]  \nc one.ark:2[:,1:2]\nd one.ark:2[2:3,0:0]"
        )
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
            except SdError as e:
                failed.append((entry.key, str(e)))
    assert [key for key, _ in failed] == ["gone", "bad", "odd"]
    assert (
        failed[0][1]
        == "absent.ark: cannot read: No such file or directory. Check the path."
    )
    assert failed[1][1].startswith("feats.ark:3: object: got ")


def test_permissive_skips_exactly_the_bad_entries(feats):
    lines = Path("feats.scp").read_text().splitlines()
    lines[1:1] = ["gone absent.ark:5", "bad feats.ark:3"]
    lines.append("range feats.ark:5[0:900]")
    Path("p.scp").write_text("\n".join(lines))
    with open_table("scp,p:p.scp") as table, pytest.warns(UserWarning) as caught:
        assert same({entry.key: entry.load() for entry in table}, feats)
        assert (table.num_entries, table.num_skipped) == (8, 3)
    assert [str(w.message).split(" skipped: ")[0] for w in caught] == [
        "p.scp:2: gone",
        "p.scp:3: bad",
        "p.scp:8: range",
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
            assert len(got) == 2 or (
                rspecifier[:3] == "ark" and (end == 0 or end in (second - 1, second))
            )
        assert all(np.array_equal(got[key], whole[key]) for key in got)
        Path("cut.ark").write_bytes(data)


def test_permissive_archive_ends_where_the_damage_begins(feats):
    os.truncate("feats.ark", os.path.getsize("feats.ark") - 1)
    with (
        open_table("ark,p:feats.ark") as table,
        pytest.warns(UserWarning, match="reading ends here: feats.ark:.*[Tt]he file is cut short"),
    ):
        assert [entry.key for entry in table] == ["utt0", "utt1", "utt2", "utt3"]
        assert table.num_skipped == 1


def test_failing_pipe_is_an_error_even_after_whole_data(feats):
    with pytest.raises(SdError, match="exit status of the command: expected 0, found 7"):
        read("ark:cat feats.ark; exit 7 |")
    with pytest.raises(SdError, match="exit status of the command: expected 0, found 127"):
        read("ark:no-such-command |")


def test_pipe_inside_a_script_file_runs_only_if_allowed(feats):
    Path("x.scp").write_text("a touch ran; tail -c +6 feats.ark |\nb tail -c +6 feats.ark |[0:1]\n")
    with pytest.raises(
        SdError, match="Use --allow-pipes=true if you trust the script file"
    ):
        read("scp:x.scp")
    assert not os.path.exists("ran")
    assert same(read("scp:x.scp", allow_pipes=True), {"a": feats["utt0"], "b": feats["utt0"][:2]})
    assert os.path.exists("ran")
    Path("y.scp").write_text("a tail -c +6 feats.ark; exit 3 |\n")
    with pytest.raises(SdError, match="exit status of the command: expected 0, found 3"):
        read("scp:y.scp", allow_pipes=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"a x\n\nb y\n",
            "x.scp:2: line: expected a key and a value in UTF-8, found b''. Complete or remove",
        ),
        (b"a x\nb \n", "x.scp:2: line: expected a key and a value in UTF-8, found b'b '"),
        (b"a x\nb \xff\n", "x.scp:2: line: expected"),
    ],
)
def test_bad_lines_are_named(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.scp").write_bytes(text)
    for opener in (open_table, open_random_table):
        with pytest.raises(SdError, match=message):
            opener("scp,p:x.scp")


def test_archive_with_a_bad_key_is_refused(tmp_path):
    for data in (
        b"a\x01 [ ]\n",
        b"\xff [ ]\n",
        b"\0\0\0\0a [ ]\n",
        bytes(10_000_000),
        b"k" * 70_000 + b" [ ]\n",
    ):
        (tmp_path / "x.ark").write_bytes(data)
        with pytest.raises(
            SdError,
            match=r"x.ark:\d+: key: got b.*, need printable text; damage or a wrong size before it",
        ):
            read(f"ark:{tmp_path}/x.ark")


def test_tabs_newlines_and_long_keys_between_entries(tmp_path):
    long = "k" * 3000
    (tmp_path / "x.ark").write_bytes(b"a\t1 2\r\n\n  b \nc\n" + long.encode() + b" x\n")
    assert read(f"ark:{tmp_path}/x.ark", "tokens") == {
        "a": ["1", "2"],
        "b": [],
        "c": [],
        long: ["x"],
    }


def test_pickled_archive_is_refused(tmp_path):
    (tmp_path / "x.ark").write_bytes(
        b"a PKLcos\nsystem\n(S'touch %s/ran'\ntR." % str(tmp_path).encode()
    )
    (tmp_path / "x.scp").write_text(f"a {tmp_path}/x.ark:2\n")
    for rspecifier in (f"ark:{tmp_path}/x.ark", f"scp:{tmp_path}/x.scp"):
        for kind in list(KINDS)[:5]:
            with pytest.raises(SdError, match="object: got"):
                read(rspecifier, kind)
    assert not (tmp_path / "ran").exists()


def test_unknown_kind_is_refused(tmp_path):
    for opener in (open_table, open_random_table, open_writer):
        with pytest.raises(
            SdError, match="kind of table: got 'wave', need one of matrix, vector, int"
        ):
            opener(f"ark:{tmp_path}/x.ark", "wave")


# ---- by key


@pytest.mark.parametrize("rspecifier", ["ark:feats.ark", "scp:feats.scp", "ark:cat feats.ark |"])
def test_values_by_key(feats, rspecifier):
    with open_random_table(rspecifier) as table:
        assert "utt3" in table
        assert "utt9" not in table
        for key in ("utt4", "utt0", "utt4"):
            assert np.array_equal(table[key], feats[key])
        with pytest.raises(
            SdError,
            match="key: got utt9, which is not there. Check that both tables come from the same data",
        ):
            table["utt9"]


def test_status_of_a_command_is_judged_though_keys_were_not_all_asked_for(feats):
    rspecifier = "ark:cat feats.ark; exit 3 |"
    with (
        pytest.raises(SdError, match="exit status of the command: expected 0, found 3"),
        open_random_table(rspecifier) as table,
    ):
        assert "utt0" in table
    with pytest.raises(ZeroDivisionError), open_random_table(rspecifier) as table:
        raise ZeroDivisionError
    with (
        pytest.warns(UserWarning, match="reading ends here: .*exit status"),
        open_random_table(rspecifier.replace(":", ",p:", 1)) as table,
    ):
        assert "utt0" in table
    with open_random_table("ark:cat feats.ark; yes |") as table:  # nobody can wait for its end
        assert "utt0" in table


def test_script_file_with_a_key_twice_has_values_in_order_only(feats):
    Path("x.scp").write_text("b feats.ark:5\na feats.ark:5\nb feats.ark:5\n")
    with open_table("scp,s,cs,o:x.scp") as table:
        assert [entry.key for entry in table] == ["b", "a", "b"]
    with pytest.raises(
        SdError,
        match="^x.scp:3: key: expected every key once, found b again, first on line 1. Remove one",
    ):
        open_random_table("scp,p:x.scp")


def test_keys_of_a_sorted_script_file_are_in_byte_order(tmp_path):
    (tmp_path / "x.scp").write_text("B x\na x\nä x\n10 x\n9 x\n")
    message = "x.scp: key: got 10 after ä, need byte order under option s. Sort with LC_ALL=C, or leave out the option"
    with pytest.raises(SdError, match=message):
        open_random_table(f"scp,s:{tmp_path}/x.scp")
    with open_random_table(f"scp,cs:{tmp_path}/x.scp") as table:
        assert "9" in table


def ask(table, *keys):
    return [key in table and float(table[key][0, 0]) for key in keys]


@pytest.fixture
def letters(tmp_path, monkeypatch):
    """Write archives whose keys are the letters of their names, with the letters' numbers as values."""
    monkeypatch.chdir(tmp_path)
    for name in ("abde", "bdac", "abbc"):
        with kaldi.FloatMatrixWriter(f"ark:{name}.ark") as writer:
            for key in name:
                writer.write(key, np.full((1, 2), ord(key) - 96, np.float32))


@pytest.mark.parametrize("options", ["", ",s", ",s,cs", ",cs", ",o", ",o,s", ",o,s,cs", ",p,bg"])
def test_keys_in_order_are_found_under_every_option(letters, options):
    with open_random_table(f"ark{options}:abde.ark") as table:
        assert ask(table, "a", "c", "d", "z") == [1, False, 4, False]


@pytest.mark.parametrize("options", ["", ",s", ",o", ",o,s"])
def test_keys_may_be_asked_in_any_order_unless_called_sorted(letters, options):
    with open_random_table(f"ark{options}:abde.ark") as table:
        assert ask(table, "d", "c", "a", "z", "b") == [4, False, 1, False, 2]


def test_keys_called_sorted_must_be_so(letters):
    with open_random_table("ark,s,cs:abde.ark") as table:
        assert ask(table, "b", "b", "d") == [2, 2, 4]
        with pytest.raises(
            SdError,
            match="^ark,s,cs:abde.ark: key asked for: got b after d, need byte order under option cs. Sort",
        ):
            table["b"]


def test_value_under_option_o_is_given_once(letters):
    for rspecifier in ("ark,o:abde.ark", "ark,o,s:abde.ark"):
        with open_random_table(rspecifier) as table:
            assert ask(table, "b", "a") == [2, 1]
            with pytest.raises(
                SdError,
                match="key asked for: got b again, need every key once under option o. Leave out the option",
            ):
                table["b"]
    with open_random_table("ark,o,s,cs:abde.ark") as table:
        assert ask(table, "b", "b") == [2, 2]


def test_sorted_archive_is_read_no_further_than_it_takes(letters):
    os.truncate("abde.ark", os.path.getsize("abde.ark") - 1)
    with open_random_table("ark,s:abde.ark") as table:
        assert ask(table, "c", "d") == [False, 4]
        for _ in range(2):
            with pytest.raises(SdError, match="[Tt]he file is cut short"):
                "dd" in table  # noqa: B015
    with open_random_table("ark:abde.ark") as table:
        assert ask(table, "d") == [4]
        for _ in range(2):
            with pytest.raises(SdError, match="[Tt]he file is cut short"):
                "c" in table  # noqa: B015
        assert ask(table, "a") == [1]


def test_archive_that_is_not_sorted_is_refused_where_it_shows(letters):
    message = "^bdac.ark:52: key: got a after d, need byte order under option s. Sort with LC_ALL=C, or leave out the option$"
    for options in ("s", "s,cs"):
        with open_random_table(f"ark,{options}:bdac.ark") as table:
            assert ask(table, "b", "d") == [2, 4]
            with pytest.raises(SdError, match=message):
                table["z"]


def test_archive_with_a_key_twice_is_refused_where_it_shows(letters):
    for options, message in (
        ("", "key: got b again, need every key once. Write the archive again"),
        (",s", "key: got b after b"),
    ):
        with open_random_table(f"ark{options}:abbc.ark") as table:
            assert ask(table, "b") == [2]
            with pytest.raises(SdError, match=message):
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
        with pytest.warns(
            UserWarning, match="^scp,p:p.scp: (gone|bad) skipped: (absent|feats).ark"
        ) as caught:
            assert "gone" not in table
            assert "gone" not in table
            assert "bad" not in table
        assert (len(caught), table.num_skipped) == (2, 2)
        assert all(key in table and np.array_equal(table[key], feats[key]) for key in feats)
        assert np.array_equal(table["utt0"], feats["utt0"])
    os.truncate("feats.ark", os.path.getsize("feats.ark") - 1)
    with open_random_table("ark,p:feats.ark") as table:
        with pytest.warns(
            UserWarning, match="^reading ends here: feats.ark:.*[Tt]he file is cut short"
        ):
            assert [key for key in feats if key in table] == ["utt0", "utt1", "utt2", "utt3"]
        assert table.num_skipped == 1


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
    with pytest.raises(SdError, match="exit status of the command: expected 0, found 9"):
        write("ark:| cat > x; exit 9", feats)
    with (
        pytest.raises(SdError, match="exit status|Broken pipe"),
        open_writer("ark:| head -c 20 > x; exit 1") as writer,
    ):
        for i in range(100):
            writer.write(f"a{i}", np.ones((200, 200)))


def test_full_disk_is_an_error_and_stays_one():
    message = "^/dev/full: cannot write: {}. Check the path"
    writer = open_writer("ark:/dev/full")
    with pytest.raises(SdError, match=message.format("No space left on device")):
        writer.write("a", np.ones((500, 500)))
    with pytest.raises(SdError, match=message.format(".* closed file")), writer:
        pass


@pytest.mark.parametrize("key", ["", "a b", "a\n", "a\tb", "\0", "a\xa0b"])
def test_keys_that_cannot_be_read_again_are_refused(tmp_path, key):
    message = "key: got '.*', need printable text without blanks. Rename the entry"
    with (
        open_writer(f"ark:{tmp_path}/x.ark", "int") as writer,
        pytest.raises(SdError, match=message),
    ):
        writer.write(key, 1)


def test_refused_entries_leave_nothing_behind(tmp_path):
    with open_writer(f"ark:{tmp_path}/x.ark") as writer:
        writer.write("a", np.ones((1, 1)))
        with pytest.raises(
            SdError, match="key: got a again, need every key once. Remove one of the entries"
        ):
            writer.write("a", np.ones((1, 1)))
        with pytest.raises(
            SdError,
            match=r"value of b: got shape \(3,\) of float64, need a matrix in range. Write a table of its kind",
        ):
            writer.write("b", np.ones(3))
        with pytest.raises(SdError, match="value of b: got None, need a matrix"):
            writer.write("b", None)
        writer.write("b", np.ones((2, 2)))
    assert list(read(f"ark:{tmp_path}/x.ark")) == ["a", "b"]


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
    message = "^out.scp: key: got utt0, which is not there. List it, or say scp,p: to drop what is not listed$"
    with open_writer("scp:out.scp") as writer, pytest.raises(SdError, match=message):
        writer.write("utt0", feats["utt0"])
    message = "^out.scp: 4 entries dropped, whose keys are not in it$"
    with pytest.warns(UserWarning, match=message), open_writer("scp,p:out.scp") as writer:
        assert [key for key, value in feats.items() if writer.write(key, value)] == ["utt1"]
    assert same(read("scp:out.scp"), {"utt1": feats["utt1"]})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "a out.mat:12",
            "out.scp: value: got out.mat:12, need a file without offset or range. Correct the line",
        ),
        ("a out.mat[0:1]", r"out.scp: value: got out.mat\[0:1\], need a file"),
        ("a | cat > out.mat", "Use --allow-pipes=true"),
        ("a absent/out.mat", "absent/out.mat: cannot write: No such file or directory"),
        ("a out.mat\na other.mat", "out.scp:2: key: expected every key once, found a again, first on line 1"),
    ],
)
def test_script_file_that_is_no_place_to_write_to(tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    Path("out.scp").write_text(line)
    with pytest.raises(SdError, match=message):
        write("scp:out.scp", {"a": np.ones((1, 1))})
    assert os.listdir() == ["out.scp"]


def test_output_command_inside_a_script_file_runs_if_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out.scp").write_text("a | cat > out.mat\nb | exit 3\n")
    with open_writer("scp:out.scp", "vector", allow_pipes=True) as writer:
        writer.write("a", np.ones(3, np.float32))
        with pytest.raises(SdError, match="exit status of the command: expected 0, found 3"):
            writer.write("b", np.ones(3, np.float32))
    assert Path("out.mat").read_bytes() == b"\0BFV \4\3\0\0\0" + np.ones(3, "<f4").tobytes()


def test_what_cannot_be_compressed_is_refused_with_its_key(tmp_path):
    with open_writer(f"ark:{tmp_path}/x.ark", compression_method=1) as writer:
        for value in (np.nan, np.inf):
            message = r"x.ark: value of a: got shape \(1, 1\) of float64, need finite values, which alone can be compressed. Look at the"
            with pytest.raises(SdError, match=message):
                writer.write("a", np.array([[value]]))
        with pytest.raises(
            SdError, match=r"value of a: got shape \(2, 1\) of float64, need a matrix in range"
        ):
            writer.write("a", np.array([[3e38], [-3e38]]))
    for method, kind in ((8, "matrix"), (-1, "matrix"), (1, "vector")):
        with pytest.raises(
            SdError,
            match=f": compression method: got {method} for a {kind}, need 0, or 1 to 7 for a matrix",
        ):
            open_writer(f"ark:{tmp_path}/x.ark", kind, compression_method=method)


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
    with pytest.raises(
        SdError, match=": not (the name of a table|a table to write), need ark:file or"
    ):
        open_writer(wspecifier)
    assert os.listdir() == []


def test_archive_and_script_file_are_two_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SdError, match="^./x: this file is being written already"
    ):
        open_writer("ark,scp:x,./x")
    with (
        open_writer("ark,scp:x.ark,x.scp"),
        pytest.raises(SdError, match="^x.scp: this file is being written already"),
    ):
        open_writer("ark,t:x.scp", "int")
    assert sorted(os.listdir()) == ["x.ark", "x.scp"]


def test_second_file_that_cannot_be_opened_takes_the_first_away(tmp_path):
    with pytest.raises(SdError, match="absent/x.scp: cannot write: No such file or directory"):
        open_writer(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/absent/x.scp")
    assert os.listdir(tmp_path) == []
