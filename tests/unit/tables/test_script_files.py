import time

import pytest
from fields import fails

from sdtools.tables.script_files import index_pairs, iter_scp, read_scp


def test_script_file_is_split_at_the_first_blank(tmp_path):
    (tmp_path / "x.scp").write_bytes(b"a \t name with:colon \r\n  b\tx[0:1]\na cat y |")
    pairs = [("a", "name with:colon"), ("b", "x[0:1]"), ("a", "cat y |")]
    assert read_scp(f"{tmp_path}/x.scp") == list(iter_scp(f"{tmp_path}/x.scp")) == pairs


@pytest.mark.parametrize(
    ("text", "number", "got"),
    [
        (b"a x\n\nb y\n", 2, "b''"),
        (b"a x\n\n\n", 2, "b''"),
        (b"a x\nb \n", 2, "b'b '"),
        (b"a x\nb \xff\n", 2, r"b'b \xff'"),
    ],
)
def test_bad_lines_are_named(tmp_path, text, number, got):
    (tmp_path / "x.scp").write_bytes(text)
    need = "a key and a value in UTF-8"
    for read in (read_scp, lambda name: list(iter_scp(name))):
        with fails(who=f"{tmp_path}/x.scp:{number}", what="line", got=got, need=need):
            read(f"{tmp_path}/x.scp")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n\r\n"])
def test_script_file_as_editors_write_it(tmp_path, end):
    """Byte order marks, also where files were joined, and a blank last line."""
    (tmp_path / "x.scp").write_bytes(b"\xef\xbb\xbfa x\n\xef\xbb\xbfb y" + end.encode())
    pairs = [("a", "x"), ("b", "y")]
    assert read_scp(f"{tmp_path}/x.scp") == list(iter_scp(f"{tmp_path}/x.scp")) == pairs


def test_index_has_every_key_once():
    assert index_pairs([("b", "x"), ("a", "y")], "x.scp") == {"b": "x", "a": "y"}
    got, need = "a again, first on line 2", "every key once"
    with fails(who="x.scp:3", what="key", got=got, need=need):
        index_pairs([("b", "x"), ("a", "y"), ("a", "x"), ("b", "x")], "x.scp")


def test_opening_a_script_file_costs_little_more_than_splitting_its_lines(tmp_path):
    lines = "".join(
        f"spk{i // 10:05d}-utt{i:06d} /data/feats/raw_cf_sd0.{i // 1000}.ark:{i * 96032 + 20}\n"
        for i in range(50_000)
    )
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
