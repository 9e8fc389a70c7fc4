"""Full disks, quotas, read-only places: one error line, old outputs unchanged, no leftovers."""

import os
import random
import resource
import shutil
import subprocess
from contextlib import contextmanager, suppress

import chain
import pytest
from form import IS_FULL

NAMES = [name for name in chain.LINES if name != "detect"]  # which writes line by line
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ROOMS = range(
    0, 200, 8
)  # pages that are left on the small disk; the last is more than any command here needs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    chain.make_inputs(folder)
    return folder


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


def can_mount(place):
    with suppress(OSError, subprocess.CalledProcessError):
        mount("-t", "tmpfs", "none", place)
        subprocess.run(["umount", place], check=True)
        return True
    return False


@contextmanager
def small_disk(place, num_pages):
    """A file system of its own under a folder, with so much room left."""
    before = place.with_name(f"{place.name}.before")
    shutil.copytree(place, before)
    mount("-t", "tmpfs", "-o", "size=16m", "none", place)
    try:
        shutil.copytree(before, place, dirs_exist_ok=True)
        used = os.statvfs(place)
        mount(
            "-o",
            f"remount,size={(used.f_blocks - used.f_bfree + num_pages) * used.f_frsize}",
            place,
        )
        yield
    finally:
        subprocess.run(["umount", place], check=True)
        shutil.rmtree(before)


@contextmanager
def read_only(place):
    """A folder that cannot be written; the rights alone do not keep root from it."""
    folders = [path for path in (place, *place.rglob("*")) if path.is_dir()]
    if os.geteuid() == 0:
        mount("--bind", place, place)
        mount("-o", "remount,bind,ro", place)
    else:
        for path in folders:
            path.chmod(0o555)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", place], check=True)
        for path in folders:
            path.chmod(0o755)


def run_in_vain(name, folder, reason, **options):
    """One error line with the system's reason, and everything as it was."""
    place = folder / "out" / name
    old = without(chain.files(place), ".wav")
    result = chain.run(name, folder, **options)
    assert result.returncode == 1 and chain.is_one_error(result.stderr), result.stderr
    assert reason in result.stderr
    assert without(chain.files(place), ".wav") == old  # replayed copies that are whole stay


def without(content, end):
    return {path: content[path] for path in content if not path.endswith(end)}


def limit_files(num_bytes):
    """As a quota does: a write is cut short, the next one is refused (Python ignores SIGXFSZ)."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


def without_copies(place):
    """Replayed copies that are there already would not be made again."""
    for path in place.rglob("*.wav"):
        path.unlink()


@pytest.mark.parametrize("name", NAMES if IS_FULL else NAMES[::3])
def test_a_write_cut_short_leaves_the_old_output(folder, name, fault):
    rng, place = random.Random(name), folder / "out" / name
    without_copies(place)
    largest = max(map(len, chain.files(place).values()))
    for num_bytes in [largest - 1, *(rng.randrange(largest) for _ in range(7 if IS_FULL else 0))]:
        with fault("short write"):
            run_in_vain(name, folder, "File too large", preexec_fn=limit_files(num_bytes))
    assert chain.run(name, folder).returncode == 0


def test_a_simulation_that_could_not_begin_can_be_begun_again(folder, fault):
    place = folder / "out" / "simulate-replay"
    old = chain.files(place)
    shutil.rmtree(place / "replayed")
    with fault("short write"):
        result = chain.run("simulate-replay", folder, preexec_fn=limit_files(0))
        assert result.returncode == 1 and chain.is_one_error(result.stderr), result.stderr
        assert chain.run("simulate-replay", folder).returncode == 0
        assert chain.files(place) == old


@pytest.mark.parametrize("name", NAMES if IS_FULL else NAMES[1::3])
def test_a_full_disk_leaves_the_old_output(folder, name, fault):
    """With some pages more at each try until they are enough; in the short form with none."""
    place = folder / "out" / name
    if not can_mount(place):
        pytest.skip("a small disk: cannot mount one here")
    without_copies(place)
    for num_pages in ROOMS:
        with small_disk(place, num_pages):
            if num_pages and chain.run(name, folder).returncode == 0:
                break
        with small_disk(place, num_pages), fault("full disk"):
            run_in_vain(name, folder, "No space left on device")
        if not IS_FULL:
            return
    else:
        pytest.fail(f"{name} fails with {ROOMS[-1]} pages, too")


@pytest.mark.parametrize("name", NAMES if IS_FULL else NAMES[2::3])
def test_a_read_only_place_keeps_the_old_output(folder, name, fault):
    place = folder / "out" / name
    if os.geteuid() == 0 and not can_mount(place):
        pytest.skip("a read-only place: root needs a mount for it, and cannot make one here")
    without_copies(place)
    with read_only(place), fault("read-only place"):
        run_in_vain(
            name, folder, "Read-only file system" if os.geteuid() == 0 else "Permission denied"
        )
