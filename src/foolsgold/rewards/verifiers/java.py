"""Is a Python function a faithful translation of a Java method? By running both on the same inputs."""

from __future__ import annotations

import itertools
import platform
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from foolsgold import __version__
from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Calls, CallsResult, Limits, Sandbox, shared_sandbox
from foolsgold.rewards.verifiers.answers import NoCode, program_of
from foolsgold.rewards.verifiers.java_compare import difference, disagreement, short
from foolsgold.rewards.verifiers.java_inputs import InputMaker
from foolsgold.rewards.verifiers.java_server import Compiled, JavaResult, JavaServer, Method, java_version
from foolsgold.rewards.verifiers.java_source import literals
from foolsgold.rewards.verifiers.java_types import Signature, chosen, encode, from_json
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict

KEPT = 4096
"""Java methods whose results are kept."""
DRAWN = 4
"""Inputs drawn for each that is used: those are used on which Java's results differ most."""
GIVEN_STEPS = 50
"""How many times the steps of a generated input a given one may take."""
_DEEP = "\nimport sys as _sys\n_sys.setrecursionlimit(10000)\n"
"""Recursion as deep as Java's own; set after the source, whose first line may have to stay the first."""


@dataclass(frozen=True)
class JavaProblem:
    """A Java method to translate."""

    java: str
    """Source of the class, or of the method with what it needs around it."""
    entry_point: str
    """Name of the method, and of the Python function."""
    signature: str = ""
    """Of the overload that is meant, as in the source; empty for the only or first one."""
    inputs: tuple[tuple[Any, ...], ...] = ()
    """Arguments to use beside the generated ones; those of JSON have lists of pairs for maps, lists for sets."""

    @property
    def method(self) -> Method:
        return Method(self.java, self.entry_point)

    @property
    def key(self) -> tuple[str, ...]:
        """Names the problem."""
        return (self.java, self.entry_point, self.signature, repr(self.inputs))


@dataclass(frozen=True)
class Reference:
    """What the Java method does on the inputs of a problem."""

    signature: Signature
    calls: tuple[tuple[Any, ...], ...]
    """The arguments, given ones first."""
    results: tuple[JavaResult, ...]
    given: int
    """How many of the calls were given."""
    dropped: dict[str, int]
    """Inputs that Java had too little for, by what it was: steps, time, memory, stack, output."""


