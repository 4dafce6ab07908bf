"""The trusted side of a job with tests, in a process that the candidate cannot reach. On the standard library alone.

What the candidate sends is data: values of Python's own plain classes, or the name of an exception. It answers
questions; it has no descriptor on which a verdict travels.
"""

import builtins
import contextlib
import os
import sys
import types

import sandbox_values as values

ANSWERS, QUESTIONS, VERDICTS = 3, 4, 5
"""Descriptors."""
GONE, FLOOD, MEMORY = 3, 4, 5
"""Exit codes: the candidate ended before the tests did, answered more than it may, or ran out of memory."""


class Lost(BaseException):
    """No more answers will come. No Exception, so that a test does not take it for one of the candidate's."""

    def __init__(self, code):
        self.code = code


class Channel:
    """Questions to the candidate and its answers."""

    def __init__(self, room):
        self.room = room
        self.answers = os.fdopen(ANSWERS, "rb")
        self.lost = 0
        """Exit code, once no more answers come; a test that caught `Lost` does not pass all the same."""
        self.memory = False
        """Whether it ran out of memory in an answer."""
        self.last = ""
        """The last question and its answer, for people."""

    def hear(self):
        line = self.answers.readline(self.room + 1) if not self.lost else b""
        self.room -= len(line)
        if not line.endswith(b"\n"):
            self.lost = self.lost or (FLOOD if self.room < 0 else GONE)
            raise Lost(self.lost)
        return values.loads(line)

    def ask(self, entry, arguments, keywords):
        """The value that the candidate's function returns; raises what it raises."""
        asked = values.dumps([list(arguments), keywords]).encode() + b"\n"
        called = f"{entry}({_shown(arguments, keywords)})"
        try:
            while asked:
                asked = asked[os.write(QUESTIONS, asked) :]
        except BrokenPipeError:
            pass  # it has left; its last answer says why, if anything does
        try:
            kind, *answered = self.hear()
            if kind == "returned":
                value, after = answered
                if after is not None:
                    _mirror([*arguments, *keywords.values()], [*after[0], *after[1].values()])
            elif kind == "raised":
                _, own, message = map(str, answered)
            else:
                raise ValueError(kind)
        except (ValueError, TypeError, AttributeError, IndexError, MemoryError) as error:
            self.last = f"{called} gave an answer that is no plain data"
            raise RuntimeError(self.last) from error
        if kind == "returned":
            self.last = f"{called} returned {_brief(value)}"
            return value
        self.last = f"{called} raised {own}: {message}"
        self.memory = self.memory or own == "MemoryError"
        raise _exception(own, message)


def judge(payload):
    """Run the tests, with a verdict on each as soon as it is there."""
    asked = values.loads(payload.decode())
    entry, channel = asked["entry"], Channel(asked["output"])
    module = sys.modules["tests"] = types.ModuleType("tests")
    module.__dict__["__builtins__"] = builtins
    names = module.__dict__
    try:
        tests = [compile(test, "test.py", "exec", dont_inherit=True) for test in asked["tests"]]
        exec(compile(asked["preamble"], "preamble.py", "exec", dont_inherit=True), names)
    except BaseException as error:
        _tell(["broken", _line(f"{type(error).__name__}: {error}")])
        return

    def candidate(*arguments, **keywords):
        return channel.ask(entry, arguments, keywords)

    candidate.__name__ = candidate.__qualname__ = entry
    names[entry] = names["candidate"] = candidate
    try:
        try:
            kind, *loaded = channel.hear()
        except ValueError:
            raise Lost(GONE) from None
        if kind != "ready":
            kind, _, message = map(str, loaded)
            for _ in tests:
                _tell(["raised", _line(f"{kind}: {message}")])
            os._exit(MEMORY if kind == "MemoryError" else 0)
        for source, test in zip(asked["tests"], tests, strict=True):
            _tell(_tested(source, test, names, channel))
        os._exit(MEMORY if channel.memory else 0)
    except Lost as lost:
        os._exit(lost.code)


def _tested(source, test, names, channel):
    """The verdict on one test."""
    channel.last = ""
    outcome, why = "passed", ""
    try:
        exec(test, names)
    except AssertionError as error:
        outcome, why = "failed", str(error)
    except BaseException as error:
        outcome, why = "raised", f"{type(error).__name__}: {error}"
    if channel.lost:
        raise Lost(channel.lost)
    return [outcome, "" if outcome == "passed" else _line(" | ".join(filter(None, (source, why, channel.last))))]


def _exception(own, message):
    """An exception that a test may expect.

    Only an Exception: SystemExit would end the tests. Not StopIteration: in `map(candidate, …)` it would end the loop
    around it in silence, with no test made.
    """
    named = getattr(builtins, own, None)
    if not isinstance(named, type) or issubclass(named, StopIteration | StopAsyncIteration):
        named = object
    for kind in named.__mro__:
        if issubclass(kind, Exception):
            with contextlib.suppress(TypeError):  # such as UnicodeDecodeError, which is made of five parts
                return kind(message)
    return RuntimeError(f"{own}: {message}")


def _mirror(arguments, after):
    """Change `arguments` in place as the candidate did its copies."""
    for mine, its in zip(arguments, after, strict=True):
        if type(mine) is list and type(its) is list:
            mine[:] = its
        elif type(mine) is type(its) and type(mine) in (dict, set):
            mine.clear()
            mine.update(its)


def _shown(arguments, keywords):
    return ", ".join([*map(_brief, arguments), *(f"{name}={_brief(each)}" for name, each in keywords.items())])


def _brief(value):
    try:
        return f"{value!r:.200}"
    except ValueError:
        return "a number of very many digits"


def _line(text):
    return " ".join(text.split())[:500]


def _tell(verdict):
    line = values.dumps(verdict).encode() + b"\n"
    while line:
        line = line[os.write(VERDICTS, line) :]
