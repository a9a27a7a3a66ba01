"""Put results side by side that were measured alike, and refuse those that were not.

Reads the JSON files that `glimpse evaluate`, `glimpse ensemble` or, for sentences, `glimpse
evaluate-captioner` wrote with --output. They must be of the same clips of the same data set and
split, with one protocol, sampling and counts: else the command says what differs. The gain is the
headline's difference to the first file.

Example: glimpse compare average.json attention.json
Example: glimpse compare --may_differ=sampling.num_frames flat.json hierarchical.json
"""

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.result_comparison import compare, differences
from glimpse.pipelines.result_file import read_any_results
from glimpse.result_arguments import read_named_results

_NAMES = flags.DEFINE_list("names", None, "A name for each file; default: from its path.")
_MAY_DIFFER = flags.DEFINE_list(
    "may_differ", [], "What may differ, such as sampling.num_frames, or sampling for all of it."
)


def main(argv):
    """Compares the results named after the flags."""
    if len(argv) < 3:
        raise ValueError("two results or more are needed: glimpse compare a.json b.json")
    results = read_named_results(argv[1:], _NAMES.value, read_any_results)
    rows = compare(results, _MAY_DIFFER.value)
    print(tabulate(rows, headers="keys", floatfmt=".4f", missingval="-"))
    (first_name, first), *others = results.items()
    for name, other in others:
        for what, values in differences(first, other).items():
            print(f"{name} differs in {what}: {values[1]}, {first_name} has {values[0]}.")
    headline, stamp = first["headline"], first["stamp"]
    print(f"headline: {headline['metric']}, {stamp['dataset']}, split {first['split']}.")
