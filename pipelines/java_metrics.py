"""The Java programs of coco-caption, as `pycocoevalcap` ships them: the tokenizer and METEOR.

Its own wrappers write into the folder they are installed in, take the machine's encoding, and leave
METEOR running; these talk to the same programs, with the same options.
"""

import contextlib
import importlib.util
import pathlib
import shutil
import subprocess
import tempfile
import threading

_PACKAGE = "pycocoevalcap"
_STANFORD = "tokenizer/stanford-corenlp-3.4.1.jar"
_METEOR = "meteor/meteor-1.5.jar"
# How many numbers METEOR 1.5 gives for a caption; its final score is made from their sums.
_STATISTICS = 23
# Seconds that a program may take to start (METEOR reads large tables) and for each clip: ten
# times what it takes where nothing else runs.
_START_SECONDS, _CLIP_SECONDS = 900.0, 2.0


def missing_for_package():
    """Returns what to do to have `pycocoevalcap`, or None if it is there."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return "install pycocoevalcap: pip install 'glimpse[metrics]'"
    return None


def missing_for_java():
    """Returns what to do to have the Java programs, or None if they are there."""
    steps = [missing_for_package()]
    if shutil.which("java") is None:
        steps.append("install a Java runtime, 8 or newer, such that `java` is found")
    return " and ".join(step for step in steps if step) or None


def cut_as_stanford(texts):
    """Cuts captions by Stanford's PTBTokenizer as coco-caption does, and drops its punctuation.

    Args:
        texts: Captions as written; line breaks within are blanks.

    Returns:
        For each text its words, a list.

    Raises:
        ValueError: If the program fails.
    """
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    lines = "".join(f"{_one_line(text)}\n" for text in texts)
    command = [
        "java",
        "-Dfile.encoding=UTF-8",
        "-cp",
        _program(_STANFORD),
        "edu.stanford.nlp.process.PTBTokenizer",
        "-preserveLines",
        "-lowerCase",
        "-encoding",
        "UTF-8",
    ]
    try:
        done = subprocess.run(
            command, input=lines.encode(), capture_output=True, timeout=_START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"Stanford's tokenizer did not run: {error}") from error
    found = done.stdout.decode().split("\n")[:-1]
    if done.returncode or len(found) != len(texts):
        raise ValueError(
            f"Stanford's tokenizer gave {len(found)} lines for {len(texts)} captions, exit "
            f"{done.returncode}: {_last_line(done.stderr)}"
        )
    return [[word for word in line.split() if word not in PUNCTUATIONS] for line in found]


def meteor(references, hypotheses):
    """METEOR 1.5 of a set of captions, English: exact words, stems, synonyms and paraphrases.

    Denkowski and Lavie, "Meteor Universal", WMT 2014, https://aclanthology.org/W14-3348. The score
    of the set is made from statistics summed over clips, and is no mean of the clips' scores.

    Args:
        references: For each clip its captions, lists of words.
        hypotheses: For each clip the caption to judge, a list of words.

    Returns:
        (score, scores): a fraction for the set, and one for each clip.

    Raises:
        ValueError: If the program fails, or takes longer than 15 minutes and 2 s a clip.
    """
    # As coco-caption runs it; "-norm" has it cut off punctuation itself.
    command = ["java", "-Dfile.encoding=UTF-8", "-Xmx2G", "-jar", _program(_METEOR)]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    patience = _START_SECONDS + _CLIP_SECONDS * len(hypotheses)
    with _running(command, patience) as ask:
        statistics = []
        for captions, hypothesis in zip(references, hypotheses, strict=True):
            sentences = [*captions, hypothesis]
            ask.write(" ||| ".join(["SCORE", *(_one_line(" ".join(s)) for s in sentences)]))
            statistics.append(ask.read(_STATISTICS))
        ask.write(" ||| ".join(["EVAL", *statistics]))
        scores = [float(ask.read(1)) for _ in hypotheses]
        return float(ask.read(1)), scores


class _Dialogue:
    """One line to a program, one line of numbers back."""

    def __init__(self, process, errors, expired):
        self._process, self._errors, self._expired = process, errors, expired

    def write(self, line):
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except OSError as error:
            raise self._failure(str(error)) from error

    def read(self, count):
        line = self._process.stdout.readline().decode().strip()
        try:
            numbers = [float(word) for word in line.split()]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise self._failure(f"answered {line!r}, not {count} numbers")
        return line

    def _failure(self, what):
        if self._expired.is_set():
            what = f"took too long and {what}"
        self._process.kill()
        code = self._process.wait()
        self._errors.seek(0)
        return ValueError(f"METEOR {what}; exit {code}: {_last_line(self._errors.read())}")


@contextlib.contextmanager
def _running(command, patience):
    """Runs a program that is ended in any case, after `patience` seconds at the latest."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise ValueError(f"METEOR did not start: {error}") from error
        expired = threading.Event()
        timer = threading.Timer(patience, lambda: (expired.set(), process.kill()))
        timer.start()
        try:
            yield _Dialogue(process, errors, expired)
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            process.stdout.close()
            # What was not read by a program that failed cannot be written any more.
            with contextlib.suppress(OSError):
                process.stdin.close()


def _program(name):
    (folder,) = importlib.util.find_spec(_PACKAGE).submodule_search_locations
    return str(pathlib.Path(folder) / name)


def _one_line(text):
    # Three bars end a sentence in METEOR's protocol; coco-caption drops them from hypotheses.
    return " ".join(text.replace("|||", " ").split())


def _last_line(errors):
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
