"""Convert a published file of weights into a backbone, every tensor of it accounted for.

Reads Caffe's .caffemodel (and C3D's own form of it), torchvision's .pth (without running what it
may hold beside tensors), TF-slim's checkpoints and the .h5 files of keras.applications. The
backbone is read back before its file gets its name. docs/weights.md says where the files are.

Example: glimpse convert --backbone=googlenet --weights=bvlc_googlenet.caffemodel
         --sha1=405fc5acd08a3bb12de8ee5e23a96bec22f08204 --output=googlenet.keras
Example: glimpse convert --backbone=vgg19 --weights=siat_scene_vgg_19.caffemodel
         --backbone_options='{"output": "fc6"}' --output=places205_fc6.keras
"""

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.weight_conversion import DIGESTS, check_digests, convert_file, weight_files
from glimpse.pipelines.weight_names import FORMATS
from glimpse.trained_model import read_backbone_options

_BACKBONE = flags.DEFINE_enum("backbone", None, [*FORMATS], "Backbone to fill (required).")
_WEIGHTS = flags.DEFINE_string("weights", None, "Published file of weights (required).")
_OUTPUT = flags.DEFINE_string("output", None, "The .keras file to write (required).")
_OPTIONS = flags.DEFINE_string(
    "backbone_options",
    "{}",
    """JSON of the backbone's own options, such as '{"output": "fc8", "classes": 205}'.""",
)
_MEAN = flags.DEFINE_string(
    "mean", None, "The .binaryproto file of c3d's mean cube, which is part of its weights."
)
_DIGESTS = {
    name: flags.DEFINE_string(name, None, f"Refuse --weights with another {name} digest.")
    for name in DIGESTS
}
flags.mark_flags_as_required(["backbone", "weights", "output"])


def main(argv):
    """Writes the backbone and prints the file's digests and what became of its tensors."""
    del argv
    options = read_backbone_options(_OPTIONS.value)
    files = weight_files(_WEIGHTS.value, _BACKBONE.value)
    wanted = {name: flag.value for name, flag in _DIGESTS.items() if flag.value}
    for file, digests in check_digests(files, wanted).items():
        for name, digest in digests.items():
            print(f"{file.name}: {name} {digest}")
    conversion = convert_file(_WEIGHTS.value, _BACKBONE.value, _OUTPUT.value, _MEAN.value, options)
    rows = [
        ("tensors used", len(conversion.used)),
        ("tensors left out", len(conversion.left_out)),
        ("parameters", f"{conversion.parameters:,}"),
        ("written and read back", _OUTPUT.value),
    ]
    print(tabulate(rows, tablefmt="plain"))
    if conversion.left_out:
        print("left out:", ", ".join(conversion.left_out))
