"""Names of Kaldi tables, such as `ark,t:feats.ark` and `scp,p:feats.scp`.

kaldiio lacks the options `b`, `bg`, `nf` and those that cancel another (`np`), and opens names with
blanks around them.
"""

from __future__ import annotations

import re

from sdtools.errors import SdError
from sdtools.tables.input import TABLE, split_offset

PAIRS = {"o": "no", "s": "ns", "cs": "ncs", "p": "np", "bg": "nbg", "b": "t"}
READ_OPTIONS = PAIRS | {off: on for on, off in PAIRS.items()}  # with the option that cancels it
WRITE_OPTIONS = {"b": "t", "t": "b", "f": "nf", "nf": "f", "p": "np", "np": "p"}


def _parse(specifier: str, opposites: dict[str, str]) -> tuple[str, set[str], str]:
    """Split `ark,t:name` into its form (`ark`, `scp`, `ark,scp`), its options, and the name.

    `opposites` maps every known option to the one that cancels it.
    """
    head, colon, name = specifier.partition(":")
    form: list[str] = []
    options: set[str] = set()
    for word in head.split(","):
        if word in ("ark", "scp"):
            form.append(word)
        elif word in opposites:
            options = (options | {word}) - {opposites[word]}
        else:
            colon = ""
    is_form = form in (["ark"], ["scp"], ["ark", "scp"])
    if not colon or not is_form or name != name.strip() or TABLE.match(name):
        need = f"ark:file or scp:file, options {', '.join(opposites)}"
        raise SdError(repr(specifier), "name of a table", need=need, hint="Write it as in Kaldi")
    return ",".join(form), options, name


def parse_rspecifier(rspecifier: str) -> tuple[str, set[str], str]:
    """Split the name of a table to read.

    Returns
    -------
    form
        `ark` or `scp`.
    options
        The options that are on.
    rxfilename
        The archive or script file.

    Raises
    ------
    SdError
        If this does not name a table to read.
    """
    form, options, name = _parse(rspecifier, READ_OPTIONS)
    if form == "ark,scp" or name.startswith("|"):
        need, hint = "ark: or scp:, and no | in front", "Name one input"
        raise SdError(repr(rspecifier), "name of a table to read", need=need, hint=hint)
    return form, options, name


def parse_wspecifier(wspecifier: str) -> tuple[set[str], str | None, str | None]:
    """Split the name of a table to write.

    Returns
    -------
    options
        The options that are on.
    archive
        None if the script file exists and names a file for every key.
    script
        None if there is none.

    Raises
    ------
    SdError
        If this does not name a table to write.
    """
    form, options, name = _parse(wspecifier, WRITE_OPTIONS)
    if form == "scp":
        return options, None, name
    ark, _, scp = name.partition(",") if form == "ark,scp" else (name, "", None)

    def refuse(need: str, hint: str) -> SdError:
        return SdError(repr(wspecifier), "name of a table to write", need=need, hint=hint)

    if scp is not None:
        is_file = ark not in ("", "-") and ark[0] != "|" and scp not in ("", ark)
        if not is_file or " " in (ark[-1], scp[0]):
            need, hint = "ark:file or ark,scp:archive,script", "Name a file for the archive"
            raise refuse(need, hint)
        if re.search("[\n\ud800-\udfff]", ark):
            raise refuse("an archive whose name is UTF-8 in one line, for the script", "Rename it")
    for file in (ark, scp or ""):
        if file[:1] != "|" and (file[-1:] == "|" or split_offset(file)[0] != file):
            raise refuse("a file without | or :number at its end", f"Rename {file}")
    return options, ark, scp
