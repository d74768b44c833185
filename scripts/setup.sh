# Sourced by serve and test: makes .venv and installs requirements and the package, where that has not been done.
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
        die "$python has no venv. Install it: on Debian and Ubuntu, apt install python3-venv."
}

set_up() {
    requirements=$1
    stamp=.venv/.$requirements.stamp
    # requirements-test.txt takes in requirements.txt.
    wanted=$(cat requirements.txt "$requirements" pyproject.toml | cksum)
    [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    find_python
    # What an interrupted run left behind has no stamp, and is made anew.
    if [ ! -e .venv/.made ]; then
        say "Making .venv …"
        "$python" -m venv --clear .venv
        : >.venv/.made
    fi
    say "Installing $requirements (about a minute the first time) …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
    printf '%s\n' "$wanted" >"$stamp"
}
