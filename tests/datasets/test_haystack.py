import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tsrec.datasets import (
    HAYSTACK_TASKS,
    Haystack,
    HaystackItem,
    answer_question,
    audit_haystack,
    make_haystack,
    make_recordings,
    score_answers,
)
from tsrec.datasets import _haystack_item as item_module
from tsrec.datasets._haystack_source import bout_index, find_regimes, read_source, split_subjects

RATE, CONTEXT = 20, 60
SLOTS = dict(zip(HAYSTACK_TASKS, (3, 3, 5, 3, 3, 4, 4, 5, 4, 4), strict=True))


@pytest.fixture(scope="module")
def recorded():
    return make_recordings(20, seconds=600, rate=RATE, random_state=0)


@pytest.fixture(scope="module")
def make(recorded):
    def made(task, **changed):
        asked = {"context": CONTEXT, "needle": 3.0, "n_train": 6, "n_val": 2, "n_test": 4, **changed}
        return make_haystack(*recorded, task=task, **asked)

    return made


@pytest.fixture(scope="module", params=[(task, sweep) for task in HAYSTACK_TASKS for sweep in ("seconds", "ratio")])
def every(request, make):
    """All items of a task."""
    task, sweep = request.param
    return [item for part in make(task, sweep=sweep, n_train=20) for item in part]


def needles(item, label):
    return [
        [edit.position / RATE, (edit.position + edit.n_times) / RATE]
        for edit in item.edits
        if edit.label == label and edit.role == "needle"
    ]


def expected(item):
    """The answer from the insertions alone, worked out apart from the table of events."""
    asked = item.question
    if item.task.startswith("anomaly"):
        found = [edit for edit in item.edits if edit.role == "needle"]
        if item.task == "anomaly_detection":
            return bool(found)
        return needles(item, found[0].label)[0] if found else None
    if item.task == "ordering":
        return min(asked["labels"], key=lambda label: needles(item, label)[0][0])
    mine = needles(item, asked["label"])
    if item.task == "existence":
        return bool(mine)
    if item.task == "localization":
        return mine[0]
    if item.task == "counting":
        return len(mine)
    if item.task == "state_query":
        middle = mine[0][0] * RATE + 1
        return next(span.label for span in item.background.timeline if span.start <= middle < span.end)
    if item.task == "antecedent":
        return max((edit.position, edit.label) for edit in item.edits if edit.position < mine[0][0] * RATE)[1]
    if item.task == "comparison":
        if asked["of"] == "without":
            ends = [0.0, *(end for _, end in mine)]
            mine = [list(gap) for gap in zip(ends, [*(start for start, _ in mine), item.context], strict=True)]
        pick = max if asked["extremum"] == "longest" else min
        return pick(mine, key=lambda span: span[1] - span[0])
    anchor = needles(item, asked["anchor"])[0][0]
    side = [span for span in mine if (span[0] > anchor) == (asked["direction"] == "after")]
    return side[asked["k"] - 1] if asked["direction"] == "after" else side[-asked["k"]]


def test_answers_follow_from_the_insertions_and_from_the_table_of_events(every):
    for item in every:
        assert item.answer == pytest.approx(expected(item)), item.question
        assert answer_question(item.truth, item.question) == item.answer


def test_all_items_of_a_task_have_as_many_insertions(every):
    for item in every:
        assert len(item.edits) == SLOTS[item.task]
        assert len({(edit.recording, edit.start) for edit in item.edits}) == len(item.edits)


