"""Write the list of files in ``docs/codemap.md`` from the files' own first sentences.

``python docs/codemap.py`` renews it; with ``--check``, as ``make check`` calls it, it only says
whether the list is true.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs" / "codemap.md"
MARK = "<!-- what follows is written by docs/codemap.py -->"
# The floors from the top, as the import contract in pyproject.toml has them.
FLOORS = [
    "cli",
    "experiments",
    "jobs",
    "report",
    "transfer",
    "engines",
    "explain",
    "training",
    "network.py",
    "pictures",
    "runs",
    "architecture",
    "data",
    "metrics",
    "download.py",
    "arrays.py",
    "disk.py",
    "errors.py",
    "notebook.py",
    "version.py",
]


def main() -> int:
    """Renew or check the map; 1 when ``--check`` finds it out of date."""
    text = MAP.read_text(encoding="utf-8")
    head, _, _ = text.partition(MARK)
    renewed = f"{head}{MARK}\n\n{files()}"
    if "--check" not in sys.argv:
        MAP.write_text(renewed, encoding="utf-8")
        return 0
    if text != renewed:
        print("docs/codemap.md is out of date: run  python docs/codemap.py", file=sys.stderr)
        return 1
    return 0


def files() -> str:
    """A section per floor with a line per file."""
    package = ROOT / "src" / "convoscope"
    present = {
        path.name for path in package.iterdir() if path.name not in ("__init__.py", "py.typed")
    }
    unknown = present - set(FLOORS) - {"__pycache__"}
    if unknown:
        raise SystemExit(
            f"docs/codemap.py: {sorted(unknown)} stand on no floor: add them to FLOORS"
        )
    return "\n".join(section(package / floor) for floor in FLOORS if floor in present)


def section(place: Path) -> str:
    """A package's purpose and its files, or one file."""
    if place.is_file():
        return f"**`{place.name}`** {first_sentence(place)}\n"
    lines = [f"### {place.name}\n", f"{first_sentence(place / '__init__.py')}\n"]
    for path in sorted(place.rglob("*.py"), key=lambda path: path.relative_to(place).parts):
        if path != place / "__init__.py":
            name = path.relative_to(place).as_posix().replace("/__init__.py", "/")
            lines.append(f"- `{name}` {first_sentence(path)}")
    return "\n".join(lines) + "\n"


def first_sentence(path: Path) -> str:
    """The first paragraph of a module's docstring, on one line."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not doc:
        raise SystemExit(f"docs/codemap.py: {path} has no docstring: say what it is for")
    return " ".join(doc.split("\n\n")[0].split())


if __name__ == "__main__":
    sys.exit(main())
