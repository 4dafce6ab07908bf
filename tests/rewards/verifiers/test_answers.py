"""Code taken out of answers: each source is run here, as what it says is known."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.rewards.verifiers.answers import NoCode, context, fenced_blocks, program_of, prompt_code

PROMPT = 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef quarter(x):\n    """A quarter of x."""\n'
BODY = "    return half(half(x))\n"
WHOLE = "def quarter(x):\n    return half(half(x))\n"


def run(source: str, entry: str = "quarter"):
    space: dict = {}
    exec(compile(source, "answer", "exec"), space)
    return space[entry]


@pytest.mark.parametrize(
    "completion",
    [
        BODY,
        "\n" + BODY,
        BODY.lstrip(),  # the first indentation is lost when a completion is stripped
        WHOLE,
        f"```python\n{WHOLE}```",
        f"Sure! Here it is:\n\n```python\n{WHOLE}```\nIt halves twice. Don't you think?",
        f"~~~~py\n{WHOLE}~~~~\n",
        f"```\n{BODY}```",
        f"```python\n{WHOLE}",  # cut off before the fence closes
        f"First try:\n```python\ndef quarter(x):\n    return x\n```\nBetter:\n```python\n{WHOLE}```\n",
        f"```python\n{WHOLE}```\nFor example:\n```python\nprint(quarter(8))\n```\n```text\n2.0\n```",
        f"Here is the function:\n\n{WHOLE}\nThis halves the number twice.",
        WHOLE + "\nDone",
        WHOLE + "\nNote: fine",
        BODY + "\n\ndef unfinished(x):\n    return (x +",
        BODY + "\nIt's done\n\nIsn't it?\n",
        f"<think>\nMaybe ```python\ndef quarter(x): pass\n```</think>\n{WHOLE}",
        f"from __future__ import annotations\n{WHOLE}",
        [{"role": "assistant", "content": f"```python\n{WHOLE}```"}],
        WHOLE.replace("\n", "\r\n"),
    ],
)
def test_a_function_is_found_in_all_the_ways_in_which_people_write_it(completion):
    assert run(program_of(PROMPT, completion, "quarter"))(8) == 2


@pytest.mark.parametrize(
    "prompt", ["def f(x):\n", "# Twice x.\ndef f(x):\n", "Write Python.\n\ndef f(x):\n", "def f(x): "]
)
def test_a_prompt_may_be_a_header_without_a_docstring(prompt):
    body = "return 2 * x\n" if prompt.endswith(" ") else "    return 2 * x\n"
    assert run(program_of(prompt, body, "f"), "f")(3) == 6


def test_a_chat_prompt_is_continued_from_its_last_turn():
    chat = [
        {"role": "system", "content": "```python\nx = 1\n```"},
        {"role": "user", "content": f"```python\n{PROMPT}```"},
    ]
    assert prompt_code(chat) == PROMPT
    assert run(program_of(chat, WHOLE, "quarter"))(8) == 2


def test_imports_and_helpers_of_a_prompt_are_its_context():
    assert run(context(PROMPT, "quarter"), "half")(8) == 4
    assert "quarter" not in context(PROMPT, "quarter")
    assert context("def f(x):\n", "f") == ""
    assert context("What is six times seven?", "f") == ""


@pytest.mark.parametrize(
    ("completion", "message"),
    [
        ("I cannot do that.", "does not compile"),
        ("", "does not define quarter"),
        ("def other(x):\n    return x\n", "does not define quarter"),
        ("def quarter(x):\n    return (x\n", "does not compile: line 2"),
        ("def quarter(x):\n    if x:\nno\n", "does not compile"),
        ("def quarter(x):\n    return 1\n    oh no\n", "does not compile: line 3"),
        ("x = 1\0", "does not compile"),
        ("def quarter(x):\n    return " + "-" * 30_000 + "1\n", "does not compile"),
        ("#" * 100_001, "100,000 are read"),
    ],
)
def test_what_is_no_such_function_is_told(completion, message):
    with pytest.raises(NoCode, match=message):
        program_of(PROMPT, completion, "quarter")


def test_a_function_that_is_broken_is_not_mended():
    """Cutting the last line would leave a function that returns something else than was written."""
    with pytest.raises(NoCode):
        program_of("def f(x):\n", "    y = 2 * x\n    return y\n    retur(\n", "f")


def test_a_program_that_is_run_as_a_whole_needs_no_function():
    assert program_of("Add two numbers.", "```python\nprint(1)\n```", None) == "print(1)\n"
    with pytest.raises(NoCode):
        program_of("Add two numbers.", "The sum is three.", None)


def test_fences_hold_what_their_language_says():
    text = "```java\nint x;\n```\n```\nplain\n```\n````python\n```\ninner\n```\n````\n"
    assert fenced_blocks(text) == ["plain\n", "```\ninner\n```\n"]
    assert fenced_blocks(text, ("java",)) == ["int x;\n"]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("def quarter(x):\n    return'\"`#\\{[~ié\t\r\0\f"), max_size=200))
def test_any_text_gives_a_program_that_compiles_or_a_reason(text):
    try:
        source = program_of(PROMPT, text, "quarter")
    except NoCode:
        return
    compile(ast.parse(source), "answer", "exec")
