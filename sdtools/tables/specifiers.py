"""Names of Kaldi tables, such as ``ark,t:feats.ark`` and ``scp,p:feats.scp``, and script files."""

import re

from sdtools.errors import SdError
from sdtools.tables.input import TABLE, split_offset

PAIRS = {"o": "no", "s": "ns", "cs": "ncs", "p": "np", "bg": "nbg", "b": "t"}
READ_OPTIONS = PAIRS | {off: on for on, off in PAIRS.items()}  # with what takes each back
WRITE_OPTIONS = {"b": "t", "t": "b", "f": "nf", "nf": "f", "p": "np", "np": "p"}


def parse_specifier(specifier, opposites):
    """Split ``ark,t:name`` into its form (``ark``, ``scp``, ``ark,scp``), the options that are on, and the name.

    ``opposites`` maps every known option to the one that takes it back.
    """
    head, colon, name = specifier.partition(":")
    form, options = [], set()
    for word in head.split(","):
        if word in ("ark", "scp"):
            form.append(word)
        elif word in opposites:
            options = (options | {word}) - {opposites[word]}
        else:
            colon = ""
    if (
        not colon
        or form not in (["ark"], ["scp"], ["ark", "scp"])
        or name != name.strip()
        or TABLE.match(name)
    ):
        known = ", ".join(opposites)
        raise SdError(
            f"{specifier!r}: not the name of a table, need ark:file or scp:file, options {known}. Write it as in Kaldi"
        )
    return ",".join(form), options, name


def parse_rspecifier(rspecifier):
    """Split the name of a table to be read into its form, the set of options that are on, and the rxfilename."""
    form, options, name = parse_specifier(rspecifier, READ_OPTIONS)
    if form == "ark,scp" or name.startswith("|"):
        raise SdError(
            f"{rspecifier!r}: not a table to read, need one of ark: and scp:, and no | in front. Name one input"
        )
    return form, options, name


def parse_wspecifier(wspecifier):
    """Split the name of a table to be written into the set of options that are on, the archive, and the script file.

    Without an archive (None), the script file exists and names a file for every key.
    """
    form, options, name = parse_specifier(wspecifier, WRITE_OPTIONS)
    if form == "scp":
        return options, None, name
    ark, _, scp = name.partition(",") if form == "ark,scp" else (name, "", None)
    if scp is not None and (
        ark in ("", "-") or ark[0] == "|" or scp in ("", ark) or " " in (ark[-1], scp[0])
    ):
        raise SdError(
            f"{wspecifier!r}: not a table to write, need ark:file or ark,scp:archive,script. Name a file for the archive"
        )
    if scp is not None and re.search("[\n\ud800-\udfff]", ark):
        raise SdError(
            f"{wspecifier!r}: not a table to write, need an archive whose name is UTF-8 in one line, for the script. Rename it"
        )
    for file in (ark, scp or ""):
        if file[:1] != "|" and (file[-1:] == "|" or split_offset(file)[0] != file):
            raise SdError(
                f"{wspecifier!r}: not a table to write, need a file without | or :number at its end. Rename {file}"
            )
    return options, ark, scp
