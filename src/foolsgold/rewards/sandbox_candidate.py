"""What a job's untrusted side does, in a process that is already locked in. Runs on the standard library alone."""

import atexit
import builtins
import contextlib
import importlib
import linecache
import os
import site
import sys
import threading
import traceback
import types

import sandbox_values as values

QUESTIONS, ANSWERS = 3, 4
"""Descriptors."""
WARM = (
    "bisect",
    "collections",
    "copy",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "string",
    "typing",
)
"""Modules that programs like to import; they are there before the fork."""

for _name in WARM:
    importlib.import_module(_name)
site.setquit()  # exit() and quit(), which Python's option -S leaves out


def program(payload):
    """Run a whole program as Python would."""
    asked = values.loads(payload.decode())
    file = os.open(".stdin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(".stdin")
    with open(file, "wb", closefd=False) as stdin:
        stdin.write(asked["stdin"].encode("utf-8", "surrogateescape"))
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, 0)
    os.close(file)
    sys.argv = ["program.py"]
    code = 0
    try:
        _run(asked["source"], "__main__", "program.py")
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException as error:
        code = 1
        trace = error.__traceback__
        for _ in range(2):
            trace = trace and trace.tb_next  # this file's frames are no business of the program's
        traceback.print_exception(type(error), error, trace)
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for its threads
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            code = code or 120
    os._exit(code)


def calls(payload):
    """Call the function with one list of arguments after the other."""
    asked = values.loads(payload.decode())
    function = _function(asked)
    for arguments in asked["calls"] if function else ():
        _send(_answer(function, list(arguments), {}))


def answer(payload):
    """Call the function with what the judge asks for."""
    function = _function(values.loads(payload.decode()))
    with open(QUESTIONS, "rb") as questions:
        for line in questions if function else ():
            _send(_answer(function, *values.loads(line)))


def _function(asked):
    """The function that the source defines; None where there is none, which has been said then."""
    try:
        names = _run(asked["source"], "candidate", "candidate.py")
        function = names.get(asked["entry"])
        if not callable(function):
            raise NameError(f"name {asked['entry']!r} is not defined as a function")
    except BaseException as error:
        _send(values.dumps(["raised", *_told(error)]))
        return None
    _send(values.dumps(["ready"]))
    return function


def _run(source, name, file):
    """Run `source` as the module `name`; returns its names."""
    module = sys.modules[name] = types.ModuleType(name)
    module.__dict__["__builtins__"] = builtins
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _answer(function, arguments, keywords):
    """One line on how a call ended."""
    try:
        before = values.dumps([arguments, keywords])
        value = function(*arguments, **keywords)
        after = values.dumps([arguments, keywords])
        return values.dumps(["returned", value, None if after == before else [arguments, keywords]])
    except BaseException as error:
        return values.dumps(["raised", *_told(error)])


def _told(error):
    """Class, nearest class of Python's own, and message of an exception."""
    own = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    try:
        message = str(error)
    except BaseException:
        message = ""
    return type(error).__name__, own, message[:500]


def _send(line):
    line = line.encode() + b"\n"
    while line:
        line = line[os.write(ANSWERS, line) :]


def _exit_code(error):
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 255
    print(error.code, file=sys.stderr)
    return 1
