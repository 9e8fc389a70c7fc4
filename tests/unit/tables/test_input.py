import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sdtools.errors import SdError
from sdtools.tables.input import U1, Input, open_input, split_offset
from sdtools.tables.output import Output, check_output, open_output


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


def test_file_pipe_and_offset_give_the_same_bytes(tmp_path):
    path = tmp_path / "f"
    data = bytes(range(256)) * 40
    path.write_bytes(data)
    for name, start in ((str(path), 0), (f"cat {path} |", 0), (f"{path}:700", 700)):
        with open_input(name) as source:
            assert source.read(5) == data[start : start + 5]
            assert source.read_array(U1, (9000,)).tobytes() == data[start + 5 : start + 9005]
            assert source.where == f"{name.split(':')[0]}:{start + 9005}"


def test_seeks_near_and_far_go_to_the_same_byte(tmp_path):
    (tmp_path / "f").write_bytes(bytes(range(256)) * 40)
    with open_input(str(tmp_path / "f")) as source:
        for offset in (3, 100, 5000, 2, 2, 511, 512, 1024, 10239):
            source.seek(offset)
            assert source.read(1) == bytes([offset % 256])


COPY = "with open_input('-') as source, open_output('-') as file: file.write(source.read(2))"


def run(code, **options):
    """Run a program of a few lines; standard error is text."""
    lines = ["from sdtools.streams import open_input, open_output", *code.splitlines()]
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False, **options
    )


def test_standard_input_and_output_stay_open():
    result = run(f"{COPY}\nprint('more')", input=b"in")
    assert (result.stdout, result.stderr) == (b"inmore\n", b"")


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        (
            '"$0" -c "$1" | head -c 20 > head',
            "got a reader that ended first, need one that reads all",
        ),
        ('"$0" -c "$1" > /dev/full', "got 'No space.*', need a place to write to"),
    ],
)
def test_standard_output_that_nobody_takes_is_one_error(tmp_path, shell, reason):
    code = """
import sys
from sdtools.tables.output import open_output
try:
    with open_output("-") as file:
        for _ in range(10000):
            file.write(bytes(99))
except ValueError as e:
    print(e, file=sys.stderr)
    raise SystemExit(1)
"""
    command = ["bash", "-c", f"set -o pipefail; {shell}", sys.executable, code]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert re.fullmatch(rf"standard output: write: {reason}\. .*\n", result.stderr)


def test_command_that_fails_explains_short_data():
    with (
        pytest.raises(SdError, match="exit status of the command: got 3, need 0"),
        open_input("echo x; exit 3 |") as source,
    ):
        source.read(20)
    with (
        pytest.raises(SdError, match="exit status of the command: got 127"),
        open_input("no-such-command 2> /dev/null |") as source,
    ):
        source.read_all()


@pytest.mark.parametrize("num_bytes", [1000, 1_000_000])
@pytest.mark.parametrize("command", ["head -c 20 > /dev/null", "true", "exec <&-; sleep 0.2"])
def test_command_that_does_not_take_everything_is_an_error(command, num_bytes):
    message = r"^\| .*: write: got a command that ends before the data do, need one that reads them all. Correct it$"
    with pytest.raises(SdError, match=message), open_output(f"| {command}") as file:
        file.write(bytes(num_bytes))


def test_status_of_the_command_comes_before_a_broken_pipe():
    with (
        pytest.raises(SdError, match="exit status of the command: got 5"),
        open_output("| exit 5") as file,
    ):
        file.write(bytes(1_000_000))


def test_slow_reader_gets_everything(tmp_path):
    with open_output(f"| sleep 0.2; cat > {tmp_path}/x") as file:
        file.write(bytes(1000))
    assert (tmp_path / "x").stat().st_size == 1000


def test_full_disk_shows_inside_the_block_too_and_other_files_keep_their_error(tmp_path):
    with (
        pytest.raises(SdError, match="^/dev/full: write: got 'No space left on device'"),
        open_output("/dev/full") as file,
    ):
        file.write(bytes(1 << 20))
    with pytest.raises(FileNotFoundError, match="absent"), open_output(f"{tmp_path}/x"):
        open("absent")  # noqa: SIM115
    assert os.listdir(tmp_path) == []


