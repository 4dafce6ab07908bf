"""Loop-invariant problems in the SyGuS-inv format, of SyGuS-IF 1 and 2 (Raghothaman and Udupa 2014; Padhi et al. 2019).

A problem is a transition system over integers and truth values: states of `pre` are where it begins, `trans` relates a
state to the next one, `post` is what must hold of every state that is reached. `x!` is `x` one step later. Variables
that are declared but are none of the invariant's are inputs: they have any value, in every step another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foolsgold.environments.loops.conditions import Condition
from foolsgold.environments.loops.smtlib import Brackets, Functions, Scope, read_brackets, to_term, write_term
from foolsgold.environments.loops.syntax import SyntaxFault
from foolsgold.environments.loops.terms import Choice, Sort, Term, Variable, replaced

PRIME = "!"

_SILENT = ("set-logic", "set-option", "set-options", "set-info", "check-synth")


@dataclass(frozen=True)
class InvariantProblem:
    """A transition system and what must hold of it."""

    variables: tuple[Variable, ...]
    pre: Term
    trans: Term
    """Over the variables and their primes."""
    post: Term

    @property
    def sorts(self) -> dict[str, Sort]:
        return {variable.name: variable.sort for variable in self.variables}


def primed(term: Term) -> Term:
    """`term` one step later."""

    def later(part: Variable | Choice) -> Term:
        return Variable(part.name + PRIME, part.sort) if isinstance(part, Variable) else part

    return replaced(term, later)


def problem_conditions(problem: InvariantProblem, invariant: Term) -> list[Condition]:
    """Initiation, consecution and sufficiency of an invariant."""
    now: dict[str, Term] = {variable.name: variable for variable in problem.variables}
    later: dict[str, Term] = {name: primed(variable) for name, variable in now.items()}
    text = write_term(invariant)
    return [
        Condition("initiation", (problem.pre,), invariant, text, now, now),
        Condition("consecution", (invariant, problem.trans), primed(invariant), text, now, later),
        Condition("sufficiency", (invariant,), problem.post, "the property", now, now),
    ]


def read_problem(text: str) -> InvariantProblem:
    """The problem that `text` says.

    Raises:
      SyntaxFault: it cannot be read, or is no problem of one invariant; the message says why.
    """
    functions: dict[str, Callable[[list[Term]], Term]] = {}
    inputs: dict[str, Term] = {}
    unknown: tuple[str, list[Variable]] | None = None
    asked: list[str] | None = None
    for command in read_brackets(text):
        if not isinstance(command, list) or not command or not isinstance(command[0], str):
            raise SyntaxFault("a command is an opening bracket and its name")
        head, rest = command[0], command[1:]
        if head == "define-fun":
            name, function = _definition(rest, functions, inputs)
            functions[name] = function
        elif head in ("declare-var", "declare-primed-var"):
            for variable in _parameters([rest]):
                inputs[variable.name] = variable
                inputs[variable.name + PRIME] = Variable(variable.name + PRIME, variable.sort)
        elif head in ("synth-inv", "synth-fun"):
            unknown = _unknown(rest)
        elif head == "inv-constraint":
            if len(rest) != 4 or not all(isinstance(each, str) for each in rest):
                raise SyntaxFault("inv-constraint wants the names of invariant, pre, trans and post")
            asked = [str(each) for each in rest]
        elif head not in _SILENT:
            raise SyntaxFault(f"the command {head!r} has no place in a problem of invariants")
    if unknown is None or asked is None:
        raise SyntaxFault("it lacks synth-inv or inv-constraint; both are needed")
    missing = [name for name in asked[1:] if name not in functions]
    if asked[0] != unknown[0] or missing:
        raise SyntaxFault(f"{(missing or asked)[0]!r} is not defined")
    variables = unknown[1]
    later = [Variable(variable.name + PRIME, variable.sort) for variable in variables]
    pre, trans, post = (functions[name] for name in asked[1:])
    return InvariantProblem(tuple(variables), pre([*variables]), trans([*variables, *later]), post([*variables]))


def _definition(rest: list[Brackets], functions: Functions, inputs: Scope) -> tuple[str, Callable[[list[Term]], Term]]:
    if len(rest) != 4 or not isinstance(rest[0], str):
        raise SyntaxFault("define-fun wants a name, parameters, a sort and a body")
    name, parameters = rest[0], _parameters(rest[1])
    body = to_term(rest[3], {**inputs, **{each.name: each for each in parameters}}, functions)
    if body.sort != rest[2]:
        raise SyntaxFault(f"{name} is said to be of sort {rest[2]}, but is of {body.sort}")

    def function(arguments: list[Term]) -> Term:
        if [each.sort for each in arguments] != [each.sort for each in parameters]:
            raise SyntaxFault(f"{name} is given other arguments than it is defined for")
        given = {parameter.name: argument for parameter, argument in zip(parameters, arguments, strict=True)}
        return replaced(body, lambda part: given.get(part.name, part) if isinstance(part, Variable) else part)

    return name, function


def _unknown(rest: list[Brackets]) -> tuple[str, list[Variable]]:
    if len(rest) < 2 or not isinstance(rest[0], str):
        raise SyntaxFault("synth-inv wants a name and parameters")
    return rest[0], _parameters(rest[1])


def _parameters(brackets: Brackets) -> list[Variable]:
    parameters: list[Variable] = []
    for each in brackets if isinstance(brackets, list) else [brackets]:
        if not (isinstance(each, list) and len(each) == 2 and isinstance(each[0], str)):
            raise SyntaxFault("a parameter is a name and a sort")
        if each[1] == "Int":
            parameters.append(Variable(each[0], "Int"))
        elif each[1] == "Bool":
            parameters.append(Variable(each[0], "Bool"))
        else:
            raise SyntaxFault(f"{each[0]} is of sort {each[1]}; only Int and Bool are read")
    return parameters


def read_definition(text: str, problem: InvariantProblem) -> Term:
    """The invariant of a `define-fun`, as solvers answer, over the problem's variables.

    Raises:
      SyntaxFault: it is none, or takes other arguments.
    """
    found = read_brackets(text)
    if len(found) != 1 or not isinstance(found[0], list) or found[0][:1] != ["define-fun"]:
        raise SyntaxFault("an answer is a single define-fun")
    _, function = _definition(found[0][1:], {}, {})
    return function([*problem.variables])
