import functools
import sys
import textwrap

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.protocol import is_async, load_reward, reward_name


def plain_reward(prompts, completions, **columns):
    return [1.0] * len(completions)


async def async_reward(prompts, completions, **columns):
    return [1.0] * len(completions)


class Object:
    def __call__(self, prompts, completions, **columns):
        return [1.0] * len(completions)


class AsyncObject:
    async def __call__(self, prompts, completions, **columns):
        return [1.0] * len(completions)


FORMS = [
    (plain_reward, "plain_reward", False),
    (async_reward, "async_reward", True),
    (functools.partial(plain_reward, scale=2), "plain_reward", False),
    (functools.partial(functools.partial(async_reward), scale=2), "async_reward", True),
    (Object(), "Object", False),
    (AsyncObject(), "AsyncObject", True),
    (functools.partial(AsyncObject()), "AsyncObject", True),
    (Object().__call__, "__call__", False),
]


@pytest.mark.parametrize(("reward", "name", "awaited"), FORMS)
def test_every_form_of_a_reward_is_recognised(reward, name, awaited):
    assert reward_name(reward) == name
    assert is_async(reward) is awaited


@pytest.mark.parametrize("reward", [form[0] for form in FORMS])
def test_names_and_forms_are_those_of_trl(reward):
    utils = pytest.importorskip("trl.trainer.utils")
    assert reward_name(reward) == utils.get_callable_name(reward)
    assert is_async(reward) == utils.is_async_callable(reward)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_a_reward_is_loaded_from_a_file(write):
    write("neighbour_of_mine.py", "HALF = 0.5\n")
    path = write(
        "mine.py",
        """
        from dataclasses import dataclass
        from neighbour_of_mine import HALF

        @dataclass
        class Settings:
            scale: "float"

        def half(prompts, completions, **columns):
            return [HALF * Settings(1.0).scale for _ in completions]
        """,
    )
    reward = load_reward(f"{path}:half")
    assert reward(prompts=["?"], completions=["!"]) == [0.5]
    assert load_reward(f"{path}:half") is reward


def test_files_of_the_same_name_in_two_folders_are_two_rewards(write):
    first = write("a/same.py", "def reward(**columns): return [1.0]\n")
    second = write("b/same.py", "def reward(**columns): return [2.0]\n")
    assert load_reward(f"{first}:reward")() == [1.0]
    assert load_reward(f"{second}:reward")() == [2.0]


def test_a_reward_is_loaded_from_a_module(write, monkeypatch):
    path = write("package_of_mine/rewards.py", "def one(**columns): return [1.0]\n")
    monkeypatch.syspath_prepend(str(path.parent.parent))
    assert load_reward("package_of_mine.rewards:one")() == [1.0]


@pytest.mark.parametrize("spec", ["mine.py", "mine", "mine.py:", ":half", "mine.py:not a name", ""])
def test_another_form_is_refused(spec):
    with pytest.raises(UserError, match=r"path/to/file\.py:function"):
        load_reward(spec)


def test_what_is_missing_is_named(write):
    path = write("functions.py", "from json import dumps\nN = 1\ndef one(): ...\ndef two(): ...\nclass Three: ...\n")
    with pytest.raises(UserError, match=r"no file .*nowhere\.py"):
        load_reward(f"{path.with_name('nowhere.py')}:one")
    with pytest.raises(UserError, match=r"has no 'three'; it has one, two$"):
        load_reward(f"{path}:three")
    with pytest.raises(UserError, match=r"is of type int, not a function; it has one, two$"):
        load_reward(f"{path}:N")
    with pytest.raises(UserError, match="is a class, not a function"):
        load_reward(f"{path}:Three")
    with pytest.raises(UserError, match="no_such_package cannot be imported: ModuleNotFoundError"):
        load_reward("no_such_package:one")


@pytest.mark.parametrize(
    ("text", "error"),
    [("1 +", "SyntaxError"), ("import no_such", "no_such"), ("exit(3)", "SystemExit")],
)
def test_a_file_that_cannot_be_imported_says_why(write, text, error):
    path = write("broken.py", text)
    with pytest.raises(UserError, match=rf"broken\.py cannot be imported: .*{error}"):
        load_reward(f"{path}:one")
    path.write_text("def one(**columns): return [1.0]\n\n")
    assert load_reward(f"{path}:one")() == [1.0]
