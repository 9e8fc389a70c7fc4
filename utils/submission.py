"""The submit command of a site, and calls of the scheduler's programs."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from launcher import Launch, num_bytes
from messages import Problem


def ask(*words: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a program of the scheduler; (124, "", ...) after 30 s."""
    pipes = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, timeout=30, start_new_session=True, **pipes
        )
    except FileNotFoundError:
        hint = "Work on a host that may submit jobs, or use run.py"
        raise Problem(words[0], "this program is not in PATH", hint=hint) from None
    except subprocess.TimeoutExpired:
        return 124, "", f"{words[0]} timed out"
    return done.returncode, done.stdout, done.stderr


def split_words(text: str, where: str) -> list[str]:
    """The words of a shell's line."""
    try:
        return shlex.split(text)
    except ValueError as error:
        need = f"words for a shell ({error})"
        got, hint = repr(text.strip()), "Correct the line"
        raise Problem(where, "line", got=got, need=need, hint=hint) from None


def read_config(text: str, where: str) -> tuple[list[str], dict, dict[str, str]]:
    """Parse a configuration in Kaldi's grammar.

    Returns the submit command, {(option, value or "*"): words} and {option: default}.
    """
    command, options, defaults = [], {}, {}
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{where}:{number}"
        kind, _, rest = re.sub(r"#.*", "", line).strip().partition(" ")
        pair = re.match(r"(\w+)=(\S+)(.*)", rest.strip())
        if kind == "command" and rest:
            command = split_words(rest, place)
        elif kind == "option" and pair:
            options[pair[1], pair[2]] = split_words(pair[3], place)
        elif kind == "default" and pair:
            defaults[pair[1]] = pair[2]
        elif kind:
            need = "command <words>, option <name>=<value or *> <words> or default <name>=<value>"
            got, hint = repr(line.strip()), "Correct the line"
            raise Problem(place, "line", got=got, need=need, hint=hint)
    if not command:
        hint = "Add a line: command <submit command>"
        raise Problem(where, "the command line is missing", hint=hint)
    return command, options, defaults


def submit_words(scheduler: object, launch: Launch) -> list[str]:
    """The submit command with the words for the options, as the configuration describes them."""
    where = launch.options.get("config", scheduler.config_path)
    if "config" in launch.options or os.path.exists(where):
        text = Path(where).read_text("utf-8", "surrogateescape")
    else:
        where, text = "the built-in configuration", scheduler.config
    words, options, values = read_config(text, where)
    for name, value in launch.options.items():
        if name not in ("config", "resume", "max_jobs_run"):
            values[name] = value
    for name, value in values.items():
        if name == "mem" and num_bytes(value) and not re.fullmatch(r"[0-9]+[kmgtKMGT]", value):
            value = f"{-(-num_bytes(value) // 2**20):.0f}M"  # a form that all schedulers accept
        if name == "time":
            value = scheduler.time(value)
        if not {(name, value), (name, "*")} & options.keys():
            what = f"{where} does not describe this option"
            hint = f"Add a line: option {name}=* <words>, or omit the option"
            raise Problem(f"--{name.replace('_', '-')}", what, hint=hint)
        key = (name, value) if (name, value) in options else (name, "*")
        words += [word.replace("$0", value) for word in options[key]]
    return words + scheduler.passed_words(launch.passed)
