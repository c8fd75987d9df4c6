r"""Shows what a latency table holds of a target; carries it to other machines as text.

Everything that was measured on phones' CPUs with one thread, and as a file; --device=pixel for those of that name only:

  python -m tflite_bench.show_table --target=android/cpu:1 --export=table.csv

On another machine, into its table:

  python -m tflite_bench.show_table --import=table.csv
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tflite_bench.binary import run
from tflite_bench.errors import UserError
from tflite_bench.latency_table import DEFAULT_TABLE, LatencyTable, default_table, stored_contexts, stored_kinds
from tflite_bench.table_listing import listing
from tflite_bench.table_text import export_tables, import_tables
from tflite_bench.target import parse_target

_TARGET = flags.DEFINE_string("target", None, "Which target's entries, for example android/cpu:1; by default all.")
_TABLE = flags.DEFINE_string("table", None, f"File of the latency table; by default {DEFAULT_TABLE}.")
_DEVICE = flags.DEFINE_string(
    "device", "", "Only entries of devices whose fingerprint holds this text, for example 'Pixel 3'."
)
_EXPORT = flags.DEFINE_string("export", None, "Write what is shown to this file, as text headed by its provenance.")
_IMPORT = flags.DEFINE_string("import", None, "Take over the entries of a file that --export wrote; the newer stay.")

_FLAG_GROUPS = {"Which entries": (_TABLE, _TARGET, _DEVICE), "To and from text": (_EXPORT, _IMPORT)}


def main(_: Sequence[str]) -> None:
    """Imports, exports, shows, in this order."""
    table = Path(_TABLE.value) if _TABLE.value else default_table()
    if _IMPORT.value is not None:
        for context, count in import_tables(Path(_IMPORT.value), table):
            print(f"{count} entries taken over for {context.target}")
    elif not table.exists():
        raise UserError(
            f"there is no latency table {table}; a search, fill_table or profile_model makes one; --table names another"
        )
    kinds = [parse_target(_TARGET.value).kind] if _TARGET.value else stored_kinds(table)
    contexts = [
        context
        for kind in kinds
        for context in stored_contexts(table, kind)
        if _DEVICE.value.lower() in " ".join(map(str, context.fingerprint.values())).lower()
    ]
    if not contexts:
        of_device = f" of devices like {_DEVICE.value!r}" if _DEVICE.value else ""
        raise UserError(
            f"{table} holds no entries for {', '.join(kinds) or 'any target'}{of_device}; it holds "
            f"{', '.join(stored_kinds(table)) or 'none at all'}"
        )
    tables = [(context, LatencyTable(table, context).entries()) for context in contexts]
    if _EXPORT.value is not None:
        export_tables(tables, Path(_EXPORT.value))
        print(f"{sum(len(entries) for _, entries in tables)} entries written to {_EXPORT.value}")
    if _IMPORT.value is None or _TARGET.value:
        for context, entries in tables:
            print(listing(context, entries))


def entry_point() -> None:
    """The binary, as it is installed."""
    run(main, flag_groups=_FLAG_GROUPS)


if __name__ == "__main__":
    entry_point()
