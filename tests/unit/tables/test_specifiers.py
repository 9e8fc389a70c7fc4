import re
import time

import pytest

from sdtools.errors import SdError
from sdtools.tables.specifiers import index_pairs, parse_rspecifier, parse_wspecifier, read_scp


@pytest.mark.parametrize(
    ("rspecifier", "parts"),
    [
        ("ark:a", ("ark", set(), "a")),
        ("scp,p:a b.scp", ("scp", {"p"}, "a b.scp")),
        ("s,cs,ark,o,bg:-", ("ark", {"s", "cs", "o", "bg"}, "-")),
        ("ark,p,np,s,cs,ns:a", ("ark", {"np", "ns", "cs"}, "a")),
        ("ark:", ("ark", set(), "")),
        ("ark:cat a:b |", ("ark", set(), "cat a:b |")),
    ],
)
def test_parts_of_a_table_to_read(rspecifier, parts):
    assert parse_rspecifier(rspecifier) == parts


@pytest.mark.parametrize(
    ("wspecifier", "parts"),
    [
        ("ark:a", (set(), "a", None)),
        ("ark,t:-", ({"t"}, "-", None)),
        ("t,b,ark,scp,f,p:a,b,c", ({"b", "f", "p"}, "a", "b,c")),
        ("scp,nf:a", ({"nf"}, None, "a")),
        ("ark:| gzip -c > a", (set(), "| gzip -c > a", None)),
    ],
)
def test_parts_of_a_table_to_write(wspecifier, parts):
    assert parse_wspecifier(wspecifier) == parts


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
    with pytest.raises(
        SdError, match=re.escape(repr(rspecifier)) + ": not (the name of a table|a table to read)"
    ):
        parse_rspecifier(rspecifier)


@pytest.mark.parametrize(
    "name",
    [
        "ark:x.ark|",
        "ark:cat x |",
        "ark,scp:x.ark,x.scp|",
        "ark,t:x:12",
        "ark,scp:x.ark:3,x.scp",
        "ark,scp:x,y:3",
    ],
)
def test_names_that_mean_something_else_to_a_reader_are_not_written(name):
    with pytest.raises(
        SdError,
        match=re.escape(repr(name))
        + ": not a table to write, need a file without | or :number at its end. ",
    ):
        parse_wspecifier(name)


def test_script_file_is_split_at_the_first_blank(tmp_path):
    (tmp_path / "x.scp").write_bytes(b"a \t name with:colon \r\n  b\tx[0:1]\na cat y |")
    assert read_scp(f"{tmp_path}/x.scp") == [
        ("a", "name with:colon"),
        ("b", "x[0:1]"),
        ("a", "cat y |"),
    ]


def test_index_has_every_key_once():
    assert index_pairs([("b", "x"), ("a", "y")], "x.scp") == {"b": "x", "a": "y"}
    with pytest.raises(
        SdError,
        match="^x.scp:3: key: got a again, first at x.scp:2, need every key once. Remove one of the lines$",
    ):
        index_pairs([("b", "x"), ("a", "y"), ("a", "x"), ("b", "x")], "x.scp")


def test_opening_a_script_file_costs_little_more_than_splitting_its_lines(tmp_path):
    lines = "".join(
        f"spk{i // 10:05d}-utt{i:06d} /data/feats/raw_cf_sd0.{i // 1000}.ark:{i * 96032 + 20}\n"
        for i in range(100_000)
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
