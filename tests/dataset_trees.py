"""Miniature trees of the data sets' official layouts, of tiny real videos.

Every function returns the path that `read_clips` is given. No two videos show the same frames.
"""

import csv
import itertools
import json

from glimpse.pipelines.datasets.hmdb51 import LABEL_NAMES as HMDB51_CLASSES
from glimpse.pipelines.datasets.hollywood2 import LABEL_NAMES as HOLLYWOOD2_CLASSES
from glimpse.pipelines.datasets.ucf11 import PREFIXES
from tests.numbered_videos import write_video

# The first clips of some of HMDB-51's classes, as they are named.
HMDB51_NAMES = {
    "brush_hair": "April_09_brush_hair_u_nm_np1_ba_goo_0",
    "cartwheel": "(Rad)Schlag_die_Bank!_cartwheel_f_cm_np1_le_med_0",
    "clap": "#20_Rhythm_clap_u_nm_np1_fr_goo_0",
    "catch": "96-_Torwarttraining_1_catch_f_cm_np1_le_bad_0",
    "kiss": "Me_&_You;_kiss_h_nm_np1_fr_med_0",
    "smile": "show_your_smile_-)_smile_h_nm_np1_fr_med_0",
}


class _Writer:
    """Writes videos that differ in their frames' numbers and, after 256, in their length."""

    def __init__(self, **sizes):
        self.sizes = {"num_frames": 8, "height": 48, "width": 64} | sizes
        self._numbers = itertools.count()

    def write(self, path, fourcc="XVID", **sizes):
        """Writes a video of MPEG-4, or of another codec; makes its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rounds, first = divmod(next(self._numbers), 256)
        sizes = self.sizes | sizes
        sizes["num_frames"] += rounds
        return write_video(path, fourcc, first=first, **sizes)


def make_ucf11(
    folder, groups=3, clips=2, archive="UCF11_updated_mpg", broken=True, quirks=True, **sizes
):
    """UCF-11 under `folder`/`archive`; `broken` adds v_shooting_24_01, which is no video."""
    videos, root = _Writer(**sizes), folder / archive
    old = archive == "action_youtube_naudio"
    suffix, fourcc = ("avi", "DIV3") if old else ("mpg", "PIM1")
    for label_name, prefix in PREFIXES.items():
        for group in range(1, groups + 1):
            place = root / label_name / f"v_{prefix}_{group:02d}"
            for clip in range(1, clips + 1):
                videos.write(place / f"v_{prefix}_{group:02d}_{clip:02d}.{suffix}", fourcc)
        if quirks:
            (root / label_name / "Annotation").mkdir()
            text = '<?xml version="1.0"?><viper></viper>'
            (root / label_name / f"Annotation/v_{prefix}_01_01.xgtf").write_text(text)
    if quirks:
        (root / "Excluded Videos.txt").write_text("v_shooting_99_01\n")
    if broken:
        place = root / "basketball/v_shooting_24"
        place.mkdir()
        (place / f"v_shooting_24_01.{suffix}").write_bytes(b"\0\0\1\xba no video")
    return root


def make_hmdb51(folder, clips=4, quirks=True, **sizes):
    """HMDB-51: in each class, one clip of test and one that is not used; the others are train.

    `quirks` adds a clip that is listed but missing, a clip that is not listed and a stray file.
    """
    videos, root = _Writer(**sizes), folder / "hmdb51_org"
    splits = folder / "testTrainMulti_7030_splits"
    splits.mkdir(parents=True)
    for label, label_name in enumerate(HMDB51_CLASSES):
        names = [f"film{n}of{label}_{label_name}_f_cm_np1_fr_med_{n}" for n in range(clips)]
        names[0] = HMDB51_NAMES.get(label_name, names[0])
        for name in names:
            videos.write(root / label_name / f"{name}.avi")
        if quirks and label_name == "wave":
            names.append("gone_wave_u_nm_np1_fr_goo_0")
        for number in (1, 2, 3):
            others = {number % clips: "2", (number + 1) % clips: "0"}
            lines = [f"{name}.avi {others.get(n, '1')} " for n, name in enumerate(names)]
            text = "".join(f"{line}\n" for line in lines)
            (splits / f"{label_name}_test_split{number}.txt").write_text(text)
    if quirks:
        videos.write(root / "wave/not_listed_wave_u_nm_np1_fr_goo_0.avi")
        (root / "wave/Thumbs.db").write_bytes(b"stray")
    return folder


def hollywood2_labels(number):
    """Labels of the clip of a number, counted from 1: one of each class in turn, the first two."""
    first = (number - 1) % len(HOLLYWOOD2_CLASSES)
    return (0, 5) if number == 1 else (first,)


def make_hollywood2(folder, train=24, test=12, autotrain=2, quirks=True, **sizes):
    """Hollywood2 in `folder`/Hollywood2; the first clip of each set has two labels."""
    videos, root = _Writer(**sizes), folder / "Hollywood2"
    stems = {
        "train": [f"actioncliptrain{n:05d}" for n in range(1, train + 1)],
        "test": [f"actioncliptest{n:05d}" for n in range(1, test + 1)],
        "autotrain": [f"actionclipautoautotrain{n:05d}" for n in range(1, autotrain + 1)],
    }
    (root / "ClipSets").mkdir(parents=True)
    for name, clips in stems.items():
        for label, label_name in enumerate(HOLLYWOOD2_CLASSES):
            flags = [1 if label in hollywood2_labels(n) else -1 for n in range(1, len(clips) + 1)]
            lines = [f"{clip}  {flag}\n" for clip, flag in zip(clips, flags, strict=True)]
            (root / f"ClipSets/{label_name}_{name}.txt").write_text("".join(lines))
        lines = "".join(f"{clip}  1\n" for clip in clips)
        (root / f"ClipSets/actions_{name}.txt").write_text(lines)
        for clip in clips:
            videos.write(root / f"AVIClips/{clip}.avi", "DIVX")
    if quirks:
        (root / "ShotBounds").mkdir()
        (root / "ShotBounds/actioncliptrain00001.sht").write_text("3 6 ")
    return root


ACTIVITYNET_CLASSES = ("Drinking beer", "Mooping floor", "Plataform diving", "Playing guitarra")


def make_activitynet(folder, train=4, test=2, quirks=True, **sizes):
    """ActivityNet: `train` and `test` videos of each of four classes in turn, and the JSON.

    A video has one segment, its first half, or its whole with an end that is beyond the video's.
    `quirks` adds segments of no length, one inside another, one that begins too late, a second
    label, a missing video, ids with "-" and "_", other suffixes and names, and the subset testing.
    """
    videos, root = _Writer(**sizes), folder / "videos"
    seconds = round(videos.sizes["num_frames"] / 25, 3)
    database = {}

    def add(video_id, subset, annotations, file=None):
        if file is None:
            file = f"v_{video_id}.mp4"
        if file:
            videos.write(root / file, "mp4v")
        database[video_id] = {
            "subset": subset,
            "resolution": "64x48",
            "url": f"https://www.youtube.com/watch?v={video_id}",
            "duration": seconds,
            "annotations": [{"segment": list(s), "label": label} for s, label in annotations],
        }

    for subset, count in (("training", train), ("validation", test)):
        for number in range(count):
            for label, label_name in enumerate(ACTIVITYNET_CLASSES):
                segment = (0.0, seconds / 2) if number % 2 else (0.01, round(seconds + 0.5, 3))
                add(f"{subset[:5]}{number:04d}_{label}", subset, [(segment, label_name)])
    if quirks:
        beer, floor, *_ = ACTIVITYNET_CLASSES
        whole = (0.0, seconds)
        add("-abcDEF-123", "training", [(whole, beer), ((0, 0), beer), (whole, floor)])
        add("_bcDEF-1234", "training", [(whole, beer), ((0.04, 0.2), beer), ((0.01, 0.02), beer)],
            "deeper/_bcDEF-1234.mkv")  # fmt: skip
        add("v_cdefghijk", "validation", [(whole, floor), ((seconds, seconds + 1), floor)])
        add("gone_gone_1", "training", [(whole, floor)], file="")
        add("gone_gone_2", "validation", [(whole, beer)], file="")
        add("testing_0_1", "testing", [])
        add("nothing_0_1", "training", [])
        videos.write(root / "v_not_listed1.mp4", "mp4v")
        (root / "v_cdefghijk.mp4.part").write_bytes(b"begun")
    nodes = [("Root", 0, None), ("Home", 1, 0), ("Leisure", 2, 0)]
    nodes += [(n, 3 + i, 1 + i % 2) for i, n in enumerate(reversed(ACTIVITYNET_CLASSES))]
    names = {number: name for name, number, _ in nodes}
    taxonomy = [
        {"nodeName": n, "nodeId": i, "parentId": p, "parentName": names.get(p)} for n, i, p in nodes
    ]
    release = {"database": database, "taxonomy": taxonomy, "version": "VERSION 1.3"}
    (folder / "activity_net.v1-3.min.json").write_text(json.dumps(release))
    return root


# Clips of MSVD by number: at the edges of the split, and with "_" and "-" in their ids.
MSVD_NAMES = {
    1: "-4wsuPCjDBc_5_15",
    2: "0lh_UWF9ZP4_178_182",
    1200: "bQJQGoJF7_k_145_153",
    1201: "bQJQGoJF7_k_162_169",
    1300: "eyMYc-37Sk4_0_10",
    1301: "eyhzdC936uk_15_27",
    1970: "zzit5b_-ukg_5_20",
}


def make_msvd(folder, more=0, quirks=True, **sizes):
    """MSVD with the clips of `MSVD_NAMES`, and `more` in train; three English captions each."""
    videos = _Writer(**sizes)
    names = MSVD_NAMES | {n: f"{n:011d}_0_9" for n in range(3, 3 + more)}
    rows = []
    for number, name in sorted(names.items()):
        videos.write(folder / f"YouTubeClips/{name}.avi")
        clip = name.rsplit("_", 2)
        rows += [
            [*clip, "1", "clean", "30", "English", f"a man is slicing bread {number}"],
            [*clip, "2", "unverified", "25", "English", 'A man, "the cook",\nis slicing.'],
            [*clip, "3", "clean", "20", "English", "someone cuts bread "],
        ]
        if quirks:
            rows += [[*clip, "4", "clean", "9", "German", "ein Mann schneidet Brot"]]
    if quirks:
        clip = MSVD_NAMES[1].rsplit("_", 2)
        rows[2:2] = [[*clip, "5", "clean", "9", "English", ""], []]
        rows += [["nosuchvideo", "1", "9", "6", "clean", "9", "English", "a dog runs"]]
        videos.write(folder / "YouTubeClips/nosuchvideo_1_9.avi")
    path = folder / "MSR Video Description Corpus.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(
            "VideoID Start End WorkerID Source AnnotationTime Language Description".split()
        )
        table.writerows(rows)
    lines = [f"{name} vid{number}" for number, name in sorted(names.items())]
    (folder / "youtube_mapping.txt").write_text("\n".join(lines))
    return folder


def make_class_folders(folder, classes=("hop", "run"), groups=5, clips=2, **sizes):
    """FOLDER/CLASS/personN_K.avi; person N is in every class."""
    videos = _Writer(**sizes)
    for label_name in classes:
        for group, clip in itertools.product(range(groups), range(clips)):
            videos.write(folder / label_name / f"person{group}_{clip}.avi")
    return folder


def make_csv(folder, header, lines, **sizes):
    """FOLDER/clips.csv with its videos, one for each path that it has (not those named gone*)."""
    videos = _Writer(**sizes)
    for path in dict.fromkeys(line.partition(",")[0] for line in lines):
        if not path.startswith("gone"):
            videos.write(folder / path)
    table = folder / "clips.csv"
    table.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return table