class JavaVerifier:
    """Differential testing against the Java method; `java_compare` says what counts as the same.

    Columns: `java`, `entry_point`, and, where wanted, `signature` and `inputs`, each as in `JavaProblem`.
    What Java did is kept, so that further translations of the same method cost the Python side alone.
    """

    name = "java"

    def __init__(
        self,
        generated: int = 16,
        largest: int | None = None,
        seed: int = 0,
        steps: int = 100_000,
        sandbox: Sandbox | None = None,
        limits: Limits | None = None,
        server: JavaServer | None = None,
    ):
        """
        Args:
          generated: inputs made for each method, 0 to use the given ones alone.
          largest: of the numbers in them; see `InputMaker`.
          seed: of the inputs; the same seed and source give the same inputs.
          steps: that Java may take for one of them; see JavaServer.java. Inputs that need more are dropped.
          sandbox: None for the one that this process shares.
          limits: of a translation's calls, all together; None for those of the sandbox.
          server: a JVM to share with other verifiers; None for one of its own.
        """
        self.generated = generated
        self.largest = largest
        self.seed = seed
        self.steps = steps
        self._sandbox = sandbox
        self._limits = limits
        self._own_server = server is None
        self._server = server or JavaServer()
        self._lock = threading.Lock()
        self._references: OrderedDict[tuple[str, ...], Reference | str] = OrderedDict()

    @classmethod
    def of_record(cls, record: Mapping[str, Any], **settings: Any) -> JavaVerifier:
        """One with the settings that made a verdict's record."""
        kept = record["limits"]
        return cls(**{**kept, "limits": Limits(**kept["limits"]) if kept["limits"] else None}, **settings)

    def __enter__(self) -> JavaVerifier:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the JVM, unless it is shared; it starts again when it is needed."""
        if self._own_server:
            self._server.close()

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict a completion; checks are inputs on which the two were compared.

        Raises:
          VerifierFailure: the JVM or the sandbox failed.
          UserError: a column is missing or of another form, a Java method does not compile, has parameters that inputs
            cannot be made for or does nothing that can be compared; or there is no JDK.
        """
        problems = _problems(len(completions), columns)
        references = []
        for i, each in enumerate(self.references(problems)):
            if isinstance(each, str):
                raise UserError(f"row {i}: the Java method {problems[i].entry_point} {each}")
            references.append(each)
        verdicts: dict[int, Verdict] = {}
        sources: dict[int, str] = {}
        for i, (problem, reference) in enumerate(zip(problems, references, strict=True)):
            try:
                sources[i] = program_of(prompts[i], completions[i], problem.entry_point)
            except NoCode as error:
                verdicts[i] = Verdict("invalid", 0, len(reference.calls), str(error))
        results = self.translated([(problems[i], references[i], source) for i, source in sources.items()])
        for i, result in zip(sources, results, strict=True):
            verdicts[i] = _verdict(problems[i], references[i], result)
        return [
            replace(verdicts[i], record=self._record(prompts[i], completions[i], problems[i], references[i]))
            for i in range(len(problems))
        ]

    def translated(self, translations: Sequence[tuple[JavaProblem, Reference, str]]) -> list[CallsResult]:
        """What Python sources do on the inputs of their problems; the same source runs once for the same problem.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        keys = [(source, problem.key) for problem, _, source in translations]
        jobs = {
            key: Calls(source + _DEEP, problem.entry_point, reference.calls, self._limits)
            for key, (problem, reference, source) in zip(keys, translations, strict=True)
        }
        sandbox = self._sandbox or shared_sandbox()
        results = dict(zip(jobs, sandbox.run(list(jobs.values())), strict=True))
        return [cast(CallsResult, results[key]) for key in keys]

    def _record(self, prompt: Any, completion: Any, problem: JavaProblem, reference: Reference) -> dict[str, Any]:
        limits = asdict(self._limits) if self._limits else None
        columns = asdict(problem) | {"inputs": [list(call) for call in problem.inputs]}
        return {
            "verifier": self.name,
            "prompt": prompt,
            "completion": completion,
            "columns": {name: value for name, value in columns.items() if value},
            "limits": {
                "generated": self.generated,
                "largest": self.largest,
                "seed": self.seed,
                "steps": self.steps,
                "limits": limits,
            },
            "dropped": dict(reference.dropped),
            "versions": {"foolsgold": __version__, "python": platform.python_version(), "java": java_version()},
        }

    def references(self, problems: Sequence[JavaProblem]) -> list[Reference | str]:
        """What each Java method does on its inputs, or why that cannot be told, as the end of a sentence.

        Raises:
          VerifierFailure: the JVM failed.
          UserError: there is no JDK.
        """
        with self._lock:
            new = {each.key: each for each in problems if each.key not in self._references}
            compiled = self._server.compile([each.method for each in new.values()]) if new else []
            found: dict[tuple[str, ...], Reference | str] = {}
            for (key, problem), result in zip(new.items(), compiled, strict=True):
                try:
                    found[key] = self._reference(problem, result)
                except ValueError as error:
                    found[key] = str(error)
            for problem in problems:
                if problem.key in self._references:
                    self._references.move_to_end(problem.key)
                    found[problem.key] = self._references[problem.key]
            self._references.update(found)
            while len(self._references) > KEPT:
                self._references.popitem(last=False)
            return [found[each.key] for each in problems]

    def _reference(self, problem: JavaProblem, compiled: Compiled) -> Reference:
        if compiled.error:
            raise ValueError(f"does not compile: {compiled.error}")
        overload = chosen(compiled.signatures, problem.signature)
        signature = compiled.signatures[overload]
        for type_ in (*signature.parameters, signature.returns):
            if not type_.known and type_.kind != "void":
                raise ValueError(f"takes or returns {type_.name}, of which no values can be made in Python")

        def run(calls: Sequence[Sequence[Any]], steps: int) -> list[JavaResult]:
            return self._server.run(problem.method, overload, signature, calls, steps)

        given = [_arguments(call, signature) for call in problem.inputs]
        seed = f"{self.seed}\n{problem.entry_point}\n{problem.java}"
        maker = InputMaker(signature, literals(problem.java), seed, self.largest)
        drawn = maker.calls(DRAWN * self.generated)
        wide = GIVEN_STEPS * self.steps
        ended = [(call, result) for call, result in zip(given, run(given, wide), strict=True) if not result.dropped]
        results = run(drawn, self.steps)
        varied = _varied([*zip(drawn, results, strict=True)], self.generated)
        dropped = Counter(each.dropped for each in results if each.dropped)
        dropped["given"] = len(given) - len(ended)
        pairs = [*ended, *varied]
        if compiled.remembers:
            # The Python side makes these calls and no others, so that both sides remember the same.
            again = run([call for call, _ in pairs], wide)
            pairs = [(call, result) for (call, _), result in zip(pairs, again, strict=True) if not result.dropped]
        if not pairs:
            reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(dropped.items()) if n)
            raise ValueError(f"ended on no input ({reasons or 'there are none'})")
        if not any(each.raised or each.value is not None or [*each.arguments] != call for call, each in pairs):
            raise ValueError("returns nothing and changes no argument, so there is nothing to compare")
        return Reference(
            signature,
            tuple(tuple(call) for call, _ in pairs),
            tuple(result for _, result in pairs),
            min(len(ended), len(pairs)),
            {reason: n for reason, n in dropped.items() if n},
        )


def _verdict(problem: JavaProblem, reference: Reference, result: CallsResult) -> Verdict:
    types = reference.signature.parameters
    pairs = list(zip(reference.calls, reference.results, result.returned, strict=True))
    wrong = [each for each in pairs if difference(each[1], each[2], types)]
    if not wrong:
        return Verdict("passed", len(pairs), len(pairs))
    call, java, python = wrong[0]
    outcome: Outcome = "wrong"
    if python.timeout:
        outcome = "timeout"
    elif result.status in ("memory", "output") and python.raised and not python.arguments:
        outcome = cast(Outcome, result.status)
    detail = disagreement(problem.entry_point, call, java, python, types)
    return Verdict(outcome, len(pairs) - len(wrong), len(pairs), detail)


def _varied(pairs: Sequence[tuple[list[Any], JavaResult]], n: int) -> list[tuple[list[Any], JavaResult]]:
    """`n` of the calls that ended, one of each result before two of any; a quarter at most throw.

    A function that always says False, or always raises, is so found out.
    """
    distinct = {repr(call): (call, result) for call, result in pairs if not result.dropped}
    groups: dict[str, list[tuple[list[Any], JavaResult]]] = {}
    for call, result in distinct.values():
        if not result.raised:
            groups.setdefault(repr((result.value, result.arguments if result.value is None else ())), []).append(
                (call, result)
            )
    rounds = itertools.zip_longest(*groups.values())
    returned = [each for one_each in rounds for each in one_each if each is not None]
    thrown = [each for each in distinct.values() if each[1].raised][: n // 4]
    return [*returned[: n - len(thrown)], *thrown]


def _arguments(call: Sequence[Any], signature: Signature) -> list[Any]:
    if len(call) != len(signature.parameters):
        raise ValueError(f"takes {len(signature.parameters)} arguments, but inputs hold {len(call)}: {short(call)}")
    values = [from_json(value, type_) for value, type_ in zip(call, signature.parameters, strict=True)]
    for value, type_ in zip(values, signature.parameters, strict=True):
        try:
            encode(value, type_)
        except ValueError as error:
            raise ValueError(f"cannot be given {short(call)}: {error}") from None
    return values


def _problems(n: int, columns: dict[str, Any]) -> list[JavaProblem]:
    for name in ("java", "entry_point"):
        if columns.get(name) is None:
            raise UserError(f"the java verifier needs the column {name!r}; there are {', '.join(columns) or 'none'}")
    missing = [None] * n
    rows = zip(
        columns["java"],
        columns["entry_point"],
        columns.get("signature") or missing,
        columns.get("inputs") or missing,
        strict=True,
    )
    problems = []
    for i, (java, entry, signature, inputs) in enumerate(rows):
        for name, value in (("java", java), ("entry_point", entry)):
            if not isinstance(value, str):
                raise UserError(f"row {i}: the column {name!r} holds {short(value)}; it must hold text")
        if not all(isinstance(call, (list, tuple)) for call in inputs or ()):
            raise UserError(
                f"row {i}: the column 'inputs' holds {short(inputs)}; it must hold a list of argument lists"
            )
        problems.append(JavaProblem(java, entry, signature or "", tuple(tuple(call) for call in inputs or ())))
    return problems
