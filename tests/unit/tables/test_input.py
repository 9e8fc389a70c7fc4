import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from fields import fails

from sdtools.tables import input as input_module
from sdtools.tables.input import Input, open_input, split_offset
from sdtools.tables.output import open_output

DATA = bytes(range(256)) * 40


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write `DATA` into the file f of the working directory; return its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_bytes(DATA)
    return "f"


@pytest.mark.parametrize(
    ("rxfilename", "parts"),
    [
        ("a.ark:12", ("a.ark", 12)),
        ("a:1:20", ("a:1", 20)),
        ("a.ark", ("a.ark", 0)),
        ("a:b", ("a:b", 0)),
        (":5", (":5", 0)),
        ("a:1.5", ("a:1.5", 0)),
    ],
)
def test_offset_is_the_number_after_the_last_colon(rxfilename, parts):
    assert split_offset(rxfilename) == parts


def test_file_pipe_and_offset_give_the_same_bytes(file):
    for name, start in ((file, 0), (f"cat {file} |", 0), (f"{file}:700", 700)):
        with open_input(name) as source:
            assert source.read(5) == DATA[start : start + 5]
            assert source.read(9000) == DATA[start + 5 : start + 9005]
            assert source.where == f"{name.split(':')[0]}:{start + 9005}"


def test_seeks_near_and_far_go_to_the_same_byte(file):
    with open_input(file) as source:
        for offset in (3, 100, 5000, 2, 2, 511, 512, 1024, 10239):
            source.seek(offset)
            assert source.read(1) == bytes([offset % 256])


@pytest.mark.parametrize("where", ["{}", "cat {} |"])
def test_what_is_read_can_be_written_to(file, where):
    with open_input(where.format(file)) as source:
        for num_bytes in (0, 5, 9000):
            assert not memoryview(source.read(num_bytes)).readonly


@pytest.mark.parametrize("where", ["{}", "cat {} |"])
def test_lines_arrays_and_glances_keep_the_place(tmp_path, where):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, 400_000, dtype=np.uint8).tobytes()
    (tmp_path / "f").write_bytes(data)
    with open_input(where.format(tmp_path / "f")) as source:
        while source.position < 300_000:
            start = source.position
            num_bytes = int(10 ** rng.uniform(0, 5))
            kind = rng.integers(4)
            if kind == 0:
                assert source.read_line() == data[start : data.index(b"\n", start) + 1]
            elif kind == 1:
                assert source.peek(20, 30) in (data[start : start + n] for n in range(20, 31))
            elif kind == 2 and start + num_bytes <= len(data):
                assert source.read(num_bytes) == data[start : start + num_bytes]
            elif kind == 3:
                assert source.read(5) == data[start : start + 5]
        start = source.position
        assert source.read_all() == data[start:]


def test_standard_input_stays_open():
    code = (
        "import sys\n"
        "from sdtools.tables.input import open_input\n"
        "with open_input('-') as source: print(source.read(2).decode())\n"
        "print(sys.stdin.read())"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, input=b"in", capture_output=True)
    assert (result.stdout, result.stderr) == (b"in\n\n", b"")


def test_standard_input_that_is_closed_is_one_error(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with fails(who="standard input", what="it is closed"):
        Input("-")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("echo x; exit 3 |", 3),
        ("(echo x; exit 6) | cat |", 6),
        ("no-such-command 2> /dev/null |", 127),
    ],
)
@pytest.mark.parametrize("num_bytes", [0, 2, 20])
def test_status_of_a_command_counts_and_explains_short_data(command, status, num_bytes):
    fields = {"who": command, "what": "exit status of the command", "got": status, "need": 0}
    with fails(**fields), open_input(command) as source:
        source.read(num_bytes)
    with fails(**fields), open_input(command) as source:
        source.read_all()


@pytest.mark.parametrize("where", ["{}", "cat {} |"])
def test_claims_beyond_the_end_are_refused_without_taking_memory(file, where):
    num_bytes = (2**31 - 1) ** 2
    name = where.format(file)
    with open_input(name) as source:
        source.read(40)
        with fails(who=f"{name}:40", got="10200 bytes", need=f"{num_bytes} bytes"):
            source.read(num_bytes)