def test_answers_are_balanced_where_they_are_few(every):
    answers = [item.answer for item in every if item.split == "train"]
    kind, task = every[0].question["answer"], every[0].task
    if kind == "bool":
        assert sum(answers) == len(answers) // 2
    if kind == "int":
        assert set(Counter(answers).values()) == {len(answers) // 5}
    if task == "anomaly_localization":
        assert answers.count(None) == len(answers) // 2


def test_insertions_keep_the_margin_and_the_gaps(every):
    margin = min(0.02 * CONTEXT, 1.0) * RATE
    for item in every:
        edges = [(edit.position, edit.position + edit.n_times) for edit in item.edits]
        assert edges[0][0] >= margin
        assert item.n_times - edges[-1][1] >= margin
        tied = 0
        for slot, (before, after) in enumerate(pairwise(edges)):
            gap = after[0] - before[1]
            pair = item.task == "antecedent" and [item.edits[i].role for i in (slot, slot + 1)] == ["needle"] * 2
            assert gap >= margin or pair
            tied += pair and 0.1 * RATE <= gap <= 0.2 * RATE
        assert tied == (item.task == "antecedent")


def test_labels_asked_for_are_nowhere_in_the_background(every):
    for item in every:
        asked = {item.question.get("label"), item.question.get("anchor"), *item.question.get("labels", ())}
        assert asked.isdisjoint(span.label for span in item.background.timeline)


def test_shams_are_the_label_that_is_there_from_somebody_else(every):
    for item in every:
        for edit in item.edits:
            middle = edit.position + edit.n_times // 2
            label, subject = item.background.at(middle)
            if edit.role == "sham":
                assert label == next(s.label for s in item.background.timeline if s.start <= middle < s.end)
                assert edit.label == label
            assert edit.subject != subject


def test_the_table_covers_the_background_without_overlap(every):
    for item in every:
        rows = item.truth
        assert (rows["end"] > rows["start"]).all()
        assert (rows["start"].to_numpy()[1:] >= rows["end"].to_numpy()[:-1]).all()
        assert (rows["end"] - rows["start"]).sum() >= 0.6 * item.context
        if len(item.background.stretches) > 1:
            assert rows["start"].iloc[0] == 0
            assert rows["end"].iloc[-1] == item.context
            assert (rows["start"].to_numpy()[1:] == rows["end"].to_numpy()[:-1]).all()


def test_recordings_have_their_length_and_are_finite(every):
    for item in every[:4]:
        x = item.render()
        assert x.shape == (CONTEXT * RATE, 3)
        assert x.dtype == np.float32
        assert np.isfinite(x).all()


def test_a_state_query_lies_a_tenth_of_the_state_away_from_its_ends(make):
    for item in make("state_query", n_train=10).train:
        assert len({span.label for span in item.background.timeline}) >= 2
        for edit in item.edits:
            state = next(s for s in item.background.timeline if s.start <= edit.position < s.end)
            margin = 0.1 * (state.end - state.start)
            assert state.start + margin <= edit.position
            assert edit.position + edit.n_times <= state.end - margin


def test_the_quiet_regime_is_the_background_of_an_antecedent_and_anomalies_are_of_another(make):
    for item in make("antecedent").train:
        assert {span.label[:4] for span in item.background.timeline} == {"slow"}
    for item in make("anomaly_detection").train:
        (ground,) = {span.label for span in item.background.timeline}
        for edit in item.edits:
            assert (edit.label[:4] == ground[:4]) == (edit.role != "needle")
            assert (edit.label == ground) == (edit.role == "sham")


def test_the_extremum_of_a_comparison_is_clear(make):
    for item in make("comparison", n_train=20, context=100).train:
        mine = sorted(end - start for start, end in needles(item, item.question["label"]))
        if item.question["of"] == "with":
            first = mine[-1] - mine[-2] if item.question["extremum"] == "longest" else mine[1] - mine[0]
            assert first >= 1.5 - 1e-9


def test_no_subject_is_in_two_parts(make):
    owners = [
        {piece.subject for item in part for piece in (*item.background.stretches, *item.edits)}
        for part in make("existence", n_train=20, n_val=10, n_test=10)
    ]
    assert all(owners)
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]


def test_subjects_are_divided_by_the_seed_into_70_15_15(recorded):
    source = read_source(recorded[0])
    parts = split_subjects(source, 0)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [14, 3, 3]
    assert parts == split_subjects(source, 0)
    assert any(parts != split_subjects(source, seed) for seed in (1, 2))


