"""A small imperative language with C-like text: integers, choices, assumptions, assertions and loops.

    assume(n >= 0);
    x = 0; y = n;
    while (x < n) {
      x++;
      if (*) y--; else y -= 2;
    }
    assert(y <= 0);

Variables are integers without bounds and begin with any value. `*` (also `nondet()`, `unknown()`) is any value,
another one each time. `int` declares, `requires` and `ensures` are other words for `assume` and `assert`, and the body
of a loop may begin with lines `invariant CONDITION;`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from foolsgold.environments.loops.syntax import Reader, SyntaxFault, Token, show
from foolsgold.environments.loops.terms import (
    Apply,
    Choice,
    Constant,
    Term,
    Variable,
    conjunction,
    parts_of,
    variables_of,
    walk,
)

MAX_CHARACTERS = 20_000
MAX_BLOCKS = 20
"""How deep blocks may lie in each other."""


@dataclass(frozen=True)
class Assume:
    """Runs in which it is false are of no interest."""

    condition: Term


@dataclass(frozen=True)
class Assert:
    """What is to be proved."""

    condition: Term


@dataclass(frozen=True)
class Assign:
    variable: str
    value: Term
    declared: bool = False
    """Whether `int` stands before it; without a value it is a choice."""


@dataclass(frozen=True)
class If:
    condition: Term
    then: Block
    otherwise: Block = ()


@dataclass(frozen=True)
class While:
    condition: Term
    body: Block
    invariants: tuple[Term, ...] = ()


Statement = Assume | Assert | Assign | If | While
Block = tuple[Statement, ...]


@dataclass(frozen=True)
class Program:
    body: Block

    @property
    def variables(self) -> tuple[str, ...]:
        """In the order in which they first occur."""
        names: dict[str, None] = {}
        for statement in statements(self.body):
            if isinstance(statement, Assign):
                names.setdefault(statement.variable)
                names.update(dict.fromkeys(variables_of(statement.value)))
            else:
                names.update(dict.fromkeys(variables_of(statement.condition)))
        return tuple(names)

    @property
    def loops(self) -> tuple[While, ...]:
        """In the order in which they begin."""
        return tuple(each for each in statements(self.body) if isinstance(each, While))

    def annotated(self, invariants: Sequence[Term]) -> Program:
        """The program with one invariant a loop in place of its own, in the order in which loops begin.

        Raises:
          ValueError: there are more or fewer invariants than loops.
        """
        if len(invariants) != len(self.loops):
            raise ValueError(f"{len(invariants)} invariants are given for {len(self.loops)} loops")
        given = iter(invariants)
        return Program(_annotated(self.body, given))

    @property
    def bare(self) -> Program:
        """Without invariants."""
        return self.annotated([Constant(True)] * len(self.loops))


def _annotated(block: Block, given: Iterator[Term]) -> Block:
    done: list[Statement] = []
    for statement in block:
        if isinstance(statement, While):
            own = next(given)  # before those of the loops inside
            invariants = () if own == Constant(True) else parts_of(own)
            statement = replace(statement, invariants=invariants, body=_annotated(statement.body, given))
        elif isinstance(statement, If):
            then = _annotated(statement.then, given)
            statement = replace(statement, then=then, otherwise=_annotated(statement.otherwise, given))
        done.append(statement)
    return tuple(done)


def statements(block: Block) -> Iterator[Statement]:
    """All statements of a block in their order, with those inside them."""
    for statement in block:
        yield statement
        if isinstance(statement, If):
            yield from statements(statement.then)
            yield from statements(statement.otherwise)
        elif isinstance(statement, While):
            yield from statements(statement.body)


def assigned(block: Block) -> tuple[str, ...]:
    """Variables that a block sets, each once."""
    return tuple(dict.fromkeys(each.variable for each in statements(block) if isinstance(each, Assign)))


def read_program(text: str) -> Program:
    """The program that `text` says.

    Raises:
      SyntaxFault: it cannot be read, is too long, or uses a variable that it does not declare while it declares others.
    """
    if len(text) > MAX_CHARACTERS:
        raise SyntaxFault(f"the program has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    reader = _ProgramReader(text)
    body = reader.statements_until("end")
    if not body:
        raise SyntaxFault("the program is empty")
    program = Program(body)
    declared = {each.variable for each in statements(body) if isinstance(each, Assign) and each.declared}
    missing = [name for name in program.variables if declared and name not in declared]
    if missing:
        raise SyntaxFault(f"{missing[0]} is not declared; write `int {missing[0]};` first")
    return program


class _ProgramReader(Reader):
    def __init__(self, text: str):
        super().__init__(text, choices=True)
        self.blocks = 0

    def statements_until(self, end: str) -> Block:
        body: list[Statement] = []
        while self.token.text != end and self.token.kind != "end":
            body.extend(self.statement())
        return tuple(body)

    def block(self) -> Block:
        """Statements in braces, or a single one."""
        return self.inside(self.accepts("{"))

    def inside(self, braces: bool) -> Block:
        """What follows an opening brace, or the single statement in place of a block."""
        self.blocks += 1
        if self.blocks > MAX_BLOCKS:
            raise self.fault(f"blocks are nested more than {MAX_BLOCKS} deep")
        body = self.statements_until("}") if braces else self.statement()
        if braces:
            self.expect("}")
        self.blocks -= 1
        return body

    def statement(self) -> Block:
        if self.accepts(";"):
            return ()
        if self.accepts("skip"):
            self.expect(";")
            return ()
        if self.accepts("assume", "requires"):
            return (Assume(self.claim()),)
        if self.accepts("assert", "ensures"):
            return (Assert(self.claim()),)
        if self.accepts("if"):
            return (self.branch(),)
        if self.accepts("while"):
            return (self.loop(),)
        if self.accepts("int"):
            return self.declaration()
        if self.token.text == "{":
            return self.block()
        return (self.assignment(),)

    def bracketed(self) -> Term:
        self.expect("(")
        condition = self.condition()
        self.expect(")")
        return condition

    def claim(self) -> Term:
        token = self.token
        condition = self.condition()
        self.expect(";")
        self.forbid_choices(condition, token)
        return condition

    def forbid_choices(self, condition: Term, token: Token) -> None:
        if any(isinstance(part, Choice) for part in walk(condition)):
            raise self.fault("a claim holds no *", token)

    def branch(self) -> If:
        condition = self.bracketed()
        then = self.block()
        return If(condition, then, self.block() if self.accepts("else") else ())

    def loop(self) -> While:
        condition = self.bracketed()
        self.expect("{")
        invariants = []
        while self.accepts("invariant"):
            invariants.append(self.claim())
        return While(condition, self.inside(True), parts_of(conjunction(invariants)) if invariants else ())

    def declaration(self) -> Block:
        body: list[Statement] = []
        while True:
            variable = self.name()
            value = self.number() if self.accepts("=") else Choice("Int")
            body.append(Assign(variable, value, declared=True))
            if not self.accepts(","):
                break
        self.expect(";")
        return tuple(body)

    def assignment(self) -> Assign:
        variable = self.name()
        old = Variable(variable)
        if self.accepts("++", "--"):
            sign = "+" if self.tokens[self.place - 1].text == "++" else "-"
            value: Term = Apply(sign, (old, Constant(1)))
        elif self.accepts("+=", "-=", "*="):
            sign = self.tokens[self.place - 1].text[0]
            value = Apply(sign, (old, self.number()))
        else:
            self.expect("=")
            value = self.number()
        self.expect(";")
        return Assign(variable, value)


def write_program(program: Program) -> str:
    """The program as text in one regular style, a statement a line; `read_program` reads it back to the same."""
    return "\n".join(_lines(program.body, ""))


def _lines(block: Block, indent: str) -> Iterator[str]:
    for statement in block:
        if isinstance(statement, Assume):
            yield f"{indent}assume({show(statement.condition)});"
        elif isinstance(statement, Assert):
            yield f"{indent}assert({show(statement.condition)});"
        elif isinstance(statement, Assign):
            yield indent + _assignment(statement)
        elif isinstance(statement, If):
            yield f"{indent}if ({show(statement.condition)}) {{"
            yield from _lines(statement.then, indent + "  ")
            if statement.otherwise:
                yield f"{indent}}} else {{"
                yield from _lines(statement.otherwise, indent + "  ")
            yield indent + "}"
        else:
            yield f"{indent}while ({show(statement.condition)}) {{"
            yield from (f"{indent}  invariant {show(each)};" for each in statement.invariants)
            yield from _lines(statement.body, indent + "  ")
            yield indent + "}"


def _assignment(statement: Assign) -> str:
    name, value = statement.variable, statement.value
    if statement.declared:
        return f"int {name};" if isinstance(value, Choice) else f"int {name} = {show(value)};"
    if isinstance(value, Apply) and value.operator in ("+", "-") and value.arguments[0] == Variable(name):
        amount = value.arguments[1]
        if amount == Constant(1):
            return f"{name}{value.operator * 2};"
        return f"{name} {value.operator}= {show(amount)};"
    return f"{name} = {show(value)};"
