"""Commands that start at once. Most of the time of a small command goes into importing numba.

A server imports everything once. A script that stands on the PATH under the name of a command
hands its words, folder, variables and open files to the server. A fork of the server runs the
command's `main` with them, and the script ends with its exit status.
"""

import os
import sys

HEAD_BYTES = 8


def call(socket_path, name, *argv):
    """Run a command in the server. Only modules that load fast are imported here."""
    import _socket

    variables = (b"%s=%s" % pair for pair in os.environb.items())
    words = [os.getcwdb(), b"%d" % len(argv), *map(os.fsencode, (name, *argv)), *variables]
    message = b"\0".join(words)
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(socket_path)
    files = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
    head = len(message).to_bytes(HEAD_BYTES, "big")
    connection.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    connection.sendall(message)
    answer = connection.recv(1)
    sys.exit(answer[0] if answer else 137)


def serve(socket_path):
    """Answer calls until standard input ends."""
    import pkgutil
    import select
    import signal
    import socket

    import numpy as np

    import sdtools.bin
    from sdtools.features.front_ends import FRONT_ENDS, SubbandOptions
    from sdtools.gmm import kernels

    for module in pkgutil.iter_modules(sdtools.bin.__path__):
        main_of(f"sd-{module.name}")
    for function in kernels.SIGNATURES:
        kernels.compiled(function)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 3200)
    for front_end in FRONT_ENDS.values():
        options = [cls() for cls in front_end.options]
        front_end.make(tuple(options), 16000)(noise)
        if isinstance(options[0], SubbandOptions):
            options[0] = SubbandOptions(bank="triangular")
            front_end.make(tuple(options), 16000)(noise)
    signal.signal(signal.SIGCHLD, reap)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(socket_path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
                return
            connection = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                answer(connection)
            connection.close()


def reap(*_):
    """Wait for forks that have ended, so that their processor time counts as the server's."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def answer(connection):
    """Run the command of one call in this fork, and end it."""
    import signal
    import threading
    import traceback

    status = 70
    try:
        name, argv = take_call(connection)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

        def end_with_the_caller():
            if not connection.recv(1):
                os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=end_with_the_caller, daemon=True).start()
        status = main_of(name)(argv)
        sys.stdout.flush()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    try:
        connection.sendall(bytes([status]))
    finally:
        os._exit(status)


def take_call(connection):
    """Enter the folder of a call, with its variables and open files; return name and words."""
    import socket

    head, files, _, _ = socket.recv_fds(connection, HEAD_BYTES, 3)
    with connection.makefile("rb") as stream:
        message = stream.read(int.from_bytes(head, "big"))
    if not message:  # the caller was killed
        os._exit(70)
    folder, num_words, *words = message.split(b"\0")
    count = int(num_words) + 1
    os.chdir(folder)
    os.environb.clear()
    os.environb.update(word.split(b"=", 1) for word in words[count:])
    for target, fd in enumerate(files):
        os.dup2(fd, target)
        os.close(fd)
    sys.argv = [*map(os.fsdecode, words[:count])]
    return sys.argv[0], sys.argv[1:]


def main_of(name):
    """The function that a command runs."""
    import importlib

    return importlib.import_module(name.replace("sd-", "sdtools.bin.", 1).replace("-", "_")).main


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else call(*sys.argv[2:])
