"""What is there is told, and what is not with the command that brings it."""

from __future__ import annotations

from pathlib import Path

from foolsgold.rewards.verifiers import lean_install
from foolsgold.rewards.verifiers.registry import PREFIX, VERIFIERS
from foolsgold.serving import tools_command
from foolsgold.serving.tools_command import Tool, ToolsCommand, main


def test_what_is_missing_comes_with_its_command(monkeypatch, capsys):
    tools = (Tool("here", lambda: "/bin/here", "one", "get here"), Tool("gone", lambda: None, "other", "get gone"))
    monkeypatch.setattr(tools_command, "TOOLS", tools)
    main(ToolsCommand())
    told = capsys.readouterr().out
    assert "found" in told
    assert "get gone" in told
    assert "get here" not in told


def test_every_verifier_has_its_tool():
    for tool in tools_command.TOOLS:
        tool.found()
    served = {tool.serves for tool in tools_command.TOOLS}
    # That of code is the sandbox, which serves all.
    assert {f"{PREFIX}{name}" for name in VERIFIERS if name != "code"} <= served


def test_lean_is_put_where_it_is_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(lean_install, "install", lambda folder: asked.append(folder))
    main(ToolsCommand(install="lean", folder=str(tmp_path)))
    main(ToolsCommand(install="lean"))
    assert asked == [Path(tmp_path), lean_install.default_folder()]
