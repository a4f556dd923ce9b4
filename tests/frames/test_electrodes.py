"""Electrodes: the system's geometry against MNE's tables, names as recorders write them, and what is refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tsrec.frames import canonical_name, electrode_positions, on_unit_sphere, unknown_electrodes
from tsrec.frames.electrodes import _table


def angles(p, q):
    """Degrees between the directions of points."""
    cosine = (p * q).sum(axis=1) / np.linalg.norm(p, axis=1) / np.linalg.norm(q, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def montage(kind):
    channels = pytest.importorskip("mne.channels")
    return channels.make_standard_montage(kind).get_positions()["ch_pos"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("FP1", "Fp1"),
        (" fcz ", "FCz"),
        ("EEG Fp1", "Fp1"),
        ("EEG FP1-REF", "Fp1"),
        ("EEG T3-LE", "T7"),
        ("Fc5.", "FC5"),
        ("Cz..", "Cz"),
        ("C3-AVG", "C3"),
        ("C3-Ref", "C3"),
        ("C3-AR", "C3"),
        ("C3-A1A2 avg", "C3"),
        ("T3", "T7"),
        ("t4", "T8"),
        ("T5", "P7"),
        ("T6", "P8"),
        ("A1", "A1"),
        ("EEG A2-REF", "A2"),
        ("m1", "M1"),
        ("CPP5H", "CPP5h"),
        ("TTP7h", "TTP7h"),
        ("oiz", "OIz"),
        ("FP1-F7", "Fp1-F7"),
        ("EEG T3-T5", "T7-P7"),
        ("T4 - A2", "T8-A2"),
        ("C3-A1", "C3-A1"),
        (" EOG left", "EOG left"),
        ("EEG ECG-REF", "EEG ECG-REF"),
        ("C3-X", "C3-X"),
        ("T8-P8-0", "T8-P8-0"),
    ],
)
def test_names_as_recorders_write_them(written, meant):
    assert canonical_name(written) == meant
    assert canonical_name(meant) == meant


def test_geometry_is_that_of_the_ten_five_system():
    # Where a tenth is 18 degrees, every electrode of the published system comes out.
    theirs, ours = montage("spherical_1005"), _table(18.0)
    assert set(ours) - set(theirs) == {"Nz", "A1", "A2", "M1", "M2", "CB1", "CB2"}
    assert len(theirs) == 344
    assert angles(np.array([ours[name] for name in theirs]), np.array(list(theirs.values()))).max() < 0.02


@pytest.mark.parametrize(("kind", "largest", "mean"), [("biosemi64", 3.6, 0.6), ("fsaverage_1005", 4.6, 2.2)])
def test_a_tenth_is_as_on_caps_and_heads(kind, largest, mean):
    theirs = {name: point for name, point in montage(kind).items() if not unknown_electrodes([name])}
    assert len(theirs) >= 64
    off = angles(electrode_positions(theirs), on_unit_sphere(list(theirs.values())))
    assert off.max() < largest
    assert off.mean() < mean


def test_positions_are_on_the_unit_sphere_and_mirrored():
    table = _table()
    points = np.array(list(table.values()))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-12)
    for left, right in (("Fp1", "Fp2"), ("P7", "P8"), ("FFC3h", "FFC4h"), ("T9", "T10"), ("A1", "A2"), ("CB1", "CB2")):
        np.testing.assert_allclose(table[left] * [-1, 1, 1], table[right], atol=1e-15)
        assert table[left][0] < 0
    np.testing.assert_allclose(table["Cz"], [0, 0, 1], atol=1e-15)
    ring = np.degrees(np.arccos([table[name][2] for name in ("Fpz", "Fp1", "F7", "T7", "Oz")]))
    np.testing.assert_allclose(ring, 92)
    np.testing.assert_allclose(np.degrees(np.arccos([table["Nz"][2], table["P9"][2]])), 115)
    np.testing.assert_allclose(np.degrees(np.arctan2(-table["F7"][0], table["F7"][1])), 54)


def test_pairs_lie_between_their_electrodes_and_names_may_vary():
    points = electrode_positions(["EEG T3-T5", "T7", "P7.", "FP1-F7"])
    np.testing.assert_allclose(points[0], (points[1] + points[2]) / 2)
    np.testing.assert_allclose(points[3], electrode_positions(["Fp1", "F7"]).mean(axis=0))
    assert electrode_positions([]).shape == (0, 3)


def test_own_positions_are_looked_up_as_given_then_by_standard_name():
    own = {"FP1": (1, 2, 3), "T5": np.array([4, 5, 6]), "lead": (7, 8, 9), "A-B": (0, 0, 1)}
    found = electrode_positions(["Fp1", "P7", "lead", "FP1-T5", "A-B"], own)
    np.testing.assert_array_equal(found, [[1, 2, 3], [4, 5, 6], [7, 8, 9], [2.5, 3.5, 4.5], [0, 0, 1]])
    # The table does not fill in for a mapping: units and axes would be mixed.
    assert unknown_electrodes(["Fp1", "Cz", "Cz-Fp1"], own) == ["Cz", "Cz-Fp1"]
    # Names of their own stay apart even where they mean one electrode.
    np.testing.assert_array_equal(electrode_positions(["T3", "T7"], {"T3": (1, 0, 0), "T7": (2, 0, 0)})[:, 0], [1, 2])


def test_unknown_names_are_all_listed_with_what_is_close():
    with pytest.raises(
        ValueError, match=r"recs: 3 of its 4 channels .*'EOG1', 'FpZ1' \(is it 'Fpz'\?\), 'C3-ECG'"
    ) as e:
        electrode_positions(["EOG1", "FpZ1", "Cz", "C3-ECG"], where="recs")
    for mend in ("drop_unknown=True", "positions={name: (x, y, z)", "positions='none'"):
        assert mend in str(e.value)
    assert unknown_electrodes(["EOG1", "FpZ1", "Cz", "C3-ECG"]) == ["EOG1", "FpZ1", "C3-ECG"]


def test_two_names_of_one_electrode_are_refused():
    with pytest.raises(ValueError, match=r"X: .*'T3' and 'EEG T7-REF' are both T7; 'c3' and 'C3' are both C3"):
        electrode_positions(["T3", "c3", "C3", "EEG T7-REF", "Cz"])
    with pytest.raises(ValueError, match="'T3-T5' and 'T7-P7' are both T7-P7"):
        electrode_positions(["T3-T5", "T7-P7", "P7-T7"])


def test_positions_must_be_a_mapping_of_points():
    with pytest.raises(TypeError, match=r"positions: found list.*dict"):
        electrode_positions(["Cz"], [(0, 0, 1)])
    for wrong in ((0, 1), (0, np.nan, 1), "up", None):
        with pytest.raises(ValueError, match=r"positions: 'Cz' is at .*three finite numbers"):
            electrode_positions(["Cz"], {"Cz": wrong})


@pytest.mark.parametrize("unit", [1.0, 1e-3, 95.0])
def test_a_sphere_is_fitted_in_any_unit_and_place(unit):
    names = ["Fp1", "Cz", "Oz", "T7", "T8", "F3", "P9"]
    sphere = electrode_positions(names)
    turn = Rotation.from_euler("xyz", [0.1, 0.2, 0.3])
    moved = turn.apply(sphere) * unit + np.array([5.0, -7.0, 11.0]) * unit
    np.testing.assert_allclose(on_unit_sphere(moved), turn.apply(sphere), atol=1e-9)


def test_a_sphere_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    points = electrode_positions(list(_table())[:100]) * rng.normal(1, 0.05, (100, 1)) * 90 + 30
    fitted = on_unit_sphere(points)
    # At the optimum the residual |p|^2 - 1 is orthogonal to the columns of the system.
    residual = np.square(fitted).sum(axis=1) - 1
    np.testing.assert_allclose(np.c_[fitted, np.ones(100)].T @ residual, 0, atol=1e-9)


@pytest.mark.parametrize("points", [np.eye(3), [[0, 0, 1], [1, 0, 1], [0, 1, 1], [3, 3, 1]], [[1, 2, 3]] * 5, []])
def test_no_sphere_through_few_or_flat_points(points):
    with pytest.raises(ValueError, match=r"points: "):
        on_unit_sphere(points)
    with pytest.raises(ValueError, match=r"points: found shape \(2,\)"):
        on_unit_sphere([1, 2])
