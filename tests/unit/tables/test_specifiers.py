import re

import pytest
from fields import fails

from sdtools.tables.specifiers import parse_rspecifier, parse_wspecifier


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
    with fails(who=repr(rspecifier), what=re.compile("^name of a table( to read)?$")):
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
    need, hint = "a file without | or :number at its end", re.compile("^Rename ")
    with fails(who=repr(name), what="name of a table to write", need=need, hint=hint):
        parse_wspecifier(name)
