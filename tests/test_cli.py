"""The command line's door: help, commands, mistakes."""

from __future__ import annotations

import sys

import pytest

from foolsgold import cli


def call(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", ["foolsgold", *words])
    cli.main()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_names_every_command_with_an_example(capsys, monkeypatch, words):
    call(monkeypatch, *words)
    shown = capsys.readouterr().out
    for command in ("run", "train", "generate", "audit"):
        assert f"foolsgold {command} " in shown.split("examples:")[0]
        assert f"foolsgold {command} " in shown.split("examples:")[1]


def test_an_unknown_command_is_one_line(capsys, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, "adit")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "foolsgold: there is no command 'adit'; see foolsgold --help\n"
