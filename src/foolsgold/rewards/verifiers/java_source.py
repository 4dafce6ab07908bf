"""The text of Java methods: what makes them a file that compiles, and the literals in them."""

from __future__ import annotations

import ast
import re

_IMPORTS = "import java.util.*; import java.util.function.*; import java.util.stream.*; import java.math.*;"
_TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|\"\"\".*?\"\"\"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![\w.])(0[xX][0-9a-fA-F_]+|0[bB][01_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)[lLdDfF]?(?![\w.])"
)


def compilation_unit(source: str, package: str) -> str:
    """A file in a package of its own that holds the class or classes, or the bare methods and fields, of `source`.

    Lines keep their numbers. The packages that such methods use most are imported.
    """
    blank = _TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)
    head = "".join(match.group() for match in re.finditer(r"^[ \t]*import\s[^;]*;", blank, re.MULTILINE))
    body = source
    for match in re.finditer(r"^[ \t]*(?:package|import)\s[^;]*;", blank, re.MULTILINE):
        kept = "".join("\n" if character == "\n" else " " for character in match.group())
        body = body[: match.start()] + kept + body[match.end() :]
        blank = blank[: match.start()] + kept + blank[match.end() :]
    start = f"package {package}; {_IMPORTS} {' '.join(head.split())}"
    return f"{start} {body}" if _is_classes(blank) else f"{start} class Solution {{ {body}\n}}"


def _is_classes(blank: str) -> bool:
    """Whether nothing but classes that can stand alone is at the outermost level."""
    outer, depth = "", 0
    for character in blank:
        if character == "}":
            depth -= 1
            outer += "}" if depth == 0 else ""
        elif character == "{":
            outer += "{" if depth == 0 else ""
            depth += 1
        elif depth == 0:
            outer += character
    declarations = [each for each in outer.replace("{}", "{").split("{") if each.strip()]
    pattern = r"[^(=]*\b(?:class|interface|enum|record)\s+\w+"
    return bool(declarations) and all(
        re.match(pattern, each, re.DOTALL) and not re.search(r"\b(?:static|private|protected)\b", each)
        for each in declarations
    )


def literals(source: str) -> list[int | float | str]:
    """Numbers, characters and strings that the method names: inputs near them reach more of its branches."""
    found: list[int | float | str] = []
    for match in _TOKEN.finditer(source):
        if match.group()[0] in "\"'":
            try:
                value = ast.literal_eval(match.group())  # Java's escapes are Python's, but for octal ones
            except (ValueError, SyntaxError):
                continue
            if isinstance(value, str) and len(value) <= 40:
                found.append(value)
    for match in _NUMBER.finditer(_TOKEN.sub(" ", source)):
        digits = match.group(1).replace("_", "")
        if re.fullmatch(r"\d+", digits):
            found.append(int(digits))
        elif digits[:2].lower() in ("0x", "0b"):
            found.append(int(digits, 0))
        else:
            found.append(float(digits))
    return list(dict.fromkeys(found))
