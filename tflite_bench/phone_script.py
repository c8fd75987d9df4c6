"""The script that runs a batch on a phone, and the stream that it sends back.

One shell session starts the tool for every model and prints what each start left behind the moment it is there, between
lines that begin with a token of this batch: what came before a connection broke is kept.
"""

import base64
import binascii
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from tflite_bench.benchmark_model import ToolRun
from tflite_bench.benchmark_output import ToolOutput

_BEGIN = """\
cd "${{0%/*}}" || exit 1
echo $$ >shell
run() {{
    number=$1
    shift
    : >result
    : >profile
    printf '\\n{token} begin %s\\n' "$number"
    "$@" >log 2>&1 </dev/null &
    echo $! >pid
    wait $!
    status=$?
    : >pid
    printf '\\n{token} log %s\\n' "$status"
    cat log
    printf '\\n{token} result\\n'
    if [ -s result ]; then base64 <result 2>/dev/null; fi
    printf '\\n{token} profile\\n'
    if [ -s profile ]; then base64 <profile 2>/dev/null; fi
    printf '\\n{token} end %s\\n' "$number"
}}
"""
_END = """\
rm -f shell
printf '\\n{token} done\\n'
"""

KILL = """\
for file in shell pid; do
    if [ -s $file ]; then
        number=$(cat $file)
        if grep -q -e benchmark_model -e batch.sh /proc/$number/cmdline 2>/dev/null; then kill -9 $number; fi
        rm -f $file
    fi
done
"""
"""Ends a batch that was left behind, and nobody else who has its number by now; for the batch's folder."""


def batch_script(runs: Mapping[int, ToolRun], models: Mapping[int, str], command: Sequence[str], token: str) -> str:
    """A POSIX shell script that starts the tool for each run.

    Args:
        runs: by number.
        models: file of each run's model in the folder of the script.
        command: what comes before the tool's flags, the tool included.
        token: by which the stream's lines are known.
    """
    lines = []
    for number, run in runs.items():
        files = {run.result_flag: "result", run.profile_flag: "profile"}
        outputs = [f"--{flag}={file}" for flag, file in files.items() if flag]
        words = [*command, f"--graph={models[number]}", *run.flags, *outputs]
        lines.append(f"run {number} {shlex.join(words)}\n")
    return _BEGIN.format(token=token) + "".join(lines) + _END.format(token=token)


class BatchStream:
    """Reads the stream line by line.

    Attributes:
        token: by which the stream's own lines are known.
        running: the number of the run that has begun and not ended, if any.
        done: whether the whole batch is through.
    """

    def __init__(self, token: str) -> None:
        """Takes the batch's token."""
        self.token = token
        self._marker = re.compile(rf"^{token} (?:(begin|log|end) ([0-9]+)|(result|profile|done))$")
        self._section = ""
        self._status = 0
        self._parts: dict[str, list[str]] = {}
        self.running: int | None = None
        self.done = False

    def feed(self, line: str) -> Iterator[tuple[int, ToolOutput]]:
        """Takes a line and its end; yields a run's number and output when that was its last.

        A line without an end was cut short, which may have made a marker of it, or another number: it is passed over.
        """
        if not line.endswith("\n"):
            return
        line = line.removesuffix("\n")
        match = self._marker.match(line.rstrip("\r"))
        if not match:
            self._parts.setdefault(self._section, []).append(line)
            return
        self._section, number = match[1] or match[3], match[2]
        if self._section == "begin":
            self.running, self._parts = int(number), {}
        elif self._section == "log":
            self._status = int(number)
        elif self._section == "done":
            self.done = True
        elif self._section == "end" and self.running == int(number):
            log = "\n".join(self._parts.get("log", []))
            output = ToolOutput(self._status, log, self._decoded("result"), self._decoded("profile"))
            ended, self.running = self.running, None
            yield ended, output

    def _decoded(self, section: str) -> bytes:
        try:
            return base64.b64decode("".join(self._parts.get(section, [])), validate=False)
        except binascii.Error:
            return b"\xff"  # no protobuf is read from it, and the reading says that it is damaged
