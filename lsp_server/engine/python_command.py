"""Commands that run a module of this package in another process."""

import sys


def python_command(module: str) -> list[str]:
    """Return a command that runs a module's ``main``, safely in any working directory.

    ``python -m`` looks for modules in the working directory first. Editors start servers in the
    workspace, whose ``argparse.py``, say, would then be run.
    """
    code = (
        "import sys; sys.path[:] = [folder for folder in sys.path if folder]; "
        f"from {module} import main; sys.exit(main())"
    )
    return [sys.executable, "-c", code]
