"""Which numbers of a method can never be negative, as a reader of its source can tell."""

from __future__ import annotations

from foolsgold.environments.java_tasks.program import Assign, Each, Expr, For, Method, Statement, While, statements


def natural_names(method: Method) -> frozenset[str]:
    """Variables that are never negative where the method divides them: counters up from 0 or down to it, sums of
    natural numbers, and what a loop `while (n > 0)` takes apart.
    """
    everything = list(statements(method.body))
    known = {str(each.target.value) for each in everything if isinstance(each, Assign) and each.declares == "int"}
    known |= {each.counter for each in everything if isinstance(each, For)}
    known |= {str(each.item.value) for each in everything if isinstance(each, Each) and each.item.type == "char"}
    guarded = {
        str(each.condition.args[0].value)
        for each in everything
        if isinstance(each, While) and each.condition.op == ">" and each.condition.args[1].value == 0
    }
    known |= guarded
    while True:
        lost = {name for name in known if not _stays(name, everything, known, guarded)}
        if not lost:
            return frozenset(known)
        known -= lost


def _stays(name: str, everything: list[Statement], known: set[str], guarded: set[str]) -> bool:
    for each in everything:
        if isinstance(each, Assign) and each.target.value == name and each.target.op == "name":
            if each.op in ("-=", "^=") or grows(each):
                return False
            if not natural(each.value, known) and not (each.declares and name in guarded):
                return False
        if isinstance(each, For) and each.counter == name:
            down = each.step < 0
            if down and not (each.compare in (">", ">=") and natural(each.bound, known)):
                return False
            if not down and not natural(each.start, known):
                return False
    return True


def natural(e: Expr, known: set[str] | frozenset[str]) -> bool:
    """Whether `e` is at least 0 when the variables of `known` are."""
    if e.type == "char" or e.op in ("length", "floorMod"):
        return e.op != "floorMod" or natural(e.args[1], known)
    if e.op == "literal":
        return isinstance(e.value, int)
    if e.op == "name":
        return e.value in known
    if e.op == "abs":
        return True
    if e.op == "?:":
        return all(natural(arg, known) for arg in e.args[1:])
    if e.op == "max":
        return any(natural(arg, known) for arg in e.args)
    if e.op == "%":
        return natural(e.args[0], known)
    if e.op in ("+", "*", "/", ">>", "&", "|", "min", ">>>"):
        return all(natural(arg, known) for arg in e.args)
    return False


def grows(each: Assign) -> bool:
    """Whether the target is multiplied by more than ten, or by who knows what; ten only puts digits together."""
    factors = [(each.target, each.value)] if each.op == "*=" else []
    factors += [(part.args[0], part.args[1]) for part in each.value.walk() if part.op == "*"]
    return any(a == each.target and (b.op != "literal" or int(str(b.value)) > 10) for a, b in factors)
