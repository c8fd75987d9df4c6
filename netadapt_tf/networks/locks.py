"""Channel groups that keep their filters because someone says so."""

import re
from collections.abc import Mapping

from netadapt_tf.networks.channel_groups import Channels
from netadapt_tf.wording import some
from tflite_bench.errors import UserError


def locks_of(channels: Channels, pattern: str) -> Mapping[str, str]:
    """The groups that a pattern locks, by name, and why.

    Args:
        channels: of a network.
        pattern: a regular expression, for the whole name of a layer that writes a group; empty for none.

    Raises:
        UserError: no such layer.
    """
    if not pattern:
        return {}
    locked = {
        group.name: f"asked for by lock={pattern}"
        for group in channels.groups
        if any(re.fullmatch(pattern, writer) for writer in group.writers)
    }
    if not locked:
        writers = [writer for group in channels.groups for writer in group.writers]
        raise UserError(f"lock={pattern} matches no layer that writes channels; these do: {some(writers)}")
    return locked
