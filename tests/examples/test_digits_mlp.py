import hashlib
import itertools
import math
import sys

import digits
import digits_mlp
import mlp
import numpy as np
import pytest
import training

import cmeta

SEED = 7  # of the recorded run
LATE = {"calibration_error", "layer.0.weight_norm", "layer.1.weight_norm", "lr"}


def write(path, num_cycles, seed, mode="minibatch"):
    cmeta.write(path, digits_mlp.train(num_cycles, seed, mode), training.schema())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_run_is_valid_and_complete(run):
    report = cmeta.validate(run.path)
    assert report.ok, str(report)
    assert [r.timestamp for r in run.read] == list(range(len(run.trained)))


def test_what_is_read_is_what_was_measured(run):
    for trained, read in zip(run.trained, run.read, strict=True):
        assert (read.phase, read.step, read.epoch, read.action_code, read.state_digest) == (
            trained.phase, trained.step, trained.epoch, trained.action_code, trained.state_digest,
        )  # fmt: skip
        assert read.loss_value == np.float32(trained.loss_value)
        assert read.metrics.keys() == trained.metrics.keys()
        for name in LATE & trained.metrics.keys():
            assert read.metrics[name] == trained.metrics[name]


def test_same_seed_same_bytes(tmp_path):
    one, two, other = (
        write(tmp_path / f"{i}.cmeta", 300, seed) for i, seed in enumerate([SEED, SEED, SEED + 1])
    )
    assert one == two != other


def test_shorter_run_is_the_beginning_of_a_longer_one(run):
    assert list(digits_mlp.train(50, SEED)) == run.trained[:50]


def test_all_phases_occur_as_scheduled(run):
    counts = {phase: sum(r.phase == phase for r in run.read) for phase in training.SCHEDULE}
    assert counts == {"train": 900, "dream": 450, "validate": 150}


def test_each_phase_records_what_it_measures_and_nothing_else(run):
    for record in run.read[30:]:
        updates = record.phase != "validate"
        assert ("val_accuracy" in record.metrics) != updates
        assert ("grad_energy" in record.metrics) == updates
        assert (record.coherence is not None) == updates
        assert len(record.tensor_signature) == 3


def test_it_learns(run):
    accuracies = [r.metrics.val_accuracy for r in run.read if r.phase == "validate"]
    assert accuracies[0] < 0.7
    assert min(accuracies[-10:]) > 0.95


def test_late_metrics_are_undeclared_and_absent_early(run):
    with cmeta.open(run.path) as reader:
        assert set(reader.names) == LATE
        columns = reader.read()
    for name in LATE:
        present = columns.present[f"metrics.{name}"]
        assert not present[:50].any()
        assert present[-50:].any()


def test_an_action_changes_the_configuration_of_the_next_cycle(run):
    seen = set()
    for record, following in zip(run.read, run.read[1:], strict=False):
        changed = {k for k, v in following.config.items() if record.config[k] != v}
        action = record.action_code
        expected = {"adjust_lr": {"learning_rate"}, None: set()}.get(action, {"dream_pool"})
        assert changed == expected
        seen.add(action)
    assert "adjust_lr" in seen


def test_seeds_are_a_weyl_sequence_in_the_file(run):
    with cmeta.open(run.path) as reader:
        seeds = reader.read(["seed_state"])["seed_state"]
    assert seeds[0] == SEED
    assert len(set(np.diff(seeds).tolist())) == 1  # modulo 2^64, as uint64 is


@pytest.mark.parametrize("ordinal", [0, 2, 31, 335])  # two of training, two of dreaming
def test_images_of_a_cycle_come_from_its_recorded_seed(run, ordinal):
    trained = again(run.read[:ordinal])
    record = run.read[ordinal]

    def loss(seed):
        rng, settings = np.random.default_rng(seed), training.settings_of(record.config)
        if record.phase == "dream":
            data = digits.draw_dream(rng, settings.dream_pool)
        else:
            data = digits.draw_minibatch(rng, settings.batch_size, settings.noise)
        return mlp.forward(trained.weights, data).loss

    assert loss(record.seed_state) == pytest.approx(record.loss_value, abs=6e-7)
    assert loss(record.seed_state + 1) != pytest.approx(record.loss_value, abs=1e-4)


def again(records):
    """Train once more by recorded seeds."""
    trained = training.Training(SEED, training.MODES["minibatch"])
    for record in records:
        trained.cycle(record.phase, np.random.default_rng(record.seed_state))
    return trained


