import pytest
from absl import flags

from glimpse.dataset_flags import DatasetFlags
from glimpse.pipelines.clips import read_clips
from tests.dataset_trees import make_class_folders, make_ucf11


def read(*arguments, required=True):
    values = flags.FlagValues()
    dataset_flags = DatasetFlags("tests", required, values)
    values(["command", *arguments])
    return dataset_flags.read()


@pytest.fixture(scope="module")
def ucf11(tmp_path_factory):
    return make_ucf11(tmp_path_factory.mktemp("ucf11"), num_frames=2)


def test_flags_are_the_options_of_read_clips(ucf11, tmp_path):
    found = read(
        f"--data={ucf11}", "--dataset=ucf11", "--split_rule=leave_one_group_out", "--fold=2",
        "--split_seed=3", "--val_fraction=0.4", f"--split_file={tmp_path}/split.json",
    )  # fmt: skip
    expected = read_clips(
        ucf11, "ucf11", split="leave_one_group_out", fold=2, seed=3, val_fraction=0.4
    )
    assert found == expected and (tmp_path / "split.json").is_file()


def test_other_options_are_json(ucf11):
    found = read(f"--data={ucf11}", "--dataset=ucf11", '--dataset_options={"first_four": true}')
    assert found.split_name.startswith("1168 clips")


def test_without_options_the_reader_decides(tmp_path):
    make_class_folders(tmp_path, num_frames=2)
    assert read(f"--data={tmp_path}") == read_clips(tmp_path)
    assert read(required=False) is None
    with pytest.raises(flags.IllegalFlagValueError, match="--data"):
        read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split_number=2"], "split_number: the data set ucf11 has no such option"),
        (["--dataset_options=[1]"], r"--dataset_options=\[1\]: must be a JSON object"),
        (["--dataset_options={"], "--dataset_options={: not JSON"),
        (['--dataset_options={"seed": 1}', "--split_seed=2"], "sets seed, as --split_seed does"),
    ],
)
def test_flags_that_are_wrong(ucf11, arguments, message):
    with pytest.raises(ValueError, match=message):
        read(f"--data={ucf11}", "--dataset=ucf11", *arguments)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
