"""The scripts by which shells ask for completions, and where they are installed."""

import contextlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import typer

from voicecli.errors import ConfigurationError
from voicecli.kept_files import replace_file
from voicecli.user_folders import data_dir

__all__ = ["SHELLS", "install", "run_option", "script"]

_BASH = """# Completion of `voice` for bash.
_voice_completion() {
    local line first=1
    local -a found=() texts=()
    COMPREPLY=()
    while IFS=$'\\t' read -r line text; do
        if [[ $first$line == "1:files" ]]; then compopt -o default; return; fi
        first=0
        found+=("$line")
    done < <(_VOICE_COMPLETION=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    local current=${COMP_WORDS[COMP_CWORD]} word
    for word in "${found[@]}"; do
        # bash has cut the word under the cursor at "=", and replaces only what is behind it.
        [[ $current == "=" || ${COMP_WORDS[COMP_CWORD-1]} == "=" ]] && word=${word#*=}
        COMPREPLY+=("$(printf %q "$word")")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -F _voice_completion voice
"""
_ZSH = """#compdef voice
# Completion of `voice` for zsh.
_voice() {
    local -a lines found
    local line word text
    lines=("${(@f)$(_VOICE_COMPLETION=zsh "${(Q)words[1]}" "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ $lines[1] == ":files" ]]; then
        _files
        return
    fi
    for line in $lines; do
        word=${line%%$'\\t'*}
        text=${line#*$'\\t'}
        [[ -n $word ]] && found+=("${word//:/\\\\:}${text:+:$text}")
    done
    _describe -V 'voice' found
}
if [[ $funcstack[1] == _voice ]]; then _voice "$@"; else compdef _voice voice; fi
"""
_FISH = """# Completion of `voice` for fish.
function __voice_completion
    set -l words (commandline -opc)
    set -l lines (_VOICE_COMPLETION=fish $words[1] $words[2..-1] (commandline -ct) 2>/dev/null)
    if test "$lines[1]" = ":files"
        __fish_complete_path (commandline -ct)
        return
    end
    string join \\n -- $lines
end
complete --command voice --no-files --keep-order --arguments '(__voice_completion)'
"""
_POWERSHELL = """# Completion of `voice` for PowerShell.
Register-ArgumentCompleter -Native -CommandName voice -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $elements = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition })
    $words = @($elements | Select-Object -Skip 1 | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value }
        else { $_.ToString() }
    })
    $program = $elements[0].ToString()
    # An empty word would not be handed on to a program.
    if ($wordToComplete -eq '') { $words += '""' }
    $env:_VOICE_COMPLETION = 'powershell'
    try {
        $lines = @(& $program @words 2>$null)
    } finally {
        Remove-Item Env:_VOICE_COMPLETION
    }
    if ($lines[0] -eq ':files') { return }
    foreach ($line in $lines) {
        $word, $text = $line -split "`t", 2
        if (-not $text) { $text = $word }
        $quoted = if ($word -match "[\\s'`"``(){};,|&]") { "'" + $word.Replace("'", "''") + "'" } else { $word }
        [System.Management.Automation.CompletionResult]::new($quoted, $word, 'ParameterValue', $text)
    }
}
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
SHELLS = tuple(_SCRIPTS)
"""Those that there are scripts for."""

_PROFILE_TIMEOUT_S = 15.0  # PowerShell takes seconds to start
_SHOW = "Or print the script with --show-completion, and put it where your shell finds it."


def script(shell: str) -> str:
    """The script for one of SHELLS."""
    return _SCRIPTS[shell]


def run_option(name: str, shell: str | None) -> None:
    """Carry out --install-completion or --show-completion.

    Args:
        shell: None for the one in which the command runs.

    Raises:
        typer.BadParameter: there is no script for it, or it is not known.
        ConfigurationError: a file cannot be written.
    """
    chosen = (shell or _running_shell()).lower().removesuffix(".exe")
    chosen = "powershell" if chosen == "pwsh" else chosen
    if chosen not in _SCRIPTS:
        told = f"there is none for {chosen!r}" if chosen else "which shell is this?"
        raise typer.BadParameter(f"{told}; write one of {', '.join(SHELLS)} after it", param_hint=name)
    if name == "--show-completion":
        typer.echo(script(chosen), nl=False)
        return
    for line in install(chosen):
        typer.echo(line)


def install(shell: str) -> list[str]:
    """Write the script, and have the shell read it; what was done, in sentences.

    Whatever else stands in the shell's own files stays there.

    Raises:
        ConfigurationError: that cannot be written.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise ConfigurationError("This user has no home directory.", advice=_SHOW) from None
    try:
        if shell == "fish":
            # fish looks there by itself.
            path = _base("XDG_CONFIG_HOME", home / ".config") / "fish/completions/voice.fish"
            _write(path, script(shell))
            return [f"Completion for fish is in {path}. New terminals have it."]
        suffix = {"bash": "bash", "zsh": "zsh", "powershell": "ps1"}[shell]
        path = data_dir() / f"completion.{suffix}"
        _write(path, script(shell))
        profile, line = _profile(shell, home, path)
        added = _add_line(profile, line)
    except (OSError, RuntimeError) as error:  # the latter for links in a circle
        what = f"{getattr(error, 'filename', None) or shell}: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError(f"Completion cannot be installed: {what}.", advice=_SHOW) from error
    told = f"{profile} {'reads it now' if added else 'read it before'}"
    return [f"Completion for {shell} is in {path}; {told}. New terminals have it."]


def _profile(shell: str, home: Path, path: Path) -> tuple[Path, str]:
    """The file that the shell reads when it starts, and the line for it."""
    quoted = shlex.quote(str(path))
    if shell == "bash":
        return home / ".bashrc", f"[ -r {quoted} ] && . {quoted}"
    if shell == "zsh":
        ready = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }"
        return _base("ZDOTDIR", home) / ".zshrc", f"[[ -r {quoted} ]] && {{ {ready}; . {quoted}; }}"
    return _powershell_profile(), f". '{str(path).replace(chr(39), chr(39) * 2)}'"


def _powershell_profile() -> Path:
    program = shutil.which("pwsh") or shutil.which("powershell")
    if program is None:
        raise ConfigurationError("PowerShell is not found.", advice=_SHOW)
    try:
        answer = subprocess.run(
            [program, "-NoProfile", "-NonInteractive", "-Command", "$PROFILE"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROFILE_TIMEOUT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        raise ConfigurationError("PowerShell does not tell where its profile is.", advice=_SHOW) from None
    return Path(answer.decode(errors="replace").strip())


def _base(variable: str, default: Path) -> Path:
    named = os.environ.get(variable, "")
    return Path(named) if os.path.isabs(named) else default


def _write(path: Path, text: str) -> None:
    """Write the file as a whole: a shell that starts meanwhile reads the old one or the new one. Raises OSError."""
    replace_file(path, text.encode(), mode=0o644)


def _add_line(path: Path, line: str) -> bool:
    """Add a line to the file unless it is there; whether it was added."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if line in before.splitlines():
        return False
    gap = "" if not before or before.endswith("\n") else "\n"
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{gap}# voice: completion\n{line}\n")
    return True


def _running_shell() -> str:
    """The name of the shell that runs the command; "" where that is not known."""
    with contextlib.suppress(Exception):
        import shellingham

        return str(shellingham.detect_shell()[0])
    return Path(os.environ.get("SHELL", "")).name