def test_items_depend_on_seed_and_number_only(make):
    few, many = make("multi_hop"), make("multi_hop", n_train=9, n_val=4)
    assert many.train[:6] == few.train
    assert many.test == few.test
    assert all((a.render() == b.render()).all() for a, b in zip(few.val, many.val, strict=False))
    assert make("multi_hop", random_state=1).train[0] != few.train[0]
    seeds = [item.seed for part in many for item in part]
    assert len(set(seeds)) == len(seeds)


def test_items_are_written_without_their_arrays_and_read_again(make, recorded):
    item = make("comparison").train[0]
    text = item.to_json()
    assert len(text) < 5000
    assert json.loads(text)["edits"][0]["recording"] == item.edits[0].recording
    again = HaystackItem.from_json(text, recorded[0])
    assert again == item
    np.testing.assert_array_equal(again.render(), item.render())


def test_a_context_longer_than_every_recording_is_joined_from_bouts(make):
    (item,) = make("anomaly_localization", context=900, n_train=1, n_val=0, n_test=0).train
    pieces = item.background.stretches
    assert item.render().shape == (900 * RATE, 3)
    assert item.background.positions()[-1] == item.n_times
    assert len({piece.label for piece in pieces}) == 1
    assert all(piece.n_times >= 4 * item.background.fade for piece in pieces)


def test_a_background_can_be_a_piece_of_a_recording(make):
    items = make("localization", n_train=40).train
    natural = [item for item in items if len(item.background.stretches) == 1 and not item.background.fade]
    assert 5 < len(natural) < 30
    assert all(len(item.background.stretches) > 1 for item in make("localization", background="mixed").train)