def test_output_command_may_be_forbidden(tmp_path):
    with pytest.raises(
        SdError,
        match="got a command, need a file. Say --allow-pipes=true if you trust the script file",
    ):
        Output(f"| touch {tmp_path}/ran", allow_pipes=False)
    assert not (tmp_path / "ran").exists()


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
                assert (
                    source.read_array(U1, (num_bytes,)).tobytes() == data[start : start + num_bytes]
                )
            elif kind == 3:
                assert source.read(5) == data[start : start + 5]
        start = source.position
        assert source.read_all() == data[start:]


@pytest.mark.parametrize("where", ["{}", "cat {} |"])
def test_claims_beyond_the_end_are_refused_without_taking_memory(tmp_path, where):
    (tmp_path / "f").write_bytes(b"12345678")
    message = r"f( \|)?:0: data: got 8 bytes, need 4611686014132420609; the file is cut short"
    with open_input(where.format(tmp_path / "f")) as source, pytest.raises(SdError, match=message):
        source.read_array(U1, (2**31 - 1, 2**31 - 1))


def test_short_reads_say_how_much_is_missing(tmp_path):
    (tmp_path / "f").write_bytes(b"12345678")
    with open_input(str(tmp_path / "f")) as source:
        source.read(6)
        with pytest.raises(
            SdError,
            match="f:6: data: got 2 bytes, need 3; the file is cut short or damaged. Write it again",
        ):
            source.read(3)


def test_file_that_shrinks_while_it_is_read_is_short(tmp_path):
    (tmp_path / "f").write_bytes(bytes(5000))
    with open_input(str(tmp_path / "f")) as source:
        os.truncate(tmp_path / "f", 1000)
        with pytest.raises(SdError, match="got 1000 bytes, need 5000"):
            source.read_array(U1, (5000,))


@pytest.mark.parametrize("name", ["absent", ".", "nul\0byte"])
def test_input_that_cannot_be_opened_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SdError,
        match=re.escape(ascii(name)[1:-1]) + ": got .*, need a readable file. Check the path",
    ):
        Input(name)


@pytest.mark.parametrize("name", ["absent/x", ".", "nul\0byte"])
def test_output_that_cannot_be_opened_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    message = (
        re.escape(ascii(name)[1:-1])
        + ": write: got .*, need a place to write to. Check path, rights and room"
    )
    with pytest.raises(SdError, match=message), open_output(name):
        pass


def test_error_of_the_system_is_named():
    with (
        open_input("/proc/self/mem") as source,
        pytest.raises(SdError, match="^/proc/self/mem:0: read: got 'Input/output error', need"),
    ):
        source.peek()  # no page of memory is at address 0


def test_message_is_one_printable_line_whatever_the_name():
    with pytest.raises(
        SdError,
        match=r"^a\\nb\\x1b\[1m ä \\xa0: got 'No such file or directory', need a readable file",
    ):
        Input("a\nb\x1b[1m ä \xa0")


def test_offset_past_the_end_is_refused(tmp_path):
    (tmp_path / "f").write_bytes(b"12345678")
    with pytest.raises(
        SdError, match="f: offset: got 8, need less than 8; it belongs to another archive"
    ):
        Input(f"{tmp_path}/f:8")


def test_failing_command_is_an_error_when_reading_and_writing():
    message = r"^echo x; exit 3 \|: exit status of the command: got 3, need 0. Run it by itself"
    with pytest.raises(SdError, match=message), open_input("echo x; exit 3 |") as source:
        source.read(2)
    with (
        pytest.raises(SdError, match="exit status of the command: got 6, need 0"),
        open_input("(echo x; exit 6) | cat |") as source,
    ):
        source.read(2)
    with (
        pytest.raises(SdError, match="exit status of the command: got 4, need 0"),
        open_output("| cat; exit 4") as file,
    ):
        file.write(b"")


def test_command_may_be_forbidden(tmp_path):
    with pytest.raises(
        SdError,
        match="got a command, need a file. Say --allow-pipes=true if you trust the script file",
    ):
        Input(f"touch {tmp_path}/ran |", allow_pipes=False)
    assert not (tmp_path / "ran").exists()


def test_command_that_says_more_than_is_read_still_ends_well():
    with open_input("seq 100000 |") as source:
        assert source.read_line() == b"1\n"


def test_leaving_by_an_exception_does_not_wait_for_the_command():
    started = time.monotonic()
    with (
        pytest.raises(ZeroDivisionError),
        open_input("exec sleep 60 |"),
        open_output("| exec sleep 60"),
    ):
        raise ZeroDivisionError
    assert time.monotonic() - started < 30


