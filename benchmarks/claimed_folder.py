"""An output folder belongs to one problem, and to a later version's same problem, too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netadapt_tf.settings import with_settings_before
from tflite_bench.errors import UserError
from tflite_bench.whole_file import write_whole


def claim(folder: Path, problem: Mapping[str, Any]) -> None:
    """Sees that an output folder is a problem's, or new.

    Args:
        folder: made where it is not there.
        problem: what its rows are about, as JSON has it, and in `settings` how they are trained and searched. Settings
            that the folder does not know came later: what it holds was made as they are by default.

    Raises:
        UserError: it holds rows of another problem, or cannot be written.
    """
    path = folder / "problem.json"
    text = json.dumps(problem, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, text.encode())
        earlier = json.loads(path.read_text())
        earlier["settings"] = with_settings_before(earlier["settings"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{folder} cannot be written or read ({error}); name another folder with --output") from error
    differing = [name for name, value in json.loads(text).items() if earlier.get(name) != value]
    if differing:
        raise UserError(
            f"{folder} holds rows of another problem; it differs in {', '.join(differing)}; name another folder with "
            "--output"
        )