def test_stretches_hold_their_joins_and_states_change_in_the_middle_of_one(make):
    for item in make("state_query", n_train=60).train:
        ground, fade = item.background, item.background.fade
        assert fade == RATE // 2
        assert all(piece.n_times >= 4 * fade for piece in ground.stretches)
        steps = zip(pairwise(ground.stretches), ground.positions()[1:], strict=False)
        changes = [int(at) + fade // 2 for (one, other), at in steps if one.label != other.label]
        assert [span.start for span in ground.timeline] == [0, *changes]


def quiet(items, changes):
    """Items with other insertions."""
    return [HaystackItem(**{**{n: getattr(i, n) for n in i.__dataclass_fields__}, **changes}) for i in items]


def test_what_was_there_stays_outside_of_the_insertions_and_fades_inside(make):
    (item,) = make("localization", n_train=1).train
    (bare,) = quiet([item], {"edits": ()})
    x, y = item.render(), bare.render()
    inside = np.full(len(x), False)
    for edit in item.edits:
        inside[edit.position : edit.position + edit.n_times] = True
    np.testing.assert_array_equal(x[~inside], y[~inside])
    edit = item.edits[0]
    raw = item._source.values[edit.recording][edit.start : edit.start + edit.n_times].astype(float)
    around = y[max(edit.position - 50, 0) : edit.position + edit.n_times + 50].astype(float)
    moved = raw - raw.mean(axis=0) + around.mean(axis=0)
    place = slice(edit.position, edit.position + edit.n_times)
    np.testing.assert_allclose(x[place][10:-10], moved[10:-10], atol=1e-5)
    weight = (1 - np.cos(np.pi * (np.arange(10) + 0.5) / 10)) / 2
    faded = weight[:, None] * moved[:10] + (1 - weight[:, None]) * y[place][:10]
    np.testing.assert_allclose(x[place][:10], faded, atol=1e-5)


def test_joins_fade_from_one_stretch_to_the_next(make):
    (item,) = quiet(make("state_query", n_train=1, transfer="none").train, {"edits": ()})
    first, second = item.background.stretches[:2]
    values, at, fade = item._source.values, int(item.background.positions()[1]), item.background.fade
    assert fade == RATE // 2
    weight = ((1 - np.cos(np.pi * (np.arange(fade) + 0.5) / fade)) / 2)[:, None]
    before = values[first.recording][first.start : first.start + first.n_times][-fade:]
    after = values[second.recording][second.start : second.start + fade]
    np.testing.assert_allclose(item.render()[at : at + fade], weight * after + (1 - weight) * before, atol=1e-5)


def test_stretches_of_a_state_have_the_mean_of_the_first_of_it(make):
    (item,) = quiet(make("anomaly_localization", context=200, n_train=1).train, {"edits": ()})
    x, fade, values = item.render(), item.background.fade, item._source.values
    pieces, places = item.background.stretches, item.background.positions()
    raw = [values[piece.recording][piece.start : piece.start + piece.n_times].astype(float) for piece in pieces]
    assert len(raw) > 3
    for part, at in zip(raw, places, strict=False):
        moved = part - part.mean(axis=0) + raw[0].mean(axis=0)
        inner = slice(fade, len(part) - fade)
        np.testing.assert_allclose(x[at : at + len(part)][inner], moved[inner], atol=1e-5)


def test_anomalies_have_the_deviations_of_what_is_around_them(make):
    for item in make("anomaly_detection").train:
        (bare,) = quiet([item], {"edits": ()})
        x, y = item.render(), bare.render()
        for edit in item.edits:
            core = x[edit.position + 15 : edit.position + edit.n_times - 15].std(axis=0)
            around = y[max(edit.position - 50, 0) : edit.position + edit.n_times + 50].std(axis=0)
            # A part of a needle, and of a slow wave, may deviate less than the whole.
            assert (core / around / edit.gain < 1.8).all()
            assert (core / around / edit.gain > 0.2).all()


def test_needles_can_be_louder(make):
    plain, loud = make("localization").train, make("localization", gain=2.0).train
    for one, other in zip(plain, loud, strict=True):
        for a, b in zip(one.edits, other.edits, strict=True):
            assert b.gain == (2.0 * a.gain if a.role == "needle" else a.gain)


@pytest.mark.parametrize("name", ["mean", "rotate", "whiten"])
def test_transfers_bring_a_piece_to_its_surroundings(name):
    rng = np.random.default_rng(0)
    piece = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 3
    local = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) - 2
    moved = item_module.TRANSFERS[name](piece, local, 1.0)
    if name == "rotate":
        one, other = moved[:, :3].mean(axis=0), local[:, :3].mean(axis=0)
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) == pytest.approx(1)
        np.testing.assert_allclose(
            np.linalg.norm(moved.reshape(300, 2, 3), axis=2), np.linalg.norm(piece.reshape(300, 2, 3), axis=2)
        )
        return
    np.testing.assert_allclose(moved.mean(axis=0), local.mean(axis=0))
    wanted = local if name == "whiten" else piece
    np.testing.assert_allclose(np.cov(moved.T, bias=True), np.cov(wanted.T, bias=True), rtol=1e-4, atol=1e-4)
    half = item_module.TRANSFERS["whiten"](piece, local, 0.0)
    np.testing.assert_allclose(half, item_module.TRANSFERS["mean"](piece, local, 1.0))


def test_a_rotation_turns_the_opposite_way_too():
    piece = np.tile([0.0, 0.0, 1.0], (5, 1)) + np.linspace(-0.1, 0.1, 5)[:, None] * [1, 0, 0]
    np.testing.assert_allclose(item_module.TRANSFERS["rotate"](piece, -piece, 1.0).mean(axis=0), [0, 0, -1], atol=1e-9)


