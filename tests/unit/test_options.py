from dataclasses import dataclass, field

import pytest

from sdtools.errors import SdError, SdWarning, UsageError
from sdtools.options import check_settings, load_settings, read_config, save_settings
from sdtools.options import known_fields as known


@dataclass(frozen=True)
class Options:
    num_bands: int = field(default=80, metadata={"help": "how many"})
    limit_hz: float | None = field(default=None, metadata={"help": "upper end"})
    orders: tuple[int, ...] = field(default=(0, 2), metadata={"help": "which"})
    kind: str = field(default="a", metadata={"help": "what", "choices": ("a", "b")})
    loud: bool = field(default=False, metadata={"help": "whether"})


@dataclass(frozen=True)
class Others:
    scale: float = field(default=1.5, metadata={"help": "how wide"})


@pytest.mark.parametrize("options", [Options(), Options(3, 0.1, (1, 3), "b", True), Others(2.0)])
def test_settings_are_saved_and_read_back(tmp_path, options):
    save_settings(tmp_path / "x.conf", options, Others(7.0), first=["# a comment"])
    if isinstance(options, Options):
        assert load_settings(tmp_path / "x.conf", Options) == options
    assert load_settings(tmp_path / "x.conf", Others) == Others(7.0)


def test_commands_in_a_file_are_refused(tmp_path):
    (tmp_path / "x.conf").write_text("--kind=touch x |\n")
    with pytest.raises(UsageError) as info:
        read_config(str(tmp_path / "x.conf"), known([Options, Others]))
    assert info.value.who == f"{tmp_path}/x.conf:1"


def test_text_that_is_not_utf8_names_its_line(tmp_path):
    (tmp_path / "x.conf").write_bytes(b"--loud\n\xff\n")
    with pytest.raises(UsageError) as info:
        load_settings(tmp_path / "x.conf", Options)
    assert info.value.who == f"{tmp_path}/x.conf:2" and info.value.need == "UTF-8"


def test_a_byte_order_mark_is_skipped(tmp_path):
    (tmp_path / "x.conf").write_bytes(b"\xef\xbb\xbf--loud\r\n--num-bands=3\r\n\r\n")
    assert load_settings(tmp_path / "x.conf", Options) == Options(3, loud=True)
    values = read_config(str(tmp_path / "x.conf"), known([Options]))
    assert values == {"loud": True, "num_bands": 3}


def test_settings_beside_a_file_must_be_the_same(tmp_path):
    path = str(tmp_path / "x")
    with pytest.warns(SdWarning, match=r"x\.conf does not exist") as caught:
        check_settings(path, Options())
    assert "--num-bands=80" in caught[0].message.what
    save_settings(f"{path}.conf", Options(3), Others())
    check_settings(path, Options(3), Others())
    with pytest.raises(SdError) as info:
        check_settings(path, Options(4), Others())
    assert info.value.got == "--num-bands=4" and "--num-bands=3" in info.value.need
