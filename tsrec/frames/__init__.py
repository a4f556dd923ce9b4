"""pandas to arrays and back: time grids, panels, windows. No torch modules live here."""

from tsrec.frames.checks import check_given, check_names, check_rows, refuse_mne, time_column
from tsrec.frames.collection import Collection, from_rows, is_rows, read_collection
from tsrec.frames.container import (
    Form,
    columns_message,
    form_of,
    panel_index,
    read_index,
    read_panel,
    stacked_index,
    to_numbers,
    variable_names,
)
from tsrec.frames.electrodes import (
    TCP_PAIRS,
    canonical_name,
    electrode_positions,
    on_unit_sphere,
    unknown_electrodes,
)
from tsrec.frames.filters import band_pass_array, notch_array, resample_array
from tsrec.frames.frequency import to_offset
from tsrec.frames.gather import Origins, contexts, origins, window_rows
from tsrec.frames.grid import TimeGrid
from tsrec.frames.inference import holds_times, is_default
from tsrec.frames.long import from_long, to_long
from tsrec.frames.panel import Panel, label_at, offsets_of
from tsrec.frames.rates import sampling_rate
from tsrec.frames.recordings import RecordingGroup, Recordings, read_recordings, recordings_from_rows
from tsrec.frames.reference import average_reference, bipolar, laplacian
from tsrec.frames.segments import windows
from tsrec.frames.signals import band_pass, notch, recording, resample
from tsrec.frames.targets import align_target, check_order

__all__ = [
    "TCP_PAIRS",
    "Collection",
    "Form",
    "Origins",
    "Panel",
    "RecordingGroup",
    "Recordings",
    "TimeGrid",
    "align_target",
    "average_reference",
    "band_pass",
    "band_pass_array",
    "bipolar",
    "canonical_name",
    "check_given",
    "check_names",
    "check_order",
    "check_rows",
    "columns_message",
    "contexts",
    "electrode_positions",
    "form_of",
    "from_long",
    "from_rows",
    "holds_times",
    "is_default",
    "is_rows",
    "label_at",
    "laplacian",
    "notch",
    "notch_array",
    "offsets_of",
    "on_unit_sphere",
    "origins",
    "panel_index",
    "read_collection",
    "read_index",
    "read_panel",
    "read_recordings",
    "recording",
    "recordings_from_rows",
    "refuse_mne",
    "resample",
    "resample_array",
    "sampling_rate",
    "stacked_index",
    "time_column",
    "to_long",
    "to_numbers",
    "to_offset",
    "unknown_electrodes",
    "variable_names",
    "window_rows",
    "windows",
]
