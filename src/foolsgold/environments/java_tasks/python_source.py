"""Prints methods as Python functions: faithfully, or with the slips that people make where the two languages part."""

from __future__ import annotations

from collections.abc import Callable

from foolsgold.environments.java_tasks.nature import grows, natural, natural_names
from foolsgold.environments.java_tasks.program import (
    LOGICAL,
    Assign,
    Each,
    Expr,
    For,
    If,
    Jump,
    Method,
    Return,
    Statement,
    While,
    assigned,
)

INDENT = "    "
FORMS: dict[str, tuple[str, ...]] = {
    "division": ("towards zero", "floor", "exact"),
    "remainder": ("towards zero", "floor"),
    "overflow": ("wrapped", "plain", "masked"),
    "unsigned shift": ("unsigned", "signed"),
    "char as number": ("ord", "bare"),
    "number as char": ("chr", "bare"),
    "char in text": ("number", "letter"),
    "number in text": ("str", "bare"),
    "inclusive bound": ("inclusive", "exclusive"),
    "downward loop": ("exact", "short", "forward"),
    "start of loop": ("kept", "zero"),
    "step of loop": ("kept", "dropped"),
    "moving loop": ("while", "range"),
    "swap": ("together", "overwritten"),
    "copy": ("copied", "shared"),
    "absence": ("find", "index"),
    "allocation": ("zeros", "empty"),
    "slice": ("exact", "longer"),
    "ternary": ("kept", "swapped"),
    "connective": ("kept", "swapped", "java"),
    "strictness": ("kept", "changed"),
    "guard": ("kept", "dropped"),
    "else": ("kept", "dropped"),
    "length": ("len", "java"),
    "last return": ("kept", "dropped"),
}
"""Ways to write each construct; only the first is faithful, the others sometimes happen to do."""

Choice = Callable[[str], str]
"""Says for a construct of `FORMS` which of its forms is written."""