def test_a_label_may_come_from_the_same_subject(make):
    same = []
    for item in make("counting", cross_subject=False, n_train=10).train:
        same += [
            edit.subject == item.background.at(edit.position + edit.n_times // 2)[1]
            for edit in item.edits
            if edit.role == "needle"
        ]
    assert np.mean(same) > 0.3


def test_touching_bouts_are_merged_and_short_ones_dropped(recorded):
    source = read_source(recorded[0])
    rows = [("r00", 0, 2, "a"), ("r00", 2, 5, "a"), ("r00", 5, 5.3, "b"), ("r00", 6, 7, "a"), ("r01", 7, 9, "a")]
    rows.append(("r01", 10, 12, "a"))
    events = pd.DataFrame(rows, columns=["recording", "start", "end", "label"])
    found = [(bout.recording, bout.start, bout.end, bout.label) for bout in bout_index(source, events)]
    assert found == [("r00", 0, 100, "a"), ("r00", 120, 140, "a"), ("r01", 140, 180, "a"), ("r01", 200, 240, "a")]


def test_regimes_may_be_given(recorded, make):
    source = read_source(recorded[0])
    bouts = bout_index(source, recorded[1])
    given = {label: "odd" if label[-1] in "13" else "even" for label in recorded[1]["label"].unique()}
    assert find_regimes(source, bouts, given) == given
    assert make("anomaly_detection", regimes=given).train[0].question["regimes"] == given
    with pytest.raises(ValueError, match=r"regimes: \['slow_1'\] have none"):
        make("existence", regimes={k: v for k, v in given.items() if k != "slow_1"})
    with pytest.raises(ValueError, match="all labels are in one"):
        make("existence", regimes=dict.fromkeys(given, "all"))


def test_scores_are_exact_for_values_and_by_overlap_for_intervals(make):
    counts, spots, odd = (make(task, n_test=4).test for task in ("counting", "localization", "anomaly_localization"))
    half = 1.5
    (start, end), (later, last) = spots[0].answer, spots[1].answer
    told = [*(item.answer for item in counts[:2]), counts[2].answer + 1, None]
    places = [[start + half - 0.1, end], [later + half + 0.1, last], None, spots[3].answer]
    none = [item.answer for item in odd[:2]] + [[0.0, 1.0], [0.0, 1.0]]
    scores = score_answers([*counts, *spots, *odd], [*told, *places, *none]).set_index("task")
    assert scores["accuracy"].to_dict() == {"counting": 0.5, "localization": 0.5, "anomaly_localization": 0.5}
    assert scores.loc["localization", "iou"] == pytest.approx((1.6 / 3 + 1.4 / 3 + 0 + 1) / 4)
    assert np.isnan(scores.loc["counting", "iou"])
    # The second and fourth have no anomaly: None is right, an interval is wrong, and neither counts for the overlap.
    assert scores.loc["anomaly_localization", "iou"] == pytest.approx(0.5)
    assert scores["n"].tolist() == [4, 4, 4]


def test_true_is_not_one(make):
    item = next(item for item in make("counting").train if item.answer == 1)
    assert score_answers([item, item], [True, np.int64(1)])["accuracy"].tolist() == [0.5]
    with pytest.raises(ValueError, match="answers: got 1 for 2 items"):
        score_answers([item, item], [1])


def test_the_best_row_by_score_stands_for_a_label():
    rows = pd.DataFrame({"start": [1.0, 5.0], "end": [2.0, 6.0], "label": "a", "score": [0.2, 0.9]})
    asked = {"task": "localization", "answer": "interval", "context": 9.0, "label": "a"}
    assert answer_question(rows, asked) == [5.0, 6.0]
    assert answer_question(rows.drop(columns="score"), asked) == [1.0, 2.0]


@pytest.mark.parametrize("task", HAYSTACK_TASKS)
def test_an_empty_table_has_an_answer(task):
    rows = pd.DataFrame({"start": [], "end": [], "label": []})
    asked = {"task": task, "context": 9.0, "label": "a", "labels": ["a", "b"], "anchor": "c", "k": 1}
    asked |= {"direction": "after", "of": "with", "extremum": "longest", "regimes": {}}
    assert answer_question(rows, asked) in (None, 0, False)


def audited(make, task, **changed):
    haystack = make(task, context=40, n_train=400, n_val=200, n_test=200, **changed)
    return audit_haystack(haystack, **{"tolerance": 0.08})


@pytest.mark.slow
@pytest.mark.parametrize("task", ["existence", "anomaly_detection"])
def test_shortcuts_do_not_answer(make, task):
    # Four hundred answers are by chance within 5 points of a half; 8 leave room for four baselines.
    table = audited(make, task)
    assert table["passed"].all()
    assert table["n"].tolist() == [400] * 4
    assert table["chance"].tolist() == [0.5] * 4


@pytest.mark.slow
def test_without_shams_the_number_of_insertions_answers(make):
    with pytest.raises(ValueError, match="duration_prior answers anomaly_detection"):
        audited(make, "anomaly_detection", shams=False)


@pytest.mark.slow
def test_loud_needles_are_noticed(make):
    with pytest.raises(ValueError, match="energy answers anomaly_detection"):
        audited(make, "anomaly_detection", gain=4.0)


def test_questions_that_tell_their_answer_are_noticed(make):
    haystack = make("existence", n_train=80, n_val=40, n_test=40)
    for item in [*haystack.train, *haystack.val, *haystack.test]:
        item.question["label"] = f"{item.question['label']} {item.answer}"
    with pytest.raises(ValueError, match="majority answers existence"):
        audit_haystack(haystack)
    assert not audit_haystack(haystack, on_failure="return")["passed"].all()


@pytest.mark.parametrize("task", ["localization", "counting", "ordering", "anomaly_localization"])
def test_other_tasks_have_a_table_too(make, task):
    table = audit_haystack(make(task, n_train=12, n_val=5, n_test=5))
    assert table["baseline"].tolist() == ["majority", "energy", "splice_edge", "duration_prior"]
    assert table["accuracy"].between(0, 1).all()


def test_an_audit_needs_items_to_learn_from_and_others(make):
    with pytest.raises(ValueError, match="haystack: got 0 train items"):
        audit_haystack(Haystack([], [], make("counting").test))
    with pytest.raises(ValueError, match="on_failure: got 'warn'"):
        audit_haystack(make("counting"), on_failure="warn")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": "finding"}, "task: got 'finding'"),
        ({"sweep": "share"}, "sweep: got 'share'"),
        ({"background": "plain"}, "background: got 'plain'"),
        ({"level": "loud"}, "level: got 'loud'"),
        ({"transfer": "shift"}, "transfer: got 'shift'"),
        ({"transfer": ("whiten", 2)}, "transfer: got"),
        ({"context": 1}, "context: got 1"),
        ({"gain": -1}, "gain: got -1"),
        ({"needle": 0.1}, "needle: got 0.1"),
        ({"needle": (4.0, 2.0)}, r"needle: got \(4.0, 2.0\)"),
        ({"n_test": -1}, "n_test: got -1"),
        ({"needle": 30.0}, "recordings: no item of existence"),
    ],
)
def test_what_is_out_of_range_is_refused(make, changed, message):
    with pytest.raises(ValueError, match=message):
        make(**{"task": "existence", **changed})


