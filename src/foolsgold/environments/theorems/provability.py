"""Whether a formula has a proof in intuitionistic propositional logic, decided without a tactic or a tool.

G4ip (Dyckhoff 1992, "Contraction-free sequent calculi for intuitionistic logic", figure 3): every rule, read upwards,
makes the sequent smaller, so the search ends without a look at loops.
"""

from __future__ import annotations

from functools import lru_cache

from foolsgold.environments.theorems.formulas import FALSE, Formula, both, implies


@lru_cache(1 << 18)
def core(formula: Formula) -> Formula:
    """The same with `not` and `iff` spelt out by implications: not A is A -> False."""
    parts = tuple(core(part) for part in formula.parts)
    match formula.operator:
        case "not":
            return implies(parts[0], FALSE)
        case "iff":
            return both(implies(*parts), implies(parts[1], parts[0]))
        case _:
            return Formula(formula.operator, parts, formula.name)


def provable(hypotheses: frozenset[Formula], goal: Formula) -> bool:
    """Whether the goal follows from the hypotheses without the law of the excluded middle."""
    return _provable(frozenset(map(core, hypotheses)), core(goal))


@lru_cache(1 << 18)
def _provable(hypotheses: frozenset[Formula], goal: Formula) -> bool:
    if goal in hypotheses or FALSE in hypotheses:
        return True
    if goal.operator == "and":
        return _provable(hypotheses, goal.parts[0]) and _provable(hypotheses, goal.parts[1])
    if goal.operator == "implies":
        return _provable(hypotheses | {goal.parts[0]}, goal.parts[1])
    reduced = _reduced(hypotheses)
    if reduced is not None:
        return all(_provable(each, goal) for each in reduced)
    if goal.operator == "or" and any(_provable(hypotheses, part) for part in goal.parts):
        return True
    # The last rule, for (C -> D) -> B, is the only one on the left that may be the wrong one to take.
    for each in hypotheses:
        if each.operator == "implies" and each.parts[0].operator == "implies":
            (premise, conclusion), result = each.parts[0].parts, each.parts[1]
            rest = hypotheses - {each}
            if _provable(rest | {implies(conclusion, result), premise}, conclusion) and _provable(
                rest | {result}, goal
            ):
                return True
    return False


def _reduced(hypotheses: frozenset[Formula]) -> list[frozenset[Formula]] | None:
    """The sequents' hypotheses after one rule that loses nothing; None where there is no such rule to take."""
    for each in hypotheses:
        rest = hypotheses - {each}
        if each.operator == "and":
            return [rest | set(each.parts)]
        if each.operator == "or":
            return [rest | {part} for part in each.parts]
        if each.operator != "implies":
            continue
        premise, result = each.parts
        match premise.operator:
            case "false":
                return [rest]
            case "and":
                return [rest | {implies(premise.parts[0], implies(premise.parts[1], result))}]
            case "or":
                return [rest | {implies(part, result) for part in premise.parts}]
            case "atom" if premise in rest:
                return [rest | {result}]
    return None
