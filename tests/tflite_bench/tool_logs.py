"""What the real `benchmark_model` printed, kept in `benchmark_model_logs/`."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "benchmark_model_logs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.log"))

_TITLE = re.compile(r"^----- (.*) -----\n", re.MULTILINE)


@dataclass(frozen=True)
class ToolLog:
    """Two runs of one command: one with both streams in one, one with each by itself; and a file that it wrote."""

    exit_status: int
    combined: str
    stdout: str
    stderr: str
    file: str


def read_log(name: str) -> ToolLog:
    _, *parts = _TITLE.split((FOLDER / f"{name}.log").read_bytes().decode())
    titles, texts = parts[0::2], parts[1::2]
    assert titles[0] == "combined stdout+stderr (2>&1)"
    assert titles[2].endswith("stdout only")
    assert titles[3].endswith("stderr only")
    status = int(titles[1].removeprefix("exit code: "))
    assert f"exit {status})" in titles[2]
    return ToolLog(status, texts[0], texts[2], texts[3], texts[4] if len(texts) > 4 else "")
