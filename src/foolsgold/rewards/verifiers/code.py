"""Python programs judged by tests that are run on them, in a sandbox that they cannot reach out of."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from foolsgold import __version__
from foolsgold.policies.messages import plain
from foolsgold.rewards.sandbox import Limits, Program, ProgramResult, Sandbox, Tests, TestsResult, shared_sandbox
from foolsgold.rewards.verifiers.answers import NoCode, context, program_of, prompt_code
from foolsgold.rewards.verifiers.code_formats import COLUMNS, SEEDED, Asserts, Streams, same_output, task_of
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict

SHOWN = 200
"""Characters of a program's output or error that a verdict quotes."""


class CodeVerifier:
    """Runs answers on their tests.

    Columns, of which each row needs those of one form:
      tests (or MBPP's test_list): statements that raise where the function is wrong, such as `assert f(2) == 4`, or
        loops that draw inputs and compare with a trusted function; entry_point: the function's name, where the tests
        do not tell it; preamble (or MBPP's test_setup_code, test_imports): what runs before them.
      test, entry_point: HumanEval's; each assert of its check(candidate) counts by itself.
      inputs, outputs: what programs read and are to write; blanks at the ends of lines do not count.

    Tests never share a process with the answer, which therefore can neither read nor change them; plain data goes to
    and fro. They see the helpers that the prompt defines, and a random generator that is seeded.
    """

    name = "code"

    def __init__(self, sandbox: Sandbox | None = None, limits: Limits | None = None):
        """
        Args:
          sandbox: where programs run; the one that the process shares where not given.
          limits: of one answer on all of its tests, or of one program on one input.
        """
        self._sandbox = sandbox
        self.limits = limits or Limits()

    @classmethod
    def of_record(cls, record: Mapping[str, Any], **settings: Any) -> CodeVerifier:
        """The verifier that came to a verdict, made with further `settings`."""
        return cls(limits=Limits(**record["limits"]), **settings)

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict an answer.

        Raises:
          VerifierFailure: the sandbox failed.
          UserError: a row has no tests, or they are written otherwise than described above.
        """
        rows = [_row(columns, i) for i in range(len(prompts))]
        tasks = [task_of(row, f"row {i} of the batch") for i, row in enumerate(rows, start=1)]
        answers = [
            _Answer(task, prompt, *_program(prompt, completion, task))
            for task, prompt, completion in zip(tasks, prompts, completions, strict=True)
        ]
        readable = [each for each in answers if each.found is None]
        self._judge_functions([each for each in readable if isinstance(each.task, Asserts)])
        self._judge_programs([each for each in readable if isinstance(each.task, Streams)])
        return [
            each.verdict(self._record(prompt, completion, row))
            for each, prompt, completion, row in zip(answers, prompts, completions, rows, strict=True)
        ]

    def _judge_functions(self, answers: Sequence[_Answer]) -> None:
        jobs = [_tests(each, self.limits) for each in answers]
        for answer, result in zip(answers, self._run(jobs), strict=True):
            assert isinstance(result, TestsResult)
            answer.found = _outcome(result)
            answer.passed, answer.detail = result.results.count("passed"), result.detail[:SHOWN]

    def _judge_programs(self, answers: Sequence[_Answer]) -> None:
        """One input after the other, so that a program that hangs does so once and not on each of its inputs."""
        left = list(answers)
        for i in range(max((each.task.checks for each in left), default=0)):
            left = [each for each in left if i < each.task.checks]
            jobs = [Program(each.source, each.task.inputs[i], self.limits) for each in left]  # type: ignore[union-attr]
            results = self._run(jobs)
            for answer, result in zip(left, results, strict=True):
                assert isinstance(result, ProgramResult)
                assert isinstance(answer.task, Streams)
                _take(answer, i, answer.task.outputs[i], result)
            left = [each for each, result in zip(left, results, strict=True) if result.status in ("ended", "died")]

    def _run(self, jobs: Sequence[Tests | Program]) -> Sequence[Any]:
        return (self._sandbox or shared_sandbox()).run(jobs) if jobs else []

    def _record(self, prompt: Any, completion: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "verifier": self.name,
            "prompt": prompt,
            "completion": completion,
            "columns": dict(row),
            "limits": asdict(self.limits),
            "versions": {"foolsgold": __version__, "python": platform.python_version()},
        }


@dataclass
class _Answer:
    """On its way to a verdict."""

    task: Asserts | Streams
    prompt: Any
    source: str
    detail: str = ""
    """The first thing that went wrong."""
    found: Outcome | None = field(init=False, default=None)
    passed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.detail:
            self.found = "invalid"

    def verdict(self, record: dict[str, Any]) -> Verdict:
        return Verdict(self.found or "passed", self.passed, self.task.checks, self.detail, record)


def _row(columns: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Those of our columns that row `i` has."""
    known = {name: None for names in COLUMNS for name in names}
    return {name: columns[name][i] for name in known if name in columns and columns[name][i] is not None}


def _program(prompt: Any, completion: Any, task: Asserts | Streams) -> tuple[str, str]:
    """(source, what is wrong with it)"""
    try:
        return program_of(prompt, completion, task.entry if isinstance(task, Asserts) else None), ""
    except NoCode as error:
        return plain(completion), str(error)


def _tests(answer: _Answer, limits: Limits) -> Tests:
    task = answer.task
    assert isinstance(task, Asserts)
    preamble = SEEDED + context(prompt_code(answer.prompt), task.entry) + task.preamble
    return Tests(answer.source, task.entry, task.tests, preamble, limits)


def _outcome(result: TestsResult) -> Outcome | None:
    """None where it passed."""
    if "failed" in result.results:
        return "wrong"
    if result.status in ("timeout", "memory", "output"):
        return result.status
    if "timeout" in result.results:
        return "timeout"
    return None if result.status == "ended" and set(result.results) == {"passed"} else "wrong"


def _take(answer: _Answer, i: int, expected: str, result: ProgramResult) -> None:
    """What the program did with input `i`."""
    found: Outcome | None = None
    if result.status in ("timeout", "memory", "output"):
        found, detail = result.status, f"input {i + 1}: {result.status}"
    elif result.exit_code != 0:
        found, detail = "wrong", f"input {i + 1}: {_last_line(result.stderr) or f'exit code {result.exit_code}'}"
    elif not same_output(expected, result.stdout):
        found, detail = "wrong", f"input {i + 1}: expected {_quoted(expected)}, got {_quoted(result.stdout)}"
    if found is None:
        answer.passed += 1
    else:
        answer.found, answer.detail = answer.found or found, answer.detail or detail


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][:SHOWN]


def _quoted(text: str) -> str:
    shown = text.rstrip()
    return repr(shown if len(shown) <= SHOWN // 2 else shown[: SHOWN // 2] + "…")
