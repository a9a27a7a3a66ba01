"""The `glimpse` command: finds the command's module, parses its flags, reports errors in a line.

It lies beside the package `glimpse` and not in it, because importing anything of the package
imports Keras: the overview and a mistyped command are answered before that.
"""

import contextlib
import difflib
import errno
import importlib
import os
import sys
import tempfile
import textwrap
import traceback

from absl import flags

# What `glimpse --help` prints; a command's module is imported only when it is called.
COMMANDS = {
    "demo": "Run everything once on rendered clips, and show where the model looked.",
    "models": "List the models of the zoo.",
    "render": "Render the tiny_actions data set into video files.",
    "convert": "Turn a published file of weights into a backbone.",
    "check-data": "Decode every file of a data set once and list what is broken.",
    "extract": "Run every frame of a data set through a backbone, once, and keep the features.",
    "cache": "List, verify or prune stored features.",
    "train": "Train a model on extracted features.",
    "evaluate": "Measure a trained model on a split.",
    "train-captioner": "Train a model that describes clips in words.",
    "evaluate-captioner": "Measure the sentences of a captioner on a split.",
    "compare": "Put results side by side that were measured alike.",
    "ensemble": "Average the answers of several evaluated models.",
    "reproduce": "Make a published number anew: check the data, extract, train, evaluate.",
    "predict": "Classify video files.",
    "caption": "Describe video files in words.",
    "explain": "Draw where the model looked in a video file.",
    "set-glimpse": "Make a model look where you say and see what it answers.",
    "search-glimpse": "Search the glimpse that makes a model's answer right.",
    "compare-penalties": "Draw what the attention penalty does to the gaze.",
    "compare-rates": "Draw what the sampling rate does to the gaze.",
    "highlight": "Draw which frames of a video file the model weighed most and least.",
    "class-table": "Put each class's score with several models side by side.",
    "class-gain": "Show the classes on which a model gains most over another.",
    "export": "Write a trained model as .keras and SavedModel for serving.",
    "publish": "Make weights and their card from a finished run.",
    "train-backbone": "Train the `small` backbone anew, as the shipped weights were made.",
}

# Shown by every command; the commands define their own flags when they are imported.
_DEBUG = flags.DEFINE_bool("debug", False, "Show the whole traceback of an error.")
# Commands that read what follows their flags; `extract`, flags of Apache Beam after `--`.
_TAKE_FILES = (
    "cache",
    "extract",
    "compare",
    "predict",
    "caption",
    "explain",
    "set-glimpse",
    "search-glimpse",
    "compare-penalties",
    "compare-rates",
    "highlight",
    "class-table",
    "class-gain",
)
_HELP = ("--help", "-h", "-help", "--helpshort", "--helpfull")


def run(argv=None):
    """Runs the command named by the first argument and exits with its status."""
    try:
        status = execute(list(sys.argv if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output went away (`glimpse models | head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def execute(argv):
    """Runs one command line, `argv[0]` being the program, and returns the exit status."""
    if len(argv) < 2 or argv[1] in _HELP or argv[1] == "help":
        print(_overview())
        return 0 if len(argv) > 1 else 2
    command, arguments = argv[1], argv[2:]
    if command == "--version":
        with _quiet_import():
            import glimpse

        print(glimpse.__version__)
        return 0
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return _fail("glimpse", f"no command {command!r}.{hint} `glimpse --help` lists them.")
    program = f"glimpse {command}"
    # Without a GPU TensorFlow logs an error at level 2; what matters is raised as well as logged.
    if "--debug" not in arguments:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        backend = os.environ["KERAS_BACKEND"]
        return _fail(program, f"KERAS_BACKEND={backend}: the commands need tensorflow; unset it.")
    with _quiet_import():
        module = importlib.import_module("glimpse.commands." + command.replace("-", "_"))
    if any(argument in _HELP for argument in arguments):
        print(_help(program, module))
        return 0
    try:
        rest = flags.FLAGS([program, *arguments])
    except flags.Error as error:
        return _fail(program, f"{_one_line(error)} `{program} --help` lists the flags.")
    for name in _empty_flags(module):
        return _fail(program, f"--{name}= has no value; give it one or leave the flag out.")
    if len(rest) > 1 and command not in _TAKE_FILES:
        return _fail(program, f"{rest[1]!r} is not a flag; flags are written --name=value.")
    return _call(program, module, rest)


def _empty_flags(module):
    """Names of the command's flags that were given an empty text.

    As a path it would be the current folder, and elsewhere count as a flag that was left out.
    """
    own = flags.FLAGS.get_flags_for_module(module.__name__)
    given = [flag for flag in own if flag.present and flag.value != flag.default]
    return sorted(flag.name for flag in given if flag.value in ("", [], [""]))


@contextlib.contextmanager
def _quiet_import():
    """Holds back what TensorFlow's libraries print while they load, unless loading fails.

    They write to the file descriptor before any setting of theirs is read.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            yield
        except BaseException:
            notices.seek(0)
            os.write(kept, notices.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _call(program, module, argv):
    try:
        return module.main(argv) or 0
    except KeyboardInterrupt:
        again = " with --resume" if program.endswith((" train", " train-captioner")) else ""
        return _fail(program, f"interrupted; run the same command again{again}.", status=130)
    except BrokenPipeError:
        raise
    except Exception as error:
        if _DEBUG.value:
            traceback.print_exc()
        return _fail(program, _one_line(error))


def _one_line(error):
    text = " ".join(str(error).split()) or "no further words."
    if isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {error.strerror}."
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = "the disk is full; free some space and run the same command again."
    # TensorFlow tells a damaged record by its place alone.
    if type(error).__name__ == "DataLossError" and "corrupted record" in text:
        return "stored features are damaged: `glimpse cache verify --index=FOLDER` says which."
    # Our own errors are ValueErrors and say it all; the name of any other type is a clue.
    if not isinstance(error, ValueError | OSError | flags.Error):
        text = f"{type(error).__name__}: {text[:600]} (--debug shows where)"
    return text


def _fail(program, text, status=1):
    print(f"{program}: {text}", file=sys.stderr)
    return status


def _overview():
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "glimpse: video attention models. Classify a clip and see where the model looked.",
            "",
            "usage: glimpse COMMAND [--flag=value ...]     (or python -m glimpse COMMAND ...)",
            "",
            *lines,
            "",
            "`glimpse COMMAND --help` explains a command and its flags. Flags may stand in a file,",
            "one a line: --flagfile=FILE. --debug shows the whole traceback of an error.",
        ]
    )


def _help(program, module):
    lines = [module.__doc__.strip(), "", f"usage: {program} [--flag=value ...]", "", "flags:"]
    own = flags.FLAGS.get_flags_for_module(module.__name__)
    for flag in sorted(own, key=lambda flag: flag.name):
        name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
        shown = "" if flag.default in (None, "") else f" (default: {flag.default})"
        text = f"{' '.join((flag.help or '').split())}{shown}"
        lines.append(f"  {name}")
        lines += textwrap.wrap(text, 88, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