def test_frames_that_do_not_fit_are_refused(recorded):
    recordings, events = recorded

    def refused(message, frame=recordings, rows=events):
        with pytest.raises(ValueError, match=message):
            make_haystack(frame, rows, task="existence", context=60)

    refused("Pass a frame with recording", frame=recordings.drop(columns="subject"))
    refused("there are no channels", frame=recordings[["recording", "subject", "time"]])
    refused("missing or infinite", frame=recordings.assign(x0=np.nan))
    refused("do not stand together", frame=pd.concat([recordings[100:], recordings[:100]]))
    refused("uneven steps", frame=recordings.drop(index=recordings.index[50:90]))
    refused("Let each recording begin at 0", frame=recordings.assign(time=recordings["time"] + 1))
    refused(
        "got 5 subjects",
        frame=recordings[recordings["subject"].isin([f"s0{i}" for i in range(5)])],
        rows=events[events["recording"].isin([f"r0{i}" for i in range(5)])],
    )
    refused("'r99' is not among", rows=events.assign(recording="r99"))
    refused(r"\['label'\] not found", rows=events.drop(columns="label"))
    refused("has two at once", rows=pd.concat([events, events[:1].assign(start=events["start"].iloc[0] + 1)]))


def test_a_rotation_needs_channels_in_threes():
    recordings, events = make_recordings(8, seconds=120, rate=RATE, n_channels=2, random_state=0)
    with pytest.raises(ValueError, match="'rotate' got 2 channels"):
        make_haystack(recordings, events, task="existence", context=60, transfer="rotate")