def test_short_reads_tell_how_much_is_missing(file):
    with open_input(file) as source:
        source.read(10238)
        hint = re.compile("cut short or damaged: write it again")
        with fails(who="f:10238", what="data", got="2 bytes", need="3 bytes", hint=hint):
            source.read(3)


def test_file_that_shrinks_while_it_is_read_is_short(file):
    with open_input(file) as source:
        os.truncate(file, 1000)
        with fails(got="1000 bytes", need="5000 bytes"):
            source.read(5000)


@pytest.mark.parametrize("name", ["absent", ".", "nul\0byte"])
def test_input_that_cannot_be_opened_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with fails(who=name, what=re.compile("^(cannot read: .|no such file$)"), hint="Check the path"):
        Input(name)


def test_error_of_the_system_is_named():
    what = "cannot read: Input/output error"
    with open_input("/proc/self/mem") as source, fails(who="/proc/self/mem:0", what=what):
        source.peek()  # no page of memory is at address 0


def test_message_is_one_printable_line_whatever_the_name():
    with pytest.raises(ValueError, match=r"^a\\nb\\x1b\[1m ä \\xa0: no such file"):
        Input("a\nb\x1b[1m ä \xa0")


def test_offset_past_the_end_is_refused(file):
    hint = re.compile("another archive")
    with fails(who=file, what="offset", got=10240, need="less than the size, 10240", hint=hint):
        Input(f"{file}:10240")


def test_offset_of_many_digits_is_refused():
    with fails(who="x", what="offset", got="9" * 18 + "...", need="at most 18 digits"):
        Input("x:" + "9" * 5000)


def test_command_in_a_script_file_may_be_forbidden(tmp_path):
    name = f"touch {tmp_path}/ran |"
    with fails(who=name, hint=re.compile("--allow-pipes=true")):
        Input(name, allow_pipes=False)
    assert not (tmp_path / "ran").exists()


def test_command_that_writes_a_little_more_than_is_read_still_ends_well():
    with open_input("seq 100000 |") as source:
        assert source.read_line() == b"1\n"


def test_command_without_an_end_is_an_error():
    what = "the command writes more than one object"
    with fails(who="echo a; yes |", what=what), open_input("echo a; yes |") as source:
        source.read_line()


def test_leaving_by_an_exception_does_not_wait_for_the_command():
    started = time.monotonic()
    with (
        pytest.raises(ZeroDivisionError),
        open_input("exec sleep 60 |"),
        open_output("| exec sleep 60"),
    ):
        raise ZeroDivisionError
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("name", ["ark:x", "ark,t:x", "scp,p:x", "t,ark:x"])
def test_the_name_of_a_table_is_refused(name):
    with fails(who=name, hint=re.compile("colon")):
        Input(name)


def test_a_named_pipe_waits_for_its_writer(file):
    os.mkfifo("fifo")
    for script in (
        "sleep 0.3; cat f > fifo",
        "(sleep 0.3; cat f) > fifo",
        "(head -c 1; sleep 0.3; cat) < f > fifo",
    ):
        writer = subprocess.Popen(["sh", "-c", script])
        with open_input("fifo") as source:
            assert source.size is None and source.read_all() == DATA
        assert writer.wait() == 0


def test_a_named_pipe_without_a_writer_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(input_module, "FIFO_PATIENCE_SEC", 0.1)
    os.mkfifo("fifo")
    with fails(who="fifo", what="no program has written to this pipe for 0.1 s"):
        Input("fifo")


def test_a_device_without_an_end_is_refused():
    for name in ("/dev/zero", "/dev/urandom", "/dev/full"):
        with fails(who=name, what="this device has no end"):
            Input(name)
    with open_input("/dev/null") as source:
        assert source.read_all() == b""


def test_a_terminal_is_an_input():
    controller, terminal = os.openpty()
    os.write(controller, b"typed\n\4")
    with open_input(os.ttyname(terminal)) as source:
        assert source.read_all() == b"typed\n"
    for descriptor in (controller, terminal):
        os.close(descriptor)