_BINDS = {
    "||": 1, "&&": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "//": 10, "/": 10, "%": 10,
}  # fmt: skip
_WORDS = {"&&": "and", "||": "or"}
_OTHER = {"&&": "||", "||": "&&", "<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_ATOM = 13


def faithful(construct: str) -> str:
    """The form of a construct that does in Python what Java does."""
    return FORMS[construct][0]


def python_source(method: Method, choose: Choice = faithful) -> str:
    """The method as a Python function with four spaces a level, its constructs in the forms that `choose` names."""
    return "\n".join(_Printer(method, choose).function())


class _Printer:
    def __init__(self, method: Method, choose: Choice):
        self.method = method
        self.choose = choose
        self.natural = natural_names(method)

    def function(self) -> list[str]:
        parameters = ", ".join(str(each.value) for each in self.method.parameters)
        body = self.method.body
        if len(body) > 1 and self.choose("last return") == "dropped":
            body = body[:-1]
        return [f"def {self.method.name}({parameters}):", *self.lines(body, 1, False)]

    def lines(self, body: tuple[Statement, ...], depth: int, turns: bool) -> list[str]:
        """Lines of a body; `turns` where it is run again and again."""
        out, at = [], 0
        while at < len(body):
            places = _swapped(body[at : at + 3])
            if places:
                first, second = (self.text(place) for place in places)
                together = self.choose("swap") == "together"
                swap = [f"{first}, {second} = {second}, {first}"]
                out += [
                    INDENT * depth + line
                    for line in (swap if together else [f"{first} = {second}", f"{second} = {first}"])
                ]
                at += 3
            else:
                out += self.statement(body[at], depth, turns)
                at += 1
        return out

    def statement(self, each: Statement, depth: int, turns: bool) -> list[str]:
        pad = INDENT * depth
        if isinstance(each, Assign):
            return [pad + self.assignment(each, turns)]
        if isinstance(each, Jump):
            return [pad + each.word]
        if isinstance(each, Return):
            as_number = self.method.type == "int"
            return [f"{pad}return {self.number(each.value) if as_number else self.text(each.value)}"]
        if isinstance(each, If):
            return self.choice(each, depth, turns)
        if isinstance(each, Each):
            head = f"{pad}for {each.item.value} in {self.text(each.over)}:"
            return [head, *self.lines(each.body, depth + 1, True)]
        if isinstance(each, While):
            return [f"{pad}while {self.kept(each.condition)}:", *self.lines(each.body, depth + 1, True)]
        return self.loop(each, depth)

    def kept(self, condition: Expr) -> str:
        """The condition of a loop, its comparisons always right: else the loop might never end."""
        choose, self.choose = self.choose, lambda each: faithful(each) if each == "strictness" else choose(each)
        text, self.choose = self.text(condition), choose
        return text

    def choice(self, each: If, depth: int, turns: bool) -> list[str]:
        pad = INDENT * depth
        if not each.orelse and turns and isinstance(each.body[-1], Assign) and self.choose("guard") == "dropped":
            return self.lines(each.body, depth, turns)
        lines = [f"{pad}if {self.text(each.condition)}:", *self.lines(each.body, depth + 1, turns)]
        if not each.orelse or self.choose("else") == "dropped":
            return lines
        if len(each.orelse) == 1 and isinstance(each.orelse[0], If):
            more = self.choice(each.orelse[0], depth, turns)
            return [*lines, f"{pad}el{more[0].strip()}", *more[1:]]
        return [*lines, f"{pad}else:", *self.lines(each.orelse, depth + 1, turns)]

    def loop(self, each: For, depth: int) -> list[str]:
        pad, body = INDENT * depth, self.lines(each.body, depth + 1, True)
        names = {str(part.value) for part in each.bound.walk() if part.op == "name"} | {each.counter}
        if names & assigned(each.body) and self.choose("moving loop") == "while":
            condition = Expr(each.compare, (Expr("name", (), "int", each.counter), each.bound), "boolean")
            sign = "+" if each.step > 0 else "-"
            return [
                f"{pad}{each.counter} = {self.number(each.start)}",
                f"{pad}while {self.text(condition)}:",
                *body,
                f"{pad}{INDENT}{each.counter} {sign}= {abs(each.step)}",
            ]
        return [f"{pad}for {each.counter} in range({self.range(each)}):", *body]

    def range(self, each: For) -> str:
        start, bound = self.number(each.start), each.bound
        step = (
            each.step if abs(each.step) == 1 or self.choose("step of loop") == "kept" else each.step // abs(each.step)
        )
        if each.step < 0:
            form = self.choose("downward loop")
            last = self.shifted(bound, -1) if (each.compare == ">=") == (form != "short") else self.number(bound)
            if form == "forward":
                return f"{self.number(bound)}, {self.shifted(each.start, 1)}"
            return f"{start}, {last}, {step}"
        beyond = each.compare == "<=" and self.choose("inclusive bound") == "inclusive"
        end = self.shifted(bound, 1) if beyond else self.number(bound)
        if start != "0" and self.choose("start of loop") == "zero":
            start = "0"
        return f"{start}, {end}, {step}" if step != 1 else f"{start}, {end}" if start != "0" else end

    def shifted(self, e: Expr, by: int) -> str:
        """The number `e + by`, folded where that is easy."""
        if isinstance(e.value, int) and e.op == "literal":
            return str(e.value + by)
        other = "-" if by > 0 else "+"
        if e.op == other and e.args[1].value == 1:
            return self.number(e.args[0])
        return f"{self.number(e, 9)} {'+' if by > 0 else '-'} 1"

    def assignment(self, each: Assign, turns: bool) -> str:
        target, kind, value = self.text(each.target), each.target.type, each.value
        if turns and grows(each):
            whole = value if each.op == "=" else Expr(each.op[:-1], (each.target, value), "int")
            form = self.choose("overflow")
            if form == "wrapped":
                return f"{target} = ({self.number(whole, 9)} + 2**31) % 2**32 - 2**31"
            if form == "masked":
                return f"{target} = ({self.number(whole)}) % 2**32"
        if each.op in ("/=", "%="):
            whole = Expr(each.op[0], (each.target, value), "int")
            return self.divided(each.op[0], target, value) or f"{target} = {self.number(whole)}"
        if kind == "String" and each.op == "+=":
            return f"{target} += {self.joined(value)}"
        return f"{target} {each.op} {self.number(value) if kind == 'int' else self.text(value)}"

    def divided(self, op: str, target: str, value: Expr) -> str:
        """`target op= value` in short, where its form has one."""
        known = target in self.natural and natural(value, self.natural)
        if op == "/":
            form = "floor" if known else self.choose("division")
            return {"floor": f"{target} //= ", "exact": f"{target} /= "}.get(form, "") and (
                f"{target} {'//' if form == 'floor' else '/'}= {self.number(value)}"
            )
        if known or self.choose("remainder") == "floor":
            return f"{target} %= {self.number(value)}"
        return f"{target} -= {self.number(value, 10)} * int({target} / {self.number(value, 11)})"

    def joined(self, e: Expr, least: int = 0) -> str:
        """`e` where text is put together."""
        if e.type != "int":
            return self.text(e, least)
        if any(part.type == "char" for part in e.walk()) and self.choose("char in text") == "letter":
            return f"chr({self.number(e)})"
        return f"str({self.number(e)})" if self.choose("number in text") == "str" else self.number(e, least)

    def number(self, e: Expr, least: int = 0) -> str:
        """`e` where Java wants a number: characters become theirs."""
        if e.type == "char" and self.choose("char as number") == "ord":
            return f"ord({self.text(e)})"
        return self.text(e, least)

    def text(self, e: Expr, least: int = 0) -> str:
        """`e` as Python; in parentheses where it binds less closely than `least`."""
        text, binds = self.expression(e)
        return f"({text})" if binds < least else text

    def expression(self, e: Expr) -> tuple[str, int]:
        if e.op == "literal":
            quoted = e.type in ("char", "String")
            return repr(e.value) if quoted else str(e.value), _ATOM
        if e.op == "name":
            return str(e.value), _ATOM
        if e.op in LOGICAL:
            return self.logical(e)
        if e.op in ("/", "%", ">>>"):
            return self.towards_zero(e)
        if e.type == "String" and e.op == "+":
            return f"{self.joined(e.args[0], 9)} + {self.joined(e.args[1], 10)}", 9
        if e.op in _BINDS:
            binds = _BINDS[e.op]
            return f"{self.number(e.args[0], binds)} {e.op} {self.number(e.args[1], binds + 1)}", binds
        if e.op == "neg":
            return f"-{self.number(e.args[0], 11)}", 11
        if e.op == "?:":
            first, second = e.args[1:] if self.choose("ternary") == "kept" else e.args[:0:-1]
            show = self.number if e.type == "int" else self.text
            return f"{show(first, 1)} if {self.text(e.args[0], 1)} else {show(second)}", 0
        return self.call(e), _ATOM

    def logical(self, e: Expr) -> tuple[str, int]:
        op = e.op
        if op == "!":
            return f"not {self.text(e.args[0], 3)}", 3
        if op in ("&&", "||"):
            form = self.choose("connective")
            op = _OTHER[op] if form == "swapped" else op
            words = op if form == "java" else _WORDS[op]
            return f"{self.text(e.args[0], _BINDS[op])} {words} {self.text(e.args[1], _BINDS[op] + 1)}", _BINDS[op]
        left, right = e.args
        op = "==" if op == "equals" else op
        if op in ("==", "!=") and left.op == "%" and right.value == 0:
            # Whether it divides is the same in both languages.
            return f"{self.number(left.args[0], 10)} % {self.number(left.args[1], 11)} {op} 0", 4
        if op in _OTHER and self.choose("strictness") == "changed":
            op = _OTHER[op]
        # Two characters compare as their numbers do.
        show = self.text if left.type == right.type else self.number
        return f"{show(left, 5)} {op} {show(right, 5)}", 4

    def towards_zero(self, e: Expr) -> tuple[str, int]:
        a, b = e.args
        known = natural(a, self.natural) and natural(b, self.natural)
        if e.op == ">>>":
            if known or self.choose("unsigned shift") == "signed":
                return f"{self.number(a, 8)} >> {self.number(b, 9)}", 8
            return f"{self.number(a, 10)} % 2**32 >> {self.number(b, 9)}", 8
        if e.op == "/":
            form = "floor" if known else self.choose("division")
            op = "//" if form == "floor" else "/"
            quotient = f"{self.number(a, 10)} {op} {self.number(b, 11)}"
            return (f"int({quotient})", _ATOM) if form == "towards zero" else (quotient, 10)
        if known or self.choose("remainder") == "floor":
            return f"{self.number(a, 10)} % {self.number(b, 11)}", 10
        quotient = f"int({self.number(a, 10)} / {self.number(b, 11)})"
        return f"{self.number(a, 9)} - {self.number(b, 10)} * {quotient}", 9

    def call(self, e: Expr) -> str:
        args = [self.number(arg) for arg in e.args] if e.type == "int" and e.op in ("abs", "max", "min") else []
        if args:
            return f"{e.op}({', '.join(args)})"
        if e.op in ("floorMod", "floorDiv"):
            op = "%" if e.op == "floorMod" else "//"
            return f"({self.number(e.args[0], 10)} {op} {self.number(e.args[1], 11)})"
        if e.op == "(char)":
            inner = e.args[0]
            return f"chr({self.number(inner)})" if self.choose("number as char") == "chr" else self.text(inner, _ATOM)
        if e.op == "new":
            return f"[0] * {self.number(e.args[0], 11)}" if self.choose("allocation") == "zeros" else "[]"
        first, rest = self.text(e.args[0], _ATOM), e.args[1:]
        if e.op == "length":
            call = "()" if e.args[0].type == "String" else ""
            return f"len({first})" if self.choose("length") == "len" else f"{first}.length{call}"
        if e.op == "clone":
            return f"{first}[:]" if self.choose("copy") == "copied" else first
        if e.op == "indexOf":
            return f"{first}.{self.choose('absence')}({self.text(rest[0])})"
        if e.op == "substring":
            end = self.number(rest[1]) if self.choose("slice") == "exact" else self.shifted(rest[1], 1)
            return f"{first}[{self.number(rest[0])}:{end}]"
        return f"{first}[{self.number(rest[0])}]"


def _swapped(body: tuple[Statement, ...]) -> tuple[Expr, Expr] | None:
    """The two places that `int t = a; a = b; b = t;` swaps."""
    if len(body) < 3 or not all(isinstance(each, Assign) and each.op == "=" for each in body):
        return None
    keep, over, back = (each for each in body if isinstance(each, Assign))
    if keep.declares and (keep.value, over.value, back.value) == (over.target, back.target, keep.target):
        return over.target, back.target
    return None


def constructs(method: Method) -> tuple[str, ...]:
    """The constructs of `FORMS` that the method's translation has to choose a form for, in the order of `FORMS`."""
    met: set[str] = set()

    def note(construct: str) -> str:
        met.add(construct)
        return faithful(construct)

    python_source(method, note)
    return tuple(construct for construct in FORMS if construct in met)
