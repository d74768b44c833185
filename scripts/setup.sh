# Sourced by serve, test and docs: makes .venv and installs requirements and the package, where that has not been done.
# Usage, from the repository's root:  set_up requirements.txt

say() { printf '%s\n' "$*"; }

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

find_python() {
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null 2>&1 || die "There is no $python. Install Python 3.11 or newer."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Pickup needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Set PYTHON to a newer one."
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv."
}

# What .venv has to have been made from: other requirements, another Python or another folder make it stale.
# One file of requirements includes another.
wanted() {
    { cat requirements*.txt pyproject.toml && .venv/bin/python -V && pwd; } 2>&1 | cksum
}

# What an interrupted run left behind has no .made, what was moved knows its old place, and what was made by a Python
# that is gone has no pip that runs.
is_whole() {
    [ -e .venv/.made ] && grep -qF "$(pwd)/.venv" .venv/bin/activate && .venv/bin/python -m pip --version >/dev/null 2>&1
}

set_up() {
    stamp=.venv/.$1.stamp
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ] && return
    find_python
    if ! is_whole; then
        say "Making .venv …"
        "$python" -m venv --clear .venv || die ".venv could not be made; the lines above say why."
        : >.venv/.made
    fi
    say "Installing $1 (about a minute the first time) …"
    pip_install -r "$1"
    pip_install --no-deps --editable .
    wanted >"$stamp"
}

pip_install() {
    # A user's own settings for pip may say --user, which no virtual environment takes.
    PIP_USER=0 .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" ||
        die "Installing failed; pip says why above. Without a network, set PIP_FIND_LINKS to a folder of wheels."
}