def test_output_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_output(str(path)) as file:
        file.write(b"half")
        file.flush()
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with open_output(str(path)) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_output_keeps_links_and_the_usual_rights(tmp_path):
    (tmp_path / "storage").mkdir()
    (tmp_path / "f").symlink_to("storage/g")
    with open_output(str(tmp_path / "f")) as file:
        file.write(b"data")
    (tmp_path / "plain").touch()
    assert (tmp_path / "f").is_symlink()
    assert (tmp_path / "storage/g").read_bytes() == b"data"
    assert (tmp_path / "storage/g").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_no_regular_file_is_written_in_place(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    with open_output(str(tmp_path / "fifo")) as file:
        file.write(b"data")
    reader.join()
    assert got == [b"data"]
    with open_output("/dev/null") as file:
        file.write(b"data")
    assert Path("/dev/null").is_char_device()


def test_full_disk_is_an_error():
    with (
        pytest.raises(SdError, match="^/dev/full: write: got 'No space left on device'"),
        open_output("/dev/full") as file,
    ):
        file.write(b"data")


def test_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    code = f"""
import time
from sdtools.tables.output import open_output
with open_output({str(path)!r}) as file:
    file.write(bytes(9999))
    file.flush()
    print(flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path, monkeypatch):
    code = f"from sdtools.streams import Output; import os; Output('{tmp_path}/x').write(b'1'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".x.")
    code = f"from sdtools.streams import open_output\nwith open_output('{tmp_path}/z') as f: print(flush=True); f.write(input().encode())"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        monkeypatch.setattr(
            "os.kill", lambda *_: raise_one([ProcessLookupError()])
        )  # as in another container, of the same host name
        with open_output(str(tmp_path / "y")) as file:
            file.write(b"2")
        monkeypatch.undo()
        assert not left.exists()
        process.communicate(b"alive\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "y": b"2",
        "z": b"alive",
    }


def test_an_interrupt_between_two_steps_of_opening_leaves_no_temporary_file(tmp_path):
    code = """
import sys
from sdtools.tables.input import fcntl
from sdtools.tables.output import Output

def flock(*_):
    raise KeyboardInterrupt

fcntl.flock = flock
Output(sys.argv[1])
"""
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x"], capture_output=True, text=True
    )
    assert "KeyboardInterrupt" in result.stderr and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [BlockingIOError, OSError])
def test_a_lock_that_is_not_to_be_had_harms_nothing(tmp_path, monkeypatch, error):
    left = tmp_path / ".x.sd-0123456789abcdef.tmp"
    left.touch()
    failures = [error(), error()]  # of the look for leftovers, of the first temporary file
    monkeypatch.setattr("fcntl.flock", lambda *_: raise_one(failures))
    with open_output(str(tmp_path / "y")) as file:
        file.write(b"2")
    assert (left.exists(), (tmp_path / "y").read_bytes()) == (True, b"2")


def raise_one(failures):
    """Raise the next error, if there is one."""
    if failures:
        raise failures.pop()


def test_a_temporary_file_that_is_taken_away_before_its_lock_is_made_again(tmp_path, monkeypatch):
    def take_away(file, _):
        monkeypatch.undo()
        os.unlink(file.name)

    monkeypatch.setattr("fcntl.flock", take_away)
    with open_output(str(tmp_path / "y")) as file:
        file.write(b"2")
    assert (tmp_path / "y").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "\U0001f3b5" * 63])
def test_long_names_are_written(tmp_path, name):
    with open_output(str(tmp_path / name)) as file:
        file.write(b"1")
    assert os.listdir(tmp_path) == [name]


def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(0o664)
    with open_output(str(tmp_path / "x")) as file:
        file.write(b"1")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o664


def test_a_file_is_written_once_at_a_time_whatever_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("x", "link")
    with open_output("x") as file:
        file.write(b"1")
        for name in ("./x", "link", str(tmp_path / "x")):
            with pytest.raises(
                SdError,
                match=f"^{name}: got a file that is being written under this or another name, need one for",
            ):
                Output(name)
    with pytest.raises(ZeroDivisionError), open_output("link"):
        raise ZeroDivisionError
    with open_output("./x") as file:
        file.write(b"2")
    assert (tmp_path / "x").read_bytes() == b"2"


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ('"$0" -c "$1" /dev/stdout | cat > o', "new"),
        ('echo old > o; "$0" -c "$1" /dev/stdout >> o', "old\nnew"),
        ('{ echo old; "$0" -c "$1" /dev/stdout; echo end; } > o', "old\nnewend\n"),
        ('"$0" -c "$1" /dev/stderr 2> o', "new"),
        ('"$0" -c "$1" /proc/self/fd/7 7> o', "new"),
        ('"$0" -c "$1" >(cat > o); until [ -s o ]; do sleep 0.01; done', "new"),
    ],
)
def test_what_is_open_already_is_written_where_it_stands(tmp_path, shell, text):
    code = "import sys; from sdtools.streams import open_output\nwith open_output(sys.argv[1]) as file: file.write(b'new')"
    subprocess.run(
        ["bash", "-c", shell, sys.executable, code], check=True, cwd=tmp_path, timeout=60
    )
    assert (tmp_path / "o").read_text() == text
    assert os.listdir(tmp_path) == ["o"]


@pytest.mark.parametrize(
    ("shell", "stream", "use"), [("<&-", "input", "Input"), (">&-", "output", "Output")]
)
def test_standard_stream_that_is_closed_is_one_error(shell, stream, use):
    code = f"import sys; from sdtools.streams import *\ntry: {use}('-')\nexcept SdError as e: print(e, file=sys.stderr)"
    result = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {shell}', sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        result.stderr
        == f"standard {stream}: got 'closed', need an open one. Redirect it, or name a file\n"
    )


def test_file_is_written_while_standard_output_is_closed(tmp_path):
    code = (
        "from sdtools.streams import open_output\nwith open_output('o') as file: file.write(b'new')"
    )
    subprocess.run(
        ["bash", "-c", '"$0" -c "$1" o >&-', sys.executable, code], check=True, cwd=tmp_path
    )
    assert (tmp_path / "o").read_text() == "new"


def test_command_without_an_end_is_an_error():
    with (
        pytest.raises(
            SdError,
            match=r"^echo a; yes \|: got more data behind one object, need a command that ends",
        ),
        open_input("echo a; yes |") as source,
    ):
        source.read_line()


def test_offset_of_many_digits_is_refused():
    with pytest.raises(
        SdError, match=r"^x: offset: got 9{18}\.\.\., need 18 digits or fewer. Correct it$"
    ):
        Input("x:" + "9" * 5000)


@pytest.mark.parametrize("name", ["ark:x", "ark,t:x", "scp,p:x", "t,ark:x"])
def test_the_name_of_a_table_is_not_that_of_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for use in (Input, Output, check_output):
        with pytest.raises(
            SdError,
            match=f"^{name}: got the name of a table, need that of a file. Leave out what stands before",
        ):
            use(name)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_is_refused_before_the_work(tmp_path):
    with pytest.raises(SdError, match="none/x: write: got 'No such file or directory'"):
        check_output(f"{tmp_path}/none/x")
    for name in ("-", "| cat", "/dev/null", f"{tmp_path}/x"):
        check_output(name)
    assert list(tmp_path.iterdir()) == []


def test_a_named_pipe_waits_for_its_other_end(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    data = bytes(range(256)) * 1000
    (tmp_path / "data").write_bytes(data)
    for script in (
        "sleep 0.3; cat data > fifo",
        "(sleep 0.3; cat data) > fifo",
        "(head -c 1; sleep 0.3; cat) < data > fifo",
    ):
        writer = subprocess.Popen(["sh", "-c", script], cwd=tmp_path)
        with open_input(str(tmp_path / "fifo")) as source:
            assert source.size is None and source.read_all() == data
        assert writer.wait() == 0
    reader = subprocess.Popen(["sh", "-c", "sleep 0.3; cat fifo > copy"], cwd=tmp_path)
    with open_output(str(tmp_path / "fifo")) as file:
        file.write(data)
    assert reader.wait() == 0 and (tmp_path / "copy").read_bytes() == data


def test_a_named_pipe_without_another_end_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(input, "FIFO_PATIENCE_SEC", 0.1)
    os.mkfifo("fifo")
    with pytest.raises(
        SdError,
        match="^fifo: got a pipe into which nobody writes for 0.1 s, need a program that does. Start it",
    ):
        Input("fifo")
    with pytest.raises(
        SdError,
        match="^fifo: got a pipe that nobody reads for 0.1 s, need a program that does. Start it",
    ):
        Output("fifo")


def test_a_device_without_an_end_is_no_input():
    for name in ("/dev/zero", "/dev/urandom", "/dev/full"):
        with pytest.raises(
            SdError,
            match=f"^{name}: got a device, need a file, a pipe or a terminal, which end. Check the path$",
        ):
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