def test_state_digest_is_that_of_the_weights_at_each_validation(run):
    validations = [r for r in run.read if r.phase == "validate"]
    assert len({r.state_digest for r in validations}) == len(validations) > 3
    assert all(r.state_digest is None for r in run.read if r.phase != "validate")


def test_a_run_that_diverges_is_recorded_as_it_is(tmp_path):
    path = tmp_path / "run.cmeta"
    write(path, 600, SEED, "diverging")
    assert cmeta.validate(path).ok
    with cmeta.open(path) as reader:
        columns, records = reader.read(), list(reader)
    losses = columns["loss_value"][columns.present["loss_value"]]
    assert np.isinf(losses).any() or np.isnan(losses).any()
    assert np.isfinite(losses).any()
    assert {"stable", "diverging"} <= {r.metrics.state for r in records}
    resets = [r.timestamp for r in records if r.action_code == "reset_phase_weights"]
    assert resets
    assert all(not math.isfinite(records[at].loss_value) for at in resets)
    assert all(math.isfinite(records[at + 1].loss_value) for at in resets if at + 1 < 600)


def test_descent_on_the_full_batch_is_smooth(tmp_path):
    path = tmp_path / "run.cmeta"
    write(path, 300, SEED, "fullbatch")
    assert cmeta.validate(path).ok
    with cmeta.open(path) as reader:
        train = reader.read(["loss_value", "coherence"], phase="train")
    assert (np.diff(train["loss_value"][20:]) < 0).mean() > 0.9
    assert train["coherence"][20:].min() > 0.9


def test_held_out_images_are_not_trained_on():
    train, held_out = digits.load_data()
    assert len(train.images) == 1797 - 360
    assert len(held_out.images) == 360
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in held_out.images)


def test_a_dream_mixes_images_and_labels_alike():
    data, _ = digits.load_data()
    dream = digits.draw_dream(np.random.default_rng(3), 16)
    assert dream.labels.sum(axis=1) == pytest.approx(1)
    rng = np.random.default_rng(3)
    one, other = rng.integers(len(data.images), size=(2, 16))
    share = rng.beta(0.4, 0.4, (16, 1))
    by_hand = share * data.images[one] + (1 - share) * data.images[other]
    assert dream.images == pytest.approx(by_hand, abs=1e-6)


def test_script_records_a_chronicle_and_says_so(tmp_path, monkeypatch, capsys):
    path = tmp_path / "new" / "run.cmeta"
    monkeypatch.setattr(sys, "argv", ["digits_mlp.py", "--cycles", "40", "--out", str(path)])
    digits_mlp.main()
    output = capsys.readouterr()
    assert output.out.startswith(f"{path}: 40 cycles")
    assert output.err == ""  # progress is for terminals
    with cmeta.open(path) as reader:
        assert len(reader) == 40
        assert reader.schema == training.schema()
    assert [p.name for p in path.parent.iterdir()] == ["run.cmeta"]
    with pytest.raises(SystemExit, match="2"):
        digits_mlp.main()
    assert "already exists" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--replace"])
    digits_mlp.main()


def test_what_is_recorded_is_what_training_yields(run, tmp_path):
    """Recorded cycle by cycle, or written at once: the same but for the root of the seeds."""
    path = tmp_path / "run.cmeta"
    digits_mlp.record(path, 300, SEED)
    with cmeta.open(path) as recorded:
        for one, other in zip(recorded, run.read, strict=False):
            config = dict(one.config)
            assert config.pop("cmeta")["seed_root"] == SEED
            assert (config, one.as_dict() | {"config": 0}) == (
                other.config, other.as_dict() | {"config": 0},
            )  # fmt: skip


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(digits_mlp, "CHECKPOINT_EVERY", 50)
    whole, path = tmp_path / "whole.cmeta", tmp_path / "run.cmeta"
    digits_mlp.record(whole, 200, SEED)
    num = itertools.count()

    def cycle(self, phase, rng, real=training.Training.cycle):
        if next(num) == 120:
            raise KeyboardInterrupt
        return real(self, phase, rng)

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "cycle", cycle)
        with pytest.raises(KeyboardInterrupt):
            digits_mlp.record(path, 200, SEED)
    with cmeta.open(path) as run:
        assert len(run) == 120
    digits_mlp.record(path, 200, SEED)
    assert path.read_bytes() == whole.read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {
        "whole.cmeta", "run.cmeta", "run.dropped-from-100-1.cmeta",
    }  # fmt: skip
